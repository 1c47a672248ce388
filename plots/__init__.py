# Figures and the report, on scripts/lib. figures/ has one file per figure; table.py lists them.
# SPDX-License-Identifier: MIT

# One file per figure; table.py lists them, all.py draws them.
# SPDX-License-Identifier: MIT

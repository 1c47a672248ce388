# Makes scripts/ importable by plots/ and tests/; each script runs alone as well.
# SPDX-License-Identifier: MIT

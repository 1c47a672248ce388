# Tests of scripts/ and plots/; run them with: python3 -m unittest discover -t . -s tests/python
# SPDX-License-Identifier: MIT

# The hostile corpus; write it into a folder with: python3 -B -m tests.hostile.corpus FOLDER
# SPDX-License-Identifier: MIT

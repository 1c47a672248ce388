"""Goes on under a Python that has what scripts and plots need, where the one that was called lacks it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

NEEDED: Final = ("numpy", "pandas", "scipy", "matplotlib")  # as scripts/find_python


def require() -> None:
    """Returns where all is there. Else starts the program again under what scripts/find_python names, or ends it with
    status 3, after find_python has said what to install."""
    if sys.version_info >= (3, 11) and all(importlib.util.find_spec(name) for name in NEEDED):
        return
    finder = Path(__file__).resolve().parents[1] / "find_python"
    found = subprocess.run([finder], stdout=subprocess.PIPE, encoding="utf-8")
    if found.returncode != 0:
        sys.exit(3)
    python = found.stdout.strip()
    os.execv(python, [python, *sys.orig_argv[1:]])

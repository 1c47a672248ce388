#!/usr/bin/env python3
"""What every command in scripts/ starts with: scripts/NAME is a link to this file and runs main() of scripts/NAME.py.

Goes on under a Python that has what the commands need where the one that was called lacks it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPTS: Final = Path(__file__).resolve().parents[1]
NEEDED: Final = ("numpy", "pandas", "scipy", "matplotlib")  # as scripts/find_python


def require() -> None:
    """Returns where all is there. Else starts the command again under what scripts/find_python names, or ends it with
    status 3, after find_python has said what to install."""
    if sys.version_info >= (3, 11) and all(importlib.util.find_spec(name) for name in NEEDED):
        return
    found = subprocess.run([SCRIPTS / "find_python"], stdout=subprocess.PIPE, encoding="utf-8")
    if found.returncode != 0:
        sys.exit(3)
    python = found.stdout.strip()
    os.execv(python, [python, *sys.orig_argv[1:]])


def module_of(command: str) -> str:
    """The module that a command's path names: "scripts.studies.quality" for .../scripts/studies/quality."""
    path = Path(command)
    place = path.parent.resolve() / path.name
    return ".".join(place.relative_to(SCRIPTS.parent).parts)


if __name__ == "__main__":
    require()
    sys.dont_write_bytecode = True
    sys.path[0] = str(
        SCRIPTS.parent
    )  # scripts/ and plots/ as packages, and nothing by this folder's bare names
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    importlib.import_module("scripts.lib.terminal").print_anywhere()
    sys.exit(importlib.import_module(module_of(sys.argv[0])).main(sys.argv[1:]))

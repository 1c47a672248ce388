"""The trend over commits: keeps the gate's sessions, chains their ratios and finds where they change.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from plots import style
from plots.figures import history as figure
from scripts.lib import history
from scripts.lib.results import ResultsError

ROOT: Final = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if the figure cannot be written; 2 if a history cannot be read."""
    parser = argparse.ArgumentParser(prog="history", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "history", nargs="?", type=Path, default=ROOT / "results/history", help="a file, or a folder of files"
    )
    parser.add_argument("--cell", default="", metavar="REGEX", help="only cells in whose text this is found")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the figures go (default: beside the history)"
    )
    parser.add_argument(
        "--anchor", action="store_true", help="print the commit to measure the next session against, and end"
    )
    try:
        arguments = parser.parse_args(argv)
        wanted = re.compile(arguments.cell)
    except re.error as error:
        print(f"history: --cell '{arguments.cell}' is no regular expression: {error}", file=sys.stderr)
        return 2
    except SystemExit as end:
        return int(end.code or 0)
    try:
        if arguments.anchor:
            print(history.anchor(arguments.history), end="")
            return 0
        files = sorted(arguments.history.glob("*.csv")) if arguments.history.is_dir() else [arguments.history]
        if not files or not files[0].exists():
            raise ResultsError(f"{arguments.history}: no history yet: scripts/regress appends each session")
        for path in files:
            entries = [entry for entry in history.read(path) if wanted.search(entry.cell)]
            if not entries:
                raise ResultsError(
                    f"{path}: no line" + (f" of a cell like '{arguments.cell}'" if arguments.cell else "")
                )
            print(history.text_report(entries), end="")
            with style.settings():
                for written in style.write(figure.draw(entries), arguments.out or path.parent, path.stem):
                    print(written)
    except ResultsError as error:
        print(f"history: {error}", file=sys.stderr)
        return error.status
    except OSError as error:
        print(f"history: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0

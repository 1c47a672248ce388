"""Draws every figure that a run has rows for, into RUN/plots, and says which sweep fills the others.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from plots import drawing, table
from scripts.lib import results


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if a file cannot be written; 2 if the run cannot be read or nothing in it can be drawn."""
    groups = [figure.name for figure in table.FIGURES]
    parser = argparse.ArgumentParser(prog="figures", description="Draws the figures of a run as SVG and PNG.")
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as results/latest")
    parser.add_argument("--only", action="append", default=[], choices=groups, help="draw this figure only")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: RUN/plots)")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        run = results.load(arguments.run)
    except results.ResultsError as error:
        print(f"figures: {error}", file=sys.stderr)
        return error.status
    for warning in run.warnings:
        print(f"figures: warning: {warning}", file=sys.stderr)
    parent = run.path if run.path.is_dir() else run.path.parent
    folder = Path(arguments.out) if arguments.out else parent / "plots"
    try:
        written, remarks = drawing.draw_all(run, folder, arguments.only)
    except OSError as error:
        print(f"figures: {error.filename or folder}: {error.strerror}", file=sys.stderr)
        return 1
    for remark in remarks:
        print(f"figures: {remark}", file=sys.stderr)
    for path in written:
        print(path)
    return 0 if written else 2

#!/usr/bin/env python3
"""Draws every figure that a run has rows for, into RUN/plots, and says which sweep fills the others.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # Started by its path: find scripts/ and plots/ beside each other, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from plots import style, table
from scripts import results


def draw_all(run: results.Run, folder: Path, only: Sequence[str] = ()) -> tuple[list[Path], list[str]]:
    """The files written and, for each figure that could not be drawn, one sentence why."""
    written: list[Path] = []
    remarks: list[str] = []
    frame = run.observations
    # The other arms are copies of cells for comparing builds: figures show one build.
    frame = frame[frame["arm"].isin(["head", ""])]
    for figure in table.FIGURES:
        if only and figure.group not in only:
            continue
        rows = results.select_group(frame, figure.group)
        sweeps = list(dict.fromkeys(rows["sweep"]))
        if not sweeps:
            remarks.append(f"{figure.group}: no rows; the sweep quick fills it: noisefloor run quick")
        for sweep in sweeps:
            some = rows[rows["sweep"] == sweep]
            if not (some["status"] == "ok").any():
                remarks.append(f"{figure.group}: no ok row in sweep {sweep};{style.describe_undrawn(some)}")
                continue
            # Two sweeps of one run are different plans: one picture each.
            name = figure.group if len(sweeps) == 1 else sweep.replace(".", "-")
            try:
                with style.settings():
                    written += style.write(figure.draw(run, some), folder, name)
            except results.ResultsError as error:
                remarks.append(f"{figure.group}: {error}")
    return written, remarks


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if a file cannot be written; 2 if the run cannot be read or nothing in it can be drawn."""
    groups = [figure.group for figure in table.FIGURES]
    parser = argparse.ArgumentParser(prog="all.py", description="Draws the figures of a run as SVG and PNG.")
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
        print(f"all.py: {error}", file=sys.stderr)
        return error.status
    for warning in run.warnings:
        print(f"all.py: warning: {warning}", file=sys.stderr)
    parent = run.path if run.path.is_dir() else run.path.parent
    folder = Path(arguments.out) if arguments.out else parent / "plots"
    try:
        written, remarks = draw_all(run, folder, arguments.only)
    except OSError as error:
        print(f"all.py: {error.filename or folder}: {error.strerror}", file=sys.stderr)
        return 1
    for remark in remarks:
        print(f"all.py: {remark}", file=sys.stderr)
    for path in written:
        print(path)
    return 0 if written else 2


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    sys.exit(main(sys.argv[1:]))

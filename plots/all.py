#!/usr/bin/env python3
"""Draws every figure that a run has rows for, into RUN/plots, and says which sweep fills the others.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

if __name__ == "__main__":
    # Started by its path: find scripts/ and plots/ beside each other, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from plots import style, table
from scripts import results


@dataclass(frozen=True)
class Drawing:
    """What a figure needs to be drawn, or why it cannot be."""

    figure: table.Figure
    name: str  # of its files
    rows: pd.DataFrame
    remark: str = ""


def drawings(run: results.Run, only: Sequence[str] = ()) -> list[Drawing]:
    """Every figure with its rows; one by itself for each sweep, since two sweeps of one run are different plans."""
    # The other arms are copies of cells for comparing builds: figures show one build.
    frame = run.observations
    frame = frame[frame["arm"].isin(["head", ""])]
    group = pd.Series([name.rpartition(".")[2] for name in frame["sweep"]], index=frame.index, dtype=object)
    sweep = pd.Series([name.partition(".")[0] for name in frame["sweep"]], index=frame.index, dtype=object)
    found = []
    for figure in table.FIGURES:
        if only and figure.name not in only:
            continue
        everything = figure.sources == ("*",)
        rows = frame if everything else frame[group.isin(figure.sources)]
        sweeps = [""] if everything and len(rows) else list(dict.fromkeys(sweep[rows.index]))
        if not sweeps:
            remark = f"no rows; the sweep {figure.fill} fills it: noisefloor run {figure.fill}"
            found.append(Drawing(figure, figure.name, rows, remark))
        for one in sweeps:
            some = rows if everything else rows[sweep[rows.index] == one]
            name = figure.name if len(sweeps) == 1 or one == figure.name else f"{one}-{figure.name}"
            remark = ""
            if not (some["status"] == "ok").any():
                remark = f"no ok row in sweep {', '.join(dict.fromkeys(some['sweep']))};{style.describe_undrawn(some)}"
            found.append(Drawing(figure, name, some, remark))
    return found


def draw_all(run: results.Run, folder: Path, only: Sequence[str] = ()) -> tuple[list[Path], list[str]]:
    """The files written and, for each figure that could not be drawn, one sentence why."""
    written: list[Path] = []
    remarks: list[str] = []
    for drawing, picture in draw_each(run, only):
        if isinstance(picture, str):
            remarks.append(f"{drawing.name}: {picture}")
            continue
        with style.settings():
            written += style.write(picture, folder, drawing.name)
    return written, remarks


def draw_each(
    run: results.Run, only: Sequence[str] = (), *, bare: bool = False
) -> Iterator[tuple[Drawing, Any]]:
    """Every figure as a style.Picture, or as one sentence why there is none. `bare`: as style.settings means it."""
    silent: dict[str, tuple[Drawing, str]] = {}
    drawn: set[str] = set()
    for drawing in drawings(run, only):
        if drawing.remark:
            yield drawing, drawing.remark
            continue
        try:
            with style.settings(bare=bare):
                picture = drawing.figure.draw(run, drawing.rows)
        except style.NothingToShow as error:
            silent[drawing.figure.name] = (drawing, str(error))
            continue
        except results.ResultsError as error:
            yield drawing, str(error)
            continue
        drawn.add(drawing.figure.name)
        yield drawing, picture
    for name, (drawing, remark) in silent.items():
        if name not in drawn:
            yield drawing, remark


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if a file cannot be written; 2 if the run cannot be read or nothing in it can be drawn."""
    groups = [figure.name for figure in table.FIGURES]
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

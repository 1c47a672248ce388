"""Draws every figure that a run has rows for, into RUN/plots, and says which sweep fills the others.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar


import pandas as pd

from plots import style, table
from scripts.lib import prose, results

T = TypeVar("T")


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
    names = frame["sweep"].unique()
    group = frame["sweep"].map({name: name.rpartition(".")[2] for name in names})
    sweep = frame["sweep"].map({name: name.partition(".")[0] for name in names})
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
                remark = f"no ok row in sweep {', '.join(dict.fromkeys(some['sweep']))};{prose.describe_undrawn(some)}"
            found.append(Drawing(figure, name, some, remark))
    return found


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a drawing: a value, or one sentence why there is none. `silent`: its rows do not speak of what the
    figure shows, so nobody needs to hear of it if another sweep's do."""

    drawing: Drawing
    value: T | None
    remark: str = ""
    silent: bool = False


def draw_all(run: results.Run, folder: Path, only: Sequence[str] = ()) -> tuple[list[Path], list[str]]:
    """The files written and, for each figure that could not be drawn, one sentence why."""

    def save(picture: style.Picture, drawing: Drawing) -> list[Path]:
        return style.write(picture, folder, drawing.name)

    found = outcomes(run, save, only)
    written = [path for outcome in found for path in outcome.value or []]
    return written, [f"{one.drawing.name}: {one.remark}" for one in found if one.remark]


def outcomes(
    run: results.Run,
    use: Callable[[style.Picture, Drawing], T],
    only: Sequence[str] = (),
    *,
    bare: bool = False,
    processes: int | None = None,
) -> list[Outcome[T]]:
    """Draws every figure and hands it to `use`, with style.settings(bare=bare) around both. Done by `processes` forked
    children (default: one for each CPU), so what `use` returns must be picklable; 1: done here."""

    def attempt(drawing: Drawing) -> Outcome[T]:
        if drawing.remark:
            return Outcome(drawing, None, drawing.remark)
        try:
            with style.settings(bare=bare):
                return Outcome(drawing, use(drawing.figure.draw(run, drawing.rows), drawing))
        except results.ResultsError as error:
            return Outcome(drawing, None, str(error), isinstance(error, style.NothingToShow))
        except ValueError as error:  # such as two cells that the figure does not tell apart, in one round
            return Outcome(drawing, None, f"cannot be drawn: {error}")

    todo = drawings(run, only)
    # The results come back without the rows, which are here already.
    found = [
        replace(outcome, drawing=drawing)
        for drawing, outcome in zip(
            todo,
            in_parallel([lambda d=d: replace(attempt(d), drawing=None) for d in todo], processes),  # type: ignore[misc]
        )
    ]
    drawn = {one.drawing.figure.name for one in found if not one.remark}
    said: set[str] = set()
    kept = []
    for one in found:
        name = one.drawing.figure.name
        if one.silent and name in drawn | said:
            continue
        if one.silent:
            said.add(name)
        kept.append(one)
    return kept


_jobs: list[Callable[[], Any]] = []  # what forked children find, since functions cannot be sent to them


def in_parallel(jobs: Sequence[Callable[[], T]], processes: int | None = None) -> list[T]:
    """What each job returns, in their order; an exception of a job is raised here."""
    count = min(len(jobs), processes or len(os.sched_getaffinity(0)))
    if count < 2:
        return [job() for job in jobs]
    _jobs[:] = jobs
    try:
        with ProcessPoolExecutor(count, multiprocessing.get_context("fork")) as pool:
            return list(pool.map(_do, range(len(jobs))))
    finally:
        _jobs.clear()


def _do(number: int) -> Any:
    return _jobs[number]()

"""The trend over commits: keeps the gate's sessions, chains their ratios and finds where they change.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import fcntl
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final


import numpy as np


from scripts.lib import stats, verdicts
from scripts.lib.results import ResultsError

ROOT: Final = Path(__file__).resolve().parent.parent
COLUMNS: Final = (
    "schema",
    "utc",
    "machine_id",
    "base",
    "head",
    "cell_id",
    "cell",
    "ratio",
    "low",
    "high",
    "rounds",
    "verdict",
    "session",
)
SCHEMA: Final = 1
LEAST: Final = 3  # sessions before and after a change


@dataclass(frozen=True)
class Entry:
    """One line: the ratio head / base of one cell in one session, with its interval (nan if it had none)."""

    utc: str
    machine_id: str
    base: str
    head: str
    cell_id: str
    cell: str
    ratio: float
    low: float
    high: float
    rounds: int
    verdict: str
    session: str


@dataclass(frozen=True)
class Point:
    """A session on the chain: ln(time / time at the chain's first base), with the interval of its own ratio."""

    utc: str
    head: str
    level: float
    low: float
    high: float
    segment: int


@dataclass(frozen=True)
class Shift:
    """A change between two commits: the last one before it and the first one after it; a fraction (0.03: 3%
    slower from then on); `p` of the permutation test."""

    before: str
    after: str
    index: int
    effect: float
    p: float


def append(
    report: verdicts.Report, base: str, head: str, folder: Path, utc: datetime | None = None
) -> Path | None:
    """Adds the session's measured cells to folder/<machine_id>.csv, in one write. Returns the file, or None if
    there was nothing to add. An inconclusive control keeps the whole session out: it measured noise."""
    if any(line.verdict in ("REGRESSED", "IMPROVED") for line in report.control or ()):
        return None
    now = f"{utc or datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    rows = []
    for line in report.cells:
        if line.effect is None or not math.isfinite(line.effect) or report.measure != "wall_ns":
            continue
        bounds = [
            f"{1 + bound:.6f}" if math.isfinite(bound) else ""
            for bound in line.interval or (math.nan, math.nan)
        ]
        rows.append(
            [SCHEMA, now, report.machine_id, base, head, line.cell_id, line.cell, f"{1 + line.effect:.6f}", *bounds,
             line.rounds, line.verdict, report.verdict]
        )  # fmt: skip
    if not rows:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.machine_id}.csv"
    with open(path, "a", encoding="utf-8", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(COLUMNS)
        writer.writerows(rows)
    return path


def read(path: Path) -> list[Entry]:
    """The lines of a history. Throws ResultsError, saying which line is wrong and how."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    except csv.Error as error:
        raise ResultsError(f"{path}: {error}") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ResultsError(f"{path}: line 1: the header must be {','.join(COLUMNS)}")
    entries = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            values = dict(zip(COLUMNS, row, strict=True))
            if int(values.pop("schema")) > SCHEMA:
                raise ResultsError(
                    f"{path}: line {number}: a newer schema: read it with the scripts of its own commit"
                )
            ratio = float(values["ratio"])
            low, high = (float(values[name] or "nan") for name in ("low", "high"))
            if not (0 < ratio < math.inf):
                raise ValueError(f"ratio {ratio}")
            entries.append(
                Entry(
                    values["utc"], values["machine_id"], values["base"], values["head"], values["cell_id"],
                    values["cell"], ratio, low, high, int(values["rounds"]), values["verdict"], values["session"],
                )
            )  # fmt: skip
        except ValueError as error:
            raise ResultsError(f"{path}: line {number}: {error}: correct or delete it") from None
    if len({entry.machine_id for entry in entries}) > 1:
        raise ResultsError(f"{path}: lines of several machines: keep one file for each")
    return entries


def chain(entries: Sequence[Entry]) -> list[Point]:
    """The sessions of one cell as levels. A session whose base was measured before goes on from that commit's
    level (the median of its own sessions); one whose base is unknown starts a new segment at 0."""
    levels: dict[str, list[float]] = {}
    segments: dict[str, int] = {}
    count = 0
    points = []
    for entry in sorted(entries, key=lambda one: one.utc):
        if entry.base not in levels:
            levels[entry.base], segments[entry.base] = [0.0], count
            count += 1
        start, segment = float(np.median(levels[entry.base])), segments[entry.base]
        level = start + math.log(entry.ratio)
        if entry.head not in levels or segments[entry.head] != segment:
            levels[entry.head], segments[entry.head] = [], segment
        levels[entry.head].append(level)
        low, high = (start + math.log(bound) if bound > 0 else math.nan for bound in (entry.low, entry.high))
        points.append(Point(entry.utc, entry.head, level, low, high, segment))
    return points


def shifts(points: Sequence[Point], *, margin: float = stats.GATE_MARGIN, alpha: float = 0.05) -> list[Shift]:
    """Where the chain changes its level by at least the margin, for good: E-divisive within each segment."""
    found = []
    for segment in sorted({point.segment for point in points}):
        places = [i for i, point in enumerate(points) if point.segment == segment]
        values = [points[i].level for i in places]
        ps = {point.index: point.p for point in stats.e_divisive(values, alpha=alpha, least=LEAST)}
        bounds = [0, *ps, len(values)]
        for first, at, last in zip(bounds, bounds[1:], bounds[2:]):
            step = float(np.median(values[at:last]) - np.median(values[first:at]))
            if abs(step) >= math.log1p(margin):
                before, after = points[places[at - 1]], points[places[at]]
                found.append(Shift(before.head, after.head, places[at], math.expm1(step), ps[at]))
    return found


def by_cell(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The lines of each cell, by its id, in the order in which cells first appear."""
    cells: dict[str, list[Entry]] = {}
    for entry in entries:
        cells.setdefault(entry.cell_id, []).append(entry)
    return cells


def text_report(entries: Sequence[Entry]) -> str:
    """What happened, in words: one line per change, with the range of commits that holds it."""
    cells = by_cell(entries)
    names = verdicts.labels(verdicts.parse_cell(lines[0].cell) for lines in cells.values())
    sessions = len({(entry.utc, entry.head) for entry in entries})
    text = [
        f"{sessions} sessions, {len(cells)} cells, machine {entries[0].machine_id if entries else 'unknown'}"
    ]
    for name, lines in zip(names, cells.values()):
        points = chain(lines)
        for shift in shifts(points):
            word = "slower" if shift.effect > 0 else "faster"
            text.append(
                f"{name}: {abs(shift.effect):.1%} {word} from {shift.after[:12]} on (p = {shift.p:.3f}); the change lies "
                f"in {shift.before[:12]}..{shift.after[:12]}"
            )
    if len(text) == 1:
        text.append("no change of level was found")
    else:
        text.append(
            f"each cell is searched at 5%: of {len(cells)} cells without a change, {0.05 * len(cells):.1f} would show one"
        )
    return "\n".join(text) + "\n"


def anchor(folder: Path) -> str:
    """The base of the newest session in any file of `folder`: what the next session is to be measured against, so
    that its level carries one error and not the sum of all before it. "" without any history."""
    newest = ("", "")
    for path in sorted(folder.glob("*.csv")):
        for entry in read(path):
            newest = max(newest, (entry.utc, entry.base))
    return newest[1]

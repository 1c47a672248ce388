"""The trend over commits: keeps the gate's sessions, and finds where the time against one anchor changes.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import collections
import csv
import fcntl
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final


import numpy as np
import scipy.stats


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
LOOKS: Final = (
    365  # nightly ones, over which a cell that does not change is alarmed with a probability of ALPHA at most
)
ALPHA: Final = 0.05
LEAST: Final = 8  # sessions that must lie before a change
# Looked at are so many of the last sessions, of which the second number counts, the smallest deviation being the first; the
# third is by how much the variance of that exceeds the mean's. The windows overlap: they share the allowance of two.
WINDOWS: Final = ((2, 1, 1.2), (3, 2, 1.4), (5, 3, 1.5), (8, 4, 1.5))
# What the sessions' own intervals say of their error weighs as much as the scatter of so many sessions.
TOLD: Final = 10


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
    """A session: ln(time / time at its anchor), with its interval and standard error (nan if it had no interval). All of a
    segment have one anchor."""

    utc: str
    head: str
    level: float
    low: float
    high: float
    segment: int

    @property
    def error(self) -> float:
        return (self.high - self.low) / (2 * 1.96)


@dataclass(frozen=True)
class Shift:
    """A change between two commits: the last one before it and the first one after it; a fraction (0.03: 3%
    slower from then on). `sessions`: how many of them had the change when it was seen first."""

    before: str
    after: str
    index: int
    effect: float
    sessions: int


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


def tracks(entries: Sequence[Entry]) -> list[Point]:
    """The sessions of one cell, as they came. Those with one base, their anchor, make a segment: each carries its own error
    and no other's. Ratios against different commits are not multiplied, since their errors would add up to a random walk.
    """
    segments: dict[str, int] = {}
    points = []
    for entry in sorted(entries, key=lambda one: one.utc):
        segment = segments.setdefault(entry.base, len(segments))
        low, high = (math.log(bound) if bound > 0 else math.nan for bound in (entry.low, entry.high))
        points.append(Point(entry.utc, entry.head, math.log(entry.ratio), low, high, segment))
    return points


def shifts(points: Sequence[Point], *, margin: float = stats.GATE_MARGIN) -> list[Shift]:
    """Where the level changes by at least the margin, for good, as seen by one look after every session: the last few all
    lie on one side of what came before, further than chance puts them in any of LOOKS looks. Student's t is taken for a
    session's level, which is a median over its rounds. After a change, what came before it is forgotten."""
    found = []
    for segment in sorted({point.segment for point in points}):
        places = [i for i, point in enumerate(points) if point.segment == segment]
        for first, at, last in _steps([points[i] for i in places], math.log1p(margin)):
            levels = np.array([points[i].level for i in places[first:last]])
            step = float(np.median(levels[at - first :]) - np.median(levels[: at - first]))
            before, after = points[places[at - 1]], points[places[at]]
            found.append(Shift(before.head, after.head, places[at], math.expm1(step), last - at))
    return found


def _steps(points: Sequence[Point], margin: float) -> list[tuple[int, int, int]]:
    """For each change: where what is known before it begins, its first session, and the end of those that showed it."""
    limit = ALPHA / LOOKS / 2 / 2  # both directions
    level = np.array([point.level for point in points])
    error = np.array([point.error for point in points])
    start = 0
    found = []
    for end in range(1, len(points) + 1):
        for window, counts, wider in WINDOWS:
            at = end - window
            known = at - start
            if known < LEAST:
                continue
            before, after = level[start:at], level[at:end]
            away = after - before.mean()
            if not (np.all(away > 0) or np.all(away < 0)):
                continue
            step = float(np.sort(np.abs(away))[counts - 1])
            told = float(np.nanmedian(error[start:at])) if np.any(np.isfinite(error[start:at])) else 0.0
            weight = TOLD if told > 0 else 0
            degrees = weight + known - 1
            variance = (weight * told**2 + known * float(before.var())) / degrees
            unit = math.sqrt(variance * (wider / window + 1 / known))
            if step >= margin and (unit == 0 or scipy.stats.t.sf(step / unit, degrees) < limit):
                found.append((start, at, end))
                start = at
                break
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
    found = False
    for name, lines in zip(names, cells.values()):
        for shift in shifts(tracks(lines)):
            found = True
            word = "slower" if shift.effect > 0 else "faster"
            text.append(
                f"{name}: {abs(shift.effect):.1%} {word} from {shift.after[:12]} on, seen in {shift.sessions} sessions; the "
                f"change lies in {shift.before[:12]}..{shift.after[:12]}"
            )
    if not found:
        text.append("no change of level was found")
    text.append(f"over {LOOKS} sessions {ALPHA:.0%} of cells that do not change show a change at most")
    bases = collections.Counter(
        entry.base for entry in {(one.utc, one.head): one for one in entries}.values()
    )
    few = sum(count for count in bases.values() if count <= LEAST)
    if few:
        text.append(
            f"{few} of {sessions} sessions have an anchor of their own, with {LEAST} sessions at most: no change can be seen in "
            "them; measure each against `scripts/history --anchor`"
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

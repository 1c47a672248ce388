"""The history's figure: each cell's time over the sessions, against their anchor, with its changes of level.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.figure import Figure

from plots import layout, style

from scripts.lib import verdicts
from scripts.lib.history import ALPHA, LOOKS, Entry, Point, Shift, by_cell, shifts, tracks

SLOWER: Final = "#D55E00"
FASTER: Final = "#0072B2"
COLUMNS: Final = 2


def draw(entries: Sequence[Entry]) -> Figure:
    """One small panel per cell; all share the axis of sessions."""
    cells = by_cell(entries)
    names = verdicts.labels(verdicts.parse_cell(lines[0].cell) for lines in cells.values())
    stamps = sorted({entry.utc for entry in entries})
    rows = math.ceil(len(cells) / COLUMNS)
    figure = layout.new_figure()
    grid = layout.panels(
        figure,
        f"Time over {len(stamps)} sessions, against their anchor",
        "Each point is a session: its head's time over that of its anchor, with the 95% interval. Dashed: a change of level of "
        f"at least 1%, named by the first commit that has it; {ALPHA:.0%} of unchanged cells show one in {LOOKS} sessions at "
        f"most. Lines join sessions with one anchor. Machine {entries[0].machine_id}.",
        [0.9] * rows,
        left=0.75,
        right=0.25,
        columns=COLUMNS,
        between=0.75,
    )
    for i, (name, lines) in enumerate(zip(names, cells.values())):
        axes = figure.add_subplot(grid[i // COLUMNS, i % COLUMNS])
        points = tracks(lines)
        _panel(axes, name, points, shifts(points), stamps)
    return figure


def _panel(
    axes: Any, name: str, points: Sequence[Point], found: Sequence[Shift], stamps: Sequence[str]
) -> None:
    place = {stamp: i for i, stamp in enumerate(stamps)}
    axes.set_title(name, fontsize=style.SIZE["panel"], loc="left")
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    for segment in sorted({point.segment for point in points}):
        some = [point for point in points if point.segment == segment]
        x = [place[point.utc] for point in some]
        y = [100 * math.expm1(point.level) for point in some]
        below = [_length(point.level, point.low) for point in some]
        above = [_length(point.high, point.level) for point in some]
        axes.errorbar(
            x, y, yerr=[below, above], color=style.INK, marker="o", markersize=3, linewidth=1, elinewidth=0.7
        )
    for shift in found:
        color, word = (SLOWER, "▲") if shift.effect > 0 else (FASTER, "▼")
        at = place[points[shift.index].utc] - 0.5
        axes.axvline(at, color=color, linestyle="--", linewidth=1)
        # Where the line is not: beyond the step it is high after a slow-down, before it, low.
        late = at > 0.6 * len(stamps)
        top = (shift.effect < 0) != late
        axes.annotate(
            f"{word} {100 * shift.effect:+.1f}% {shift.after[:8]}",
            (at, 1.0 if top else 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if late else 3, -2 if top else 2),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top" if top else "bottom",
            fontsize=style.SIZE["small"],
            color=color,
        )
    axes.set_xlim(-0.6, len(stamps) - 0.4)
    ticks = sorted({0, len(stamps) - 1})
    axes.set_xticks(ticks, [stamps[i][:10] for i in ticks], fontsize=style.SIZE["small"])
    low, high = axes.get_ylim()
    if high - low < 4:  # a quiet chain shall look quiet
        axes.set_ylim((low + high) / 2 - 2, (low + high) / 2 + 2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.3g}%")
    axes.tick_params(labelsize=style.SIZE["small"])
    axes.grid(axis="y")


def _length(high: float, low: float) -> float:
    """Of one side of an error bar, in percent; none where there is no interval."""
    difference = 100 * (math.expm1(high) - math.expm1(low))
    return max(0.0, difference) if math.isfinite(difference) else 0.0

"""The gate's figure: by how much head takes longer than base in each cell, beside what could have been seen.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from plots import layout, style

from scripts.lib.verdicts import MARKS, CellVerdict, Report, headline, ordered, percent

# Marker and colour (Okabe and Ito) by verdict; the word stands beside each line.
LOOKS: Final = {
    "REGRESSED": ("^", "#D55E00"),
    "IMPROVED": ("v", "#0072B2"),
    "INCONCLUSIVE": ("D", "#8A6F00"),
    "UNDERPOWERED": ("d", "#7A7A7A"),
    "OK": ("o", style.INK),
}
GREY: Final = "#DDDDDD"
ROW: Final = 0.24  # inches


def draw(report: Report) -> Figure:
    """One line per cell, grouped by verdict, worst first; cells without a change are told below."""
    cells = ordered(report.cells)
    drawn = [line for line in cells if line.effect is not None and math.isfinite(line.effect)]
    others = [line for line in cells if line not in drawn]
    figure = layout.new_figure()
    what = "instructions" if report.measure == "instructions" else "time"
    caption = (
        f"Change of {what}, head against base: median ratio within each round, with its 95% interval by order statistics; "
        f"n: rounds. Grey band: changes too small to be seen in this cell by this session; dotted: the margin of "
        f"{report.margin:.1%}. Base {report.base[:40]}, head {report.head[:40]}, machine {report.machine_id}."
    )
    if others:
        caption += " Not drawn: " + "; ".join(f"{line.label} ({line.verdict})" for line in others) + "."
    names = [f"{line.label}" for line in drawn]
    left = max((layout.text_width(name, style.SIZE["text"]) for name in names), default=1.0) + 0.35
    texts = [
        f"{MARKS[line.verdict]} {line.verdict}  {percent(line.effect)}  n = {line.rounds}" for line in drawn
    ]
    right = max((layout.text_width(text, style.SIZE["text"], bold=True) for text in texts), default=1.0) + 0.3
    grid = layout.panels(
        figure, headline(report), caption, [max(1, len(drawn)) * ROW + 0.2], left=min(left, 4.2), right=right
    )
    axes = figure.add_subplot(grid[0])
    reach = max(_reach(line) for line in drawn) * 1.08 if drawn else 0.05
    axes.set_xlim(-100 * reach, 100 * reach)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    for side in (-1, 1):
        axes.axvline(side * 100 * report.margin, color=style.MUTED, linewidth=0.8, linestyle=":")
    for y, (line, text) in enumerate(zip(drawn, texts)):
        _draw_line(axes, y, line, 100 * reach, text)
    axes.set_yticks(range(len(drawn)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"change of {what}, percent: faster ← 0 → slower", fontsize=style.SIZE["text"])
    axes.grid(axis="x")
    present = [verdict for verdict in LOOKS if any(line.verdict == verdict for line in drawn)]
    handles: list[Any] = [
        Line2D([], [], color=LOOKS[verdict][1], marker=LOOKS[verdict][0], linestyle="-", label=verdict)
        for verdict in present
    ]
    handles.append(Patch(color=GREY, label="not visible here"))
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(handles), frameon=False,
        fontsize=style.SIZE["small"],
    )  # fmt: skip
    return figure


def _reach(line: CellVerdict) -> float:
    """How far from zero the axis must go for this line, within reason: one wild interval must not flatten all."""
    values = [abs(line.effect or 0.0)]
    if line.interval is not None:
        values += [abs(bound) for bound in line.interval if math.isfinite(bound)]
    return min(max(values), max(0.15, 1.5 * abs(line.effect or 0.0)))


def _draw_line(axes: Any, y: int, line: CellVerdict, limit: float, text: str) -> None:
    marker, color = LOOKS[line.verdict]
    effect = 100 * (line.effect or 0.0)
    if line.smallest_visible is not None and math.isfinite(line.smallest_visible):
        band = min(100 * line.smallest_visible, limit)
        axes.barh(y, 2 * band, left=-band, height=0.72, color=GREY, zorder=0.5)
    if line.interval is not None and all(math.isfinite(bound) for bound in line.interval):
        low, high = (100 * bound for bound in line.interval)
        axes.plot([max(low, -limit), min(high, limit)], [y, y], color=color, zorder=2)
        for bound in (low, high):
            if abs(bound) > limit:  # the interval goes on beyond the axis
                edge = math.copysign(limit, bound)
                axes.plot(
                    [edge], [y], marker=">" if edge > 0 else "<", color=color, markersize=4, clip_on=False
                )
    axes.plot([effect], [y], marker=marker, color=color, linestyle="none", zorder=3)
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.SIZE["text"],
        color=color,
        weight="bold" if line.verdict != "OK" else "normal",
        annotation_clip=False,
    )

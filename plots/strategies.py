"""Which strategy is fastest here? Wall time and speed-up by strategy and workers.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from plots import style
from scripts import results, stats

ROW_HEIGHT = 0.3  # inches


@dataclass(frozen=True)
class Entry:
    """One line of the figure: a cell with its wall time (ns per iteration) and speed-up."""

    strategy: str
    label: str
    workers: int
    is_baseline: bool
    wall: stats.Estimate
    speed_up: stats.Estimate | None


def entries(launches: pd.DataFrame) -> list[Entry]:
    """The cells of one batch, in the order of the program's table, then by workers.

    `launches` are results.launch_values of wall_ns. The speed-up is paired by round with the sequential
    cell of the same kernel and, if there is one, the same delivery; None where there is no such cell.
    """
    names = style.label_series(launches, axis=("workers",))
    found: list[tuple[tuple[tuple[int, str], str, int], Entry]] = []
    for _, rows in launches.groupby("cell_id", sort=False):
        first = rows.iloc[0]
        label = f"{names[rows.index[0]]}{style.describe('workers', first['workers'])}"
        if first["strategy"] == "sequential" and first["workers"] == 1:
            label = names[rows.index[0]]
        sequential = baseline(launches, first)
        ratio = None
        if sequential is not None:
            ratio = stats.speed_up(results.by_round(sequential), results.by_round(rows))
        wall = stats.median_interval(rows["value"])
        key = (style.strategy_rank(first["strategy"]), str(names[rows.index[0]]), int(first["workers"]))
        itself = sequential is not None and sequential["cell_id"].iloc[0] == first["cell_id"]
        found.append((key, Entry(first["strategy"], label, int(first["workers"]), itself, wall, ratio)))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def baseline(launches: pd.DataFrame, cell: Any) -> pd.DataFrame | None:
    """The launches of the sequential cell that `cell` is to be compared with."""
    rows = launches[(launches["strategy"] == "sequential") & (launches["kernel"] == cell["kernel"])]
    same = rows[rows["delivery"] == cell["delivery"]]
    rows = same if len(same) else rows
    return rows[rows["cell_id"] == rows["cell_id"].iloc[0]] if len(rows) else None


def draw(run: results.Run, rows: pd.DataFrame) -> Figure:
    """Two panels for each batch of the sweep: time and speed-up, one line per strategy and workers."""
    launches = results.launch_values(rows, "wall_ns")
    batches = [
        (style.describe_batch(some.iloc[0]), entries(some))
        for _, some in launches.groupby(list(style.BATCH), sort=False, dropna=False)
    ]
    every = [entry for _, lines in batches for entry in lines]
    figure = style.new_figure()
    names = [style.text_width(entry.label, style.SIZE["text"]) for entry in every]
    texts = [
        [style.text_width(text, style.SIZE["small"]) for text in (wall_text(e), speed_up_text(e))]
        for e in every
    ]
    grid = style.panels(
        figure,
        "Which strategy is fastest here, and how much faster than sequential?",
        "An iteration runs all tasks once. Median and 95% interval by order statistics, "
        f"{style.counts([e.wall.n for e in every])} per line. Speed-up: "
        "sequential / strategy with the same kernel, paired by round; dotted: as fast as sequential; grey tick: as "
        "many times faster as there are workers. "
        f"{style.describe_machine(run, rows)}{style.describe_undrawn(rows)}",
        [ROW_HEIGHT * (len(lines) + 0.4) for _, lines in batches],
        columns=2,
        left=0.35 + max(names),
        right=0.3 + max(text[1] for text in texts),
        between=0.4 + max(text[0] for text in texts),
    )
    for i, (heading, lines) in enumerate(batches):
        draw_batch(figure.add_subplot(grid[i, 0]), figure.add_subplot(grid[i, 1]), heading, lines)
    return figure


def wall_text(entry: Entry) -> str:
    scale, unit = unit_of(entry.wall.median)
    return f"{style.interval(entry.wall, lambda ns: style.digits(ns / scale))} {unit}"


def speed_up_text(entry: Entry) -> str:
    if entry.speed_up is None or entry.speed_up.n == 0:
        return "no sequential to compare"
    if entry.is_baseline:
        return "1 by definition"
    return f"×{style.interval(entry.speed_up, style.ratio)}"


def draw_batch(time: Any, ratio: Any, heading: str, lines: list[Entry]) -> None:
    marks = style.marks([(entry.strategy, entry.strategy) for entry in lines])
    scale, unit = unit_of(max(entry.wall.median for entry in lines))
    for axes in (time, ratio):
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    time.set_yticks(range(len(lines)), [entry.label for entry in lines])
    ratio.set_yticks([])
    for y, entry in enumerate(lines):
        mark = marks[entry.strategy, entry.strategy]
        dot(time, y, scaled(entry.wall, scale), mark, wall_text(entry))
        dot(ratio, y, entry.speed_up, mark, speed_up_text(entry))
        if entry.speed_up is not None and entry.workers > 1:
            ratio.plot([entry.workers], [y], marker="|", markersize=13, color=style.MUTED, zorder=2)
    time.set_xlim(left=0)
    ratio.set_xlim(left=0)
    ratio.axvline(1, color=style.MUTED, linestyle=":", linewidth=1)
    time.set_xlabel(f"wall time per iteration, {unit}")
    ratio.set_xlabel("speed-up against sequential")
    time.set_title(heading, loc="left", fontsize=style.SIZE["panel"], color=style.INK)


def dot(axes: Any, y: float, estimate: stats.Estimate | None, mark: style.Mark, text: str) -> None:
    """A point with its interval, and its value in words behind the panel's right edge; without an estimate
    the words alone."""
    if estimate is not None and estimate.n:
        axes.errorbar([estimate.median], [y], xerr=style.bars([estimate]), color=mark.color, marker=mark.marker,
                      markerfacecolor=mark.face, capsize=3, linestyle="none", zorder=3, clip_on=False)  # fmt: skip
    axes.text(1.03, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=style.SIZE["small"],
              color=mark.color)  # fmt: skip


def scaled(estimate: stats.Estimate, unit: float) -> stats.Estimate:
    return stats.Estimate(estimate.median / unit, estimate.low / unit, estimate.high / unit, estimate.n)


def unit_of(ns: float) -> tuple[float, str]:
    """The unit in which `ns` is a handy number."""
    for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= factor:
            return factor, name
    return 1.0, "ns"

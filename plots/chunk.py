"""With which chunk size? Time relative to the best chunk size, by strategy.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from plots import style
from scripts import results, stats

NEAR = 1.05  # within 5% of the best: good enough
PANEL_HEIGHT = 2.5  # inches


@dataclass(frozen=True)
class Series:
    """One strategy's chunk sizes, and its time at each over that at its best, paired by round."""

    strategy: str
    label: str
    chunks: list[int]
    ratios: list[stats.Estimate]
    best: int
    best_wall: stats.Estimate  # ns per iteration


def series(launches: pd.DataFrame) -> list[Series]:
    """`launches`: results.launch_values of wall_ns, of one batch."""
    names = style.label_series(launches, axis=("chunk_size",))
    found = []
    for label, rows in launches.groupby(names, sort=False):
        cells = {int(chunk): results.by_round(some) for chunk, some in rows.groupby("chunk_size", sort=True)}
        best = best_chunk(rows)
        ratios = [stats.paired_ratio(cells[chunk], cells[best]) for chunk in cells]
        strategy = str(rows["strategy"].iloc[0])
        found.append(
            Series(strategy, str(label), list(cells), ratios, best, stats.median_interval(cells[best]))
        )
    return sorted(found, key=lambda one: (style.strategy_rank(one.strategy), one.label))


def best_chunk(rows: pd.DataFrame) -> int:
    """The chunk size that is fastest in the middle round, each round's common drift taken out."""
    table = rows.assign(log=np.log(rows["value"])).pivot(index="round", columns="chunk_size", values="log")
    return int(table.sub(table.mean(axis=1), axis=0).median().idxmin())


def label_text(one: Series) -> tuple[str, str]:
    return one.label, f"best: {one.best} ({style.duration(one.best_wall.median)})"


def draw(run: results.Run, rows: pd.DataFrame) -> Figure:
    """One panel for each batch, one line for each strategy."""
    launches = results.launch_values(rows, "wall_ns")
    launches = launches[launches["chunk_size"].notna()]
    batches = [
        (style.describe_batch(some.iloc[0]), series(some))
        for _, some in launches.groupby(list(style.BATCH), sort=False, dropna=False)
    ]
    numbers = [ratio.n for _, lines in batches for one in lines for ratio in one.ratios]
    figure = style.new_figure()
    grid = style.panels(
        figure,
        "Which chunk size is fastest, and how much does another one cost?",
        "Wall time over that of the same strategy's own best chunk size, paired by round: median and 95% interval by "
        f"order statistics, {style.counts(numbers)} per point. The best is 1 by definition and, being picked from "
        f"these launches, a little flattered. {style.describe_machine(run, rows)}{style.describe_undrawn(rows)}",
        [PANEL_HEIGHT] * len(batches),
        left=0.75,
        right=style.label_margin([label_text(one) for _, lines in batches for one in lines]),
    )
    for i, (heading, lines) in enumerate(batches):
        draw_batch(figure.add_subplot(grid[i]), heading, lines)
    return figure


def draw_batch(axes: Any, heading: str, lines: list[Series]) -> None:
    marks = style.marks([(one.strategy, one.label) for one in lines])
    chunks = sorted({chunk for one in lines for chunk in one.chunks})
    tops = [max(r.median, r.high if r.has_interval else 0) for one in lines for r in one.ratios]
    bottoms = [min(r.median, r.low if r.has_interval else math.inf) for one in lines for r in one.ratios]
    span = max(1.2, max(tops)) - 1
    axes.set_xscale("log", base=2)
    axes.set_xlim(chunks[0] / 1.25, chunks[-1] * 1.25)
    axes.set_ylim(min(1 - 0.12 * span, min(bottoms) - 0.03 * span), 1 + 1.1 * span)
    axes.axhspan(1, NEAR, color=style.BAND, zorder=0)
    style.note(axes, chunks[:2], NEAR, "within 5% of the best")
    axes.grid(axis="y")
    for one in lines:
        mark = marks[one.strategy, one.label]
        axes.errorbar(one.chunks, [ratio.median for ratio in one.ratios], yerr=style.bars(one.ratios), color=mark.color,
                      marker=mark.marker, markerfacecolor=mark.face, linestyle=mark.dash, capsize=3, zorder=3)  # fmt: skip
    style.set_log_axis(axes.xaxis, chunks)
    axes.set_xlabel("chunk size, tasks")
    axes.set_ylabel("time / best time")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    style.label_ends(
        axes,
        [
            style.Label(
                one.chunks[-1], one.ratios[-1].median, label_text(one), marks[one.strategy, one.label]
            )
            for one in lines
        ],
    )

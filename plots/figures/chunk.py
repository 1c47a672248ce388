"""With which chunk size? Time relative to the best chunk size, by strategy.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats

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
    perhaps_best: list[bool]  # of each chunk size; stats.perhaps_smallest()
    best_wall: stats.Estimate  # ns per iteration

    @property
    def near(self) -> tuple[int, int]:
        """The chunk sizes around the best, all measured ones of which are within 5% of it."""
        at = self.chunks.index(self.best)
        first, last = at, at
        while first > 0 and self.ratios[first - 1].median <= NEAR:
            first -= 1
        while last + 1 < len(self.chunks) and self.ratios[last + 1].median <= NEAR:
            last += 1
        return self.chunks[first], self.chunks[last]


def series(launches: pd.DataFrame) -> list[Series]:
    """`launches`: results.launch_values of wall_ns, of one batch."""
    names = naming.label_series(launches, axis=("chunk_size",))
    found = []
    for label, rows in launches.groupby(names, sort=False):
        cells = {int(chunk): results.by_round(some) for chunk, some in rows.groupby("chunk_size", sort=True)}
        best = best_chunk(rows)
        ratios = [stats.paired_ratio(cells[chunk], cells[best]) for chunk in cells]
        strategy = str(rows["strategy"].iloc[0])
        perhaps = stats.perhaps_smallest(np.log(pd.DataFrame(cells)))
        found.append(
            Series(
                strategy, str(label), list(cells), ratios, best, perhaps, stats.median_interval(cells[best])
            )
        )
    return sorted(found, key=lambda one: (naming.strategy_rank(one.strategy), one.label))


def best_chunk(rows: pd.DataFrame) -> int:
    """The chunk size that is fastest in the middle round, each round's common drift taken out."""
    table = rows.assign(log=np.log(rows["value"])).pivot(index="round", columns="chunk_size", values="log")
    return int(stats.levels(table).idxmin())


def describe_near(one: Series) -> str:
    """ "within 5%: 4 to 32"; open where no larger or smaller chunk size was measured."""
    first, last = one.near
    return f"within 5%: {first:,} to {last:,}" if first < last else f"within 5%: only {first:,}"


def lines_of(found: list[Series]) -> list[layout.Line]:
    return [
        layout.Line(
            one.strategy,
            one.label,
            [float(chunk) for chunk in one.chunks],
            one.ratios,
            (f"best: {one.best:,} ({prose.duration(one.best_wall.median)})", describe_near(one)),
        )
        for one in found
    ]


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel for each batch, one line for each strategy."""
    launches = results.launch_values(rows, "wall_ns")
    launches = launches[launches["chunk_size"].notna() & launches["round"].notna()]
    batches = [(naming.describe_batch(some.iloc[0]), series(some)) for _, some in naming.batches(launches)]
    numbers = [ratio.n for _, found in batches for one in found for ratio in one.ratios]
    panels = [(heading, lines_of(found)) for heading, found in batches]
    figure = layout.new_figure()
    grid = layout.panels(
        figure,
        "Which chunk size is fastest, and how much does another one cost?",
        "Wall time over that of the same strategy's own best chunk size, paired by round: median and 95% interval by "
        f"order statistics, {prose.counts(numbers)} per point. The best is 1 by definition and, being picked from "
        "these launches, a little flattered. Within 5%: the chunk sizes around the best whose median ratio is at most "
        f"{NEAR}.{prose.describe_source(run, rows)}",
        [layout.line_height(lines, PANEL_HEIGHT) for _, lines in panels],
        left=0.75,
        right=layout.label_margin([one.texts for _, lines in panels for one in lines]),
    )
    for i, (heading, lines) in enumerate(panels):
        draw_batch(figure.add_subplot(grid[i]), heading, lines)
    figure.data = pd.DataFrame(
        [
            {"batch": heading, "series": one.label, "chunk_size": chunk}
            | layout.point(ratio, "time_over_best")
            for heading, found in batches
            for one in found
            for chunk, ratio in zip(one.chunks, one.ratios)
        ]
    )
    return figure


def draw_batch(axes: Any, heading: str, lines: list[layout.Line]) -> None:
    chunks = sorted({int(chunk) for one in lines for chunk in one.xs})
    low, high = layout.bounds([ratio for one in lines for ratio in one.ys])
    axes.set_xscale("log", base=2)
    axes.set_xlim(chunks[0] / 1.25, chunks[-1] * 1.25)
    if high > 6:  # what costs many times as much would press the rest into one line
        axes.set_yscale("log")
        axes.set_ylim(min(0.9, low / 1.05), high * 1.15)
        layout.set_log_axis(axes.yaxis, layout.log_ticks(0.5, high * 1.15))
    else:
        span = max(1.2, high) - 1
        axes.set_ylim(min(1 - 0.12 * span, low - 0.03 * span), 1 + 1.1 * span)
    axes.axhspan(1, NEAR, color=style.BAND, zorder=0)
    layout.note(axes, chunks[:2], NEAR, "within 5% of the best")
    axes.grid(axis="y")
    layout.draw_lines(axes, lines)
    layout.set_log_axis(axes.xaxis, chunks)
    axes.set_xlabel("chunk size, tasks")
    axes.set_ylabel("time / best time")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    layout.label_lines(axes, lines)

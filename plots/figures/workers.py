"""How far does each batch scale with workers? Speed-up over workers, beside the ideal and Amdahl's law.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plots import layout, style
from plots.figures.strategies import baseline
from scripts.lib import naming, prose, results, stats

PANEL_HEIGHT = 2.9  # inches


@dataclass(frozen=True)
class Series:
    """One strategy's speed-up against sequential by workers, and its serial share after Amdahl (None: no fit)."""

    strategy: str
    label: str
    workers: list[int]
    speed_ups: list[stats.Estimate]
    serial: stats.Estimate | None


def series(launches: pd.DataFrame, cpus: int | None) -> list[Series]:
    """`launches`: results.launch_values of wall_ns, of one batch. Strategies with one worker count only are left out:
    they do not say how they scale. Amdahl's law is fitted up to `cpus` workers: beyond, workers share CPUs.
    """
    others = launches[(launches["strategy"] != "sequential") & launches["round"].notna()]
    names = naming.label_series(others, axis=("workers",))
    found = []
    for label, rows in others.groupby(names, sort=False):
        sequential = baseline(launches, rows.iloc[0])
        if sequential is None or rows["workers"].nunique() < 2:
            continue
        alone = results.by_round(sequential)
        columns = {
            int(workers): results.by_round(some) for workers, some in rows.groupby("workers", sort=True)
        }
        ratios = {workers: stats.paired_log_ratios(alone, own) for workers, own in columns.items()}
        real = {w: np.exp(r) for w, r in ratios.items() if cpus is None or w <= cpus}
        serial = None
        table = pd.DataFrame(real).dropna()
        table = table[(table > 0).all(axis=1)]  # 0: it overran its deadline
        if max(real, default=1) > 1 and len(table):
            serial = stats.median_interval(stats.serial_share(list(table), table.to_numpy(dtype=float)))
        estimates = [stats.speed_up(alone, own) for own in columns.values()]
        found.append(Series(str(rows["strategy"].iloc[0]), str(label), list(columns), estimates, serial))
    return sorted(found, key=lambda one: (naming.strategy_rank(one.strategy), one.label))


def describe_serial(one: Series) -> str:
    """ "Amdahl: 3.1 [2.0, 4.2]% serial"."""
    if one.serial is None:
        return "Amdahl: no point to fit"
    return f"Amdahl: {prose.interval(layout.scaled(one.serial, 0.01), lambda x: f'{x:.1f}')}% serial"


def line_of(one: Series) -> layout.Line:
    best = max(range(len(one.workers)), key=lambda i: one.speed_ups[i].median)
    return layout.Line(
        one.strategy,
        one.label,
        [float(w) for w in one.workers],
        one.speed_ups,
        (
            f"×{prose.interval(one.speed_ups[best], prose.ratio)} with {one.workers[best]}",
            describe_serial(one),
        ),
    )


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel for each batch, one line for each strategy that ran with several worker counts."""
    launches = results.launch_values(rows, "wall_ns")
    known = prose.look_up(run.machine, "workers")
    cpus = int(known) if known.isdigit() and int(known) > 0 else None
    found = []
    for _, some in naming.batches(launches):
        lines = series(some, cpus)
        if lines:
            found.append((naming.describe_batch(some.iloc[0]), lines))
    if not found:
        raise style.NothingToShow(
            "no strategy ran with several worker counts beside a sequential cell: measure the sweep workers"
        )
    panels = [(heading, [line_of(one) for one in lines]) for heading, lines in found]
    numbers = [e.n for _, lines in found for one in lines for e in one.speed_ups]
    figure = layout.new_figure()
    grid = layout.panels(
        figure,
        "How far does each batch scale with workers?",
        "Speed-up: sequential / strategy, paired by round; median and 95% interval by order statistics, "
        f"{prose.counts(numbers)} per point. Grey: as many times faster as there are workers, up to the CPUs that are "
        "ours. Thin: Amdahl's law with the serial share that fits the points up to there best, round by round. What "
        "takes longer on several workers (memory, a lock, a late start) counts as serial; below 0%: several workers "
        f"have more cache than one.{prose.describe_source(run, rows)}",
        [layout.line_height(lines, PANEL_HEIGHT) for _, lines in panels],
        left=0.75,
        right=layout.label_margin([line.texts for _, lines in panels for line in lines]),
    )
    for i, ((heading, drawn), (_, lines)) in enumerate(zip(panels, found)):
        draw_panel(figure.add_subplot(grid[i]), heading, lines, drawn, cpus)
    figure.data = pd.DataFrame(
        [
            {"batch": heading, "series": one.label, "workers": workers} | layout.point(estimate, "speed_up")
            for heading, lines in found
            for one in lines
            for workers, estimate in zip(one.workers, one.speed_ups)
        ]
    )
    return figure


def draw_panel(
    axes: Any, heading: str, lines: list[Series], drawn: list[layout.Line], cpus: int | None
) -> None:
    counts = sorted({workers for one in lines for workers in one.workers})
    _, high = layout.bounds([e for one in lines for e in one.speed_ups])
    most = min(counts[-1], cpus or counts[-1])
    marks = layout.line_marks(drawn)
    axes.set_xscale("log", base=2)
    axes.set_xlim(counts[0] / 1.15, counts[-1] * 1.15)
    axes.set_ylim(0, 1.08 * max(high, most))
    axes.grid(True)
    ideal = np.geomspace(1, max(most, 1.0001), 50)
    axes.plot(ideal, ideal, color=style.MUTED, linewidth=1, zorder=1)
    axes.axhline(1, color=style.MUTED, linestyle=":", linewidth=1, zorder=1)
    if counts[-1] > most:
        axes.axvspan(most * 1.03, counts[-1] * 1.15, color=style.BAND, zorder=0)
        axes.text(most * 1.06, 0.02, f"more workers than the {most} CPUs", fontsize=style.SIZE["small"],
                  color=style.MUTED, transform=axes.get_xaxis_transform(), va="bottom")  # fmt: skip
    for one, line in zip(lines, drawn):
        if one.serial is not None:
            share = max(one.serial.median, 0.0)
            color = marks[line.strategy, line.label].color
            axes.plot(
                ideal, 1 / (share + (1 - share) / ideal), color=color, linewidth=0.7, alpha=0.7, zorder=2
            )
    layout.draw_lines(axes, drawn)
    layout.set_log_axis(axes.xaxis, counts)
    axes.set_xlabel("workers")
    axes.set_ylabel("speed-up against sequential")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    layout.label_lines(axes, drawn)

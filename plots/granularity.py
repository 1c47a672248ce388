"""From which task size on is a strategy worth it? Efficiency over task granularity.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from plots import style
from scripts import results, stats

PANEL_HEIGHT = 3.3  # inches
# What makes a sequential cell the yardstick of another one.
YARDSTICK = ("workload", "format", "kernel", "task_size", "output_mode", "pitfall")


@dataclass(frozen=True)
class Series:
    """One strategy at one worker count, over its granularities from fine to coarse."""

    strategy: str
    label: str
    workers: int
    task_ns: list[float]
    efficiency: list[stats.Estimate]
    metg: stats.Metg
    break_even_ns: float | None
    coarsest_speed_up: stats.Estimate


def series(launches: pd.DataFrame) -> list[Series]:
    """`launches`: results.launch_values of wall_ns, of one workload.

    t_seq of a granularity is the sequential cell's wall time per task in the same round, shared by all
    strategies. Cells of other strategies that have no such yardstick are left out.
    """
    launches = launches[launches["round"].notna()]  # nothing can be paired without
    sequential = launches["strategy"] == "sequential"
    yardsticks = (
        launches[sequential]
        .drop_duplicates([*YARDSTICK, "round"])
        .assign(t_seq=lambda rows: rows["value"] / rows["tasks"].astype(float))[
            [*YARDSTICK, "round", "t_seq"]
        ]
    )
    others = launches[~sequential & launches["task_ns"].notna()]
    others = others.assign(label=style.label_series(others, axis=("task_size", "tasks", "workers")))
    paired = others.merge(yardsticks, on=[*YARDSTICK, "round"], how="inner")
    if not len(paired):
        return []
    paired["efficiency"] = stats.efficiency(
        paired["t_seq"], paired["tasks"].astype(float), paired["value"], paired["workers"].astype(float)
    )
    found = []
    for (label, workers), rows in paired.groupby(["label", "workers"], sort=False):
        points = sorted(
            rows.groupby("task_size", sort=True), key=lambda pair: float(pair[1]["task_ns"].median())
        )
        task_ns = [float(some["task_ns"].median()) for _, some in points]
        efficiency = [stats.median_interval(some["efficiency"]) for _, some in points]
        speed_ups = [
            stats.speed_up(
                some.set_index("round")["t_seq"],
                some.set_index("round")["value"] / some.set_index("round")["tasks"].astype(float),
            )
            for _, some in points
        ]
        matrix = rows.pivot(index="round", columns="task_size", values="efficiency")[
            [size for size, _ in points]
        ]
        name = str(label) + (style.describe("workers", workers) if paired["workers"].nunique() > 1 else "")
        found.append(
            Series(
                str(rows["strategy"].iloc[0]),
                name,
                int(workers),
                task_ns,
                efficiency,
                stats.metg(task_ns, matrix.to_numpy(dtype=float), stats.metg_threshold(int(workers))),
                stats.break_even(task_ns, speed_ups),
                speed_ups[-1],
            )
        )
    return sorted(found, key=lambda one: (style.strategy_rank(one.strategy), one.label))


def describe_metg(metg: stats.Metg) -> str:
    """ "METG 2.98 µs [2.7, 3.1]" in one unit, and honest about what was not reached."""
    if metg.kind == "unreached":
        return "METG unreached"
    at_most = "≤ " if metg.kind == "at_most" else ""
    text = f"METG {at_most}{style.duration(metg.ns)}"
    if np.isnan(metg.low):
        return f"{text} ({metg.rounds} rounds: no interval)"
    if metg.kind == "at_most" and metg.high == metg.low:
        return text
    high = "unreached" if np.isinf(metg.high) else style.duration(metg.high)
    return f"{text} [{style.duration(metg.low)}, {high}]"


def draw(run: results.Run, rows: pd.DataFrame) -> Figure:
    """One panel for each workload, one line for each strategy."""
    launches = results.launch_values(rows, "wall_ns")
    panels = []
    for (workload, form), some in launches.groupby(["workload", "format"], sort=False):
        lines = series(some)
        if lines:
            panels.append((f"{workload} {form}".strip(), lines))
    if not panels:
        raise results.ResultsError(
            "the granularity rows have no strategy beside a sequential cell of the same task size and round: "
            "measure them together, as the sweep granularity does"
        )
    numbers = [e.n for _, lines in panels for one in lines for e in one.efficiency]
    figure = style.new_figure()
    grid = style.panels(
        figure,
        "From which task size on is a parallel strategy worth it?",
        "Efficiency: tasks · sequential time per task / (workers · wall time), both of the same round; median and 95% "
        f"interval by order statistics, {style.counts(numbers)} per point. METG: the smallest task that still reaches "
        "the threshold, interpolated, with its 95% bootstrap interval over rounds as a bar on the threshold. Ring: "
        "break-even, the smallest task measured from which on the speed-up's interval lies above 1."
        f"{max((describe_cut(lines) for _, lines in panels), key=len)} "
        f"{style.describe_machine(run, rows)}{style.describe_undrawn(rows)}",
        [PANEL_HEIGHT] * len(panels),
        left=0.75,
        right=style.label_margin([label_text(one) for _, lines in panels for one in lines]),
    )
    for i, (heading, lines) in enumerate(panels):
        draw_panel(figure.add_subplot(grid[i]), heading, lines)
    return figure


def highest(lines: list[Series]) -> float:
    """The upper end of the efficiency axis, %: every point is inside, and so is every interval up to 150%."""
    points = max(100 * e.median for one in lines for e in one.efficiency)
    intervals = max(100 * (e.high if e.has_interval else 0) for one in lines for e in one.efficiency)
    return max(108, 1.08 * points, min(1.04 * intervals, 150))


def describe_cut(lines: list[Series]) -> str:
    cut = any(100 * e.high > highest(lines) for one in lines for e in one.efficiency)
    return " An interval that reaches the upper edge goes on beyond it." if cut else ""


def draw_panel(axes: Any, heading: str, lines: list[Series]) -> None:
    marks = style.marks([(one.strategy, one.label) for one in lines])
    every = [ns / 1e3 for one in lines for ns in one.task_ns]
    low, high = min(every) / 1.4, max(every) * 1.4
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    top = highest(lines)
    axes.set_ylim(0, top)
    axes.set_yticks(range(0, int(top) + 1, 20 if top < 200 else 50))
    axes.grid(True)
    axes.axhline(100, color=style.MUTED, linewidth=0.8)
    coarse = sorted(set(every))[-2:]  # where the curves are high above the references
    for workers in sorted({one.workers for one in lines}):
        threshold = 100 * stats.metg_threshold(workers)
        suffix = f" ({workers} workers)" if len({one.workers for one in lines}) > 1 else ""
        reference(axes, coarse, threshold, "--", f"METG threshold {threshold:.0f}%{suffix}")
        if workers > 1:
            reference(axes, coarse, 100 / workers, ":", f"as fast as sequential{suffix}")
    for one in lines:
        mark = marks[one.strategy, one.label]
        x, y = [ns / 1e3 for ns in one.task_ns], [100 * e.median for e in one.efficiency]
        errors = [[100 * length for length in side] for side in style.bars(one.efficiency)]
        axes.errorbar(x, y, yerr=errors, color=mark.color, marker=mark.marker, markerfacecolor=mark.face,
                      linestyle=mark.dash, capsize=3, zorder=3)  # fmt: skip
        if one.metg.kind == "reached" and not np.isnan(one.metg.low):
            ends = [one.metg.low / 1e3, min(one.metg.high / 1e3, high)]
            axes.plot(
                ends,
                [100 * stats.metg_threshold(one.workers)] * 2,
                color=mark.color,
                marker="|",
                markersize=9,
            )
        if one.break_even_ns is not None:
            at = one.task_ns.index(one.break_even_ns)
            axes.plot(
                [x[at]],
                [y[at]],
                marker="o",
                markersize=14,
                markerfacecolor="none",
                markeredgecolor=mark.color,
                zorder=4,
            )
    style.set_log_axis(axes.xaxis, style.log_ticks(low, high))
    axes.set_xlabel("task granularity: time of one task alone, µs")
    axes.set_ylabel("efficiency, %")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    style.label_ends(
        axes,
        [
            style.Label(
                one.task_ns[-1] / 1e3,
                100 * one.efficiency[-1].median,
                label_text(one),
                marks[one.strategy, one.label],
            )
            for one in lines
        ],
    )


def label_text(one: Series) -> tuple[str, ...]:
    return one.label, describe_metg(one.metg), describe_break_even(one)


def describe_break_even(one: Series) -> str:
    if one.break_even_ns is None:
        return "break-even unreached"
    at_most = "≤ " if one.break_even_ns == one.task_ns[0] else ""
    return f"break-even {at_most}{style.duration(one.break_even_ns)}"


def reference(axes: Any, xs: list[float], y: float, dash: str, text: str) -> None:
    axes.axhline(y, color=style.MUTED, linestyle=dash, linewidth=1, zorder=1)
    style.note(axes, xs, y, text)

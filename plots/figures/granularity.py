"""From which task size on is a strategy worth it? Efficiency over task granularity.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats

MARGIN: Final = 1.4  # of the axis of durations beyond the first and the last
PANEL_HEIGHT = 3.3  # inches
# What makes a sequential cell the yardstick of another one.
YARDSTICK = ("workload", "work", "format", "kernel", "task_size", "output_mode", "pitfall")


@dataclass(frozen=True)
class Series:
    """One strategy at one worker count, over its granularities from fine to coarse."""

    strategy: str
    label: str
    workers: int
    task_ns: list[float]
    efficiency: list[stats.Estimate]
    metg: stats.Metg
    pays: stats.Metg  # break-even: where the speed-up falls to 1, interpolated as METG is
    surely_faster_ns: float | None  # the smallest task measured from which on the speed-up's interval lies above 1
    coarsest_speed_up: stats.Estimate
    counts: bool = False  # "task_ns" and all crossings are numbers of tasks: those of a user's work have sizes of their own


def series(launches: pd.DataFrame) -> list[Series]:
    """`launches`: results.launch_values of wall_ns, of one workload.

    t_seq of a granularity is the sequential cell's wall time per task in the same round, shared by all
    strategies. Cells of other strategies that have no such yardstick are left out. Where tasks have sizes of their own, the
    batch grows instead of the task: the same of the number of tasks.
    """
    counts = bool(len(launches)) and bool(launches["task_size"].isna().all())
    axis = "tasks" if counts else "task_size"
    yardstick = [*YARDSTICK, *(["tasks"] if counts else [])]
    launches = launches.assign(task_size=launches["task_size"].fillna(0))
    launches = launches[launches["round"].notna()]  # nothing can be paired without
    sequential = (launches["strategy"] == "sequential") & np.isfinite(launches["value"])
    yardsticks = (
        launches[sequential]
        .drop_duplicates([*yardstick, "round"])
        .assign(t_seq=lambda rows: rows["value"] / rows["tasks"].astype(float))[
            [*yardstick, "round", "t_seq"]
        ]
    )
    others = launches[(launches["strategy"] != "sequential") & launches["task_ns"].notna()]
    others = others.assign(label=naming.label_series(others, axis=("task_size", "tasks", "workers")))
    paired = others.merge(yardsticks, on=[*yardstick, "round"], how="inner")
    if not len(paired):
        return []
    paired["efficiency"] = stats.efficiency(
        paired["t_seq"], paired["tasks"].astype(float), paired["value"], paired["workers"].astype(float)
    )
    found = []
    for (label, workers), rows in paired.groupby(["label", "workers"], sort=False):
        x = "tasks" if counts else "task_ns"
        points = sorted(rows.groupby(axis, sort=True), key=lambda pair: float(pair[1][x].median()))
        task_ns = [float(some[x].median()) for _, some in points]
        efficiency = [stats.median_interval(some["efficiency"]) for _, some in points]
        speed_ups = [
            stats.speed_up(
                some.set_index("round")["t_seq"],
                some.set_index("round")["value"] / some.set_index("round")["tasks"].astype(float),
            )
            for _, some in points
        ]
        matrix = rows.pivot(index="round", columns=axis, values="efficiency")[[size for size, _ in points]]
        name = str(label) + (naming.describe("workers", workers) if paired["workers"].nunique() > 1 else "")
        found.append(
            Series(
                str(rows["strategy"].iloc[0]),
                name,
                int(workers),
                task_ns,
                efficiency,
                stats.metg(task_ns, matrix.to_numpy(dtype=float), stats.metg_threshold(int(workers))),
                stats.metg(task_ns, matrix.to_numpy(dtype=float), 1 / int(workers)),
                stats.break_even(task_ns, speed_ups),
                speed_ups[-1],
                counts,
            )
        )
    return sorted(found, key=lambda one: (naming.strategy_rank(one.strategy), one.label))


def amount(value: float, counts: bool) -> str:
    """A duration in ns, or a number of tasks."""
    return f"{math.ceil(value):,} task{'' if value <= 1 else 's'}" if counts else prose.duration(value)


def describe_metg(metg: stats.Metg, counts: bool = False) -> str:
    """ "METG 2.98 µs [2.7, 3.1]" in one unit, and honest about what was not reached."""
    name = "efficient from" if counts else "METG"
    if metg.kind == "unreached":
        return f"{name} unreached"
    at_most = "≤ " if metg.kind == "at_most" else ""
    text = f"{name} {at_most}{amount(metg.ns, counts)}"
    if np.isnan(metg.low):
        return f"{text} ({metg.rounds} rounds: no interval)"
    if metg.kind == "at_most" and metg.high == metg.low:
        return text
    high = "unreached" if np.isinf(metg.high) else amount(metg.high, counts)
    return f"{text} [{amount(metg.low, counts)}, {high}]"


def floor_ns(rows: pd.DataFrame) -> stats.Estimate | None:
    """What the harness itself takes per task: the smallest task there is (multiply of one item, sequential, chunk 1).
    None where it was not measured."""
    rows = rows[(rows["workload"] == "multiply") & (rows["task_size"] == 1) & (rows["chunk_size"] == 1)]
    launches = results.launch_values(rows[rows["strategy"] == "sequential"], "wall_ns")
    if not len(launches):
        return None
    return stats.median_interval(launches["value"] / launches["tasks"].astype(float))


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel for each workload, one line for each strategy."""
    launches = results.launch_values(rows, "wall_ns")
    found = []
    for (workload, work, form), some in launches.groupby(["workload", "work", "format"], sort=False):
        lines = series(some)
        if lines:
            found.append((f"{work or workload} {form}".strip(), lines))
    if not found:
        raise results.ResultsError(
            "the granularity rows have no strategy beside a sequential cell of the same task size and round: "
            "measure them together, as the sweep granularity does"
        )
    floor = floor_ns(rows)
    numbers = [e.n for _, lines in found for one in lines for e in one.efficiency]
    figure = layout.new_figure()
    texts = [line.texts for _, lines in found for line in map(line_of, lines)]
    grid = layout.panels(
        figure,
        "From which task size on is a parallel strategy worth it?",
        "Efficiency: tasks · sequential time per task / (workers · wall time), both of the same round; median and 95% "
        f"interval by order statistics, {prose.counts(numbers)} per point. METG: the smallest task that still reaches "
        "the threshold, interpolated, with its 95% interval as a bar on the threshold. Break-even: the "
        "same for being as fast as sequential. Ring: the smallest task measured from which on the speed-up's interval lies "
        "above 1."
        f"{describe_floor(floor, found)}{max((describe_cut(lines) for _, lines in found), key=len)}"
        f"{prose.describe_source(run, rows)}",
        [layout.line_height([line_of(one) for one in lines], PANEL_HEIGHT) for _, lines in found],
        left=0.75,
        right=layout.label_margin(texts),
    )
    for i, (heading, lines) in enumerate(found):
        draw_panel(figure.add_subplot(grid[i]), heading, lines, floor)
    figure.data = pd.DataFrame(
        [
            {"workload": heading, "series": one.label, "workers": one.workers}
            | {"tasks" if one.counts else "task_ns": task_ns}
            | layout.point(estimate, "efficiency")
            for heading, lines in found
            for one in lines
            for task_ns, estimate in zip(one.task_ns, one.efficiency)
        ]
    )
    return figure


def is_visible(floor: stats.Estimate, lines: list[Series]) -> bool:
    """Whether the axis reaches down to the floor."""
    return not lines[0].counts and floor.median > min(ns for one in lines for ns in one.task_ns) / MARGIN


def describe_floor(floor: stats.Estimate | None, found: list[tuple[str, list[Series]]]) -> str:
    if floor is None:
        return ""
    hatched = any(is_visible(floor, lines) for _, lines in found)
    return f" The harness itself takes at most {prose.interval(floor)} ns per task{' (hatched)' if hatched else ''}."


def line_of(one: Series) -> layout.Line:
    return layout.Line(
        one.strategy,
        one.label,
        [x / scale_of(one) for x in one.task_ns],
        [layout.scaled(e, 0.01) for e in one.efficiency],
        (describe_metg(one.metg, one.counts), describe_break_even(one)),
    )


def scale_of(one: Series) -> float:
    """Of the axis: µs, or tasks."""
    return 1.0 if one.counts else 1e3


def highest(lines: list[Series]) -> float:
    """The upper end of the efficiency axis, %: every point is inside, and so is every interval up to 150%."""
    points = max(100 * e.median for one in lines for e in one.efficiency)
    intervals = max(100 * (e.high if e.has_interval else 0) for one in lines for e in one.efficiency)
    return max(108, 1.08 * points, min(1.04 * intervals, 150))


def describe_cut(lines: list[Series]) -> str:
    cut = any(100 * e.high > highest(lines) for one in lines for e in one.efficiency)
    return " An interval that reaches the upper edge goes on beyond it." if cut else ""


def draw_panel(axes: Any, heading: str, lines: list[Series], floor: stats.Estimate | None = None) -> None:
    drawn = [line_of(one) for one in lines]
    marks = layout.line_marks(drawn)
    every = [x for one in drawn for x in one.xs]
    low, high = min(every) / MARGIN, max(every) * MARGIN
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    top = highest(lines)
    axes.set_ylim(0, top)
    axes.set_yticks(range(0, int(top) + 1, 20 if top < 200 else 50 * math.ceil(top / 500)))
    axes.grid(True)
    axes.axhline(100, color=style.MUTED, linewidth=0.8)
    if floor is not None and is_visible(floor, lines):
        axes.axvspan(
            low, floor.median / 1e3, facecolor="none", edgecolor=style.GRID, hatch="///", linewidth=0
        )
    coarse = sorted(set(every))[-2:]  # where the curves are high above the references
    for workers in sorted({one.workers for one in lines}):
        threshold = 100 * stats.metg_threshold(workers)
        suffix = f" ({workers} workers)" if len({one.workers for one in lines}) > 1 else ""
        reference(axes, coarse, threshold, "--", f"METG threshold {threshold:.0f}%{suffix}")
        if workers > 1:
            reference(axes, coarse, 100 / workers, ":", f"as fast as sequential{suffix}")
    layout.draw_lines(axes, drawn)
    for one, line in zip(lines, drawn):
        mark = marks[line.strategy, line.label]
        if one.metg.kind == "reached" and not np.isnan(one.metg.low):
            ends = [one.metg.low / scale_of(one), min(one.metg.high / scale_of(one), high)]
            threshold = 100 * stats.metg_threshold(one.workers)
            axes.plot(ends, [threshold] * 2, color=mark.color, marker="|", markersize=9)
        if one.surely_faster_ns is not None:
            at = one.task_ns.index(one.surely_faster_ns)
            axes.plot([line.xs[at]], [line.ys[at].median], marker="o", markersize=14, markerfacecolor="none",
                      markeredgecolor=mark.color, zorder=4)  # fmt: skip
    layout.set_log_axis(axes.xaxis, layout.log_ticks(low, high))
    axes.set_xlabel(
        "tasks in the batch" if lines[0].counts else "task granularity: time of one task alone, µs"
    )
    axes.set_ylabel("efficiency, %")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    layout.label_lines(axes, drawn)


def describe_break_even(one: Series) -> str:
    if one.pays.kind == "unreached":
        return "break-even unreached"
    return f"break-even {'≤ ' if one.pays.kind == 'at_most' else ''}{amount(one.pays.ns, one.counts)}"


def reference(axes: Any, xs: list[float], y: float, dash: str, text: str) -> None:
    axes.axhline(y, color=style.MUTED, linestyle=dash, linewidth=1, zorder=1)
    layout.note(axes, xs, y, text)

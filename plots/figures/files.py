"""How does the time grow with files, and what do small files cost? Time over the number of files.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results

PANEL_HEIGHT = 2.7  # inches


def series(launches: pd.DataFrame, per_task: bool) -> list[layout.Line]:
    """One line for each strategy over the number of tasks: ns per task, or per iteration."""
    names = naming.label_series(launches, axis=("tasks", "task_size"))
    found = []
    for label, rows in launches.groupby(names, sort=False):
        counts, values = [], []
        for tasks, some in rows.groupby("tasks", sort=True):
            counts.append(float(tasks))
            values.append(results.typical(some, float(tasks) if per_task else 1.0))
        note = f"{int(counts[-1]):,}: {prose.time_text(values[-1])}"
        found.append(layout.Line(str(rows["strategy"].iloc[0]), str(label), counts, values, (note,)))
    return sorted(found, key=lambda one: (naming.strategy_rank(one.strategy), one.label))


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """A panel for the time per file where all files are equal, one for the time of the same audio where it is cut
    into ever more files (group split)."""
    launches = results.launch_values(rows, "wall_ns")
    split = launches["sweep"].str.rpartition(".")[2] == "split"
    found: list[tuple[str, str, list[layout.Line]]] = []
    kind = ["workload", "format", "output_mode"]
    for (_, _, _, size), some in launches[~split].groupby([*kind, "task_size"], sort=False, dropna=False):
        heading = f"more and more files, each of {size:,} samples: {describe_kind(some.iloc[0])}"
        found.append((heading, "time per file", series(some, per_task=True)))
    for _, some in launches[split].groupby(kind, sort=False, dropna=False):
        samples = int((some["tasks"].astype(float) * some["task_size"].astype(float)).max())
        heading = f"the same {samples:,} samples, cut into more and more files: {describe_kind(some.iloc[0])}"
        found.append((heading, "time for all", series(some, per_task=False)))
    numbers = [y.n for _, _, lines in found for one in lines for y in one.ys]
    figure = layout.new_figure()
    grid = layout.panels(
        figure,
        "How does the time grow with the number of files?",
        "Where all files are equally long, a flat line says that the time grows with their number; it falls while there "
        "are fewer files than workers. Where the same audio is cut into more files, what rises is the price of a file. "
        f"Median and 95% interval by order statistics, {prose.counts(numbers)} per point."
        f"{prose.describe_source(run, rows)}",
        [layout.line_height(lines, PANEL_HEIGHT) for _, _, lines in found],
        left=0.85,
        right=layout.label_margin([one.texts for _, _, lines in found for one in lines]),
    )
    for i, (heading, label, lines) in enumerate(found):
        draw_panel(figure.add_subplot(grid[i]), heading, label, lines)
    figure.data = pd.DataFrame(
        [
            {"panel": heading, "series": one.label, "files": int(x)}
            | layout.point(y, f"{label.replace(' ', '_')}_ns")
            for heading, label, lines in found
            for one in lines
            for x, y in zip(one.xs, one.ys)
        ]
    )
    return figure


def describe_kind(cell: Any) -> str:
    return " ".join(str(cell[name]) for name in ("workload", "format", "output_mode") if cell[name])


def draw_panel(axes: Any, heading: str, label: str, lines: list[layout.Line]) -> None:
    low, high = layout.bounds([y for one in lines for y in one.ys])
    scale, unit = prose.unit_of(high)
    lines = [
        layout.Line(one.strategy, one.label, one.xs, [layout.scaled(y, scale) for y in one.ys], one.notes)
        for one in lines
    ]
    counts = sorted({x for one in lines for x in one.xs})
    axes.set_xscale("log")
    axes.set_xlim(counts[0] / 1.2, counts[-1] * 1.2)
    if high / low > layout.WIDE:
        axes.set_yscale("log")
        axes.set_ylim(low / scale / 1.3, high / scale * 1.3)
        layout.set_log_axis(axes.yaxis, layout.log_ticks(low / scale / 1.3, high / scale * 1.3))
    else:
        axes.set_ylim(0, 1.08 * high / scale)
    axes.grid(True)
    layout.draw_lines(axes, lines)
    layout.set_log_axis(axes.xaxis, layout.thin(counts, 1.35))
    axes.set_xlabel("files")
    axes.set_ylabel(f"{label}, {unit}")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    layout.label_lines(axes, lines)

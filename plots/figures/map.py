"""Which strategy wins where? The fastest one for each number and duration of tasks.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from plots import layout, style
from scripts.lib import naming, prose, results, stats

CELL_HEIGHT = 0.52  # inches


@dataclass(frozen=True)
class Place:
    """The winner for one number and duration of tasks: how many times as long the next one takes, paired by round.
    `ties`: the strategies that may be as fast, the winner first."""

    tasks: int
    task_size: int
    task_ns: float
    strategy: str
    label: str
    wall: stats.Estimate
    margin: stats.Estimate | None  # None: there is no other
    ties: tuple[str, ...]


def places(launches: pd.DataFrame) -> list[Place]:
    """`launches`: results.launch_values of wall_ns, of one workload. Of a strategy measured in several ways each way
    takes part by itself. A tie: the interval of the ratio to the winner includes 1, or there is none."""
    launches = launches[launches["round"].notna() & launches["task_ns"].notna()]
    names = naming.label_series(launches, axis=("tasks", "task_size", "workers"))
    found = []
    for (tasks, size), some in launches.groupby(["tasks", "task_size"], sort=True):
        table = some.assign(log=np.log(some["value"])).pivot_table(
            index="round", columns="cell_id", values="log", aggfunc="last"
        )
        level = stats.levels(table).sort_values(kind="stable")
        cells = [some[some["cell_id"] == name] for name in level.index]
        best = cells[0]
        ratios = [
            (str(names[own.index[0]]), stats.paired_ratio(results.by_round(own), results.by_round(best)))
            for own in cells[1:]
        ]
        ties = [name for name, ratio in ratios if not ratio.low > 1]
        label = str(names[best.index[0]])
        found.append(
            Place(
                int(tasks),
                int(size),
                float(some["task_ns"].median()),
                str(best["strategy"].iloc[0]),
                label,
                results.typical(best),
                ratios[0][1] if ratios else None,
                (label, *ties),
            )
        )
    return found


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel for each workload: task duration over number of tasks, coloured by the winner."""
    launches = results.launch_values(rows, "wall_ns")
    lost = results.unreliable(rows)
    launches = launches[~launches["cell_id"].isin(lost)]  # what is left of them would flatter
    found = []
    for (workload, form), some in launches.groupby(["workload", "format"], sort=True):
        grid = places(some)
        if grid:
            found.append((f"{workload} {form}".strip(), grid))
    if not found:
        raise results.ResultsError("no launch of the map has a round and a task duration")
    winners = {(place.strategy, place.label) for _, grid in found for place in grid}
    order = sorted(winners, key=lambda pair: (naming.strategy_rank(pair[0]), pair[1]))
    marks = style.marks(order)
    tried = len({one for _, some in launches.groupby("strategy") for one in [some["strategy"].iloc[0]]})
    figure = layout.new_figure()
    page = layout.panels(
        figure,
        "Which strategy wins where?",
        f"The fastest of {tried} strategies for each number of tasks and each duration of one task alone; the number says "
        "how many times as long the next best takes. The fuller the colour, the larger the margin; hatched: a tie, the 95% "
        "interval of that ratio, paired by round, includes 1 (or there are too few rounds to tell); + n: so many more are "
        "tied. The best of several is picked from the launches that it is compared in; "
        + (f"{len(lost)} cells of which a launch failed take no part; " if lost else "")
        + f"{prose.counts([place.wall.n for _, grid in found for place in grid])} per strategy and place.{prose.describe_source(run, rows)}",
        [CELL_HEIGHT * len({place.tasks for place in grid}) for _, grid in found],
        left=0.95,
        right=0.3,
    )
    for i, (heading, grid) in enumerate(found):
        draw_panel(figure.add_subplot(page[i]), heading, grid, marks)
    figure.data = pd.DataFrame(
        [
            {"workload": heading, "tasks": place.tasks, "task_ns": place.task_ns, "fastest": place.label}
            | {"wall_ns": place.wall.median}
            | layout.point(place.margin, "next_best_over_it")
            | {"tied": ", ".join(place.ties[1:])}
            for heading, grid in found
            for place in grid
        ]
    )
    return figure


def opacity(place: Place) -> float:
    """From 0.25 for no margin to 0.95 for twice as fast and more."""
    if place.margin is None or place.margin.n == 0:
        return 0.25
    return 0.25 + 0.7 * float(min(1.0, max(0.0, np.log2(max(place.margin.median, 1.0)))))


def draw_panel(axes: Any, heading: str, grid: list[Place], marks: dict[tuple[str, str], style.Mark]) -> None:
    counts = sorted({place.tasks for place in grid})
    sizes = sorted({place.task_size for place in grid})
    durations = {size: np.median([p.task_ns for p in grid if p.task_size == size]) for size in sizes}
    for place in grid:
        x, y = sizes.index(place.task_size), counts.index(place.tasks)
        color, strong = marks[place.strategy, place.label].color, opacity(place)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, alpha=strong * 0.75, linewidth=0))
        if len(place.ties) > 1:
            axes.add_patch(
                Rectangle(
                    (x - 0.5, y - 0.5),
                    1,
                    1,
                    facecolor="none",
                    edgecolor=style.PAPER,
                    hatch="///",
                    linewidth=0,
                )
            )
        others = f" + {len(place.ties) - 1}" if len(place.ties) > 1 else ""
        text = place.label + others
        ratio = (
            f"×{prose.ratio(place.margin.median)}" if place.margin is not None and place.margin.n else "alone"
        )
        axes.plot(
            [x - 0.40], [y], marker=marks[place.strategy, place.label].marker, color=style.INK, markersize=4
        )
        box = {"facecolor": style.PAPER, "alpha": 0.8, "linewidth": 0, "pad": 1.2}
        axes.text(x, y, f"{text}\n{ratio}", ha="center", va="center", fontsize=style.SIZE["small"] - 0.5, bbox=box,
                  color=style.INK, linespacing=1.25)  # fmt: skip
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(-0.5, len(counts) - 0.5)
    axes.set_xticks(range(len(sizes)), [prose.duration(float(durations[size])) for size in sizes])
    axes.set_yticks(range(len(counts)), [f"{count:,}" for count in counts])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("duration of one task alone")
    axes.set_ylabel("tasks")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])

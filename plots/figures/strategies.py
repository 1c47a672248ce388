"""Which strategy is fastest here? Wall time and speed-up by strategy and workers.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats


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
    cell that baseline() finds; None where there is no such cell.
    """
    names = naming.describe_cells(launches)
    found = []
    for first, rows in naming.rank_cells(launches):
        sequential = baseline(launches, first)
        ratio = None
        if sequential is not None:
            ratio = stats.speed_up(results.by_round(sequential), results.by_round(rows))
        itself = sequential is not None and sequential["cell_id"].iloc[0] == first["cell_id"]
        found.append(
            Entry(
                first["strategy"],
                str(names[rows.index[0]]),
                int(first["workers"]),
                itself,
                results.typical(rows),
                ratio,
            )
        )
    return found


def baseline(launches: pd.DataFrame, cell: Any) -> pd.DataFrame | None:
    """The launches of the sequential cell that `cell` is to be compared with: of the same kernel and, where there are
    such cells, the same delivery and chunk size."""
    rows = launches[(launches["strategy"] == "sequential") & (launches["kernel"] == cell["kernel"])]
    for factor in ("delivery", "chunk_size"):
        same = rows[rows[factor] == cell[factor]]
        rows = same if len(same) else rows
    return rows[rows["cell_id"] == rows["cell_id"].iloc[0]] if len(rows) else None


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Two panels for each batch of the sweep: time and speed-up, one line per strategy and workers."""
    launches = results.launch_values(rows, "wall_ns")
    batches = [(naming.describe_batch(some.iloc[0]), entries(some)) for _, some in naming.batches(launches)]
    numbers = [entry.wall.n for _, lines in batches for entry in lines]
    figure = layout.new_figure()
    layout.dot_panels(
        figure,
        "Which strategy is fastest here, and how much faster than sequential?",
        "An iteration runs all tasks once. Median and 95% interval by order statistics, "
        f"{prose.counts(numbers)} per line. Speed-up: sequential / strategy with the same kernel and, where sequential "
        "was measured with it, the same chunk size, paired by round; dotted: as fast as sequential; grey tick: as many "
        f"times faster as there are workers.{prose.describe_source(run, rows)}",
        [(heading, [dots(entry) for entry in lines]) for heading, lines in batches],
        [
            layout.Column("wall time per iteration", unit=prose.unit_of),
            layout.Column("speed-up against sequential", reference=1),
        ],
    )
    figure.data = pd.DataFrame(
        [
            {"batch": heading, "cell": entry.label}
            | layout.point(entry.wall, "wall_ns")
            | speed_up_columns(entry)
            for heading, lines in batches
            for entry in lines
        ]
    )
    return figure


def speed_up_columns(entry: Entry) -> dict[str, float]:
    point = layout.point(entry.speed_up, "speed_up")
    return {"speed_up": point["speed_up"], "speed_up_low": point["low"], "speed_up_high": point["high"]}


def dots(entry: Entry) -> layout.Row:
    tick = float(entry.workers) if entry.speed_up is not None and entry.workers > 1 else None
    return layout.Row(
        entry.label,
        entry.strategy,
        (
            layout.Dot(entry.wall, prose.time_text(entry.wall)),
            layout.Dot(entry.speed_up if is_visible(entry) else None, speed_up_text(entry), tick),
        ),
    )


def is_visible(entry: Entry) -> bool:
    """Not where most launches overran their deadline: all that is known is that it is slow."""
    return entry.speed_up is None or entry.speed_up.median > 0


def speed_up_text(entry: Entry) -> str:
    if entry.speed_up is None or entry.speed_up.n == 0:
        return "no sequential of its kind"
    if entry.is_baseline:
        return "1 by definition"
    if entry.speed_up.median == 0:
        return "overran its deadline"
    return f"×{prose.interval(entry.speed_up, prose.ratio)}"

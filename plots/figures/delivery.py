"""What does each delivery cost? Time, time to the first result, and peak memory.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, tables

MEASURES = ("wall_ns", "first_result_ns", "peak_rss_bytes")
TEXTS = (prose.time_text, prose.time_text, prose.size_text)
BATCH = (*naming.BATCH, "chunk_size")


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Three panels for each batch, one line for each strategy and delivery."""
    values = {name: results.launch_values(rows, name) for name in MEASURES}
    launches = values["wall_ns"]
    batches, data = [], []
    for _, some in naming.batches(launches, BATCH):
        first = some.iloc[0]
        chunk = first["chunk_size"]
        heading = naming.describe_batch(first) + ("" if pd.isna(chunk) or chunk == 1 else f", chunk {chunk}")
        lines = []
        for cell, own in sorted(
            ((own.iloc[0], own) for _, own in some.groupby("cell_id", sort=False)),
            key=lambda pair: rank(pair[0]),
        ):
            estimates = [
                results.typical(table[table["cell_id"] == cell["cell_id"]]) for table in values.values()
            ]
            label = f"{cell['strategy']} · {cell['delivery']}{detail(cell, some)}"
            dots = [
                layout.Dot(value, text(value) if value.n else "not measured here")
                for value, text in zip(estimates, TEXTS)
            ]
            lines.append(layout.Row(label, str(cell["strategy"]), tuple(dots), str(cell["delivery"])))
            point = {"batch": heading, "cell": label} | layout.point(estimates[0], "wall_ns")
            medians = [value.median if value.n else math.nan for value in estimates[1:]]
            data.append(point | dict(zip(MEASURES[1:], medians)))
        batches.append((heading, lines))
    figure = layout.new_figure()
    layout.dot_panels(
        figure,
        "What does each delivery cost in time, until the first result, and in memory?",
        "collected: all results at the end; ordered: in the order of the tasks, as soon as those before are there; "
        "unordered: as they are done. Peak memory is that of all processes of the launch, shared pages counted in each. "
        f"Median and 95% interval by order statistics, {prose.counts([int(point['n']) for point in data])} per line."
        f"{prose.describe_source(run, rows)}",
        batches,
        [
            layout.Column("time", unit=prose.unit_of),
            layout.Column("to the first result", unit=prose.unit_of),
            layout.Column("peak memory", unit=prose.size_unit),
        ],
    )
    figure.data = pd.DataFrame(data)
    return figure


def rank(cell: Any) -> tuple[Any, ...]:
    order = tables.names("deliveries")
    place = order.index(cell["delivery"]) if cell["delivery"] in order else len(order)
    return (naming.strategy_rank(cell["strategy"]), int(cell["workers"]), place, cell["cell_id"])


def detail(cell: Any, others: pd.DataFrame) -> str:
    """What else tells this cell from the others of its strategy and delivery."""
    same = others[(others["strategy"] == cell["strategy"]) & (others["delivery"] == cell["delivery"])]
    differing = [
        name
        for name in ("workers", "schedule", "ship", "transport", "pool")
        if same[name].nunique(dropna=False) > 1
    ]
    return "".join(naming.describe(name, cell[name]) for name in differing)

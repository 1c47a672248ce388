"""How far from the limit? The ETL over a plain copy of the same files, and its speed-up over the workers.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import pandas as pd

from plots import style
from plots.figures.strategies import baseline
from scripts.lib import results, stats

BATCH = tuple(name for name in style.BATCH if name != "workload")
SAME = ("strategy", "workers", "schedule", "delivery", "chunk_size")


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Two panels for each batch: etl / copy of the same strategy, and speed-up / workers."""
    launches = results.launch_values(rows, "wall_ns")
    batches, data = [], []
    for _, some in style.batches(launches, BATCH):
        etl, copy = (some[some["workload"] == name] for name in ("etl", "copy"))
        if not len(etl):
            continue
        heading = style.describe_batch(etl.iloc[0])
        names = style.describe_cells(etl)
        lines = []
        for first, own in style.rank_cells(etl):
            ceiling = copy
            for factor in SAME:
                ceiling = ceiling[ceiling[factor] == first[factor]]
            over = None
            if len(ceiling):
                ceiling = ceiling[ceiling["cell_id"] == ceiling["cell_id"].iloc[0]]
                over = stats.paired_ratio(results.by_round(own), results.by_round(ceiling))
            alone, share = baseline(etl, first), None
            if alone is not None and first["strategy"] != "sequential":
                speed_up = stats.speed_up(results.by_round(alone), results.by_round(own))
                share = style.scaled(speed_up, float(first["workers"]) / 100)
            label = str(names[own.index[0]])
            dots = (
                style.Dot(
                    over, f"×{style.interval(over, style.ratio)}" if over and over.n else "no copy measured"
                ),
                style.Dot(share, f"{style.interval(share)}%" if share and share.n else "–"),
            )
            lines.append(style.Row(label, str(first["strategy"]), dots))
            point = {"batch": heading, "cell": label} | style.point(over, "time_over_copy")
            data.append(point | {"speed_up_over_workers_percent": share.median if share else float("nan")})
        batches.append((heading, lines))
    if not any(point["n"] for point in data):
        raise results.ResultsError(
            "no round has both the workload etl and its limit, copy: measure the sweep kernels"
        )
    figure = style.new_figure()
    style.dot_panels(
        figure,
        "How far is the ETL from the limit?",
        "The limit: copy reads and writes the same files without adding noise and without a sound library, with the same "
        "strategy and workers, in the same rounds. Speed-up over workers: 100% is what the workers could give at most. "
        "Median of the paired ratio and 95% interval by order statistics, "
        f"{style.counts([int(point['n']) for point in data if point['n']])} per line.{style.describe_source(run, rows)}",
        batches,
        [
            style.Column("time of the ETL over that of a plain copy", reference=1),
            style.Column("speed-up over workers, %", reference=100),
        ],
    )
    figure.data = pd.DataFrame(data)
    return figure

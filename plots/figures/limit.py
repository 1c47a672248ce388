"""How far from the limit? The ETL over a plain copy of the same files, and its speed-up over the workers.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import pandas as pd

from plots import layout, style
from plots.figures.strategies import baseline
from scripts.lib import naming, prose, results, stats

BATCH = tuple(name for name in naming.BATCH if name != "workload")
SAME = ("strategy", "workers", "schedule", "delivery", "chunk_size")


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Two panels for each batch: etl / copy of the same strategy, and speed-up / workers."""
    launches = results.launch_values(rows, "wall_ns")
    batches, data = [], []
    for _, some in naming.batches(launches, BATCH):
        etl, copy = (some[some["workload"] == name] for name in ("etl", "copy"))
        if not len(etl):
            continue
        heading = naming.describe_batch(etl.iloc[0])
        names = naming.describe_cells(etl)
        lines = []
        for first, own in naming.rank_cells(etl):
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
                share = layout.scaled(speed_up, float(first["workers"]) / 100)
            label = str(names[own.index[0]])
            dots = (
                layout.Dot(
                    over, f"×{prose.interval(over, prose.ratio)}" if over and over.n else "no copy measured"
                ),
                layout.Dot(share, f"{prose.interval(share)}%" if share and share.n else "–"),
            )
            lines.append(layout.Row(label, str(first["strategy"]), dots))
            point = {"batch": heading, "cell": label} | layout.point(over, "time_over_copy")
            data.append(point | {"speed_up_over_workers_percent": share.median if share else float("nan")})
        batches.append((heading, lines))
    if not any(point["n"] for point in data):
        raise results.ResultsError(
            "no round has both the workload etl and its limit, copy: measure the sweep kernels"
        )
    figure = layout.new_figure()
    layout.dot_panels(
        figure,
        "How far is the ETL from the limit?",
        "The limit: copy reads and writes the same files without adding noise and without a sound library, with the same "
        "strategy and workers, in the same rounds. Speed-up over workers: 100% is what the workers could give at most. "
        "Median of the paired ratio and 95% interval by order statistics, "
        f"{prose.counts([int(point['n']) for point in data if point['n']])} per line.{prose.describe_source(run, rows)}",
        batches,
        [
            layout.Column("time of the ETL over that of a plain copy", reference=1),
            layout.Column("speed-up over workers, %", reference=100),
        ],
    )
    figure.data = pd.DataFrame(data)
    return figure

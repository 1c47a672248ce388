"""How fast is each kernel, in memory and inside the ETL?

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats, tables

# The order of the program's table, widest first; any other kernel follows.
KERNELS = tables.names("kernels")


def rank(kernel: str) -> tuple[int, str]:
    return (KERNELS.index(kernel) if kernel in KERNELS else len(KERNELS), kernel)


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Two panels for each batch: time per sample, and how much faster than the naive kernel."""
    launches = results.launch_values(rows, "wall_ns")
    batches, data = [], []
    for _, some in naming.batches(launches, [*naming.BATCH, "strategy", "workers"]):
        heading = naming.describe_batch(some.iloc[0])
        naive = some[some["kernel"] == "naive"]
        naive = naive[naive["cell_id"] == naive["cell_id"].iloc[0]] if len(naive) else naive
        lines = []
        for kernel in sorted(some["kernel"].unique(), key=rank):
            own = some[some["kernel"] == kernel]
            # `auto` is recorded as the kernel that ran, which may have a cell of its own too.
            own = own[own["cell_id"] == own["cell_id"].iloc[0]]
            samples = own["tasks"].astype(float) * own["task_size"].astype(float)
            time = results.typical(own, samples)
            ratio = None
            if len(naive) and kernel != "naive":
                ratio = stats.speed_up(results.by_round(naive), results.by_round(own))
            text = "1 by definition" if kernel == "naive" else "no naive to compare"
            if ratio is not None:
                text = f"×{prose.interval(ratio, prose.ratio)}"
            dots = (layout.Dot(time, f"{prose.interval(time)} ns"), layout.Dot(ratio, text))
            # One strategy for each place: the mark of a kernel is that of its place in the table.
            lines.append(layout.Row(kernel, naming.STRATEGIES[rank(kernel)[0]], dots))
            point = {"batch": heading, "kernel": kernel} | layout.point(time, "ns_per_sample")
            data.append(point | {"times_naive": ratio.median if ratio is not None else float("nan")})
        batches.append((heading, lines))
    figure = layout.new_figure()
    layout.dot_panels(
        figure,
        "How fast is each kernel, in memory and inside the ETL?",
        "Wall time over tasks × samples per task, one worker unless said otherwise. The ETL's time holds reading and "
        "writing too, which no kernel makes faster. Median and 95% interval by order statistics, "
        f"{prose.counts([int(point['n']) for point in data])} per line; how much faster: naive / kernel, paired by "
        f"round.{prose.describe_source(run, rows)}",
        batches,
        [layout.Column("ns per sample"), layout.Column("times as fast as naive")],
    )
    figure.data = pd.DataFrame(data)
    return figure

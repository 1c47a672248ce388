"""How many CPUs does each strategy keep busy, and what CPU time does it take for the same work?

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats


def cpu_time(rows: pd.DataFrame) -> pd.DataFrame:
    """results.launch_values of user and system CPU time together, ns per iteration."""
    user, system = (results.launch_values(rows, name) for name in ("user_cpu_ns", "system_cpu_ns"))
    key = list(results.LAUNCH)
    both = user.merge(system[[*key, "value"]], on=key, suffixes=("", "_system"))
    return both.assign(value=both["value"] + both["value_system"])


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """Two panels for each batch: CPUs kept busy, and CPU time per iteration."""
    busy = results.launch_values(rows, "cpu_percent")
    if not len(busy):
        raise results.ResultsError("no launch says how much CPU it took (cpu_percent)")
    taken = cpu_time(rows)
    batches, data = [], []
    for _, some in naming.batches(busy):
        heading = naming.describe_batch(some.iloc[0])
        names = naming.describe_cells(some)
        lines = []
        for first, launches in naming.rank_cells(some):
            used = stats.median_interval(launches["value"] / 100)
            own = taken[taken["cell_id"] == first["cell_id"]]
            time = stats.median_interval(own["value"])
            label = str(names[launches.index[0]])
            lines.append(
                layout.Row(
                    label,
                    first["strategy"],
                    (
                        layout.Dot(used, prose.interval(used), float(first["workers"])),
                        layout.Dot(time, prose.time_text(time)),
                    ),
                )
            )
            point = {"batch": heading, "cell": label, "workers": first["workers"]}
            data.append(point | layout.point(used, "busy_cpus") | {"cpu_ns": time.median})
        batches.append((heading, lines))
    figure = layout.new_figure()
    layout.dot_panels(
        figure,
        "How many CPUs does each strategy keep busy, and for how much CPU time?",
        "CPUs kept busy: CPU time over wall time; grey tick: as many as there are workers. Below it, workers wait. CPU "
        "time: user and system together, per iteration, of all workers: more than sequential takes is the price of "
        "sharing, or a wait that spins. Median and 95% interval by order statistics, "
        f"{prose.counts([int(point['n']) for point in data])} per line.{prose.describe_source(run, rows)}",
        batches,
        [
            layout.Column("CPUs kept busy"),
            layout.Column("CPU time per iteration", unit=prose.unit_of),
        ],
    )
    figure.data = pd.DataFrame(data)
    return figure

"""Where does the time of an ETL go? Extract, transform, load, and what is none of them.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plots import layout, style
from scripts.lib import naming, prose, results, stats

STAGES = ("extract", "transform", "load")
COLORS = ("#0072B2", "#E69F00", "#009E73")
HATCHES = ("", "///", "\\\\\\")


@dataclass(frozen=True)
class Entry:
    """One cell: ns per iteration and worker in each stage, in none, and in all."""

    label: str
    stages: list[float]
    rest: stats.Estimate
    wall: stats.Estimate
    share: list[stats.Estimate]  # of workers × wall, for each stage


def entries(rows: pd.DataFrame) -> list[Entry]:
    """The cells of one batch that have stage times, in the order of the program's table."""
    key = list(results.LAUNCH)
    launches = results.launch_values(rows, "wall_ns")
    for stage in STAGES:
        one = results.launch_values(rows, f"{stage}_ns")
        launches = launches.merge(one[[*key, "value"]].rename(columns={"value": stage}), on=key)
    if not len(launches):
        return []
    names = naming.describe_cells(launches)
    found = []
    for first, own in naming.rank_cells(launches):
        workers = own["workers"].astype(float).to_numpy()
        wall = own["value"].to_numpy()
        each = [own[stage].to_numpy() / workers for stage in STAGES]
        found.append(
            Entry(
                str(names[own.index[0]]),
                [float(np.median(values)) for values in each],
                stats.median_interval(wall - sum(each)),
                stats.median_interval(wall),
                [stats.median_interval(100 * values / wall) for values in each],
            )
        )
    return found


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel for each batch, one bar for each cell."""
    rows = rows[rows["workload"].isin(["etl", "copy"]) | rows["extract_ns"].notna()]
    found = []
    for _, some in rows.groupby(["sweep", *naming.BATCH], sort=False, dropna=False):
        lines = entries(some)
        if lines:
            found.append((naming.describe_batch(some.iloc[0]), lines))
    if not found:
        raise style.NothingToShow(
            "no launch says how long its stages took (extract_ns, transform_ns, load_ns)"
        )
    every = [entry for _, lines in found for entry in lines]
    figure = layout.new_figure()
    grid = layout.panels(
        figure,
        "Where does the time go: reading, adding noise, writing, or none of them?",
        "Time that tasks spent in each stage, summed over workers and divided by them; the empty part is wall time in no "
        "stage: handing out, delivering, waiting for the last worker. A bar longer than its tick: stages overlapped. "
        f"Medians, {prose.counts([entry.wall.n for entry in every])} per bar; at the right the share of each stage and of "
        f"the rest in the wall time.{prose.describe_source(run, rows)}",
        [layout.ROW_HEIGHT * (len(lines) + 0.4) for _, lines in found],
        left=0.35 + max(layout.text_width(entry.label, style.SIZE["text"]) for entry in every),
        right=0.3 + max(layout.text_width(shares(entry), style.SIZE["small"]) for entry in every),
    )
    for i, (heading, lines) in enumerate(found):
        draw_panel(figure.add_subplot(grid[i]), heading, lines)
    figure.data = pd.DataFrame(
        [
            {"batch": heading, "cell": entry.label}
            | layout.point(entry.wall, "wall_ns")
            | {f"{stage}_ns": ns for stage, ns in zip(STAGES, entry.stages)}
            | {"rest_ns": entry.rest.median}
            for heading, lines in found
            for entry in lines
        ]
    )
    return figure


def shares(entry: Entry) -> str:
    """ "31 + 42 + 24 + 3%"."""
    rest = 100 * entry.rest.median / entry.wall.median
    return (
        " + ".join(f"{share.median:.0f}" for share in entry.share)
        + f" {'+' if rest >= 0 else '−'} {abs(rest):.0f}%"
    )


def draw_panel(axes: Any, heading: str, lines: list[Entry]) -> None:
    scale, unit = prose.unit_of(max(entry.wall.median for entry in lines))
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [entry.label for entry in lines])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    for y, entry in enumerate(lines):
        left = 0.0
        for stage, ns, color, hatch in zip(STAGES, entry.stages, COLORS, HATCHES):
            axes.barh(y, ns / scale, left=left, height=0.62, color=color, hatch=hatch, edgecolor="white", linewidth=0.5,
                      label=stage)  # fmt: skip
            left += ns / scale
        rest = entry.rest.median / scale
        if rest > 0:
            axes.barh(y, rest, left=left, height=0.62, facecolor="none", edgecolor=style.MUTED, linewidth=0.8,
                      label="no stage")  # fmt: skip
        wall = layout.scaled(entry.wall, scale)
        axes.errorbar([wall.median], [y], xerr=layout.bars([wall]), color=style.INK, marker="|", markersize=12, capsize=3,
                      linestyle="none", zorder=3)  # fmt: skip
        axes.text(1.03, y, shares(entry), transform=axes.get_yaxis_transform(), va="center",
                  fontsize=style.SIZE["small"], color=style.INK)  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel(f"time per iteration and worker, {unit}", loc="left")
    axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"])
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels())}
    # In the line of the axis's name, which stands at its left end: at the right, or in front of it where that is narrow.
    narrow = axes.get_position().width < 0.5
    axes.legend(handles.values(), handles.keys(), loc="upper right", bbox_to_anchor=(-0.01 if narrow else 1.12, 0), ncols=4, frameon=False,
                borderaxespad=2.6, fontsize=style.SIZE["small"], handlelength=1.4)  # fmt: skip

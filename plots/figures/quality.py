"""How good is this run? Every launch in the order of execution, against the median of its cell.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter

from plots import layout, style
from scripts.lib import prose, results, stats

PANEL_HEIGHT = 3.2  # inches
FAR = 5.0  # robust standard deviations from the cell's median: an outlier
MANY = 500  # above it the points of the SVG are a picture: thousands of marks make a page slow


def is_measured(rows: pd.DataFrame) -> bool:
    """Whether these rows say how much others took: those of older programs, and of kernels that do not tell, do not."""
    return "disturbed_ns" in rows and bool(rows["disturbed_ns"].notna().any())


def executed(rows: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Launches in the order in which they ran: `relative` (wall time over the median of the cell), `disturbed` (others
    took more than this share of the launch's time; where that is not known: some repetition saw involuntary switches or
    steal), `outlier`."""
    launches = results.launch_values(rows, "wall_ns")
    launches = launches[np.isfinite(launches["value"])]
    key = list(results.LAUNCH)
    ok = rows[rows["status"] == "ok"]
    if is_measured(rows):
        taken = ok["disturbed_ns"].fillna(0).astype(float)
    else:
        taken = (
            ok["wall_ns"]
            .astype(float)
            .where(ok["involuntary_switches"].fillna(0).gt(0) | ok["steal_ticks"].fillna(0).gt(0), 0.0)
        )
        limit = 0.0
    facts = (
        ok[key]
        .assign(taken=taken, wall=ok["wall_ns"].astype(float), started=ok["started_ns"])
        .groupby(key, sort=False)
        .agg(taken=("taken", "sum"), wall=("wall", "sum"), started=("started", "min"))
        .reset_index()
    )
    facts["disturbed"] = facts.pop("taken") > limit * facts.pop("wall")
    launches = launches.merge(facts, on=key)
    # The same cell in another sweep is another plan.
    cell = [launches[name] for name in ("sweep", "cell_id", "arm")]
    relative = launches["value"] / launches["value"].groupby(cell).transform("median")
    log = np.log(relative)
    deviation = 1.4826 * log.abs().groupby(cell).transform("median")
    order = launches.assign(
        relative=relative, outlier=(log.abs() > FAR * deviation) & (log.abs() > 0.05), deviation=deviation
    )
    return order.sort_values("started", kind="stable").reset_index(drop=True)


def describe_disturbance(run: results.Run) -> str:
    """How much of the run others disturbed, as a sentence without its full stop."""
    seen = run.disturbance
    if not seen.is_known or seen.taken is None:
        return "How much others took from the run was not recorded"
    text = f"Others took more than {seen.launch_limit:.0%} of their time from {seen.disturbed:,} of {seen.launches:,} launches"
    return text + (f"; {seen.again:,} launches measured such cells again" if seen.again else "")


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """One panel: launches over their place in the run; and what was not measured, by its place too."""
    limit = run.disturbance.launch_limit
    launches = executed(rows, limit)
    if not len(launches):
        raise results.ResultsError("no launch has a wall time")
    disturbed, outlier = launches["disturbed"].to_numpy(bool), launches["outlier"].to_numpy(bool)
    meaning = (
        f"others took more than {limit:.0%} of their time"
        if is_measured(rows)
        else "a thread was preempted, maybe by its own fellows, or the hypervisor took time"
    )
    spread = stats.median_interval(100 * launches.drop_duplicates(["sweep", "cell_id"])["deviation"])
    figure = layout.new_figure()
    lost = rows[rows["status"] != "ok"][list(results.LAUNCH)].drop_duplicates()
    grid = layout.panels(
        figure,
        "How quiet was the machine while this run was made?",
        f"Each point is a launch: its wall time over the median of its cell, in the order of execution. {len(launches):,} "
        f"launches; {100 * disturbed.mean():.0f}% disturbed ({meaning}; they count), "
        f"{100 * outlier.mean():.1f}% outliers (more than {FAR:.0f} robust standard deviations and 5% from the median of the "
        f"cell; they count). The middle cell's launches spread by {spread.median:.1f}% (1.4826 × MAD). {len(lost):,} launches "
        f"have no value. A slope or a step in all points is the machine, not a strategy: comparisons within a round "
        f"do not see it.{prose.describe_source(run, rows)}",
        [PANEL_HEIGHT],
        left=0.8,
        right=1.75,
    )
    draw_panel(figure.add_subplot(grid[0]), launches, disturbed, outlier)
    by_round = launches.groupby("round", sort=True, dropna=False)
    figure.data = pd.DataFrame(
        [
            {
                "round": number,
                "launches": len(some),
                "disturbed": int(some["disturbed"].sum()),
                "outliers": int(some["outlier"].sum()),
                "median_relative": float(some["relative"].median()),
            }
            for number, some in by_round
        ]
    )
    return figure


def draw_panel(axes: Any, launches: pd.DataFrame, disturbed: Any, outlier: Any) -> None:
    x = np.arange(len(launches))
    y = launches["relative"].to_numpy(float)
    for i, (_, some) in enumerate(launches.groupby("round", sort=False, dropna=False)):
        if i % 2 == 0:
            axes.axvspan(some.index[0] - 0.5, some.index[-1] + 0.5, color=style.BAND, linewidth=0, zorder=0)
    rasterized = len(launches) > MANY
    size = 14 if len(launches) < 400 else 7
    kinds = (
        ("undisturbed", ~disturbed & ~outlier, style.PALETTE[1], "o", True),
        ("disturbed", disturbed & ~outlier, style.PALETTE[6], "^", False),
        ("outlier", outlier, style.PALETTE[2], "X", True),
    )
    for label, chosen, color, marker, filled in kinds:
        axes.scatter(x[chosen], y[chosen], s=size * (2.4 if label == "outlier" else 1), marker=marker, linewidths=0.7,
                     facecolors=color if filled else "none", edgecolors=color if not filled else "none", zorder=3,
                     rasterized=rasterized, label=f"{label}: {int(chosen.sum()):,}")  # fmt: skip
    low, high = min(0.7, float(y.min()) / 1.05), max(1.4, float(y.max()) * 1.05)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlim(-0.5, max(len(launches) - 0.5, 1))
    ticks = [t for t in (0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 5, 10, 20, 50, 100, 1000) if low <= t <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.axhline(1, color=style.MUTED, linewidth=0.8, zorder=1)
    axes.grid(axis="y")
    axes.set_xlabel("launches in the order of execution; bands: rounds")
    axes.set_ylabel("wall time / median of the cell")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=style.SIZE["small"])

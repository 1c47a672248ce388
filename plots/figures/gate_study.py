"""The study's figure: how often each method cries wolf, and what it finds of slow-downs of known size.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from plots import layout, style
from scripts.lib import stats

# Colour, marker and dash by method, in the order of the study's table; what is further down is not drawn as a curve.
LOOKS: Final = (
    ("#000000", "o", "-"),
    ("#0072B2", "s", "--"),
    ("#D55E00", "^", "-."),
    ("#009E73", "D", ":"),
    ("#CC79A7", "v", "--"),
)


def draw(study: Mapping[str, Any]) -> Figure:
    """False alarms above; below them one panel per slowed cell with a curve for each method."""
    methods = study["methods"]
    injected = methods[0]["injected"]
    cells = list(dict.fromkeys(one["cell_id"] for one in injected))
    count = methods[0]["null"]["sessions"]
    figure = layout.new_figure()
    names = [entry["name"] for entry in methods]
    left = max(layout.text_width(name, style.SIZE["text"]) for name in names) + 0.3
    grid = layout.panels(
        figure,
        "How often each method cries wolf, and what it finds",
        f"Above: share of {count:,} sessions of identical builds ({len(study['cells'])} cells) in which a cell is called "
        "slower. Below: share of sessions in which a cell whose code was slowed by a patch is called slower. Bars: Wilson's "
        "95% interval. Sessions are drawn from recorded rounds; every method gets the same number of launches. Machine "
        f"{study['machine']['machine_id']}, commit {study['commit'][:12]}.",
        [0.28 * len(methods)] + [1.8] * len(cells),
        left=left,
        right=0.4,
    )
    axes = figure.add_subplot(grid[0])
    for i, entry in enumerate(methods):
        hits = entry["null"]["false"]
        low, high = stats.wilson_interval(hits, count)
        color, marker, _ = LOOKS[i] if i < len(LOOKS) else (style.MUTED, "x", "")
        axes.plot([100 * low, 100 * high], [i, i], color=color)
        axes.plot([100 * hits / count], [i], color=color, marker=marker, linestyle="none")
    axes.set_yticks(range(len(methods)), names)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("sessions with a false alarm, percent", fontsize=style.SIZE["text"])
    axes.grid(axis="x")
    for panel, cell in enumerate(cells, start=1):
        axes = figure.add_subplot(grid[panel])
        for i, entry in enumerate(methods[: len(LOOKS)]):
            color, marker, dash = LOOKS[i]
            found = sorted(
                (one for one in entry["injected"] if one["cell_id"] == cell),
                key=lambda one: int(one["percent"]),
            )
            x = [one["percent"] + 0.05 * (i - 2) for one in found]
            y = [100 * one["found"] / one["sessions"] for one in found]
            bounds = [stats.wilson_interval(one["found"], one["sessions"]) for one in found]
            below = [max(0.0, value - 100 * low) for value, (low, _) in zip(y, bounds)]
            above = [max(0.0, 100 * high - value) for value, (_, high) in zip(y, bounds)]
            axes.errorbar(
                x,
                y,
                yerr=[below, above],
                color=color,
                marker=marker,
                linestyle=dash,
                elinewidth=0.8,
                label=entry["name"],
            )
        some = next(one for one in injected if one["cell_id"] == cell)
        axes.set_title(f"{some['label']} (σ = {some['sigma']:.2%})", fontsize=style.SIZE["panel"], loc="left")
        percents = sorted({int(one["percent"]) for one in injected})
        axes.set_xticks(percents)
        axes.set_ylim(-3, 103)
        axes.set_ylabel("found, percent", fontsize=style.SIZE["text"])
        axes.grid(axis="y")
        if panel == len(cells):
            axes.set_xlabel("slow-down of the cell's code, percent", fontsize=style.SIZE["text"])
    return figure

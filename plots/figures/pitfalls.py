"""Which ways to lose exist here? The ratio bad over good of every pitfall, before what others saw.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from plots import layout, style
from scripts.lib import pitfalls, prose, results, stats

ROW_HEIGHT = 0.27  # inches
TICK = "#B8C8D8"
SHOWN = ("reproduced", "hang")  # how verdicts begin that say: it is here


def draw(run: results.Run, rows: pd.DataFrame) -> style.Picture:
    """A line per pitfall, in the order of the program's table. Needs the run's pitfalls.json."""
    facts = {str(pitfall["name"]): pitfall for pitfall in pitfalls.facts_of(run)}
    found = pitfalls.findings(list(facts.values()), rows)
    if not found:
        raise results.ResultsError(f"{run.path}: no rows of a pitfall that its pitfalls.json knows")
    figure = layout.new_figure()
    here = sum(one.verdict.startswith(SHOWN) for one in found)
    counts = [one.ratio.n for one in found if one.ratio is not None and one.ratio.n]
    grid = layout.panels(
        figure,
        f"Which ways to lose exist here? {here} of {len(found)} pitfalls show",
        "Bad variant over its cure, in the measure in which the harm shows (wall time unless the name says otherwise), paired by "
        f"round; median and 95% interval by order statistics, {prose.counts(counts)} per line. Pale band or tick: what others saw. "
        "Filled: reproduced, the interval lies above 1. Dotted: no difference. What hangs or is wrong has no ratio. "
        f"{prose.describe_machine(run, rows)}{prose.describe_others(run)}",
        [ROW_HEIGHT * (len(found) + 0.6)],
        left=0.35 + max(layout.text_width(label(facts[one.name]), style.SIZE["text"]) for one in found),
        right=0.4 + max(layout.text_width(words(one), style.SIZE["small"]) for one in found),
    )
    draw_lines(figure.add_subplot(grid[0, 0]), facts, found)
    nothing = stats.Estimate(math.nan, math.nan, math.nan, 0)
    figure.data = pd.DataFrame(
        [
            {
                "pitfall": one.name,
                "measure": facts[one.name]["measure"],
                "bad_over_good": (one.ratio or nothing).median,
                "low": (one.ratio or nothing).low,
                "high": (one.ratio or nothing).high,
                "rounds": (one.ratio or nothing).n,
                "verdict": one.verdict,
            }
            for one in found
        ]
    )
    return figure


def label(pitfall: dict[str, Any]) -> str:
    """The pitfall's name, and its measure where that is not the wall time."""
    measure = {"wall_ns": "", "peak_rss_bytes": " (memory)", "first_result_ns": " (first result)"}
    harm = "" if pitfall["harm"] in ("slow", "memory") else f" ({pitfall['harm']})"
    return str(pitfall["name"]) + (measure.get(pitfall["measure"], f" ({pitfall['measure']})") or harm)


def words(one: pitfalls.Finding) -> str:
    """The verdict, cut where it would leave no room for the picture."""
    verdict = one.verdict.partition(": killed")[0].replace(": too few for an interval", "")
    return verdict if len(verdict) <= 46 else verdict[:45] + "…"


def draw_lines(axes: Any, facts: dict[str, dict[str, Any]], found: list[pitfalls.Finding]) -> None:
    ends = [1.0]
    for y, one in enumerate(found):
        low, high = (float(value) for value in facts[one.name]["expected"])
        if high > 0:
            single = high <= low  # one value: a tick that can be seen, in place of a band
            axes.barh(
                y, low * 0.12 if single else high - low, left=low * 0.94 if single else low, height=0.72,
                color=TICK if single else style.BAND, zorder=1,
            )  # fmt: skip
            ends += [low, high]
        color = style.PALETTE[2] if one.verdict.startswith(SHOWN) else style.MUTED
        axes.text(
            1.02, y, words(one), transform=axes.get_yaxis_transform(), va="center", fontsize=style.SIZE["small"],
            color=color,
        )  # fmt: skip
        if one.ratio is None or one.ratio.n == 0:
            continue
        filled = one.verdict.startswith(SHOWN)
        axes.errorbar(
            [one.ratio.median], [y], xerr=layout.bars([one.ratio]), color=color, marker="o",
            markerfacecolor=color if filled else "white", capsize=3, linestyle="none", zorder=3,
        )  # fmt: skip
        ends.append(one.ratio.median)
        if one.ratio.has_interval:
            ends += [one.ratio.low, one.ratio.high]
    axes.set_xscale("log")
    axes.set_xlim(min(ends) / 1.4, max(ends) * 1.4)
    ticks = [
        tick
        for tick in (0.01, 0.1, 1, 10, 100, 1000, 10000, 100000)
        if min(ends) / 1.4 <= tick <= max(ends) * 1.4
    ]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))
    axes.axvline(1, color=style.MUTED, linestyle=":", linewidth=1)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_yticks(range(len(found)), [label(facts[one.name]) for one in found])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel("bad over good")

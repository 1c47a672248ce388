"""What a run says of each pitfall.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from scripts.lib import prose, results, stats

# As in benchmarks/pitfalls/verdict.cpp: an interval that holds 1 and a ratio beyond this, or its inverse, says neither
# that there is a difference nor that there is none.
NO_DIFFERENCE: Final = 1.1


@dataclass(frozen=True)
class Finding:
    """What a run says of one pitfall. `ratio`: bad over good in the pitfall's measure, paired by round; None where
    there is none. `verdict`: in words, as `noisefloor pitfall` says it."""

    name: str
    ratio: stats.Estimate | None
    verdict: str
    medians: dict[str, float]


def number(value: float) -> str:
    return prose.digits(value, 2)


def ratio_text(ratio: stats.Estimate) -> str:
    if not ratio.has_interval:
        return f"×{number(ratio.median)} (n = {ratio.n}: too few for an interval)"
    return f"×{number(ratio.median)} [{number(ratio.low)}–{number(ratio.high)}]"


def first(pitfall: dict[str, Any], role: str) -> str:
    """The name of the first variant with this role."""
    return str(next(variant["name"] for variant in pitfall["variants"] if variant["role"] == role))


def finding(pitfall: dict[str, Any], rows: pd.DataFrame) -> Finding:
    """`rows`: those of a run that belong to this pitfall."""
    name, harm = str(pitfall["name"]), str(pitfall["harm"])
    bad, good = first(pitfall, "bad"), first(pitfall, "good")
    medians: dict[str, float] = {}
    launches = results.launch_values(rows, str(pitfall["measure"]))
    for variant, some in launches.groupby("variant", sort=False):
        if math.isfinite(median := float(some["value"].median())):
            medians[str(variant)] = median

    def status(variant: str) -> tuple[str, str]:
        """The worst that became of it, and why."""
        own = rows[rows["variant"] == variant]
        for word in ("failed", "wrong_output", "timeout", "skipped", "ok"):
            some = own[own["status"] == word]
            if len(some):
                return word, str(some["message"].iloc[0])
        return "absent", "it was not measured"

    (bad_status, bad_why), (good_status, good_why) = status(bad), status(good)
    if "absent" in (bad_status, good_status):
        return Finding(name, None, "not measured", medians)
    if "skipped" in (bad_status, good_status):
        why = bad_why if bad_status == "skipped" else good_why
        return Finding(name, None, f"not applicable: {why}", medians)
    if good_status != "ok":
        return Finding(name, None, f"no verdict: the cure itself: {good_status}: {good_why}", medians)
    if harm == "hang" and bad_status in ("timeout", "ok"):
        verdict = "hang: " + bad_why if bad_status == "timeout" else "not here: it does not hang"
        return Finding(name, None, verdict, medians)
    if harm == "wrong" and bad_status in ("wrong_output", "ok"):
        wrong = bad_status == "wrong_output"
        verdict = "reproduced: the answer is wrong" if wrong else "not here: the answer is right"
        return Finding(name, None, verdict, medians)
    if bad_status != "ok":
        return Finding(name, None, f"no verdict: {bad_status}: {bad_why}", medians)
    ratio = stats.paired_ratio(
        results.by_round(launches[launches["variant"] == bad]),
        results.by_round(launches[launches["variant"] == good]),
    )
    if not ratio.has_interval:
        verdict = f"undecided: {ratio_text(ratio)}"
    elif ratio.low > 1:
        verdict = f"reproduced {ratio_text(ratio)}"
    elif ratio.high < 1:
        verdict = f"not here: the cure costs more, {ratio_text(ratio)}"
    elif ratio.high > NO_DIFFERENCE or ratio.low < 1 / NO_DIFFERENCE:
        verdict = f"undecided: {ratio_text(ratio)}"
    else:
        verdict = f"not here: no difference is seen, {ratio_text(ratio)}"
    return Finding(name, ratio, verdict, medians)


def findings(facts: Sequence[dict[str, Any]], frame: pd.DataFrame) -> list[Finding]:
    """Of the pitfalls that `frame` has rows of, in the order of the table."""
    return [
        finding(pitfall, frame[frame["pitfall"] == pitfall["name"]])
        for pitfall in facts
        if (frame["pitfall"] == pitfall["name"]).any()
    ]


def facts_of(run: results.Run) -> list[dict[str, Any]]:
    """The table of pitfalls that the run's program had. ResultsError if the run has none."""
    path = run.path / "pitfalls.json"
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise results.ResultsError(
            f"{path}: {error}: measure with `noisefloor run pitfalls`, which writes it"
        ) from None
    if not isinstance(loaded, list):
        raise results.ResultsError(f"{path}: no table of pitfalls")
    return loaded

#!/usr/bin/env python3
"""Writes docs/PITFALLS.md from the program's own table of pitfalls and the committed reference run; or checks it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # Started by its path: find scripts/ as a package, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from scripts.lib import interpreter

    interpreter.require()

import pandas as pd

from scripts.lib import results, stats
from scripts.lib.document import digits

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "docs" / "PITFALLS.md"
REFERENCE: Final = ROOT / "results" / "reference" / "pitfalls"
# As in benchmarks/pitfalls/verdict.cpp: an interval that holds 1 and a ratio beyond this, or its inverse, says neither
# that there is a difference nor that there is none.
NO_DIFFERENCE: Final = 1.1

# What was thought of and is no pitfall of its own here, with the reason.
LEFT_OUT: Final = (
    (
        "threads counted without a cgroup quota",
        "the harm is that of `oversubscription`; a quota cannot be set without rights that a benchmark should not "
        "have. `noisefloor doctor` shows the CPUs that are really yours",
    ),
    (
        "measuring back to back",
        "the harm depends on how the machine drifts, which cannot be caused without staging it; every run here "
        "interleaves its cells (docs/METHOD.md), and doctor and the quality figure show how much a machine drifts",
    ),
    (
        "a hidden lock: Python threads on numpy's shared generator",
        "whole programs, which are cells of the sweep `talk` beside each other: `python_threads`, "
        "`python_threads_own_rng` and, for the interpreter's own lock, `python_threads_pure`",
    ),
    (
        "libgomp against libomp",
        "a property of the process, not of a variant; the axis `runtime` and LD_PRELOAD of LLVM's runtime measure it in "
        "any sweep",
    ),
)


@dataclass(frozen=True)
class Finding:
    """What a run says of one pitfall. `ratio`: bad over good in the pitfall's measure, paired by round; None where
    there is none. `verdict`: in words, as `noisefloor pitfall` says it."""

    name: str
    ratio: stats.Estimate | None
    verdict: str
    medians: dict[str, float]


def number(value: float) -> str:
    return digits(value, 2)


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
        medians[str(variant)] = float(some["value"].median())

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
    if harm == "hang":
        verdict = "hang: " + bad_why if bad_status == "timeout" else "not here: it does not hang"
        return Finding(name, None, verdict, medians)
    if harm == "wrong":
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


def expected(pitfall: dict[str, Any]) -> str:
    low, high = (float(value) for value in pitfall["expected"])
    source = str(pitfall["source"])
    if high <= 0:
        return f"no figure ({source})"
    span = f"×{low:g}" if low == high else f"×{low:g} to ×{high:g}"
    return f"{span} ({source})"


def value_text(value: float, measure: str) -> str:
    """A time or a size with the unit that suits."""
    if measure.endswith("_ns"):
        units = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
    elif measure.endswith("_bytes"):
        units = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "bytes"))
    else:
        return number(value)
    size, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    return f"{number(value / size)} {unit}"


def document(facts: Sequence[dict[str, Any]], run: results.Run | None) -> str:
    found: dict[str, Finding] = {}
    if run is None:
        measured = (
            "No reference run is committed yet, so there are no figures here: `make pitfalls` measures all of them on your "
            "machine, `noisefloor pitfall NAME` one."
        )
    else:
        frame = run.observations
        found = {one.name: one for one in findings(facts, frame)}
        model = (run.machine.get("cpu") or {}).get("model", "an unknown CPU")
        commit = ", ".join(sorted({str(sha)[:12] for sha in frame["git_sha"] if sha}))
        measured = (
            f"Measured on {model}, {run.machine.get('workers', '?')} CPUs, {frame['round'].nunique()} rounds, commit {commit}; "
            "rows, plan and machine in [results/reference/pitfalls](../results/reference/pitfalls). Ratios are bad over good, "
            "medians of the ratio within each round, with 95% intervals by order statistics. Your machine: `make pitfalls`."
        )
    lines = [
        "# Pitfalls: ways to lose, each with its cure",
        "",
        "Written by `scripts/pitfalls.py` from the program's own table. Each pitfall is one file in `benchmarks/pitfalls/`, "
        "whose variants compute the same answer by real causes: nothing sleeps or yields to look slow.",
        "",
        measured,
        "",
        "| pitfall | harm | here | elsewhere |",
        "| --- | --- | --- | --- |",
    ]
    for pitfall in facts:
        name = pitfall["name"]
        verdict = found[name].verdict if name in found else "not measured yet"
        low, high = (float(value) for value in pitfall["expected"])
        span = "–" if high <= 0 else f"×{low:g} to ×{high:g}" if low != high else f"×{low:g}"
        lines.append(f"| [{name}](#{name}) | {pitfall['harm']} | {cell(verdict)} | {span} |")
    for pitfall in facts:
        lines += section(pitfall, found.get(pitfall["name"]))
    lines += [
        "",
        "## Left out",
        "",
        *(f"- **{what}**: {why}." for what, why in LEFT_OUT),
    ]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def section(pitfall: dict[str, Any], found: Finding | None) -> list[str]:
    name, measure = str(pitfall["name"]), str(pitfall["measure"])
    lines = ["", f"## {name}", "", f"**{pitfall['title']}.** {pitfall['lesson']}", ""]
    timed = found is not None and bool(found.medians)
    heading = f" {measure.removesuffix('_ns').removesuffix('_bytes').replace('_', ' ')} |" if timed else ""
    lines += [
        f"| variant | role | what it does |{heading}",
        f"| --- | --- | --- |{' --- |' if timed else ''}",
    ]
    for variant in pitfall["variants"]:
        help_text = variant["help"] + (f" (`{variant['environment']}`)" if variant["environment"] else "")
        line = f"| `{variant['name']}` | {variant['role']} | {cell(help_text)} |"
        if found is not None and timed:
            median = found.medians.get(variant["name"])
            line += f" {'–' if median is None else value_text(median, measure)} |"
        lines.append(line)
    lines.append("")
    if found is not None:
        lines += [f"Here: {found.verdict}.", ""]
    lines += [
        f"Elsewhere: {expected(pitfall)}.",
        "",
        f"Instead: {pitfall['advice']}",
        "",
        f"[The code](../benchmarks/pitfalls/{name}.cpp); `noisefloor pitfall {name}`.",
    ]
    return lines


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if the document differs (--check); 2 if the run cannot be read."""
    parser = argparse.ArgumentParser(prog="pitfalls.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path, help="the built noisefloor")
    parser.add_argument(
        "--run", type=Path, help=f"the run to take figures from (default: {REFERENCE}, if it is there)"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the document differs")
    parser.add_argument("--print", action="store_true", help="print the document instead of writing it")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    printed = subprocess.run(
        [arguments.program, "pitfall", "--json"], check=True, capture_output=True, text=True
    )
    facts = json.loads(printed.stdout)
    try:
        path = arguments.run or (REFERENCE if REFERENCE.is_dir() else None)
        text = document(facts, results.load(path) if path else None)
    except results.ResultsError as error:
        print(f"pitfalls.py: {error}", file=sys.stderr)
        return error.status
    if arguments.print:
        print(text, end="")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if arguments.check:
        print(
            f"{TARGET} is not what the program says: run scripts/pitfalls.py {arguments.program}",
            file=sys.stderr,
        )
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    sys.exit(main(sys.argv[1:]))

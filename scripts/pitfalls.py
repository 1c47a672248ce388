"""Writes docs/PITFALLS.md from the program's own table of pitfalls and the committed reference run; or checks it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final


from scripts.lib import document, prose, pitfalls, results


ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "docs" / "PITFALLS.md"
REFERENCE: Final = ROOT / "results" / "reference" / "pitfalls"

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
        return prose.digits(value)
    size, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    return f"{prose.digits(value / size)} {unit}"


def written(facts: Sequence[dict[str, Any]], run: results.Run | None) -> str:
    found: dict[str, pitfalls.Finding] = {}
    if run is None:
        measured = (
            "No reference run is committed yet, so there are no figures here: `make pitfalls` measures all of them on your "
            "machine, `noisefloor pitfall NAME` one."
        )
    else:
        frame = run.observations
        found = {one.name: one for one in pitfalls.findings(facts, frame)}
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
        "Written by `scripts/pitfalls` from the program's own table. Each pitfall is one file in `benchmarks/pitfalls/`, "
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
        lines.append(f"| [{name}](#{name}) | {pitfall['harm']} | {document.cell(verdict)} | {span} |")
    for pitfall in facts:
        lines += section(pitfall, found.get(pitfall["name"]))
    lines += [
        "",
        "## Left out",
        "",
        *(f"- **{what}**: {why}." for what, why in LEFT_OUT),
    ]
    return "\n".join(lines) + "\n"


def section(pitfall: dict[str, Any], found: pitfalls.Finding | None) -> list[str]:
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
        line = f"| `{variant['name']}` | {variant['role']} | {document.cell(help_text)} |"
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
    parser = argparse.ArgumentParser(prog="pitfalls", description=(__doc__ or "").splitlines()[0])
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
        text = written(facts, results.load(path) if path else None)
    except results.ResultsError as error:
        print(f"pitfalls: {error}", file=sys.stderr)
        return error.status
    if arguments.print:
        print(text, end="")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if arguments.check:
        print(
            f"{TARGET} is not what the program says: run scripts/pitfalls {arguments.program}",
            file=sys.stderr,
        )
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0

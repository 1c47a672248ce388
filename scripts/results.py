"""Checks the observations of a run and sums up what is there.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from scripts.lib.results import STATUSES, ResultsError, Run, load


def summary(run: Run) -> str:
    """A few lines for a person: what was measured, and what went wrong."""
    frame = run.observations
    launches = frame[["run_id", "launch"]].drop_duplicates()
    ok = frame[frame["status"] == "ok"]
    lines = [
        f"run       {_joined(frame['run_id'])}",
        f"machine   {_joined(frame['machine_id'])}",
        f"commit    {_joined(frame['git_sha'])}",
        f"sweeps    {_joined(frame['sweep'])}",
        f"cells     {frame['cell_id'].nunique()}",
        f"launches  {len(launches)}",
        f"rounds    {frame['round'].nunique()}",
    ]
    counts = frame["status"].value_counts()
    by_status = ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)
    lines.append(f"rows      {len(frame)}" + (f": {by_status}" if by_status else ""))
    if len(ok):
        switched = ok["involuntary_switches"].fillna(0).gt(0) | ok["steal_ticks"].fillna(0).gt(0)
        lines.append(
            f"dirty     {100 * switched.mean():.0f}% of the ok rows saw involuntary switches or steal"
        )
    problems = frame[frame["status"] != "ok"]
    if len(problems):
        lines.append("problems")
        kinds = problems.groupby(["status", "sweep", "strategy", "kernel", "message"], sort=False).size()
        for (status, sweep, strategy, kernel, message), count in kinds.items():
            lines.append(f"  {count} × {status}: {sweep}, {strategy}, {kernel}: {message or 'no message'}")
    return "\n".join(lines)


def _joined(column: Any) -> str:
    return ", ".join(str(value) for value in column.unique() if value) or "unknown"


def main(argv: Sequence[str]) -> int:
    """Prints a summary of the run named in `argv`. Exit status: 0; 2 if it cannot be read."""
    parser = argparse.ArgumentParser(
        prog="results", description="Checks the observations of a run and sums up what is there."
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as results/latest, or a CSV file")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        run = load(arguments.run)
    except ResultsError as error:
        print(f"results: {error}", file=sys.stderr)
        return error.status
    for warning in run.warnings:
        print(f"results: warning: {warning}", file=sys.stderr)
    print(summary(run))
    return 0

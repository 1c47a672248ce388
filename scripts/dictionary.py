"""Writes results/README.md, the data dictionary, and scripts/lib/tables.json from the program's own tables; or checks them.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.lib import tables

TARGET: Final = Path(__file__).resolve().parent.parent / "results" / "README.md"

HEAD: Final = """# Runs and their columns

Written by `scripts/dictionary` from `noisefloor list columns`.

`noisefloor run` makes one folder per run in `results/runs/` (ignored by git; `results/latest` points to the newest):

| file | holds |
| --- | --- |
| `plan.json` | the sweeps, the cells with their iterations, the arms, the seed, the command line: what `--resume` needs |
| `disturbance.json` | what others took of the CPUs during the run, the limits, and the launches (`launch`) that do not count since the cell was measured again |
| `machine.json` | machine and build, once per run |
| `pitfalls.json` | where pitfalls were measured: their texts, variants and code |
| `observations.csv` | one row per timed repetition, appended as they come |
| `benchmark.json` | the same rows in Google Benchmark's shape, for its `compare.py` (`benchmark-base.json`, … with `--base`) |
| `verdicts.json`, `summary.md`, `confirm/` | where two builds were compared: the verdicts, and the run that confirmed them |
| `plots/` | the figures, once `scripts/figures` has drawn them |
| `report.html` | the report, once `scripts/report` has written it: one file, to be opened in a browser |

`results/reference/` holds committed runs (rows gzipped); the README's figures come from there.

A row is one repetition: the factors of its cell, and what was measured. All measures are totals of the repetition:
divide by `iterations`. Times are whole ns, sizes whole bytes. Empty means not applicable or not available; never 0 for
unknown. A cell that failed, overran or could not run here is a row too, with its `status` and `message`. The unit of evidence is the launch: repetitions in one process are correlated.

| column | meaning |
| --- | --- |
"""


# Columns whose being there depends on the machine: the dictionary is the same everywhere.
BY_MACHINE: Final = ("instructions", "cycles", "run_delay_ns", "disturbed_ns")


def dictionary(program: Path) -> str:
    printed = subprocess.run(
        [program, "list", "columns", "--json"], check=True, capture_output=True, text=True
    )
    lines = []
    for column in json.loads(printed.stdout):
        reason = "" if column["name"] in BY_MACHINE else column["unavailable"]
        remark = f" (always empty: {reason})" if reason else ""
        meaning = (column["help"] + remark).replace("|", "\\|")
        lines.append(f"| `{column['name']}` | {meaning} |")
    return HEAD + "\n".join(lines) + "\n"


def listed(program: Path) -> str:
    """The content of tables.json. What an older program does not tell of a row is what the file tells."""
    printed = subprocess.run([program, "list", "--json"], check=True, capture_output=True, text=True)
    told = json.loads(printed.stdout)
    known = {table: {row["name"]: row for row in rows} for table, rows in tables.OURS.items()}
    merged = {
        table: [{**rows.get(row["name"], {}), **row} for row in told.get(table, [])]
        for table, rows in known.items()
    }
    return tables.text(tables.kept(merged))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("program", type=Path, help="the built noisefloor")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file differs")
    arguments = parser.parse_args(argv)
    if not arguments.program.exists():
        print(f"dictionary: {arguments.program} is not there: make build", file=sys.stderr)
        return 3
    try:
        wanted = {TARGET: dictionary(arguments.program), tables.FILE: listed(arguments.program)}
    except tables.Incomplete as error:
        print(
            f"dictionary: {arguments.program}: its table of {error} does not tell what figures need",
            file=sys.stderr,
        )
        return 3
    for path, text in wanted.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            print(f"{path} is not what the program says: run scripts/dictionary", file=sys.stderr)
            return 1
        path.write_text(text, encoding="utf-8")
    return 0

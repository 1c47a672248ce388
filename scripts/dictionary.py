#!/usr/bin/env python3
"""Writes results/README.md, the data dictionary, from the program's own column table; or checks it.

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

TARGET: Final = Path(__file__).resolve().parent.parent / "results" / "README.md"

HEAD: Final = """# Runs and their columns

Written by `scripts/dictionary.py` from `noisefloor list columns`.

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
BY_MACHINE: Final = ("instructions", "cycles")


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


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("program", type=Path, help="the built noisefloor")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file differs")
    arguments = parser.parse_args(argv)
    if not arguments.program.exists():
        print(f"dictionary.py: {arguments.program} is not there: make build", file=sys.stderr)
        return 3
    wanted = dictionary(arguments.program)
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    if arguments.check:
        print(f"{TARGET} is not what the program says: run scripts/dictionary.py", file=sys.stderr)
        return 1
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Programs that speak the launch protocol and declare their times: arms whose ratio is known.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.lib.results import COLUMNS, FACTORS, SCHEMA

# A shell, since an interpreter that takes longer to start would make the tests slow. What a launch prints is what
# `noisefloor launch` prints: a header and one line per repetition.
TEMPLATE = r"""#!/bin/sh
[ "$1" = launch ] || {{ echo "only launches" >&2; exit 2; }}
shift
iterations=1 repetitions=1 protocol=1 cell=
while [ $# -gt 0 ]; do
  case $1 in
    --protocol) protocol=$2 ;;
    --cell) cell=$2 ;;
    --iterations) iterations=$2 ;;
    --repetitions) repetitions=$2 ;;
  esac
  shift 2
done
[ "$protocol" = {protocol} ] || {{ echo "launch protocol $protocol is asked for, this build speaks {protocol}" >&2; exit 3; }}
[ "$iterations" != 0 ] || iterations=1
ns=8000000 status=ok message=
case ",$cell," in
{cases}
esac
strategy=${{cell#*strategy=}}; strategy=${{strategy%%,*}}
workload=${{cell#*workload=}}; workload=${{workload%%,*}}
task_size=${{cell#*task_size=}}; task_size=${{task_size%%,*}}
echo '{header}'
repetition=0
while [ "$repetition" -lt "$repetitions" ]; do
  # A little noise, so that no two ratios tie: the process's number is as good as any.
  wall=$((iterations * (ns + ($$ * 7919 + repetition * 31) % 9973)))
  echo "{row}"
  repetition=$((repetition + 1))
done
[ "$status" = ok ] || exit 1
"""


def write_arm(path: Path, cases: Mapping[str, str], *, protocol: int = 1, build: str = "f" * 16) -> Path:
    """A program that takes 8 ms an iteration, except in cells whose text holds a key of `cases`: there its shell code
    runs first (ns=9000000; status=wrong_output; kill -SEGV $$; exit 2)."""
    values = {name: "" for name in COLUMNS} | {
        "schema": str(SCHEMA),
        "build_id": build,
        "git_sha": build,
        "cell_id": "000000000000",
        "workload": "$workload",
        "strategy": "$strategy",
        "delivery": "unordered",
        "workers": "1",
        "tasks": "1",
        "task_size": "$task_size",
        "chunk_size": "1",
        "repetition": "$repetition",
        "iterations": "$iterations",
        "wall_ns": "$wall",
        "digest": "00000000000000aa",
        "started_ns": "1790000000000000000",
        "seed": "1",
        "status": "$status",
        "message": "$message",
    }
    assert set(values) == set(COLUMNS) and "task_size" in FACTORS
    text = TEMPLATE.format(
        protocol=protocol,
        cases="\n".join(f"  *{key}*) {code} ;;" for key, code in cases.items()),
        header=",".join(COLUMNS),
        row=",".join(values[name] for name in COLUMNS),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


SWEEP = """rounds = 18
repetitions = 3
warmups = 0
[base]
workload = "spin"
[[group]]
name = "g"
sees = 0.05
task_size = [100, 200]
"""

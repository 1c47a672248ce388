"""Counts the instructions of an iteration under callgrind, for machines where time is hopeless.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from scripts.lib import verdicts
from scripts.lib.results import ResultsError

# Counts repeat to 0.0004% with one thread: a twentieth of the limit is room enough, and less than any real change.
LIMIT: Final = 0.005
REPEATS_WITHIN: Final = LIMIT / 20
# Valgrind 3.19 runs no AVX-512 and hides it: what would take it is counted with AVX2.
KERNEL: Final = "avx2"
NOT_RUN: Final = ("avx512", "neon64")
# These run all tasks in the calling thread when there is one worker; others hand them to a second thread, whose waiting
# is counted, too, and never twice the same.
ONE_THREAD: Final = (
    "sequential",
    "std_thread",
    "openmp",
    "openmp_tasks",
    "openmp_taskloop",
    "tbb",
    "tbb_tasks",
    "std_par",
)
FEW, MANY = 1, 3  # iterations: their difference holds no start, no set-up and no verification of a repetition
# Starting a program varies by some dozens of instructions: MANY grows until the difference drowns them.
LEAST_DIFFERENCE: Final = 10_000_000
MOST_ITERATIONS: Final = 20_000
DEADLINE_S: Final = 600


class Missing(Exception):
    """Valgrind is not here."""


class Failed(Exception):
    """A launch did not do its work."""


Count = Callable[[Path, str, int], int]


def countable(text: str) -> tuple[str, str]:
    """The cell as it is counted, and why it is not ("" if it is)."""
    cell = verdicts.parse_cell(text)
    kernel = cell.get("kernel", "")
    if cell.get("workers", "1") != "1":
        return text, "several workers: their waiting is counted, too, and differs from call to call"
    if cell.get("strategy", "") not in ONE_THREAD:
        return text, f"strategy {cell.get('strategy')} runs its tasks in other threads or processes"
    if kernel in NOT_RUN:
        return text, f"kernel {kernel} cannot run under valgrind"
    if kernel == "auto":
        cell["kernel"] = KERNEL
    if cell.get("workload") == "wait":
        return text, "waiting takes no instructions"
    return ",".join(f"{name}={value}" for name, value in cell.items()), ""


def callgrind(program: Path, cell: str, iterations: int) -> int:
    """Instructions of a whole launch. Throws Missing, Failed."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), "launch"]
    command += ["--protocol", "1", "--cell", cell, "--iterations", str(iterations)]
    command += ["--repetitions", "1", "--warmups", "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    except FileNotFoundError:
        raise Missing("valgrind is missing: scripts/bootstrap gate installs it") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {DEADLINE_S} s under valgrind") from None
    rows = done.stdout.strip().splitlines()
    status = dict(zip(rows[0].split(","), rows[-1].split(","))).get("status", "") if len(rows) > 1 else ""
    if done.returncode != 0 or status != "ok":
        said = [line for line in done.stderr.splitlines() if not line.startswith("==")]
        raise Failed(f"exit status {done.returncode}, row {status or 'missing'}: {' '.join(said)[-300:]}")
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise Failed("callgrind said no count")
    return int(found[1])


def per_iteration(count: Count, program: Path, cell: str, many: int) -> float:
    """Instructions of one iteration, from launches with FEW and with `many`."""
    return (count(program, cell, many) - count(program, cell, FEW)) / (many - FEW)


def choose_many(count: Count, program: Path, cell: str) -> int:
    """How many iterations tell the cell's instructions from the start's."""
    first = per_iteration(count, program, cell, MANY)
    wanted = math.ceil(LEAST_DIFFERENCE / max(1.0, first))
    return min(MOST_ITERATIONS, max(MANY, FEW + wanted))


def judge(text: str, label: str, base: Path, head: Path, count: Count) -> verdicts.CellVerdict:
    """The verdict of one cell. Throws Missing."""
    cell, why = countable(text)
    plain = verdicts.CellVerdict(text, "", label, "SKIPPED")
    if why:
        return replace(plain, message=why)
    try:
        many = choose_many(count, base, cell)
        before = [per_iteration(count, base, cell, many) for _ in range(2)]
    except Failed as failure:
        return replace(plain, verdict="BASE_FAILED", message=str(failure))
    try:
        after = per_iteration(count, head, cell, many)
    except Failed as failure:
        return replace(plain, verdict="FAILED", message=str(failure))
    if min(*before, after) <= 0:
        return replace(plain, verdict="INCONCLUSIVE", message="an iteration took no instructions")
    spread = abs(before[1] / before[0] - 1)
    effect = after / before[0] - 1
    verdict, message = "OK", f"{before[0]:,.0f} → {after:,.0f} instructions"
    if spread > REPEATS_WITHIN:
        verdict, message = "INCONCLUSIVE", f"two counts of the same build differ by {spread:.2%}"
    elif abs(math.log1p(effect)) > math.log1p(LIMIT):
        verdict = "REGRESSED" if effect > 0 else "IMPROVED"
    return replace(
        plain,
        verdict=verdict,
        effect=effect,
        smallest_visible=LIMIT,
        sees=LIMIT,
        rounds=1,
        message=message,
    )


def compare(
    base: Path,
    head: Path,
    cells: Sequence[str],
    names: tuple[str, str],
    out: Path,
    count: Count = callgrind,
) -> tuple[verdicts.Report, Path]:
    """The report on these cells (as --dry-run prints them) and the new folder for it. Counts do not depend on what
    else runs, so cells are counted at the same time. Throws Missing; ResultsError where nothing can be counted.
    """
    parsed: list[Mapping[str, str]] = [verdicts.parse_cell(cell) for cell in cells]
    folder = out / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-instructions"
    with tempfile.TemporaryDirectory() as temporary:
        # Both from paths of one length: its length is copied, hashed and searched when a program starts.
        arms = []
        for name, program in (("base", base), ("head", head)):
            arm = Path(temporary) / name / "noisefloor"
            arm.parent.mkdir()
            arm.symlink_to(program)
            arms.append(arm)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            jobs = [
                pool.submit(judge, text, label, arms[0], arms[1], count)
                for text, label in zip(cells, verdicts.labels(parsed))
            ]
            lines = [job.result() for job in jobs]
    if all(line.verdict == "SKIPPED" for line in lines):
        raise ResultsError(
            "no cell can be counted: none runs in a single thread with a kernel that valgrind knows"
        )
    report = verdicts.Report(
        base=names[0],
        head=names[1],
        machine_id="any",
        seconds=0.0,
        verdict=verdicts.session_verdict(lines, None),
        cells=tuple(lines),
        control=None,
        margin=LIMIT,
        interrupted=False,
        dirty_share=0.0,
        notes=(
            f"Instructions of one iteration, counted by callgrind; `auto` is the kernel {KERNEL}. Fewer instructions need "
            "not be faster.",
        ),
        measure="instructions",
    )
    return report, folder

"""Rows of two or three builds in turns, from declared times: what the gate's tests judge.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.results import FACTORS
from tests.python import synthetic
from tests.python.synthetic import Cell, Row

CELLS: Sequence[Cell] = tuple(
    synthetic.cell(sweep="gate.kernels", workload="noise", kernel=kernel, tasks=8, task_size=65536)
    for kernel in ("avx512", "avx2", "omp_simd_avx2", "scalar", "naive")
) + (
    synthetic.cell(sweep="gate.spin", workload="spin", kernel="", format="", tasks=64, task_size=20000),
)

Outcome = tuple[str, str]


def text_of(cell: Cell) -> str:
    """The cell as `noisefloor run --dry-run` prints it."""
    return ",".join(f"{name}={cell[name]}" for name in FACTORS if name != "task_ns" and cell[name] != "")


def arm_rows(
    cells: Sequence[Cell] = CELLS,
    *,
    slow_down: Mapping[str, float] | None = None,
    arms: Sequence[str] = ("head", "base"),
    rounds: int = 18,
    sigma: float = 0.008,
    drift: float = 0.2,
    seed: int = 1,
    outcome: Callable[[str, Cell], Outcome] = lambda arm, cell: ("ok", ""),
    run_id: str = "20260101T000000Z-deadbeef-0123abcd",
) -> list[Row]:
    """Every cell takes 10 ms, in arm head by `slow_down` of its kernel (or workload) more; a round is slower or
    faster as a whole by `drift`, a launch by `sigma` over the root of 2, so that ratios spread by `sigma`."""
    generator = random.Random(seed)
    template = {row["cell_id"]: row for row in synthetic.observations(cells, rounds=1, repetitions=1)}
    rows: list[Row] = []
    launch = 0
    for number in range(rounds):
        hour = generator.gauss(0, drift)
        for cell in generator.sample(list(cells), len(cells)):
            for arm in generator.sample(list(arms), len(arms)):
                status, message = outcome(arm, cell)
                launch += 1
                change = (
                    (slow_down or {}).get(cell["kernel"] or cell["workload"], 0.0) if arm == "head" else 0.0
                )
                ns = 1e7 * (1 + change) * 2.718281828 ** (hour + generator.gauss(0, sigma / 2**0.5))
                for repetition in range(3 if status == "ok" else 1):
                    row = {
                        **template[synthetic.cell_id(cell)],
                        "run_id": run_id,
                        "arm": arm,
                        "git_sha": {"head": "aaaa", "base": "bbbb"}.get(arm, "bbbb"),
                        "build_id": {"head": "h" * 16}.get(arm, "b" * 16),
                        "round": number,
                        "order": launch,
                        "launch": launch,
                        "repetition": repetition,
                        "started_ns": 1_790_000_000_000_000_000 + launch * 50_000_000,
                        "status": status,
                        "message": message,
                        # Of a launch that overran, the lower bound.
                        "iterations": 4 if status in ("ok", "timeout") else "",
                        "wall_ns": {"ok": round(4 * ns), "timeout": round(4000 * ns)}.get(status, ""),
                    }
                    rows.append(row)
    return rows


def write_session(
    folder: Path, rows: Sequence[Row], *, cells: Sequence[Cell] = CELLS, rounds: int = 18, sees: float = 0.03
) -> Path:
    """A run's folder with a plan that names these cells."""
    synthetic.write_run(folder, rows)
    plan: dict[str, Any] = {"schema": 1, "seed": 1, "sweeps": ["gate.toml"], "cell": []}
    for cell in cells:
        # Once calibrated, the text holds the measured task_ns, too.
        text = text_of(cell).replace(",chunk_size", f",task_ns={cell['task_ns']},chunk_size")
        identity = synthetic.cell_id(cell)
        plan["cell"].append({"cell": text, "cell_id": identity, "rounds": rounds, "sees": sees})
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return folder

"""Runs made up from a model with known answers, in exactly the form that the program writes.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.results import COLUMNS, FACTORS, MEASURES, SCHEMA

Cell = dict[str, Any]
Row = dict[str, Any]

MACHINE: dict[str, Any] = {
    "machine_id": "0123abcd",
    "build_id": "00112233445566ff",
    "cpu": {"model": "Synthetic CPU 3000", "flags": "fpu sse2"},
    "workers": 2,
    "kernel": {"release": "6.1.0-test", "version": "#1"},
}
BASE: Cell = {
    "sweep": "quick.strategies",
    "workload": "etl",
    "strategy": "sequential",
    "delivery": "unordered",
    "kernel": "avx2",
    "format": "int16",
    "workers": 1,
    "tasks": 24,
    "task_size": 441000,
    "task_ns": 500_000,
    "chunk_size": 1,
}


def cell(**factors: Any) -> Cell:
    """The base cell with these factors; the others are empty."""
    unknown = set(factors) - set(FACTORS)
    assert not unknown, unknown
    return {**{name: "" for name in FACTORS}, **BASE, **factors}


def cell_id(a_cell: Cell) -> str:
    text = ",".join(f"{name}={a_cell[name]}" for name in FACTORS if name != "task_ns")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def model_wall_ns(a_cell: Cell, overhead_ns: float = 1000.0) -> float:
    """Work shared evenly by the workers, and a fixed price per chunk: its efficiency is
    task_ns / (task_ns + overhead_ns / chunk_size), so METG = overhead / chunk · threshold / (1 - threshold).
    `sequential` pays no price."""
    if a_cell["pitfall"]:
        return pitfall_wall_ns(a_cell)
    price = 0.0 if a_cell["strategy"] == "sequential" else overhead_ns / a_cell["chunk_size"]
    return float(a_cell["tasks"] * (a_cell["task_ns"] + price) / a_cell["workers"])


def observations(
    cells: Sequence[Cell],
    wall_ns: Callable[[Cell], float] = model_wall_ns,
    *,
    rounds: int = 6,
    repetitions: int = 5,
    iterations: int = 4,
    noise: float = 0.01,
    drift: float = 0.1,
    seed: int = 1,
    status: Callable[[Cell], tuple[str, str]] = lambda _: ("ok", ""),
) -> list[Row]:
    """Rounds of all cells in shuffled order. A round is slower or faster as a whole by `drift` (sigma of
    ln), a launch by `noise`, a repetition by a tenth of that. A cell whose status is not ok has one row
    per launch, without measures."""
    generator = random.Random(seed)
    rows: list[Row] = []
    launch = 0
    for number in range(rounds):
        hour = generator.gauss(0, drift)
        for a_cell in generator.sample(list(cells), len(cells)):
            launch += 1
            outcome, message = status(a_cell)
            speed = hour + generator.gauss(0, noise)
            for repetition in range(repetitions if outcome == "ok" else 1):
                row = {
                    **{name: "" for name in COLUMNS},
                    **a_cell,
                    "schema": SCHEMA,
                    "run_id": "20260101T000000Z-deadbeef-0123abcd",
                    "machine_id": MACHINE["machine_id"],
                    "build_id": MACHINE["build_id"],
                    "git_sha": "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
                    "arm": "head",
                    "round": number,
                    "order": launch,
                    "launch": launch,
                    "repetition": repetition,
                    "cell_id": cell_id(a_cell),
                    "seed": 2**64 - 1,
                    "started_ns": 1_790_000_000_000_000_001 + launch,
                    "status": outcome,
                    "message": message,
                }
                if outcome == "ok":
                    factor = 2.718281828 ** (speed + generator.gauss(0, noise / 10))
                    row["iterations"] = iterations
                    row["wall_ns"] = round(wall_ns(a_cell) * factor * iterations)
                    row["user_cpu_ns"] = row["wall_ns"]
                    row["system_cpu_ns"] = row["wall_ns"] // 4
                    row["first_result_ns"] = row["wall_ns"] // a_cell["tasks"]
                    if a_cell["workload"] in ("etl", "copy"):
                        for stage, part in (("extract_ns", 0.3), ("transform_ns", 0.4), ("load_ns", 0.2)):
                            row[stage] = round(part * row["wall_ns"] * a_cell["workers"])
                    row["cpu_percent"] = "100.5"
                    row["peak_rss_bytes"] = 4_000_000
                    row["involuntary_switches"] = 0
                    row["digest"] = "0011223344556677"
                rows.append(row)
    return rows


def csv_text(rows: Iterable[Row], columns: Sequence[str] = tuple(COLUMNS)) -> str:
    lines = [",".join(columns)]
    for row in rows:
        lines.append(_line([str(row.get(name, "")) for name in columns]))
    return "\n".join(lines) + "\n"


def _line(fields: Sequence[str]) -> str:
    class Sink:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    sink = Sink()
    csv.writer(sink, lineterminator="").writerow(fields)
    return sink.text


PITFALLS: list[dict[str, Any]] = [
    {
        "name": name,
        "title": f"The title of {name}",
        "lesson": "One sentence.",
        "harm": harm,
        "measure": measure,
        "expected": expected,
        "source": "a paper",
        "advice": "Do it otherwise.",
        "tempting": "",
        "unavailable": "",
        "variants": [
            {
                "name": "lose",
                "role": "bad",
                "help": "it loses",
                "environment": "",
                "hangs": harm == "hang",
                "code": [],
            },
            {
                "name": "win",
                "role": "good",
                "help": "it wins",
                "environment": "A=1",
                "hangs": False,
                "code": [],
            },
        ],
    }
    for name, harm, measure, expected in (
        ("ten_times", "slow", "wall_ns", [5, 20]),
        ("no_difference", "slow", "wall_ns", [1, 1]),
        ("grows", "memory", "peak_rss_bytes", [0, 0]),
        ("lies", "wrong", "wall_ns", [0, 0]),
        ("sticks", "hang", "wall_ns", [0, 0]),
        ("elsewhere", "slow", "wall_ns", [2, 3]),
    )
]


def pitfall_cells(workers: int = 2) -> list[Cell]:
    """Both variants of all of PITFALLS, as the program writes them: what they bring themselves is empty."""
    empty = {name: "" for name in ("workload", "strategy", "delivery", "kernel", "format", "task_ns")}
    return [
        cell(
            sweep="pitfalls.pitfalls", **empty, workers=workers, tasks=1, task_size=1, pitfall=pitfall["name"],
            variant=variant["name"],
        )
        for pitfall in PITFALLS
        for variant in pitfall["variants"]
    ]  # fmt: skip


def pitfall_wall_ns(a_cell: Cell) -> float:
    """Losing takes ten times as long in ten_times, and as long elsewhere."""
    return 10e6 if (a_cell["pitfall"], a_cell["variant"]) == ("ten_times", "lose") else 1e6


def pitfall_status(a_cell: Cell) -> tuple[str, str]:
    """What becomes of the bad variants that do not end well; elsewhere is where the cause is absent."""
    if a_cell["pitfall"] == "elsewhere":
        return "skipped", "it takes two CPUs"
    if a_cell["variant"] != "lose":
        return "ok", ""
    return {
        "lies": ("wrong_output", "answer 1 where 2 was expected"),
        "sticks": ("timeout", "killed at its deadline of 2.0 s"),
    }.get(a_cell["pitfall"], ("ok", ""))


def write_run(folder: Path, rows: Iterable[Row], machine: dict[str, Any] | None = None) -> Path:
    """The run's folder, with all its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "observations.csv").write_text(csv_text(rows), encoding="utf-8")
    (folder / "machine.json").write_text(
        json.dumps(MACHINE if machine is None else machine), encoding="utf-8"
    )
    (folder / "pitfalls.json").write_text(json.dumps(PITFALLS), encoding="utf-8")
    (folder / "plan.json").write_text('{"seed": 1, "rounds": 6, "sweeps": ["quick"]}\n', encoding="utf-8")
    return folder


def disturb(folder: Path, **facts: Any) -> None:
    """Records that other work took 0.9 of 2 CPUs, or what `facts` say, as the program does."""
    sentence = "other work took 0.9 of these 2 CPUs during the run: what follows describes the busy machine"
    record: dict[str, Any] = {
        "schema": 1,
        "launch_limit": 0.05,
        "run_limit": 0.05,
        "cpus": 2,
        "others_cpus": 0.9,
    }
    record |= {
        "stolen_cpus": None,
        "busy": True,
        "sentence": sentence,
        "launches": 90,
        "disturbed": 60,
        "again": 7,
    }
    record["before"] = {"doubts": ["the load is 2.1"], "standing_doubts": ["This is a virtual machine."]}
    record["not_counted"] = []
    record.update(facts)
    (folder / "disturbance.json").write_text(json.dumps(record), encoding="utf-8")


def time_out(row: Row, bound_ns: float) -> None:
    """Makes a row of a launch that overran its deadline, as the program writes it."""
    kept = {"iterations": 100, "wall_ns": round(100 * bound_ns), "status": "timeout", "repetition": ""}
    row.update({name: "" for name in MEASURES}, **kept, message="overran its deadline")


def quick_cells(workers: int = 2) -> list[Cell]:
    """The shape of the quick sweep: strategies, granularity and chunk, one factor at a time."""
    several = sorted({1, workers})
    cells = [cell(), *(cell(strategy=s, workers=p) for s in ("std_thread", "openmp") for p in several)]
    for size, task_ns in ((8, 100), (80, 1_000), (800, 10_000), (8_000, 100_000), (80_000, 1_000_000)):
        spin: Cell = {"sweep": "quick.granularity", "workload": "spin", "kernel": "", "format": ""}
        spin |= {"tasks": 1000 * workers, "task_size": size, "task_ns": task_ns}
        cells.append(cell(**spin))
        cells.append(cell(**spin, strategy="std_thread", workers=workers))
        for schedule in ("static", "dynamic"):
            chunk = 500 if schedule == "static" else 1
            cells.append(
                cell(**spin, strategy="openmp", workers=workers, schedule=schedule, chunk_size=chunk)
            )
    for strategy in ("std_thread", "openmp"):
        for chunk in (1, 4, 16):
            shared: Cell = {
                "sweep": "quick.chunk",
                "strategy": strategy,
                "workers": workers,
                "chunk_size": chunk,
            }
            cells.append(cell(**shared))
            small: Cell = {"workload": "spin", "kernel": "", "format": "", "tasks": 4096, "task_size": 800}
            cells.append(cell(**shared, **small, task_ns=2_000))
    return cells


def full_cells(workers: int = 2) -> list[Cell]:
    """A cell or more for every figure: what the full sweeps measure, in small."""
    cells: list[Cell] = []
    parallel = ("std_thread", "openmp", "tbb")

    def add(sweep: str, **factors: Any) -> None:
        cells.append(cell(sweep=sweep, **factors))
        cells.extend(
            cell(sweep=sweep, **{"workers": workers, **factors, "strategy": name}) for name in parallel
        )

    spin: Cell = {"workload": "spin", "kernel": "", "format": ""}
    add("strategies")
    for tasks, size in ((1, 24), (24, 1)):
        add("files.files", tasks=tasks)
        add("files.split", tasks=tasks, task_size=441_000 * size, task_ns=500_000 * size)
    for size in (10, 1_000, 100_000):
        add("granularity", **spin, tasks=128, task_size=size, task_ns=size)
        for tasks in (2, 512):
            add("map", **spin, tasks=tasks, task_size=size, task_ns=size)
    cells.append(cell(sweep="granularity.floor", **{**spin, "workload": "multiply"}, task_size=1, task_ns=5))
    for chunk in (1, 4, 16):
        cells.extend(
            cell(sweep="chunk", strategy=name, workers=workers, chunk_size=chunk) for name in parallel
        )
    cells.append(cell(sweep="workers"))
    for count in sorted({1, 2, workers, 2 * workers}):
        cells.extend(cell(sweep="workers", strategy=name, workers=count) for name in parallel)
    for kernel in ("naive", "scalar", "avx2"):
        noise: Cell = {"workload": "noise", "task_ns": 900_000 if kernel == "naive" else 9_000}
        cells.append(cell(sweep="kernels.kernels", kernel=kernel, **noise))
        cells.append(cell(sweep="kernels.kernels_etl", kernel=kernel, output_mode="new"))
    for workload in ("etl", "copy"):
        add(
            "kernels.limit",
            workload=workload,
            output_mode="new",
            task_ns=500_000 if workload == "etl" else 400_000,
        )
    for delivery in ("collected", "ordered", "unordered"):
        for size in (1_024, 1_048_576):
            add(
                "delivery", workload="payload", kernel="", format="", delivery=delivery, tasks=256, task_size=size,
                task_ns=size,
            )  # fmt: skip
    return [*cells, *pitfall_cells(workers)]


def main(argv: Sequence[str]) -> int:
    """Writes a run of about as many rows as asked for, to measure what reading and drawing takes."""
    if len(argv) != 2 or not argv[1].isdigit():
        print("usage: python3 -m tests.python.synthetic FOLDER ROWS", file=sys.stderr)
        return 2
    cells = [*quick_cells(4), *full_cells(4)]
    rows = observations(cells, rounds=max(1, int(argv[1]) // (5 * len(cells))))
    write_run(Path(argv[0]), rows)
    print(f"{len(rows)} rows of {len(cells)} cells in {argv[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

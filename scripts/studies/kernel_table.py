"""Runs the kernels, other generators and the limits in interleaved rounds and prints a Markdown table.

Usage: kernel_table.py [--rounds N] [--size L1|L2|L3|memory] [--formats int16,float32] [--seed S] [--csv FILE]

Every round starts each benchmark once, in a process of its own, in shuffled order: a launch is one value.
Printed is the median over rounds with its 95% interval by order statistics, and ratios that are paired by
round: how many times faster than a user's loop over std::normal_distribution, and how many times the time
of the plain addition of the same buffers.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final


import numpy as np
import pandas as pd

TOP: Final = Path(__file__).resolve().parents[2]

from scripts.lib import stats

SIZES: Final = {"L1": 4096, "L2": 65536, "L3": 1048576, "memory": 10584000}
NUMPY: Final = ("numpy_default_rng", "numpy_legacy")
# The loops that a kernel is compared with, by format: over std::mt19937_64 as everything here is compiled, and the
# faster one of a build for this machine.
YARDSTICKS: Final = {
    "float32": ("std_mt19937_64", "std_mt19937_native"),
    "int16": ("naive", "std_mt19937_native"),
}
LIMIT: Final = "limit_add"  # float32 and int16 have one
FORMATS: Final = ("int16", "float32", "int32", "float64")


@dataclass
class Series:
    """ns per sample of one benchmark, by round; or why there are none."""

    name: str
    ns: dict[int, float] = field(default_factory=dict)
    skipped: str = ""

    def series(self) -> pd.Series[float]:
        return pd.Series(self.ns, dtype=float)


def numpy_ns(name: str, sample_format: str, samples: int, seconds: float) -> float:
    """ns per sample of adding numpy's noise to a buffer: default_rng draws float32, the legacy one float64."""
    sound = np.zeros(samples, dtype=np.int16 if sample_format == "int16" else np.float32)
    sigma = 98.304 if sample_format == "int16" else 1.0
    generator = np.random.default_rng(1)
    legacy = np.random.RandomState(1)

    def once() -> object:
        if name == "numpy_legacy":
            return (sound + legacy.normal(0.0, sigma, samples)).astype(sound.dtype)
        noise = generator.standard_normal(samples, dtype=np.float32)
        if sample_format == "int16":
            return (sound + np.rint(noise * np.float32(sigma))).astype(np.int16)
        return sound + noise

    once()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        once()
        count += 1
    return 1e9 * elapsed / (count * samples)


def list_benchmarks(program: Path, sample_format: str, size: str) -> list[str]:
    text = subprocess.run(
        [program, "--benchmark_list_tests", f"--benchmark_filter=^[^/]+/{sample_format}/{size}/"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ).stdout  # fmt: skip
    return [line.split("/")[0] for line in text.splitlines()]


def launch(program: Path, who: str, sample_format: str, size: str, seconds: float) -> tuple[float, str]:
    """(ns per sample, "") or (nan, why not)."""
    done = subprocess.run(
        [program, f"--benchmark_filter=^{who}/{sample_format}/{size}/", f"--benchmark_min_time={seconds}",
         "--benchmark_format=json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    row = json.loads(done.stdout)["benchmarks"][0]
    if row.get("error_occurred"):
        return float("nan"), str(row["error_message"])
    return 1e9 / float(row["items_per_second"]), ""


def measure(
    program: Path, formats: Sequence[str], size: str, rounds: int, seconds: float, seed: int
) -> dict[str, list[Series]]:
    """All series of each format, in the program's order, numpy's last."""
    table = {
        f: [Series(who) for who in list_benchmarks(program, f, size)]
        + ([Series(name) for name in NUMPY] if f in YARDSTICKS else [])
        for f in formats
    }
    order = [(f, series) for f, many in table.items() for series in many]
    shuffle = random.Random(seed).shuffle
    for number in range(1, rounds + 1):
        shuffle(order)
        for sample_format, series in order:
            if series.skipped:
                continue
            if series.name in NUMPY:
                series.ns[number] = numpy_ns(series.name, sample_format, SIZES[size], seconds)
                continue
            ns, why = launch(program, series.name, sample_format, size, seconds)
            if why.startswith("skipped"):
                series.skipped = why
            elif why:
                raise RuntimeError(f"{series.name}/{sample_format}/{size}: {why}")
            else:
                series.ns[number] = ns
        print(f"round {number} of {rounds}", file=sys.stderr)
    return table


def ratio(a: Series | None, b: Series | None) -> str:
    """a / b with its interval; a dash where there is nothing to compare."""
    if a is None or b is None or a is b or not a.ns or not b.ns:
        return "–"
    estimate = stats.paired_ratio(a.series(), b.series())
    digits = 1 if estimate.median < 100 else 0
    text = f"{estimate.median:.{digits}f}"
    if estimate.has_interval:
        text += f" [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return text


def markdown(table: dict[str, list[Series]], size: str, rounds: int) -> str:
    lines = [
        f"ns per sample, {SIZES[size]:,} samples ({size}), one thread: medians of {rounds} launches with 95% "
        "intervals; ratios are paired by round.",
    ]
    for sample_format, many in table.items():
        by_name = {series.name: series for series in many}
        yardsticks = [by_name[name] for name in YARDSTICKS.get(sample_format, ("naive",)) if name in by_name]
        limit = by_name.get(LIMIT)
        heads = [f"× faster than {y.name}" for y in yardsticks] + ["× the time of limit_add"] * (
            limit is not None
        )
        lines += ["", f"| {sample_format} | ns/sample | " + " | ".join(heads) + " |"]
        lines.append("| --- |" + " ---: |" * (1 + len(heads)))
        for series in many:
            if series.skipped:
                lines.append(f"| {series.name} | {series.skipped} |" + " |" * len(heads))
                continue
            estimate = stats.median_interval(list(series.ns.values()))
            value = f"{estimate.median:.3f}"
            if estimate.has_interval:
                value += f" [{estimate.low:.3f}, {estimate.high:.3f}]"
            cells = [ratio(y, series) for y in yardsticks] + (
                [ratio(series, limit)] if limit is not None else []
            )
            lines.append(f"| {series.name} | {value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_csv(path: Path, table: dict[str, list[Series]], size: str) -> None:
    """One row per launch: format, who, size, round, ns_per_sample."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["format", "who", "size", "round", "ns_per_sample"])
        for sample_format, many in table.items():
            for series in many:
                writer.writerows(
                    [sample_format, series.name, size, n, f"{ns:.6g}"] for n, ns in series.ns.items()
                )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure the kernels beside other generators.")
    parser.add_argument("--program", type=Path, default=TOP / "build/release/benchmarks/micro/micro_kernels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.05, help="measured per launch")
    parser.add_argument("--size", choices=tuple(SIZES), default="L2")
    parser.add_argument("--formats", default="int16,float32", help="of int16, float32, int32, float64")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--csv", type=Path, help="where every launch's value goes")
    options = parser.parse_args(argv)
    formats = options.formats.split(",")
    if unknown := [f for f in formats if f not in FORMATS]:
        print(
            f"kernel_table: no format is called {unknown[0]}; choices: {', '.join(FORMATS)}", file=sys.stderr
        )
        return 2
    if options.rounds < 1:
        print("kernel_table: --rounds must be at least 1", file=sys.stderr)
        return 2
    if not options.program.exists():
        print(f"kernel_table: {options.program} is not there; build it: make micro", file=sys.stderr)
        return 3
    table = measure(options.program, formats, options.size, options.rounds, options.seconds, options.seed)
    if options.csv:
        write_csv(options.csv, table, options.size)
    print(markdown(table, options.size, options.rounds))
    return 0

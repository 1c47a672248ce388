"""Judges the noise: draws long stretches with noise_quality and tests them against the normal distribution.

Usage: quality.py [--short] [--program FILE] [--write DOCUMENT] [--battery-minutes M]

Prints one Markdown row per test. --write puts the table, and the test vectors, between their markers in
DOCUMENT (docs/NOISE.md). Exit status: 0 if no test fails; 1 if one does; 3 if something needed is missing.

Verdicts, by p value: "fail" below 1e-6, "suspicious" below 1e-4, "pass" otherwise. All seeds are fixed:
the same build gives the same table.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


import numpy as np
import numpy.typing as npt
from scipy import stats

from scripts.lib import document

Floats = npt.NDArray[np.float64]

FAIL: Final = 1e-6
SUSPICIOUS: Final = 1e-4
TAILS: Final = (3.0, 4.0, 4.5, 5.0, 5.5, 6.0)
SIGMAS: Final = (1.0, 3.7, 32.0, 98.304, 700.0, 4800.0)
TOP: Final = Path(__file__).resolve().parents[2]

# dieharder's tests: number, and ntuple where it has to be chosen; the long ones first. Left out are those that its
# own list calls suspect or broken (5, 6, 7, 14). Lags of 15 and 31 words lead back to the same lane.
BATTERY: Final[tuple[tuple[int, int | None], ...]] = (
    (17, None),
    (203, 31),
    (203, 15),
    (2, None),
    (200, 8),
    *((number, None) for number in (0, 1, 3, 4, 8, 9, 10, 11, 12, 13, 15, 16, 100, 101, 102)),
    *((200, n) for n in (1, 2, 3, 4, 5, 6, 7)),
    *((201, n) for n in (2, 3, 4, 5)),
    *((202, n) for n in (2, 3, 4, 5)),
    *((203, n) for n in (0, 1, 3, 7)),
    *((number, None) for number in range(204, 210)),
)


@dataclass(frozen=True)
class Row:
    """One test: what was tested, on how many samples, the statistic, its p value, and how to repeat it."""

    test: str
    samples: str
    statistic: str
    p: float
    command: str

    @property
    def verdict(self) -> str:
        if math.isnan(self.p):
            return "not run"
        return "fail" if self.p < FAIL else "suspicious" if self.p < SUSPICIOUS else "pass"

    def markdown(self) -> str:
        p = f"{self.p:.2g}" if self.p < 0.001 else f"{self.p:.3f}"
        command = self.command.replace("|", "\\|")  # a bar ends a cell, in code too
        return f"| {self.test} | {self.samples} | {self.statistic} | {p} | {self.verdict} | `{command}` |"


HEADER: Final = "| test | N | statistic | p | verdict | command |\n| --- | --- | --- | --- | --- | --- |"


def power_of_two(n: float) -> str:
    """ "2^30" for powers of two, else the number with thousands apart."""
    exponent = math.log2(n)
    return f"2^{round(exponent)}" if exponent == round(exponent) else f"{n:,.0f}"


def two_sided(score: float) -> float:
    """p value of a standard normal score."""
    return float(2 * stats.norm.sf(abs(score)))


def interval_probabilities(edges: Floats) -> Floats:
    """Probability of a standard normal between neighbouring edges, exact in both tails."""
    lower, upper = edges[:-1], edges[1:]
    return np.where(
        lower >= 0, stats.norm.sf(lower) - stats.norm.sf(upper), stats.norm.cdf(upper) - stats.norm.cdf(lower)
    )


def chi_squared(counts: Floats, probabilities: Floats) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and p value. The probabilities sum up to 1 but for what no count can see."""
    expected = probabilities * counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    return statistic, freedom, float(stats.chi2.sf(statistic, freedom))


def merged(counts: Floats, probabilities: Floats, cells: int) -> tuple[Floats, Floats]:
    """Neighbouring cells merged into at most `cells` of about equal probability, in order."""
    middle = np.cumsum(probabilities) - probabilities / 2
    group = np.minimum((middle * cells).astype(int), cells - 1)
    _, group = np.unique(group, return_inverse=True)
    return np.bincount(group, counts).astype(float), np.bincount(group, probabilities).astype(float)


def kolmogorov_smirnov(counts: Floats, probabilities: Floats) -> tuple[float, float]:
    """sqrt(N)·D at the borders of the cells, and its p value: an upper bound, since D may be larger between."""
    n = counts.sum()
    distance = float(np.abs(np.cumsum(counts) / n - np.cumsum(probabilities)).max())
    return distance * math.sqrt(n), float(stats.kstwobign.sf(distance * math.sqrt(n)))


def poisson_p(count: float, expected: float) -> float:
    """Two-sided: twice the smaller tail."""
    tail = min(stats.poisson.cdf(count, expected), stats.poisson.sf(count - 1, expected))
    return float(min(1.0, 2 * tail))


def largest_of(scores: Floats) -> tuple[float, float]:
    """The score of largest magnitude among independent ones, and the p value of meeting one so large (Šidák)."""
    largest = float(scores[np.argmax(np.abs(scores))])
    return largest, float(-math.expm1(len(scores) * math.log1p(-two_sided(largest))))


def judge_float32(data: dict[str, Any], command: str) -> Iterable[Row]:
    n = data["samples"]
    size = power_of_two(n)
    # Mean and variance of z^k for k = 1 … 4.
    for name, total, (mean, variance) in zip(
        ("mean", "variance", "third moment", "fourth moment"),
        data["powers"],
        ((0, 1), (1, 2), (0, 15), (3, 96)),
        strict=True,
    ):
        score = (total - n * mean) / math.sqrt(n * variance)
        yield Row(f"float32: {name}", size, f"{total / n:.7f} (z = {score:+.2f})", two_sided(score), command)
    counts = np.array(data["cells"], dtype=float)
    reach = len(counts) // 2
    edges = np.arange(-reach, reach + 1) / data["per_unit"]
    probabilities = interval_probabilities(edges)
    statistic, freedom, p = chi_squared(*merged(counts, probabilities, 1024))
    yield Row(
        "float32: χ², cells of equal probability", size, f"χ² = {statistic:.0f}, {freedom} df", p, command
    )
    enough = probabilities * n >= 20
    fine = np.append(counts[enough], counts[~enough].sum())
    statistic, freedom, p = chi_squared(fine, np.append(probabilities[enough], probabilities[~enough].sum()))
    yield Row("float32: χ², cells of 1/2048", size, f"χ² = {statistic:.0f}, {freedom} df", p, command)
    distance, p = kolmogorov_smirnov(counts, probabilities)
    yield Row(
        f"float32: Kolmogorov–Smirnov at {len(counts):,} points", size, f"√N·D = {distance:.3f}", p, command
    )
    for tail in TAILS:
        beyond = float(counts[(edges[:-1] >= tail) | (edges[1:] <= -tail)].sum())
        expected = float(2 * stats.norm.sf(tail) * n)
        yield Row(
            f"float32: beyond ±{tail:g}",
            size,
            f"{beyond:,.0f}, expected {expected:,.1f}",
            poisson_p(beyond, expected),
            command,
        )


def judge_int16(data: dict[str, Any], command: str) -> Iterable[Row]:
    n, sigma = data["samples"], data["sigma"]
    size = power_of_two(n)
    counts = np.array(data["cells"], dtype=float)
    edges = np.arange(-32768.5, 32768, 1.0) / sigma
    edges[0], edges[-1] = -np.inf, np.inf  # saturation
    probabilities = interval_probabilities(edges)
    distance, p = kolmogorov_smirnov(counts, probabilities)
    # Cells too rare for χ² go into the outermost ones that are not.
    often = np.flatnonzero(probabilities * n >= 20)
    first, last = often[0], often[-1] + 1
    inner, inner_probabilities = counts[first:last].copy(), probabilities[first:last].copy()
    inner[0] += counts[:first].sum()
    inner[-1] += counts[last:].sum()
    inner_probabilities[0] += probabilities[:first].sum()
    inner_probabilities[-1] += probabilities[last:].sum()
    statistic, freedom, p_chi = chi_squared(inner, inner_probabilities)
    name = f"int16, σ = {sigma:g}"
    yield Row(f"{name}: χ², every value a cell", size, f"χ² = {statistic:.0f}, {freedom} df", p_chi, command)
    if freedom > 2048:
        statistic, freedom, p_chi = chi_squared(*merged(counts, probabilities, 1024))
        yield Row(
            f"{name}: χ², cells of equal probability",
            size,
            f"χ² = {statistic:.0f}, {freedom} df",
            p_chi,
            command,
        )
    yield Row(f"{name}: Kolmogorov–Smirnov", size, f"√N·D = {distance:.3f}", p, command)


def judge_products(name: str, products: Sequence[Sequence[float]], command: str) -> Iterable[Row]:
    """Correlations of normals and of their squares: products[k] is (sum, sum of squares' products, pairs)."""
    values, squares, pairs = np.array(products, dtype=float).T
    sizes = [power_of_two(n) for n in sorted({pairs.min(), pairs.max()})]
    for what, sums in (("", values), (", squares", squares)):
        scores = sums / np.sqrt(pairs)
        largest, p = largest_of(scores)
        score = f"z = {largest:+.2f}" if len(scores) == 1 else f"largest z of {len(scores)} = {largest:+.2f}"
        yield Row(f"{name}{what}", " … ".join(sizes), score, p, command)


def judge_lags(data: dict[str, Any], command: str) -> Iterable[Row]:
    lags = np.array(data["lags"])
    near = [i for i, lag in enumerate(lags) if lag <= 64]
    far = [i for i, lag in enumerate(lags) if lag > 64]
    everywhere, borders = data["all"], data["borders"]
    yield from judge_products("autocorrelation, lags 1 … 64", [everywhere[i] for i in near], command)
    span = f"{lags[far].min()} … {lags[far].max()}"
    yield from judge_products(f"autocorrelation, lags {span}", [everywhere[i] for i in far], command)
    yield from judge_products(
        "autocorrelation across the borders of blocks, lags 1 … 64", [borders[i] for i in near], command
    )


def judge_streams(data: dict[str, Any], command: str) -> Iterable[Row]:
    for name, products in zip(data["names"], data["all"], strict=True):
        yield from judge_products(f"correlation with {name}", [products], command)


def judge_blocks(data: dict[str, Any], command: str) -> Iterable[Row]:
    n, repeated = data["blocks"], data["repeated"]
    expected = n * (n - 1) / 2 / 2.0**64  # by chance, of 64-bit hashes
    yield Row("repeated blocks", f"{n:,} blocks", f"{repeated}", poisson_p(repeated, expected), command)


def judge_battery(text: str, command: str) -> Iterable[Row]:
    """Rows of dieharder's lines "name|ntuple|tsamples|psamples|p|assessment"; a test may have many lines."""
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 6 and re.fullmatch(r"\d.*", fields[4]):
            found.setdefault(fields[0], []).append(float(fields[4]))
    for name, values in found.items():
        # Far too good is as bad as far too bad.
        extreme = min(min(p, 1 - p) for p in values)
        p = float(-math.expm1(len(values) * math.log1p(-min(1.0 - 1e-15, 2 * extreme))))
        parts = "" if len(values) == 1 else f", {len(values)} p values"
        yield Row(f"dieharder {name}", "words", f"most extreme p = {extreme:.3g}{parts}", p, command)


JUDGES: Final = {
    "float32": judge_float32,
    "int16": judge_int16,
    "lags": judge_lags,
    "streams": judge_streams,
    "blocks": judge_blocks,
}


def plan(short: bool) -> list[tuple[str, str, int, str]]:
    """(test, log2 of samples, seed, sigma) of each call of noise_quality."""
    if short:
        return [("float32", "24", 1, ""), *(("int16", "24", 1, f"{s:g}") for s in (1.0, 98.304, 4800.0)),
                ("lags", "22", 1, ""), ("streams", "22", 1, ""), ("blocks", "30", 1, "")]  # fmt: skip
    return [
        *(("float32", "32", seed, "") for seed in (1, 2, 3)),
        ("float32", "30", 4, ""),
        ("float32", "35", 5, ""),
        *(("int16", "31", 1, f"{sigma:g}") for sigma in SIGMAS),
        ("int16", "33", 2, "4800"),
        ("lags", "30", 1, ""),
        ("streams", "30", 1, ""),
        ("blocks", "36", 1, ""),
    ]


def run(program: Path, test: str, log2: str, seed: int, sigma: str, threads: int) -> list[Row]:
    arguments = [test, "auto", log2, str(threads), str(seed), *([sigma] if sigma else [])]
    done = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return list(JUDGES[test](json.loads(done.stdout), " ".join(["noise_quality", *arguments])))


def run_battery(program: Path, threads: int, minutes: float) -> list[Row]:
    """dieharder on the raw words of the definition, `threads` tests at a time."""
    until = time.monotonic() + 60 * minutes

    def one(test: tuple[int, int | None]) -> list[Row]:
        number, ntuple = test
        chosen = [] if ntuple is None else ["-n", str(ntuple)]
        command = " ".join(["noise_quality words | dieharder -g 200 -d", str(number), *chosen])
        left = until - time.monotonic()
        if left <= 0:
            return [Row(f"dieharder {number}: not run, the time was up", "words", "–", math.nan, command)]
        words = subprocess.Popen([program, "words"], stdout=subprocess.PIPE)
        columns = ("test_name", "ntuple", "tsamples", "psamples", "pvalues", "assessment")
        options = [word for column in columns for word in ("-D", column)]
        try:
            done = subprocess.run(
                ["dieharder", "-g", "200", "-d", str(number), *chosen, *options],
                stdin=words.stdout, stdout=subprocess.PIPE, text=True, timeout=left,
            )  # fmt: skip
            return list(judge_battery(done.stdout, command))
        except subprocess.TimeoutExpired:
            return [
                Row(f"dieharder {number}: not finished, the time was up", "words", "–", math.nan, command)
            ]
        finally:
            words.kill()
            words.wait()

    with ThreadPoolExecutor(threads) as pool:
        return [row for rows in pool.map(one, BATTERY) for row in rows]


def put(text: str, name: str, body: str) -> str:
    """`text` with what stands between <!-- NAME:begin --> and <!-- NAME:end --> replaced."""
    return document.spliced(text, f"<!-- {name}:begin -->", f"<!-- {name}:end -->", body.rstrip())


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Judge the noise.")
    parser.add_argument("--short", action="store_true", help="about 10^7 samples a test, no battery")
    parser.add_argument("--vectors-only", action="store_true", help="with --write: the test vectors only")
    parser.add_argument("--program", type=Path, default=TOP / "build/release/tests/quality/noise_quality")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, help="the document whose table and test vectors are replaced")
    parser.add_argument("--battery-minutes", type=float, default=25.0, help="0: no battery")
    options = parser.parse_args(argv)
    if not options.program.exists():
        print(f"quality: {options.program} is not there; build it: ninja noise_quality", file=sys.stderr)
        return 3
    vectors = subprocess.run(
        [options.program, "vectors"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    if options.vectors_only:
        if options.write:
            text = options.write.read_text(encoding="utf-8")
            options.write.write_text(put(text, "vectors", vectors), encoding="utf-8")
        else:
            print(vectors, end="")
        return 0

    print(HEADER, flush=True)
    rows: list[Row] = []

    def show(more: list[Row]) -> None:
        rows.extend(more)
        for row in more:
            print(row.markdown(), flush=True)

    for test, log2, seed, sigma in plan(options.short):
        show(run(options.program, test, log2, seed, sigma, options.threads))
    if not options.short and options.battery_minutes > 0:
        if shutil.which("dieharder") is None:
            print("quality: dieharder is not installed: the battery is left out", file=sys.stderr)
            return 3
        show(run_battery(options.program, options.threads, options.battery_minutes))
    if options.write:
        text = options.write.read_text(encoding="utf-8")
        text = put(text, "vectors", vectors)
        table = "\n".join([HEADER, *(row.markdown() for row in rows)])
        options.write.write_text(put(text, "quality", table), encoding="utf-8")
    failed = [row for row in rows if row.verdict == "fail"]
    smallest = min(rows, key=lambda row: math.inf if math.isnan(row.p) else row.p)
    print(
        f"\n{len(rows)} tests, {len(failed)} failed; the smallest p value is {smallest.p:.2g} ({smallest.test})"
    )
    return 1 if failed else 0

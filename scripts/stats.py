"""The statistics behind every figure and verdict: pure functions of values, no files, no clock.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Smallest and largest of 5 values enclose the median in 93.75% of cases: less than is promised.
LEAST_VALUES: Final = 6


@dataclass(frozen=True)
class Estimate:
    """A median with its interval. `low` and `high` are nan where `n` is too small for one."""

    median: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)


@dataclass(frozen=True)
class Metg:
    """Minimum effective task granularity, in ns.

    `reached`: ns is where the efficiency falls below the threshold. `at_most`: the finest point measured
    still reaches it; ns is that point. `unreached`: no point does; ns is inf. `low` and `high` are nan
    with fewer than LEAST_VALUES rounds; high is inf where more than 2.5% of the resamples never get there.
    """

    ns: float
    low: float
    high: float
    kind: Literal["reached", "at_most", "unreached"]
    rounds: int


@lru_cache(maxsize=4096)
def interval_rank(n: int, confidence: float = 0.95) -> int:
    """The largest k with P(x_(k) <= median <= x_(n+1-k)) >= confidence, exactly; 0 if there is none."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    # Both tails of Binomial(n, 1/2) below k, in whole numbers: 2 * sum(C(n, i), i < k) <= (1 - c) * 2^n.
    allowed = (1.0 - confidence) / 2
    term, tail, rank = 1, 0, 0
    while 2 * rank < n - 1:
        tail += term
        if tail / 2**n > allowed:
            break
        rank += 1
        term = term * (n - rank + 1) // rank
    return rank


def interval_coverage(n: int, rank: int) -> float:
    """P(x_(rank) <= median <= x_(n+1-rank)) for n independent values of a continuous distribution."""
    outside: int = 2 * sum(math.comb(n, i) for i in range(rank))
    return 1 - outside / int(2**n) if rank > 0 else 0.0


def median_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """Median and its distribution-free interval by order statistics (at least `confidence`, often more).

    Fewer than LEAST_VALUES values, or too few for `confidence`: the interval is nan, never invented.
    No value: all nan. Throws ValueError for values that are not finite.
    """
    data = np.sort(np.asarray(values, dtype=float).ravel())
    if not bool(np.all(np.isfinite(data))):
        raise ValueError("median_interval: a value is not finite: leave out what was not measured")
    n = int(data.size)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    median = float(np.median(data))
    rank = interval_rank(n, confidence) if n >= LEAST_VALUES else 0
    if rank == 0:
        return Estimate(median, math.nan, math.nan, n)
    return Estimate(median, float(data[rank - 1]), float(data[n - rank]), n)


def paired_log_ratios(a: Any, b: Any) -> Any:
    """ln(a / b) by round, of the rounds that both have. `a` and `b`: Series of positive values, indexed
    by round, one value per round (else ValueError)."""
    for series in (a, b):
        if not series.index.is_unique:
            raise ValueError("paired by round: a round has several values; pair one cell with one cell")
        if not bool((series > 0).all()):
            raise ValueError("paired by round: values must be positive")
    rounds = a.index.intersection(b.index, sort=False)
    return np.log(a.loc[rounds].astype(float) / b.loc[rounds].astype(float))


def paired_ratio(a: Any, b: Any, confidence: float = 0.95) -> Estimate:
    """a / b: the exponential of the median of ln(a / b) by round, with its interval; n is rounds in both."""
    logs = median_interval(paired_log_ratios(a, b).to_numpy(dtype=float), confidence)
    return Estimate(_exp(logs.median), _exp(logs.low), _exp(logs.high), logs.n)


def _exp(x: float) -> float:
    return math.exp(x)  # nan stays nan


def speed_up(sequential: Any, other: Any, confidence: float = 0.95) -> Estimate:
    """How many times faster `other` is than `sequential`: wall times of the same work, by round."""
    return paired_ratio(sequential, other, confidence)


def efficiency(
    t_seq_ns: npt.ArrayLike, tasks: npt.ArrayLike, wall_ns: npt.ArrayLike, workers: npt.ArrayLike
) -> Floats:
    """tasks · t_seq / (workers · wall), element by element: 1 is the limit, 1 / workers what `sequential` gets.

    `t_seq_ns` is what one task takes alone, shared by all strategies; `wall_ns` is for all `tasks`.
    """
    wall = np.asarray(wall_ns, dtype=float)
    count = np.asarray(workers, dtype=float)
    if bool(np.any(wall <= 0)) or bool(np.any(count < 1)):
        raise ValueError("efficiency: wall_ns must be positive and workers at least 1")
    result: Floats = np.asarray(t_seq_ns, dtype=float) * np.asarray(tasks, dtype=float) / (count * wall)
    return result


def metg_threshold(workers: int) -> float:
    """The efficiency that counts as effective: 50%, but half-way between 1 and 1/P with two or three workers,
    where `sequential` itself would score close to 50% or more. One worker can gain nothing: 50% is where
    handing a task out costs as much as the task."""
    if workers < 1:
        raise ValueError(f"metg_threshold: workers must be at least 1, not {workers}")
    return (1 + 1 / workers) / 2 if 1 < workers < 4 else 0.5


def break_even(task_ns: Sequence[float], speed_ups: Sequence[Estimate]) -> float | None:
    """The smallest measured task duration from which on the speed-up's interval lies above 1.

    Every coarser measured point must lie above 1 too. None: not even the coarsest does, or it has no
    interval. Not interpolated: between two points there is no interval to claim.
    """
    if len(task_ns) != len(speed_ups):
        raise ValueError("break_even: one speed-up per task duration")
    found: float | None = None
    for duration, ratio in sorted(zip(task_ns, speed_ups), key=lambda pair: -pair[0]):
        if not ratio.low > 1:  # nan is not above 1 either
            break
        found = float(duration)
    return found


def crossing(task_ns: npt.ArrayLike, efficiencies: npt.ArrayLike, threshold: float) -> tuple[float, bool]:
    """Where the efficiency, read from coarse to fine tasks, falls below `threshold`, in ns; and whether it does.

    Linear in efficiency over log(task_ns). Starts at the coarsest point that reaches the threshold. The
    finest point's own duration, and False, if no finer point falls below; inf if no point reaches it.
    """
    duration = np.asarray(task_ns, dtype=float)
    order = np.argsort(-duration, kind="stable")
    x, y = np.log(duration[order]), np.asarray(efficiencies, dtype=float)[order]
    reached = np.flatnonzero(y >= threshold)
    if reached.size == 0:
        return math.inf, False
    for i in range(int(reached[0]), len(y) - 1):
        if y[i + 1] < threshold:
            share = (y[i] - threshold) / (y[i] - y[i + 1])
            return float(np.exp(x[i] + share * (x[i + 1] - x[i]))), True
    return float(duration.min()), False


def metg(
    task_ns: npt.ArrayLike,
    efficiencies: npt.ArrayLike,
    threshold: float,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 1,
) -> Metg:
    """METG of one strategy, its interval by a percentile bootstrap over whole rounds.

    `efficiencies` has one row per round and one column per element of `task_ns`; nan where a launch is
    missing. A point is the median of its column. Throws ValueError if a column has no value at all.
    """
    duration = np.asarray(task_ns, dtype=float)
    matrix = np.atleast_2d(np.asarray(efficiencies, dtype=float))
    if matrix.shape[1] != duration.size or duration.size == 0 or bool(np.any(duration <= 0)):
        raise ValueError("metg: one column of efficiencies per positive task duration")
    if bool(np.any(np.all(np.isnan(matrix), axis=0))):
        raise ValueError("metg: a task duration without any value: leave it out")
    medians = np.nanmedian(matrix, axis=0)
    ns, fell = crossing(duration, medians, threshold)
    kind: Literal["reached", "at_most", "unreached"] = (
        "unreached" if math.isinf(ns) else "reached" if fell else "at_most"
    )
    rounds = int(matrix.shape[0])
    if rounds < LEAST_VALUES:
        return Metg(ns, math.nan, math.nan, kind, rounds)
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, rounds, size=(resamples, rounds))
    with warnings.catch_warnings():  # a resample may miss a point altogether: nan, left out below
        warnings.simplefilter("ignore", RuntimeWarning)
        points = np.nanmedian(matrix[picks], axis=1)
    found = np.sort([_crossing_of_present(duration, row, threshold) for row in points])
    tail = (1 - confidence) / 2
    # Order statistics of the resamples, outwards: interpolating towards inf would give nan.
    low = found[math.floor(tail * (resamples - 1))]
    high = found[math.ceil((1 - tail) * (resamples - 1))]
    return Metg(ns, float(low), float(high), kind, rounds)


def _crossing_of_present(duration: Floats, efficiencies: Floats, threshold: float) -> float:
    present = ~np.isnan(efficiencies)
    return crossing(duration[present], efficiencies[present], threshold)[0]


def holm(p: npt.ArrayLike) -> Floats:
    """Holm's adjusted p values, in the order given: below alpha, the family-wise error is below alpha.

    Throws ValueError for what is no probability.
    """
    values = np.asarray(p, dtype=float)
    if not bool(np.all((values >= 0) & (values <= 1))):
        raise ValueError("holm: p values must lie between 0 and 1")
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted

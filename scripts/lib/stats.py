"""The statistics behind every figure and verdict: pure functions of values, no files, no clock.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Smallest and largest of 5 values enclose the median in 93.75% of cases: less than is promised.
LEAST_VALUES: Final = 6


@dataclass(frozen=True)
class Estimate:
    """A median with its interval. `low` and `high` are nan where `n` is too small for one. Values that are only known to
    be longer than all others are inf: the interval may be open above, and so may the median be, of which `at_least` is
    then known (else nan)."""

    median: float
    low: float
    high: float
    n: int
    at_least: float = math.nan

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)


@dataclass(frozen=True)
class Metg:
    """Minimum effective task granularity, in ns.

    `reached`: ns is where the efficiency falls below the threshold. `at_most`: the finest point measured
    still reaches it; ns is that point. `unreached`: no point does; ns is inf. `low` and `high` are nan
    with fewer than LEAST_VALUES rounds; high is inf where the lower ends of the points' intervals never get there.
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


def median_interval(
    values: npt.ArrayLike, confidence: float = 0.95, *, bounds: npt.ArrayLike | None = None
) -> Estimate:
    """Median and its distribution-free interval by order statistics (at least `confidence`, often more).

    Fewer than LEAST_VALUES values, or too few for `confidence`: the interval is nan, never invented.
    No value: all nan. inf: longer than all others; order statistics keep it in its place. `bounds`: at least how long
    these are (nan where that is not known). Throws ValueError for nan.
    """
    every = np.asarray(values, dtype=float).ravel()
    if bool(np.any(np.isnan(every))):
        raise ValueError("median_interval: a value is nan: leave out what was not measured")
    data = np.sort(every)
    n = int(data.size)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    median = _middle(data)
    at_least = math.nan
    if math.isinf(median) and bounds is not None:
        known = np.where(np.isinf(every), np.asarray(bounds, dtype=float).ravel(), every)
        at_least = _middle(np.sort(known)) if not bool(np.any(np.isnan(known))) else math.nan
    rank = interval_rank(n, confidence) if n >= LEAST_VALUES else 0
    if rank == 0:
        return Estimate(median, math.nan, math.nan, n, at_least)
    return Estimate(median, float(data[rank - 1]), float(data[n - rank]), n, at_least)


def _middle(data: Floats) -> float:
    """The median of sorted values; of -inf and inf, of which nothing is half-way, the greater."""
    low, high = float(data[(data.size - 1) // 2]), float(data[data.size // 2])
    return high if math.isinf(high) and low == -high else (low + high) / 2


def levels(logs: Any) -> Any:
    """Of each column of a table of logarithms (one row per round), the middle round's value with the drift that a round's
    finite values share taken out: what columns are ranked by. inf keeps its place."""
    drift = logs.replace([math.inf, -math.inf], math.nan).mean(axis=1)
    return logs.sub(drift, axis=0).median()


def _each(ways: int, confidence: float) -> float:
    """The two-sided confidence of one of the comparisons of perhaps_smallest()."""
    return 1 - 2 * (1 - confidence) / max(1, ways - 1)


def perhaps_smallest(logs: npt.ArrayLike, confidence: float = 0.95) -> list[bool]:
    """Which columns of a table of logarithms (one row per round; nan where there is no value) may be the smallest: the
    one with the truly smallest median differences is among them in at least `confidence` of cases, however many there
    are and whatever shape their noise has.

    A column leaves where the exact interval of its differences from some other one lies above zero. The truly smallest
    can leave only by one of its own comparisons, of which each has its share of the error (Hsu, "Multiple Comparisons",
    1996, chapter 4; Bonferroni's inequality). Rounds are taken for independent."""
    matrix = np.asarray(logs, dtype=float)
    ways = matrix.shape[1]
    each = _each(ways, confidence)

    def surely_above(i: int, j: int) -> bool:
        with np.errstate(invalid="ignore"):  # inf - inf: the round says nothing
            differences = matrix[:, i] - matrix[:, j]
        found = np.sort(differences[~np.isnan(differences)])
        rank = interval_rank(found.size, each) if found.size >= LEAST_VALUES else 0
        return rank > 0 and bool(found[rank - 1] > 0)

    return [not any(surely_above(i, j) for j in range(ways) if j != i) for i in range(ways)]


def least_rounds(ways: int, confidence: float = 0.95) -> int:
    """The fewest rounds in which perhaps_smallest() can rule out any of so many ways."""
    rounds = LEAST_VALUES
    while interval_rank(rounds, _each(ways, confidence)) == 0:
        rounds += 1
    return rounds


def paired_log_ratios(a: Any, b: Any) -> Any:
    """ln(a / b) by round, of the rounds that both have. `a` and `b`: Series of positive values, indexed
    by round, one value per round (else ValueError). inf, longer than all others, gives inf or -inf; where both are, the
    round says nothing and is left out."""
    for series in (a, b):
        if not series.index.is_unique:
            raise ValueError("paired by round: a round has several values; pair one cell with one cell")
        if not bool((series > 0).all()):
            raise ValueError("paired by round: values must be positive")
    rounds = a.index.intersection(b.index, sort=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a.loc[rounds].astype(float) / b.loc[rounds].astype(float)).dropna()


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


def serial_share(workers: npt.ArrayLike, speed_ups: npt.ArrayLike) -> Floats:
    """Amdahl's serial share s of each row of `speed_ups` (one column per worker count): 1 / speed-up = s + (1 - s) /
    workers, by least squares. Negative where the speed-up is more than the workers. Throws ValueError if no column has
    more than one worker, since nothing could be fitted."""
    count = np.asarray(workers, dtype=float)
    matrix = np.atleast_2d(np.asarray(speed_ups, dtype=float))
    if matrix.shape[1] != count.size or not bool(np.any(count > 1)) or not bool(np.all(matrix > 0)):
        raise ValueError(
            "serial_share: one column of positive speed-ups per worker count, one of them above 1"
        )
    gain = 1 - 1 / count
    result: Floats = ((1 / matrix - 1 / count) @ gain) / (gain @ gain)
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

    Between two points the time of the batch is taken for linear in the task duration: overhead plus work, the law that
    holds exactly where overhead does not depend on the work. (Linear in efficiency over log(task_ns) lies 20 to 36% too
    high on steps of ten.) Starts at the coarsest point that reaches the threshold. The finest point's own duration, and
    False, if no finer point falls below; inf if no point reaches it. A point that is nan was not measured.
    """
    duration, efficiency = np.asarray(task_ns, dtype=float), np.asarray(efficiencies, dtype=float)
    reached = math.inf
    for i in np.argsort(-duration, kind="stable"):
        if math.isnan(efficiency[i]):
            continue
        if efficiency[i] >= threshold:
            reached, above = float(duration[i]), float(efficiency[i])
        elif not math.isinf(reached):
            finer, below = float(duration[i]), float(efficiency[i])
            if (
                below <= 0
            ):  # took longer than any time that is known: the law says nothing, the point itself does
                return reached, True
            # time / tasks · workers of both points is duration / efficiency; where it meets duration / threshold
            slope = (reached / above - finer / below) / (reached - finer)
            return (finer / below - slope * finer) / (1 / threshold - slope), True
    return reached, False


def earliest_crossing(task_ns: npt.ArrayLike, efficiencies: npt.ArrayLike, threshold: float) -> float:
    """The smallest task duration at which the efficiency can reach `threshold`, whatever the law between the points:
    a batch of longer tasks takes no less time. Never above crossing() of the same points."""
    ns, fell = crossing(task_ns, efficiencies, threshold)
    duration, efficiency = np.asarray(task_ns, dtype=float), np.asarray(efficiencies, dtype=float)
    finer = [(d, e) for d, e in zip(duration, efficiency) if d < ns and not math.isnan(e)]
    if not fell or not finer:
        return ns
    d, e = max(finer)
    return float(min(ns, max(d, threshold * d / e))) if e > 0 else float(d)


def _bands(matrix: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The ends of each column's interval by order statistics; 0 and inf where it has too few values."""
    low, high = np.zeros(matrix.shape[1]), np.full(matrix.shape[1], math.inf)
    for i, column in enumerate(matrix.T):
        estimate = median_interval(column[~np.isnan(column)], confidence)
        if estimate.has_interval:
            low[i], high[i] = estimate.low, estimate.high
    return low, high


def metg(
    task_ns: npt.ArrayLike, efficiencies: npt.ArrayLike, threshold: float, *, confidence: float = 0.95
) -> Metg:
    """METG of one strategy, with an interval that knows the grid.

    `efficiencies` has one row per round and one column per element of `task_ns`; nan where a launch is missing, 0 where
    it overran its deadline. A point is the median of its column. The interval reaches from where the upper ends of the
    points' intervals can reach the threshold at the earliest, whatever the law between two points, to where their lower
    ends fall below it if the law holds. Throws ValueError if a column has no value at all.
    """
    duration = np.asarray(task_ns, dtype=float)
    matrix = np.atleast_2d(np.asarray(efficiencies, dtype=float))
    if matrix.shape[1] != duration.size or duration.size == 0 or bool(np.any(duration <= 0)):
        raise ValueError("metg: one column of efficiencies per positive task duration")
    if bool(np.any(np.all(np.isnan(matrix), axis=0))):
        raise ValueError("metg: a task duration without any value: leave it out")
    ns, fell = crossing(duration, np.nanmedian(matrix, axis=0), threshold)
    kind: Literal["reached", "at_most", "unreached"] = (
        "unreached" if math.isinf(ns) else "reached" if fell else "at_most"
    )
    rounds = int(matrix.shape[0])
    if rounds < LEAST_VALUES:
        return Metg(ns, math.nan, math.nan, kind, rounds)
    low, high = _bands(matrix, confidence)
    return Metg(
        ns, earliest_crossing(duration, high, threshold), crossing(duration, low, threshold)[0], kind, rounds
    )


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


# ---- Two outputs of Google Benchmark, which were not measured in turns -----------------------------------------------
# The gate's own judge is the program's: scripts/lib/judge.py asks it.

GATE_ALPHA: Final = 0.05
GATE_MARGIN: Final = 0.01


def visible_factor(rounds: int) -> float:
    """How many sigmas beyond the margin a change must lie to be seen: 2.5 standard errors of a median of
    normal values, which are sqrt(pi / 2) · sigma / sqrt(n): 0.47 at 45 rounds, 0.57 at 30, 0.74 at 18. (2.5 is
    the sum of the normal quantiles of 95% confidence and 80% power.)"""
    if rounds < 1:
        raise ValueError(f"visible_factor: at least one round, not {rounds}")
    return 2.5 * math.sqrt(math.pi / 2 / rounds)


def wilson_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: (0, 1) where n is 0."""
    if not 0 <= hits <= n:
        raise ValueError(f"wilson_interval: {hits} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(hits * (n - hits) / n + z * z / 4)
    # Rounding must not leave 1e-17 where the bound is exact.
    return 0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == n else min(1.0, centre + half)


def hodges_lehmann(base: npt.ArrayLike, head: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """By how much `head` lies above `base`, for two samples without pairs: the median of all differences,
    with the interval that belongs to the rank-sum test (normal approximation; Hollander, Wolfe, "Nonparametric
    Statistical Methods"). nan bounds where a sample has fewer than LEAST_VALUES values; n is the smaller one's.
    """
    x, y = np.asarray(base, dtype=float).ravel(), np.asarray(head, dtype=float).ravel()
    n = int(min(x.size, y.size))
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    differences = np.sort((y[:, None] - x[None, :]).ravel())
    median = float(np.median(differences))
    if n < LEAST_VALUES:
        return Estimate(median, math.nan, math.nan, n)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = z * math.sqrt(x.size * y.size * (x.size + y.size + 1) / 12)
    rank = max(1, math.floor(x.size * y.size / 2 - spread))
    return Estimate(median, float(differences[rank - 1]), float(differences[-rank]), n)

"""Shares, shifts and change points: intervals that hold as often as they say, changes found where they were put.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import itertools
import math
import unittest

import numpy as np
from scipy import stats as scipy_stats

from scripts.lib import stats


class Wilson(unittest.TestCase):
    def test_it_is_scipys(self) -> None:
        for hits, n in ((0, 20), (1, 20), (10, 20), (20, 20), (8, 1000)):
            expected = scipy_stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
            self.assertAlmostEqual(stats.wilson_interval(hits, n)[0], expected.low, places=12)
            self.assertAlmostEqual(stats.wilson_interval(hits, n)[1], expected.high, places=12)
        self.assertEqual(stats.wilson_interval(0, 0), (0, 1))
        with self.assertRaises(ValueError):
            stats.wilson_interval(3, 2)


class HodgesLehmann(unittest.TestCase):
    def test_the_interval_covers_the_shift_as_often_as_it_says(self) -> None:
        generator = np.random.default_rng(11)
        inside = 0
        for _ in range(1000):
            estimate = stats.hodges_lehmann(generator.exponential(1, 15), 0.4 + generator.exponential(1, 20))
            inside += estimate.low <= 0.4 <= estimate.high
        self.assertAlmostEqual(inside / 1000, 0.95, delta=0.02)

    def test_zero_is_outside_about_where_the_rank_sum_test_rejects(self) -> None:
        generator = np.random.default_rng(12)
        differ = 0
        for _ in range(300):
            x, y = generator.normal(0, 1, 15), generator.normal(0.8, 1, 15)
            estimate = stats.hodges_lehmann(x, y)
            p = scipy_stats.mannwhitneyu(x, y, alternative="two-sided").pvalue
            differ += (p < 0.05) != (estimate.low > 0 or estimate.high < 0)
        self.assertLess(differ, 12)

    def test_few_values_have_no_interval(self) -> None:
        self.assertTrue(math.isnan(stats.hodges_lehmann([1, 2], range(9)).low))
        self.assertEqual(stats.hodges_lehmann([], [1]).n, 0)


class EDivisive(unittest.TestCase):
    def test_it_finds_the_changes_where_they_are(self) -> None:
        generator = np.random.default_rng(13)
        series = generator.normal(0, 0.01, 60)
        series[20:] += 0.05
        series[45:] -= 0.04
        found = stats.e_divisive(series)
        self.assertEqual([point.index for point in found], [20, 45])
        self.assertTrue(all(point.p < 0.05 for point in found))

    def test_a_change_of_spread_is_a_change(self) -> None:
        generator = np.random.default_rng(14)
        series = np.concatenate([generator.normal(0, 0.1, 60), generator.normal(0, 3, 60)])
        found = stats.e_divisive(series, least=10)
        self.assertEqual(len(found), 1)
        self.assertAlmostEqual(found[0].index, 60, delta=4)

    def test_series_without_a_change_show_one_as_often_as_alpha_says(self) -> None:
        generator = np.random.default_rng(15)
        false = sum(
            bool(stats.e_divisive(generator.standard_t(4, 25), permutations=99, seed=i)) for i in range(150)
        )
        self.assertLess(stats.wilson_interval(false, 150)[0], 0.05)
        self.assertLess(false, 16)

    def test_the_statistic_is_the_definition(self) -> None:
        generator = np.random.default_rng(16)
        x = generator.normal(0, 1, 14)

        def energy(k: int) -> float:
            a, b = x[:k], x[k:]
            n, m = len(a), len(b)
            between = 2 / (n * m) * sum(abs(p - q) for p in a for q in b)
            within = [
                math.comb(len(part), 2) ** -1 * sum(abs(p - q) for p, q in itertools.combinations(part, 2))
                for part in (a, b)
            ]
            return float(n * m / (n + m) * (between - sum(within)))

        best = max(range(3, 12), key=energy)
        statistic, place = stats._best_split(x, [0, 14], 3)
        self.assertEqual(place, best)
        self.assertAlmostEqual(statistic, energy(best))

    def test_short_series_have_none_and_bad_ones_are_refused(self) -> None:
        self.assertEqual(stats.e_divisive([0] * 4 + [9] * 5), [])
        self.assertEqual(stats.e_divisive([]), [])
        with self.assertRaisesRegex(ValueError, "finite"):
            stats.e_divisive([0.0, math.inf])
        with self.assertRaisesRegex(ValueError, "2 values"):
            stats.e_divisive([0.0], least=1)


if __name__ == "__main__":
    unittest.main()

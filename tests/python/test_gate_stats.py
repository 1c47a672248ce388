"""Shares, shifts and change points: intervals that hold as often as they say, changes found where they were put.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

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


if __name__ == "__main__":
    unittest.main()

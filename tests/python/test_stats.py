"""The statistics keep their promises: exact coverage, recovered answers, no invented intervals.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
import unittest
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize
from scipy import stats as scipy_stats

from scripts.lib import stats


class TheBestOfMany(unittest.TestCase):
    """stats.perhaps_smallest(): the truly best is in the set in at least 95% of cases, and what is far off is not."""

    CASES = 400

    def sets(self, levels: list[float], rounds: int, draw: Any) -> npt.NDArray[np.bool_]:
        return np.array(
            [
                stats.perhaps_smallest(np.array(levels) + draw((rounds, len(levels))))
                for _ in range(self.CASES)
            ]
        )

    def test_the_best_is_in_the_set_whatever_the_noise(self) -> None:
        generator = np.random.default_rng(1)
        noises = {
            "normal": lambda shape: 0.05 * generator.standard_normal(shape),
            "heavy tails": lambda shape: 0.03 * generator.standard_t(2, shape),
            "a shared drift": lambda shape: generator.standard_normal((shape[0], 1))
            + 0.02 * generator.standard_normal(shape),
        }
        for name, draw in noises.items():
            for levels in ([0.0] * 8, [0.0] + [0.01 * k for k in range(1, 8)]):
                with self.subTest(noise=name, levels=levels):
                    held = self.sets(levels, 12, draw)[:, 0].mean()
                    # 95% less three standard errors of a share of 400 cases.
                    self.assertGreater(held, 0.95 - 3 * math.sqrt(0.95 * 0.05 / self.CASES))

    def test_who_is_far_behind_leaves(self) -> None:
        generator = np.random.default_rng(2)
        found = self.sets([0.0, 0.0, 0.5], 12, lambda shape: 0.05 * generator.standard_normal(shape))
        self.assertGreater(1 - found[:, 2].mean(), 0.99)
        self.assertGreater(found[:, :2].mean(), 0.9, "ties stay")

    def test_nobody_leaves_in_too_few_rounds_and_the_number_that_is_named_is_enough(self) -> None:
        for ways in (2, 3, 8, 17, 60):
            with self.subTest(ways=ways):
                least = stats.least_rounds(ways)
                logs = np.tile(np.arange(ways, dtype=float), (least, 1))
                self.assertEqual(stats.perhaps_smallest(logs), [True] + [False] * (ways - 1))
                self.assertTrue(all(stats.perhaps_smallest(logs[1:])))

    def test_missing_launches_and_overruns_keep_their_place(self) -> None:
        logs = np.tile([0.0, 1.0, math.inf, math.inf], (12, 1))
        logs[0] = math.nan
        self.assertEqual(stats.perhaps_smallest(logs), [True, False, False, False])
        self.assertEqual(stats.perhaps_smallest(logs[:, :1]), [True])


class MedianInterval(unittest.TestCase):
    def test_the_rank_is_the_largest_that_the_binomial_allows(self) -> None:
        for confidence in (0.8, 0.95, 0.99):
            for n in range(1, 200):
                rank = stats.interval_rank(n, confidence)
                outside = [2 * scipy_stats.binom.cdf(k - 1, n, 0.5) for k in range(1, (n + 1) // 2 + 1)]
                allowed = sum(1 for p in outside if p <= 1 - confidence + 1e-12)
                if n > 2:
                    self.assertEqual(rank, allowed, (n, confidence))
                if rank:
                    self.assertAlmostEqual(stats.interval_coverage(n, rank), 1 - outside[rank - 1], places=12)

    def test_coverage_by_simulation_is_the_exact_one_for_any_distribution(self) -> None:
        generator = np.random.default_rng(20)
        draws = 20_000
        for n in (6, 9, 12, 30):
            rank = stats.interval_rank(n)
            exact = stats.interval_coverage(n, rank)
            self.assertGreaterEqual(exact, 0.95)
            samples = {
                "lognormal": (generator.lognormal(0, 1, (draws, n)), 1.0),
                "exponential": (generator.exponential(1, (draws, n)), math.log(2)),
                "bimodal": (
                    generator.normal(0, 0.1, (draws, n)) + 5 * (generator.random((draws, n)) < 0.3),
                    None,
                ),
            }
            for name, (values, median) in samples.items():
                if median is None:
                    big = generator.normal(0, 0.1, 2_000_000) + 5 * (generator.random(2_000_000) < 0.3)
                    median = float(np.median(big))
                ordered = np.sort(values, axis=1)
                inside = (ordered[:, rank - 1] <= median) & (median <= ordered[:, n - rank])
                self.assertAlmostEqual(float(inside.mean()), exact, delta=0.015, msg=f"{name}, n = {n}")

    def test_it_is_the_order_statistics_of_that_rank(self) -> None:
        estimate = stats.median_interval([5, 1, 4, 2, 6, 3])
        self.assertEqual(estimate, stats.Estimate(3.5, 1, 6, 6))
        self.assertEqual(stats.median_interval(range(12)), stats.Estimate(5.5, 2, 9, 12))

    def test_too_few_values_have_a_median_and_no_interval(self) -> None:
        for n in range(1, 6):
            estimate = stats.median_interval(range(n))
            self.assertEqual(estimate.median, (n - 1) / 2)
            self.assertFalse(estimate.has_interval)
            self.assertTrue(math.isnan(estimate.high))
        self.assertFalse(stats.median_interval(range(6), confidence=0.99).has_interval)
        self.assertTrue(math.isnan(stats.median_interval([]).median))
        self.assertFalse(stats.median_interval(range(5), confidence=0.5).has_interval)

    def test_what_is_only_known_to_be_longer_keeps_its_place(self) -> None:
        inf, nan = math.inf, math.nan
        found = stats.median_interval([1, 2, 3, 4, 5, 6, inf])
        self.assertEqual((found.median, found.low, found.high), (4, 1, inf))
        # As any large value would: intervals by order statistics do not ask how large.
        self.assertEqual(found.low, stats.median_interval([1, 2, 3, 4, 5, 6, 1e9]).low)
        found = stats.median_interval([1, 2, 3, inf, inf, inf], bounds=[nan, nan, nan, 10, 12, 14])
        self.assertEqual((found.median, found.at_least, found.high), (inf, 6.5, inf))
        self.assertEqual(found.low, 1)
        self.assertTrue(math.isnan(stats.median_interval([1, inf, inf], bounds=[nan, nan, 5]).at_least))
        self.assertEqual(stats.median_interval([-inf, inf]).median, inf)

    def test_ratios_of_what_overran_go_beyond_all_others_and_two_say_nothing(self) -> None:
        a = pd.Series([1.0, math.inf, 3.0, math.inf], index=range(4))
        b = pd.Series([2.0, 1.0, math.inf, math.inf], index=range(4))
        self.assertEqual(list(stats.paired_log_ratios(a, b)), [math.log(0.5), math.inf, -math.inf])
        slow = pd.Series([math.inf] * 5 + [2.0] * 4, index=range(9))
        ratio = stats.paired_ratio(slow, pd.Series([1.0] * 9, index=range(9)))
        self.assertEqual((ratio.median, ratio.low, ratio.high), (math.inf, 2.0, math.inf))

    def test_levels_take_out_the_drift_and_keep_what_overran_in_its_place(self) -> None:
        logs = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 2.0, math.inf], "c": [0.5, math.inf, math.inf]})
        found = stats.levels(logs)
        self.assertLess(found["a"], found["b"])
        self.assertEqual(found["c"], math.inf)

    def test_what_was_not_measured_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            stats.median_interval([1, 2, 3, 4, 5, 6, math.nan])
        for confidence in (0, 1, 95):
            with self.assertRaises(ValueError):
                stats.interval_rank(10, confidence)


class PairedRatio(unittest.TestCase):
    def test_drift_that_both_share_cancels(self) -> None:
        generator = np.random.default_rng(3)
        drift = generator.lognormal(0, 0.5, 20)
        a = pd.Series(2 * drift * generator.lognormal(0, 0.01, 20), index=range(20))
        b = pd.Series(drift, index=range(20))
        ratio = stats.paired_ratio(a, b.sample(frac=1, random_state=1))
        self.assertAlmostEqual(ratio.median, 2, delta=0.02)
        self.assertLess(ratio.high - ratio.low, 0.05)
        self.assertEqual(ratio.n, 20)

    def test_swapping_gives_the_inverse(self) -> None:
        generator = np.random.default_rng(4)
        a, b = (pd.Series(generator.lognormal(0, 1, 9)) for _ in range(2))
        forth, back = stats.paired_ratio(a, b), stats.paired_ratio(b, a)
        self.assertAlmostEqual(forth.median * back.median, 1)
        self.assertAlmostEqual(forth.low * back.high, 1)
        self.assertEqual(stats.speed_up(a, b), forth)

    def test_only_rounds_that_both_have_count(self) -> None:
        a = pd.Series([2.0, 4, 6, 8, 10, 12, 99], index=[0, 1, 2, 3, 4, 5, 77])
        b = pd.Series([1.0, 2, 3, 4, 5, 6, 1], index=[0, 1, 2, 3, 4, 5, 6])
        ratio = stats.paired_ratio(a, b)
        self.assertEqual(ratio.n, 6)
        for value in (ratio.median, ratio.low, ratio.high):
            self.assertAlmostEqual(value, 2)

    def test_no_common_round_gives_nothing(self) -> None:
        ratio = stats.paired_ratio(pd.Series([1.0], index=[0]), pd.Series([1.0], index=[1]))
        self.assertEqual(ratio.n, 0)
        self.assertTrue(math.isnan(ratio.median))

    def test_two_values_in_a_round_and_times_of_zero_are_refused(self) -> None:
        good = pd.Series([1.0, 2.0], index=[0, 1])
        with self.assertRaisesRegex(ValueError, "several values"):
            stats.paired_ratio(good, pd.Series([1.0, 2.0], index=[0, 0]))
        with self.assertRaisesRegex(ValueError, "positive"):
            stats.paired_ratio(good, pd.Series([1.0, 0.0], index=[0, 1]))


class Efficiency(unittest.TestCase):
    def test_perfect_sharing_is_1_and_sequential_is_one_over_workers(self) -> None:
        self.assertEqual(float(stats.efficiency(100, 8, 200, 4)), 1.0)
        self.assertEqual(float(stats.efficiency(100, 8, 800, 4)), 0.25)
        np.testing.assert_allclose(stats.efficiency([10, 20], [2, 2], [20, 20], [1, 2]), [1, 1])

    def test_impossible_inputs_are_refused(self) -> None:
        for wall, workers in ((0, 1), (10, 0)):
            with self.assertRaises(ValueError):
                stats.efficiency(1, 1, wall, workers)


class SerialShare(unittest.TestCase):
    def test_a_known_share_is_recovered_exactly_and_by_least_squares(self) -> None:
        workers = np.array([1, 2, 4, 8])
        for share in (0.0, 0.05, 0.5, 1.0):
            exact = 1 / (share + (1 - share) / workers)
            np.testing.assert_allclose(
                stats.serial_share(workers, [exact, exact]), [share, share], atol=1e-12
            )
        measured = np.array([1.0, 1.9, 3.4, 5.6])
        fitted = optimize.least_squares(
            lambda s: 1 / measured - (s[0] + (1 - s[0]) / workers), [0.1], xtol=1e-14, ftol=1e-14
        )
        self.assertAlmostEqual(float(stats.serial_share(workers, measured)[0]), float(fitted.x[0]), places=9)

    def test_more_than_the_workers_is_a_negative_share(self) -> None:
        self.assertLess(float(stats.serial_share([2], [2.1])[0]), 0)

    def test_one_worker_alone_and_impossible_speed_ups_are_refused(self) -> None:
        for workers, speed_ups in (([1], [1.0]), ([1, 2], [1.0]), ([1, 2], [1.0, 0.0])):
            with self.assertRaises(ValueError):
                stats.serial_share(workers, speed_ups)


class BreakEven(unittest.TestCase):
    @staticmethod
    def ratio(low: float) -> stats.Estimate:
        return stats.Estimate(low + 0.1, low, low + 0.2, 6)

    def test_it_is_the_finest_point_from_which_on_all_are_above_1(self) -> None:
        points = [self.ratio(low) for low in (0.5, 1.2, 0.99, 1.1, 1.9)]
        self.assertEqual(stats.break_even([1, 10, 100, 1000, 10000], points), 1000)
        self.assertEqual(stats.break_even([10000, 1000, 100, 10, 1], points[::-1]), 1000)

    def test_without_intervals_or_above_none_there_is_no_break_even(self) -> None:
        self.assertIsNone(stats.break_even([1, 10], [self.ratio(2), self.ratio(1.0)]))
        self.assertIsNone(stats.break_even([1], [stats.Estimate(5, math.nan, math.nan, 3)]))
        self.assertIsNone(stats.break_even([], []))
        with self.assertRaises(ValueError):
            stats.break_even([1], [])


class MetgThreshold(unittest.TestCase):
    def test_it_stays_above_what_sequential_gets(self) -> None:
        self.assertEqual([stats.metg_threshold(p) for p in (2, 4, 64)], [0.75, 0.5, 0.5])
        for workers in range(2, 65):
            self.assertGreater(stats.metg_threshold(workers), 1 / workers)
        self.assertAlmostEqual(stats.metg_threshold(3), 2 / 3)
        with self.assertRaises(ValueError):
            stats.metg_threshold(0)

    def test_one_worker_is_not_asked_for_what_only_noise_could_give(self) -> None:
        self.assertEqual(stats.metg_threshold(1), 0.5)


class MetgEstimate(unittest.TestCase):
    GRID = 100.0 * 2.0 ** np.arange(14)

    def curve(self, overhead: float) -> stats.Floats:
        curve: stats.Floats = self.GRID / (self.GRID + overhead)
        return curve

    def test_between_two_points_overhead_and_work_add_up(self) -> None:
        for grid in ([1.0, 100.0], [2.0, 20.0, 200.0]):  # 5 ns of overhead: 75% at 15 ns
            found, fell = stats.crossing(grid, [g / (g + 5) for g in grid], 0.75)
            self.assertAlmostEqual(found, 15)
            self.assertTrue(fell)

    def test_a_known_overhead_is_recovered_from_noisy_rounds(self) -> None:
        generator = np.random.default_rng(5)
        for overhead in (700.0, 5_000.0, 40_000.0):
            for workers in (2, 8):
                threshold = stats.metg_threshold(workers)
                truth = overhead * threshold / (1 - threshold)
                rounds = self.curve(overhead) * generator.lognormal(0, 0.02, (12, len(self.GRID)))
                metg = stats.metg(self.GRID, rounds, threshold)
                self.assertEqual(metg.kind, "reached")
                self.assertAlmostEqual(metg.ns / truth, 1, delta=0.06)
                self.assertTrue(metg.low <= metg.ns <= metg.high)
                self.assertLess(metg.high / metg.low, 1.5)

    def test_its_interval_covers_the_truth_on_coarse_grids_whatever_the_law(self) -> None:
        # Overhead that adds to the work, and a dispatcher that is the limit until tasks are long enough.
        def added(g: stats.Floats) -> stats.Floats:
            return np.asarray(g / (g + 5))

        def limited(g: stats.Floats) -> stats.Floats:
            return np.asarray(g / np.maximum(g, 5))

        for name, law, truth in (("added", added, 15.0), ("limited", limited, 3.75)):
            for step, points in ((10.0, 4), (2.0, 12)):
                generator = np.random.default_rng(6)
                found = []
                for _ in range(300):
                    grid = generator.uniform(0.2, 1) * step ** np.arange(points)
                    rounds = law(grid) * generator.lognormal(0, 0.05, (9, points))
                    found.append(stats.metg(grid, rounds, 0.75))
                covered = np.mean([one.low <= truth <= one.high for one in found])
                self.assertGreaterEqual(covered, 0.93, f"{name}, steps of {step}")
                if name == "added":
                    bias = np.median([one.ns for one in found]) / truth - 1
                    self.assertLess(abs(bias), 0.05, f"steps of {step}")

    def test_a_launch_that_overran_is_a_long_one(self) -> None:
        rounds = np.tile(self.curve(5_000), (9, 1))
        rounds[:5, 6] = 0
        metg = stats.metg(self.GRID, rounds, 0.5)
        self.assertEqual((metg.ns, metg.kind), (self.GRID[7], "reached"))

    def test_points_may_come_in_any_order(self) -> None:
        rounds = np.tile(self.curve(5_000), (6, 1))
        forth, back = stats.metg(self.GRID, rounds, 0.5), stats.metg(self.GRID[::-1], rounds[:, ::-1], 0.5)
        self.assertEqual(forth, back)

    def test_unreached_is_said_and_has_no_number(self) -> None:
        metg = stats.metg([10, 100], np.full((6, 2), 0.3), 0.5)
        self.assertEqual(
            (metg.kind, metg.ns, metg.low, metg.high), ("unreached", math.inf, math.inf, math.inf)
        )

    def test_a_curve_that_never_falls_below_is_an_upper_bound(self) -> None:
        metg = stats.metg([10, 100], np.full((6, 2), 0.9), 0.5)
        self.assertEqual((metg.kind, metg.ns), ("at_most", 10.0))

    def test_a_dip_ends_the_range_even_if_a_finer_point_recovers(self) -> None:
        found, fell = stats.crossing([1, 10, 100, 1000], [0.9, 0.2, 0.8, 0.9], 0.5)
        self.assertTrue(10 < found < 100 and fell)

    def test_a_dip_at_the_coarse_end_does_not_hide_the_rest(self) -> None:
        found, _ = stats.crossing([1, 10, 100, 1000], [0.2, 0.8, 0.8, 0.4], 0.5)
        self.assertTrue(1 < found < 10)

    def test_points_whose_lower_ends_never_get_there_open_the_interval(self) -> None:
        rounds = np.array([[0.1, 0.9]] * 4 + [[0.1, 0.2]] * 3)
        metg = stats.metg([10, 100], rounds, 0.5)
        self.assertEqual(metg.kind, "reached")
        self.assertTrue(math.isinf(metg.high))

    def test_few_rounds_have_no_interval_and_missing_launches_are_allowed(self) -> None:
        rounds = np.tile(self.curve(5_000), (5, 1))
        self.assertTrue(math.isnan(stats.metg(self.GRID, rounds, 0.5).low))
        rounds = np.tile(self.curve(5_000), (8, 1))
        rounds[0, 3] = rounds[5, 7] = math.nan
        self.assertAlmostEqual(stats.metg(self.GRID, rounds, 0.5).ns / 5_000, 1, delta=0.02)
        rounds[:, 3] = math.nan
        with self.assertRaises(ValueError):
            stats.metg(self.GRID, rounds, 0.5)

    def test_shapes_that_do_not_fit_are_refused(self) -> None:
        shapes: list[list[float]] = [[1, 2, 3], [0, 1], []]
        for durations in shapes:
            with self.assertRaises(ValueError):
                stats.metg(durations, np.ones((6, 2)), 0.5)


class Holm(unittest.TestCase):
    def test_a_case_worked_by_hand(self) -> None:
        np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
        np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1, 1])
        self.assertEqual(stats.holm([]).size, 0)

    def test_it_rejects_exactly_what_the_step_down_procedure_rejects(self) -> None:
        generator = np.random.default_rng(8)
        for _ in range(200):
            p = generator.random(7) ** 4
            rejected = np.zeros(7, dtype=bool)
            for step, index in enumerate(np.argsort(p)):
                if p[index] > 0.05 / (7 - step):
                    break
                rejected[index] = True
            np.testing.assert_array_equal(stats.holm(p) <= 0.05, rejected)

    def test_the_family_wise_error_is_kept(self) -> None:
        generator = np.random.default_rng(9)
        false_alarms = sum(bool((stats.holm(generator.random(24)) <= 0.05).any()) for _ in range(4000))
        self.assertLess(false_alarms / 4000, 0.062)
        self.assertGreater(false_alarms / 4000, 0.035)

    def test_what_is_no_probability_is_refused(self) -> None:
        for bad in (-0.1, 1.1, math.nan):
            with self.assertRaises(ValueError):
                stats.holm([0.5, bad])


if __name__ == "__main__":
    unittest.main()

"""The gate's statistics: exact tests, error rates and power by simulation, change points where they were put.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import itertools
import math
import unittest

import numpy as np
from scipy import stats as scipy_stats

from scripts.lib import stats

QUIET = 0.012  # sigma of ln(head / base) in a quiet cell


def session(
    generator: np.random.Generator, slow_down: float, cells: int = 24, sigma: float = QUIET
) -> dict[str, stats.Judged]:
    """One session of cells with heavy-tailed noise, the first of them slower by `slow_down`."""
    scale = sigma / 1.1  # of a t distribution with 5 degrees: its MAD-sigma is 1.08 times its scale

    def rounds(cell: int, count: int) -> stats.Floats:
        centre = math.log1p(slow_down) if cell == 0 else 0.0
        return np.asarray(centre + scale * generator.standard_t(5, count))

    screened = {str(i): rounds(i, stats.SCREEN_ROUNDS) for i in range(cells)}
    confirmed = {
        cell: rounds(int(cell), stats.CONFIRM_ROUNDS)
        for cell, values in screened.items()
        if stats.screen_direction(values) != 0
    }
    return stats.judge(screened, confirmed, {cell: 0.03 for cell in screened})


class SignTest(unittest.TestCase):
    def test_it_is_the_exact_binomial_test(self) -> None:
        for n, k in itertools.product((1, 4, 6, 18, 45), range(0, 46)):
            if k > n:
                continue
            slower, faster = stats.sign_test([1.0] * k + [-1.0] * (n - k))
            self.assertAlmostEqual(slower, scipy_stats.binomtest(k, n, 0.5, "greater").pvalue, places=12)
            self.assertAlmostEqual(faster, scipy_stats.binomtest(n - k, n, 0.5, "greater").pvalue, places=12)

    def test_zeros_say_nothing(self) -> None:
        self.assertEqual(stats.sign_test([0, 0, 1, 1]), stats.sign_test([1, 1]))
        self.assertEqual(stats.sign_test([0, 0]), (1, 1))
        self.assertEqual(stats.sign_test([]), (1, 1))

    def test_the_screen_takes_13_of_18_in_one_direction(self) -> None:
        for ahead in range(19):
            values = [1.0] * ahead + [-1.0] * (18 - ahead)
            self.assertEqual(stats.screen_direction(values), 1 if ahead >= 13 else -1 if ahead <= 5 else 0)


class ChangeBetween(unittest.TestCase):
    def test_effect_interval_and_spread_are_those_of_the_logarithms(self) -> None:
        values = np.log(1.03) + np.array([-0.02, -0.01, -0.005, 0, 0.005, 0.01, 0.02])
        change = stats.change_between(values)
        self.assertAlmostEqual(change.effect, 0.03)
        self.assertAlmostEqual(change.low, math.exp(values[0]) - 1)
        self.assertAlmostEqual(change.high, math.exp(values[-1]) - 1)
        self.assertAlmostEqual(
            change.sigma, float(scipy_stats.median_abs_deviation(values, scale=1 / 1.4826))
        )
        self.assertEqual(change.rounds, 7)

    def test_the_smallest_visible_change_is_the_margin_and_the_tabled_multiple_of_sigma(self) -> None:
        for rounds, factor in ((18, 0.74), (30, 0.57), (45, 0.47)):
            self.assertAlmostEqual(stats.visible_factor(rounds), factor, places=2)
        values = np.tile([-0.01, 0.01], 15)
        change = stats.change_between(values, 0.02)
        expected = math.exp(math.log(1.02) + stats.visible_factor(30) * 0.014826) - 1
        self.assertAlmostEqual(change.smallest_visible, expected)

    def test_few_rounds_have_no_interval_and_see_nothing(self) -> None:
        change = stats.change_between([0.1] * 5)
        self.assertTrue(math.isnan(change.low) and math.isnan(change.smallest_visible))
        self.assertEqual(stats.change_between([]).rounds, 0)
        with self.assertRaisesRegex(ValueError, "not finite"):
            stats.change_between([0.1, math.nan])


class Judge(unittest.TestCase):
    def judged(
        self, screened: float, confirmed: float | None, sees: float = 0.05, sigma: float = 0.01
    ) -> stats.Judged:
        def spread(count: int) -> stats.Floats:
            return np.asarray(sigma * scipy_stats.norm.ppf((np.arange(count) + 0.5) / count))

        fresh = {} if confirmed is None else {"c": math.log1p(confirmed) + spread(45)}
        return stats.judge({"c": math.log1p(screened) + spread(18)}, fresh, {"c": sees})["c"]

    def test_a_confirmed_change_has_its_direction(self) -> None:
        self.assertEqual(self.judged(0.05, 0.05).verdict, "REGRESSED")
        self.assertEqual(self.judged(-0.05, -0.05).verdict, "IMPROVED")

    def test_the_fresh_rounds_alone_decide(self) -> None:
        judged = self.judged(0.05, 0.0)
        self.assertEqual((judged.verdict, judged.flagged, judged.change.rounds), ("OK", True, 45))
        self.assertEqual(self.judged(0.05, -0.05).verdict, "OK")

    def test_below_the_margin_nothing_is_a_change_however_sure(self) -> None:
        judged = self.judged(0.009, 0.009, sigma=0.001)
        self.assertLess(judged.p, 1e-6)
        self.assertEqual(judged.verdict, "OK")
        self.assertEqual(self.judged(0.011, 0.011, sigma=0.001).verdict, "REGRESSED")

    def test_the_margin_is_the_same_for_faster_and_slower(self) -> None:
        self.assertEqual(self.judged(1 / 1.011 - 1, 1 / 1.011 - 1, sigma=0.001).verdict, "IMPROVED")
        self.assertEqual(self.judged(1 / 1.009 - 1, 1 / 1.009 - 1, sigma=0.001).verdict, "OK")

    def test_a_cell_too_noisy_for_what_is_asked_says_so_and_fails_only_for_what_it_can_see(self) -> None:
        noisy = self.judged(0.0, None, sees=0.03, sigma=0.05)
        self.assertEqual(noisy.verdict, "INCONCLUSIVE")
        self.assertIn("3.0% is asked", noisy.reason)
        below = self.judged(0.06, 0.03, sees=0.03, sigma=0.05)
        self.assertLess(below.p, 0.05)
        self.assertEqual(below.verdict, "INCONCLUSIVE")
        self.assertEqual(self.judged(0.06, 0.06, sees=0.03, sigma=0.05).verdict, "REGRESSED")

    def test_a_flagged_cell_without_fresh_rounds_and_too_few_rounds_are_inconclusive(self) -> None:
        self.assertIn("not confirmed", self.judged(0.05, None).reason)
        few = stats.judge({"c": [0.1] * 5}, {"c": [0.1] * 5}, {})["c"]
        self.assertEqual(few.verdict, "INCONCLUSIVE")
        self.assertIn("5 rounds", few.reason)

    def test_p_values_are_corrected_over_all_confirmed_cells(self) -> None:
        one = np.array([0.03] * 30 + [-0.03] * 15)  # p = 0.018 by itself
        screened = {str(i): [0.03] * 18 for i in range(5)}
        alone = stats.judge({"0": screened["0"]}, {"0": one}, {"0": 0.5})["0"]
        among = stats.judge(screened, {cell: one for cell in screened}, {cell: 0.5 for cell in screened})["0"]
        self.assertEqual(alone.verdict, "REGRESSED")
        self.assertEqual(among.verdict, "OK")
        self.assertAlmostEqual(among.p, min(1, 5 * alone.p))


class ErrorRates(unittest.TestCase):
    def test_identical_builds_fail_in_at_most_one_session_of_twenty(self) -> None:
        generator = np.random.default_rng(8)
        sessions = 300
        false = sum(
            any(judged.verdict in ("REGRESSED", "IMPROVED") for judged in session(generator, 0).values())
            for _ in range(sessions)
        )
        self.assertLess(stats.wilson_interval(false, sessions)[1], 0.05)

    def test_without_the_margin_holm_alone_keeps_the_family_wise_error(self) -> None:
        generator = np.random.default_rng(9)
        sessions, false = 300, 0
        for _ in range(sessions):
            screened = {str(i): generator.normal(0, 1, 18) for i in range(24)}
            fresh = {c: generator.normal(0, 1, 45) for c, v in screened.items() if stats.screen_direction(v)}
            judged = stats.judge(screened, fresh, {c: 9 for c in screened}, margin=0)
            false += any(one.verdict in ("REGRESSED", "IMPROVED") for one in judged.values())
        self.assertLess(stats.wilson_interval(false, sessions)[0], 0.05)
        self.assertLess(false / sessions, 0.06)

    def test_quiet_cells_show_three_and_two_per_cent(self) -> None:
        generator = np.random.default_rng(10)
        for slow_down, power in ((0.03, 0.95), (0.02, 0.80)):
            found = sum(
                session(generator, slow_down, cells=6)["0"].verdict == "REGRESSED" for _ in range(200)
            )
            self.assertGreater(stats.wilson_interval(found, 200)[0], power)


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

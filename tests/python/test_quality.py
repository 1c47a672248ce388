"""The judges of the noise pass what is normal and fail what is not.

SPDX-License-Identifier: MIT
"""

import math
import unittest

import numpy as np
from scipy import stats

from scripts.studies import quality


def float_data(n: int, mean: float = 0.0, scale: float = 1.0) -> dict[str, object]:
    """What noise_quality might print for n normals, scaled and shifted; their sums are the expected ones."""
    edges = np.arange(-8 * 2048, 8 * 2048 + 1) / 2048
    counts = np.random.default_rng(1).poisson(n * quality.interval_probabilities((edges - mean) / scale))
    powers = [
        n * mean,
        n * (mean**2 + scale**2),
        n * (mean**3 + 3 * mean * scale**2),
        n * (mean**4 + 6 * mean**2 * scale**2 + 3 * scale**4),
    ]
    return {"samples": n, "per_unit": 2048, "powers": powers, "cells": counts.tolist()}


def short_data(n: int, sigma: float, true_sigma: float) -> dict[str, object]:
    edges = np.arange(-32768.5, 32768, 1.0) / true_sigma
    edges[0], edges[-1] = -np.inf, np.inf
    counts = np.random.default_rng(2).poisson(n * quality.interval_probabilities(edges))
    return {"samples": n, "sigma": sigma, "cells": counts.tolist()}


class Verdicts(unittest.TestCase):
    def test_follow_the_p_value(self) -> None:
        verdicts = [quality.Row("", "", "", p, "").verdict for p in (1e-7, 1e-5, 1e-3, 0.5, math.nan)]
        self.assertEqual(verdicts, ["fail", "suspicious", "pass", "pass", "not run"])

    def test_rows_are_table_rows(self) -> None:
        row = quality.Row("name", "2^30", "z = 1", 0.31731, "a | b")
        self.assertEqual(row.markdown(), "| name | 2^30 | z = 1 | 0.317 | pass | `a \\| b` |")


class Float32(unittest.TestCase):
    def verdicts(self, **change: float) -> dict[str, str]:
        return {row.test: row.verdict for row in quality.judge_float32(float_data(2**32, **change), "")}

    def test_normals_pass(self) -> None:
        self.assertEqual(set(self.verdicts().values()), {"pass"})

    def test_a_wrong_variance_fails_in_every_test_of_the_middle(self) -> None:
        verdicts = self.verdicts(scale=1.001)
        self.assertEqual(verdicts["float32: variance"], "fail")
        self.assertEqual(verdicts["float32: χ², cells of equal probability"], "fail")
        self.assertEqual(verdicts["float32: χ², cells of 1/2048"], "fail")
        self.assertEqual(verdicts["float32: mean"], "pass")

    def test_a_shift_fails(self) -> None:
        verdicts = self.verdicts(mean=0.001)
        self.assertEqual(verdicts["float32: mean"], "fail")
        self.assertEqual(verdicts["float32: Kolmogorov–Smirnov at 32,768 points"], "fail")

    def test_a_tail_that_is_cut_off_fails(self) -> None:
        data = float_data(2**32)
        cells = np.array(data["cells"])
        cells[: 3 * 2048] = 0  # nothing below -5
        data["cells"] = cells.tolist()
        verdicts = {row.test: row.verdict for row in quality.judge_float32(data, "")}
        self.assertEqual(verdicts["float32: beyond ±5"], "fail")
        self.assertEqual(verdicts["float32: beyond ±5.5"], "fail")


class Int16(unittest.TestCase):
    def test_rounded_normals_pass(self) -> None:
        for sigma in (1.0, 98.304, 4800.0, 30000.0):
            rows = quality.judge_int16(short_data(2**31, sigma, sigma), "")
            self.assertEqual({row.verdict for row in rows}, {"pass"}, sigma)

    def test_another_sigma_fails(self) -> None:
        for sigma in (1.0, 98.304, 4800.0):
            rows = list(quality.judge_int16(short_data(2**31, sigma, sigma * 1.001), ""))
            self.assertEqual(rows[0].verdict, "fail", sigma)


class Products(unittest.TestCase):
    def test_a_correlation_of_one_lag_is_found_among_many(self) -> None:
        products = [[0.0, 0.0, 2**30] for _ in range(64)]
        products[16] = [6.5 * 2**15, -1.0 * 2**15, 2**30]
        rows = list(quality.judge_products("lags", products, ""))
        self.assertEqual([row.verdict for row in rows], ["fail", "pass"])

    def test_the_largest_of_many_is_judged_as_such(self) -> None:
        scores = np.zeros(64)
        scores[3] = -2.5
        largest, p = quality.largest_of(scores)
        self.assertEqual(largest, -2.5)
        self.assertAlmostEqual(p, 1 - (1 - 2 * stats.norm.sf(2.5)) ** 64)

    def test_repeated_blocks_fail(self) -> None:
        verdicts = [
            next(iter(quality.judge_blocks({"blocks": 2**24, "repeated": n}, ""))).verdict for n in (0, 1)
        ]
        self.assertEqual(verdicts, ["pass", "suspicious"])


class Battery(unittest.TestCase):
    TEXT = """# a comment
   diehard_birthdays|   0|       100|     100|0.92821995|  PASSED
          sts_serial|   1|    100000|     100|0.00000001|  FAILED
          sts_serial|   2|    100000|     100|0.50000000|  PASSED
        rgb_lagged_sum|   0|   1000000|     100|0.99999999|  FAILED
"""

    def test_a_test_is_as_good_as_its_most_extreme_p_value(self) -> None:
        rows = {row.test: row for row in quality.judge_battery(self.TEXT, "")}
        self.assertEqual(len(rows), 3)
        self.assertEqual(rows["dieharder diehard_birthdays"].verdict, "pass")
        self.assertEqual(rows["dieharder sts_serial"].verdict, "fail")
        self.assertEqual(rows["dieharder rgb_lagged_sum"].verdict, "fail")


if __name__ == "__main__":
    unittest.main()

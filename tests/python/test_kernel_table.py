"""The table of kernels says what was measured, and why not where it was not.

SPDX-License-Identifier: MIT
"""

import math
import unittest

from scripts.studies import kernel_table
from scripts.studies.kernel_table import Series


def series(name: str, ns: float, rounds: int = 9) -> Series:
    """A drift of 10% a round, the same for all."""
    return Series(name, {n: ns * 1.1**n for n in range(1, rounds + 1)})


class Ratios(unittest.TestCase):
    def test_are_paired_by_round_so_that_a_common_drift_cancels(self) -> None:
        self.assertEqual(kernel_table.ratio(series("a", 12.0), series("b", 0.5)), "24.0 [24.0, 24.0]")

    def test_have_no_interval_where_rounds_are_few(self) -> None:
        self.assertEqual(kernel_table.ratio(series("a", 12.0, 3), series("b", 0.5, 3)), "24.0")

    def test_of_nothing_are_a_dash(self) -> None:
        one = series("a", 1.0)
        self.assertEqual(kernel_table.ratio(one, one), "–")
        self.assertEqual(kernel_table.ratio(None, one), "–")
        self.assertEqual(kernel_table.ratio(one, Series("b", skipped="skipped: x")), "–")


class Table(unittest.TestCase):
    def test_has_a_row_for_every_series_and_the_reason_for_a_skipped_one(self) -> None:
        table = {
            "float32": [
                series("avx512", 0.25),
                Series("neon64", skipped="skipped: needs an AArch64 CPU"),
                series("std_mt19937_64", 20.0),
                series("std_mt19937_native", 8.0),
                series("limit_add", 0.1),
            ]
        }
        lines = kernel_table.markdown(table, "L2", 9).splitlines()
        self.assertIn("65,536 samples (L2)", lines[0])
        rows = {
            line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]
        }
        self.assertEqual(
            rows["float32"],
            [
                "ns/sample",
                "× faster than std_mt19937_64",
                "× faster than std_mt19937_native",
                "× the time of limit_add",
            ],
        )
        self.assertEqual(rows["avx512"][1:], ["80.0 [80.0, 80.0]", "32.0 [32.0, 32.0]", "2.5 [2.5, 2.5]"])
        self.assertEqual(rows["neon64"][0], "skipped: needs an AArch64 CPU")
        self.assertEqual(rows["limit_add"][-1], "–")

    def test_every_row_has_as_many_cells_as_the_head(self) -> None:
        table = {"int32": [series("avx2", 1.0), Series("x", skipped="skipped: y"), series("naive", 9.0)]}
        widths = {line.count("|") for line in kernel_table.markdown(table, "L1", 9).splitlines()[2:]}
        self.assertEqual(len(widths), 1)


class Numpy(unittest.TestCase):
    def test_is_timed_in_every_form(self) -> None:
        for name in kernel_table.NUMPY:
            for sample_format in kernel_table.YARDSTICKS:
                ns = kernel_table.numpy_ns(name, sample_format, 1000, 0.001)
                self.assertTrue(math.isfinite(ns) and ns > 0)


if __name__ == "__main__":
    unittest.main()

"""The simulation of coverage finds what is exact, and its table goes where the document wants it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from scripts.lib import stats
from scripts.studies import coverage


class Simulation(unittest.TestCase):
    def test_the_median_is_covered_as_often_as_the_binomial_says(self) -> None:
        for rounds in (6, 12, 30):
            exact = stats.interval_coverage(rounds, stats.interval_rank(rounds))
            self.assertAlmostEqual(coverage.median_coverage(rounds, 8000), exact, delta=0.015)

    def test_an_interval_that_is_too_narrow_is_found_out(self) -> None:
        # The bootstrap of few rounds is known to be narrow; with 30 it is close to what it says.
        self.assertGreaterEqual(coverage.metg_coverage(30, 0.05, 80, 200), 0.85)
        self.assertLessEqual(coverage.metg_coverage(6, 0.05, 80, 200), 1.0)

    def test_it_is_the_same_every_time(self) -> None:
        self.assertEqual(coverage.metg_coverage(6, 0.05, 5, 50), coverage.metg_coverage(6, 0.05, 5, 50))


class Document(unittest.TestCase):
    def test_the_table_replaces_the_old_one_and_nothing_else(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder) / "METHOD.md"
            document.write_text(f"before\n{coverage.BEGIN}\nold\n{coverage.END}\nafter\n")
            self.assertEqual(coverage.main(["--sessions", "2", "--write", str(document)]), 0)
            text = document.read_text()
            self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
            self.assertNotIn("old", text)
            for rounds in coverage.ROUNDS:
                self.assertIn(f"\n| {rounds} | ", text)

    def test_a_document_without_a_place_is_refused(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(coverage.main(["--sessions", "0"]), 2)
        self.assertIn("at least 1", said.getvalue())


if __name__ == "__main__":
    unittest.main()

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

    def test_the_interval_of_metg_holds_the_truth_on_every_grid_under_every_law(self) -> None:
        for law in coverage.LAWS:
            for grid in coverage.GRIDS:
                for rounds, noise in ((6, 0.05), (18, 0.2)):
                    held, _ = coverage.metg_sessions(law, grid, rounds, noise, 100)
                    self.assertGreaterEqual(
                        held, 0.90, f"{law.__name__}, {grid}, {rounds} rounds"
                    )  # 93% and chance

    def test_it_is_the_same_every_time(self) -> None:
        once, again = (coverage.metg_sessions(coverage.added, "×2", 6, 0.05, 5) for _ in range(2))
        self.assertEqual(once, again)


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

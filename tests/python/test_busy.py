"""The comparison of an idle run with busy ones finds what contradicts, and what is withheld is no contradiction.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from scripts.studies import busy
from tests.python import synthetic


class Comparing(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        cells = [
            one
            for one in synthetic.full_cells(2)
            if one["sweep"].partition(".")[0] in ("strategies", "chunk", "kernels")
        ]
        self.idle = synthetic.write_run(self.folder / "idle", synthetic.observations(cells))

        def stretched(cell: synthetic.Cell) -> float:
            """As a hog does: two workers wait for the one that shares its CPU."""
            return synthetic.model_wall_ns(cell) * (3.0 if cell["workers"] > 1 else 1.0)

        self.busy = synthetic.write_run(
            self.folder / "busy", synthetic.observations(cells, stretched, seed=2)
        )

    def run_main(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = busy.main(argv)
        return status, out.getvalue(), err.getvalue()

    def test_a_busy_run_that_does_not_know_it_contradicts(self) -> None:
        status, out, _ = self.run_main("--runs", str(self.idle), str(self.busy))
        self.assertEqual(status, 1)
        self.assertIn("| Which strategy? | contradicts (1) |", out)
        self.assertRegex(out, r"contradicts: fastest for .*: one of sequential; idle: one of ")

    def test_a_busy_run_that_knows_it_withholds_and_still_says_something(self) -> None:
        synthetic.disturb(self.busy)
        status, out, _ = self.run_main("--runs", str(self.idle), str(self.busy))
        self.assertEqual(status, 0, out)
        self.assertIn("| Which strategy? | cannot tell |", out)
        self.assertRegex(out, r"\| With which chunk size\? \| agrees \(\d\) \|")
        self.assertRegex(out, r"\| What do the kernels give\? \| agrees \(\d\) \|")

    def test_a_run_that_says_nothing_at_all_is_not_sound(self) -> None:
        only = [one for one in synthetic.full_cells(2) if one["sweep"] == "strategies"]
        runs = [synthetic.write_run(self.folder / name, synthetic.observations(only)) for name in "ab"]
        synthetic.disturb(runs[1])
        self.assertEqual(self.run_main("--runs", *map(str, runs))[0], 1)

    def test_usage(self) -> None:
        self.assertEqual(self.run_main("--runs", str(self.idle))[0], 2)
        self.assertEqual(self.run_main("--runs", str(self.idle), str(self.folder / "none"))[0], 2)
        self.assertEqual(self.run_main("--program", str(self.folder / "none"))[0], 3)
        self.assertEqual(self.run_main("--processes", "0")[0], 2)

    def test_the_load_ends_with_what_it_is_for(self) -> None:
        with busy.load(busy.BURSTS, 2):
            pass
        with self.assertRaises(ZeroDivisionError), busy.load(busy.HOG, 1):
            raise ZeroDivisionError


if __name__ == "__main__":
    unittest.main()

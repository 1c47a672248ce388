"""The README's table says what the reference run found, and neither more nor less.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from scripts import readme, results
from tests.python import synthetic

MACHINE: dict[str, Any] = {**synthetic.MACHINE, "virtual_machine": False, "build": {"compiler": "GNU 12"}}


def cells(workers: int = 2) -> list[synthetic.Cell]:
    """quick_cells() as the sweep quick has them now, with the groups that it lacks."""
    found = []
    for cell in synthetic.quick_cells(workers):
        if cell["strategy"] != "openmp" or cell["sweep"] != "quick.granularity":
            found.append(cell)
        elif cell["schedule"] == "static":
            found.append({**cell, "schedule": "", "chunk_size": 1})
    for tasks in (1, 24):
        files: synthetic.Cell = {"sweep": "quick.files", "tasks": tasks}
        found.append(synthetic.cell(**files))
        found += [synthetic.cell(**files, strategy=s, workers=workers) for s in ("std_thread", "openmp")]
    for kernel in ("naive", "scalar", "avx2"):
        found.append(synthetic.cell(sweep="quick.kernels", workload="noise", kernel=kernel))
        found.append(synthetic.cell(sweep="quick.kernels_etl", kernel=kernel))
    return found


def wall_ns(cell: synthetic.Cell) -> float:
    """OpenMP is half as fast as it should be; one file is not shared; naive noise takes four times as long."""
    wall = synthetic.model_wall_ns(cell)
    if cell["tasks"] == 1:
        wall *= cell["workers"]
    return wall * (2.5 if cell["strategy"] == "openmp" else 4 if cell["kernel"] == "naive" else 1)


class Findings(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"

    def findings(self, rounds: int = 6, machine: dict[str, Any] | None = None, workers: int = 2) -> list[str]:
        rows = synthetic.observations(cells(workers), wall_ns, rounds=rounds, noise=0.001)
        synthetic.write_run(self.folder, rows, MACHINE if machine is None else machine)
        return readme.findings(results.load(self.folder)).splitlines()

    def line(self, lines: list[str], *words: str) -> str:
        found = [line for line in lines if all(word in line for word in words)]
        self.assertEqual(len(found), 1, words)
        return found[0].split(" | ")[1].rstrip(" |")

    def test_ratios_are_those_of_the_model_whichever_way_they_go(self) -> None:
        lines = self.findings()
        self.assertRegex(
            self.line(lines, "24 files of 10 s", "std_thread"), r"^(1\.99|2\.0\d)× \[.*\] as fast$"
        )
        slow = self.line(lines, "24 files of 10 s", "openmp")
        self.assertRegex(slow, r"^0\.(79|80)× \[0\.\d\d–0\.\d\d\] as fast$")
        self.assertRegex(self.line(lines, "Noise in memory", "avx2"), r"^(3\.9|4\.0)\d× ")
        self.assertIn("with 2 workers", "".join(lines))

    def test_the_threshold_of_the_model_is_found(self) -> None:
        # 1 µs for each task: 50% at 1 µs, 91% at 10 µs; a straight line over the logarithm has 75% at 4.08 µs.
        pays = self.line(self.findings(), "does `std_thread` pay")
        self.assertRegex(pays, r"75% efficient from 4\.[01]\d µs \[\d\.\d+–\d\.\d+\]$")

    def test_too_few_rounds_have_no_interval(self) -> None:
        lines = self.findings(rounds=3)
        self.assertRegex(
            self.line(lines, "24 files of 10 s", "std_thread"), r"^\d\.\d\d× as fast; too few rounds"
        )
        self.assertNotIn("–unreached", "".join(lines))

    def test_the_machine_is_the_one_that_measured(self) -> None:
        text = self.findings()[-1]
        self.assertIn("Synthetic CPU 3000, 2 CPUs, GNU 12", text)
        self.assertNotIn("virtual", text)
        one = self.findings(machine={**MACHINE, "workers": 1, "virtual_machine": True}, workers=1)
        self.assertIn("1 CPU of a virtual machine", one[-1])
        self.assertIn("with 1 worker,", "".join(one))

    def test_a_run_of_an_unknown_machine_is_refused(self) -> None:
        with self.assertRaisesRegex(results.ResultsError, "which machine"):
            self.findings(machine={})


class Splice(unittest.TestCase):
    def test_only_what_stands_between_the_markers_changes(self) -> None:
        begin = readme.BEGIN.format("x")
        text = f"before\n{begin}\nold\n{readme.END}\nafter\n"
        self.assertEqual(readme.spliced(text, "new", "x"), f"before\n{begin}\nnew\n{readme.END}\nafter\n")
        for broken in ("", begin, f"{readme.END}\n{begin}", text + text):
            with self.assertRaises(results.ResultsError):
                readme.spliced(broken, "new", "x")


if __name__ == "__main__":
    unittest.main()

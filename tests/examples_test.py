"""Promise: every example builds, runs, and gives the same with one worker as with several; so does what init writes, and
every program that explain prints.

Usage: examples_test.py PROGRAM COMPILER [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
EXAMPLES = TOP / "examples"
PROGRAM = COMPILER = ""


class ExamplesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-examples-"))
        self.addCleanup(shutil.rmtree, self.top, True)
        self.environment = {**os.environ, "NOISEFLOOR_CACHE": str(self.top / "cache"), "NOISEFLOOR": PROGRAM}

    def program(self, *arguments: str, cwd: Path | None = None, status: int = 0) -> str:
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment, cwd=cwd or self.top, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def launch(self, cell: str, cwd: Path | None = None) -> dict[str, str]:
        printed = self.program(
            *("launch", "--iterations", "1", "--repetitions", "1", "--warmups", "0", "--cell", cell), cwd=cwd
        )
        (row,) = csv.DictReader(io.StringIO(printed))
        return row

    def build(self, source: Path, *flags: str) -> str:
        """With the command that stands in its first lines."""
        line = next(
            line for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("// c++")
        )
        words = line.split(maxsplit=2)[2].replace(source.name, str(source))
        output = str(self.top / (source.stem + ".so"))
        words = words.replace(f"-o {source.stem}.so", "") + f" -o {output}"
        subprocess.run(
            ["sh", "-c", f"{COMPILER} -Wall -Wextra -Werror -I {TOP}/include {words}"],
            check=True,
            timeout=600,
        )
        return output


class Libraries(ExamplesTest):
    def test_each_gives_the_same_in_threads_and_processes(self) -> None:
        sources = sorted(EXAMPLES.glob("[!ei]*/*.cpp"))
        self.assertEqual([source.stem for source in sources], ["compress", "service", "stencil"])
        for source in sources:
            self.assertIn("Finding:", source.read_text(encoding="utf-8"))
            library = self.build(source)
            alone = self.launch(f"library={library}")
            self.assertEqual(alone["status"], "ok", alone)
            for strategy in ("std_thread", "openmp", "fork_pool_shm"):
                row = self.launch(f"library={library},strategy={strategy},workers=3")
                self.assertEqual((row["status"], row["digest"]), ("ok", alone["digest"]), row)


class Sweeps(ExamplesTest):
    def test_each_says_what_it_finds_and_its_first_cells_run(self) -> None:
        for sweep in (EXAMPLES / "hash" / "hash.toml", EXAMPLES / "python" / "count.toml"):
            cells = self.program("run", sweep.name, "--dry-run", cwd=sweep.parent).splitlines()
            self.assertGreater(len(cells), 3)
            for cell in (cells[0], next(cell for cell in cells if "strategy=std_thread" in cell)):
                self.assertEqual(self.launch(cell, cwd=sweep.parent)["status"], "ok")


class Init(ExamplesTest):
    def test_a_function_builds_and_is_measured(self) -> None:
        self.program("init", "function", "mine")
        folder = self.top / "mine"
        subprocess.run(["make", f"CXX={COMPILER}"], cwd=folder, check=True, capture_output=True, timeout=600)
        cells = self.program("run", "mine.toml", "--dry-run", cwd=folder).splitlines()
        self.assertTrue(all("library=" in cell for cell in cells))
        self.program(
            "run", "mine.toml", "--rounds", "1", "--filter", "strategies", "--out", "runs", cwd=folder
        )

    def test_a_command_is_measured(self) -> None:
        self.program("init", "command", "mine")
        for number in range(5):
            (self.top / "mine" / f"{number}.txt").write_text(f"{number}" * 1000, encoding="ascii")
        cells = self.program("run", "mine.toml", "--dry-run", cwd=self.top / "mine").splitlines()
        self.assertEqual(self.launch(cells[0], cwd=self.top / "mine")["status"], "ok")

    def test_nothing_is_written_over(self) -> None:
        (self.top / "Makefile").write_text("mine", encoding="ascii")
        self.assertIn("Makefile is there already", self.program("init", "function", status=2))
        self.assertEqual([path.name for path in self.top.iterdir()], ["Makefile"])


class Explained(ExamplesTest):
    def test_every_strategy_of_ours_is_a_program_with_the_result_of_sequential(self) -> None:
        listed = json.loads((TOP / "scripts" / "lib" / "tables.json").read_text(encoding="utf-8"))
        names = [entry["name"] for entry in listed["strategies"] if not entry["reference"]]
        self.assertEqual(sorted(names), sorted(path.stem for path in (EXAMPLES / "explain").glob("*.cpp")))
        here = {entry["name"]: entry for entry in json.loads(self.program("list", "strategies", "--json"))}
        found = {}
        for name in names:
            source = EXAMPLES / "explain" / f"{name}.cpp"
            self.assertIn(source.read_text(encoding="utf-8"), self.program("explain", name))
            if here[name]["unavailable"] or (name == "mpi" and shutil.which("mpirun") is None):
                continue
            program = self.build(source)
            starter = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"] if name == "mpi" else []
            done = subprocess.run(
                [*starter, program], capture_output=True, text=True, check=True, timeout=600
            )
            found[name] = done.stdout.splitlines()[-1]
        self.assertEqual(found, dict.fromkeys(found, found["sequential"]))
        self.assertGreater(len(found), 10)

    def test_programs_of_others_and_unknown_names_are_refused(self) -> None:
        self.assertIn("unknown strategy", self.program("explain", "python_loop", status=2))
        self.assertIn("did you mean 'openmp'", self.program("explain", "opnmp", status=2))


if __name__ == "__main__":
    PROGRAM, COMPILER = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()

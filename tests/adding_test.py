"""Promise: what docs/ADDING.md says is enough. Its blocks, put into a copy of the tree, build, are listed, and run.

Usage: adding_test.py SOURCE [unittest arguments]: SOURCE is the top of the checkout. Standard library only; the figure
is drawn.
SPDX-License-Identifier: MIT
"""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path()
PAGE = "docs/ADDING.md"
TARGETS = ("noisefloor", "strategies_test", "kernels_test", "subcommands_test")

NEW = re.compile(r"^New file `(?P<path>[^`]+)`:$")
INSERT = re.compile(r"^In `(?P<path>[^`]+)`, (?P<how>after|instead of) the line `(?P<line>[^`]+)`:$")


@dataclass(frozen=True)
class Step:
    """One block of the page: a new file, or text to put behind a line of one that is there, or in its place."""

    path: str
    text: str
    line: str = ""  # empty: a new file
    replaces: bool = False


def steps(page: str) -> list[Step]:
    """The blocks that stand under "New file ...:" and "In ..., after (or instead of) the line ...:", in their order."""
    found = []
    lines = page.splitlines()
    for at, line in enumerate(lines):
        match = NEW.match(line) or INSERT.match(line)
        if match is None:
            if line.startswith(("New file", "In `")):
                raise ValueError(f"line {at + 1} reads like an instruction and is none: {line}")
            continue
        if lines[at + 1] != "" or not lines[at + 2].startswith("```"):
            raise ValueError(f"line {at + 1} has no block after it: {line}")
        end = lines.index("```", at + 3)
        text = "".join(f"{one}\n" for one in lines[at + 3 : end])
        how = match.groupdict()
        found.append(Step(how["path"], text, how.get("line", ""), how.get("how") == "instead of"))
    return found


def apply(top: Path, step: Step) -> None:
    path = top / step.path
    if not step.line:
        if path.exists():
            raise ValueError(f"{step.path} is there already: the page must add something new")
        path.write_text(step.text, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line == f"{step.line}\n"]
    if len(places) != 1:
        raise ValueError(f"{step.path} has {len(places)} lines '{step.line}': the page needs exactly one")
    lines[places[0] : places[0] + 1] = [step.text] if step.replaces else [lines[places[0]], step.text]
    path.write_text("".join(lines), encoding="utf-8")


class PageTest(unittest.TestCase):
    def test_a_block_is_a_new_file_or_stands_behind_exactly_one_line(self) -> None:
        page = "New file `a`:\n\n```cpp\nx\n\ny\n```\n\nIn `b`, after the line `1`:\n\n```\nz\n```\n"
        page += "\nIn `b`, instead of the line `2`:\n\n```\n3\n```\n"
        self.assertEqual(
            steps(page), [Step("a", "x\n\ny\n"), Step("b", "z\n", "1"), Step("b", "3\n", "2", True)]
        )
        with tempfile.TemporaryDirectory() as name:
            top = Path(name)
            (top / "b").write_text("1\n2\n")
            for step in steps(page):
                apply(top, step)
            self.assertEqual((top / "a").read_text(), "x\n\ny\n")
            self.assertEqual((top / "b").read_text(), "1\nz\n3\n")
            for wrong in (Step("a", ""), Step("b", "", "2"), Step("b", "", "1\n1")):
                with self.assertRaises(ValueError):
                    apply(top, wrong)

    def test_an_instruction_without_its_block_is_refused(self) -> None:
        for page in (
            "New file `a`:\n\ntext\n",
            "New file a:\n\n```\n```\n",
            "In `b`, before the line `1`:\n\n```\n```\n",
        ):
            with self.assertRaises(ValueError):
                steps(page)


class AddingTest(unittest.TestCase):
    """One copy of the tree for all tests: they only look at it."""

    top = Path()
    environment: dict[str, str] = {}

    @classmethod
    def setUpClass(cls) -> None:
        cls.top = Path(tempfile.mkdtemp(prefix="noisefloor-adding-"))
        cls.addClassCleanup(shutil.rmtree, cls.top, True)
        cls.environment = {**os.environ, "NOISEFLOOR_CACHE": str(cls.top / "cache")}
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={SOURCE}", "-C", str(SOURCE)]
            + ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            check=True,
        ).stdout.decode()
        tree = cls.top / "tree"
        for name in filter(None, listed.split("\0")):
            if (SOURCE / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(SOURCE / name, tree / name)
        for step in steps((tree / PAGE).read_text(encoding="utf-8")):
            apply(tree, step)
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DNOISEFLOOR_TESTS=ON", "-DNOISEFLOOR_WERROR=ON"]
        cls.command("cmake", "-S", str(tree), "-B", str(tree / "build" / "release"), "-G", "Ninja", *options)
        cls.command("cmake", "--build", str(tree / "build" / "release"), "--target", *TARGETS)

    @classmethod
    def command(cls, *words: str, status: int = 0) -> str:
        done = subprocess.run(words, cwd=cls.top, env=cls.environment, capture_output=True, text=True)
        if done.returncode != status:
            raise AssertionError(
                f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-8000:]}{done.stderr}"
            )
        return done.stdout

    def program(self, *words: str) -> str:
        return self.command(str(self.top / "tree" / "build" / "release" / "noisefloor"), *words)

    def launch(self, cell: str) -> dict[str, str]:
        text = self.program(
            *("launch", "--iterations", "2", "--repetitions", "1", "--warmups", "0", "--cell", cell)
        )
        (row,) = csv.DictReader(io.StringIO(text))
        self.assertEqual((row["status"], row["message"]), ("ok", ""))
        return row

    def test_the_program_lists_what_was_added(self) -> None:
        for table, name in (
            ("strategies", "strided"),
            ("kernels", "plain"),
            ("workloads", "primes"),
            ("pitfalls", "pointer_chase"),
            ("sweeps", "primes"),
        ):
            rows: list[dict[str, Any]] = json.loads(self.program("list", table, "--json"))
            found = [row for row in rows if row["name"] == name]
            self.assertEqual(len(found), 1, f"{table}: {rows}")
            self.assertFalse(found[0].get("unavailable"), found)

    def test_the_strategy_does_the_work_of_sequential(self) -> None:
        tasks = "workload=primes,tasks=50,task_size=200"
        alone = self.launch(f"{tasks},strategy=sequential")
        for workers, chunk_size in ((1, 1), (2, 1), (3, 7)):
            row = self.launch(f"{tasks},strategy=strided,workers={workers},chunk_size={chunk_size}")
            self.assertEqual(row["digest"], alone["digest"])
            self.assertEqual(row["workers"], str(workers))

    def test_the_strategy_keeps_the_promises_of_all(self) -> None:
        said = self.command(
            str(self.top / "tree" / "build" / "release" / "tests" / "strategies_test"),
            "--gtest_filter=*strided*",
        )
        self.assertRegex(said, r"\[  PASSED  \] [1-9]\d* tests?")

    def test_the_kernel_makes_the_noise_of_scalar(self) -> None:
        tasks = "workload=noise,tasks=3,task_size=10000"
        digests = [self.launch(f"{tasks},kernel={name}")["digest"] for name in ("scalar", "plain")]
        self.assertEqual(digests[0], digests[1])
        said = self.command(str(self.top / "tree" / "build" / "release" / "tests" / "kernels_test"))
        self.assertRegex(said, r"\[  PASSED  \] [1-9]\d* tests?")

    def test_the_pitfall_shows_its_code_and_both_variants_agree(self) -> None:
        said = self.program("pitfall", "pointer_chase", "--no-measure")
        self.assertIn("at = nodes()[at].next;", said)
        self.assertIn("for (const std::int16_t value : samples()) sum += value;", said)
        rows = [
            self.launch(f"pitfall=pointer_chase,variant={variant},workers=1") for variant in ("list", "array")
        ]
        self.assertEqual(rows[0]["digest"], rows[1]["digest"])

    def test_the_subcommand_is_offered_runs_and_refuses_what_it_does_not_take(self) -> None:
        self.assertIn("factors\t", self.program("complete", "--", "fac"))
        self.assertEqual(self.program("factors", "360").split(), ["2", "2", "2", "3", "3", "5"])
        self.assertEqual(self.program("factors", "360", "--once").split(), ["2", "3", "5"])
        program = str(self.top / "tree" / "build" / "release" / "noisefloor")
        for words in ((), ("0",), ("-1",), ("18446744073709551616",), ("7", "8"), ("7", "--onc")):
            self.command(program, "factors", *words, status=2)
        said = self.command(str(self.top / "tree" / "build" / "release" / "tests" / "subcommands_test"))
        self.assertRegex(said, r"\[  PASSED  \] [1-9]\d* tests?")

    def test_the_sweep_runs_and_the_figure_is_drawn(self) -> None:
        runs = self.top / "runs"
        said = self.program(
            *("run", "primes", "--rounds", "2", "--yes", "--progress", "none", "--out", str(runs))
        )
        run = self.top / said.strip()
        with open(run / "observations.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({row["status"] for row in rows}, {"ok"})
        self.assertEqual({row["strategy"] for row in rows}, {"sequential", "strided", "std_thread"})
        tree = self.top / "tree"
        self.command(str(tree / "scripts" / "figures"), str(run), "--only", "uneven")
        picture = (run / "plots" / "uneven.svg").read_text(encoding="utf-8")
        self.assertIn("</svg>", picture)
        self.assertGreater((run / "plots" / "uneven.png").stat().st_size, 10_000)


if __name__ == "__main__":
    SOURCE = Path(sys.argv.pop(1)).resolve()
    unittest.main()

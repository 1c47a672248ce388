"""`noisefloor pitfall`: the list, the code on the screen, the verdict, and what is said of a wrong name.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PROGRAM = ""


def run(*arguments: str, cache: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NOISEFLOOR_CACHE": cache}
    return subprocess.run(
        [PROGRAM, "pitfall", *arguments], capture_output=True, text=True, env=environment, timeout=600
    )


class Explained(unittest.TestCase):
    def test_alone_it_lists_all_with_their_lessons(self) -> None:
        done = run()
        self.assertEqual(done.returncode, 0, done.stderr)
        table = json.loads(run("--json").stdout)
        for pitfall in table:
            self.assertIn(f"{pitfall['name']} [{pitfall['harm']}]", done.stdout)
        self.assertGreaterEqual(len(table), 25)

    def test_the_code_is_that_of_the_file(self) -> None:
        for pitfall in json.loads(run("--json").stdout):
            source = (TOP / "benchmarks" / "pitfalls" / f"{pitfall['name']}.cpp").read_text(encoding="utf-8")
            for variant in pitfall["variants"]:
                for block in variant["code"]:
                    self.assertIn(block, source)

    def test_without_measuring_it_prints_lesson_code_and_cure(self) -> None:
        done = run("fibonacci", "--no-measure")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("    Answer shared_prefix(Bench&) {", done.stdout)
        self.assertEqual(
            done.stdout.count("mpz_class from_scratch(int index) {"), 1, "shared code is printed once"
        )
        self.assertIn("what to do instead", done.stdout)
        self.assertNotIn("verdict", done.stdout)

    def test_an_unknown_name_suggests_the_nearest_and_lists_the_choices(self) -> None:
        done = run("fibonaci")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'fibonacci'", done.stderr)
        self.assertIn("tiny_tasks", done.stderr)


class Measured(unittest.TestCase):
    def test_a_wrong_answer_is_the_verdict_and_no_failure(self) -> None:
        with tempfile.TemporaryDirectory(prefix="noisefloor-pitfall-") as cache:
            done = run("wrong_read_conversion", cache=cache)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("verdict: reproduced: the answer is wrong", done.stdout)
            left = [path for path in Path(cache).rglob("*") if path.is_file()]
            self.assertEqual(left, [])

    def test_a_hang_is_the_verdict_and_leaves_no_process(self) -> None:
        done = run("pipe_deadlock")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("verdict: hang: killed at its deadline of 2.0 s", done.stdout)
        running = subprocess.run(["pgrep", "-f", "variant=write_then_read"], capture_output=True, text=True)
        mine = [pid for pid in running.stdout.split() if is_program(pid)]
        self.assertEqual(mine, [])


def is_program(pid: str) -> bool:
    """Whether a process runs the program under test."""
    try:
        return os.path.samefile(f"/proc/{pid}/exe", PROGRAM)
    except OSError:
        return False


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(argv=sys.argv)

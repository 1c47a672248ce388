"""`noisefloor compare`: verdicts, exit statuses and messages, with programs whose times come from a file.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = ""
REAL = ""


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="noisefloor-compare-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "tmp").mkdir()

    def fake(self, name: str, *plan: str) -> str:
        """A program with these benchmarks."""
        path = self.folder / name
        shutil.copy(HERE / "compare" / "fake_benchmark.sh", path)
        Path(f"{path}.plan").write_text("".join(f"{line}\n" for line in plan), encoding="utf-8")
        return str(path)

    def environment(self) -> dict[str, str]:
        known = {key: value for key, value in os.environ.items() if key != "GITHUB_ACTIONS"}
        return {**known, "TMPDIR": str(self.folder / "tmp")}

    def run_compare(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        budget = () if "--budget" in arguments else ("--budget", "20m")
        done = subprocess.run(
            [PROGRAM, "compare", *budget, "--progress", "none", "--seed", "1", *arguments],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=1500,
            check=False,
        )
        self.assertEqual(list((self.folder / "tmp").iterdir()), [], "temporary files are left behind")
        return done

    def verdicts(self, *arguments: str, status: int) -> dict[str, dict[str, object]]:
        done = self.run_compare("--format", "json", *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertTrue(done.stdout.startswith("{\n"), done.stdout[:200] + done.stderr)
        report = json.loads(done.stdout)
        return {case["name"]: case for case in report["cases"]}


class Benchmarks(Case):
    def test_a_regression_is_found_and_no_other_benchmark_blamed(self) -> None:
        base = self.fake("old", "BM_same 100000", "BM_slower 100000", "BM_faster 100000")
        head = self.fake("new", "BM_same 100000", "BM_slower 105000", "BM_faster 90000")
        out = self.folder / "out"
        cases = self.verdicts(base, head, "--out", str(out), "--", "--of-mine", status=1)
        self.assertIn(cases.pop("BM_same")["verdict"], ("OK", "UNDERPOWERED"))
        self.assertEqual(
            {name: case["verdict"] for name, case in cases.items()},
            {"BM_slower": "REGRESSED", "BM_faster": "IMPROVED"},
        )
        self.assertAlmostEqual(float(str(cases["BM_slower"]["effect"])), 0.05, delta=0.005)
        self.assertLess(float(str(cases["BM_slower"]["p"])), 0.005)
        self.assertGreater(int(str(cases["BM_slower"]["confirm_rounds"])), 0)
        self.assertIn("--of-mine", Path(f"{head}.arguments").read_text(encoding="utf-8"))
        tests = {test.get("name"): test for test in ET.parse(out / "junit.xml").getroot().iter("testcase")}
        self.assertEqual(
            [name for name, test in tests.items() if test.find("failure") is not None], ["BM_slower"]
        )
        ET.parse(out / "compare.svg")
        self.assertIn("REGRESSED", (out / "summary.md").read_text(encoding="utf-8"))
        self.assertIn(
            "::error title=REGRESSED%3A BM_slower", (out / "annotations.txt").read_text(encoding="utf-8")
        )
        with (out / "launches.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        rounds = {(row["phase"], row["round"], row["case"]) for row in rows}
        self.assertEqual(len(rows), 2 * len(rounds), "old and new in every round")
        first = [row["arm"] for row in rows if row["place"] == "0" and row["phase"] != "first"]
        self.assertLess(abs(first.count("old") - first.count("new")), 4, "each comes first equally often")

    def test_equal_programs_are_ok(self) -> None:
        base = self.fake("old", "BM_a 100000", "BM_b/8/real_time 5000")
        head = self.fake("new_one", "BM_a 100000", "BM_b/8/real_time 5000")
        cases = self.verdicts(base, head, "--strict", status=0)
        self.assertEqual({str(case["verdict"]) for case in cases.values()}, {"OK"})

    def test_what_is_in_one_only_is_a_line(self) -> None:
        base = self.fake("old", "BM_a 100000", "BM_gone 100000")
        head = self.fake("new", "BM_a 100000", "BM_fresh 100000")
        cases = self.verdicts(base, head, status=0)
        self.assertEqual(
            {name: case["verdict"] for name, case in cases.items()},
            {"BM_a": "OK", "BM_gone": "REMOVED", "BM_fresh": "NEW"},
        )

    def test_failures_are_failures_by_name(self) -> None:
        for how, status, verdict, text in (
            ("error boom", 1, "FAILED", "boom"),
            ("crash", 1, "FAILED", "SIGSEGV"),
            ("torn", 1, "FAILED", "SIGABRT"),
            ("skip no GPU", 0, "SKIPPED", "no GPU"),
            ("nan", 0, "INCONCLUSIVE", "no number"),
        ):
            with self.subTest(how):
                base = self.fake("old", "BM_a 100000", "BM_b 100000")
                head = self.fake("new", "BM_a 100000", f"BM_b 100000 {how}")
                cases = self.verdicts(base, head, status=status)
                self.assertEqual(cases["BM_b"]["verdict"], verdict)
                self.assertIn(text, str(cases["BM_b"]["reason"]))
                self.assertEqual(cases["BM_a"]["verdict"], "OK")

    def test_a_time_of_0_is_named_and_never_passes(self) -> None:
        base = self.fake("old", "BM_a 100000", "BM_b 0")
        head = self.fake("new", "BM_a 100000", "BM_b 0")
        cases = self.verdicts(base, head, "--strict", status=4)
        self.assertIn("time is 0", str(cases["BM_b"]["reason"]))
        self.assertIsNone(cases["BM_b"]["effect"])

    def test_what_fails_in_old_only_does_not_fail_new(self) -> None:
        base = self.fake("old", "BM_a 100000", "BM_b 100000 error boom")
        head = self.fake("new", "BM_a 100000", "BM_b 100000")
        self.assertEqual(self.verdicts(base, head, status=0)["BM_b"]["verdict"], "BASE_FAILED")

    def test_nothing_compared_never_passes(self) -> None:
        base = self.fake("old", "BM_a 100000 skip not here")
        head = self.fake("new", "BM_a 100000 skip not here")
        self.assertEqual(self.run_compare(base, head).returncode, 2)
        nothing_common = self.run_compare(base, self.fake("other", "BM_b 100000"))
        self.assertEqual(nothing_common.returncode, 2)
        self.assertIn("nothing in common", nothing_common.stderr)
        no_match = self.run_compare(base, head, "--filter", "BM_z")
        self.assertEqual(no_match.returncode, 2)
        self.assertIn("--filter 'BM_z'", no_match.stderr)

    def test_a_benchmark_that_never_ends_has_failed(self) -> None:
        base = self.fake("old", "BM_a 100000")
        head = self.fake("new", "BM_a 100000 endless")
        cases = self.verdicts(base, head, "--timeout", "2s", status=1)
        self.assertIn("deadline", str(cases["BM_a"]["reason"]))

    def test_names_are_matched_exactly(self) -> None:
        names = ("BM_a", "BM_ab", "BM_v<int>/8", "BM_c/x,1+2(*)", "xBM_a")
        base = self.fake("old", *(f"{name} 100000" for name in names))
        head = self.fake("new", *(f"{name} {200000 if name == 'BM_a' else 100000}" for name in names))
        cases = self.verdicts(base, head, status=1)
        self.assertEqual([name for name, case in cases.items() if case["verdict"] == "REGRESSED"], ["BM_a"])
        self.assertEqual(set(cases), set(names))

    def test_a_name_that_is_registered_twice_is_two_benchmarks(self) -> None:
        base = self.fake("old", "BM_a 100000", "BM_a 100000")
        head = self.fake("new", "BM_a 100000", "BM_a 200000")
        cases = self.verdicts(base, head, status=1)
        self.assertEqual(
            {name: case["verdict"] == "REGRESSED" for name, case in cases.items()},
            {"BM_a": False, "BM_a #2": True},
        )

    def test_one_program_twice_is_said(self) -> None:
        base = self.fake("old", "BM_a 100000")
        done = self.run_compare(base, base, "--control")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("old and new are one program", done.stdout)

    def test_the_budget_ends_the_session_without_a_verdict_from_too_little(self) -> None:
        base = self.fake("old", "BM_a 100000")
        head = self.fake("new", "BM_a 200000")
        done = self.run_compare(base, head, "--budget", "0.001s", "--strict")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("budget", done.stdout)

    def test_an_interrupt_leaves_a_verdict_that_says_so(self) -> None:
        base = self.fake("old", *(f"BM_{i} 100000" for i in range(300)))
        head = self.fake("new", *(f"BM_{i} 100000" for i in range(300)))
        with subprocess.Popen(
            [PROGRAM, "compare", "--progress", "none", "--budget", "20m", base, head],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        ) as process:
            end = time.monotonic() + 600
            while not Path(f"{head}.launches").exists() and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 130, output)
        self.assertIn("interrupted: the verdicts rest on the rounds that are complete", output)
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])


class Refused(Case):
    def refused(self, *arguments: str) -> str:
        done = self.run_compare(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_what_cannot_be_run_is_refused_by_name(self) -> None:
        good = self.fake("good", "BM_a 100000")
        plain = self.folder / "plain"
        plain.write_text("text", encoding="utf-8")
        self.assertIn("plain cannot be executed", self.refused(good, str(plain)))
        self.assertIn("missing: No such file", self.refused(str(self.folder / "missing"), good))
        self.assertIn("is a folder", self.refused(good, str(self.folder)))

    def test_other_programs_are_told_what_was_tried(self) -> None:
        good = self.fake("good", "BM_a 100000")
        for program in ("/bin/true", "/bin/false", "/bin/echo"):
            said = (
                self.refused(program, program) + self.refused(good, program)
                if program != "/bin/echo"
                else (self.refused(program, program))
            )
            self.assertIn("is no Google Benchmark program: started with --benchmark_", said)
            self.assertIn("--command", said)

    def test_shares_and_times_are_checked(self) -> None:
        good = self.fake("good", "BM_a 100000")
        self.assertIn("is no share", self.refused(good, good, "--asked", "5 percent"))
        self.assertIn("is no share", self.refused(good, good, "--margin", "500%"))
        self.assertIn("must be more than", self.refused(good, good, "--asked", "1%"))


class Commands(Case):
    def test_equal_commands_are_compared(self) -> None:
        cases = self.verdicts("--command", "true", "true", "--asked", "100%", status=0)
        self.assertIn("true", cases)

    def test_a_command_that_fails_in_new_is_a_failure(self) -> None:
        cases = self.verdicts("--command", "true", "sh -c 'echo why >&2; exit 7'", status=1)
        (case,) = cases.values()
        self.assertEqual(case["reason"], "new: exit status 7: why")

    def test_outputs_that_differ_are_a_failure_if_asked(self) -> None:
        cases = self.verdicts("--command", "--same-output", "echo a", "echo b", status=1)
        (case,) = cases.values()
        self.assertEqual(case["reason"], "the outputs differ")

    def test_prepare_runs_before_each_launch(self) -> None:
        mark = self.folder / "mark"
        self.verdicts(
            *("--command", "--asked", "100%", "--prepare", f"touch '{mark}'", f"rm '{mark}'", f"rm '{mark}'"),
            status=0,
        )
        done = self.run_compare("--command", "--prepare", "false", "true", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--prepare failed: exit status 1", done.stderr)

    def test_only_a_shell_gets_what_a_shell_reads(self) -> None:
        done = self.run_compare("--command", "echo a | cat", "true")
        self.assertEqual(done.returncode, 2)
        self.assertIn("add --shell", done.stderr)
        self.verdicts(
            "--command", "--shell", "--same-output", "--asked", "100%", "echo a | cat", "echo a", status=0
        )
        done = self.run_compare("--command", "no-such-program", "true")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no-such-program: there is no such program in PATH", done.stderr)


class RealProgram(Case):
    def test_a_program_linked_with_google_benchmark_is_read_as_it_is(self) -> None:
        done = self.run_compare(REAL, REAL, "--format", "json", "--asked", "100%", "--budget", "10m")
        report = json.loads(done.stdout)
        cases = {case["name"]: case for case in report["cases"]}
        for name in (
            *(
                "BM_plain",
                "BM_template<int>",
                "BM_capture/a+b(c)",
                "BM_args/8",
                "BM_args/64",
                "BM_threads/threads:2",
            ),
            *("BM_own/iterations:7", "BM_manual/manual_time", "BM_real/real_time", "BM_aggregates/repeats:3"),
        ):
            with self.subTest(name):
                self.assertIn(cases[name]["verdict"], ("OK", "UNDERPOWERED", "INCONCLUSIVE"), cases[name])
                self.assertIsNotNone(cases[name]["old_ns"], cases[name])
        self.assertEqual(cases["BM_fails"]["verdict"], "FAILED")
        self.assertIn("on purpose", cases["BM_fails"]["reason"])
        self.assertFalse([name for name in cases if "BigO" in name or "RMS" in name])
        for name in ("BM_threads/threads:2", "BM_manual/manual_time", "BM_real/real_time"):
            self.assertNotIn("CPU", cases[name]["measure"])
        self.assertEqual(done.returncode, 1, "one of them fails")


if __name__ == "__main__":
    PROGRAM, REAL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])

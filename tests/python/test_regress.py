"""Comparing two builds end to end, on arms with declared times and on a repository made up for it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from scripts import regress
from scripts.lib import builds
from tests.python.fake_arm import SWEEP, write_arm

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("NOISEFLOOR_PROGRAM", "")
SLOW = "task_size=200,"
FEW = ("--rounds", "8", "--confirm-rounds", "10", "--no-history", "--seed", "5")


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        (self.folder / "small.toml").write_text(SWEEP, encoding="utf-8")
        environment = {
            "NOISEFLOOR_CACHE": str(self.folder / "cache"),
            "GITHUB_ACTIONS": "",
            "GITHUB_STEP_SUMMARY": "",
        }
        environment["GITHUB_BASE_REF"] = ""
        patcher = mock.patch.dict(os.environ, environment)
        patcher.start()
        self.addCleanup(patcher.stop)

    def run_main(self, *argv: str | Path, root: Path = ROOT) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = regress.main([str(word) for word in argv], root=root)
        return status, out.getvalue(), err.getvalue()


@unittest.skipUnless(PROGRAM, "NOISEFLOOR_PROGRAM names no built program: run through ctest")
class Arms(Folder):
    def compare(self, *options: str) -> tuple[int, str, str]:
        return self.run_main(
            self.folder / "base", self.folder / "head", "--sweep", self.folder / "small.toml", "--runner", PROGRAM,
            "--out", self.folder / "runs", *FEW, *options,
        )  # fmt: skip

    def test_a_slower_head_exits_with_one_and_names_the_cell(self) -> None:
        write_arm(self.folder / "base", {})
        write_arm(self.folder / "head", {SLOW: "ns=8400000"}, build="e" * 16)
        status, out, err = self.compare()
        self.assertEqual(status, 1, err)
        self.assertRegex(out, r"REGRESSED \| spin · sequential · task_size 200 \| \+(4\.9|5\.0|5\.1)%")
        self.assertIn("1 REGRESSED, 1 OK", out)
        report = Path(out.splitlines()[-1])
        verdicts = json.loads((report / "verdicts.json").read_text())
        slow = next(cell for cell in verdicts["cells"] if cell["verdict"] == "REGRESSED")
        self.assertEqual(slow["rounds"], 10, "fresh rounds decide")
        self.assertTrue((report / "plots/gate.svg").exists())

    def test_the_same_times_pass_with_a_control(self) -> None:
        write_arm(self.folder / "base", {})
        write_arm(self.folder / "head", {}, build="e" * 16)
        status, out, err = self.compare("--control", "--strict")
        self.assertEqual(status, 0, err)
        self.assertIn("Control: base does not differ from its own copy in any of 2 cells", out)

    def test_a_head_that_crashes_or_is_wrong_fails_with_its_message(self) -> None:
        write_arm(self.folder / "base", {})
        for code, said in (
            ("kill -SEGV $$", "FAILED | spin · sequential · task_size 200: failed: "),
            ("status=wrong_output; message=digest-differs", "wrong_output: digest-differs"),
        ):
            write_arm(self.folder / "head", {SLOW: code}, build="e" * 16)
            status, out, err = self.compare()
            self.assertEqual(status, 1, err)
            self.assertIn(said, out)

    def test_a_base_that_does_not_know_a_cell_makes_it_new(self) -> None:
        write_arm(self.folder / "base", {SLOW: "echo unknown >&2; exit 2"})
        write_arm(self.folder / "head", {}, build="e" * 16)
        status, out, err = self.compare()
        self.assertEqual(status, 0, err)
        self.assertIn("| NEW | spin · sequential · task_size 200", out)

    def test_no_common_cell_exits_with_two(self) -> None:
        write_arm(self.folder / "base", {"task_size=1,": "", "task_size=": "echo unknown >&2; exit 2"})
        write_arm(self.folder / "head", {}, build="e" * 16)
        status, _, err = self.compare()
        self.assertEqual(status, 2, err)
        self.assertIn("nothing to compare", err)

    def test_another_launch_protocol_exits_with_three(self) -> None:
        write_arm(self.folder / "base", {}, protocol=2)
        write_arm(self.folder / "head", {}, build="e" * 16)
        status, _, err = self.compare()
        self.assertEqual(status, 3, err)

    def test_a_budget_cuts_rounds_and_says_so(self) -> None:
        for arm in ("base", "head"):
            write_arm(self.folder / arm, {"task_size": "sleep 0.05"}, build=arm[0] * 16)
        started = time.monotonic()
        status, out, err = self.compare("--rounds", "400", "--budget", "6s")
        self.assertEqual(status, 0, err)
        self.assertIn("budget of 6 s cut the screen from 400 rounds", out)
        self.assertLess(time.monotonic() - started, 120)

    def test_an_interrupted_session_is_judged_by_what_is_complete(self) -> None:
        for arm in ("base", "head"):
            write_arm(self.folder / arm, {"task_size": "sleep 0.02"}, build=arm[0] * 16)
        command = [str(ROOT / "scripts/regress"), str(self.folder / "base"), str(self.folder / "head")]
        command += ["--sweep", str(self.folder / "small.toml"), "--runner", PROGRAM, "--rounds", "5000"]
        command += ["--out", str(self.folder / "runs"), "--no-history"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        rows = 0
        for _ in range(6000):
            files = list((self.folder / "runs").glob("*/observations.csv"))
            rows = files[0].read_text(encoding="utf-8").count("\n") if files else 0
            if rows > 120:
                break
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 130, err)
        self.assertGreater(rows, 120, err)
        self.assertIn("The session was interrupted", out)
        self.assertIn(
            "verdicts.json", [path.name for path in next((self.folder / "runs").iterdir()).iterdir()]
        )


class WhatCannotBeMeant(Folder):
    def test_an_unknown_revision_exits_with_two(self) -> None:
        status, _, err = self.run_main("no-such-revision")
        self.assertEqual(status, 2)
        self.assertIn("'no-such-revision' is neither a built folder, nor a program, nor a revision", err)

    def test_usage_errors_exit_with_two(self) -> None:
        for words in (["--rounds", "0"], ["--budget", "soon"], ["--margin", "-1"], ["a", "b", "c"]):
            self.assertEqual(self.run_main(*words)[0], 2, words)

    def test_builds_with_other_flags_are_refused(self) -> None:
        for arm, flags in (("base", "-O1"), ("head", "-O3")):
            write_arm(self.folder / arm / "noisefloor", {})
            (self.folder / arm / "CMakeCache.txt").write_text(f"CMAKE_CXX_FLAGS:STRING={flags}\n")
        status, _, err = self.run_main(self.folder / "base", self.folder / "head")
        self.assertEqual(status, 2)
        self.assertIn("not built alike: CMAKE_CXX_FLAGS: '-O1' and '-O3'", err)

    def test_budgets_are_read(self) -> None:
        self.assertEqual(
            [regress.parse_budget(text) for text in ("90s", "1.5m", "1h", "1h30m", "1h30m5s")],
            [90, 90, 3600, 5400, 5405],
        )
        for text in ("", "90", "30m1h", "1h1h", "0s", "-1s", "1h 30m"):
            with self.assertRaises(argparse.ArgumentTypeError):
                regress.parse_budget(text)


def git(folder: Path, *words: str) -> str:
    who = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    done = subprocess.run(
        ["git", "-c", "commit.gpgsign=false", "-C", str(folder), *words],
        check=True, capture_output=True, text=True, env={**os.environ, **who},
    )  # fmt: skip
    return done.stdout.strip()


class Revisions(Folder):
    """A repository whose build copies a program that declares its times."""

    def setUp(self) -> None:
        super().setUp()
        self.root = self.folder / "repository"
        self.root.mkdir()
        presets = {
            "version": 6,
            "configurePresets": [
                {
                    "name": "release",
                    "generator": "Unix Makefiles",
                    "binaryDir": "${sourceDir}/build/${presetName}",
                }
            ],
            "buildPresets": [{"name": "release", "configurePreset": "release"}],
        }
        (self.root / "CMakePresets.json").write_text(json.dumps(presets))
        (self.root / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(fake NONE)\nadd_custom_target(noisefloor ALL\n"
            "  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/arm ${CMAKE_BINARY_DIR}/noisefloor)\n"
        )
        (self.root / ".gitignore").write_text("/build/\n")
        (self.root / "benchmarks/sweeps").mkdir(parents=True)
        (self.root / "benchmarks/sweeps/gate.toml").write_text(SWEEP)
        write_arm(self.root / "arm", {})
        git(self.folder, "init", "-q", "-b", "main", str(self.root))
        self.commit("first")
        patcher = mock.patch.dict(os.environ, {"NOISEFLOOR_REGRESS": str(self.folder / "builds")})
        patcher.start()
        self.addCleanup(patcher.stop)
        self.repository = builds.Repository(self.root, self.folder / "builds")

    def commit(self, message: str) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.root, "rev-parse", "HEAD")

    def test_the_default_base_is_the_merge_base_or_the_commit_before(self) -> None:
        first = git(self.root, "rev-parse", "HEAD")
        with self.assertRaisesRegex(builds.Stop, "no commit lies before HEAD"):
            self.repository.default_base()
        second = self.commit("second")
        self.assertEqual(self.repository.default_base(), first)
        (self.root / "new").write_text("a change that is not committed")
        self.assertEqual(self.repository.default_base(), second)
        (self.root / "new").unlink()
        git(self.root, "checkout", "-q", "-b", "branch", first)
        self.commit("on the branch")
        self.assertEqual(self.repository.default_base(), first)

    def test_a_shallow_clone_says_what_to_do(self) -> None:
        self.commit("second")
        shallow = self.folder / "shallow"
        git(self.folder, "clone", "-q", "--depth", "1", f"file://{self.root}", str(shallow))
        repository = builds.Repository(shallow, self.folder / "builds")
        with self.assertRaisesRegex(builds.Stop, "--unshallow") as caught:
            repository.default_base()
        self.assertEqual(caught.exception.status, 2)
        with self.assertRaisesRegex(builds.Stop, "--unshallow"):
            repository.commit_of("HEAD~1")

    def test_a_nearby_name_is_suggested(self) -> None:
        git(self.root, "tag", "v1.0")
        with self.assertRaisesRegex(builds.Stop, "did you mean 'v1.0'"):
            self.repository.commit_of("v1.1")

    def test_uncommitted_changes_are_what_head_is_and_leave_no_trace(self) -> None:
        before = git(self.root, "status", "--porcelain"), git(self.root, "rev-parse", "HEAD")
        self.assertFalse(self.repository.is_dirty())
        (self.root / "untracked").write_text("new")
        (self.root / ".gitignore").write_text("/build/\n# changed\n")
        self.assertTrue(self.repository.is_dirty())
        commit = self.repository.snapshot()
        self.assertEqual(git(self.root, "show", f"{commit}:untracked"), "new")
        self.assertIn("changed", git(self.root, "show", f"{commit}:.gitignore"))
        self.assertEqual(self.repository.snapshot(), commit, "the same content is the same commit")
        self.assertEqual(git(self.root, "rev-parse", "HEAD"), before[1])
        self.assertEqual(git(self.root, "diff", "--cached", "--name-only"), "")

    def test_builds_are_kept_by_commit_in_paths_of_equal_length(self) -> None:
        commits = [git(self.root, "rev-parse", "HEAD"), self.commit("second")]
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            found = [builds.build(self.repository, "x", c, is_base=True, jobs=1) for c in commits + commits]
        self.assertEqual(found[:2], found[2:])
        self.assertEqual(err.getvalue().count("building"), 2)
        self.assertEqual(len({len(str(one.program)) for one in found}), 1)

    def test_a_base_that_does_not_build_exits_with_three_and_a_head_with_one(self) -> None:
        good = git(self.root, "rev-parse", "HEAD")
        (self.root / "arm").unlink()
        bad = self.commit("no program")
        for words, status in (([bad, good], 3), ([good, bad], 1)):
            found, _, err = self.run_main(*words, root=self.root)
            self.assertEqual(found, status, err)
            self.assertIn("does not build", err)

    @unittest.skipUnless(PROGRAM, "NOISEFLOOR_PROGRAM names no built program: run through ctest")
    def test_two_revisions_are_built_compared_and_remembered(self) -> None:
        (self.root / "benchmarks/sweeps/gate.toml").write_text(SWEEP.replace("[100, 200]", "[100, 200, 300]"))
        base = self.commit("with a cell more")
        (self.root / "benchmarks/sweeps/gate.toml").write_text(SWEEP)
        write_arm(self.root / "arm", {SLOW: "ns=8800000"}, build="e" * 16)
        head = self.commit("slower")
        history = self.folder / "history"
        words: list[str | Path] = [
            "HEAD~1",
            "--runner",
            PROGRAM,
            "--out",
            self.folder / "runs",
            "--rounds",
            "8",
        ]
        words += ["--confirm-rounds", "10", "--history", history]
        status, out, err = self.run_main(*words, root=self.root)
        self.assertEqual(status, 1, err)
        self.assertRegex(out, r"REGRESSED \| spin · sequential · task_size 200 \| \+(9\.9|10\.0|10\.1)%")
        self.assertRegex(out, r"REMOVED \| spin · sequential · task_size 300: base's sweep has this cell")
        (kept,) = history.glob("*.csv")
        lines = kept.read_text().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn(f",{base},{head},", lines[1])


@unittest.skipUnless(PROGRAM and shutil.which("valgrind"), "valgrind or NOISEFLOOR_PROGRAM is missing")
class Instructions(Folder):
    def test_the_same_program_takes_the_same_instructions(self) -> None:
        (self.folder / "small.toml").write_text(SWEEP.replace("[100, 200]", "100\ntasks = 50"))
        status, out, err = self.run_main(
            PROGRAM,
            PROGRAM,
            "--instructions",
            "--sweep",
            self.folder / "small.toml",
            "--out",
            self.folder / "runs",
        )
        self.assertEqual(status, 0, err)
        self.assertRegex(out, r"OK \| spin · sequential: [\d,]+ → [\d,]+ instructions \| [+-]0\.0% ")


if __name__ == "__main__":
    unittest.main()

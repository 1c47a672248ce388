"""The gate's verdicts, on sessions of declared times: what fails, what is only said, and what is refused.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from plots.figures import gate as figure
from plots import style
from scripts import gate
from scripts.lib import results, verdicts
from tests.python import gate_rows, synthetic

ROOT = Path(__file__).resolve().parents[2]
COMPARE = Path("/usr/share/benchmark/compare.py")


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def session(self, name: str = "screen", *, cells: Sequence[Any] = gate_rows.CELLS, **how: Any) -> Path:
        rounds, sees = how.get("rounds", 18), how.pop("sees", 0.03)
        planned = how.pop("planned", rounds)
        rows = gate_rows.arm_rows(cells, **how)
        return gate_rows.write_session(self.folder / name, rows, cells=cells, rounds=planned, sees=sees)

    def report(self, screen: Path, confirm: Path | None = None, **how: Any) -> verdicts.Report:
        return verdicts.make_report(results.load(screen), results.load(confirm) if confirm else None, **how)

    def run_main(self, *argv: str | Path, github: bool = False) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        environment = {"GITHUB_ACTIONS": "true" if github else ""}
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.dict(
            os.environ, environment
        ):
            status = gate.main([str(word) for word in argv])
        return status, out.getvalue(), err.getvalue()


def words_of(report: verdicts.Report) -> dict[str, str]:
    return {verdicts.parse_cell(line.cell).get("kernel", "spin"): line.verdict for line in report.cells}


class Verdicts(Folder):
    def test_a_slower_cell_is_named_and_fails_the_session(self) -> None:
        screen = self.session(slow_down={"avx2": 0.05})
        confirm = self.session("confirm", slow_down={"avx2": 0.05}, rounds=45, seed=2)
        report = self.report(screen, confirm)
        self.assertEqual(
            words_of(report),
            {
                "avx512": "OK",
                "avx2": "REGRESSED",
                "omp_simd_avx2": "OK",
                "scalar": "OK",
                "naive": "OK",
                "spin": "OK",
            },
        )
        slow = next(line for line in report.cells if line.verdict == "REGRESSED")
        assert slow.effect is not None and slow.interval is not None
        self.assertAlmostEqual(slow.effect, 0.05, delta=0.005)
        self.assertLess(slow.interval[0], 0.05)
        self.assertGreater(slow.interval[1], 0.05)
        self.assertEqual((slow.rounds, slow.sees), (45, 0.03))
        self.assertEqual((report.verdict, report.status(strict=False)), ("REGRESSED", 1))

    def test_identical_builds_pass_despite_drift(self) -> None:
        screen = self.session(drift=0.5)
        flagged = verdicts.plan_confirmation(results.load(screen)).cells
        confirm = self.session("confirm", rounds=45, seed=2) if flagged else None
        report = self.report(screen, confirm)
        self.assertEqual(set(words_of(report).values()), {"OK"})
        self.assertEqual((report.verdict, report.status(strict=True)), ("OK", 0))

    def test_a_faster_cell_is_an_improvement_and_no_failure(self) -> None:
        screen = self.session(slow_down={"scalar": -0.1})
        report = self.report(screen, self.session("confirm", slow_down={"scalar": -0.1}, rounds=45, seed=2))
        self.assertEqual(words_of(report)["scalar"], "IMPROVED")
        self.assertEqual((report.verdict, report.status(strict=True)), ("IMPROVED", 0))

    def test_a_cell_too_noisy_for_what_is_asked_is_told_and_does_not_decide(self) -> None:
        generator = np.random.default_rng(4)
        parts = []
        for rounds in (18, 45):
            rows = gate_rows.arm_rows(rounds=rounds, seed=rounds)
            for row in rows:
                if row["kernel"] == "naive":
                    row["wall_ns"] = round(row["wall_ns"] * generator.lognormal(0, 0.3))
            parts.append(gate_rows.write_session(self.folder / f"n{rounds}", rows))
        report = self.report(*parts)
        words = words_of(report)
        self.assertEqual(words.pop("naive"), "UNDERPOWERED")
        self.assertEqual(set(words.values()), {"OK"})
        self.assertEqual((report.verdict, report.status(strict=True)), ("OK", 0))
        self.assertIn("1 of 6 cells are too noisy on this machine", verdicts.summary(report))

    def test_where_no_cell_can_see_what_is_asked_nothing_is_decided(self) -> None:
        report = self.report(
            self.session(sigma=0.3, seed=4), self.session("confirm", sigma=0.3, seed=5, rounds=45)
        )
        self.assertEqual(set(words_of(report).values()), {"UNDERPOWERED"})
        self.assertEqual(report.status(strict=False), 0)
        self.assertEqual(report.status(strict=True), 4)

    def test_four_slower_cells_and_six_rounds_are_not_called_ok(self) -> None:
        slow = {kernel: 0.3 for kernel in ("avx512", "avx2", "omp_simd_avx2", "scalar")}
        screen = self.session(slow_down=slow)
        report = self.report(screen, self.session("confirm", slow_down=slow, rounds=6, seed=2))
        self.assertEqual({words_of(report)[kernel] for kernel in slow}, {"INCONCLUSIVE"})
        self.assertEqual(report.status(strict=True), 4)
        plan = verdicts.plan_confirmation(results.load(screen), confirm_rounds=6)
        self.assertGreaterEqual(plan.rounds, 7)  # six could confirm none of them
        short = verdicts.plan_confirmation(results.load(screen), affordable=20)
        self.assertEqual((len(short.cells), short.rounds), (3, 6))
        self.assertTrue(short.left_out)

    def test_identical_builds_that_differ_make_the_session_inconclusive(self) -> None:
        arms = ("head", "base", "base2")
        rows = [
            gate_rows.arm_rows(arms=arms, slow_down={"avx2": 0.05}, rounds=rounds, seed=rounds)
            for rounds in (18, 45)
        ]
        quiet = [
            gate_rows.write_session(self.folder / f"q{i}", part, rounds=len(part))
            for i, part in enumerate(rows)
        ]
        report = self.report(*quiet)
        self.assertEqual(report.verdict, "REGRESSED")
        assert report.control is not None
        self.assertEqual({line.verdict for line in report.control}, {"OK"})
        for part in rows:
            for row in part:
                if row["arm"] == "base2" and row["kernel"] == "scalar":
                    row["wall_ns"] = round(row["wall_ns"] * 1.06)
        differing = [gate_rows.write_session(self.folder / f"d{i}", part) for i, part in enumerate(rows)]
        report = self.report(*differing)
        self.assertEqual((report.verdict, report.status(strict=False)), ("INCONCLUSIVE", 0))
        self.assertEqual(report.status(strict=True), 4)
        self.assertIn(
            "differs from its own copy in noise · sequential · scalar (+6", verdicts.summary(report)
        )
        self.assertIn("identical builds differ", verdicts.headline(report))

    def test_the_screen_names_what_to_confirm_in_a_filter_that_matches_only_it(self) -> None:
        screen = self.session(slow_down={"avx2": 0.05})
        status, out, _ = self.run_main("--flagged", screen)
        self.assertEqual(status, 0)
        wanted = re.compile(out.strip())
        matching = [cell["kernel"] for cell in gate_rows.CELLS if wanted.search(gate_rows.text_of(cell))]
        self.assertIn("avx2", matching)
        self.assertLess(len(matching), len(gate_rows.CELLS))
        self.assertNotIn("task_ns", out)

    def test_nothing_flagged_prints_nothing(self) -> None:
        cells = gate_rows.CELLS[:1]
        rows = gate_rows.arm_rows(cells, sigma=0)
        for row in rows:  # the very same time in both arms
            row["wall_ns"] = 4_000_000
        screen = gate_rows.write_session(self.folder / "same", rows, cells=cells)
        self.assertEqual(self.run_main("--flagged", screen), (0, "", ""))


class WhatGoesWrong(Folder):
    def outcome(
        self, arms: Sequence[str], status: str, message: str, name: str = "screen", **how: Any
    ) -> Path:
        return self.session(
            name,
            outcome=lambda arm, cell: (status, message)
            if arm in arms and cell["kernel"] == "avx2"
            else ("ok", ""),
            **how,
        )

    def test_a_head_that_crashes_or_writes_wrong_output_fails_with_cell_and_message(self) -> None:
        for status, message in (
            ("failed", "killed by signal 11"),
            ("wrong_output", "digest 1 where 2 was expected"),
        ):
            screen = self.outcome(["head"], status, message)
            exit_status, out, _ = self.run_main(screen)
            self.assertEqual(exit_status, 1)
            self.assertIn(f"| FAILED | noise · sequential · avx2: {status}: {message} |", out)

    def test_a_head_that_overruns_its_deadline_is_slow_and_no_crash(self) -> None:
        screen = self.outcome(["head"], "timeout", "ended at its deadline")
        report = self.report(screen)
        self.assertEqual(words_of(report)["avx2"], "INCONCLUSIVE")
        self.assertIn("flagged by the screen", verdicts.summary(report))
        confirm = self.outcome(["head"], "timeout", "ended at its deadline", "confirm", rounds=45, seed=2)
        report = self.report(screen, confirm)
        self.assertEqual(words_of(report)["avx2"], "REGRESSED")
        self.assertGreater(
            next(line.effect or 0 for line in report.cells if line.verdict == "REGRESSED"), 100
        )
        self.assertEqual(report.status(strict=False), 1)

    def test_where_both_overran_the_round_tells_nothing(self) -> None:
        report = self.report(self.outcome(["head", "base"], "timeout", "ended at its deadline"))
        self.assertEqual(words_of(report)["avx2"], "INCONCLUSIVE")
        self.assertEqual(report.status(strict=False), 0)

    def test_a_head_that_overran_when_it_was_calibrated_fails(self) -> None:
        rows = gate_rows.arm_rows(
            outcome=lambda arm, cell: ("timeout", "calibrating") if cell["kernel"] == "avx2" else ("ok", "")
        )
        for row in rows:
            if row["status"] == "timeout":
                row["wall_ns"] = row["iterations"] = ""
        report = self.report(gate_rows.write_session(self.folder / "calibrated", rows))
        self.assertEqual(words_of(report)["avx2"], "FAILED")

    def test_attempts_that_the_run_does_not_count_are_not_judged(self) -> None:
        rows = gate_rows.arm_rows()
        again = [
            {**row, "launch": row["launch"] + 10_000, "attempt": 1, "wall_ns": 3 * row["wall_ns"]}
            for row in rows
            if row["arm"] == "head"
        ]
        folder = gate_rows.write_session(self.folder / "again", [*rows, *again])
        superseded = sorted({row["launch"] for row in again})
        synthetic.disturb(folder, busy=False, sentence="", not_counted=superseded)
        self.assertEqual(set(words_of(self.report(folder)).values()), {"OK"})

    def test_builds_that_write_different_output_fail(self) -> None:
        report = self.report(self.outcome(["base"], "wrong_output", "digest 1 where 2 was expected"))
        self.assertEqual(words_of(report)["avx2"], "FAILED")
        self.assertIn("different output", verdicts.summary(report))

    def test_a_base_that_fails_is_said_and_fails_nothing(self) -> None:
        report = self.report(self.outcome(["base"], "failed", "killed by signal 11"))
        self.assertEqual(words_of(report)["avx2"], "BASE_FAILED")
        self.assertEqual(report.status(strict=False), 0)

    def test_new_removed_and_skipped_cells_are_said(self) -> None:
        for arms, verdict in ((["base"], "NEW"), (["head"], "REMOVED"), (["head", "base"], "SKIPPED")):
            report = self.report(
                self.outcome(arms, "skipped", "unknown strategy 'x'"), removed=["workload=wait"]
            )
            self.assertEqual(words_of(report)["avx2"], verdict)
            self.assertIn("unknown strategy 'x'", verdicts.summary(report))
            gone = report.cells[-1]
            self.assertEqual((gone.label, gone.verdict), ("wait", "REMOVED"))
            self.assertNotIn(report.verdict, ("FAILED", "REGRESSED"))

    def test_a_failure_outweighs_a_failed_control(self) -> None:
        screen = self.session(
            arms=("head", "base", "base2"),
            outcome=lambda arm, cell: (
                ("failed", "crashed") if arm == "head" and cell["kernel"] == "avx2" else ("ok", "")
            ),
        )
        self.assertEqual(self.report(screen).verdict, "FAILED")

    def test_no_common_cell_and_single_builds_are_refused(self) -> None:
        for outcome in (lambda arm, cell: ("skipped" if arm == "base" else "ok", "new"),):
            screen = self.session(outcome=outcome)
            status, _, err = self.run_main(screen)
            self.assertEqual(status, 2)
            self.assertIn("no cell was measured in both builds", err)
        status, _, err = self.run_main(self.session(arms=("head",)))
        self.assertEqual(status, 2)
        self.assertIn("--base BIN", err)

    def test_sessions_of_other_machines_or_builds_are_refused(self) -> None:
        screen = self.session(slow_down={"avx2": 0.05})
        for column, value, said in (
            ("machine_id", "ffff0000", "machines"),
            ("build_id", "x" * 16, "several builds"),
        ):
            rows = gate_rows.arm_rows(rounds=45, seed=2)
            for row in rows:
                row[column] = value
            confirm = self.folder / column
            synthetic.write_run(confirm, rows, {"machine_id": rows[0]["machine_id"]})
            status, _, err = self.run_main(screen, "--confirm", confirm)
            self.assertEqual(status, 2)
            self.assertIn(said, err)

    def test_a_newer_schema_is_refused(self) -> None:
        rows = gate_rows.arm_rows()
        for row in rows:
            row["schema"] = results.SCHEMA + 1
        status, _, err = self.run_main(gate_rows.write_session(self.folder / "newer", rows))
        self.assertEqual(status, 2)
        self.assertIn("newer", err)

    def test_an_interrupted_session_is_judged_by_what_is_complete_and_marked(self) -> None:
        report = self.report(self.session(rounds=11, planned=18))
        self.assertTrue(report.interrupted)
        self.assertIn("interrupted", verdicts.summary(report))
        self.assertEqual({line.rounds for line in report.cells}, {11})
        few = self.report(self.session(rounds=4, planned=18))
        self.assertEqual({line.verdict for line in few.cells}, {"INCONCLUSIVE"})
        self.assertFalse(self.report(self.session()).interrupted)

    def test_what_cannot_be_meant_exits_with_two(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(gate.main([]), 2)
            self.assertEqual(gate.main(["x", "--margin", "200%"]), 2)
        status, _, err = self.run_main(self.folder / "none")
        self.assertEqual(status, 2)
        self.assertIn("no such file", err)


class Outputs(Folder):
    def test_the_report_is_written_whole(self) -> None:
        screen = self.session(slow_down={"avx2": 0.05})
        confirm = self.session("confirm", slow_down={"avx2": 0.05}, rounds=45, seed=2)
        status, out, _ = self.run_main(screen, "--confirm", confirm, "--names", "v1", "work", github=True)
        self.assertEqual(status, 1)
        found = json.loads((screen / "verdicts.json").read_text())
        self.assertLessEqual(
            {"schema", "base", "head", "machine_id", "seconds", "verdict", "cells"}, set(found)
        )
        for cell in found["cells"]:
            self.assertLessEqual(
                {"cell", "verdict", "effect", "interval", "p", "smallest_visible", "rounds"}, set(cell)
            )
        self.assertEqual((found["base"], found["head"], found["verdict"]), ("v1", "work", "REGRESSED"))
        self.assertEqual((screen / "summary.md").read_text() in out, True)
        self.assertRegex(out, r"::error title=noise · sequential · avx2::\+[45]\.\d%25 \[.*slower than v1")
        for kind in ("svg", "png"):
            self.assertGreater((screen / "plots" / f"gate.{kind}").stat().st_size, 5000)

    def test_json_holds_no_nan(self) -> None:
        report = self.report(self.session(rounds=4))
        self.assertIsNone(json.loads(report.as_json())["cells"][0]["smallest_visible"])

    def test_labels_differ_wherever_cells_do(self) -> None:
        cells = [verdicts.parse_cell(gate_rows.text_of(cell)) for cell in gate_rows.CELLS]
        cells += [
            {**cells[0], "task_size": "7"},
            {**cells[0], "workers": "2"},
            {**cells[0], "sweep": "gate.other"},
        ]
        names = verdicts.labels(cells)
        self.assertEqual(len(set(names)), len(cells), names)

    def test_the_figure_has_a_word_a_mark_and_a_band_for_each_cell(self) -> None:
        screen = self.session(slow_down={"avx2": 0.05, "scalar": -0.06})
        confirm = self.session("confirm", slow_down={"avx2": 0.05, "scalar": -0.06}, rounds=45, seed=2)
        report = self.report(screen, confirm, removed=["workload=wait"])
        with style.settings():
            drawn = figure.draw(report)
        texts = " ".join(
            text.get_text() for text in drawn.findobj(lambda artist: hasattr(artist, "get_text"))
        )
        for line in report.cells[:-1]:
            self.assertIn(line.label, texts)
        for word in ("▲ REGRESSED", "▼ IMPROVED", "= OK", "not visible here", "wait (REMOVED)"):
            self.assertIn(word, texts)
        axes = drawn.axes[0]
        self.assertEqual(len(axes.patches), len(report.cells) - 1, "one band per cell")

    def test_the_same_report_draws_the_same_bytes(self) -> None:
        report = self.report(self.session())
        written = []
        for name in ("a", "b"):
            gate.write_report(report, self.folder / name)
            written.append((self.folder / name / "plots" / "gate.svg").read_bytes())
        self.assertEqual(*written)


def google_benchmark(times: dict[str, list[float]], **context: Any) -> str:
    entries = [
        {"name": f"{name}", "run_name": name, "run_type": "iteration", "repetitions": len(values),
         "repetition_index": i, "threads": 1, "iterations": 1, "real_time": value, "cpu_time": value, "time_unit": "us",
         "family_index": family, "per_family_instance_index": 0}
        for family, (name, values) in enumerate(times.items())
        for i, value in enumerate(values)
    ]  # fmt: skip
    facts = {
        "date": "2026-01-01T00:00:00+00:00",
        "num_cpus": 2,
        "caches": [],
        "library_build_type": "release",
    }
    return json.dumps({"context": {**facts, **context}, "benchmarks": entries})


class FromGoogleBenchmark(Folder):
    def files(self, head_factor: float = 1.0, **context: Any) -> tuple[Path, Path]:
        base, head = self.folder / "base.json", self.folder / "head.json"
        base.write_text(
            google_benchmark({"a": [10 + i / 100 for i in range(20)], "b": [5.0] * 9 + [5.1] * 9})
        )
        times = {"a": [head_factor * (10 + i / 100) for i in range(20)], "c": [1.0] * 8}
        times["b"] = [5.0] * 9 + [5.1] * 9
        head.write_text(google_benchmark(times, **context))
        return base, head

    def test_it_judges_and_warns_that_nothing_was_interleaved(self) -> None:
        status, out, err = self.run_main("--from-google-benchmark", *self.files(1.05))
        self.assertEqual(status, 1)
        self.assertIn("one after the other", err)
        self.assertIn("one after the other", out)
        self.assertRegex(out, r"REGRESSED \| a \| \+5\.0%")
        self.assertRegex(out, r"OK \| b ")
        self.assertRegex(out, r"NEW \| c: only in head")
        self.assertEqual(self.run_main("--from-google-benchmark", *self.files(1.0))[0], 0)

    def test_other_machines_and_other_files_are_refused(self) -> None:
        status, _, err = self.run_main("--from-google-benchmark", *self.files(1.0, num_cpus=64))
        self.assertEqual(status, 2)
        self.assertIn("num_cpus differs", err)
        for text in ("", "[]", "{}", '{"benchmarks": [{"real_time": 1}]}'):
            base, head = self.files()
            head.write_text(text)
            self.assertEqual(self.run_main("--from-google-benchmark", base, head)[0], 2)

    @unittest.skipUnless(
        COMPARE.exists() and importlib.util.find_spec("scipy"),
        f"{COMPARE} is not here: apt install libbenchmark-tools",
    )
    def test_compare_py_reads_the_same_files(self) -> None:
        base, head = self.files(1.05)
        done = subprocess.run(
            [sys.executable, str(COMPARE), "benchmarks", str(base), str(head)], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("a_pvalue", done.stdout)


if __name__ == "__main__":
    unittest.main()

"""The study counts what it should: patches that apply, recordings that add up, and known answers from known noise.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

from plots.figures import gate_study as figure
from plots import style
from scripts.lib import builds, judge, results
from scripts.studies import gate_study
from tests.python import gate_rows, synthetic

ROOT = Path(__file__).resolve().parents[2]
CELLS = gate_rows.CELLS[:4]
IDS = [synthetic.cell_id(cell) for cell in CELLS]


def recording(
    *, slow: float = 0.0, rounds: int = 140, sigma: float = 0.008, seed: int = 1
) -> gate_study.Recording:
    """Four cells, the first slower by `slow`; a machine that gets slower and faster for minutes."""
    generator = np.random.default_rng(seed)
    hours = 0.1 * np.sin(2 * np.pi * np.arange(rounds) / 60)
    noise = generator.normal(0, sigma / math.sqrt(2), (2, len(IDS), rounds))
    times = 1e7 * np.exp(hours + noise)
    times[0, 0] *= 1 + slow
    return gate_study.Recording(tuple(IDS), times[0], times[1])


class Patches(unittest.TestCase):
    def test_every_patch_applies_to_these_sources_at_every_share(self) -> None:
        for patch in gate_study.PATCHES:
            text = (ROOT / f"tests/inject/{patch}.patch").read_text()
            for percent in gate_study.LEVELS:
                changed = gate_study.patched(text, percent)
                self.assertIn(f"kInjectedPerMille = {10 * percent};", changed)
                done = subprocess.run(
                    ["git", "-c", f"safe.directory={ROOT}", "apply", "--check", "-"],
                    input=changed, cwd=ROOT, capture_output=True, text=True,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_there_is_a_line_for_each_patch(self) -> None:
        found = {path.stem for path in (ROOT / "tests/inject").glob("*.patch")}
        self.assertEqual(found, set(gate_study.PATCHES))
        with self.assertRaises(results.ResultsError):
            gate_study.patched("no constant", 5)


class Keeping(unittest.TestCase):
    def test_two_do_not_record_at_once(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            study = gate_study.Study(Path(folder) / "new")
            with study.locked():
                with self.assertRaisesRegex(builds.Stop, "another gate_study records there"):
                    with gate_study.Study(Path(folder) / "new").locked():
                        self.fail("both record")
            with study.locked():
                pass

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.study = gate_study.Study(self.folder / "study")

    def run_of(self, seed: int) -> results.Run:
        rows = gate_rows.arm_rows(CELLS, rounds=5, seed=seed)
        return results.load(gate_rows.write_session(self.folder / str(seed), rows, cells=CELLS, rounds=5))

    def test_recordings_go_on_where_they_ended(self) -> None:
        self.assertEqual(self.study.rounds("identical"), 0)
        for seed in (1, 2, 3):
            self.study.keep("identical", self.run_of(seed))
            self.assertEqual(self.study.rounds("identical"), 5 * seed)
        loaded = gate_study.load_recording(self.study.recording("identical"))
        self.assertEqual((loaded.head.shape, set(loaded.cells)), ((4, 15), set(IDS)))
        self.assertTrue(bool(np.all((loaded.head > 1e6) & (loaded.head < 1e8))), "per iteration, in ns")
        facts = json.loads(self.study.cells_file.read_text())
        self.assertEqual(facts["cells"][IDS[0]]["sees"], 0.03)

    def test_the_same_rows_make_the_same_bytes(self) -> None:
        self.study.keep("a", self.run_of(1))
        self.study.keep("b", self.run_of(1))
        self.assertEqual(*(self.study.recording(name).read_bytes() for name in "ab"))

    def test_a_failed_launch_is_no_recording(self) -> None:
        rows = gate_rows.arm_rows(CELLS, rounds=5, outcome=lambda arm, cell: ("failed", "crashed"))
        run = results.load(gate_rows.write_session(self.folder / "bad", rows, cells=CELLS))
        with self.assertRaisesRegex(results.ResultsError, "crashed"):
            self.study.keep("identical", run)

    def test_the_tables_come_from_the_recordings_alone(self) -> None:
        for seed in range(14):
            self.study.keep("identical", self.run_of(seed))
        slow = gate_rows.arm_rows(CELLS[1:2], rounds=70, seed=99, slow_down={"avx2": 0.05})
        self.study.keep(
            "kernel-5",
            results.load(gate_rows.write_session(self.folder / "slow", slow, cells=CELLS[1:2], rounds=70)),
        )
        self.study.live_file.write_text(
            "percent,session,status,seconds,regressed,improved\n0,0,0,80.0,,\n0,1,1,81.0,x,\n"
        )
        found = gate_study.analyse(self.study, count=40)
        text = gate_study.tables(found)
        self.assertIn("70 rounds of identical builds, 4 cells", text)
        self.assertRegex(text, r"\| noise · sequential · avx2 \| 0\.\d+% \| this gate \| 100% \|")
        self.assertIn("2 at 0%: a false alarm in 50.0%", text)
        with style.settings():
            drawn = figure.draw(found)
        self.assertEqual(len(drawn.axes), 2, "false alarms, and one slowed cell")
        self.assertEqual([label.get_text() for label in drawn.axes[0].get_yticklabels()][0], "this gate")
        document = f"before\n{gate_study.BEGIN}\nold\n{gate_study.END}\nafter\n"
        self.assertEqual(gate_study.shown(gate_study.shown(document, text), text).count(text), 1)
        with self.assertRaises(results.ResultsError):
            gate_study.shown("no markers", text)
        with gzip.open(self.study.recording("identical"), "rt") as file:
            self.assertEqual(next(file).strip().split(","), list(gate_study.RAW))


class Sessions(unittest.TestCase):
    def test_the_gate_is_quiet_where_the_others_are_not(self) -> None:
        null = recording()
        found = {
            name: gate_study.sessions(method, turns, null, count=60)
            for name, method, turns in gate_study.METHODS
        }
        self.assertLessEqual(found["this gate"]["false"], 3)
        # A machine that drifts makes an old run and a new one differ.
        self.assertGreater(found["U test at 5% (compare.py), one after the other"]["false"], 10)
        self.assertGreater(found["fixed threshold 105%, one after the other"]["false"], 10)
        self.assertEqual(found["fixed threshold 200%, one after the other"]["false"], 0)

    def test_a_slow_cell_is_found_and_named(self) -> None:
        null, slow = recording(), recording(slow=0.03, rounds=80, seed=2)
        tally = gate_study.sessions(gate_study.gate_method, True, null, slow, IDS[0], count=60)
        self.assertGreaterEqual(tally["found"], 58)
        self.assertLessEqual(tally["false"], 3)

    def test_sessions_in_turns_keep_rounds_together_and_those_after_another_do_not(self) -> None:
        null = recording(sigma=1e-9)
        generator = np.random.default_rng(3)
        drawn = gate_study.draw(generator, null, None, "", 63, True)
        self.assertLess(float(np.abs(np.log(drawn.head / drawn.base)).max()), 1e-6)
        apart = gate_study.draw(generator, null, None, "", 22, False)
        self.assertEqual(apart.head.shape, (4, 22))
        self.assertGreater(float(np.abs(np.log(apart.head / apart.base)).max()), 0.01)

    def test_equal_time_is_equal_launches(self) -> None:
        generator, rules = np.random.default_rng(4), judge.default_rules()
        identical = {str(i): generator.normal(0, 1, rules.screen_rounds) for i in range(2000)}
        flagged = np.mean([one.flagged for one in judge.judge(identical).cells.values()])
        spent = rules.screen_rounds + float(flagged) * rules.confirm_rounds
        self.assertAlmostEqual(gate_study.equal_launches(), spent, delta=1)


class Document(unittest.TestCase):
    def test_it_shows_what_was_recorded(self) -> None:
        self.assertEqual(gate_study.main(["--check"]), 0)


if __name__ == "__main__":
    unittest.main()

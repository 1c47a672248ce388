"""The document and the figure of the pitfalls say what a run says, and no more.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from plots.figures import pitfalls as figure
from plots import style
from scripts import pitfalls
from scripts.lib import pitfalls as library
from scripts.lib import results
from tests.python import synthetic


class WithRun(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="noisefloor-pitfalls-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def load(self, rounds: int = 6, spread: float = 1.05) -> results.Run:
        rows = synthetic.observations(
            synthetic.pitfall_cells(), rounds=rounds, noise=0, drift=0.2, status=synthetic.pitfall_status
        )
        for row in rows:
            if row["pitfall"] == "grows" and row["status"] == "ok":
                row["peak_rss_bytes"] = 80_000_000 if row["variant"] == "lose" else 10_000_000
            if row["pitfall"] == "no_difference" and row["round"] % 2:
                row["wall_ns"] = int(row["wall_ns"] * (1.1 if row["variant"] == "lose" else 1.1 * spread))
        synthetic.write_run(self.folder, rows)
        return results.load(self.folder)

    def verdicts(self, rounds: int = 6, spread: float = 1.05) -> dict[str, str]:
        run = self.load(rounds, spread)
        return {one.name: one.verdict for one in library.findings(synthetic.PITFALLS, run.observations)}


class Findings(WithRun):
    def test_a_ratio_is_paired_by_round_so_that_drift_cancels(self) -> None:
        self.assertRegex(self.verdicts()["ten_times"], r"^reproduced ×(10\.[0-2]|9\.[89]\d) \[")

    def test_a_narrow_interval_that_includes_1_is_not_here(self) -> None:
        self.assertRegex(self.verdicts()["no_difference"], "^not here: no difference is seen")

    def test_a_wide_interval_that_includes_1_decides_nothing(self) -> None:
        self.assertRegex(self.verdicts(spread=1.2)["no_difference"], r"^undecided: ×.*–1\.00\]")

    def test_memory_is_compared_in_its_own_measure(self) -> None:
        self.assertEqual(self.verdicts()["grows"], "reproduced ×8.00 [8.00–8.00]")

    def test_what_is_wrong_hangs_or_cannot_run_here_is_said(self) -> None:
        verdicts = self.verdicts()
        self.assertEqual(verdicts["lies"], "reproduced: the answer is wrong")
        self.assertEqual(verdicts["sticks"], "hang: killed at its deadline of 2.0 s")
        self.assertEqual(verdicts["elsewhere"], "not applicable: it takes two CPUs")

    def test_a_bad_variant_that_crashes_where_it_should_hang_or_be_wrong_gives_no_verdict(self) -> None:
        frame = self.load().observations
        crashed = frame["variant"] == "lose"
        frame.loc[crashed, ["status", "message"]] = ["failed", "killed by signal 11"]
        for name in ("sticks", "lies", "ten_times"):
            (facts,) = (one for one in synthetic.PITFALLS if one["name"] == name)
            found = library.finding(facts, frame[frame["pitfall"] == name])
            self.assertEqual(found.verdict, "no verdict: failed: killed by signal 11")

    def test_few_rounds_decide_nothing(self) -> None:
        self.assertRegex(self.verdicts(rounds=3)["ten_times"], r"^undecided: .*n = 3")

    def test_a_variant_that_was_not_measured_is_said(self) -> None:
        frame = self.load().observations
        frame = frame[frame["variant"] == "win"]
        found = library.finding(synthetic.PITFALLS[0], frame[frame["pitfall"] == "ten_times"])
        self.assertEqual(found.verdict, "not measured")


class Document(WithRun):
    def test_without_a_run_there_is_no_figure(self) -> None:
        text = pitfalls.written(synthetic.PITFALLS, None)
        self.assertIn("No reference run is committed yet", text)
        self.assertIn("| [ten_times](#ten_times) | slow | not measured yet | ×5 to ×20 |", text)
        self.assertNotIn("reproduced", text)

    def test_with_a_run_every_pitfall_has_its_verdict_and_its_variants(self) -> None:
        text = pitfalls.written(synthetic.PITFALLS, self.load())
        self.assertIn("Measured on Synthetic CPU 3000, 2 CPUs, 6 rounds", text)
        self.assertIn("Here: hang: killed at its deadline of 2.0 s.", text)
        self.assertIn("| `win` | good | it wins (`A=1`) |", text)
        self.assertIn("Elsewhere: ×2 to ×3 (a paper).", text)

    def test_what_was_left_out_is_said_with_the_reason(self) -> None:
        text = pitfalls.written(synthetic.PITFALLS, None)
        for what, why in pitfalls.LEFT_OUT:
            self.assertIn(f"- **{what}**: {why}.", text)


class Forest(WithRun):
    def test_the_figure_counts_what_shows_and_says_every_verdict(self) -> None:
        run = self.load()
        with style.settings():
            picture = figure.draw(run, run.observations)
        self.assertIn("4 of 6 pitfalls show", picture.heading)
        self.assertEqual(list(picture.data["pitfall"]), [one["name"] for one in synthetic.PITFALLS])
        texts = [text.get_text() for axes in picture.axes for text in axes.texts]
        self.assertTrue(any("not applicable" in text for text in texts))
        self.assertIn("hang", texts)

    def test_a_run_without_the_table_is_refused_with_a_way_out(self) -> None:
        run = self.load()
        (self.folder / "pitfalls.json").unlink()
        with self.assertRaisesRegex(results.ResultsError, "noisefloor run pitfalls"):
            figure.draw(run, run.observations)


if __name__ == "__main__":
    unittest.main()

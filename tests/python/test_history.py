"""The history keeps every session, chains ratios over commits, and names the commits between which time changed.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import io
import math
import random
import tempfile
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plots.figures import history as figure
from plots import style
from scripts import history
from scripts.lib import history as library
from scripts.lib import verdicts
from scripts.lib.results import ResultsError

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def line(effect: float, cell_id: str = "c1", verdict: str = "OK") -> verdicts.CellVerdict:
    text = f"workload=spin,strategy=sequential,task_size={cell_id[1:]}"
    return verdicts.CellVerdict(
        text, cell_id, "spin", verdict, effect=effect, interval=(effect - 0.002, effect + 0.002), rounds=18
    )


def report(
    *lines: verdicts.CellVerdict, control: tuple[verdicts.CellVerdict, ...] | None = None
) -> verdicts.Report:
    return verdicts.Report(
        base="b", head="h", machine_id="feed0001", seconds=1.0, verdict="OK", cells=lines, control=control,
        margin=0.01, interrupted=False, dirty_share=0.0, notes=(),
    )  # fmt: skip


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def nights(self, levels: list[float], *, noise: float = 0.002) -> Path:
        """One session per level, each against the same base."""
        generator = random.Random(1)
        path = None
        for i, level in enumerate(levels):
            effects = [math.expm1(level + generator.gauss(0, noise)), math.expm1(generator.gauss(0, noise))]
            path = library.append(
                report(line(effects[0]), line(effects[1], "c2")), "base", f"commit{i:02}", self.folder,
                START + timedelta(days=i),
            )  # fmt: skip
        assert path is not None
        return path

    def run_main(self, *argv: str | Path) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = history.main([str(word) for word in argv])
        return status, out.getvalue(), err.getvalue()


class Keeping(Folder):
    def test_a_session_is_one_line_per_measured_cell_of_its_machine(self) -> None:
        skipped = verdicts.CellVerdict("workload=wait", "c3", "wait", "SKIPPED", message="why")
        path = library.append(
            report(line(0.031), line(-0.5, "c2"), skipped), "b" * 40, "h" * 40, self.folder, START
        )
        assert path is not None
        self.assertEqual(path.name, "feed0001.csv")
        entries = library.read(path)
        self.assertEqual([entry.cell_id for entry in entries], ["c1", "c2"])
        self.assertAlmostEqual(entries[0].ratio, 1.031)
        self.assertAlmostEqual(entries[0].high, 1.033)
        self.assertEqual((entries[0].base, entries[0].utc), ("b" * 40, "2026-01-01T00:00:00Z"))

    def test_a_session_whose_control_failed_is_not_kept(self) -> None:
        bad = report(line(0.0), control=(line(0.1, verdict="REGRESSED"),))
        self.assertIsNone(library.append(bad, "b", "h", self.folder))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_broken_lines_are_named(self) -> None:
        path = self.nights([0.0])
        good = path.read_text()
        for wrong, said in (
            (good.replace("schema,", "scheme,"), "line 1"),
            (good + "1,short\n", "line 4"),
            (good.replace("\n1,", "\n9,", 1), "line 2: a newer schema"),
            (good + good.splitlines()[-1].replace("feed0001", "beef") + "\n", "several machines"),
        ):
            path.write_text(wrong)
            with self.assertRaisesRegex(ResultsError, said):
                library.read(path)

    def test_the_anchor_is_the_base_of_the_newest_session(self) -> None:
        self.assertEqual(library.anchor(self.folder), "")
        library.append(report(line(0)), "old", "x", self.folder, START)
        library.append(report(line(0)), "new", "x", self.folder, START + timedelta(days=2))
        self.assertEqual(self.run_main(self.folder, "--anchor")[1], "new")


class Chains(Folder):
    def entry(self, day: int, base: str, head: str, ratio: float) -> library.Entry:
        utc = f"2026-01-{day:02}T00:00:00Z"
        return library.Entry(
            utc, "m", base, head, "c", "workload=spin", ratio, ratio / 1.01, ratio * 1.01, 18, "OK", "OK"
        )

    def test_sessions_with_one_anchor_make_a_segment(self) -> None:
        points = library.tracks(
            [self.entry(1, "a", "b", 1.1), self.entry(2, "b", "c", 1.2), self.entry(3, "a", "d", 0.9)]
        )
        self.assertEqual([point.segment for point in points], [0, 1, 0])
        for point, expected in zip(points, (1.1, 1.2, 0.9)):
            self.assertAlmostEqual(math.exp(point.level), expected)
        self.assertAlmostEqual(math.exp(points[1].low), 1.2 / 1.01)

    def test_sessions_each_against_the_commit_before_tell_of_no_change_and_say_so(self) -> None:
        entries = [self.entry(1 + i, f"c{i}", f"c{i + 1}", 1.05) for i in range(20)]
        found = library.text_report(entries)
        self.assertIn("no change of level was found", found)
        self.assertIn("20 of 20 sessions have an anchor of their own", found)

    def test_over_a_year_of_looks_few_cells_that_do_not_change_are_alarmed(self) -> None:
        generator = np.random.default_rng(17)
        alarmed = 0
        for _ in range(80):
            levels = 0.007 * generator.standard_normal(365)
            alarmed += bool(library.shifts(self.points(levels, 0.007)))
        # 5% is promised: more than 10 of 80 are seen in 1% of such tests.
        self.assertLessEqual(alarmed, 10)

    def test_a_step_of_three_percent_is_found_within_three_sessions(self) -> None:
        generator = np.random.default_rng(18)
        found = 0
        error = 0.03 * 1.02 / math.sqrt(18)  # of a session whose rounds have a sigma of 3%
        for _ in range(100):
            levels = error * generator.standard_normal(63)
            levels[60:] += math.log(1.03)
            found += any(57 < shift.index <= 61 for shift in library.shifts(self.points(levels, error)))
        self.assertGreaterEqual(found, 85)

    def points(self, levels: npt.NDArray[np.float64], error: float) -> list[library.Point]:
        return [
            library.Point(
                f"{i:04}", f"c{i}", float(level), float(level) - 1.96 * error, float(level) + 1.96 * error, 0
            )
            for i, level in enumerate(levels)
        ]

    def test_a_change_is_named_by_the_commits_around_it(self) -> None:
        path = self.nights([0.0] * 9 + [math.log(1.05)] * 8)
        found = library.text_report(library.read(path))
        self.assertRegex(
            found, r"task_size 1: (4\.[89]|5\.[012])% slower from commit09 on, .* in commit08\.\.commit09"
        )
        self.assertEqual(found.count(" on, seen in "), 1)

    def test_changes_below_the_margin_and_quiet_chains_are_none(self) -> None:
        path = self.nights([0.0] * 9 + [math.log(1.006)] * 8, noise=0.0005)
        self.assertIn("no change of level was found", library.text_report(library.read(path)))

    def test_the_figure_names_the_commit_and_draws_every_session(self) -> None:
        entries = library.read(self.nights([0.0] * 9 + [math.log(0.95)] * 6))
        with style.settings():
            drawn = figure.draw(entries)
        texts = " ".join(
            text.get_text() for text in drawn.findobj(lambda artist: hasattr(artist, "get_text"))
        )
        self.assertRegex(texts, r"▼ -[45]\.\d% commit09")
        self.assertEqual(len(drawn.axes), 2)
        self.assertEqual(len(drawn.axes[0].containers[0].lines[0].get_xdata()), 15)

    def test_the_program_prints_and_draws_or_says_why_not(self) -> None:
        self.assertEqual(self.run_main(self.folder)[0], 2)
        path = self.nights([0.0] * 4)
        status, out, _ = self.run_main(self.folder)
        self.assertEqual(status, 0)
        self.assertIn("4 sessions, 2 cells", out)
        self.assertTrue((self.folder / "feed0001.svg").exists())
        self.assertEqual(self.run_main(path, "--cell", "nothing-like-it")[0], 2)
        self.assertEqual(self.run_main(path, "--cell", "(")[0], 2)


if __name__ == "__main__":
    unittest.main()

"""The report says what a run found and what it lacks, in one file that needs nothing else.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import csv
import gzip
import io
import random
import re
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from plots import drawing, findings, page as parts, report, table

from scripts import report as command
from scripts.lib import results, stats
from tests.python import synthetic

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """What a report holds, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.problems: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "srcset", "action"):
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else at line {self.getpos()[0]}")


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"

    def run_main(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command.main(argv)
        return status, out.getvalue(), err.getvalue()

    def page(self, expected: int = 0) -> Page:
        status, out, _ = self.run_main(str(self.folder))
        self.assertEqual(status, expected)
        target = self.folder / "report.html"
        self.assertEqual(out, f"{target.resolve()}\n")
        page = Page(target.read_text(encoding="utf-8"))
        self.assertEqual((page.problems, page.open), ([], []))
        self.assertEqual(sorted(page.ids), sorted(set(page.ids)), "ids are unique")
        for link in page.links:
            self.assertTrue(link.startswith(("#", "data:")), f"leaves the page: {link[:80]}")
            if link.startswith("#"):
                self.assertIn(link[1:], page.ids)
        for reference in re.findall(r"url\(#([^)]+)\)|aria-labelledby=['\"]([^'\"]+)['\"]", page.text):
            for name in " ".join(reference).split():
                self.assertIn(name, page.ids)
        return page


class WholeRun(Folder):
    def test_every_figure_is_in_it_with_title_description_and_numbers(self) -> None:
        synthetic.write_run(
            self.folder, synthetic.observations([*synthetic.full_cells(2), *synthetic.quick_cells(2)])
        )
        page = self.page()
        run = results.load(self.folder)
        pictures = [one for one in drawing.drawings(run) if not one.remark]
        count = page.tags.count("svg")
        self.assertGreaterEqual(count, len(table.FIGURES))
        self.assertLessEqual(count, len(pictures))
        self.assertEqual(page.tags.count("desc"), count)
        self.assertEqual(page.text.count("The numbers of this figure"), count)
        for figure in table.FIGURES:
            self.assertIn(figure.name, page.ids)
        self.assertLess(len(page.text), 3_000_000)
        # The theme's colours, not the paper's.
        drawn = "".join(re.findall(r"<svg.*?</svg>", page.text, re.S))
        for color in parts.COLORS:
            self.assertNotIn(color, drawn)

    def test_the_rows_can_be_taken_out_again(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations(synthetic.quick_cells(2), rounds=2))
        (link,) = [link for link in self.page().links if link.startswith("data:application/gzip")]
        data = gzip.decompress(base64.b64decode(link.partition(",")[2]))
        self.assertEqual(data, (self.folder / "observations.csv").read_bytes())

    def test_rows_that_are_too_many_are_packed_smaller_then_one_for_each_launch_then_left_out(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations([synthetic.cell()], rounds=200))
        run = results.load(self.folder)
        raw = (self.folder / "observations.csv").read_bytes()

        def packed(room: int) -> bytes:
            text = report.download(run, room)
            found = re.search(r"base64,([^']*)", text)
            return base64.b64decode(found[1]) if found else text.encode()

        large = len(parts.gzipped(raw)) * 4 // 3 + 4
        self.assertEqual(gzip.decompress(packed(large)), raw)
        small = len(bz2.compress(raw)) * 4 // 3 + 4
        self.assertLess(small, large)
        self.assertEqual(bz2.decompress(packed(small)), raw)
        rows = list(csv.DictReader(gzip.decompress(packed(large // 3)).decode().splitlines()))
        self.assertEqual(len(rows), 200)
        self.assertGreater(float(rows[0]["wall_ns_per_iteration"]), 1e6)
        self.assertIn(b"too many to be carried along", packed(100))

    def test_texts_in_figures_are_those_that_were_drawn(self) -> None:
        synthetic.write_run(
            self.folder,
            synthetic.observations([synthetic.cell(workload="noise", sweep="kernels", task_ns=9_000)]),
        )
        run = results.load(self.folder)
        (found,) = drawing.outcomes(run, lambda picture, _: picture, ["kernels"], bare=True, processes=1)
        assert found.value is not None
        (drawn,) = (text for axes in found.value.axes for text in axes.texts if "ns" in text.get_text())
        self.assertRegex(drawn.get_text(), r"^0\.0\d{3} \[0\.0\d{3}, ")
        self.assertIn(f">{drawn.get_text()}</text>", self.page().text)

    def test_the_same_rows_give_the_same_page(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="openmp", workers=2)]
        synthetic.write_run(self.folder, synthetic.observations(cells))
        self.assertEqual(self.page().text, self.page().text)

    def test_what_rows_hold_is_text_and_never_markup(self) -> None:
        message = "<script>alert(1)</script> & 'quotes' \x00 $x$"
        cells = [synthetic.cell(), synthetic.cell(strategy="openmp", workers=2)]
        rows = synthetic.observations(
            cells, status=lambda c: ("failed", message) if c["strategy"] == "openmp" else ("ok", "")
        )
        synthetic.write_run(self.folder, rows, {**synthetic.MACHINE, "cpu": {"model": "<b>x</b>"}})
        page = self.page()
        self.assertNotIn("<script>alert", page.text)
        self.assertNotIn("<b>x</b>", page.text)
        self.assertEqual(page.tags.count("script"), 1)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt; &amp; ", page.text)


class PartialRun(Folder):
    def test_sections_without_rows_name_the_sweep_that_fills_them(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations([synthetic.cell()]))
        text = self.page().text
        for figure in table.FIGURES:
            if figure.name not in ("strategies", "stages", "cpu", "quality", "workers"):
                self.assertIn(
                    f"No rows; the sweep {figure.fill} fills it: noisefloor run {figure.fill}.", text
                )
        self.assertIn("noisefloor run pitfalls", text)
        self.assertIn("No reference program", text)
        self.assertIn("Not measured in this run", text)

    def test_a_run_without_rows_says_so(self) -> None:
        synthetic.write_run(self.folder, [])
        self.assertIn("The run has no rows", self.page().text)

    def test_a_run_that_only_failed_says_why_and_draws_nothing(self) -> None:
        rows = synthetic.observations(synthetic.quick_cells(2), status=lambda _: ("failed", "disk full"))
        synthetic.write_run(self.folder, rows)
        page = self.page()
        self.assertNotIn("svg", page.tags)
        self.assertIn("disk full", page.text)

    def test_a_torn_line_and_an_unknown_machine_are_said(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations([synthetic.cell()]))
        whole = (self.folder / "observations.csv").read_text()
        (self.folder / "observations.csv").write_text(whole[:-30])
        (self.folder / "machine.json").unlink()
        text = self.page().text
        self.assertIn("is torn", text)
        self.assertIn("The machine is unknown", text)

    def test_a_newer_schema_and_broken_rows_still_give_a_page_that_says_why(self) -> None:
        rows = synthetic.observations([synthetic.cell()])
        rows[2]["schema"] = 99
        synthetic.write_run(self.folder, rows)
        self.assertIn("schema 99 is newer than this reader", self.page(expected=2).text)
        rows[2]["schema"] = results.SCHEMA
        rows[3]["wall_ns"] = "x"
        synthetic.write_run(self.folder, rows)
        self.assertIn("line 5: column wall_ns", self.page(expected=2).text)

    def test_no_folder_gives_no_page(self) -> None:
        status, out, err = self.run_main(str(self.folder))
        self.assertEqual((status, out), (2, ""))
        self.assertIn("no such file", err)

    def test_a_place_that_cannot_be_written_ends_with_1(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations([synthetic.cell()]))
        status, _, err = self.run_main(str(self.folder), "--out", str(self.folder / "no" / "report.html"))
        self.assertEqual(status, 1)
        self.assertIn("No such file", err)

    def test_fewer_rounds_than_an_interval_needs_have_none(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations(synthetic.quick_cells(2), rounds=2))
        self.assertIn("with fewer than 6 rounds there are none", self.page().text)

    def test_one_worker_alone_is_reported_too(self) -> None:
        synthetic.write_run(self.folder, synthetic.observations(synthetic.quick_cells(1)))
        self.page()


class Tables(Folder):
    def load(self, rows: list[synthetic.Row]) -> results.Run:
        synthetic.write_run(self.folder, rows)
        return results.load(self.folder)

    def test_pitfalls_are_compared_with_their_fastest_variant_and_a_hang_is_an_outcome(self) -> None:
        shared: synthetic.Cell = {
            "sweep": "pitfalls",
            "strategy": "",
            "workload": "",
            "pitfall": "false_sharing",
        }
        cells = [synthetic.cell(**shared, variant=name) for name in ("neighbours", "apart", "stuck")]
        rows = synthetic.observations(
            cells,
            lambda c: 5e6 if c["variant"] == "neighbours" else 1e6,
            noise=0.001,
            status=lambda c: ("timeout", "over 2 s") if c["variant"] == "stuck" else ("ok", ""),
        )
        text = report.pitfalls(self.load(rows).observations)
        self.assertRegex(text, r"neighbours.*×(4\.9\d|5\.0\d) \[")
        self.assertRegex(text, r"apart.*the fastest")
        self.assertIn("timeout: over 2 s", text)

    def test_reference_programs_stand_beside_the_fastest_of_ours(self) -> None:
        cells = [
            synthetic.cell(),
            synthetic.cell(strategy="openmp", workers=2),
            synthetic.cell(
                sweep="quick.reference", strategy="python_pool_map", workers=2, kernel="", format=""
            ),
        ]
        rows = synthetic.observations(
            cells, lambda c: {"sequential": 2e6, "openmp": 1e6}.get(c["strategy"], 40e6), noise=0.001
        )
        text = report.references(self.load(rows), self.load(rows).observations)
        self.assertRegex(text, r"python_pool_map · 2 workers.*openmp · 2 workers.*×(39|40)\.\d")

    def test_runtimes_are_compared_only_between_cells_that_differ_in_nothing_else(self) -> None:
        cells = [
            synthetic.cell(strategy="openmp", workers=2, schedule=schedule, runtime=runtime)
            for schedule in ("static", "dynamic")
            for runtime in ("libgomp", "libomp")
        ]
        rows = synthetic.observations(
            cells,
            lambda c: 3e6 if (c["runtime"], c["schedule"]) == ("libomp", "dynamic") else 1e6,
            noise=0.001,
        )
        found = findings.contrasts(self.load(rows).observations, "runtime")
        by_cell = {one["cell"]: one["ratio"].median for one in found}
        self.assertAlmostEqual(by_cell["openmp dynamic · chunk 1 · 2 workers"], 3, delta=0.02)
        self.assertAlmostEqual(by_cell["openmp static · chunk 1 · 2 workers"], 1, delta=0.01)
        self.assertEqual({one["compared"] for one in found}, {"libomp / libgomp"})

    def test_the_ranking_has_every_cell_once_and_1_for_the_fastest(self) -> None:
        run = self.load(synthetic.observations(synthetic.full_cells(2)))
        text = report.ranking(run.observations)
        launches = results.launch_values(run.observations, "wall_ns")
        launches = launches[launches["pitfall"] == ""]  # variants have a table of their own
        self.assertEqual(text.count("<tr>") - 1, len(launches[["sweep", "cell_id"]].drop_duplicates()))
        self.assertIn("×1.00", text)

    def test_values_are_written_for_people_and_missing_ones_are_no_zero(self) -> None:
        self.assertEqual(parts.value(float("nan")), ("–", True))
        self.assertEqual(parts.value(1234567), ("1,234,567", True))
        self.assertEqual(parts.value(0.000123456), ("0.0001235", True))
        self.assertEqual(parts.value("x"), ("x", False))


class Verdict(Folder):
    def answers(self, rows: list[synthetic.Row]) -> dict[str, str]:
        synthetic.write_run(self.folder, rows)
        return {one.question: one.text for one in self.said()}

    def said(self) -> list[findings.Finding]:
        """Of the run in the folder."""
        return findings.of_run(results.load(self.folder))

    def test_a_known_overhead_gives_the_duration_below_which_not_to_parallelise(self) -> None:
        sizes = [125 * 2**k for k in range(12)]
        spin: synthetic.Cell = {"sweep": "granularity", "workload": "spin", "kernel": "", "tasks": 1000}
        cells = [synthetic.cell(**spin, task_size=n, task_ns=n) for n in sizes]
        cells += [synthetic.cell(**spin, task_size=n, task_ns=n, strategy="tbb", workers=2) for n in sizes]
        # Two workers and 1 µs a task: as fast as sequential where the task takes 1 µs, 75% efficient at 3 µs.
        said = self.answers(synthetic.observations(cells, noise=0.01, rounds=12))
        text = said["From which task size on?"]
        self.assertRegex(
            text, r"chunk size 1, batches of 1,000 tasks, 2 workers.* up to 256 µs, the longest measured"
        )
        found = re.search(r"shorter than \*\*([\d.]+) (ns|µs) \[.*\]\*\* should not be parallelised", text)
        assert found is not None, text
        self.assertAlmostEqual(float(found[1]) * (1 if found[2] == "ns" else 1000), 1000, delta=60)
        self.assertRegex(
            said["From which size on efficiently?"], r"\*\*(2\.9|3\.0|3\.1)\d µs \[.*`tbb` makes use.*75%"
        )

    def test_a_strategy_that_never_pays_is_named(self) -> None:
        spin: synthetic.Cell = {"sweep": "granularity", "workload": "spin", "kernel": ""}
        cells = [synthetic.cell(**spin, task_size=n, task_ns=n) for n in (10, 100)]
        cells += [
            synthetic.cell(**spin, task_size=n, task_ns=n, strategy="tbb", workers=2) for n in (10, 100)
        ]
        text = self.answers(synthetic.observations(cells))["From which task size on?"]
        self.assertIn("No strategy measured was ever faster", text)

    def test_ties_are_said_and_clear_winners_are_alone(self) -> None:
        cells = [synthetic.cell(), *(synthetic.cell(strategy=s, workers=2) for s in ("tbb", "openmp"))]
        tied = self.answers(synthetic.observations(cells, rounds=9))["Which strategy?"]
        self.assertRegex(tied, "has the shortest median of 3 ways.*The rounds cannot tell it from")
        equal = self.answers(synthetic.observations(cells, lambda c: 1e6, rounds=9))["Which strategy?"]
        self.assertIn("no way is surely faster than `sequential`", equal)
        few = self.answers(synthetic.observations(cells, lambda c: len(c["strategy"]) * 1e6, rounds=5))
        self.assertIn("5 rounds cannot rule out any of 3; 6 could", few["Which strategy?"])
        clear = self.answers(
            synthetic.observations(
                cells, lambda c: {"tbb": 1e6, "openmp": 2e6}.get(c["strategy"], 4e6), rounds=9
            )
        )["Which strategy?"]
        self.assertRegex(clear, r"`tbb · 2 workers` is the fastest of 3 ways.*no other is as fast")
        self.assertRegex(clear, r"\*\*(3\.9\d|4\.0\d) \[")

    def test_who_fails_now_and_then_is_no_winner(self) -> None:
        cells = [synthetic.cell(), *(synthetic.cell(strategy=s, workers=2) for s in ("tbb", "openmp"))]
        times = {"tbb": 1e6, "openmp": 2e6}
        rows = synthetic.observations(cells, lambda c: times.get(c["strategy"], 4e6), rounds=9)
        for row in rows:
            if row["strategy"] == "tbb" and row["round"] == 3:
                row.update(status="failed", message="it died", wall_ns="")
        text = self.answers(rows)["Which strategy?"]
        self.assertIn("`openmp · 2 workers` is the fastest of 2 ways", text)
        self.assertIn("Out of the race: `tbb · 2 workers` (1 of 9 launches failed)", text)

    def test_no_shuffle_of_the_rounds_decides_an_answer(self) -> None:
        rows = synthetic.observations(synthetic.full_cells(2))
        answers = []
        for seed in range(3):
            blocks: dict[Any, list[synthetic.Row]] = {}
            for row in rows:
                blocks.setdefault((row["arm"], row["launch"]), []).append(row)
            order = list(blocks.values())
            random.Random(seed).shuffle(order)
            answers.append(self.answers([row for block in order for row in block]))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        self.assertEqual(
            [question for question, text in answers[0].items() if not text], ["How far ahead of Python?"]
        )

    def test_a_chunk_size_that_cannot_be_told_from_the_best_is_not_called_worse(self) -> None:
        cells = [
            synthetic.cell(sweep="chunk", strategy="tbb", workers=2, chunk_size=n) for n in (1, 4, 16, 64)
        ]
        times = {1: 1e6, 4: 1.01e6, 16: 1.2e6, 64: 2e6}
        rows = synthetic.observations(cells, lambda c: times[c["chunk_size"]], noise=0.002, rounds=9)
        clear = self.answers(rows)["With which chunk size?"]
        self.assertRegex(clear, r"best chunk size of `tbb` is \*\*1\*\*; chunk size 64 takes \*\*(1\.9|2\.0)")
        for row in rows:
            if row["chunk_size"] == 16 and row["round"] % 2:
                row["wall_ns"] = round(0.7 * row["wall_ns"])
        text = self.answers(rows)["With which chunk size?"]
        self.assertRegex(text, r"best chunk size of `tbb` is among \*\*1\*\*, \*\*16\*\*;")

    def test_python_is_set_against_ours_of_the_same_chunk_size(self) -> None:
        cells = [synthetic.cell(strategy="tbb", workers=2, chunk_size=n) for n in (1, 64)]
        cells += [
            synthetic.cell(strategy="python_pool_map", workers=2, kernel="", chunk_size=n) for n in (1, 64)
        ]
        times = {
            ("tbb", 1): 2e6,
            ("tbb", 64): 1e6,
            ("python_pool_map", 1): 20e6,
            ("python_pool_map", 64): 5e6,
        }
        rows = synthetic.observations(cells, lambda c: times[c["strategy"], c["chunk_size"]], noise=0.001)
        text = self.answers(rows)["How far ahead of Python?"]
        self.assertRegex(text, r"chunk 64.*` takes \*\*(4\.9|5\.0).*as long as `tbb.*chunk 64.*`")
        self.assertRegex(text, r"chunk 1 .*` \*\*(9\.9|10\.0).*as long as `tbb.*chunk 1 ")

    def test_python_is_set_against_the_fastest_of_ours(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="tbb", workers=2)]
        cells += [
            synthetic.cell(strategy=name, workers=2, kernel="") for name in ("python_pool_map", "python_loop")
        ]
        times = {"sequential": 2e6, "tbb": 1e6, "python_pool_map": 20e6}
        said = self.answers(
            synthetic.observations(cells, lambda c: times.get(c["strategy"], 50e6), noise=0.001)
        )
        self.assertRegex(
            said["How far ahead of Python?"],
            r"`python_pool.*` takes \*\*(19|20)\.\d+ \[.*as long as `tbb · 2 workers`, `python_loop.*\*\*(49|50)\.",
        )

    def test_a_sure_answer_counts_what_was_lost(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="tbb", workers=2)]
        rows = synthetic.observations(
            cells, status=lambda c: ("failed", "it died") if c["strategy"] == "tbb" else ("ok", "")
        )
        self.assertIn("Launches without a value: 6 failed", self.answers(rows)["How sure?"])

    def test_what_overran_its_deadline_has_its_place_and_is_a_finding(self) -> None:
        cells = [synthetic.cell(), *(synthetic.cell(strategy=s, workers=2) for s in ("tbb", "openmp"))]
        times = {"tbb": 1e6, "openmp": 2e6}
        plain = synthetic.observations(
            cells, lambda c: times.get(c["strategy"], 4e6), rounds=9, repetitions=1
        )
        for count in (1, 5):
            rows = [dict(row) for row in plain]
            for row in rows:
                if row["strategy"] == "tbb" and row["round"] < count:
                    synthetic.time_out(row, 50e6)
            said = self.answers(rows)
            # Where it overran in 5 of 9 rounds and was faster in 4, the rounds do not tell which is better.
            first = (
                "`tbb · 2 workers` is the fastest"
                if count == 1
                else "`openmp · 2 workers` has the shortest median"
            )
            self.assertIn(f"{first} of 3 ways", said["Which strategy?"])
            sure = said["How sure?"]
            if count == 1:
                self.assertIn("1 more launches overran theirs and count as longer than all others", sure)
            else:
                self.assertRegex(
                    sure,
                    r"Overran the deadline in most launches: `tbb · 2 workers` .*5 of 9 launches, \*\*> 50",
                )
            self.assertEqual(self.run_main(str(self.folder))[0], 0)
            self.assertEqual(
                "&gt; 50.0 ms" in (self.folder / "report.html").read_text(encoding="utf-8"), count == 5
            )

    def test_a_busy_run_says_so_first_and_claims_nothing_that_others_could_explain(self) -> None:
        cells = synthetic.full_cells(2)
        cells.append(
            synthetic.cell(
                sweep="strategies", strategy="python_pool_map", workers=2, kernel="", task_ns=9_000_000
            )
        )
        synthetic.write_run(self.folder, synthetic.observations(cells))
        idle = {one.question: one for one in self.said()}
        synthetic.disturb(self.folder)
        busy = {one.question: one for one in self.said()}
        withheld = [
            question
            for question, one in busy.items()
            if one.text.startswith("Cannot tell: other work took 0.9 of these 2 CPUs")
        ]
        self.assertEqual(
            withheld,
            ["Which strategy?", "From which task size on?", "From which size on efficiently?", "How far does it scale?",
             "How far from the limit?"],
        )  # fmt: skip
        for question in ("With which chunk size?", "What do the kernels give?"):
            self.assertEqual(busy[question].text, idle[question].text)
        self.assertRegex(
            busy["How far ahead of Python?"].text,
            r"whatever the other work did: `python_pool_map.* more than \*\*\d+\.\d+×",
        )
        self.assertIn(
            "more than 5% of their time from 60 of 90 launches; 7 launches measured", busy["How sure?"].text
        )
        for question, one in busy.items():
            for name, claim in one.claims.items():
                if name in idle[question].claims:
                    self.assertFalse(findings.contradict(claim, idle[question].claims[name]), name)
        self.assertEqual(self.run_main(str(self.folder))[0], 0)
        text = (self.folder / "report.html").read_text(encoding="utf-8")
        opening = (
            "Other work took 0.9 of these 2 CPUs during the run: what follows describes the busy machine."
        )
        self.assertLess(text.index(opening), text.index("id=verdict"))
        self.assertIn("Before the run: the load is 2.1", text)
        self.assertNotIn("virtual machine", text.partition("id=verdict")[0])
        self.assertIn("<li>This is a virtual machine.</li>", text)
        captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, re.S)
        self.assertTrue(captions and all(opening.partition(":")[0] + "." in caption for caption in captions))

    def test_other_work_that_is_not_known_or_takes_all_leaves_no_claim_about_python(self) -> None:
        cells = [
            synthetic.cell(),
            synthetic.cell(strategy="python_pool_map", workers=2, kernel="", task_ns=9_000_000),
        ]
        synthetic.write_run(self.folder, synthetic.observations(cells))
        for others in (None, 2.0, 1.95):
            synthetic.disturb(self.folder, others_cpus=others)
            (text,) = (one.text for one in self.said() if one.question == "How far ahead of Python?")
            self.assertTrue(text.startswith("Cannot tell: other work"), text)

    def test_claims_contradict_where_both_cannot_be_true(self) -> None:
        self.assertTrue(findings.contradict((1.0, 1.2), (1.3, 1.5)))
        self.assertFalse(findings.contradict((1.0, 1.2), (1.19, 1.5)))
        self.assertFalse(findings.contradict((1.0, 1.2), (1.23, 1.5)), "a twentieth is no contradiction")
        self.assertTrue(
            findings.contradict((float("inf"), float("inf")), (100.0, 200.0)), "never, and from 100 ns on"
        )
        self.assertFalse(findings.contradict(frozenset("ab"), frozenset("bc")))
        self.assertTrue(findings.contradict(frozenset("a"), frozenset("b")))

    def test_crossings_are_said_as_what_they_are(self) -> None:
        nan, inf = float("nan"), float("inf")
        self.assertEqual(findings.crossing(stats.Metg(900, 900, 900, "at_most", 9)), "**≤ 900 ns**")
        self.assertIn("no interval", findings.crossing(stats.Metg(900, nan, nan, "reached", 3)))
        self.assertIn("unreached", findings.crossing(stats.Metg(900, 800, inf, "reached", 9)))


if __name__ == "__main__":
    unittest.main()

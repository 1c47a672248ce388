"""The reader of the CSV takes what the program writes, and says what is wrong with anything else.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import pandas as pd

from scripts import results as command
from scripts.lib import results, tables
from tests.python import synthetic

ROOT = Path(__file__).resolve().parents[2]


class Folder(unittest.TestCase):
    """A temporary folder for a run."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"
        self.table = self.folder / "observations.csv"

    def write(self, rows: list[synthetic.Row] | None = None) -> list[synthetic.Row]:
        if rows is None:
            rows = synthetic.observations([synthetic.cell()], rounds=2, repetitions=3)
        synthetic.write_run(self.folder, rows)
        return rows

    def refusal(self) -> str:
        with self.assertRaises(results.ResultsError) as caught:
            results.load(self.folder)
        self.assertEqual(caught.exception.status, 2)
        return str(caught.exception)


class Loading(Folder):
    def test_every_value_arrives_exactly_and_empty_is_not_zero(self) -> None:
        rows = self.write()
        run = results.load(self.folder)
        frame = run.observations
        self.assertEqual(list(frame.columns), list(results.COLUMNS))
        self.assertEqual(len(frame), len(rows))
        for line, row in enumerate(rows, start=2):
            for name, kind in results.COLUMNS.items():
                read = frame.at[line, name]
                if row[name] == "" and kind != "text":
                    self.assertTrue(np.isnan(read) if kind == "real" else read is pd.NA, name)
                else:
                    self.assertEqual(str(read), str(row[name]), name)
        self.assertEqual(run.machine, synthetic.MACHINE)
        self.assertEqual(run.plan["seed"], 1)
        self.assertEqual(run.warnings, ())

    def test_a_csv_by_itself_is_enough(self) -> None:
        self.write()
        run = results.load(self.table)
        self.assertEqual(len(run.observations), 6)
        self.assertEqual(run.machine, {})

    def test_messages_with_commas_quotes_and_foreign_bytes_survive(self) -> None:
        rows = self.write()
        rows[0]["message"] = 'no "a, b" here'
        rows[1]["message"] = "WAIT"
        text = synthetic.csv_text(rows).encode().replace(b"WAIT", b"name \xff and \xe2\x80\xa8 more")
        self.table.write_bytes(text)
        frame = results.load(self.folder).observations
        self.assertEqual(frame.at[2, "message"], 'no "a, b" here')
        self.assertEqual(frame.at[3, "message"], "name \\xff and \u2028 more")

    def test_a_torn_last_line_is_left_out_with_a_warning(self) -> None:
        self.write()
        whole = self.table.read_text()
        for cut in (1, 2, 40, 200):
            with self.subTest(cut=cut):
                self.table.write_text(whole[:-cut])
                run = results.load(self.folder)
                self.assertEqual(len(run.observations), 5)
                self.assertIn("line 7 is torn", run.warnings[0])

    def test_a_header_alone_is_a_run_without_rows(self) -> None:
        self.write([])
        run = results.load(self.folder)
        self.assertEqual(len(run.observations), 0)
        self.assertIn("rows      0", command.summary(run))

    def test_what_a_run_of_another_program_adds_is_read_by_its_own_tables(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=2, repetitions=1)
        columns = list(results.COLUMNS)
        columns.insert(columns.index("format"), "huge_pages")
        columns.insert(columns.index("samples"), "watts")
        for row in rows:
            row.update(huge_pages="never", watts="12.5")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "observations.csv").write_text(synthetic.csv_text(rows, columns), encoding="utf-8")
        self.assertIn("huge_pages, watts", " ".join(results.load(self.folder).warnings))
        own = json.loads(json.dumps(tables.OURS))
        places = [row["name"] for row in own["columns"]]
        own["columns"].insert(
            places.index("samples"), {"name": "watts", "group": "measure", "kind": "real", "total": False}
        )
        own["columns"].insert(
            places.index("format"), {"name": "huge_pages", "group": "factor", "kind": "text"}
        )
        own["strategies"].append({"name": "rust_loop", "reference": True})
        (self.folder / "tables.json").write_text(json.dumps(own), encoding="utf-8")
        run = results.load(self.folder)
        self.assertEqual(list(run.observations.columns), columns)
        self.assertFalse([text for text in run.warnings if "huge_pages" in text])
        values = results.launch_values(run.observations, "watts")
        self.assertEqual(list(values["huge_pages"]), ["never"] * 2)
        self.assertEqual(results.factors(values)[-1], "variant")
        self.assertIn("rust_loop", run.references)

    def test_tables_that_cannot_be_read_are_a_warning(self) -> None:
        self.write()
        for text in ('{"columns": []}', "[]", '{"columns": [{"name": "x"}]}'):
            (self.folder / "tables.json").write_text(text, encoding="utf-8")
            run = results.load(self.folder)
            self.assertEqual(len(run.observations), 6)
            self.assertTrue(any("tables.json" in one for one in run.warnings), text)

    def test_an_older_schema_is_read_with_its_missing_columns_empty(self) -> None:
        rows = self.write()
        for row in rows:
            row["schema"] = 0
        columns = [name for name in results.COLUMNS if name not in ("variant", "steal_ticks")]
        self.table.write_text(synthetic.csv_text(rows, columns))
        frame = results.load(self.folder).observations
        self.assertTrue(frame["steal_ticks"].isna().all())
        self.assertTrue((frame["variant"] == "").all())

    def test_an_unknown_column_is_left_out_with_a_warning(self) -> None:
        rows = self.write()
        self.table.write_text(synthetic.csv_text(rows, [*results.COLUMNS, "colour"]))
        run = results.load(self.folder)
        self.assertNotIn("colour", run.observations)
        self.assertIn("colour", run.warnings[0])

    def test_damaged_facts_are_a_warning_because_the_rows_are_still_true(self) -> None:
        self.write()
        (self.folder / "machine.json").write_text('{"cpu')
        (self.folder / "plan.json").unlink()
        run = results.load(self.folder)
        self.assertEqual(len(run.observations), 6)
        self.assertIn("machine.json: line 1", run.warnings[0])
        self.assertIn("plan.json: No such file", run.warnings[1])

    def test_a_hundred_thousand_rows_are_read_whole(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=20, repetitions=5)
        lines = synthetic.csv_text(rows).splitlines(keepends=True)
        self.write([])
        with self.table.open("w") as out:
            out.write(lines[0])
            for _ in range(1000):
                out.writelines(lines[1:])
        started = time.process_time()
        run = results.load(self.table)
        print(f"read 100,000 rows in {time.process_time() - started:.1f} s of CPU time")
        self.assertEqual(len(run.observations), 100_000)


class Refusing(Folder):
    def test_a_newer_schema_is_refused_with_the_commit_that_can_read_it(self) -> None:
        rows = self.write()
        rows[3]["schema"] = results.SCHEMA + 1
        self.table.write_text(synthetic.csv_text(rows, [*results.COLUMNS, "new_measure"]))
        text = self.refusal()
        self.assertIn(f"line 5: schema {results.SCHEMA + 1} is newer", text)
        self.assertIn("deadbeef", text)

    def test_a_missing_file_says_what_to_give(self) -> None:
        self.assertIn("no such file", self.refusal())
        with self.assertRaisesRegex(results.ResultsError, "results/latest"):
            results.load(self.folder / "nowhere.csv")

    def test_an_empty_file_and_a_torn_header_have_no_rows_to_read(self) -> None:
        self.write()
        for text in ("", "schema,run_id"):
            self.table.write_text(text)
            self.assertIn("ended before its first row", self.refusal())

    def test_another_table_is_recognised(self) -> None:
        self.write()
        self.table.write_text("a,b\n1,2\n")
        self.assertIn("this is no observations.csv", self.refusal())

    def test_missing_and_repeated_columns_are_named(self) -> None:
        rows = self.write()
        self.table.write_text(synthetic.csv_text(rows, [n for n in results.COLUMNS if n != "load_ns"]))
        self.assertIn("missing column: load_ns", self.refusal())
        self.table.write_text(synthetic.csv_text(rows, [*results.COLUMNS, "seed"]))
        self.assertIn("repeated column: seed", self.refusal())

    def test_a_missing_essential_column_is_refused_in_any_schema(self) -> None:
        rows = self.write()
        for row in rows:
            row["schema"] = 0
        self.table.write_text(synthetic.csv_text(rows, [n for n in results.COLUMNS if n != "wall_ns"]))
        self.assertIn("missing column: wall_ns", self.refusal())

    def test_each_bad_value_is_named_with_its_line_and_column(self) -> None:
        cases = {
            "wall_ns": ("12.5", "is no whole number"),
            "workers": ("-1", "is no whole number"),
            "started_ns": (str(2**63), "is not below"),
            "seed": (str(2**64), "is not below"),
            "cpu_percent": ("nan", "is no finite number"),
            "status": ("okay", "is no status (ok, failed"),
            "cell_id": ("", "must not be empty"),
            "iterations": ("0", "must be at least 1"),
            "task_ns": ("1_000", "is no whole number"),
            "tasks": ("²", "is no whole number"),
        }
        for column, (value, complaint) in cases.items():
            with self.subTest(column=column):
                rows = synthetic.observations([synthetic.cell()], rounds=2, repetitions=3)
                rows[2][column] = value
                self.write(rows)
                text = self.refusal()
                self.assertIn(f"line 4: column {column}: '{value}'", text)
                self.assertIn(complaint, text)

    def test_an_ok_row_without_time_is_refused_but_a_failed_one_is_not(self) -> None:
        rows = self.write()
        rows[1]["wall_ns"] = ""
        self.write(rows)
        self.assertIn("line 3: column wall_ns", self.refusal())
        rows[1]["status"] = "timeout"
        self.write(rows)
        self.assertEqual(len(results.load(self.folder).observations), 6)

    def test_a_line_of_another_length_is_named(self) -> None:
        self.write()
        lines = self.table.read_text().split("\n")
        lines[3] = lines[3].rpartition(",")[0]
        self.table.write_text("\n".join(lines))
        count = len(results.COLUMNS)
        self.assertIn(f"line 4: {count - 1} fields, the header has {count}", self.refusal())

    def test_an_open_quote_is_named_where_it_opens(self) -> None:
        self.write()
        whole = self.table.read_text().split("\n")
        for closing in ("", '"', '"head'):
            with self.subTest(closing=closing):
                lines = list(whole)
                lines[2] = lines[2] + '"oops'
                lines[3] = lines[3] + closing
                self.table.write_text("\n".join(lines))
                self.assertIn("line 3: ", self.refusal())

    def test_many_problems_are_counted_rather_than_listed(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=10, repetitions=3)
        for row in rows:
            row["wall_ns"] = "x"
        self.write(rows)
        text = self.refusal()
        self.assertIn(f"and {30 - results.SHOWN_PROBLEMS} more", text)
        self.assertLess(len(text.splitlines()), 12)

    def test_a_launch_that_measured_two_cells_is_refused(self) -> None:
        rows = self.write()
        rows[1]["workers"] = 2
        self.write(rows)
        self.assertIn("line 3: column workers: launch 1 has both '1' and '2'", self.refusal())

    def test_several_machines_are_refused_in_rows_and_facts(self) -> None:
        rows = self.write()
        (self.folder / "machine.json").write_text(json.dumps({"machine_id": "ffffffff"}))
        self.assertIn("may not be compared", self.refusal())
        for row in rows[3:]:
            row["machine_id"] = "ffffffff"
        self.write(rows)
        self.assertIn("0123abcd, ffffffff", self.refusal())


class LaunchValues(Folder):
    def test_a_launch_counts_once_with_the_median_of_its_repetitions(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=2, repetitions=4, iterations=10)
        for row, wall in zip(rows, (100, 300, 200, 999_999, 10, 20, 30, 40)):
            row["wall_ns"] = wall
        self.write(rows)
        values = results.launch_values(results.load(self.folder).observations, "wall_ns")
        self.assertEqual(list(values["value"]), [25.0, 2.5])
        self.assertEqual(list(results.by_round(values).index), [0, 1])

    def test_a_launch_with_one_wrong_or_failed_repetition_does_not_count(self) -> None:
        for status in ("wrong_output", "failed"):
            with self.subTest(status=status):
                rows = synthetic.observations([synthetic.cell()], rounds=3, repetitions=4)
                rows[5]["status"] = status
                self.write(rows)
                values = results.launch_values(results.load(self.folder).observations, "wall_ns")
                self.assertEqual(list(values["round"]), [0, 2])

    def test_a_launch_that_overran_is_longer_than_all_others_and_its_bound_is_kept(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=7, repetitions=1)
        for row in rows[1:5]:
            synthetic.time_out(row, 80e6)
        self.write(rows)
        frame = results.load(self.folder).observations
        values = results.launch_values(frame, "wall_ns")
        self.assertEqual(list(np.isinf(values["value"])), [False, True, True, True, True, False, False])
        self.assertEqual(list(values["bound"].dropna()), [80e6] * 4)
        self.assertEqual(results.typical(values, 1e6).at_least, 80)
        self.assertEqual(len(results.launch_values(frame, "user_cpu_ns")), 3)
        self.assertEqual(results.late(frame), {values["cell_id"].iloc[0]: (4, 7)})
        self.assertEqual(results.unreliable(frame), {})

    def test_a_launch_that_overran_in_a_run_of_an_older_program_has_no_bound(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=1, repetitions=1)
        rows[0].update({"status": "timeout", "iterations": "", "wall_ns": ""})
        self.write(rows)
        values = results.launch_values(results.load(self.folder).observations, "wall_ns")
        self.assertEqual(list(values["value"]), [np.inf])
        self.assertTrue(np.isnan(results.typical(values).at_least))

    def test_the_attempt_counts_that_the_program_chose(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=2, repetitions=2, iterations=1)
        again = [{**row, "launch": 99, "wall_ns": 77} for row in rows[:2]]
        self.write([*rows, *again])
        for away, expected in ((rows[0]["launch"], 77.0), (99, None)):
            synthetic.disturb(self.folder, not_counted=[away])
            run = results.load(self.folder)
            self.assertEqual(len(run.observations), 4)
            first = results.launch_values(run.observations, "wall_ns")["value"].iloc[
                0 if expected is None else -1
            ]
            self.assertEqual(first == 77.0, expected == 77.0)
        self.assertTrue(run.disturbance.is_busy)

    def test_a_run_without_a_record_of_disturbance_is_read_and_a_broken_one_is_a_warning(self) -> None:
        self.write()
        self.assertFalse(results.load(self.folder).disturbance.is_known)
        for text in ("[]", "{", '{"busy": true}'):
            (self.folder / "disturbance.json").write_text(text, encoding="utf-8")
            run = results.load(self.folder)
            self.assertFalse(run.disturbance.is_known)
            self.assertIn("the disturbance is unknown", run.warnings[-1])

    def test_levels_are_not_divided_by_iterations(self) -> None:
        self.write(synthetic.observations([synthetic.cell()], rounds=1, iterations=10))
        frame = results.load(self.folder).observations
        self.assertEqual(list(results.launch_values(frame, "peak_rss_bytes")["value"]), [4_000_000.0])
        self.assertEqual(list(results.launch_values(frame, "cpu_percent")["value"]), [100.5])

    def test_what_was_not_measured_gives_no_launch_and_never_zero(self) -> None:
        self.write()
        values = results.launch_values(results.load(self.folder).observations, "instructions")
        self.assertEqual(len(values), 0)
        self.assertIn("value", values)

    def test_failed_launches_have_no_value(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="openmp")]
        self.write(
            synthetic.observations(
                cells, status=lambda c: ("skipped", "absent") if c["strategy"] == "openmp" else ("ok", "")
            )
        )
        values = results.launch_values(results.load(self.folder).observations, "wall_ns")
        self.assertEqual(set(values["strategy"]), {"sequential"})
        self.assertEqual(len(values), 6)

    def test_factors_stay_with_their_values_in_any_order_of_rows(self) -> None:
        cells = [synthetic.cell(workers=p, strategy="openmp") for p in (1, 2, 4, 8)]
        rows = synthetic.observations(cells, noise=0, drift=0, rounds=6)
        self.write(rows[::-1])
        values = results.launch_values(results.load(self.folder).observations, "wall_ns")
        for _, row in values.iterrows():
            expected = synthetic.model_wall_ns(synthetic.cell(workers=row["workers"], strategy="openmp"))
            self.assertAlmostEqual(row["value"], expected, delta=1)

    def test_of_a_cell_measured_again_in_its_round_the_last_launch_counts(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=1, repetitions=1, iterations=1)
        again = {**rows[0], "launch": 99, "wall_ns": 77}
        self.write([*rows, again])
        values = results.launch_values(results.load(self.folder).observations, "wall_ns")
        self.assertEqual(list(values["value"]), [77.0])

    def test_an_unknown_measure_is_refused_with_the_choices(self) -> None:
        self.write()
        frame = results.load(self.folder).observations
        for name in ("wall", "digest", "strategy"):
            with self.assertRaisesRegex(results.ResultsError, "wall_ns"):
                results.launch_values(frame, name)

    def test_a_group_is_the_last_part_of_a_sweep(self) -> None:
        self.write(
            synthetic.observations(
                [synthetic.cell(sweep=s) for s in ("quick.chunk", "chunk", "chunks", "a.chunk.b")]
            )
        )
        frame = results.load(self.folder).observations
        self.assertEqual(set(results.select_group(frame, "chunk")["sweep"]), {"quick.chunk", "chunk"})

    def test_a_run_without_rows_has_no_group_and_keeps_its_columns(self) -> None:
        self.write([])
        frame = results.load(self.folder).observations
        group = results.select_group(frame, "chunk")
        self.assertEqual((len(group), list(group)), (0, list(frame)))
        self.assertEqual(len(results.launch_values(group, "wall_ns")), 0)


class Summary(Folder):
    def run_main(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command.main(argv)
        return status, out.getvalue(), err.getvalue()

    def test_it_counts_cells_launches_and_rows_and_names_problems(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="openmp")]
        rows = synthetic.observations(
            cells, status=lambda c: ("timeout", "took over 10 s") if c["strategy"] == "openmp" else ("ok", "")
        )
        rows[0]["involuntary_switches"] = 3 if rows[0]["status"] == "ok" else ""
        self.write(rows)
        status, out, err = self.run_main(str(self.folder))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("cells     2", out)
        self.assertIn("launches  12", out)
        self.assertIn("rows      36: 30 ok, 6 timeout", out)
        self.assertIn("6 × timeout: quick.strategies, openmp, avx2: took over 10 s", out)

    def test_a_run_that_cannot_be_read_ends_with_2_and_a_message(self) -> None:
        status, out, err = self.run_main(str(self.folder / "none"))
        self.assertEqual((status, out), (2, ""))
        self.assertIn("no such file", err)
        self.assertEqual(self.run_main()[0], 2)
        self.assertEqual(self.run_main("--help")[0], 0)

    def test_a_reader_that_goes_away_ends_it_without_a_word(self) -> None:
        self.write()
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [sys.executable, "-B", str(ROOT / "scripts" / "results"), str(self.folder)],
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                timeout=600,
            )
        finally:
            os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (-signal.SIGPIPE, ""))


@unittest.skipUnless(os.path.exists(os.environ.get("NOISEFLOOR_PROGRAM", "")), "the program was not built")
class TheProgram(unittest.TestCase):
    def test_the_reader_knows_exactly_the_columns_that_the_program_writes(self) -> None:
        command = [os.environ["NOISEFLOOR_PROGRAM"], "list", "columns", "--json"]
        printed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=600).stdout
        self.assertEqual([column["name"] for column in json.loads(printed)], list(results.COLUMNS))


if __name__ == "__main__":
    unittest.main()

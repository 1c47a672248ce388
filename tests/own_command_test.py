"""Promise: a command over files, and sound files of the user's own, are workloads like any other.

Usage: own_command_test.py PROGRAM [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import wave
from pathlib import Path

PROGRAM = ""
ALL = (
    "sequential", "thread_per_task", "async", "std_thread", "mutex_queue", "openmp", "openmp_tasks", "tbb",
    "process_per_task", "fork_pool", "fork_pool_shm", "mpi",
)  # fmt: skip


class OwnWorkTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-command-"))
        self.addCleanup(shutil.rmtree, self.top, True)
        self.inputs = self.top / "in puts"
        self.inputs.mkdir()

    def write(self, count: int = 10) -> None:
        for number in range(count):
            (self.inputs / f"{number}, of 'them'.txt").write_text(f"{number}\n" * number, encoding="ascii")

    def program(self, *arguments: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NOISEFLOOR_CACHE": str(self.top / "cache")}
        done = subprocess.run(
            [PROGRAM, *arguments], env=environment, cwd=self.top, capture_output=True, text=True, timeout=600
        )
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def cell(self, **factors: object) -> str:
        values = {"inputs": "'in puts'", **{name: str(value) for name, value in factors.items()}}
        return ",".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in values.items())

    def launch(self, status: int | None = 0, **factors: object) -> dict[str, str]:
        done = self.program(
            *("launch", "--iterations", "1", "--repetitions", "1", "--warmups", "0"),
            *("--cell", self.cell(**factors)),
            status=status,
        )
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        return row

    def refusal(self, **factors: object) -> str:
        return self.program("launch", "--cell", self.cell(**factors), status=2).stderr


class Commands(OwnWorkTest):
    def test_every_strategy_gives_what_sequential_gives_for_any_chunk(self) -> None:
        self.write()
        for command in ("sort -n {}", "cat {...}"):
            expected = self.launch(command=command)
            self.assertEqual((expected["status"], expected["tasks"]), ("ok", "10"), expected)
            self.assertEqual(int(expected["bytes_written"]), sum(2 * n for n in range(10)))
            for strategy in ALL:
                for chunk in (1, 4):
                    row = self.launch(None, command=command, strategy=strategy, workers=2, chunk_size=chunk)
                    if strategy == "mpi" and "..." in command or row["status"] == "skipped":
                        self.assertEqual(row["status"], "skipped", row)
                        continue
                    self.assertEqual((row["status"], row["digest"]), ("ok", expected["digest"]), row)

    def test_xargs_and_parallel_run_the_same_command(self) -> None:
        self.write()
        for strategy in ("xargs", "gnu_parallel"):
            for command, chunk in (("cat {}", 1), ("cat {...}", 3), ("cat -- {}", 1)):
                row = self.launch(command=command, strategy=strategy, workers=2, chunk_size=chunk)
                if "not found" in row["message"]:
                    continue
                self.assertEqual((row["status"], row["message"]), ("ok", ""))
            self.assertEqual(
                self.launch(command="cat {}", strategy=strategy, chunk_size=3)["status"], "skipped"
            )

    def test_files_that_it_writes_are_its_output(self) -> None:
        self.write()
        first = self.launch(command="cp {} {out}")
        again = self.launch(command="cp {} {out}", strategy="fork_pool", workers=2)
        self.assertEqual((again["status"], again["digest"]), ("ok", first["digest"]))
        (self.inputs / "3, of 'them'.txt").write_text("another", encoding="ascii")
        self.assertNotEqual(self.launch(command="cp {} {out}")["digest"], first["digest"])

    def test_what_the_processes_used_is_in_the_row(self) -> None:
        self.write(2)
        busy = "python3 -c 'sum(range(3_000_000)); x = bytearray(90_000_000)' {}"
        for strategy in ("sequential", "std_thread", "fork_pool", "process_per_task"):
            row = self.launch(command=busy, strategy=strategy)
            self.assertEqual(row["status"], "ok", row)
            self.assertGreater(int(row["user_cpu_ns"]), 2 * 10_000_000, strategy)
            self.assertGreater(int(row["peak_rss_bytes"]), 90_000_000, strategy)

    def test_the_shell_is_asked_for(self) -> None:
        self.write()
        plan = self.program(
            "run",
            "granularity",
            "--dry-run",
            "--shell",
            "--command",
            "sort {} | tail -n 1",
            "--inputs",
            "in puts",
        ).stdout.splitlines()[0]
        factors = dict(part.split("=", 1) for part in plan.split(","))
        words = urllib.parse.unquote(factors["command"])
        self.assertEqual(words, """sh -c 'sort "$1" | tail -n 1' sh {}""")
        self.assertEqual(self.launch(command=words)["status"], "ok")

    def test_output_that_differs_is_wrong_unless_it_is_unchecked(self) -> None:
        self.write(3)
        command = "sh -c 'echo $$'  sh {}"
        self.assertEqual(self.launch(1, command=command)["status"], "wrong_output")
        row = self.launch(command=command, unchecked="yes")
        self.assertEqual((row["status"], row["unchecked"]), ("ok", "yes"))


class WhatFails(OwnWorkTest):
    def test_a_failed_process_is_a_failed_task_with_status_and_last_words(self) -> None:
        self.write(4)
        for command, words in (
            ("sh -c 'echo no milk >&2; exit 3' sh {}", ("exit status 3", "no milk")),
            ("sh -c 'kill -9 $$' sh {}", ("signal 9",)),
            ("false {...}", ("exit status 1", "nothing to standard error")),
        ):
            for strategy in ("std_thread", "fork_pool"):
                done = self.program(
                    *(
                        "launch",
                        "--expect",
                        "0" * 16,
                        "--iterations",
                        "1",
                        "--repetitions",
                        "1",
                        "--warmups",
                        "0",
                    ),
                    *("--cell", self.cell(command=command, strategy=strategy, chunk_size=2)),
                    status=1,
                )
                (row,) = csv.DictReader(io.StringIO(done.stdout))
                self.assertEqual(row["status"], "failed")
                for word in ("4 of 4 tasks failed", *words):
                    self.assertIn(word, row["message"])

    def test_what_cannot_be_meant_is_refused(self) -> None:
        self.write(2)
        self.assertIn("has no place for its inputs", self.refusal(command="cat"))
        self.assertIn("--shell", self.refusal(command="cat {} | sort"))
        self.assertIn("has no end", self.refusal(command="cat 'a {}"))
        self.assertIn("no such program", self.refusal(command="no-such-program {}"))
        self.assertIn("give one of them", self.refusal(command="cat {} {...}"))
        self.assertIn("matches none", self.refusal(command="cat {}", inputs="*.none"))
        self.assertIn("without inputs", self.refusal(command="cat {}", inputs=""))
        (self.top / "empty").mkdir()
        self.assertIn("no file in this folder", self.refusal(command="cat {}", inputs="empty"))
        self.assertIn("no use for it", self.refusal(workload="spin", tasks=1))


class Inputs(OwnWorkTest):
    def count(self, inputs: str) -> int:
        return int(self.launch(command="cat {}", inputs=inputs)["tasks"])

    def test_a_folder_a_glob_and_a_list_name_files_each_once(self) -> None:
        self.write()
        (self.inputs / "deeper").mkdir()
        (self.inputs / "deeper" / "x").write_text("x", encoding="ascii")
        (self.inputs / ".hidden").write_text("x", encoding="ascii")
        (self.top / "list").write_text("in puts/1, of 'them'.txt\r\nin puts/deeper\n", encoding="ascii")
        self.assertEqual(self.count("'in puts'"), 11)
        self.assertEqual(self.count("'in puts/*.txt'"), 10)
        self.assertEqual(self.count("@list"), 2)
        self.assertEqual(self.count("@list 'in puts' 'in puts/deeper/x'"), 11)

    def test_other_inputs_are_another_work(self) -> None:
        self.write()
        one = self.launch(command="cat {}")
        (self.inputs / "1, of 'them'.txt").write_text("another", encoding="ascii")
        other = self.launch(command="cat {}")
        self.assertNotEqual(one["work_id"], other["work_id"])
        self.assertNotEqual(one["cell_id"], other["cell_id"])

    def test_etl_and_copy_run_over_the_users_sound(self) -> None:
        for number in range(5):
            with wave.open(str(self.inputs / f"{number}.wav"), "wb") as sound:
                sound.setparams((2, 2, 44100, 0, "NONE", ""))
                sound.writeframes(struct.pack("<2h", number, -number) * (1000 * (number + 1)))
        (self.inputs / "notes.txt").write_text("no sound", encoding="ascii")
        for workload in ("etl", "copy"):
            expected = self.launch(workload=workload)
            self.assertEqual((expected["tasks"], expected["task_size"], expected["format"]), ("5", "", ""))
            for strategy in ("std_thread", "fork_pool", "global_lock"):
                row = self.launch(workload=workload, strategy=strategy, workers=2)
                self.assertEqual((row["status"], row["digest"]), ("ok", expected["digest"]), row)
        (self.top / "text").mkdir()
        (self.top / "text" / "a.txt").write_text("no sound", encoding="ascii")
        self.assertIn("no sound file", self.refusal(workload="etl", inputs="text"))

    def test_a_sweep_takes_them(self) -> None:
        self.write()
        sweep = self.top / "own.toml"
        sweep.write_text(
            '[[group]]\nname = "a"\ncommand = ["sort", "-n", "{}"]\ninputs = ["in puts"]\nworkers = [1, 2]\n'
            '[[group]]\nname = "b"\ncommand = [["cat", "{...}"], ["wc", "-c", "{...}"]]\ninputs = "\'in puts\'"\n'
            'chunk_size = [1, 4]\nunchecked = "yes"\n',
            encoding="ascii",
        )
        cells = self.program("run", "own.toml", "--dry-run").stdout.splitlines()
        self.assertEqual(len(cells), 6)
        self.assertTrue(all("tasks=10" in cell for cell in cells))
        self.assertEqual(sum("command=sort%20-n%20{}" in cell for cell in cells), 2)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()

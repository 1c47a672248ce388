"""Promise: `noisefloor launch` becomes the process that a cell must be measured in, and says what that lacks.

Usage: launch_start_test.py PROGRAM [unittest arguments]. Standard library only; the reference programs themselves are
tested in python/test_reference.py, MPI in mpi_test.py.
SPDX-License-Identifier: MIT
"""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import wave
from pathlib import Path
from typing import Any

PROGRAM = ""
SPIN = "workload=spin,tasks=4,task_size=100"


class StartTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-start-"))
        self.addCleanup(shutil.rmtree, self.top, True)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("OMP_WAIT_POLICY", "LD_PRELOAD", "NOISEFLOOR_LIBOMP")
        }
        self.environment["NOISEFLOOR_CACHE"] = str(self.top / "cache")

    def run_program(self, *arguments: str, status: int = 0, **environment: str) -> Any:
        done = subprocess.run(
            [PROGRAM, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def launch(self, cell: str, status: int = 0, **environment: str) -> list[dict[str, str]]:
        done = self.run_program(
            *("launch", "--iterations", "1", "--repetitions", "2", "--warmups", "0", "--cell", cell),
            status=status,
            **environment,
        )
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def skipped(self, cell: str, **environment: str) -> str:
        rows = self.launch(cell, 0, **environment)
        self.assertEqual([row["status"] for row in rows], ["skipped"], rows)
        self.assertEqual(rows[0]["wall_ns"], "")
        return rows[0]["message"]

    def empty_path(self) -> str:
        folder = self.top / "empty"
        folder.mkdir(exist_ok=True)
        return str(folder)


class Cpus(StartTest):
    """OpenMP's runtimes may bind the first thread before main(): the CPUs are those that the process was given."""

    BINDING = (
        {"OMP_PROC_BIND": "true"},
        {"OMP_PLACES": "cores"},
        {"GOMP_CPU_AFFINITY": "0"},
        {"OMP_PROC_BIND": "close", "OMP_PLACES": "{0}"},
    )

    def test_are_those_that_the_process_was_given(self) -> None:
        given = len(os.sched_getaffinity(0))
        for binding in self.BINDING:
            with self.subTest(binding):
                facts = json.loads(self.run_program("doctor", "--json", status=0, **binding).stdout)
                self.assertEqual(facts["cpus_allowed"], given)

    def test_one_that_was_given_alone_is_one(self) -> None:
        one = min(os.sched_getaffinity(0))
        done = subprocess.run(
            [PROGRAM, "doctor", "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {one}),
        )
        facts = json.loads(done.stdout)
        self.assertEqual((facts["cpus_allowed"], facts["workers"]), (1, 1))

    def test_are_used_by_all_threads_of_the_tool(self) -> None:
        (self.top / "in").mkdir()
        with wave.open(str(self.top / "in" / "a.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48000)
            file.writeframes(bytes(2 * 48000))
        for binding in self.BINDING:
            with self.subTest(binding):
                self.check_threads(binding)

    def check_threads(self, binding: dict[str, str]) -> None:
        """It has work for longer than it lives: stopped when it has made threads, it is looked at and ended."""
        tool = subprocess.Popen(
            [PROGRAM, "process", str(self.top / "in"), str(self.top / "out"), "--copies", "1000000"]
            + ["--workers", "3", "--strategy", "std_thread", "--overwrite"],
            env={**self.environment, **binding},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            threads = Path(f"/proc/{tool.pid}/task")
            while tool.poll() is None and len(list(threads.iterdir())) < 3:
                pass
            tool.send_signal(signal.SIGSTOP)
            allowed = {
                line.split()[1]
                for thread in threads.iterdir()
                for line in (thread / "status").read_text().splitlines()
                if line.startswith("Cpus_allowed_list:")
            }
        finally:
            tool.kill()
            _, said = tool.communicate()
        own = Path("/proc/self/status").read_text().partition("Cpus_allowed_list:")[2].split()[0]
        self.assertEqual(allowed, {own}, said)


class OpenMp(StartTest):
    def test_a_runtime_that_is_not_found_is_skipped_with_the_package(self) -> None:
        cell, nowhere = f"{SPIN},strategy=openmp,runtime=libomp", "/nowhere/libomp.so.5"
        linked = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
        if "libomp" in linked:  # built by clang: it has that runtime, and looks for none
            rows = self.launch(cell, NOISEFLOOR_LIBOMP=nowhere)
            self.assertEqual([row["status"] for row in rows], ["ok", "ok"], rows)
            return
        self.assertIn("libomp5", self.skipped(cell, NOISEFLOOR_LIBOMP=nowhere))

    def test_a_strategy_without_openmp_refuses_a_runtime(self) -> None:
        self.assertIn("does not run on OpenMP", self.skipped(f"{SPIN},strategy=std_thread,runtime=libomp"))


class ReferencePrograms(StartTest):
    def test_the_row_is_that_of_the_cell_and_nothing_is_left_behind(self) -> None:
        rows = self.launch("workload=etl,strategy=python_loop,tasks=2,task_size=5000,kernel=auto")
        self.assertEqual([row["status"] for row in rows], ["ok", "ok"], rows)
        row = rows[1]
        for name, value in (
            ("workload", "etl"),
            ("strategy", "python_loop"),
            ("delivery", "unordered"),
            ("kernel", ""),
            ("format", "int16"),
            ("workers", "1"),
            ("tasks", "2"),
            ("output_mode", "new"),
            ("iterations", "1"),
            ("repetition", "1"),
            ("samples", "10000"),
            ("digest", ""),
        ):
            self.assertEqual(row[name], value, name)
        if Path("/proc/self/schedstat").exists():
            self.assertNotEqual(row["run_delay_ns"], "", row["disturbance_note"])
            self.assertLessEqual(
                int(row["disturbed_ns"]),
                int(row["run_delay_ns"]) + 10**7 * int(row["steal_ticks"]) + 10**7,
            )
        self.assertRegex(row["cell_id"], "^[0-9a-f]{12}$")
        self.assertNotEqual(row["build_id"], "")
        self.assertEqual([path.name for path in (self.top / "cache" / "output").iterdir()], [])

    def test_the_output_of_one_that_was_killed_is_removed_by_the_next(self) -> None:
        process = subprocess.Popen(
            [
                PROGRAM,
                "launch",
                "--repetitions",
                "1000000",
                "--cell",
                "workload=etl,strategy=python_loop,task_size=5000",
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        folder = self.top / "cache" / "output"
        before = {path.name for path in folder.iterdir()}
        self.assertEqual(len(before), 1)
        self.launch("workload=etl,strategy=sequential,task_size=5000")
        self.assertEqual({path.name for path in folder.iterdir()}, before, "its owner lives")
        process.kill()
        process.communicate()
        self.launch("workload=etl,strategy=sequential,task_size=5000")
        self.assertEqual(list(folder.iterdir()), [])

    def test_what_a_program_cannot_honour_is_skipped_with_the_reason(self) -> None:
        etl = "workload=etl,tasks=2,task_size=5000"
        for cell, reason in (
            (f"{SPIN},strategy=python_loop", "does not know the workload spin"),
            (f"{etl},strategy=python_pool_map,delivery=ordered", "give delivery collected"),
            (f"{etl},strategy=python_loop,workers=2", "give workers 1"),
            (f"{etl},strategy=python_asyncio,chunk_size=2", "give chunk_size 1"),
            (f"{etl},strategy=python_threads,schedule=static", "has no schedule"),
            (f"{etl},strategy=sox_xargs,pool=warm", "leave pool out"),
            (f"{etl},strategy=python_loop,output_mode=replace", "give output_mode new"),
        ):
            with self.subTest(cell):
                self.assertIn(reason, self.skipped(cell))

    def test_without_python_it_is_skipped_with_the_package(self) -> None:
        cell = "workload=etl,strategy=sox_xargs,tasks=2,task_size=5000"
        # /usr/bin/python3 is found wherever PATH points to; sox is not.
        self.assertIn(
            "sox is not found: install it (Debian: sox)", self.skipped(cell, PATH=self.empty_path())
        )


class AskedForByName(StartTest):
    def test_the_list_says_what_is_missing_now(self) -> None:
        done = self.run_program("list", "strategies", "--json", PATH=self.empty_path())
        missing = {row["name"]: row["unavailable"] for row in json.loads(done.stdout)}
        self.assertEqual(missing["sox_xargs"], "sox is not found: install it (Debian: sox)")
        self.assertEqual(missing["sequential"], "")

    def test_a_sweep_of_one_that_is_missing_ends_at_once(self) -> None:
        done = self.run_program(
            *("run", "quick", "--set", "strategy=sequential,sox_xargs"), status=3, PATH=self.empty_path()
        )
        self.assertIn("strategy sox_xargs cannot run here: sox is not found", done.stderr)

    def test_the_tool_runs_on_no_other_program(self) -> None:
        (self.top / "in").mkdir()
        done = self.run_program(
            *("process", str(self.top / "in"), str(self.top / "out"), "--strategy", "python_loop"), status=2
        )
        self.assertIn("python_loop", done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()

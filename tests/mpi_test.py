"""Promise: strategy `mpi` writes the bytes of `sequential` on any number of ranks, and a job that breaks ends as a whole.

Usage: mpi_test.py PROGRAM RANK_PROGRAM [unittest arguments]. Standard
library only.
SPDX-License-Identifier: MIT
"""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROGRAM = ""
RANK_PROGRAM = ""
ONCE = ("--iterations", "2", "--repetitions", "1", "--warmups", "0")
LEAKS_OF_OTHERS = {"ASAN_OPTIONS": "detect_leaks=0"}  # Open MPI's


def children(of: int) -> dict[int, str]:
    """The processes whose parent is `of`, with their programs' paths; zombies have none."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
            if int(stat.rsplit(")", 1)[1].split()[1]) == of:
                found[int(folder.name)] = os.readlink(folder / "exe")
        except OSError:
            continue
    return found


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class MpiTest(unittest.TestCase):
    top: Path
    environment: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.top = Path(tempfile.mkdtemp(prefix="noisefloor-mpi-"))
        cls.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OMPI_", "PMIX_", "NOISEFLOOR_"))
        }
        cls.environment |= {"NOISEFLOOR_CACHE": str(cls.top / "cache"), **LEAKS_OF_OTHERS}
        cls.environment |= cls.places_of_open_mpi(
            "segments", "sessions"
        )  # what a killed mpirun leaves there goes too

    @classmethod
    def places_of_open_mpi(cls, segments: str, sessions: str) -> dict[str, str]:
        for name in (segments, sessions):
            (cls.top / name).mkdir()
        return {
            "OMPI_MCA_btl_vader_backing_directory": str(cls.top / segments),
            "OMPI_MCA_orte_tmpdir_base": str(cls.top / sessions),
        }

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.top, True)

    def run_program(self, *arguments: str, **environment: str) -> Any:
        return subprocess.run(
            arguments,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )

    def launch(self, cell: str, *more: str, status: int = 0, counter: str = "") -> list[dict[str, str]]:
        done = self.run_program(
            PROGRAM, "launch", *(more or ONCE), "--cell", cell, NOISEFLOOR_MPI_COUNTER=counter
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def begin(self, cell: str) -> tuple[Any, list[int]]:
        """A launch that would last for minutes, and its ranks when they have begun to run tasks."""
        process = subprocess.Popen(
            [PROGRAM, "launch", "--iterations", "1", "--repetitions", "1000000", "--cell", cell],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            self.assertIsNone(process.poll())
            ranks = [p for p, path in children(process.pid).items() if Path(path).name == "noisefloor-mpi"]
            folders = list((self.top / "cache" / "output").glob("*/*"))
            owners = {int(folder.parent.name.split("-")[0]) for folder in folders}
            if len(ranks) == 2 and owners >= set(ranks):
                return process, sorted(ranks)
            time.sleep(0.02)
        self.fail("no ranks after ten minutes")

    def all_end(self, processes: list[int]) -> None:
        deadline = time.monotonic() + 600
        while any(runs(process) for process in processes):
            self.assertLess(time.monotonic(), deadline, "ranks outlive their job")
            time.sleep(0.02)


class Results(MpiTest):
    def same_as_sequential(self, workload: str, tasks: int, variants: list[str], counter: str = "") -> None:
        batch = f"workload={workload},tasks={tasks}"
        (expected,) = self.launch(f"{batch},strategy=sequential")
        # Starting ranks is mostly waiting. The digest is found by each launch; none is told.
        with ThreadPoolExecutor(4) as pool:
            launches = pool.map(
                lambda variant: self.launch(f"{batch},strategy=mpi,{variant}", counter=counter), variants
            )
        for variant, (row,) in zip(variants, launches):
            with self.subTest(variant):
                self.assertEqual((row["status"], row["message"]), ("ok", ""))
                self.assertEqual(row["digest"], expected["digest"])
                self.assertEqual(row["strategy"], "mpi")

    def test_every_delivery_gives_the_bytes_of_sequential(self) -> None:
        deliveries = [f"workers=2,delivery={delivery}" for delivery in ("collected", "ordered", "unordered")]
        self.same_as_sequential("etl,task_size=5000", 7, deliveries)

    def test_any_number_of_ranks_and_chunk_size_gives_the_bytes_of_sequential(self) -> None:
        variants = [
            f"workers={workers},chunk_size={chunk},delivery={delivery}"
            for workers, chunk, delivery in (
                (1, 1, "unordered"),
                (1, 3, "ordered"),
                (2, 1, "ordered"),
                (2, 3, "unordered"),
                (2, 200, "collected"),
                (5, 1, "unordered"),
                (5, 3, "ordered"),
            )
        ]
        self.same_as_sequential("multiply,task_size=3", 200, variants)

    def test_a_counter_that_is_served_hands_out_the_same_tasks(self) -> None:
        """As between machines; ordered delivery makes ranks wait for an answer."""
        self.same_as_sequential(
            "multiply,task_size=3",
            200,
            [
                f"workers={workers},chunk_size={chunk},delivery={delivery}"
                for workers, chunk, delivery in (
                    (1, 1, "ordered"),
                    (2, 1, "ordered"),
                    (2, 200, "collected"),
                    (5, 1, "unordered"),
                    (5, 3, "ordered"),
                )
            ],
            "served",
        )
        self.same_as_sequential(
            "payload,task_size=8192",
            400,
            ["workers=5,delivery=ordered", "workers=2,delivery=unordered"],
            "served",
        )

    def test_more_ranks_than_tasks(self) -> None:
        self.same_as_sequential("spin,task_size=100", 1, ["workers=2", "workers=5,delivery=ordered"])

    def test_every_output_mode_is_that_of_each_rank(self) -> None:
        for mode in ("replace", "in_place"):
            self.same_as_sequential(f"etl,task_size=5000,output_mode={mode}", 4, ["workers=2"])

    def test_what_tasks_return_crosses_whatever_its_size(self) -> None:
        self.same_as_sequential("payload,task_size=1000000", 5, ["workers=2,delivery=ordered"])

    def test_messages_that_need_both_ends_arrive_although_ranks_wait_for_each_other(self) -> None:
        """Many more chunks than the window of ordered delivery, each larger than what MPI sends without asking."""
        deliveries = ("ordered", "unordered")
        self.same_as_sequential(
            "spin,task_size=10",
            40000,
            [f"workers=2,chunk_size=1000,delivery={delivery}" for delivery in deliveries],
        )
        self.same_as_sequential(
            "payload,task_size=8192",
            400,
            [f"workers={workers},delivery={delivery}" for workers in (2, 5) for delivery in deliveries],
        )

    def test_the_row_counts_all_ranks(self) -> None:
        cell = "workload=spin,tasks=40,task_size=500000,strategy=mpi"
        (one,) = self.launch(f"{cell},workers=1")
        (two,) = self.launch(f"{cell},workers=2")
        self.assertGreater(int(two["peak_rss_bytes"]), int(one["peak_rss_bytes"]) * 3 // 2)
        for row in (one, two):
            for column in ("user_cpu_ns", "system_cpu_ns", "minor_faults", "voluntary_switches"):
                self.assertNotEqual(row[column], "", column)
            if Path("/proc/self/schedstat").exists():
                for column in ("run_delay_ns", "others_cpu_ns", "disturbed_ns"):
                    self.assertNotEqual(row[column], "", column)
                self.assertEqual(row["disturbance_note"], "")
        (etl,) = self.launch("workload=etl,tasks=4,task_size=441000,strategy=mpi,workers=2")
        for column in ("extract_ns", "transform_ns", "load_ns"):
            self.assertGreater(int(etl[column]), 0, column)
        self.assertEqual(etl["instructions"], "")

    def test_nothing_is_left_behind(self) -> None:
        self.launch("workload=etl,tasks=2,task_size=5000,strategy=mpi,workers=2")
        self.assertEqual(list((self.top / "cache" / "output").iterdir()), [])


class Refusals(MpiTest):
    def test_what_it_cannot_honour_is_skipped_with_the_reason(self) -> None:
        for factor, reason in (
            ("schedule=static", "give schedule dynamic or none"),
            ("ship=samples", "leave ship out"),
            ("pool=warm", "leave pool out"),
            ("bind=close", "leave bind out"),
            ("runtime=libomp", "does not run on OpenMP"),
        ):
            with self.subTest(factor):
                (row,) = self.launch(f"workload=etl,tasks=2,strategy=mpi,{factor}")
                self.assertEqual(row["status"], "skipped")
                self.assertIn(reason, row["message"])

    def test_without_mpirun_it_is_skipped_with_the_package(self) -> None:
        done = self.run_program(PROGRAM, "list", "strategies", "--json", PATH=str(self.top))
        missing = {row["name"]: row["unavailable"] for row in json.loads(done.stdout)}
        self.assertEqual(missing["sequential"], "")
        self.assertIn("openmpi-bin", missing["mpi"])

    def test_another_number_of_ranks_than_workers_is_refused(self) -> None:
        done = self.run_program(
            RANK_PROGRAM, "launch", *ONCE, "--cell", "workload=spin,strategy=mpi,workers=2,tasks=2"
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("asks for 2 workers, and 1 ranks were started", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_an_unknown_counter_is_refused(self) -> None:
        cell = "workload=spin,strategy=mpi,workers=2,tasks=2"
        done = self.run_program(PROGRAM, "launch", *ONCE, "--cell", cell, NOISEFLOOR_MPI_COUNTER="window")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("NOISEFLOOR_MPI_COUNTER=window: give shared or served", done.stderr)

    def test_ranks_run_no_other_strategy(self) -> None:
        done = self.run_program(
            RANK_PROGRAM, "launch", *ONCE, "--cell", "workload=spin,strategy=openmp,tasks=2"
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("does not run on MPI's ranks", done.stderr)

    def test_the_tool_does_not_run_on_it(self) -> None:
        (self.top / "in").mkdir()
        done = self.run_program(
            PROGRAM, "process", str(self.top / "in"), str(self.top / "out"), "--strategy", "mpi"
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("strategy mpi", done.stderr)


class Faults(MpiTest):
    CELL = "workload=etl,tasks=6,task_size=30000,strategy=mpi,workers=2"

    def test_a_wrong_output_is_seen(self) -> None:
        (row,) = self.launch(self.CELL, *ONCE, "--expect", "0123456789abcdef", status=1)
        self.assertEqual(row["status"], "wrong_output")

    def test_a_task_that_fails_is_reported_once_and_the_others_are_done(self) -> None:
        cell = f"{self.CELL},delivery=ordered"
        self.launch(cell)  # makes the test signals
        process = subprocess.Popen(
            [PROGRAM, "launch", "--iterations", "1", "--repetitions", "300", "--cell", cell],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        output_folder = self.top / "cache" / "output"
        deadline = time.monotonic() + 600
        # A rank that has not begun yet would make what is missing anew: wait until the first output was written
        # twice, which needs an iteration that all ranks have ended.
        written: set[int] = set()
        while len(written) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
            with contextlib.suppress(FileNotFoundError):
                written |= {path.stat().st_mtime_ns for path in output_folder.rglob("0000*.wav")}
        self.assertGreaterEqual(len(written), 2, "the launch goes on")
        signals = sorted(
            path for path in (self.top / "cache").rglob("*.wav") if output_folder not in path.parents
        )
        self.assertGreaterEqual(len(signals), 6)
        signals[1].unlink()
        output, messages = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 1, messages)
        last = list(csv.DictReader(io.StringIO(output)))[-1]
        self.assertEqual(last["status"], "failed")
        self.assertIn("1 of 6 tasks failed; the first: ", last["message"])
        self.assertIn(signals[1].name, last["message"])

    def test_a_rank_that_dies_ends_the_job_with_a_message(self) -> None:
        for which in (0, 1):
            process, ranks = self.begin(self.CELL)
            os.kill(ranks[which], signal.SIGKILL)
            output, messages = process.communicate(timeout=600)
            self.assertNotEqual(process.returncode, 0)
            self.assertRegex(messages, "exited on signal 9")
            self.assertEqual(output, "", "no rows of a broken launch")
            self.all_end(ranks)

    def test_an_interrupted_run_leaves_no_rank_and_no_file_of_open_mpi(self) -> None:
        (self.top / "long.toml").write_text(
            "repetitions = 10000\nwarmups = 0\n[[group]]\nworkload = 'etl'\nstrategy = 'mpi'\n"
            "workers = 2\ntasks = 4\ntask_size = 10000\n"
        )
        names = ("segments-of-one", "sessions-of-one")
        folders = [self.top / name for name in names]
        process = subprocess.Popen(
            [PROGRAM, "run", str(self.top / "long.toml"), "--out", str(self.top / "runs")],
            env=self.environment | self.places_of_open_mpi(*names),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            self.assertIsNone(process.poll())
            ranks = [
                rank
                for mpirun in children(process.pid)
                for rank, path in children(mpirun).items()
                if Path(path).name == "noisefloor-mpi"
            ]
            if len(ranks) == 2 and len(list(folders[0].iterdir())) == 2:
                break
            time.sleep(0.02)
        self.assertEqual(len(ranks), 2, "ranks after ten minutes")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 130, messages)
        self.all_end(ranks)
        for folder in folders:
            self.assertEqual([path for path in folder.rglob("*") if not path.is_dir()], [])
        self.assertEqual(list((self.top / "cache" / "output").iterdir()), [])

    def test_no_rank_outlives_mpirun(self) -> None:
        process, ranks = self.begin(self.CELL)
        process.kill()
        self.all_end(ranks)


if __name__ == "__main__":
    PROGRAM, RANK_PROGRAM = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()

"""Reference programs speak the launch protocol, do the work that they are measured at, and say so when they did not.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from scipy.io import wavfile

TOP = Path(__file__).resolve().parent.parent.parent
REFERENCE = TOP / "scripts" / "reference"
sys.path.insert(0, str(REFERENCE))

if TYPE_CHECKING:
    from scripts.reference import protocol, python_programs, sox_xargs
else:  # as the programs themselves do: they are installed elsewhere
    import protocol
    import python_programs
    import sox_xargs

PROGRAMS = {**python_programs.PROGRAMS, **sox_xargs.PROGRAMS}
MULTIPLY = (
    "python_loop",
    "python_threads",
    "python_pool_map",
    "python_pool_imap",
    "python_pool_imap_unordered",
)
COLUMNS = (
    "cell_id,repetition,strategy,iterations,wall_ns,user_cpu_ns,system_cpu_ns,cpu_percent,first_result_ns,"
    "peak_rss_bytes,minor_faults,samples,bytes_read,bytes_written,digest,started_ns,status,message"
).split(",")
FRAMES = 8000
SIGMA = 0.003 * 32768
needs_sox = unittest.skipUnless(shutil.which("sox"), "sox is not installed")


class ReferenceTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.signals = self.folder / "signals"
        self.output = self.folder / "output"
        self.signals.mkdir()
        for i in range(3):
            sine = 16000 * np.sin(np.arange(FRAMES) * (0.01 + 0.003 * i))
            wavfile.write(self.signals / f"{i:04}.wav", 44100, sine.astype(np.int16))

    def arguments(self, cell: str, iterations: int = 1, repetitions: int = 2) -> list[str]:
        if "workload=etl" in cell:
            self.output.mkdir(exist_ok=True)
        row = ["id" if name == "cell_id" else "" for name in COLUMNS]
        return [
            "launch",
            *("--protocol", "1", "--cell", cell, "--header", ",".join(COLUMNS), "--row", ",".join(row)),
            *("--iterations", str(iterations), "--repetitions", str(repetitions), "--warmups", "0"),
            *("--signals", str(self.signals), "--output", str(self.output)),
        ]

    def launch(
        self, cell: str, iterations: int = 1, repetitions: int = 2
    ) -> tuple[int, list[dict[str, str]]]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = protocol.main(self.arguments(cell, iterations, repetitions), PROGRAMS)
        return status, list(csv.DictReader(io.StringIO(printed.getvalue())))


class Disturbance(ReferenceTest):
    """The readings are the program's own, the arithmetic is noisefloor's."""

    CELL = f"workload=etl,strategy=python_pool_map,workers=2,tasks=3,task_size={FRAMES}"

    def run_with(self, answer: str) -> list[dict[str, str]]:
        fake = self.folder / "noisefloor"
        fake.write_text(f"#!/bin/sh\ncat > {self.folder}/readings\n{answer}\n")
        fake.chmod(0o755)
        printed = io.StringIO()
        columns = [*COLUMNS, "run_delay_ns", "others_cpu_ns", "disturbed_ns", "disturbance_note"]
        arguments = self.arguments(self.CELL)
        arguments[arguments.index("--header") + 1] = ",".join(columns)
        arguments[arguments.index("--row") + 1] += ",,,,"
        with contextlib.redirect_stdout(printed):
            self.assertEqual(protocol.main([*arguments, "--program", str(fake)], PROGRAMS), 0)
        return list(csv.DictReader(io.StringIO(printed.getvalue())))

    def test_is_what_noisefloor_makes_of_the_readings(self) -> None:
        found = [
            {"run_delay_ns": f"{i}", "others_cpu_ns": "7", "disturbed_ns": "5", "disturbance_note": "x"}
            for i in (3, 4)
        ]
        rows = self.run_with(f"echo '{json.dumps(found)}'")
        self.assertEqual([row["run_delay_ns"] for row in rows], ["3", "4"])
        self.assertEqual({(row["others_cpu_ns"], row["disturbed_ns"]) for row in rows}, {("7", "5")})
        readings = json.loads((self.folder / "readings").read_text())
        self.assertEqual(set(readings["cpus"]), os.sched_getaffinity(0))
        self.assertIn("cpu0 ", readings["before"]["stat"])
        self.assertGreater(readings["after"]["steady_ns"], readings["before"]["steady_ns"])
        for one, row in zip(readings["repetitions"], rows):
            self.assertEqual(one["wall_ns"], int(row["wall_ns"]))
            self.assertEqual(one["cpu_ns"], int(row["user_cpu_ns"]) + int(row["system_cpu_ns"]))
            self.assertLessEqual(one["cpu_ns"], readings["own_cpu_ns"])
            if Path("/proc/self/schedstat").exists():
                self.assertGreater(one["run_delay_ns"], 0, "its workers waited to be started")

    def test_is_empty_with_the_reason_where_noisefloor_fails(self) -> None:
        for row in self.run_with("exit 3"):
            self.assertEqual((row["status"], row["run_delay_ns"]), ("ok", ""))
            self.assertIn("exit status 3", row["disturbance_note"])


class EveryProgram(ReferenceTest):
    def check(self, cell: str) -> None:
        status, rows = self.launch(cell, iterations=2)
        self.assertEqual([row["status"] for row in rows], ["ok", "ok"], rows)
        self.assertEqual(status, 0)
        for number, row in enumerate(rows):
            self.assertEqual(row["cell_id"], "id", "what it was given comes back")
            self.assertEqual(row["repetition"], str(number))
            self.assertEqual(row["iterations"], "2")
            self.assertGreater(int(row["wall_ns"]), 0)
            self.assertGreater(int(row["first_result_ns"]), 0)
            self.assertLessEqual(int(row["first_result_ns"]), int(row["wall_ns"]))
            self.assertGreater(int(row["user_cpu_ns"]) + int(row["system_cpu_ns"]), 0)
            self.assertEqual(row["digest"], "", "its noise is its own")
        self.assertFalse(self.output.exists(), "it leaves no output behind")

    def test_adds_the_noise_to_every_file(self) -> None:
        for name in python_programs.PROGRAMS:
            with self.subTest(name):
                self.check(f"workload=etl,strategy={name},workers=2,tasks=3,task_size={FRAMES}")

    @needs_sox
    def test_sox_adds_the_noise_to_every_file(self) -> None:
        self.check(f"workload=etl,strategy=sox_xargs,workers=2,tasks=3,task_size={FRAMES}")
        self.check(f"workload=etl,strategy=sox_xargs,workers=2,tasks=3,task_size={FRAMES},chunk_size=2")

    def test_multiplies_every_item_in_chunks_of_any_size(self) -> None:
        for name in MULTIPLY:
            for chunk_size in (1, 3) if name != "python_loop" else (1,):
                with self.subTest(name, chunk_size=chunk_size):
                    self.check(
                        f"workload=multiply,strategy={name},tasks=7,task_size=2,chunk_size={chunk_size}"
                    )

    def test_keeps_a_warm_pool_from_repetition_to_repetition(self) -> None:
        for name in ("python_threads", "python_pool_imap"):
            with self.subTest(name):
                pools: list[int] = []
                program = PROGRAMS[name]

                def counted_pool(launch: Any, pools: Any = pools, program: Any = program) -> Any:
                    pools.append(1)
                    return program.pool(launch)

                counted = protocol.Program(counted_pool, program.run)
                with mock.patch.dict(PROGRAMS, {name: counted}):
                    self.check(f"workload=multiply,strategy={name},tasks=7,workers=2,pool=warm")
                    self.assertEqual(len(pools), 1)
                    self.check(f"workload=multiply,strategy={name},tasks=7,workers=2")
                    self.assertEqual(len(pools), 1 + 4, "cold: for each of 2 iterations of 2 repetitions")

    def test_counts_the_memory_of_its_workers(self) -> None:
        peaks = {}
        for name in ("python_loop", "python_pool_map"):
            _, rows = self.launch(f"workload=etl,strategy={name},workers=2,tasks=3,task_size={FRAMES}")
            peaks[name] = int(rows[0]["peak_rss_bytes"])
        self.assertGreater(peaks["python_pool_map"], 1.5 * peaks["python_loop"])

    def test_runs_as_many_iterations_as_a_repetition_needs(self) -> None:
        status, rows = self.launch("workload=multiply,strategy=python_loop,tasks=1", iterations=0)
        self.assertEqual(status, 0)
        self.assertGreater(int(rows[0]["iterations"]), 1)

    def test_delivers_first_what_is_done_first(self) -> None:
        _, rows = self.launch(f"workload=etl,strategy=python_loop,tasks=3,task_size={FRAMES}", repetitions=1)
        self.assertLess(int(rows[0]["first_result_ns"]), int(rows[0]["wall_ns"]), "one file of three")


class WhatGoesWrong(ReferenceTest):
    def test_a_task_that_fails_is_a_failed_row(self) -> None:
        (self.signals / "0001.wav").write_bytes(b"no sound")
        for name in ("python_loop", "python_pool_map", "python_threads"):
            with self.subTest(name):
                status, rows = self.launch(f"workload=etl,strategy={name},tasks=3,task_size={FRAMES}")
                self.assertEqual(status, 1)
                self.assertEqual([row["status"] for row in rows], ["failed", "failed"])
                self.assertIn("ValueError", rows[0]["message"])

    @needs_sox
    def test_sox_names_what_it_cannot_read(self) -> None:
        (self.signals / "0001.wav").unlink()
        status, rows = self.launch(
            f"workload=etl,strategy=sox_xargs,tasks=3,task_size={FRAMES}", repetitions=1
        )
        self.assertEqual((status, rows[0]["status"]), (1, "failed"))
        self.assertIn("0001.wav", rows[0]["message"])

    def test_too_much_noise_is_a_wrong_output(self) -> None:
        def loud(sigma: float, task: Any) -> str:
            return python_programs.add_noise(1.2 * sigma, task)

        program = protocol.Program(python_programs.threads, python_programs.in_threads(loud))
        with mock.patch.dict(PROGRAMS, {"loud": program}):
            status, rows = self.launch(f"workload=etl,strategy=loud,tasks=3,task_size={FRAMES}")
        self.assertEqual((status, rows[0]["status"]), (1, "wrong_output"))
        self.assertIn("σ = ", rows[0]["message"])

    def test_a_result_too_few_is_a_wrong_output(self) -> None:
        def lazy(_: Any, launch: Any, tasks: Any, done: Any) -> None:
            python_programs.loop(None, launch, tasks[1:], done)

        with mock.patch.dict(PROGRAMS, {"lazy": protocol.Program(python_programs.nothing, lazy)}):
            status, rows = self.launch("workload=multiply,strategy=lazy,tasks=3")
        self.assertEqual((status, rows[0]["status"]), (1, "wrong_output"))
        self.assertIn("2 results where 3 tasks were due", rows[0]["message"])

    def test_another_protocol_is_refused(self) -> None:
        arguments = self.arguments("workload=multiply,strategy=python_loop,tasks=1")
        arguments[arguments.index("--protocol") + 1] = "2"
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(protocol.main(arguments, PROGRAMS), 3)
        self.assertIn("protocol 1, not 2", said.getvalue())

    def run_bare(self, **environment: str) -> list[dict[str, str]]:
        """In an interpreter without packages."""
        arguments = self.arguments(f"workload=etl,strategy=python_loop,tasks=3,task_size={FRAMES}")
        done = subprocess.run(
            [sys.executable, "-S", "-B", str(REFERENCE / "python_programs.py"), *arguments],
            env={**os.environ, "PYTHONPATH": "", **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def test_missing_modules_are_a_skipped_row_with_the_packages(self) -> None:
        rows = self.run_bare(NOISEFLOOR_PYTHONS=sys.executable)
        self.assertEqual([row["status"] for row in rows], ["skipped"])
        self.assertIn("python3-numpy python3-scipy", rows[0]["message"])

    def test_an_interpreter_without_modules_hands_over_to_the_next(self) -> None:
        rows = self.run_bare(NOISEFLOOR_PYTHONS=f"/first:{sys.executable}")
        self.assertEqual([row["status"] for row in rows], ["ok", "ok"])

    def test_a_missing_sox_is_said(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                protocol.main(["--missing", "sox_xargs"], PROGRAMS)
        self.assertEqual(printed.getvalue(), "sox is not found: install it (Debian: sox)\n")


class Verification(ReferenceTest):
    def setUp(self) -> None:
        super().setUp()
        self.source = str(self.signals / "0000.wav")
        self.target = str(self.folder / "out.wav")
        self.rate, self.before = wavfile.read(self.source)
        self.noise = np.random.RandomState(1).normal(0, SIGMA, FRAMES)
        self.wanted = protocol.Launch(
            "python_loop", "etl", 1, 1, FRAMES, 1, False, True, 0.003, 1, self.signals, self.output
        )

    def verdict(self, samples: Any, rate: int = 44100) -> str:
        wavfile.write(self.target, rate, samples)
        try:
            protocol.verify_sound(self.wanted, self.source, self.target)
        except protocol.WrongOutput as error:
            return str(error)
        return "right"

    def noisy(self, gain: float = 1.0, offset: float = 0.0) -> Any:
        return (self.before + gain * self.noise + offset).astype(np.int16)

    def test_right_noise_passes(self) -> None:
        self.assertEqual(self.verdict(self.noisy()), "right")

    def test_wrong_sounds_are_told_apart(self) -> None:
        self.assertIn("rate 48000 instead of 44100", self.verdict(self.noisy(), 48000))
        self.assertIn("shape", self.verdict(self.noisy()[:-1]))
        self.assertIn("shape", self.verdict(np.stack([self.noisy(), self.noisy()], axis=1)))
        self.assertIn("type float32", self.verdict(self.noisy().astype(np.float32)))
        self.assertIn("σ", self.verdict(self.before))
        self.assertIn("σ", self.verdict(self.noisy(gain=1.1)))
        self.assertIn("σ", self.verdict(self.noisy(gain=0.9)))
        self.assertIn("mean", self.verdict(self.noisy(offset=20)))

    def test_a_missing_output_is_told(self) -> None:
        with self.assertRaisesRegex(protocol.WrongOutput, "cannot be read"):
            protocol.verify_sound(self.wanted, self.source, self.target)


if __name__ == "__main__":
    unittest.main()

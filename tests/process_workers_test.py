"""Promise: `noisefloor process` with worker processes writes what it would write without them, whatever happens to
a worker, and says what happened; and no worker outlives it.

Usage: process_workers_test.py PROGRAM [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

PROGRAM = ""
NOTES = ".noisefloor"
STRATEGIES = ("process_per_task", "fork_pool", "fork_pool_shm")
FILES = 8
LARGE = 8_000_000  # samples: a worker is busy with such a file for long enough to be seen,
SLOWLY = ("--kernel", "scalar")  # with a slow kernel


def wav(samples: int, seed: int) -> bytes:
    data = random.Random(seed).randbytes(4000) * (samples // 2000)
    form = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", len(data) + 36, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16
    )
    return form + struct.pack("<4sI", b"data", len(data)) + data


def tree(folder: Path) -> dict[str, bytes]:
    """The files below it, without what the program notes for itself."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and NOTES not in p.relative_to(folder).parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def children(pid: int) -> list[int]:
    """Live child processes; those that have ended and wait for their parent do not count."""
    try:
        pids = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [child for child in pids if state(child) not in "ZX"]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def holds(pid: int, name: str) -> bool:
    """Whether the process has a file of this name open."""
    try:
        return any(os.readlink(entry).endswith(name) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


class Workers(unittest.TestCase):
    top: Path
    sounds: Path
    expected: dict[str, bytes]

    @classmethod
    def setUpClass(cls) -> None:
        cls.top = Path(tempfile.mkdtemp(prefix="noisefloor-workers-"))
        cls.addClassCleanup(shutil.rmtree, cls.top, True)
        cls.sounds = cls.top / "in"
        cls.sounds.mkdir()
        for index in range(FILES):
            (cls.sounds / f"{index}.wav").write_bytes(wav(LARGE if index % 2 else 20_000, index))
        whole = cls.top / "whole"
        subprocess.run(
            [PROGRAM, "process", cls.sounds, whole, "--strategy", "sequential", *SLOWLY],
            check=True,
            capture_output=True,
        )
        cls.expected = tree(whole)

    def setUp(self) -> None:
        self.out = self.top / "out"
        shutil.rmtree(self.out, True)
        self.manifest = self.top / "m.jsonl"
        self.manifest.unlink(missing_ok=True)

    def start(self, strategy: str, *arguments: Any) -> Any:
        command: list[Any] = [
            PROGRAM,
            "process",
            self.sounds,
            self.out,
            "--strategy",
            strategy,
            "--workers",
            "2",
            *SLOWLY,
        ]
        return subprocess.Popen(
            [*map(os.fspath, command), "--manifest", os.fspath(self.manifest), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.nice(5),  # who watches must be faster
        )

    def victims(self, process: Any, name: str) -> Iterator[int]:
        """Workers in the middle of the file, stopped there, as they are seen until the program ends."""
        while process.poll() is None:
            for child in children(process.pid):
                if not holds(child, name):
                    continue
                try:
                    os.kill(child, signal.SIGSTOP)
                    while state(child) not in "TZX":
                        pass
                    if holds(child, name):
                        yield child
                    os.kill(child, signal.SIGCONT)
                except ProcessLookupError:
                    pass

    def finish(self, process: Any, status: int = 0) -> str:
        _, errors = process.communicate(timeout=600)
        self.assertEqual(process.returncode, status, errors)
        return str(errors)

    def manifest_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.manifest.read_text().splitlines()]

    def assert_complete(self) -> None:
        self.assertEqual(sorted(tree(self.out)), sorted(self.expected), "outputs, and nothing else")
        self.assertEqual(tree(self.out), self.expected)
        self.assertEqual(
            sorted(Path(line["output"]).name for line in self.manifest_lines()), sorted(self.expected)
        )

    def test_write_what_one_thread_writes(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                self.assertEqual(self.finish(self.start(strategy)), "")
                self.assert_complete()

    def test_a_killed_worker_costs_nothing_but_time(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                process = self.start(strategy)
                for victim in self.victims(process, "/3.wav"):
                    os.kill(victim, signal.SIGKILL)
                    break
                self.assertIn("was killed by signal 9", self.finish(process))
                self.assert_complete()

    def test_killed_at_any_moment_also_between_publishing_and_answering(self) -> None:
        generator = random.Random(7)
        for strategy in STRATEGIES:
            for _ in range(5):
                self.setUp()
                process = self.start(strategy)
                for _ in range(2):
                    time.sleep(generator.random() * 0.02)
                    for child in children(process.pid)[:1]:
                        try:
                            os.kill(child, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                self.finish(process)
                self.assert_complete()

    def test_a_stopped_worker_is_replaced(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                process = self.start(strategy, "--task-timeout", "3")
                for _ in self.victims(process, "/5.wav"):
                    break
                self.assertIn("made no progress for 3 s, and was killed", self.finish(process))
                self.assert_complete()

    def test_a_file_that_kills_its_workers_is_a_failed_input(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                process = self.start(strategy)
                for victim in self.victims(process, "/1.wav"):
                    os.kill(victim, signal.SIGKILL)
                errors = self.finish(process, 1)
                self.assertIn(f"failed: '{self.sounds}/1.wav': task", errors)
                self.assertIn("is given up: 3 workers died running it", errors)
                got = tree(self.out)
                self.assertEqual(got, {name: data for name, data in self.expected.items() if name != "1.wav"})
                failed = [line for line in self.manifest_lines() if line["status"] != "ok"]
                self.assertEqual([Path(line["input"]).name for line in failed], ["1.wav"])
                self.assertIn("is given up", failed[0]["message"])

    def test_an_output_that_was_there_before_is_no_output_of_a_dead_worker(self) -> None:
        self.out.mkdir()
        (self.out / "3.wav").write_bytes(self.expected["3.wav"])
        errors = self.finish(self.start("fork_pool"), 1)
        self.assertIn("exists: --overwrite replaces, --resume skips", errors)

    def test_an_interrupt_ends_all_and_leaves_no_temporary_file(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                process = self.start(strategy)
                for victim in self.victims(process, "/3.wav"):
                    process.send_signal(signal.SIGINT)
                    os.kill(victim, signal.SIGCONT)
                    break
                self.finish(process, 130)
                self.assertEqual([name for name in tree(self.out) if name not in self.expected], [])

    def test_workers_that_die_as_fast_as_they_come_end_the_call_and_leave_no_temporary_file(self) -> None:
        for strategy in ("fork_pool", "fork_pool_shm"):
            with self.subTest(strategy):
                self.setUp()
                # The leak checker's child at the end is a child, too, and whoever starts it waits for it for ever.
                options = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
                with mock.patch.dict(os.environ, ASAN_OPTIONS=options):
                    process = self.start(strategy)
                for _ in self.victims(process, "/3.wav"):
                    break  # a temporary file is there
                while process.poll() is None:
                    for child in children(process.pid):
                        try:
                            os.kill(child, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                self.assertRegex(
                    self.finish(process, 1), "died one after the other|is given up: 3 workers died"
                )
                self.assertEqual([name for name in tree(self.out) if name not in self.expected], [])

    def test_no_worker_outlives_a_killed_program(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                self.setUp()
                process = self.start(strategy)
                orphans: list[int] = []
                for _ in self.victims(process, ".wav"):  # which would never end by itself
                    orphans = children(process.pid)
                    break
                process.kill()
                process.communicate()
                self.assertTrue(orphans)
                deadline = time.monotonic() + 600
                while any(state(pid) not in "ZX" for pid in orphans) and time.monotonic() < deadline:
                    time.sleep(0.005)
                self.assertEqual([pid for pid in orphans if state(pid) not in "ZX"], [])

    def test_a_timeout_that_cannot_be_kept_is_refused(self) -> None:
        errors = self.finish(self.start("std_thread", "--task-timeout", "5"), 2)
        self.assertIn("std_thread cannot end its workers", errors)
        self.assertIn("--task-timeout -1:", self.finish(self.start("fork_pool", "--task-timeout=-1"), 2))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()

"""Promise: whatever happens to `noisefloor process`, no broken file stands under a final name, and after the next
call there is no temporary file and a manifest with every output.

Usage: process_faults_test.py PROGRAM [--long] [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

import json
import math
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Optional

PROGRAM = ""
NOTES = ".noisefloor"
LONG = False

NOBODY = 65534


def wav(frames: int, seed: int) -> bytes:
    """A mono tone in 16 bits at 8 kHz."""
    data = b"".join(struct.pack("<h", int(9000 * math.sin(0.01 * seed * i))) for i in range(frames))
    form = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        len(data) + 36,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        8000,
        16000,
        2,
        16,
        b"data",
        len(data),
    )
    return form + data


def tree(folder: Path) -> dict[str, bytes]:
    """The files below it, without what the program notes for itself."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and NOTES not in p.relative_to(folder).parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def temporaries(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.name.endswith(".noisefloor-tmp")]


class FaultTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-faults-"))
        self.top.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.top, True)
        self.sounds = self.top / "in"
        self.out = self.top / "out"
        self.manifest = self.top / "m.jsonl"

    def make_sounds(self, count: int, frames: int) -> None:
        for index in range(count):
            path = self.sounds / f"{index % 3}" / f"{index:03}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav(frames, 1 + index % 7))

    def command(self, *arguments: Any) -> list[str]:
        return [PROGRAM, "process", "--recursive", *map(os.fspath, arguments)]

    def run_program(
        self, *arguments: Any, status: Optional[int] = 0, before: Optional[Callable[[], None]] = None
    ) -> Any:
        result = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=600,
            cwd=self.top,
            preexec_fn=before,
        )
        if status is not None:
            self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def lines(self) -> list[Any]:
        """Every line of the manifest is JSON, and the last one is complete."""
        text = self.manifest.read_text()
        self.assertTrue(text == "" or text.endswith("\n"))
        return [json.loads(line) for line in text.splitlines()]


class Killed(FaultTest):
    def test_at_any_moment(self) -> None:
        self.make_sounds(30, 3000)
        start = time.monotonic()
        self.run_program(self.sounds, self.top / "whole")
        seconds = time.monotonic() - start
        expected = tree(self.top / "whole")
        generator = random.Random(5)
        caught = 0
        for round_number in range(200 if LONG else 20):
            shutil.rmtree(self.out, True)
            self.manifest.unlink(missing_ok=True)
            # Killed, perhaps twice, then completed.
            for _ in range(generator.choice([1, 2])):
                process = subprocess.Popen(
                    self.command("--resume", "--manifest", self.manifest, self.sounds, self.out),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                time.sleep(generator.random() * seconds)
                process.send_signal(signal.SIGKILL)
                caught += process.wait() == -signal.SIGKILL
                for name, content in (tree(self.out) if self.out.exists() else {}).items():
                    if not name.endswith(".noisefloor-tmp"):
                        self.assertEqual(content, expected[name], f"round {round_number}: {name} is broken")
            self.run_program("--resume", "--manifest", self.manifest, self.sounds, self.out)
            self.assertEqual(tree(self.out), expected)
            done = [Path(line["output"]).name for line in self.lines() if line["status"] == "ok"]
            self.assertEqual(
                sorted(done), sorted(Path(name).name for name in expected), "one line per output"
            )
        self.assertGreater(caught, 0, "every call ended before it was killed")

    def test_while_outputs_are_replaced(self) -> None:
        self.make_sounds(20, 3000)
        self.run_program(self.sounds, self.out)
        old = tree(self.out)
        start = time.monotonic()
        self.run_program("--seed", "2", self.sounds, self.top / "whole")
        seconds = time.monotonic() - start
        new = tree(self.top / "whole")
        generator = random.Random(6)
        for _ in range(50 if LONG else 6):
            process = subprocess.Popen(
                self.command("--seed", "2", "--overwrite", self.sounds, self.out),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(generator.random() * seconds)
            process.kill()
            process.wait()
            there = tree(self.out)
            for name in old:
                self.assertIn(there.get(name), (old[name], new[name]), f"{name} is broken or gone")
        self.run_program("--seed", "2", "--overwrite", self.sounds, self.out)
        self.assertEqual(tree(self.out), new)


class FullDisk(FaultTest):
    def test_fails_what_does_not_fit_and_leaves_nothing_of_it(self) -> None:
        self.make_sounds(6, 1000)
        (self.sounds / "long.wav").write_bytes(wav(60_000, 3))

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

        result = self.run_program("--manifest", self.manifest, self.sounds, self.out, status=1, before=limit)
        self.assertIn("long.wav", result.stderr)
        self.assertIn("File too large", result.stderr)
        self.assertEqual(len(tree(self.out)), 6)
        failed = [line for line in self.lines() if line["status"] == "failed"]
        self.assertEqual([Path(line["input"]).name for line in failed], ["long.wav"])
        self.run_program("--resume", "--manifest", self.manifest, self.sounds, self.out)
        self.assertEqual(len(tree(self.out)), 7)
        self.assertEqual([line["status"] for line in self.lines()].count("ok"), 7)

    def test_a_manifest_that_cannot_grow_keeps_its_lines(self) -> None:
        self.make_sounds(30, 100)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

        result = self.run_program("--manifest", self.manifest, self.sounds, self.out, status=1, before=limit)
        self.assertIn("m.jsonl", result.stderr)
        self.assertLess(len(self.lines()), 30)
        self.assertGreater(len(self.lines()), 0)
        self.run_program("--resume", "--manifest", self.manifest, self.sounds, self.out)
        self.assertEqual(len({line["output"] for line in self.lines() if line["status"] == "ok"}), 30)

    def test_on_a_file_system_that_is_full(self) -> None:
        if not LONG or os.geteuid() != 0:
            self.skipTest("long, and for root: mounts a small file system")
        self.out.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", self.out], capture_output=True, text=True
        )
        if mounted.returncode != 0:
            self.skipTest(f"no mount here: {mounted.stderr.strip()}")
        self.addCleanup(lambda: subprocess.run(["umount", self.out], check=True))
        self.make_sounds(40, 20_000)
        result = self.run_program("--manifest", self.manifest, self.sounds, self.out / "x", status=1)
        self.assertIn("No space left on device", result.stderr)
        self.assertEqual(temporaries(self.out), [])
        expected = self.top / "whole"
        self.run_program(self.sounds, expected)
        for name, content in tree(self.out / "x").items():
            self.assertEqual(content, (expected / name).read_bytes())
        self.assertEqual(len(self.lines()), 40)


class Targets(FaultTest):
    def test_that_may_not_be_written(self) -> None:
        self.make_sounds(3, 100)
        self.out.mkdir()
        self.out.chmod(0o555)
        before = None
        if os.geteuid() == 0:
            # Root may write everywhere: be nobody.
            def before() -> None:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)

            try:
                subprocess.run([PROGRAM, "--version"], preexec_fn=before, capture_output=True, check=True)
            except OSError:
                self.skipTest("only root can start the program here")
        result = self.run_program(self.sounds, self.out, status=1, before=before)
        self.assertIn("Permission denied", result.stderr)
        self.assertEqual(os.listdir(self.out), [])

    def test_that_are_read_only_file_systems(self) -> None:
        if not LONG or os.geteuid() != 0:
            self.skipTest("long, and for root: mounts a file system")
        self.out.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", self.out], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no mount here")
        self.addCleanup(lambda: subprocess.run(["umount", self.out], check=True))
        self.make_sounds(3, 100)
        self.assertIn("Read-only file system", self.run_program(self.sounds, self.out, status=1).stderr)

    def test_that_are_removed_while_they_are_written_to(self) -> None:
        self.make_sounds(60, 4000)
        process = subprocess.Popen(
            self.command("--strategy", "sequential", "--manifest", self.manifest, self.sounds, self.out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 600
        while not (self.out.exists() and any(self.out.rglob("*.wav"))):
            self.assertLess(time.monotonic(), deadline)
        while process.poll() is None and self.out.exists():
            shutil.rmtree(self.out, ignore_errors=True)
        _, stderr = process.communicate(timeout=600)
        if process.returncode != 0:  # else it was faster than the removal
            self.assertEqual(process.returncode, 1, stderr)
            self.assertIn("No such file or directory", stderr)
        self.assertEqual(len(self.lines()), 60)
        shutil.rmtree(self.out, ignore_errors=True)
        self.run_program(self.sounds, self.out)
        self.assertEqual(len(tree(self.out)), 60)

    def test_are_safe_from_two_calls_at_once(self) -> None:
        self.make_sounds(40, 2000)
        self.run_program(self.sounds, self.top / "whole")
        calls = [
            threading.Thread(target=self.run_program, args=(self.sounds, self.out), kwargs={"status": None})
            for _ in range(3)
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        self.assertEqual(tree(self.out), tree(self.top / "whole"))

    def test_are_the_same_when_they_must_last(self) -> None:
        self.make_sounds(4, 1000)
        self.run_program(self.sounds, self.top / "whole")
        self.run_program("--fsync", "--manifest", self.manifest, self.sounds, self.out / "deep" / "er")
        self.assertEqual(tree(self.out / "deep" / "er"), tree(self.top / "whole"))
        self.assertEqual(len(self.lines()), 4)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        LONG = True
    unittest.main()

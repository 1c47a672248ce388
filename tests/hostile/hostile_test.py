"""Promise: `noisefloor process` meets every file of the hostile corpus with the outcome written down for it, within
bounded time and memory, and the good files beside them get the same bytes as without them.

Usage: python3 -B -m tests.hostile.hostile_test PROGRAM [--long] [unittest arguments], from the top of the sources.
Without --long, files of gigabytes are left out; with it, nothing else is done. Standard library only.
SPDX-License-Identifier: MIT
"""

import ctypes
import hashlib
import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from tests.hostile.corpus import CASES, Case, Outcome, random_sound
from tests.hostile.formats import read_back, wav

PROGRAM = ""
LONG = False
# Of CPU time, which a busy machine does not make longer. What hangs uses none, and is ended later.
SECONDS = 10.0
LONG_SECONDS = 300.0
HANGS = 600.0
ADDRESS_SPACE = 1 << 30
# Resident memory; sanitizers, recognised by an address space far larger, keep what is freed.
PEAK_KIB, SANITIZED_PEAK_KIB = 64 << 10, 1 << 20

PROGRESS = re.compile(rb"\d+/\d+ files, ")  # after five seconds

LIBC = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def obey_permissions() -> None:
    """In a child before exec: even root shall not read what nobody may read. Without effect for others."""
    LIBC.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
    LIBC.prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0)


def limit(seconds: float, is_limited: bool) -> None:
    """In a child before exec: CPU time, address space, permissions."""
    resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), round(seconds) + 1))
    if is_limited:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    obey_permissions()


@dataclass(frozen=True)
class Ran:
    status: int  # negative: the signal that ended it
    stdout: bytes
    stderr: bytes
    peak_kib: int


def run(arguments: Sequence[Any], cwd: bytes, seconds: float, is_limited: bool) -> Optional[Ran]:
    """Runs the program; SIGXCPU ends it after `seconds` of CPU time. None if it hangs (it is killed then)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            preexec_fn=lambda: limit(seconds, is_limited),
        )
        ended = os.pidfd_open(process.pid)
        try:
            in_time = bool(select.select([ended], [], [], HANGS)[0])
        finally:
            os.close(ended)
        if not in_time:
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Ran(process.returncode, out.read(), err.read(), usage.ru_maxrss) if in_time else None


def printable(name: bytes) -> bytes:
    """As messages show it: control characters escaped."""
    escaped = name.replace(b"\n", b"\\n")
    return re.sub(rb"[\0-\x1f\x7f]", lambda m: b"\\x%02x" % m.group()[0], escaped)


def lines_of(manifest: bytes) -> dict[bytes, Any]:
    """The lines of a manifest by the name of their input."""
    with open(manifest, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {os.path.basename(os.fsencode(line["input"])): line for line in lines}


def names(folder: bytes) -> list[bytes]:
    """Of all files, temporary ones included, but for what the program notes for itself."""
    return sorted(name for name in os.listdir(folder) if name != b".noisefloor")


def tree(folder: bytes) -> dict[bytes, bytes]:
    """Digests by name."""
    found = {}
    for name in names(folder):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = hashlib.sha256(file.read()).digest()
    return found


class HostileTest(unittest.TestCase):
    is_limited: bool
    can_refuse: bool  # a file that nobody may read is kept from the program

    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.NamedTemporaryFile() as file:
            os.chmod(file.name, 0)
            cls.can_refuse = (
                subprocess.run(
                    ["cat", file.name], stderr=subprocess.DEVNULL, preexec_fn=obey_permissions
                ).returncode
                != 0
            )
        asked = run(["--version"], b"/", SECONDS, True)
        cls.is_limited = asked is not None and asked.status == 0
        if not cls.can_refuse:
            print("not tested: an unreadable file; this user reads everything", file=sys.stderr)

    def setUp(self) -> None:
        self.top = os.fsencode(tempfile.mkdtemp(prefix="noisefloor-hostile-"))
        self.addCleanup(shutil.rmtree, self.top, True)

    def cases(self, is_long: bool = False) -> list[Case]:
        chosen = [c for c in CASES if c.is_long == is_long]
        return [c for c in chosen if self.can_refuse or c.name != "unreadable.wav"]

    def process(self, *arguments: Any, seconds: float = SECONDS) -> Ran:
        ran = run(["process", *arguments], self.top, seconds, self.is_limited)
        self.assertIsNotNone(ran, f"did not end within {HANGS} s")
        assert ran is not None
        self.assertGreaterEqual(ran.status, 0, f"ended by signal {-ran.status}: {ran.stderr!r}")
        self.assertLess(ran.peak_kib, PEAK_KIB if self.is_limited else SANITIZED_PEAK_KIB, "memory")
        return ran

    def check_message(self, case: Case, stderr: bytes) -> None:
        lines = [line for line in stderr.splitlines() if not PROGRESS.match(line)]
        if case.outcome is Outcome.RIGHT:
            self.assertEqual(lines, [])
            return
        said = [line for line in lines if printable(case.file_name) in line]
        self.assertEqual(len(said), 1, stderr)
        self.assertIn(case.says.encode(), said[0])

    def check_manifest(self, case: Case, line: Any) -> None:
        failed = case.outcome is Outcome.FAILED
        self.assertEqual(line["status"], "failed" if failed else "ok")
        self.assertEqual(bool(line["message"]), failed)
        self.assertEqual(bool(line["warnings"]), case.outcome is Outcome.PARTIAL)
        if failed:
            self.assertIn(case.says, line["message"])
        frames = case.sound.frames if case.sound is not None else case.frames
        if not failed:
            self.assertEqual(line["frames"], frames)
            parts = [line["sound_bytes"], line["metadata_bytes"], line["other_bytes"]]
            self.assertEqual(sum(parts), os.path.getsize(os.fsencode(line["input"])), parts)
            self.assertEqual("unknown bytes" in line["warnings"], line["other_bytes"] > 0)

    def check_output(self, case: Case, output: bytes) -> None:
        with open(output, "rb") as file:
            found = read_back(file.read())
        if case.sound is None:
            return
        facts = (case.sound.channels, case.sound.rate)
        self.assertEqual((found.channels, found.rate), facts)
        if found.digest is not None:
            self.assertEqual(
                (found.frames, found.digest), (case.sound.frames, hashlib.md5(case.sound.data).digest())
            )
        else:
            self.assertEqual(found.data, case.sound.data)

    def check_alone(self, case: Case, seconds: float = SECONDS) -> None:
        folder = os.path.join(self.top, b"in")
        out, manifest = os.path.join(self.top, b"out"), os.path.join(self.top, b"m.jsonl")
        os.mkdir(folder)
        path = case.make(folder)
        try:
            ran = self.process("--amplitude", "0", "--manifest", manifest, "--", path, out, seconds=seconds)
            failed = case.outcome is Outcome.FAILED
            self.assertEqual(ran.status, case.status if failed else 0, ran.stderr)
            self.check_message(case, ran.stderr)
            written = names(out) if os.path.exists(out) else []
            self.assertEqual(written, [] if failed else [case.file_name])
            if ran.status != 2:
                self.check_manifest(case, lines_of(manifest)[case.file_name])
            if not failed and not case.is_long:
                self.check_output(case, os.path.join(out, case.file_name))
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(out, True)
            if os.path.exists(manifest):
                os.unlink(manifest)


class Corpus(HostileTest):
    def test_names_are_different_and_every_outcome_is_there(self) -> None:
        self.assertEqual(len({case.name for case in CASES}), len(CASES))
        self.assertEqual(len({case.file_name for case in CASES}), len(CASES))
        self.assertGreaterEqual(len(CASES), 80)
        for outcome in Outcome:
            self.assertGreaterEqual(sum(case.outcome is outcome for case in CASES), 20, outcome)


class Fast(HostileTest):
    def test_each_case_by_itself(self) -> None:
        for case in self.cases():
            with self.subTest(case=case.name):
                self.check_alone(case)

    def test_all_in_one_folder_beside_good_files(self) -> None:
        good, mixed = os.path.join(self.top, b"good"), os.path.join(self.top, b"mixed")
        os.mkdir(good)
        os.mkdir(mixed)
        for index in range(8):
            for folder in (good, mixed):
                with open(os.path.join(folder, b"%d good.wav" % (index * 11)), "wb") as file:
                    file.write(wav(random_sound(5000 + 1777 * index)))
        cases = self.cases()
        for case in cases:
            case.make(mixed)
        expected_out = os.path.join(self.top, b"good-out")
        self.assertEqual(self.process(good, expected_out).status, 0)
        expected_good = tree(expected_out)
        written = {c.file_name for c in cases if c.outcome is not Outcome.FAILED} | set(expected_good)
        skipped = sum(not case.is_regular for case in cases)
        first: dict[bytes, bytes] = {}
        for how in (
            ["--strategy", "sequential"],
            ["--strategy", "std_thread", "--workers", "3", "--chunk", "2"],
            ["--strategy", "openmp", "--workers", "2", "--chunk", "5"],
        ):
            with self.subTest(how=how):
                out, manifest = os.path.join(self.top, b"out"), os.path.join(self.top, b"m.jsonl")
                ran = self.process(*how, "--manifest", manifest, mixed, out)
                self.assertEqual(ran.status, 1, ran.stderr)
                found = tree(out)
                self.assertEqual(set(found), written, ran.stderr)
                self.assertEqual({name: found[name] for name in expected_good}, expected_good)
                first = first or found
                self.assertEqual(found, first, "another strategy, other bytes")
                lines = lines_of(manifest)
                for case in cases:
                    with self.subTest(case=case.name):
                        if case.is_regular:
                            self.check_message(case, self.about(case, ran.stderr))
                            self.check_manifest(case, lines[case.file_name])
                        else:
                            self.assertNotIn(case.file_name, lines)
                # The folder is counted as one that was not entered.
                self.assertIn(b"neither files nor links, %d files" % (skipped - 1), ran.stdout)
                self.assertIn(b"1 folder not entered", ran.stdout)
                shutil.rmtree(out)
                os.unlink(manifest)

    @staticmethod
    def about(case: Case, stderr: bytes) -> bytes:
        """The messages about `case`; its name ends with its quotes."""
        name = b"/" + printable(case.file_name) + b"'"
        return b"".join(line for line in stderr.splitlines(True) if name in line)

    def test_each_way_to_ask_for_noise_ends(self) -> None:
        folder = os.path.join(self.top, b"in")
        os.mkdir(folder)
        for case in self.cases():
            case.make(folder)
        for noise in (["--amplitude", "1"], ["--noise-dbfs", "-300"], ["--snr-db", "-20:60"]):
            with self.subTest(noise=noise):
                out = os.path.join(self.top, b"out")
                ran = self.process(*noise, folder, out, seconds=2 * SECONDS)
                self.assertEqual(ran.status, 1, ran.stderr)
                for name in names(out):
                    with open(os.path.join(out, name), "rb") as file:
                        read_back(file.read())
                shutil.rmtree(out)

    def test_all_named_in_one_call(self) -> None:
        folder, out = os.path.join(self.top, b"in"), os.path.join(self.top, b"out")
        os.mkdir(folder)
        cases = self.cases()
        paths = [case.make(folder) for case in cases]
        ran = self.process("--", *paths, out)
        self.assertEqual(ran.status, 1, ran.stderr)
        self.assertEqual(
            set(names(out)), {c.file_name for c in cases if c.outcome is not Outcome.FAILED}, ran.stderr
        )
        for case in cases:
            with self.subTest(case=case.name):
                if case.status == 1:  # a folder without a sound is no failure beside sounds
                    self.check_message(case, self.about(case, ran.stderr))


class Long(HostileTest):
    def test_gigabytes(self) -> None:
        for case in self.cases(is_long=True):
            with self.subTest(case=case.name):
                self.check_alone(case, LONG_SECONDS)


def load_tests(loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: Any) -> unittest.TestSuite:
    chosen: list[type[unittest.TestCase]] = [Long] if LONG else [Corpus, Fast]
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in chosen)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        LONG = True
    unittest.main()

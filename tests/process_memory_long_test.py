"""Promise: `noisefloor process` needs at most 200 bytes of memory for each file more, also to go on with a manifest.

Usage: process_memory_long_test.py PROGRAM [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = ""
FEW = 2_000
MANY = 102_000
MOST_BYTES_PER_FILE = 200
LINKS = 20_000  # to one file; no file system here allows fewer than 32,000
SECONDS = 600.0


def wav(samples: int) -> bytes:
    data = struct.pack("<h", 1000) * samples
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def peak_bytes(arguments: list[str]) -> int:
    """Peak resident memory of a call of the program that ends well.

    Its standard output is a pipe without room, so that it waits at its end, when all has been held that it ever holds;
    there its own status is read. (What wait4() tells of a child starts from the size of its parent.)
    """
    reader, writer = os.pipe()
    room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"\n" * room)
    with subprocess.Popen([PROGRAM, "process", *arguments], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        deadline = time.monotonic() + SECONDS
        wchan = Path(f"/proc/{process.pid}/syscall")
        peak = 0
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                assert process.stderr
                raise AssertionError(f"ended early or never: {process.stderr.read().decode()}")
            # "1 0x1 ...": write(2) to standard output on x86-64; 64 on arm64
            words = wchan.read_text(encoding="ascii").split()
            if words[0] in ("1", "64") and words[1] == "0x1":
                break
            time.sleep(0.01)
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) * 1024
        with os.fdopen(reader, "rb") as pipe:
            pipe.read()
        assert process.stderr
        message = process.stderr.read().decode()
        if process.wait() != 0 or peak == 0:
            raise AssertionError(message)
    return peak


class MemoryTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-memory-"))
        self.addCleanup(shutil.rmtree, self.top, True)

    def make_sounds(self, count: int) -> Path:
        """Files of 20 letters in folders of 1,000."""
        top = self.top / f"in{count}"
        for index in range(count):
            folder = top / f"{index // 1000:04}"
            if index % 1000 == 0:
                folder.mkdir(parents=True)
            if index % LINKS == 0:
                source = top / f"{index:06}.source"
                source.write_bytes(wav(100))
            os.link(source, folder / f"a-name-like-{index:08}.wav")
        return top

    def test_memory_hardly_grows_with_the_number_of_files(self) -> None:
        few, many = self.make_sounds(FEW), self.make_sounds(MANY)
        how = ["--recursive", "--workers", "2"]
        for call in ("first", "with --resume"):
            more = ["--resume"] if call != "first" else []
            peaks = []
            for sounds in (few, many):
                manifest = ["--manifest", str(self.top / f"{sounds.name}.jsonl")]
                peaks.append(
                    peak_bytes([*how, *more, *manifest, str(sounds), str(self.top / f"{sounds.name}-out")])
                )
            per_file = (peaks[1] - peaks[0]) / (MANY - FEW)
            print(f"{call}: {peaks[0]} and {peaks[1]} bytes: {per_file:.0f} per file")
            self.assertLess(per_file, MOST_BYTES_PER_FILE, call)
        out = self.top / f"{many.name}-out"
        self.assertEqual(sum(1 for _ in out.rglob("*.wav")), MANY)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()

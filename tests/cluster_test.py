"""Promise: a job array over two machines that loses one in the middle ends with the bytes of one call.

Usage: cluster_test.py SOURCE PROGRAM [unittest arguments]. Needs root, sshd
and Slurm; makes two "machines" of its own (tests/cluster/machines).
Standard library only.
SPDX-License-Identifier: MIT
"""

import array
import filecmp
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import wave
from pathlib import Path
from typing import Any

SOURCE = Path()
PROGRAM = Path()
NEEDED = (
    "ip", "nsenter", "unshare", "setsid", "pgrep", "ssh-keygen", "/usr/sbin/sshd",
    "munged", "slurmctld", "slurmd", "srun", "sbatch",
)  # fmt: skip
FILES = 2000


def what_is_missing() -> str:
    """Why there are no machines here; "" if there can be."""
    if os.geteuid() != 0:
        return "it makes network namespaces and mounts: run it as root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"not found: {', '.join(missing)}: scripts/bootstrap cluster"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True
    )
    return tried.stderr.strip()


def wait_until(what: Any, why: str) -> None:
    """Polls: the events lie on another "machine"."""
    end = time.monotonic() + 900
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"{why}: not after 15 minutes")
        time.sleep(0.05)


class ClusterTest(unittest.TestCase):
    state: Path
    work: Path
    program: Path

    @classmethod
    def setUpClass(cls) -> None:
        missing = what_is_missing()
        if missing:
            raise unittest.SkipTest(missing)
        cls.state = Path(tempfile.mkdtemp(prefix="noisefloor-cluster-", dir="/var/tmp"))
        cls.state.chmod(0o755)  # munged, who is not root, passes
        cls.addClassCleanup(cls.down)
        cls.work = cls.state / "shared"
        (cls.work / "docs").mkdir(parents=True)
        # What the machines share: the program, the script that users copy.
        cls.program = cls.work / "build" / "release" / "noisefloor"
        cls.program.parent.mkdir(parents=True)
        shutil.copy2(PROGRAM, cls.program)
        shutil.copy2(SOURCE / "docs" / "array.slurm", cls.work / "docs" / "array.slurm")
        cls.machines("up", "2")
        cls.machines("slurm", "2")
        wait_until(lambda: cls.states().count("idle") == 2, "two idle nodes")

    @classmethod
    def down(cls) -> None:
        name = cls.state.name
        cls.machines("down")
        shutil.rmtree(cls.state)
        left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        assert name not in left, left

    @classmethod
    def machines(cls, *words: str) -> None:
        subprocess.run([SOURCE / "tests/cluster/machines", cls.state, *words], check=True, timeout=900)

    @classmethod
    def on(cls, node: int, *words: str, check: bool = True) -> Any:
        """Runs it on a node, in the folder that the machines share."""
        bare = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OMPI_", "PMIX_", "NOISEFLOOR_", "SLURM_"))
        }
        bare["PATH"] = f"{cls.program.parent}:{bare['PATH']}"
        done = subprocess.run(
            [SOURCE / "tests/cluster/machines", cls.state, "on", str(node), *words],
            env={**bare, "NOISEFLOOR_CACHE": "/tmp/noisefloor-cache"},
            cwd=cls.work,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @classmethod
    def states(cls) -> list[str]:
        told: str = cls.on(1, "sinfo", "--noheader", "--Node", "--format=%t", check=False).stdout
        return told.split()

    def test_a_job_array_whose_node_loses_its_power_ends_complete(self) -> None:
        self.make_collection(self.work / "speech")
        self.on(
            1,
            "sbatch",
            "--array=1-2",
            "--output=array-%a.out",
            "docs/array.slurm",
            "speech",
            "noisy",
            "--workers=1",
        )

        def written() -> int:
            return sum(1 for _ in (self.work / "noisy").rglob("*.wav"))

        wait_until(lambda: written() >= FILES // 8, "the array works")
        self.machines("cut", "2")
        self.assertLess(written(), FILES, "the node died too late to be of use")
        self.machines("start", "2")
        self.machines("slurm", "2")
        wait_until(lambda: self.on(1, "squeue", "--noheader").stdout == "", "the array ends")
        told = "".join(path.read_text() for path in self.work.glob("array-*.out"))
        manifests = sorted(path.name for path in self.work.glob("noisy-*.jsonl"))
        self.assertEqual(manifests, ["noisy-1.jsonl", "noisy-2.jsonl"], told)
        self.on(1, "noisefloor", "manifest", "check", *manifests)
        self.on(1, "noisefloor", "process", "--recursive", "speech", "whole")
        outputs = [path for path in (self.work / "whole").rglob("*") if path.is_file()]
        self.assertEqual(sum(path.suffix == ".wav" for path in outputs), FILES)
        here = {str(path.relative_to(self.work / "whole")) for path in outputs if path.suffix == ".wav"}
        there = {
            str(path.relative_to(self.work / "noisy"))
            for path in (self.work / "noisy").rglob("*")
            if path.is_file() and (path.suffix == ".wav" or "tmp" in path.name)
        }
        self.assertEqual(here, there, "an output is missing, or a temporary file is left")
        _, different, unread = filecmp.cmpfiles(self.work / "whole", self.work / "noisy", here, shallow=False)
        self.assertEqual((different, unread), ([], []))

    @staticmethod
    def make_collection(folder: Path) -> None:
        numbers = random.Random(1)
        samples = array.array("h", (numbers.randrange(-8000, 8000) for _ in range(16000)))
        for i in range(FILES):
            path = folder / f"{i % 20:02}" / f"{i:04}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16000)
                file.writeframes((samples * (1 + i % 7)).tobytes())


if __name__ == "__main__":
    SOURCE, PROGRAM = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
    unittest.main()

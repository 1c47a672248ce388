"""Measures the ETL beside cp, its own floor, and the programs that people use; prints Markdown tables.

Usage: etl_table.py [--rounds N] [--slow-rounds N] [--files N] [--seconds S] [--program FILE] [--floor FILE]
                    [--seed S] [--csv FILE]
       etl_table.py --many [--program FILE] [--calls N]

One interleaved run: every round starts each arm once, in shuffled order and in fresh processes; the slow ones (Python,
sox) only in the first --slow-rounds rounds. A value is one of

  command  wall time of the whole command, from its start to its end: what a user waits for
  row      `wall_ns` of one `noisefloor launch` row: inside the clock only
  inside   the loop's own time, told by micro_etl_floor

Figures are medians over rounds with 95% intervals by order statistics; ratios are paired by round. CPU is user + system
time of all processes of the arm.

Outside the clock: the inputs are read before, so that the page cache is warm; every arm writes new files into a new
folder, removed afterwards, under a parent that ext4 treats as a top directory; before each arm the corpus is copied once
and removed, so that memory that a guest gave back to its host is faulted in for all arms alike. Nothing written lives
long enough for write-back. The bytes of the raw loop and of `process` are compared before anything is measured.

--many: 1,000 and 100,000 files of 0.1 s through `noisefloor process` and, as a control, through one `cp -r`, --calls
times in a row: wall, user and system time per file, the ratio to the smaller batch of the same call, and peak memory.
What the control shares is the file system's. Outputs are emptied after each call, and removed only at the end: without a
journal, ext4 takes no inode that was deleted within the last minute (five, if that is not on the disk yet) and steps
over such ones at every create, so that removing 100,000 files makes the next calls several times slower, whatever they
are. For the same reason, wait five minutes before starting it again.

Exit status: 0; 1 if an arm fails or writes other bytes; 2 usage; 3 if a program is missing.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import array
import contextlib
import csv
import fcntl
import filecmp
import io
import math
import os
import random
import resource
import shlex
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final


import pandas as pd

TOP: Final = Path(__file__).resolve().parents[2]

from scripts.lib import stats

RATE: Final = 44100
FS_IOC_GETFLAGS: Final = 0x80086601
FS_IOC_SETFLAGS: Final = 0x40086602
FS_TOPDIR_FL: Final = 0x00020000
# sox knows no Gaussian noise: uniform, of the same standard deviation.
SOX: Final = 'sox -D -m -v 1 "$1" -v 0.0052 "|sox -D \\"$1\\" -p synth whitenoise" "$0/$(basename "$1")"'


class Failure(Exception):
    """An arm that failed, or wrote other bytes than it should."""


@dataclass
class Arm:
    """One line of the table. `run` takes a new, empty folder and returns wall and CPU time in ns."""

    name: str
    label: str
    kind: str
    run: Callable[[Path], tuple[int, int]]
    against: str = ""  # the arm that its ratio is to
    slow: bool = False
    wall: dict[int, float] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)

    def series(self) -> pd.Series[float]:
        return pd.Series(self.wall, dtype=float)


def command(arguments: Sequence[str | Path], **how: str) -> tuple[int, int]:
    """Wall and CPU time in ns of a command; throws Failure with its messages if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter_ns()
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, input=how.get("input"))
    wall = time.perf_counter_ns() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Failure(
            f"{shlex.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()[-500:]}"
        )
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, round(cpu * 1e9)


def launch(program: Path, cell: str, digest: str = "") -> dict[str, str]:
    """The one row of a launch. Throws Failure if its status is not ok."""
    arguments = [
        str(program),
        "launch",
        "--cell",
        cell,
        "--iterations",
        "1",
        "--repetitions",
        "1",
        "--warmups",
        "0",
    ]
    if digest:
        arguments += ["--expect", digest]
    done = subprocess.run(arguments, capture_output=True, text=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if done.returncode != 0 or len(rows) != 1 or rows[0]["status"] != "ok":
        raise Failure(f"{shlex.join(arguments)}: {rows[0]['message'] if rows else done.stderr.strip()}")
    return rows[0]


def mark_top_folder(folder: Path) -> None:
    """Keeps ext4 from searching past inodes of removed files at every create. Best effort."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
        flags[0] |= FS_TOPDIR_FL
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags)
    except OSError:
        pass  # another file system
    finally:
        os.close(fd)


class Scratch:
    """Folders under <cache>/etl-table, all removed at the end."""

    def __init__(self) -> None:
        cache = os.environ.get("NOISEFLOOR_CACHE")
        if not cache:
            base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            cache = str(Path(base) / "noisefloor")
        self.cache = Path(cache).absolute()
        self.path = self.cache / "etl-table" / str(os.getpid())
        self._serial = 0

    def __enter__(self) -> Scratch:
        self.path.mkdir(parents=True)
        mark_top_folder(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def folder(self) -> Path:
        self._serial += 1
        folder = self.path / f"{self._serial:06}"
        folder.mkdir()
        return folder


def estimate_text(estimate: stats.Estimate, scale: float = 1.0, digits: int = 0) -> str:
    text = f"{estimate.median * scale:.{digits}f}"
    if not estimate.has_interval:
        return text
    return f"{text} [{estimate.low * scale:.{digits}f}, {estimate.high * scale:.{digits}f}]"


def wav_bytes(frames: int, value: int) -> bytes:
    """A mono int16 WAV file of constant samples."""
    data = struct.pack("<h", value) * frames
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


# --- The table ---


def arms_of(program: Path, floor: Path, inputs: Path, cell: str, digests: dict[str, str]) -> list[Arm]:
    files = sorted(inputs.glob("*.wav"))
    names = "\0".join(map(str, files))

    def xargs(processes: int, *words: str) -> Callable[[Path], tuple[int, int]]:
        each = math.ceil(len(files) / processes) if words[0] == "cp" else 1

        def run(out: Path) -> tuple[int, int]:
            filled = [word.replace("OUT", str(out)) for word in words]
            return command(["xargs", "-0", "-n", str(each), "-P", str(processes), *filled], input=names)

        return run

    def row(workload: str, how: str) -> Callable[[Path], tuple[int, int]]:
        def run(_: Path) -> tuple[int, int]:
            found = launch(program, f"workload={workload},{how},{cell}", digests[workload])
            return int(found["wall_ns"]), int(found["user_cpu_ns"]) + int(found["system_cpu_ns"])

        return run

    def process(strategy: str, workers: int) -> Callable[[Path], tuple[int, int]]:
        return lambda out: command(
            [program, "process", "--strategy", strategy, "--workers", str(workers), inputs, out]
        )

    def floor_part(part: str) -> Callable[[Path], tuple[int, int]]:
        def run(out: Path) -> tuple[int, int]:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            words = [str(floor), part, str(inputs), *([str(out)] if part == "loop" else [])]
            done = subprocess.run(words, capture_output=True, text=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode != 0:
                raise Failure(done.stderr.strip())
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return int(done.stdout), round(cpu * 1e9)

        return run

    python = TOP / "scripts" / "reference" / "etl_pool.py"
    arms = [
        Arm("cp_1", "`cp`, 1 process", "command", xargs(1, "cp", "--reflink=never", "-t", "OUT"), "cp_1"),
        Arm("cp_2", "`cp`, 2 processes", "command", xargs(2, "cp", "--reflink=never", "-t", "OUT"), "cp_2"),
        Arm("process_1", "`noisefloor process`, sequential", "command", process("sequential", 1), "cp_1"),
        Arm(
            "process_2",
            "`noisefloor process`, std_thread, 2 workers",
            "command",
            process("std_thread", 2),
            "cp_2",
        ),
        Arm("openmp_2", "`noisefloor process`, openmp, 2 workers", "command", process("openmp", 2), "cp_2"),
        Arm("etl_1", "`etl`, sequential", "row", row("etl", "strategy=sequential"), "cp_1"),
        Arm(
            "etl_2",
            "`etl`, std_thread, 2 workers",
            "row",
            row("etl", "strategy=std_thread,workers=2"),
            "cp_2",
        ),
        Arm("copy_1", "`copy`, sequential", "row", row("copy", "strategy=sequential"), "cp_1"),
        Arm(
            "copy_2",
            "`copy`, std_thread, 2 workers",
            "row",
            row("copy", "strategy=std_thread,workers=2"),
            "cp_2",
        ),
        Arm("loop", "the ETL's loop on raw descriptors, 1 thread", "inside", floor_part("loop"), "cp_1"),
        Arm("kernel", "the kernel alone, in the cache, 1 thread", "inside", floor_part("kernel"), "cp_1"),
        Arm(
            "python",
            "Python: `Pool(2)`, scipy, `np.random.normal`",
            "command",
            lambda out: command([sys.executable, python, "2", inputs, out]),
            "cp_2",
            slow=True,
        ),
        Arm(
            "sox",
            "`sox` noise mix, 2 processes",
            "command",
            xargs(2, "sh", "-c", SOX, "OUT"),
            "cp_2",
            slow=True,
        ),
    ]
    return [arm for arm in arms if arm.name != "sox" or shutil.which("sox")]


def check_bytes(program: Path, floor: Path, inputs: Path, scratch: Scratch) -> None:
    """The raw loop must do the same work: as many bytes, the same bytes."""
    ours, raw = scratch.folder(), scratch.folder()
    command([program, "process", inputs, ours])
    command([floor, "loop", inputs, raw])
    names = sorted(path.name for path in inputs.glob("*.wav"))
    _, different, missing = filecmp.cmpfiles(ours, raw, names, shallow=False)
    if different or missing:
        raise Failure(f"the raw loop writes other bytes than `process`: {', '.join(different + missing)}")
    shutil.rmtree(ours)
    shutil.rmtree(raw)


def measure(
    arms: Sequence[Arm], inputs: Path, scratch: Scratch, rounds: int, slow_rounds: int, seed: int
) -> None:
    order = random.Random(seed)
    settle = ["cp", "--reflink=never", "-t"]
    files = sorted(map(str, inputs.glob("*.wav")))
    for number in range(rounds):
        due = [arm for arm in arms if not arm.slow or number < slow_rounds]
        order.shuffle(due)
        os.sync()
        for arm in due:
            before = scratch.folder()
            command([*settle, before, *files])
            shutil.rmtree(before)
            out = scratch.folder()
            wall, cpu = arm.run(out)
            shutil.rmtree(out)
            arm.wall[number], arm.cpu[number] = wall, cpu
        print(f"round {number + 1} of {rounds}", file=sys.stderr)


def print_tables(arms: Sequence[Arm], samples: int) -> None:
    by_name = {arm.name: arm for arm in arms}
    print("| arm | what is timed | wall, ms | CPU, ms | time over `cp` | n |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for arm in arms:
        wall = stats.median_interval(list(arm.wall.values()))
        cpu = stats.median_interval(list(arm.cpu.values()))
        ratio = stats.paired_ratio(arm.series(), by_name[arm.against].series())
        over = "1" if arm.name == arm.against else estimate_text(ratio, digits=3)
        print(
            f"| {arm.label} | {arm.kind} | {estimate_text(wall, 1e-6)} | {cpu.median * 1e-6:.0f} | {over} | {wall.n} |"
        )

    def ratio_of(a: pd.Series[float], b: pd.Series[float], digits: int = 3) -> str:
        return estimate_text(stats.paired_ratio(a, b), digits=digits)

    times = {name: arm.series() for name, arm in by_name.items()}
    sum_1 = times["copy_1"] + times["kernel"]
    sum_2 = times["copy_2"] + times["kernel"] / 2
    lines = [
        ("`etl` over `copy` + kernel, 1 worker", ratio_of(times["etl_1"], sum_1), "≤ 1.05"),
        ("`etl` over `copy` + kernel / 2, 2 workers", ratio_of(times["etl_2"], sum_2), "≤ 1.05"),
        (
            "through libsndfile over raw descriptors, 1 worker",
            ratio_of(times["etl_1"], times["loop"]),
            "≤ 1.03",
        ),
        ("`process` over `cp`, 1 process", ratio_of(times["process_1"], times["cp_1"]), "≤ 1.00"),
        ("`process` over `cp`, 2 processes", ratio_of(times["process_2"], times["cp_2"]), "≤ 1.00"),
        ("the floor here: (`copy` + kernel) over `cp`, 1 process", ratio_of(sum_1, times["cp_1"]), ""),
        ("the floor here: (`copy` + kernel / 2) over `cp`, 2 processes", ratio_of(sum_2, times["cp_2"]), ""),
        ("`etl`, speed-up of 2 workers", ratio_of(times["etl_1"], times["etl_2"]), "≥ 1.85"),
        ("Python's Pool over `process`, 2 workers", ratio_of(times["python"], times["process_2"], 1), "≥ 40"),
    ]
    if "sox" in times:
        lines.append(("sox over `process`, 2 workers", ratio_of(times["sox"], times["process_2"], 1), "≥ 25"))
    print("\n| ratio, paired by round | measured | asked for |")
    print("| --- | ---: | ---: |")
    for label, measured, asked in lines:
        print(f"| {label} | {measured} | {asked} |")
    kernel = stats.median_interval(list(by_name["kernel"].wall.values()))
    print(f"\nThe kernel alone: {estimate_text(kernel, 1 / samples, 3)} ns per sample.")


def table(arguments: argparse.Namespace, scratch: Scratch) -> None:
    program, floor = arguments.program, arguments.floor
    frames = round(arguments.seconds * RATE)
    cell = f"tasks={arguments.files},task_size={frames}"
    # Makes the signals, and tells the digests that every later row is checked against.
    digests = {
        workload: launch(program, f"workload={workload},{cell}")["digest"] for workload in ("etl", "copy")
    }
    # The cache may hold more signals than are asked for.
    inputs = scratch.folder()
    for path in sorted((scratch.cache / "signals" / f"int16-{frames}").glob("*.wav"))[: arguments.files]:
        os.link(path, inputs / path.name)
    check_bytes(program, floor, inputs, scratch)
    arms = arms_of(program, floor, inputs, cell, digests)
    start = time.monotonic()
    measure(
        arms, inputs, scratch, arguments.rounds, min(arguments.slow_rounds, arguments.rounds), arguments.seed
    )
    print(
        f"{arguments.files} mono int16 files of {arguments.seconds:g} s at 44.1 kHz; {arguments.rounds} rounds in "
        f"{time.monotonic() - start:.0f} s; load {os.getloadavg()[0]:.1f} at the end.\n"
    )
    print_tables(arms, arguments.files * frames)
    if not shutil.which("sox"):
        print("sox is missing (Debian package sox): its line is left out.")
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["round", "arm", "wall_ns", "cpu_ns"])
            for arm in arms:
                writer.writerows([n, arm.name, int(arm.wall[n]), int(arm.cpu[n])] for n in sorted(arm.wall))


# --- Many small files ---


@dataclass
class Cost:
    """Of a command: ns, and MB."""

    wall: float
    user: float
    system: float
    peak: float


def cost_of(words: Sequence[str]) -> Cost:
    """What a command costs. Its peak resident memory is read every few ms while it runs. (What wait4() tells is at least
    this program's own: a child starts as its copy.) Throws Failure."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter_ns()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, done = [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(0.003):
            with contextlib.suppress(OSError):
                for line in (
                    Path(f"/proc/{child.pid}/status")
                    .read_text(encoding="ascii", errors="replace")
                    .splitlines()
                ):
                    if line.startswith("VmHWM:"):
                        peak[0] = int(line.split()[1]) * 1024e-6

    sampler = threading.Thread(target=sample)
    sampler.start()
    status = child.wait()
    wall = time.perf_counter_ns() - start
    done.set()
    sampler.join()
    if status != 0:
        raise Failure(f"{shlex.join(words)}: exit {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(
        wall,
        (after.ru_utime - before.ru_utime) * 1e9,
        (after.ru_stime - before.ru_stime) * 1e9,
        peak[0],
    )


def empty(folder: Path, files: int) -> None:
    """Empties the files of a folder, which must be as many as said. Throws Failure."""
    found = 0
    for entry in os.scandir(folder):
        os.truncate(entry.path, 0)
        found += 1
    if found != files:
        raise Failure(f"{folder}: {found} files instead of {files}")


def many(arguments: argparse.Namespace, scratch: Scratch) -> None:
    sizes = (1_000, 100_000)
    folders = {}
    for size in sizes:
        folders[size] = scratch.folder()
        for index in range(size):
            (folders[size] / f"{index:06}.wav").write_bytes(wav_bytes(RATE // 10, index % 1000))
        os.sync()
    print(
        "| call | command | files | wall, s | µs per file | user | system | over 1,000 files | peak memory, MB |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for call in range(arguments.calls):
        per_file: dict[str, float] = {}
        for size in sizes:
            costs: dict[str, list[Cost]] = {"process": [], "cp": []}
            # One call of 1,000 files is over in a moment: the median of nine stands for it.
            for _ in range(9 if size == sizes[0] else 1):
                for name, found in costs.items():
                    out = scratch.folder()
                    if name == "cp":
                        found.append(cost_of(["cp", "-r", "--reflink=never", f"{folders[size]}/.", str(out)]))
                    else:
                        found.append(
                            cost_of([str(arguments.program), "process", str(folders[size]), str(out)])
                        )
                    empty(out, size)
            for name, found in costs.items():
                median = sorted(found, key=lambda cost: cost.wall)[len(found) // 2]
                per_file.setdefault(name, median.wall / size)
                label = "`noisefloor process`" if name == "process" else "`cp -r`"
                print(
                    f"| {call + 1} | {label} | {size} | {median.wall * 1e-9:.2f} | {median.wall / size * 1e-3:.1f} | "
                    f"{median.user / size * 1e-3:.1f} | {median.system / size * 1e-3:.1f} | "
                    f"{median.wall / size / per_file[name]:.3f} | {median.peak:.1f} |",
                    flush=True,
                )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    release = TOP / "build" / "release"
    parser.add_argument("--program", type=Path, default=release / "noisefloor")
    parser.add_argument("--floor", type=Path, help="micro_etl_floor; default: beside the program")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--slow-rounds", type=int, default=6, help="of Python and sox, at least 3")
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--csv", help="every value into this file")
    parser.add_argument("--many", action="store_true", help="many small files instead")
    parser.add_argument("--calls", type=int, default=5, help="with --many")
    arguments = parser.parse_args(argv)
    if arguments.floor is None:
        arguments.floor = arguments.program.parent / "benchmarks" / "micro" / "micro_etl_floor"
    if arguments.rounds < 1 or arguments.slow_rounds < 3 or arguments.files < 1 or arguments.calls < 1:
        parser.error("--rounds, --files and --calls are at least 1, --slow-rounds at least 3")
    for program in [arguments.program] if arguments.many else [arguments.program, arguments.floor]:
        if not os.access(program, os.X_OK):
            print(f"etl_table: {program} is missing: run `make build`", file=sys.stderr)
            return 3
    try:
        with Scratch() as scratch:
            if arguments.many:
                many(arguments, scratch)
            else:
                table(arguments, scratch)
    except Failure as failure:
        print(f"etl_table: {failure}", file=sys.stderr)
        return 1
    return 0

"""The launch protocol for reference programs: arguments in, one CSV row per timed repetition out.

`noisefloor launch` becomes the program, with the arguments of a launch (--protocol, --cell, --iterations, --repetitions,
--warmups, --seed) and these:

  --program PATH    noisefloor itself, which makes the columns of disturbance from what was read here
  --header LINE     the columns, as a CSV line: to be printed first
  --row LINE        a row under it with the factors, the ids, the build and the seed filled in
  --least-ns N      a repetition lasts at least this long: --iterations 0 doubles until it does
  --amplitude A     standard deviation of the noise relative to full scale
  --signals FOLDER  etl: the inputs are 0000.wav, 0001.wav, … in it, as many as the cell has tasks
  --output FOLDER   etl, command: an empty folder, locked by an inherited descriptor as long as the program lives
  --inputs FILE     command: the inputs, each ended by a zero byte

or with `--missing NAME` alone: it prints "nothing" or what it lacks to run the strategy NAME, and ends.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import importlib.util
import io
import json
import multiprocessing
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ContextManager, Final, TypeAlias

PROTOCOL: Final = 1
MODULES: Final = ("numpy", "scipy")
WITH_OUTPUT: Final = ("etl", "command")
CHECK_NS: Final = 2_000_000_000
ENDING_NS: Final = 5_000_000  # CPU time that a worker may still use when it was asked for the last time

# One task of the ETL: paths of the input and of the output. One of `command`: the input, and the folder of the iteration.
# One of `multiply`: its items.
Task: TypeAlias = Any


@dataclass(frozen=True)
class Launch:
    """What is asked for. `kind` is the workload; sizes as in the cell."""

    strategy: str
    kind: str
    workers: int
    tasks: int
    task_size: int
    chunk_size: int
    warm: bool
    integer: bool  # int16, else float32
    amplitude: float
    seed: int
    signals: Path
    output: Path
    words: tuple[str, ...] = ()  # of the command
    inputs: tuple[str, ...] = ()
    unchecked: bool = False

    @property
    def sigma(self) -> float:
        """Of the noise, in units of the sample type."""
        return self.amplitude * (32768 if self.integer else 1)


@dataclass(frozen=True)
class Program:
    """A way to run tasks. `pool` makes what runs them (inside the clock if the pool is cold); `run` takes it, the
    launch, the tasks and `done`, which it calls with each result as soon as its caller could use it."""

    pool: Callable[[Launch], ContextManager[Any]]
    run: Callable[[Any, Launch, Sequence[Task], Callable[[Any], None]], None]
    missing: Callable[[], str] = lambda: ""
    knows_peak: bool = True  # False: its processes are gone before anybody could ask them
    refuse: Callable[[Launch], str] = lambda launch: ""  # why it cannot run this launch as it is meant


@dataclass
class Usage:
    """Totals of this process, its dead children and its living descendants."""

    user_ns: int = 0
    system_ns: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    voluntary: int = 0
    involuntary: int = 0
    run_delay_ns: int = 0  # of what lives, and of workers that were asked before they ended
    asked_ns: int = 0  # CPU time of what run_delay_ns is of, living descendants apart

    @property
    def cpu_ns(self) -> int:
        return self.user_ns + self.system_ns

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(a - b for a, b in zip(vars(self).values(), vars(other).values())))


@dataclass
class Repetition:
    started_ns: int = 0
    wall_ns: int = 0
    first_result_ns: int = 0
    usage: Usage = field(default_factory=Usage)
    peak_rss_bytes: int | None = None
    steal_ticks: int | None = None
    untold_ns: int = 0  # CPU time of threads and processes that ended and told no run delay
    pressure_ns: int | None = None
    before: dict[str, Any] = field(default_factory=dict)  # machine_now()
    after: dict[str, Any] = field(default_factory=dict)
    cpu_before_ns: int = 0  # that this program and its processes had used
    status: str = "ok"
    message: str = ""


class WrongOutput(Exception):
    """What the program made is not what it was asked for."""


# --- What the system tells ---


def descendants() -> list[int]:
    """Living descendants of this process."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            behind = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(behind[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def status_number(pid: int | str, label: str) -> int | None:
    """The number after `label` in /proc/<pid>/status; None where it is not told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(label + ":"):
                return int(line.split()[1])
    return None


def run_delay(pid: int | str) -> Usage:
    """How long the threads of a process waited for a CPU, and the CPU time that they used."""
    total = Usage()
    with contextlib.suppress(OSError):
        for thread in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                cpu_ns, delay_ns, _ = Path(thread.path, "schedstat").read_text().split()
                total += Usage(run_delay_ns=int(delay_ns), asked_ns=int(cpu_ns))
    return total


def machine_now() -> dict[str, Any]:
    """What the machine's CPUs have done up to now."""
    stat = ""
    with contextlib.suppress(OSError):
        stat = Path("/proc/stat").read_text().partition("intr")[0]
    return {"steady_ns": time.monotonic_ns(), "stat": stat}


def pressure_ns() -> int | None:
    """Time in which some task of the machine waited for a CPU; None where the kernel does not tell."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return 1000 * int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0])
    return None


def own_usage() -> Usage:
    """Of this process and of its children that are gone."""
    time.thread_time_ns()  # the kernel books what this thread used so far
    total = run_delay("self")
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        told = resource.getrusage(who)
        total += Usage(
            round(told.ru_utime * 1e9),
            round(told.ru_stime * 1e9),
            told.ru_minflt,
            told.ru_majflt,
            told.ru_nvcsw,
            told.ru_nivcsw,
        )
    return total


def living_usage() -> Usage:
    """Of living descendants; their CPU time in whole clock ticks."""
    total = Usage()
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for pid in descendants():
        with contextlib.suppress(OSError, IndexError, ValueError):
            behind = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += Usage(
                int(behind[11]) * tick_ns,
                int(behind[12]) * tick_ns,
                int(behind[7]),
                int(behind[9]),
                status_number(pid, "voluntary_ctxt_switches") or 0,
                status_number(pid, "nonvoluntary_ctxt_switches") or 0,
            )
        total += Usage(run_delay_ns=run_delay(pid).run_delay_ns)
    return total


def reset_peaks(pids: Iterable[int | str]) -> bool:
    for pid in pids:
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            return False
    return True


def peaks(pids: Iterable[int | str]) -> int | None:
    """Peak resident sizes in bytes, summed; None where one is not told."""
    total = 0
    for pid in pids:
        kib = status_number(pid, "VmHWM")
        if kib is None:
            return None
        total += kib * 1024
    return total


def steal_ticks() -> int | None:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/stat").read_text().split(None, 9)[8])
    return None


# --- Work and its verification ---


def make_tasks(launch: Launch, iteration: int) -> list[Task]:
    if launch.kind == "multiply":
        size = launch.task_size
        return [range(i * size, (i + 1) * size) for i in range(launch.tasks)]
    folder = launch.output / f"{iteration:04}"
    if launch.kind == "command":
        return [(path, str(folder)) for path in launch.inputs]
    names = [f"{i:04}.wav" for i in range(launch.tasks)]
    return [(str(launch.signals / name), str(folder / name)) for name in names]


def verify(launch: Launch, tasks: Sequence[Task], results: Sequence[Any]) -> None:
    """Throws WrongOutput. Called with the clock stopped."""
    if launch.kind == "command":
        return  # pieces of what all processes wrote: see Measured.verify_bytes()
    if len(results) != len(tasks):
        raise WrongOutput(f"{len(results)} results where {len(tasks)} tasks were due")
    if launch.kind == "multiply":
        items = sorted(item for result in results for item in result)
        if items != [10 * i for i in range(launch.tasks * launch.task_size)]:
            raise WrongOutput("the items are not the numbers times ten")
        return
    if sorted(results) != sorted(target for _, target in tasks):
        raise WrongOutput("the results do not name each output once")
    for source, target in tasks:
        verify_sound(launch, source, target)


def verify_sound(launch: Launch, source: str, target: str) -> None:
    """The same rate, channels, type and number of frames; and what was added has no mean and the σ asked for."""
    import numpy as np
    from scipy.io import wavfile

    name = Path(target).name
    try:
        rate, before = wavfile.read(source)
        rate_after, after = wavfile.read(target)
    except (OSError, ValueError) as error:
        raise WrongOutput(f"{name} cannot be read: {error}") from error
    if rate_after != rate:
        raise WrongOutput(f"{name} has rate {rate_after} instead of {rate}")
    if after.shape != before.shape:
        raise WrongOutput(f"{name} has shape {after.shape} (frames, channels) instead of {before.shape}")
    if after.dtype != before.dtype:
        raise WrongOutput(f"{name} has samples of type {after.dtype} instead of {before.dtype}")
    noise = after.astype(np.float64) - before
    n = noise.size
    mean, sigma = float(noise.mean()), float(noise.std())
    # Six standard deviations of what chance does; beyond that, half a step of rounding each way, and 0.5%.
    step = 1.0 if launch.integer else 0.0
    if abs(mean) > 6 * launch.sigma / n**0.5 + step:
        raise WrongOutput(f"{name}: the noise has a mean of {mean:.4g} where σ is {launch.sigma:.4g}")
    if abs(sigma - launch.sigma) > launch.sigma * (6 / (2 * n) ** 0.5 + 0.005) + step / 6:
        raise WrongOutput(f"{name}: the noise has σ = {sigma:.5g} instead of {launch.sigma:.5g}")


# --- The launch ---


class Measured:
    """A program, ready to run a launch."""

    def __init__(self, program: Program, launch: Launch) -> None:
        self.program = program
        self.launch = launch
        self.warm_pool: Any = None
        self.children_peak: int | None = 0  # of pools that are gone
        self.children_delay = Usage()
        self.expected: tuple[int, ...] | None = None  # how often each byte is in a command's output

    def verify_bytes(self, pieces: Sequence[bytes], cpu_ns: int) -> None:
        """Of a command, what its processes wrote in whatever order: the bytes that they write one after the other, if that
        takes no longer than CHECK_NS of CPU time, else those of the repetition before. Throws WrongOutput."""
        launch = self.launch
        counted = collections.Counter[int]()
        for piece in pieces:
            counted.update(piece)
        found = tuple(counted[byte] for byte in range(256))
        if self.expected is None and cpu_ns <= CHECK_NS:
            with tempfile.TemporaryDirectory(dir=launch.output) as folder:
                everything = collections.Counter[int]()
                for group in batched(launch.inputs, launch.chunk_size if "{...}" in launch.words else 1):
                    everything.update(
                        subprocess.run(
                            filled(launch.words, group, folder), capture_output=True, check=True
                        ).stdout
                    )
            self.expected = tuple(everything[byte] for byte in range(256))
        if self.expected is not None and found != self.expected:
            raise WrongOutput(
                f"{sum(found)} bytes of output differ from the {sum(self.expected)} that were expected"
            )
        self.expected = found

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Makes a warm pool, and ends it."""
        if not self.launch.warm:
            yield
            return
        with self.program.pool(self.launch) as self.warm_pool:
            yield

    def iterate(self, tasks: Sequence[Task], results: list[Any]) -> int:
        """What lies inside the clock, once; returns the time to the first result in ns."""
        start = time.perf_counter_ns()
        first: list[int] = []

        def done(result: Any) -> None:
            if not first:
                first.append(time.perf_counter_ns() - start)
            results.append(result)

        if self.launch.warm:
            self.program.run(self.warm_pool, self.launch, tasks, done)
        else:
            with self.program.pool(self.launch) as pool:
                self.program.run(pool, self.launch, tasks, done)
                # The workers' last chance to tell: some 0.1 ms each of the pool's milliseconds.
                workers = [child.pid or 0 for child in multiprocessing.active_children()]
                for pid in workers:
                    self.children_delay += run_delay(pid) + Usage(asked_ns=ENDING_NS)
                told = peaks(workers)
                if told is None or self.children_peak is None:
                    self.children_peak = None
                else:
                    self.children_peak = max(self.children_peak, told)
        return first[0] if first else 0

    def repeat(self, iterations: int, check: bool = True) -> Repetition:
        launch = self.launch
        seen = Repetition()
        batches = [make_tasks(launch, i) for i in range(iterations)]
        results: list[list[Any]] = [[] for _ in batches]
        for iteration in range(iterations if launch.kind in WITH_OUTPUT else 0):
            (launch.output / f"{iteration:04}").mkdir()
        self.children_peak = 0
        resettable = reset_peaks(["self", *descendants()])
        self.children_delay = Usage()
        steal = steal_ticks()
        seen.started_ns = time.time_ns()
        pressure = pressure_ns()
        living_before = living_usage()
        own_before = own_usage()  # in this order: looking for others is work too
        seen.before = machine_now()
        seen.cpu_before_ns = (living_before + own_before).cpu_ns
        start = time.perf_counter_ns()
        try:
            for tasks, got in zip(batches, results):
                seen.first_result_ns += self.iterate(tasks, got)
            seen.wall_ns = time.perf_counter_ns() - start
            own = own_usage() - own_before + self.children_delay
            seen.after = machine_now()
            waited = pressure_ns()
            seen.usage = own + living_usage() - living_before
            seen.untold_ns = own.cpu_ns - own.asked_ns
            seen.pressure_ns = None if pressure is None or waited is None else waited - pressure
            after = steal_ticks()
            seen.steal_ticks = None if steal is None or after is None else after - steal
            own_peak, living_peak = peaks(["self"]), peaks(descendants())
            known = resettable and self.program.knows_peak
            if known and own_peak is not None and living_peak is not None and self.children_peak is not None:
                seen.peak_rss_bytes = own_peak + max(living_peak, self.children_peak)
            if check:
                for tasks, got in zip(batches, results):
                    verify(launch, tasks, got)
                    if launch.kind == "command" and not launch.unchecked:
                        self.verify_bytes(got, seen.usage.cpu_ns // iterations)
        except WrongOutput as error:
            seen.status, seen.message = "wrong_output", str(error)
        except Exception as error:  # a task's own: the row tells of it
            seen.wall_ns = seen.wall_ns or time.perf_counter_ns() - start
            seen.status, seen.message = "failed", f"{type(error).__name__}: {error}"
        if launch.kind in WITH_OUTPUT:
            for iteration in range(iterations):
                shutil.rmtree(launch.output / f"{iteration:04}")
        return seen

    def calibrate(self, least_ns: int) -> int:
        iterations = 1
        while True:
            seen = self.repeat(iterations, check=False)
            if seen.wall_ns >= least_ns or seen.status != "ok":
                return iterations
            iterations *= 2


def parse_cell(text: str) -> dict[str, str]:
    parts = (part.split("=", 1) for part in text.split(",") if part)
    return {name: urllib.parse.unquote(value, errors="surrogateescape") for name, value in parts}


def filled(words: Sequence[str], inputs: Sequence[str], folder: str) -> list[str]:
    """The command for these inputs: one for {}, all for {...}."""
    command: list[str] = []
    for word in words:
        if word == "{...}":
            command += inputs
        else:
            command.append(word.replace("{}", inputs[0]).replace("{out}", folder))
    return command


def batched(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def csv_line(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def fill(
    row: dict[str, str], launch: Launch, iterations: int, number: int, seen: Repetition
) -> dict[str, str]:
    """The row of one repetition. What is not known stays empty."""
    filled = dict(row)

    def put(name: str, value: int | None) -> None:
        if name in filled and value is not None:
            filled[name] = str(value)

    put("repetition", number)
    put("iterations", iterations)
    put("wall_ns", seen.wall_ns)
    put("user_cpu_ns", seen.usage.user_ns)
    put("system_cpu_ns", seen.usage.system_ns)
    if seen.wall_ns > 0:
        cpu_ns = seen.usage.user_ns + seen.usage.system_ns
        filled["cpu_percent"] = f"{100 * cpu_ns / seen.wall_ns:.1f}"
    put("first_result_ns", seen.first_result_ns)
    put("peak_rss_bytes", seen.peak_rss_bytes)
    put("minor_faults", seen.usage.minor_faults)
    put("major_faults", seen.usage.major_faults)
    put("voluntary_switches", seen.usage.voluntary)
    put("involuntary_switches", seen.usage.involuntary)
    put("steal_ticks", seen.steal_ticks)
    if launch.kind == "etl" and seen.status == "ok":
        bytes_read = sum(os.stat(source).st_size for source, _ in make_tasks(launch, 0))
        put("samples", launch.tasks * launch.task_size * iterations)
        put("bytes_read", bytes_read * iterations)
        put("bytes_written", bytes_read * iterations)
    put("started_ns", seen.started_ns)
    filled["status"] = seen.status
    filled["message"] = seen.message.replace("\n", " ")
    return filled


def disturbance(program: Path | None, timed: Sequence[Repetition]) -> list[dict[str, str]]:
    """The columns of disturbance of each repetition, as `noisefloor disturbance` makes them of what was read."""
    nothing = {"disturbance_note": "what others did is not known: the launch has no readings"}
    if program is None or not all(seen.after for seen in timed):
        return [nothing] * len(timed)
    readings = {
        "cpus": sorted(os.sched_getaffinity(0)),
        "before": timed[0].before,
        "after": timed[-1].after,
        "own_cpu_ns": timed[-1].cpu_before_ns + timed[-1].usage.cpu_ns - timed[0].cpu_before_ns,
        "repetitions": [
            {
                "wall_ns": seen.wall_ns,
                "cpu_ns": seen.usage.cpu_ns,
                "run_delay_ns": seen.usage.run_delay_ns,
                "untold_cpu_ns": seen.untold_ns,
                "pressure_ns": seen.pressure_ns,
            }
            for seen in timed
        ],
    }
    try:
        answer = subprocess.run(
            [program, "disturbance"], input=json.dumps(readings), capture_output=True, text=True, check=True
        )
        columns: list[dict[str, str]] = json.loads(answer.stdout)
        return columns
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        nothing["disturbance_note"] = f"what others did is not known: {program} disturbance: {error}"
        return [nothing] * len(timed)


def lacking() -> list[str]:
    return [name for name in MODULES if importlib.util.find_spec(name) is None]


def missing(program: Program) -> str:
    """Why it cannot run here; empty if it can."""
    if modules := lacking():
        packages = " ".join("python3-" + name for name in modules)
        return f"{sys.executable} lacks the modules {', '.join(modules)}: install them (Debian: {packages})"
    return program.missing()


def try_next_python() -> None:
    """If modules are missing here, becomes the next interpreter of $NOISEFLOOR_PYTHONS; returns if there is none."""
    rest = [path for path in os.environ.get("NOISEFLOOR_PYTHONS", "").split(":") if path][1:]
    if rest and lacking():
        os.environ["NOISEFLOOR_PYTHONS"] = ":".join(rest)
        os.execv(rest[0], [rest[0], "-B", *sys.argv])


def main(argv: Sequence[str], programs: dict[str, Program]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("launch", nargs="?", choices=["launch"])
    for name in ("cell", "header", "row", "missing"):
        parser.add_argument(f"--{name}")
    for name, default in (("protocol", PROTOCOL), ("iterations", 0), ("repetitions", 5), ("warmups", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least-ns", type=int, default=5_000_000)
    parser.add_argument("--amplitude", type=float, default=0.003)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--signals", type=Path, default=Path())
    parser.add_argument("--output", type=Path, default=Path())
    parser.add_argument("--inputs", type=Path)
    options = parser.parse_args(argv)
    if options.missing is not None:
        if options.missing not in programs:
            parser.error(f"no program is called {options.missing}: choose one of {', '.join(programs)}")
        print(missing(programs[options.missing]) or "nothing")
        return 0
    if not (options.cell and options.header and options.row):
        parser.error("--cell, --header and --row are needed: start it by `noisefloor launch`")
    if options.protocol != PROTOCOL:
        print(f"{sys.argv[0]}: speaks launch protocol {PROTOCOL}, not {options.protocol}", file=sys.stderr)
        return 3
    try_next_python()
    cell = parse_cell(options.cell)
    if cell["strategy"] not in programs:
        parser.error(f"no program is called {cell['strategy']}: choose one of {', '.join(programs)}")
    program = programs[cell["strategy"]]
    columns = next(csv.reader([options.header]))
    row = dict(zip(columns, next(csv.reader([options.row]))))
    sys.stdout.write(csv_line(columns))

    if reason := missing(program):
        row |= {"status": "skipped", "message": reason}
        sys.stdout.write(csv_line([row[name] for name in columns]))
        return 0
    launch = Launch(
        strategy=cell["strategy"],
        kind=cell["workload"],
        workers=int(cell.get("workers", "1")),
        tasks=int(cell.get("tasks", "1")),
        task_size=int(cell.get("task_size", "1")),
        chunk_size=int(cell.get("chunk_size", "1")),
        warm=cell.get("pool") == "warm",
        integer=cell.get("format", "int16") == "int16",
        amplitude=options.amplitude,
        seed=options.seed,
        signals=options.signals,
        output=options.output,
        words=tuple(shlex.split(cell.get("command", ""))),
        inputs=tuple(os.fsdecode(name) for name in options.inputs.read_bytes().split(b"\0")[:-1])
        if options.inputs
        else (),
        unchecked=cell.get("unchecked") == "yes",
    )
    if reason := program.refuse(launch):
        row |= {"status": "skipped", "message": reason}
        sys.stdout.write(csv_line([row[name] for name in columns]))
        shutil.rmtree(launch.output, ignore_errors=True)
        return 0
    measured = Measured(program, launch)
    worst = 0
    try:
        with measured.open():
            iterations = options.iterations or measured.calibrate(options.least_ns)
            for _ in range(options.warmups):
                measured.repeat(iterations, check=False)
            timed = [measured.repeat(iterations) for _ in range(options.repetitions)]
        for number, (seen, found) in enumerate(zip(timed, disturbance(options.program, timed))):
            worst = max(worst, seen.status != "ok")
            told = fill(row, launch, iterations, number, seen)
            told |= {name: value for name, value in found.items() if name in told}
            sys.stdout.write(csv_line([told[name] for name in columns]))
    finally:
        if launch.kind in WITH_OUTPUT:
            shutil.rmtree(launch.output, ignore_errors=True)
    return worst

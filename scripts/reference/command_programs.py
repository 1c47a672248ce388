"""What a shell user does with a command of their own: xargs -P -n, or GNU parallel.

Started by `noisefloor launch`; see protocol.py. Standard output of all processes is read from one pipe.
SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ContextManager, Final

if TYPE_CHECKING:
    from scripts.reference.protocol import Launch, Program, Task, main
else:
    from protocol import Launch, Program, Task, main  # beside this file, wherever that is

ONE: Final = "{}"
MANY: Final = "{...}"
PIECE_BYTES: Final = 1 << 16


def words_of(launch: Launch, tasks: Sequence[Task]) -> list[str]:
    return [word.replace("{out}", tasks[0][1]) for word in launch.words]


def refuse_chunks(launch: Launch) -> str:
    if launch.chunk_size == 1 or MANY in launch.words:
        return ""
    return "its processes take one input each: give chunk_size 1, or {...} in the command"


def refuse_xargs(launch: Launch) -> str:
    if MANY in launch.words and (launch.words[-1] != MANY or launch.words.count(MANY) != 1):
        return "xargs puts its inputs last: write {...} once, as the last word"
    return refuse_chunks(launch)


def run(name: str, command: Sequence[str], tasks: Sequence[Task], done: Callable[[Any], None]) -> None:
    """Runs `command`, which reads the tasks from its standard input, each ended by a zero byte."""
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as complaints:
        names.write(b"".join(os.fsencode(path) + b"\0" for path, _ in tasks))
        names.seek(0)
        with subprocess.Popen(command, stdin=names, stdout=subprocess.PIPE, stderr=complaints) as process:
            assert process.stdout is not None
            while piece := process.stdout.read1(PIECE_BYTES):  # type: ignore[attr-defined]
                done(piece)
        if process.returncode != 0:
            complaints.seek(0)
            text = complaints.read().decode(errors="replace").strip()
            raise RuntimeError(f"{name}: exit status {process.returncode}: {text[-500:]}")


def xargs(_: None, launch: Launch, tasks: Sequence[Task], done: Callable[[Any], None]) -> None:
    words = words_of(launch, tasks)
    command = ["xargs", "-0", "-P", str(launch.workers)]
    if MANY in words:
        command += ["-n", str(launch.chunk_size), *words[:-1]]
    elif words[-1] == ONE and not any(ONE in word for word in words[:-1]):
        command += ["-n", "1", *words[:-1]]
    else:
        command += ["-I", ONE, *words]
    run("xargs", command, tasks, done)


def parallel(_: None, launch: Launch, tasks: Sequence[Task], done: Callable[[Any], None]) -> None:
    words = words_of(launch, tasks)
    many = MANY in words
    command = ["parallel", "--will-cite", "-0", "-q", "-j", str(launch.workers)]
    command += ["-n", str(launch.chunk_size if many else 1)]
    run("parallel", [*command, *(ONE if word == MANY else word for word in words)], tasks, done)


def missing_xargs() -> str:
    return "" if shutil.which("xargs") else "xargs is not found: install it (Debian: findutils)"


def missing_parallel() -> str:
    with contextlib.suppress(OSError):
        told = subprocess.run(["parallel", "--version"], capture_output=True, text=True, check=False)
        if told.stdout.startswith("GNU parallel"):
            return ""
    return "GNU parallel is not found: install it (Debian: parallel)"


def nothing(launch: Launch) -> ContextManager[None]:
    return contextlib.nullcontext()


PROGRAMS: Final = {
    "xargs": Program(nothing, xargs, missing_xargs, knows_peak=False, refuse=refuse_xargs),
    "gnu_parallel": Program(nothing, parallel, missing_parallel, knows_peak=False, refuse=refuse_chunks),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PROGRAMS))

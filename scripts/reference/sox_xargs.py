"""What a shell user does: sox mixes noise into each file, as many at a time as `xargs -P` says.

Started by `noisefloor launch`; see protocol.py. sox knows no Gaussian noise: it is uniform, of the same standard
deviation.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ContextManager, Final

if TYPE_CHECKING:
    from scripts.reference.protocol import Launch, Program, Task, main
else:
    from protocol import Launch, Program, Task, main  # beside this file, wherever that is

# $0: folder of the outputs, $1: volume of the noise; the rest are inputs. A name is printed when its output is there.
SCRIPT: Final = """
out=$0 volume=$1; shift
for in do
  sox -D -m -v 1 "$in" -v "$volume" "|sox -D \\"$in\\" -p synth whitenoise" "$out/${in##*/}" || exit 255
  printf '%s\\n' "$out/${in##*/}"
done
"""


def xargs(_: None, launch: Launch, tasks: Sequence[Task], done: Callable[[Any], None]) -> None:
    folder = str(Path(tasks[0][1]).parent)
    volume = f"{launch.amplitude * 3**0.5:.8f}"  # uniform noise of amplitude a has σ = a/√3
    command = ["xargs", "-0", "-P", str(launch.workers), "-n", str(launch.chunk_size)]
    command += ["sh", "-c", SCRIPT, folder, volume]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\0".join(source for source, _ in tasks))
        process.stdin.close()
        for line in process.stdout:
            done(line.removesuffix("\n"))
        complaint = process.stderr.read().strip()
    if process.returncode != 0:
        raise RuntimeError(f"xargs: exit status {process.returncode}: {complaint[-500:]}")


def missing() -> str:
    for name, package in (("sox", "sox"), ("xargs", "findutils")):
        if shutil.which(name) is None:
            return f"{name} is not found: install it (Debian: {package})"
    return ""


def nothing(launch: Launch) -> ContextManager[None]:
    return contextlib.nullcontext()


PROGRAMS: Final = {"sox_xargs": Program(nothing, xargs, missing, knows_peak=False)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PROGRAMS))

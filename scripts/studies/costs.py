#!/usr/bin/env python3
"""Measures what `make bench` and `make test` take from a fresh clone: results/reference/costs.json, for the README.

Clones the last commit into a temporary folder and runs the commands there, without a compiler cache and with test signals
of its own. The packages must be installed: what they take is asked from apt, beyond a minimal Debian, not timed.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TARGET: Final = ROOT / "results" / "reference" / "costs.json"
# The groups of packages/apt.txt that each command installs.
COMMANDS: Final = {"bench": ("bench",), "test": ("bench", "test")}


class Stop(Exception):
    """What went wrong, and what to do. `status`: the exit status that it deserves."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def output(*words: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, "LC_ALL": "C", **environment}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Stop(f"{' '.join(words[:6])}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def packages(text: str, groups: Sequence[str]) -> list[str]:
    """The names in these groups of packages/apt.txt."""
    found: list[str] = []
    group = ""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].startswith("["):
            group = words[0].strip("[]")
        elif words and group in groups:
            found.append(words[0])
    return found


def downloads(printed: str) -> dict[str, int]:
    """Bytes of each package file that `apt-get --print-uris` names."""
    return {
        match[1]: int(match[2]) for match in re.finditer(r"^'[^']+' ([^_\s]+)_\S+\.deb (\d+)", printed, re.M)
    }


def with_dependencies(names: Sequence[str]) -> dict[str, int]:
    """Every package that a machine with none at all would install for these, and the bytes of its file."""
    # An empty list of what is installed, so that apt counts all of it; nothing is installed or downloaded.
    nothing = (
        "-o",
        "Dir::State::status=/dev/null",
        "-o",
        "Debug::NoLocking=1",
        "-o",
        "Dir::Cache::archives=/nonexistent",
    )
    return downloads(
        output(
            "apt-get", "install", "--print-uris", "--yes", "-qq", "--no-install-recommends", *nothing, *names
        )
    )


def minimal() -> list[str]:
    """What debootstrap's smallest system has."""
    listed = output("apt-cache", "dumpavail")
    found = []
    for block in listed.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Essential") == "yes" or fields.get("Priority") == "required":
            found.append(fields["Package"])
    return [*dict.fromkeys(found), "apt"]


def installed_bytes(names: Sequence[str]) -> int:
    """What these packages say that they take on a disk."""
    sizes: dict[str, int] = {}
    name = ""
    for line in output("apt-cache", "--no-all-versions", "show", *names).splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            name = value
        elif key == "Installed-Size":
            sizes[name] = int(value) * 1024
    return sum(sizes.values())


def package_costs(groups: Sequence[str]) -> dict[str, int]:
    wanted = packages((ROOT / "packages" / "apt.txt").read_text(encoding="utf-8"), groups)
    base = with_dependencies(minimal())
    more = {name: size for name, size in with_dependencies(wanted).items() if name not in base}
    if not more:
        raise Stop("apt knows of no packages: run apt-get update", 3)
    return {"package_download_bytes": sum(more.values()), "package_disk_bytes": installed_bytes(list(more))}


def folder_bytes(folder: Path) -> int:
    return int(output("du", "--summarize", "--block-size=1", str(folder)).split()[0])


def measure(name: str) -> dict[str, Any]:
    """One command in a clone of its own."""
    # Where compiled objects are cached, nobody's first build is measured.
    hidden = ("CCACHE_", "CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER", "NOISEFLOOR_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    with tempfile.TemporaryDirectory(prefix="noisefloor-costs-") as folder:
        clone, cache = Path(folder) / "noisefloor", Path(folder) / "cache"
        output("git", "clone", "--quiet", "--no-local", "--single-branch", str(ROOT), str(clone))
        pack = re.search(r"^size-pack: (\d+)$", output("git", "count-objects", "-v", cwd=clone), re.M)
        clone_bytes = 1024 * int(pack[1]) if pack else 0
        started = time.monotonic()
        done = subprocess.run(
            ["make", name],
            cwd=clone,
            env={**environment, "NOISEFLOOR_CACHE": str(cache), "SKIP_DEPS": "1", "CCACHE_DISABLE": "1"},
            stdout=sys.stderr,
        )
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise Stop(f"make {name}: exit {done.returncode}: nothing is written of it")
        return {
            "seconds": round(seconds, 1),
            "clone_bytes": clone_bytes,
            "disk_bytes": folder_bytes(Path(folder)),
        }


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if a command failed, 3 if apt knows of no packages; nothing is then written."""
    parser = argparse.ArgumentParser(prog="costs.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "commands",
        nargs="*",
        choices=[*COMMANDS, []],
        metavar="COMMAND",
        help="bench, test; both if left out",
    )
    arguments = parser.parse_args(argv)
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    facts: dict[str, Any] = {
        "cpu": cpu[1] if cpu else "an unknown CPU",
        "cpus": len(os.sched_getaffinity(0)),
        "git_sha": "",
        "commands": {},
    }
    try:
        facts["git_sha"] = output("git", "rev-parse", "HEAD").strip()
        for name in arguments.commands or COMMANDS:
            facts["commands"][name] = package_costs(COMMANDS[name]) | measure(name)
    except Stop as error:
        print(f"costs.py: {error}", file=sys.stderr)
        return error.status
    TARGET.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

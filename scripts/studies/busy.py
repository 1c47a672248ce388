"""Does what a run says hold on a busy machine? The same sweep idle, beside hogs, and beside bursts; no claim may contradict.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plots import findings
from scripts.lib import document, results

ROOT: Final = Path(__file__).resolve().parents[2]
HOG: Final = "while True: pass"
# Half of the time, in pieces of 50 ms.
BURSTS: Final = """
import time
while True:
    end = time.monotonic() + 0.05
    while time.monotonic() < end: pass
    time.sleep(0.05)
"""
LOADS: Final[Mapping[str, str]] = {"idle": "", "hog": HOG, "bursts": BURSTS}


class Failure(Exception):
    """What went wrong with a run of the sweep."""


@contextmanager
def load(code: str, count: int) -> Iterator[None]:
    """`count` processes that run this code, ended at the end; none without code."""
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count if code else 0)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(program: Path, sweep: str, options: Sequence[str], name: str, count: int) -> Path:
    """The run's folder. Throws Failure."""
    print(f"busy: {name}: {sweep}", file=sys.stderr, flush=True)
    with load(LOADS[name], count):
        done = subprocess.run([str(program), "run", sweep, *options], stdout=subprocess.PIPE, text=True)
    printed = done.stdout.strip().splitlines()
    if not printed or not Path(printed[-1]).is_dir():
        raise Failure(f"{name}: noisefloor run {sweep} ended with {done.returncode} and named no folder")
    return Path(printed[-1])


@dataclass(frozen=True)
class Comparison:
    """What a run beside other work says of one question, beside the idle one. `shared`: claims that both make."""

    question: str
    outcome: str  # agrees, contradicts, cannot tell, or says nothing
    shared: int
    contradictions: tuple[str, ...]


def show(claim: findings.Claim) -> str:
    return (
        "one of " + ", ".join(sorted(claim))
        if isinstance(claim, frozenset)
        else f"{claim[0]:.4g} to {claim[1]:.4g}"
    )


def compare(idle: Sequence[findings.Finding], other: Sequence[findings.Finding]) -> list[Comparison]:
    """One line for each question, in their order."""
    found = []
    for quiet, loud in zip(idle, other, strict=True):
        shared = [name for name in loud.claims if name in quiet.claims]
        against = tuple(
            f"{name}: {show(loud.claims[name])}; idle: {show(quiet.claims[name])}"
            for name in shared
            if findings.contradict(loud.claims[name], quiet.claims[name])
        )
        outcome = "contradicts" if against else "agrees" if shared else "says nothing"
        if loud.text.startswith("Cannot tell"):
            outcome = "cannot tell"
        found.append(Comparison(quiet.question, outcome, len(shared), against))
    return found


def table(compared: Mapping[str, Sequence[Comparison]]) -> str:
    """As Markdown: a line for each question, a column for each load, and what contradicts below."""
    lines = [f"| question | {' | '.join(compared)} |", f"| --- |{' --- |' * len(compared)}"]
    for line in zip(*compared.values(), strict=True):
        cells = [f"{one.outcome} ({one.shared})" if one.shared else one.outcome for one in line]
        lines.append(f"| {document.cell(line[0].question)} | {' | '.join(cells)} |")
    for name, rows in compared.items():
        lines += [f"- {name} contradicts: {text}" for one in rows for text in one.contradictions]
    return "\n".join(lines) + "\n"


def is_sound(compared: Mapping[str, Sequence[Comparison]]) -> bool:
    """No load contradicts the idle run, and under each something is still said."""
    return all(
        not any(one.contradictions for one in rows) and any(one.outcome == "agrees" for one in rows)
        for rows in compared.values()
    )


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 no contradiction, and something is said under each load; 1 otherwise; 2 a run cannot be read; 3 no
    program."""
    parser = argparse.ArgumentParser(prog="busy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="compare these instead of measuring: the idle one first",
    )
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "noisefloor")
    parser.add_argument("--sweep", default="quick", help="name or path of a .toml file (quick)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="how many hogs, or bursts (1)")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="of `noisefloor run`, after --")
    try:
        arguments = parser.parse_args(argv)
        if arguments.processes < 1:
            parser.error("--processes must be at least 1")
    except SystemExit as end:
        return int(end.code or 0)
    if arguments.runs is None and not arguments.program.exists():
        print(f"busy: {arguments.program} is not there: make build", file=sys.stderr)
        return 3
    try:
        runs = dict(zip((str(path) for path in arguments.runs or ()), arguments.runs or ())) or {
            name: measure(arguments.program, arguments.sweep, arguments.options, name, arguments.processes)
            for name in LOADS
        }
        said = {name: findings.of_run(results.load(path)) for name, path in runs.items()}
    except results.ResultsError as error:
        print(f"busy: {error}", file=sys.stderr)
        return error.status
    except Failure as failure:
        print(f"busy: {failure}", file=sys.stderr)
        return 1
    (_, idle), *others = said.items()
    compared = {name: compare(idle, found) for name, found in others}
    if not compared:
        print("busy: --runs takes at least two: the idle one first", file=sys.stderr)
        return 2
    print(table(compared), end="")
    for name, path in runs.items():
        print(f"- {name}: {path}")
    return 0 if is_sound(compared) else 1

"""Compares two builds end to end: builds both, measures them in turns, confirms what was flagged, judges.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final


from scripts import gate
from scripts.lib import builds, history, instructions, verdicts
from scripts.lib import judge, results

ROOT: Final = Path(__file__).resolve().parent.parent
SHARE_OF_SCREEN: Final = 0.75  # of the budget: 18 rounds of all cells against 45 of the few that are flagged
EPILOG: Final = """exit status: 0 no regression; 1 a regression, or a head that does not build, crashes or writes wrong
output; 2 usage, unknown revision, or nothing that may be compared; 3 something is missing: a base that does not build
or speaks another launch protocol, a program; 4 inconclusive, with --strict; 130 interrupted"""


# ---- The session -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    """How both builds are run."""

    runner: Path
    base: builds.Build
    head: builds.Build
    sweep: Path
    options: tuple[str, ...]  # passed on to both runs

    def run(self, out: Path, *options: str) -> tuple[int, Path | None]:
        """`noisefloor run` with both arms: its exit status and the folder that it made. Ctrl-C reaches it, too:
        it ends by itself, with what is complete."""
        command = [
            str(self.runner),
            "run",
            str(self.sweep),
            "--base",
            str(self.base.program),
            "--out",
            str(out),
        ]
        if self.runner != self.head.program:
            command += ["--head", str(self.head.program)]
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            done = subprocess.run([*command, *self.options, *options], stdout=subprocess.PIPE, text=True)
        finally:
            signal.signal(signal.SIGINT, before)
        printed = done.stdout.strip().splitlines()
        folder = Path(printed[-1]) if printed else None
        return (130 if done.returncode == -signal.SIGINT else done.returncode), folder

    def cells(self, program: Path, sweep: Path) -> list[str]:
        """The cells that `program` finds in `sweep`, as --dry-run prints them; none if it refuses."""
        wanted = [option for option in self.options if option.startswith("--filter=")]
        done = subprocess.run(
            [str(program), "run", str(sweep), "--dry-run", *wanted], capture_output=True, text=True
        )
        return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def speaks(program: Path, option: str) -> bool:
    """Whether `program run` takes this option."""
    try:
        done = subprocess.run([str(program), "run", "--help"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and re.search(rf"(^|\s){re.escape(option)}\b", done.stdout) is not None


def choose_runner(head: builds.Build, given: str | None) -> Path:
    """The program that runs the session: the one given, else head itself, else the one built in this tree."""
    if given is not None:
        found = builds.built(given)
        if found is None:
            raise builds.Stop(2, f"--runner {given}: no program is there")
        return found.program
    for program in (head.program, ROOT / "build/release/noisefloor"):
        if program.exists() and speaks(program, "--base"):
            return program
    raise builds.Stop(
        3,
        f"{head.name} cannot run two builds in turns, and this tree has no build that can: make build, or --runner",
    )


def parse_budget(text: str) -> float:
    """Seconds of "90s", "3m", "1h" or "1h30m", as `noisefloor run --budget` takes them."""
    number = r"(\d+(?:\.\d+)?)"
    match = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text)
    seconds = (
        sum(float(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1))) if match else 0
    )
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration: write 90s, 3m, 1h or 1h30m")
    return seconds


def removed_cells(session: Session) -> list[str]:
    """What base's own copy of the sweep has and head's has not."""
    if session.base.source is None:
        return []
    sweep = session.base.source / "benchmarks/sweeps" / session.sweep.name
    if not sweep.exists():
        return []
    ours = set(session.cells(session.runner, session.sweep))
    theirs = session.cells(session.base.program, sweep) or session.cells(session.runner, sweep)
    return [cell for cell in theirs if cell not in ours]


def measure(session: Session, arguments: argparse.Namespace, out: Path) -> int:
    """Screens, confirms and judges; the report goes into the screen's folder. Returns the exit status."""
    started = time.monotonic()
    rules = judge.default_rules()
    screen_rounds = arguments.rounds or rules.screen_rounds
    options = ["--control"] if arguments.control else []
    screen_options = [f"--rounds={screen_rounds}", *options]
    if arguments.seed is not None:
        screen_options.append(f"--seed={arguments.seed}")
    notes: list[str] = list(arguments.note)
    if arguments.budget is not None:
        if not speaks(session.runner, "--budget"):
            raise builds.Stop(3, f"{session.runner} takes no --budget")
        screen_options.append(f"--budget={max(1, round(arguments.budget * SHARE_OF_SCREEN))}s")
    status, screen = session.run(out, *screen_options)
    if screen is None or not (screen / "observations.csv").exists():
        raise builds.Stop(status if status in (2, 3, 130) else 3, "nothing was measured: see above")
    interrupted = status == 130
    run = results.load(screen)
    if arguments.budget is not None:
        got = int(run.observations["round"].nunique())
        if got < screen_rounds and not interrupted:
            notes.append(
                f"The budget of {arguments.budget:.0f} s cut the screen from {screen_rounds} rounds to {got}."
            )
    confirm: Path | None = None
    if {"head", "base"} <= set(run.observations["arm"]) and not interrupted:
        affordable = math.inf
        if arguments.budget is not None:
            left = arguments.budget - (time.monotonic() - started)
            # What one launch took in the screen, all costs included; a visit launches every arm.
            launch = (time.monotonic() - started) / max(1, len(run.observations["launch"].unique()))
            affordable = max(0.0, left / (launch * run.observations["arm"].nunique()))
        plan = verdicts.plan_confirmation(run, affordable, arguments.confirm_rounds)
        asked = arguments.confirm_rounds or rules.confirm_rounds
        if plan.cells and plan.rounds < asked:
            notes.append(f"The budget cut the confirmation from {asked} rounds to {plan.rounds}.")
        elif plan.rounds > asked:
            notes.append(
                f"{asked} rounds cannot confirm one of {len(plan.cells)} flagged cells: they were given {plan.rounds}."
            )
        if plan.left_out:
            notes.append(
                f"There was no time to confirm {len(plan.left_out)} of {len(plan.left_out) + len(plan.cells)} flagged "
                "cells: they are INCONCLUSIVE. A larger --budget decides them."
            )
        if plan.cells:
            builds.say(f"confirming {len(plan.cells)} flagged cells in {plan.rounds} fresh rounds")
            wanted = verdicts.filter_of(run, plan.cells)
            again = [f"--rounds={plan.rounds}", *options, "--progress=plain"]
            if arguments.seed is not None:
                again.append(f"--seed={arguments.seed + 1}")
            inner = Session(
                session.runner, session.base, session.head, session.sweep, (f"--filter={wanted}",)
            )
            status, confirm = inner.run(screen / "confirm", *again)
            interrupted = status == 130
            if confirm is not None and not (confirm / "observations.csv").exists():
                confirm = None
    fresh = None
    if confirm is not None:
        try:
            fresh = results.load(confirm)
        except results.ResultsError:  # interrupted before its first row
            fresh = None
    report = verdicts.make_report(
        run,
        fresh,
        margin=arguments.margin,
        removed=removed_cells(session),
        names=(session.base.name, session.head.name),
        notes=notes,
    )
    finish(report, session, screen, arguments, time.monotonic() - started)
    return 130 if interrupted else report.status(strict=arguments.strict)


def finish(
    report: verdicts.Report, session: Session, folder: Path, arguments: argparse.Namespace, seconds: float
) -> None:
    """Writes, prints and keeps the report."""
    gate.write_report(report, folder)
    text = verdicts.summary(report)
    print(text, end="")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print("\n".join(verdicts.workflow_commands(report)))
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as page:
            page.write(text)
    if not arguments.no_history and session.base.commit and session.head.commit and not report.interrupted:
        path = history.append(report, session.base.commit, session.head.commit, arguments.history)
        if path is not None:
            builds.say(f"appended to {path}")
    builds.say(f"{report.verdict} after {seconds:.0f} s; the report is in {folder}")
    print(folder)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/regress",
        description="Is HEAD slower than BASE? Builds both alike, runs the sweep gate with both in every round, confirms "
        "what was flagged with fresh rounds, and judges each cell.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "base",
        nargs="?",
        metavar="BASE",
        help="a revision, a built folder or a program (default: merge base with main)",
    )
    parser.add_argument(
        "head",
        nargs="?",
        metavar="HEAD",
        help="the same (default: the working tree, uncommitted changes included)",
    )
    parser.add_argument(
        "--sweep", default="gate", metavar="SWEEP", help="its name, or the path of a .toml file (gate)"
    )
    parser.add_argument("--filter", metavar="REGEX", help="only the cells in whose text this is found")
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="of the screen (18)")
    parser.add_argument(
        "--confirm-rounds",
        type=int,
        default=None,
        metavar="N",
        help="of what it flags (45); more where so few could not confirm anything",
    )
    parser.add_argument(
        "--budget", type=parse_budget, metavar="TIME", help="of both together, builds apart: 90s, 3m"
    )
    parser.add_argument(
        "--margin", type=gate.parse_margin, default=None, help="least change that counts (1%%)"
    )
    parser.add_argument("--strict", action="store_true", help="exit 4 if the session is inconclusive")
    parser.add_argument(
        "--control", action="store_true", help="measure a copy of base, too: it must not differ from base"
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions under valgrind instead of measuring time",
    )
    parser.add_argument("--seed", type=int, metavar="S", help="of order and padding")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="of the builds (all CPUs)"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "results/runs", metavar="DIR", help="parent of the run's folder"
    )
    parser.add_argument(
        "--runner", metavar="BIN", help="the noisefloor that runs the session (default: HEAD)"
    )
    parser.add_argument(
        "--history",
        type=Path,
        default=ROOT / "results/history",
        metavar="DIR",
        help="where sessions are appended",
    )
    parser.add_argument("--no-history", action="store_true", help="append nothing")
    parser.add_argument("--note", action="append", default=[], metavar="TEXT", help="a remark for the report")
    return parser


def find_builds(
    arguments: argparse.Namespace, repository: builds.Repository
) -> tuple[builds.Build, builds.Build]:
    """Base and head, built. Throws builds.Stop."""
    base = builds.built(arguments.base) if arguments.base is not None else None
    head = builds.built(arguments.head) if arguments.head is not None else None
    # Name everything before building anything: a slip of the pen shall not cost minutes.
    base_commit = head_commit = ""
    base_name = head_name = ""
    uncommitted = False
    if base is None:
        revision = arguments.base if arguments.base is not None else repository.default_base()
        base_commit = repository.commit_of(revision)
        base_name = base_commit[:12] if revision == base_commit else f"{revision} ({base_commit[:12]})"
    if head is None:
        if arguments.head is not None:
            head_commit = repository.commit_of(arguments.head)
            head_name = f"{arguments.head} ({head_commit[:12]})"
        elif repository.is_dirty():
            head_commit = repository.snapshot()
            uncommitted = True
            head_name = f"{repository.commit_of('HEAD')[:12]} with uncommitted changes ({head_commit[:12]})"
        else:
            head_commit = repository.commit_of("HEAD")
            head_name = head_commit[:12]
    if base_commit and base_commit == head_commit:
        builds.say("base and head are the same commit: what differs is noise")
    if base is None:
        base = builds.build(repository, base_name, base_commit, is_base=True, jobs=arguments.jobs)
    if head is None:
        head = builds.build(repository, head_name, head_commit, is_base=False, jobs=arguments.jobs)
    if uncommitted:
        head = replace(head, commit="")  # nobody will find it again: no place for it in the history
    return base, head


def find_sweep(name: str, head: builds.Build) -> Path:
    """The file of the sweep: head's own, else this tree's. Throws builds.Stop(2)."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise builds.Stop(2, f"--sweep {name}: no such file")
        return Path(name).resolve()
    for top in (head.source, ROOT):
        if top is not None and (top / f"benchmarks/sweeps/{name}.toml").is_file():
            return (top / f"benchmarks/sweeps/{name}.toml").resolve()
    raise builds.Stop(2, f"unknown sweep '{name}': benchmarks/sweeps has no {name}.toml")


def main(argv: Sequence[str], root: Path = ROOT) -> int:
    """`root`: the repository that revisions are of."""
    parser = make_parser()
    try:
        arguments = parser.parse_args(argv)
        if min(arguments.rounds or 1, arguments.confirm_rounds or 1) < 1 or 0 in (
            arguments.rounds,
            arguments.confirm_rounds,
        ):
            parser.error("rounds must be at least 1")
    except SystemExit as end:
        return int(end.code or 0)
    repository = builds.Repository(
        root, Path(os.environ.get("NOISEFLOOR_REGRESS", root / "build/regress")).resolve()
    )
    try:
        base, head = find_builds(arguments, repository)
        builds.check_flags(base, head)
        sweep = find_sweep(arguments.sweep, head)
        options = (f"--filter={arguments.filter}",) if arguments.filter else ()
        session = Session(choose_runner(head, arguments.runner), base, head, sweep, options)
        builds.say(f"base {base.name}: {base.program}")
        builds.say(f"head {head.name}: {head.program}")
        if arguments.instructions:
            started = time.monotonic()
            cells = session.cells(session.runner, sweep)
            report, folder = instructions.compare(
                base.program, head.program, cells, (base.name, head.name), arguments.out
            )
            finish(report, session, folder, argparse.Namespace(no_history=True), time.monotonic() - started)
            return report.status(strict=arguments.strict)
        return measure(session, arguments, arguments.out)
    except builds.Stop as stop:
        builds.say(str(stop))
        return stop.status
    except instructions.Missing as missing:
        builds.say(str(missing))
        return 3
    except results.ResultsError as error:
        builds.say(str(error))
        return error.status
    except OSError as error:
        builds.say(f"{error.filename or 'output'}: {error.strerror}")
        return 1
    except KeyboardInterrupt:
        builds.say("interrupted")
        return 130

"""How often the gate cries wolf and what it finds, beside other methods: records, resamples, and writes docs/GATE.md.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import gzip
import io
import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final


import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from scripts import regress
from scripts.lib import builds, document, judge, results, stats, verdicts

ROOT: Final = Path(__file__).resolve().parents[2]
REFERENCE: Final = ROOT / "results/reference/gate-study"
DOCUMENT: Final = ROOT / "docs/GATE.md"
BEGIN: Final = "<!-- study: written by scripts/studies/gate_study from results/reference/gate-study -->"
END: Final = "<!-- end of study -->"
# Patch by patch: the cells whose code it makes slower.
PATCHES: Final = {"spin": "workload=spin,", "kernel": "workload=noise,.*kernel=omp_simd_avx2,"}
LEVELS: Final = (1, 2, 3, 5, 10)  # percent
LIVE_LEVELS: Final = (0, 5)
LIVE_PATCH: Final = "kernel"
CHUNK_ROUNDS: Final = 20  # what is lost at most when a recording is interrupted
QUIET_SIGMA: Final = 0.012
RAW: Final = (
    "round",
    "order",
    "arm",
    "cell_id",
    "repetition",
    "iterations",
    "wall_ns",
    "involuntary_switches",
    "steal_ticks",
    "started_ns",
)
SESSIONS: Final = 1000


def least_rounds() -> int:
    """Of a recording that a session is drawn from: the screen's and the confirming ones."""
    rules = judge.default_rules()
    return rules.screen_rounds + rules.confirm_rounds


def equal_launches() -> int:
    """What a session of the gate costs a cell on average, in launches of each build: the screen, and a fifth of the
    confirmation, since the screen flags one in ten identical cells in each direction. The other methods get as many.
    """
    rules = judge.default_rules()
    return rules.screen_rounds + math.floor(0.2 * rules.confirm_rounds)


class Study:
    """The folder of the recordings. Everything that is complete stays when the study is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells_file = folder / "cells.json"
        self.live_file = folder / "live.csv"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time records: two would measure each other, and nothing in their rows would tell."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise builds.Stop(
                    2, f"{self.folder}: another gate_study records there: wait until it ends"
                ) from None
            yield
        finally:
            os.close(folder)

    def recording(self, name: str) -> Path:
        return self.folder / f"{name}.csv.gz"

    def rounds(self, name: str) -> int:
        """How many rounds of a recording are there."""
        path = self.recording(name)
        return int(read_raw(path)["round"].nunique()) if path.exists() else 0

    def keep(self, name: str, run: results.Run) -> None:
        """Adds the rounds of a run behind those that are there, and the cells' names and limits."""
        ok = run.observations[run.observations["status"] == "ok"]
        bad = run.observations[run.observations["status"].isin(results.FAILURES)]
        if len(bad):
            raise results.ResultsError(f"{run.path}: {bad.iloc[0]['status']}: {bad.iloc[0]['message']}")
        frame = ok[list(RAW)].copy()
        path = self.recording(name)
        before = read_raw(path) if path.exists() else None
        if before is not None:
            frame["round"] = frame["round"] + int(before["round"].max()) + 1
            frame["order"] = frame["order"] + int(before["order"].max()) + 1
            frame = pd.concat([before, frame], ignore_index=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        # Without a time stamp the same rows give the same bytes.
        with open(temporary, "wb") as file, gzip.GzipFile("", fileobj=file, mode="wb", mtime=0) as packed:
            packed.write(frame.to_csv(index=False, lineterminator="\n").encode())
        temporary.replace(path)
        self.keep_cells(run)

    def keep_cells(self, run: results.Run) -> None:
        known = json.loads(self.cells_file.read_text(encoding="utf-8")) if self.cells_file.exists() else {}
        planned = verdicts.planned_cells(run)
        measured = set(run.observations.loc[run.observations["status"] == "ok", "cell_id"])
        for identity, cell in planned.items():
            if identity in measured:
                known.setdefault("cells", {})[identity] = {"text": cell.text, "sees": cell.sees}
        machine = run.machine
        known["machine"] = {
            "machine_id": str(run.observations["machine_id"].iloc[0]),
            "cpu": str(machine.get("cpu", {}).get("model", "unknown")),
            "workers": machine.get("workers"),
            "virtual_machine": bool(machine.get("virtual_machine")),
        }
        known["commit"] = str(run.observations.loc[run.observations["arm"] == "base", "git_sha"].iloc[0])
        self.cells_file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def read_raw(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return pd.read_csv(file)


# ---- Recording -------------------------------------------------------------------------------------------------------


def patched(text: str, percent: int) -> str:
    """The patch with another share."""
    changed, count = re.subn(r"(\+constexpr \S+ kInjectedPerMille = )\d+;", rf"\g<1>{10 * percent};", text)
    if count != 1:
        raise results.ResultsError("the patch does not set kInjectedPerMille once")
    return changed


def injected_commit(repository: builds.Repository, commit: str, patch: str, percent: int) -> str:
    """A commit, on no branch, of `commit` with the patch at this share. Throws ResultsError where it does not apply."""
    text = patched((ROOT / f"tests/inject/{patch}.patch").read_text(encoding="utf-8"), percent)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patch"
        file.write_text(text, encoding="utf-8")
        environment = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        for who in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{who}_NAME": "study", f"GIT_{who}_EMAIL": "study@localhost"}
            environment[f"GIT_{who}_DATE"] = "2000-01-01T00:00:00Z"
        tree = ""
        for words in (["read-tree", commit], ["apply", "--cached", str(file)], ["write-tree"]):
            done = repository.git(*words, environment=environment)
            if done.returncode != 0:
                raise results.ResultsError(
                    f"{patch}.patch at {percent}%: git {words[0]}: {done.stderr.strip()}"
                )
            tree = done.stdout.strip()
        message = f"{patch} {percent}% slower"
        done = repository.git("commit-tree", tree, "-p", commit, "-m", message, environment=environment)
        return done.stdout.strip()


@dataclass
class Recorder:
    """Builds once, and measures while there is time."""

    study: Study
    repository: builds.Repository
    commit: str
    deadline: float  # of time.monotonic()
    jobs: int

    def is_late(self) -> bool:
        return time.monotonic() >= self.deadline

    def build(self, patch: str, percent: int) -> builds.Build:
        commit = (
            self.commit if percent == 0 else injected_commit(self.repository, self.commit, patch, percent)
        )
        name = "the build itself" if percent == 0 else f"{patch} {percent}% slower"
        return builds.build(self.repository, name, commit, is_base=False, jobs=self.jobs)

    def run(self, base: builds.Build, head: builds.Build, rounds: int, seed: int, only: str) -> results.Run:
        """One `noisefloor run` of both, loaded; its folder is removed."""
        assert base.source is not None
        with tempfile.TemporaryDirectory(prefix="gate-study-") as out:
            options = (f"--filter={only}",) if only else ()
            sweep = base.source / "benchmarks/sweeps/gate.toml"
            session = regress.Session(base.program, base, head, sweep, options)
            status, folder = session.run(Path(out), f"--rounds={rounds}", f"--seed={seed}", "--progress=none")
            if status == 130:
                raise KeyboardInterrupt
            if status != 0 or folder is None:
                raise results.ResultsError(f"noisefloor run ended with {status}")
            return results.load(folder)

    def record(self, name: str, patch: str, percent: int, rounds: int, only: str) -> None:
        """Measures until `rounds` rounds are kept, or the time is up."""
        while (have := self.study.rounds(name)) < rounds and not self.is_late():
            count = min(CHUNK_ROUNDS, rounds - have)
            builds.say(f"{name}: rounds {have + 1} to {have + count} of {rounds}")
            base, head = self.build("", 0), self.build(patch, percent)
            self.study.keep(name, self.run(base, head, count, 1000 + have, only))

    def live(self, percent: int, sessions: int) -> None:
        """Whole sessions of scripts/regress, one line each."""
        while (
            have := len([row for row in read_live(self.study) if row["percent"] == str(percent)])
        ) < sessions:
            if self.is_late():
                return
            builds.say(f"live session {have + 1} of {sessions} at {percent}%")
            base, head = self.build("", 0), self.build(LIVE_PATCH, percent)
            started = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="gate-study-") as out:
                words = [str(base.program), str(head.program), f"--out={out}", "--no-history", "--runner"]
                words += [str(base.program), f"--seed={10_000 * (percent + 1) + have}"]
                with contextlib.redirect_stdout(io.StringIO()):
                    status = regress.main(words)
                if status not in (0, 1):
                    raise results.ResultsError(f"a live session ended with {status}")
                seconds = time.monotonic() - started
                (verdicts,) = Path(out).glob("*/verdicts.json")
                report = json.loads(verdicts.read_text(encoding="utf-8"))
            flagged = [
                cell["cell_id"] for cell in report["cells"] if cell["verdict"] in ("REGRESSED", "FAILED")
            ]
            improved = [cell["cell_id"] for cell in report["cells"] if cell["verdict"] == "IMPROVED"]
            self.study.folder.mkdir(parents=True, exist_ok=True)
            with open(self.study.live_file, "a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(["percent", "session", "status", "seconds", "regressed", "improved"])
                writer.writerow(
                    [percent, have, status, f"{seconds:.1f}", " ".join(flagged), " ".join(improved)]
                )


def read_live(study: Study) -> list[dict[str, str]]:
    if not study.live_file.exists():
        return []
    with open(study.live_file, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- Resampling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """Times per iteration in ns, one per launch: [cell, round] of each arm, in the order of rounds."""

    cells: tuple[str, ...]
    head: stats.Floats
    base: stats.Floats
    sees: tuple[float, ...] = ()  # what is asked of each cell; () asks nothing

    @property
    def rounds(self) -> int:
        return int(self.head.shape[1])

    @property
    def log_ratios(self) -> stats.Floats:
        return np.asarray(np.log(self.head / self.base))


def load_recording(path: Path) -> Recording:
    """Launch values of all rounds in which every cell was measured in both arms."""
    frame = read_raw(path)
    frame["value"] = frame["wall_ns"] / frame["iterations"]
    values = frame.groupby(["cell_id", "arm", "round"], sort=False)["value"].median().unstack("round")
    values = values.dropna(axis="columns")
    cells = tuple(dict.fromkeys(frame["cell_id"]))
    arms = [values.loc[[(cell, arm) for cell in cells]].to_numpy(dtype=float) for arm in ("head", "base")]
    return Recording(cells, arms[0], arms[1])


@dataclass(frozen=True)
class Drawn:
    """One session: times [cell, launch] of both builds. `slow` is the row of the cell that is slower, or -1."""

    head: stats.Floats
    base: stats.Floats
    slow: int
    sees: tuple[float, ...] = ()


Method = Callable[[Drawn], Sequence[int]]  # rows of the cells that it calls slower


def gate_method(drawn: Drawn) -> Sequence[int]:
    """The gate itself, on 18 + 45 rounds in their order."""
    ratios, rules = np.log(drawn.head / drawn.base), judge.default_rules()
    # The rounds that follow stand for fresh ones: the judge reads them of flagged cells only.
    screened = {str(i): row[: rules.screen_rounds] for i, row in enumerate(ratios)}
    fresh = {str(i): row[rules.screen_rounds :] for i, row in enumerate(ratios)}
    asked = {str(i): drawn.sees[i] if drawn.sees else 1.0 for i in range(len(ratios))}
    judged = judge.judge(screened, fresh, asked).cells
    return [int(cell) for cell, one in judged.items() if one.verdict == "REGRESSED"]


def u_test(drawn: Drawn) -> Sequence[int]:
    """compare.py's: two-sided Mann-Whitney U test at 5% on each benchmark, and head's mean is larger."""
    p = scipy_stats.mannwhitneyu(drawn.head, drawn.base, axis=1, alternative="two-sided").pvalue
    return list(np.flatnonzero((p < 0.05) & (drawn.head.mean(axis=1) > drawn.base.mean(axis=1))))


def paired_t_test(drawn: Drawn) -> Sequence[int]:
    p = scipy_stats.ttest_rel(np.log(drawn.head), np.log(drawn.base), axis=1, alternative="greater").pvalue
    return list(np.flatnonzero(p < 0.05))


def threshold(percent: int) -> Method:
    def method(drawn: Drawn) -> Sequence[int]:
        return list(np.flatnonzero(drawn.head.mean(axis=1) > percent / 100 * drawn.base.mean(axis=1)))

    return method


# Name, method, and whether the builds take turns (else: all launches of base, then all of head).
METHODS: Final[tuple[tuple[str, Method, bool], ...]] = (
    ("this gate", gate_method, True),
    ("paired t test at 5%, in turns", paired_t_test, True),
    ("U test at 5% (compare.py), one after the other", u_test, False),
    ("fixed threshold 105%, one after the other", threshold(105), False),
    ("fixed threshold 110%, one after the other", threshold(110), False),
    ("fixed threshold 150%, one after the other", threshold(150), False),
    ("fixed threshold 200%, one after the other", threshold(200), False),
)


def draw(
    generator: np.random.Generator,
    null: Recording,
    slow: Recording | None,
    cell: str,
    launches: int,
    in_turns: bool,
) -> Drawn:
    """A session from the recordings. In turns: `launches` rounds, drawn without replacement, in their order, of
    both arms. One after the other: base from consecutive rounds, head from those that follow. Identical builds are
    swapped as a whole, cell by cell, at random. `cell` is taken from `slow`, if that is given."""

    def pick(recording: Recording) -> tuple[stats.Floats, stats.Floats]:
        if in_turns:
            rounds = np.sort(generator.choice(recording.rounds, launches, replace=False))
            return recording.head[:, rounds], recording.base[:, rounds]
        count = min(launches, recording.rounds // 2)
        start = int(generator.integers(0, recording.rounds - 2 * count + 1))
        return recording.head[:, start + count : start + 2 * count], recording.base[:, start : start + count]

    head, base = pick(null)
    head, base = head.copy(), base.copy()
    if in_turns:  # one after the other, the arms are the same program and their order is what matters
        swap = generator.random(len(null.cells)) < 0.5
        head[swap], base[swap] = base[swap], head[swap]
    row = -1
    if slow is not None:
        row = null.cells.index(cell)
        slow_head, slow_base = pick(slow)
        at = slow.cells.index(cell)
        width = min(head.shape[1], slow_head.shape[1])
        head, base = head[:, :width], base[:, :width]
        head[row], base[row] = slow_head[at, :width], slow_base[at, :width]
    return Drawn(head, base, row, null.sees)


def sessions(
    method: Method,
    in_turns: bool,
    null: Recording,
    slow: Recording | None = None,
    cell: str = "",
    *,
    count: int = SESSIONS,
    seed: int = 1,
) -> dict[str, int]:
    """Over `count` drawn sessions: with a false alarm (`false`), with the slow cell found (`found`), and false
    alarms of single cells (`cells`)."""
    generator = np.random.default_rng(seed)
    launches = least_rounds() if method is gate_method else equal_launches()
    tally = {"sessions": count, "false": 0, "found": 0, "cells": 0}
    for _ in range(count):
        drawn = draw(generator, null, slow, cell, launches, in_turns)
        called = set(method(drawn))
        tally["found"] += drawn.slow in called
        called.discard(drawn.slow)
        tally["false"] += bool(called)
        tally["cells"] += len(called)
    return tally


def analyse(study: Study, *, count: int = SESSIONS) -> dict[str, Any]:
    """All figures of the study, from the recordings alone. Throws ResultsError where there is no recording."""
    path = study.recording("identical")
    if not path.exists():
        raise results.ResultsError(f"{path}: not recorded yet: make gate-study")
    facts = json.loads(study.cells_file.read_text(encoding="utf-8"))
    null = load_recording(path)
    if null.rounds < least_rounds():
        raise results.ResultsError(
            f"{path}: {null.rounds} rounds; a session is drawn from at least {least_rounds()}"
        )
    null = replace(null, sees=tuple(float(facts["cells"][cell]["sees"]) for cell in null.cells))
    texts = {cell: facts["cells"][cell]["text"] for cell in null.cells}
    labels = dict(zip(texts, verdicts.labels(verdicts.parse_cell(text) for text in texts.values())))
    cells = []
    for cell, ratios in zip(null.cells, null.log_ratios):
        change = judge.judge({cell: ratios}).cells[cell]
        cells.append(
            {"cell_id": cell, "label": labels[cell], "sees": facts["cells"][cell]["sees"], "sigma": change.sigma,
             "effect": change.effect, "visible": judge.visible([change.sigma])[0]}
        )  # fmt: skip
    methods = []
    for name, method, in_turns in METHODS:
        entry: dict[str, Any] = {"name": name, "null": sessions(method, in_turns, null, count=count)}
        found: list[dict[str, Any]] = []
        for patch in PATCHES:
            for percent in LEVELS:
                recording = study.recording(f"{patch}-{percent}")
                if not recording.exists():
                    continue
                slow = load_recording(recording)
                if slow.rounds < least_rounds():
                    continue  # not complete yet
                for cell in slow.cells:
                    if cell not in null.cells:
                        continue
                    tally = sessions(
                        method, in_turns, null, slow, cell, count=count // 4, seed=100 * percent + len(found)
                    )
                    true = judge.judge({cell: slow.log_ratios[slow.cells.index(cell)]}).cells[cell]
                    found.append(
                        {"cell_id": cell, "label": labels[cell], "patch": patch, "percent": percent,
                         "rounds": slow.rounds, "effect": true.effect, "sigma": true.sigma, **tally}
                    )  # fmt: skip
        entry["injected"] = found
        methods.append(entry)
    live = []
    for percent in LIVE_LEVELS:
        rows = [row for row in read_live(study) if row["percent"] == str(percent)]
        if rows:
            target = [cell for cell, text in texts.items() if re.search(PATCHES[LIVE_PATCH], f"{text},")]
            regressed = [row["regressed"].split() for row in rows]
            live.append(
                {"percent": percent, "sessions": len(rows),
                 "false": sum(bool(set(cells) - set(target if percent else [])) for cells in regressed),
                 "found": sum(bool(set(cells) & set(target)) for cells in regressed) if percent else 0,
                 "seconds": float(np.median([float(row["seconds"]) for row in rows])),
                 "most_seconds": max(float(row["seconds"]) for row in rows)}
            )  # fmt: skip
    return {
        "schema": 1,
        "commit": facts["commit"],
        "machine": facts["machine"],
        "rounds": null.rounds,
        "cells": cells,
        "methods": methods,
        "live": live,
    }


# ---- What is written -------------------------------------------------------------------------------------------------


def share(hits: int, n: int) -> str:
    """ "1.2% [0.7%, 2.1%]" with Wilson's interval."""
    low, high = stats.wilson_interval(hits, n)
    return f"{hits / n:.1%} [{low:.1%}, {high:.1%}]"


def tables(found: Mapping[str, Any]) -> str:
    """The study as Markdown."""
    machine = found["machine"]
    quiet = [cell for cell in found["cells"] if cell["sigma"] <= QUIET_SIGMA]
    lines = [
        "![False alarms and detection by method](../results/reference/gate-study/study.svg)",
        "",
        f"Recorded on {machine['cpu']}, {machine['workers']} CPUs"
        + (" of a virtual machine" if machine["virtual_machine"] else "")
        + f", commit {found['commit'][:12]}: {found['rounds']} rounds of identical builds, {len(found['cells'])} cells, of which "
        f"{len(quiet)} are quiet (σ ≤ {QUIET_SIGMA:.1%}). Shares stand with Wilson's 95% interval.",
        "",
        f"**False alarms**: {found['methods'][0]['null']['sessions']:,} sessions of identical builds drawn from these rounds.",
        "",
        "| method | sessions with a false alarm | false alarms per cell and session |",
        "| --- | --- | --- |",
    ]
    for entry in found["methods"]:
        null = entry["null"]
        per_cell = null["cells"] / (null["sessions"] * len(found["cells"]))
        lines.append(f"| {entry['name']} | {share(null['false'], null['sessions'])} | {per_cell:.2%} |")
    injected = found["methods"][0]["injected"]
    if injected:
        percents = sorted({one["percent"] for one in injected})
        lines += [
            "",
            "**Detection**: the cell's code slowed down by a patch (`tests/inject/`), measured once for each patch, and drawn "
            f"into {injected[0]['sessions']} sessions whose other cells are identical builds. A share is over drawings from one "
            "recording: it has no interval that would speak of another hour.",
            "",
            f"| cell | σ | method | {' | '.join(f'{percent}%' for percent in percents)} |",
            f"| --- | --- | --- | {' | '.join('---' for _ in percents)} |",
        ]
        for cell in dict.fromkeys(one["cell_id"] for one in injected):
            for entry in found["methods"]:
                row = {one["percent"]: one for one in entry["injected"] if one["cell_id"] == cell}
                some = next(iter(row.values()))
                values = [
                    f"{row[percent]['found'] / row[percent]['sessions']:.0%}" if percent in row else "–"
                    for percent in percents
                ]
                lines.append(
                    f"| {some['label']} | {some['sigma']:.2%} | {entry['name']} | {' | '.join(values)} |"
                )
        lines += ["", "What the patches really did, as measured over all their rounds:", ""]
        lines += [
            f"- {one['label']} at {one['percent']}%: {verdicts.percent(one['effect'])} over {one['rounds']} rounds"
            for one in injected
        ]
    if found["live"]:
        lines += ["", "**Live sessions** of `scripts/regress`, end to end:", ""]
        for one in found["live"]:
            what = (
                f"the slowed cell found in {share(one['found'], one['sessions'])}, another cell blamed in "
                f"{share(one['false'], one['sessions'])}"
                if one["percent"]
                else f"a false alarm in {share(one['false'], one['sessions'])}"
            )
            lines.append(
                f"- {one['sessions']} at {one['percent']}%: {what}; {one['seconds']:.0f} s each in the median, "
                f"{one['most_seconds']:.0f} s at most"
            )
    lines += [
        "",
        "**Noise**: the spread σ of ln(head / base) of identical builds, and the change that a cell can see.",
        "",
        "| cell | σ | visible | asked |",
        "| --- | --- | --- | --- |",
    ]
    for cell in sorted(found["cells"], key=lambda one: float(one["sigma"])):
        lines.append(
            f"| {cell['label']} | {cell['sigma']:.2%} | {cell['visible']:.1%} " f"| {cell['sees']:.0%} |"
        )
    return "\n".join(lines)


def shown(text: str, table: str) -> str:
    """The document's text with this table in its place."""
    return document.spliced(text, BEGIN, END, f"\n{table}\n")


def write(study: Study, *, count: int, target: Path | None) -> None:
    """study.json, the figure, and the tables in the document."""
    found = analyse(study, count=count)
    (study.folder / "study.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    from plots.figures import gate_study as figure
    from plots import style

    with style.settings():
        style.write(figure.draw(found), study.folder, "study")
    table = tables(found)
    if target is None:
        print(table)
    else:
        target.write_text(shown(target.read_text(encoding="utf-8"), table), encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 where a recording fails; 2 where nothing is recorded; 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="gate_study", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="of identical builds, in all (200)"
    )
    parser.add_argument(
        "--injected-rounds", type=int, default=100, metavar="N", help="of each patch and share (100)"
    )
    parser.add_argument(
        "--live", type=int, default=20, metavar="N", help="whole sessions at 0%% and as many at 5%% (20)"
    )
    parser.add_argument(
        "--budget", type=regress.parse_budget, metavar="TIME", help="start nothing new after this time: 30m"
    )
    parser.add_argument("--analyse-only", action="store_true", help="record nothing")
    parser.add_argument("--print", action="store_true", help="print the tables; docs/GATE.md stays as it is")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if docs/GATE.md differs from study.json"
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, metavar="N", help="to draw (1000)")
    parser.add_argument(
        "--data", type=Path, default=REFERENCE, metavar="DIR", help="where recordings are kept"
    )
    parser.add_argument("--revision", default="HEAD", metavar="REV", help="what is built and patched (HEAD)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="of the builds")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    study = Study(arguments.data)
    try:
        if arguments.check:
            return check(study)
        if not arguments.analyse_only:
            repository = builds.Repository(
                ROOT, Path(os.environ.get("NOISEFLOOR_REGRESS", ROOT / "build/regress"))
            )
            recorder = Recorder(
                study,
                repository,
                pinned_commit(study, repository, arguments.revision),
                time.monotonic() + (arguments.budget or math.inf),
                arguments.jobs,
            )
            with study.locked():
                record_all(recorder, arguments)
        if study.rounds("identical") < least_rounds() and not arguments.analyse_only:
            builds.say(f"the tables need {least_rounds()} rounds of identical builds: go on later")
            return 0
        write(study, count=arguments.sessions, target=None if arguments.print else DOCUMENT)
    except builds.Stop as stop:
        print(f"gate_study: {stop}", file=sys.stderr)
        return stop.status
    except results.ResultsError as error:
        print(f"gate_study: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("gate_study: interrupted; what is complete is kept", file=sys.stderr)
        return 130
    return 0


def pinned_commit(study: Study, repository: builds.Repository, revision: str) -> str:
    """The commit that the study is of: one study, one program. Where recordings are there already, theirs, if
    git still has it."""
    commit = repository.commit_of(revision)
    if not study.cells_file.exists():
        return commit
    recorded = str(json.loads(study.cells_file.read_text(encoding="utf-8"))["commit"])
    if recorded != commit and repository.ask("cat-file", "-t", recorded) == "commit":
        builds.say(
            f"going on with {recorded[:12]}, which the recordings are of; delete {study.folder} to start anew"
        )
        return recorded
    return commit


def record_all(recorder: Recorder, arguments: argparse.Namespace) -> None:
    """In the order of what is worth most: noise first, then what is found, then whole sessions."""
    recorder.record("identical", "", 0, arguments.rounds, "")
    for percent in LEVELS:
        for patch, only in PATCHES.items():
            recorder.record(f"{patch}-{percent}", patch, percent, arguments.injected_rounds, only)
    for percent in LIVE_LEVELS:
        recorder.live(percent, arguments.live)
    if recorder.is_late():
        builds.say("the time is up; the same command goes on from here")


def check(study: Study) -> int:
    """Whether the document shows what study.json holds."""
    path = study.folder / "study.json"
    if not path.exists():
        return 0  # nothing was recorded yet, and the document says so
    table = tables(json.loads(path.read_text(encoding="utf-8")))
    text = DOCUMENT.read_text(encoding="utf-8")
    if shown(text, table) == text:
        return 0
    print(
        "docs/GATE.md does not show the study: run scripts/studies/gate_study --analyse-only",
        file=sys.stderr,
    )
    return 1

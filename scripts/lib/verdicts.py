"""The verdicts of comparing two builds, from the rows of a run with both: verdicts.json, summary.md, a figure.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final


import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from scripts.lib import judge as judging
from scripts.lib import results, stats
from scripts.lib.results import ResultsError

SCHEMA: Final = 1
# What fails a build, then what is said of it, in the order in which a reader wants to see it. The mark stands beside
# the word, so that neither colour nor font is needed to tell them apart.
MARKS: Final = {
    "FAILED": "✖",
    "REGRESSED": "▲",
    "INCONCLUSIVE": "?",
    "UNDERPOWERED": "~",
    "IMPROVED": "▼",
    "BASE_FAILED": "!",
    "REMOVED": "−",
    "NEW": "+",
    "SKIPPED": "·",
    "OK": "=",
}
BUDGET: Final = "budget"  # how a row begins that was left out because the time was up


@dataclass(frozen=True)
class CellVerdict:
    """One line of the report. Fractions: 0.03 is 3% slower. None: not known."""

    cell: str
    cell_id: str
    label: str
    verdict: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    smallest_visible: float | None = None
    sees: float | None = None
    sigma: float | None = None
    rounds: int = 0
    flagged: bool = False
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What verdicts.json holds. `verdict` is the session's: FAILED, REGRESSED, INCONCLUSIVE, IMPROVED or OK."""

    base: str
    head: str
    machine_id: str
    seconds: float
    verdict: str
    cells: tuple[CellVerdict, ...]
    control: tuple[CellVerdict, ...] | None
    margin: float
    interrupted: bool
    dirty_share: float
    notes: tuple[str, ...]
    measure: str = "wall_ns"

    def as_json(self) -> str:
        facts: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(_finite(facts), indent=1, ensure_ascii=False) + "\n"

    def status(self, *, strict: bool) -> int:
        """The exit status that this verdict deserves."""
        if self.verdict in ("FAILED", "REGRESSED"):
            return 1
        return 4 if strict and self.verdict == "INCONCLUSIVE" else 0


def _finite(value: Any) -> Any:
    """JSON knows no nan and no infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


# ---- Cells -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlannedCell:
    """`text` is what `noisefloor run --dry-run` prints of it; `rounds` is how many were planned; `sees` is what is asked
    of it, None where its sweep does not say."""

    cell_id: str
    text: str
    factors: Mapping[str, str]
    sees: float | None
    rounds: int


def parse_cell(text: str) -> dict[str, str]:
    """ "axis=value,…" by axis, without task_ns, which is found and not chosen."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: value for name, _, value in pairs if name != "task_ns"}


def planned_cells(run: results.Run) -> dict[str, PlannedCell]:
    """The cells of the run by id, in the plan's order; those of rows alone where there is no plan."""
    cells: dict[str, PlannedCell] = {}
    for entry in run.plan.get("cell", []):
        factors = parse_cell(str(entry.get("cell", "")))
        identity = str(entry.get("cell_id", ""))
        if identity:
            text = ",".join(f"{name}={value}" for name, value in factors.items())
            sees = float(entry["sees"]) if entry.get("sees") is not None else None
            cells[identity] = PlannedCell(identity, text, factors, sees, int(entry.get("rounds", 0)))
    for row in run.observations.drop_duplicates("cell_id").to_dict("records"):
        if row["cell_id"] not in cells:
            factors = {
                name: str(row[name])
                for name in results.factors(run.observations)
                if name != "task_ns" and not pd.isna(row[name]) and row[name] != ""
            }
            text = ",".join(f"{name}={value}" for name, value in factors.items())
            cells[row["cell_id"]] = PlannedCell(row["cell_id"], text, factors, None, 0)
    return cells


def labels(cells: Iterable[Mapping[str, str]]) -> list[str]:
    """A short name for each cell, all different: what is done, how, by whom; then whatever else tells it from
    the cells of the same short name."""
    cells = list(cells)

    def short(cell: Mapping[str, str]) -> str:
        parts = [cell.get("workload", ""), cell.get("strategy", "")]
        parts += [cell[name] for name in ("kernel", "pitfall", "variant") if cell.get(name)]
        if cell.get("format", "int16") != "int16":
            parts.append(cell["format"])
        if cell.get("delivery", "unordered") != "unordered":
            parts.append(cell["delivery"])
        if cell.get("workers", "1") != "1":
            parts.append(f"{cell['workers']} workers")
        return " · ".join(part for part in parts if part)

    names = [short(cell) for cell in cells]
    for name in sorted({name for name in names if names.count(name) > 1}):
        same = [i for i, other in enumerate(names) if other == name]
        for axis in dict.fromkeys(axis for i in same for axis in cells[i]):
            values = {cells[i].get(axis, "") for i in same}
            if axis not in ("sweep", "workers") and len(values) > 1:
                for i in same:
                    if axis in cells[i] and cells[i][axis] not in names[i].split(" · "):
                        names[i] += f" · {axis} {cells[i][axis]}"
        for i in same:
            if names.count(names[i]) > 1 and "sweep" in cells[i]:
                names[i] += f" · {cells[i]['sweep']}"
    return names


# ---- From rows to verdicts -------------------------------------------------------------------------------------------


def log_ratios(run: results.Run, arm: str, against: str, measure: str = "wall_ns") -> dict[str, stats.Floats]:
    """ln(arm / against) by round, for each cell that both have launches of. Where one of the two overran its deadline, it
    is a lower bound of that, larger than all others; where both did, the round tells nothing."""
    launches = results.launch_values(run.observations, measure)
    launches = launches[launches["arm"].isin([arm, against])]
    both = np.isinf(launches["value"]).groupby([launches["cell_id"], launches["round"]]).transform("sum") == 2
    launches = launches.assign(
        value=launches["value"].where(np.isfinite(launches["value"]), launches["bound"])
    )
    by_cell: dict[str, stats.Floats] = {}
    for cell, rows in launches[~both & launches["value"].notna()].groupby("cell_id", sort=False):
        ours, theirs = (results.by_round(rows[rows["arm"] == name]) for name in (arm, against))
        found = stats.paired_log_ratios(ours, theirs).to_numpy(dtype=float)
        if found.size:
            by_cell[str(cell)] = found
    return by_cell


def plan_confirmation(
    run: results.Run, affordable: float = math.inf, confirm_rounds: int | None = None
) -> judging.Confirmation:
    """The cells that the screen wants confirmed, of head and, where there is one, of the control. `affordable`: how many
    visits of a cell, with all arms, there is time for."""
    rules = {} if confirm_rounds is None else {"confirm_rounds": float(confirm_rounds)}
    arms = [arm for arm in ("head", "base2") if arm in set(run.observations["arm"])]
    plans = [
        judging.judge(log_ratios(run, arm, "base"), affordable=affordable / len(arms), rules=rules).confirm
        for arm in arms
    ]
    chosen = dict.fromkeys(cell for plan in plans for cell in plan.cells)
    left_out = dict.fromkeys(cell for plan in plans for cell in plan.left_out if cell not in chosen)
    return judging.Confirmation(max(plan.rounds for plan in plans), tuple(chosen), tuple(left_out))


def filter_of(run: results.Run, cells: Sequence[str]) -> str:
    """What `noisefloor run --filter` takes to visit these cells only."""
    planned = planned_cells(run)

    def literal(text: str) -> str:
        return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)

    return "|".join(f"^{literal(planned[cell].text)}$" for cell in cells)


def check_comparable(screen: results.Run, confirm: results.Run | None) -> None:
    """Throws ResultsError (exit status 2) unless all rows are of one machine, one schema and two builds."""
    runs = [screen] if confirm is None else [screen, confirm]
    arms = set(screen.observations["arm"])
    if not {"head", "base"} <= arms:
        raise ResultsError(
            f"{screen.path}: has rows of {', '.join(sorted(arms)) or 'no arm'}, not of both head and base: "
            "measure with noisefloor run gate --base BIN"
        )
    for column, what in (("machine_id", "machines"), ("schema", "schemas")):
        values = {str(value) for run in runs for value in run.observations[column].unique()}
        if len(values) > 1:
            raise ResultsError(
                f"{' and '.join(str(run.path) for run in runs)}: rows of several {what} ({', '.join(sorted(values))}) "
                "may not be compared: measure both builds in one session"
            )
    for arm in ("head", "base"):
        builds = {
            str(build)
            for run in runs
            for build in run.observations.loc[run.observations["arm"] == arm, "build_id"].unique()
        }
        if len(builds) > 1:
            raise ResultsError(
                f"arm {arm} is of several builds ({', '.join(sorted(builds))}): not one session"
            )


def _outcomes(runs: Sequence[results.Run]) -> dict[str, dict[str, pd.DataFrame]]:
    """The rows of each cell by arm."""
    frame = pd.concat([run.observations for run in runs], ignore_index=True)
    return {
        str(cell): {str(arm): rows for arm, rows in of_cell.groupby("arm", sort=False)}
        for cell, of_cell in frame.groupby("cell_id", sort=False)
    }


def _problem(rows: pd.DataFrame | None) -> str:
    """What went wrong first in these rows, "" if nothing did. What overran its deadline is slow: it is a value, unless
    calibration already overran."""
    if rows is None:
        return ""
    slow = (rows["status"] == "timeout") & rows["wall_ns"].notna()
    bad = rows[rows["status"].isin(results.FAILURES) & ~slow]
    if not len(bad):
        return ""
    first = bad.iloc[0]
    return f"{first['status']}: {first['message'] or 'no message'}"


def _skipped(rows: pd.DataFrame | None) -> str | None:
    """Why nothing of these was measured, or None if something was tried."""
    if rows is None or not len(rows):
        return "no rows"
    if (rows["status"] != "skipped").any():
        return None
    return str(rows.iloc[0]["message"]) or "skipped"


def _line(cell: PlannedCell, label: str, verdict: str, message: str = "") -> CellVerdict:
    return CellVerdict(cell.text, cell.cell_id, label, verdict, sees=cell.sees, message=message)


def _judged_line(cell: PlannedCell, label: str, judged: judging.Judged) -> CellVerdict:
    return CellVerdict(
        cell.text,
        cell.cell_id,
        label,
        judged.verdict,
        effect=judged.effect,
        interval=(judged.low, judged.high),
        p=judged.p,
        smallest_visible=judged.smallest_visible,
        sees=judged.sees,
        sigma=judged.sigma,
        rounds=judged.rounds,
        flagged=judged.flagged,
        message=judged.reason,
    )


def make_report(
    screen: results.Run,
    confirm: results.Run | None,
    *,
    margin: float | None = None,
    removed: Sequence[str] = (),
    names: tuple[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """The verdicts of a session. `removed`: texts of cells that base's sweep has and head's has not. `names`: how
    base and head are called, else by their commits. Throws ResultsError where runs may not be compared, or
    where no cell was measured in both builds and none failed."""
    check_comparable(screen, confirm)
    runs = [screen] if confirm is None else [screen, confirm]
    cells = planned_cells(screen)
    gone = [parse_cell(text) for text in removed]
    names_of_all = labels([*(cell.factors for cell in cells.values()), *gone])
    short = dict(zip(cells, names_of_all))
    sees = {identity: cell.sees for identity, cell in cells.items() if cell.sees is not None}
    rules = {} if margin is None else {"margin": margin}
    judgement = judging.judge(*_ratios(runs, "head"), sees, rules=rules)
    judged = judgement.cells
    outcomes = _outcomes(runs)
    lines: list[CellVerdict] = []
    for identity, cell in cells.items():
        arms = outcomes.get(identity, {})
        head, base = arms.get("head"), arms.get("base")
        head_skipped, base_skipped = _skipped(head), _skipped(base)
        label = short[identity]
        if problem := _problem(head):
            line = _line(cell, label, "FAILED", problem)
        elif (problem := _problem(base)).startswith("wrong_output"):
            line = _line(cell, label, "FAILED", f"base and head write different output: base: {problem}")
        elif problem:
            line = _line(cell, label, "BASE_FAILED", problem)
        elif head_skipped is not None and head_skipped.startswith(BUDGET):
            line = _line(cell, label, "INCONCLUSIVE", head_skipped)
        elif head_skipped is not None and base_skipped is not None:
            line = _line(cell, label, "SKIPPED", head_skipped)
        elif head_skipped is not None:
            line = _line(cell, label, "REMOVED", head_skipped)
        elif base_skipped is not None:
            line = _line(cell, label, "NEW", base_skipped)
        elif identity not in judged:
            line = _line(cell, label, "INCONCLUSIVE", "no round is complete in both builds")
        else:
            line = _judged_line(cell, label, judged[identity])
        lines.append(line)
    for text, label in zip(removed, names_of_all[len(cells) :]):
        lines.append(
            CellVerdict(text, "", label, "REMOVED", message="base's sweep has this cell, head's has not")
        )
    if not judged and not any(line.verdict == "FAILED" for line in lines):
        raise ResultsError(f"{screen.path}: no cell was measured in both builds: nothing to compare")
    control = _control(runs, cells, short, sees, rules)
    all_notes = list(notes)
    interrupted = _interrupted(runs)
    if interrupted:
        all_notes.append("The session was interrupted: the verdicts rest on the rounds that are complete.")
    for run in runs:
        all_notes.extend(run.warnings)
    frame = pd.concat([run.observations for run in runs], ignore_index=True)
    commits = tuple(_only(frame, arm) for arm in ("base", "head"))
    base_name, head_name = names or (commits[0], commits[1])
    return Report(
        base=base_name,
        head=head_name,
        machine_id=str(frame["machine_id"].iloc[0]),
        seconds=sum(_seconds(run.observations) for run in runs),
        verdict=session_verdict(lines, control),
        cells=tuple(lines),
        control=control,
        margin=judgement.rules.margin,
        interrupted=interrupted,
        dirty_share=_dirty_share(frame),
        notes=tuple(all_notes),
    )


def _ratios(runs: Sequence[results.Run], arm: str) -> tuple[dict[str, stats.Floats], dict[str, stats.Floats]]:
    """Of the screen and of the fresh rounds."""
    found = [log_ratios(run, arm, "base") for run in runs]
    return found[0], found[1] if len(found) > 1 else {}


def _control(
    runs: Sequence[results.Run],
    cells: Mapping[str, PlannedCell],
    short: Mapping[str, str],
    sees: Mapping[str, float],
    rules: Mapping[str, float],
) -> tuple[CellVerdict, ...] | None:
    """The same procedure for base2 against base, which are the same build."""
    if "base2" not in set(runs[0].observations["arm"]):
        return None
    judged = judging.judge(*_ratios(runs, "base2"), sees, rules=rules).cells
    return tuple(_judged_line(cells[cell], short[cell], one) for cell, one in judged.items())


def session_verdict(lines: Sequence[CellVerdict], control: Sequence[CellVerdict] | None) -> str:
    """A failed cell fails the session, whatever the clock says; identical builds that differ make it
    INCONCLUSIVE; else the worst verdict of a cell counts. A cell that cannot see what is asked of it on this machine is
    told and does not decide, unless no other cell is left."""
    verdicts = {line.verdict for line in lines}
    if "FAILED" in verdicts:
        return "FAILED"
    if any(line.verdict in ("REGRESSED", "IMPROVED") for line in control or ()):
        return "INCONCLUSIVE"
    for verdict in ("REGRESSED", "INCONCLUSIVE", "IMPROVED"):
        if verdict in verdicts:
            return verdict
    return "INCONCLUSIVE" if "UNDERPOWERED" in verdicts and "OK" not in verdicts else "OK"


def _interrupted(runs: Sequence[results.Run]) -> bool:
    """Whether a cell that was measured has fewer rounds than were planned for it."""
    for run in runs:
        planned = planned_cells(run)
        ok = run.observations[run.observations["status"] == "ok"]
        for cell, rows in ok.groupby("cell_id", sort=False):
            for _, of_arm in rows.groupby("arm", sort=False):
                if of_arm["round"].nunique() < planned[str(cell)].rounds:
                    bad = run.observations[run.observations["cell_id"] == cell]
                    out_of_time = bad["message"].str.startswith(BUDGET) & (bad["status"] == "skipped")
                    # Neither a launch that failed nor a budget that was kept is an interruption.
                    if not (bad["status"].isin(results.FAILURES) | out_of_time).any():
                        return True
    return False


def _seconds(frame: pd.DataFrame) -> float:
    started = frame["started_ns"].dropna()
    return float(started.max() - started.min()) / 1e9 if len(started) else 0.0


def _dirty_share(frame: pd.DataFrame) -> float:
    ok = frame[frame["status"] == "ok"]
    if not len(ok):
        return 0.0
    return float((ok["involuntary_switches"].fillna(0).gt(0) | ok["steal_ticks"].fillna(0).gt(0)).mean())


def _only(frame: pd.DataFrame, arm: str) -> str:
    return (
        ", ".join(sorted({str(sha) for sha in frame.loc[frame["arm"] == arm, "git_sha"] if sha})) or "unknown"
    )


# ---- From files of Google Benchmark ----------------------------------------------------------------------------------

UNITS: Final = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
NOT_INTERLEAVED: Final = (
    "The two files were measured one after the other, not in turns: a slow minute of the machine looks like a slow build. "
    "What is found here is a reason to measure with scripts/regress, not a verdict to rely on."
)


def read_google_benchmark(path: Path) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Context, and real times in ns by benchmark, of its single repetitions. Throws ResultsError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = content["benchmarks"]
        times: dict[str, list[float]] = {}
        for entry in entries:
            if entry.get("run_type", "iteration") != "iteration" or entry.get("error_occurred"):
                continue
            name = str(entry.get("run_name", entry["name"]))
            times.setdefault(name, []).append(float(entry["real_time"]) * UNITS[entry.get("time_unit", "ns")])
        return dict(content.get("context", {})), times
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{path}: no benchmark output of Google Benchmark ({type(error).__name__}: {error}): "
            "make one with --benchmark_out=FILE --benchmark_out_format=json"
        ) from None


def compare_google_benchmark(base: Path, head: Path, *, margin: float = stats.GATE_MARGIN) -> Report:
    """Verdicts by a rank-sum test with Holm's correction over all benchmarks that both files have. Without pairs
    and rounds it sees less, and takes the machine's drift for the build's."""
    context, before = read_google_benchmark(base)
    head_context, after = read_google_benchmark(head)
    for key in ("num_cpus", "caches", "machine_id"):
        if context.get(key) != head_context.get(key):
            raise ResultsError(
                f"{base} and {head}: {key} differs: times of different machines may not be compared"
            )
    common = [name for name in before if name in after and min(before[name] + after[name]) > 0]
    if not common:
        raise ResultsError(f"{base} and {head}: no benchmark is in both")
    logs = {
        name: ([math.log(t) for t in before[name]], [math.log(t) for t in after[name]]) for name in common
    }
    ps = [float(scipy_stats.mannwhitneyu(x, y, alternative="two-sided").pvalue) for x, y in logs.values()]
    lines = []
    for name, p in zip(common, stats.holm(ps)):
        x, y = logs[name]
        shift = stats.hodges_lehmann(x, y)
        sigma = max(1.4826 * float(scipy_stats.median_abs_deviation(part)) for part in (x, y))
        # Both medians vary: their difference by the root of 2 more than that of pairs.
        visible = math.log1p(margin) + stats.visible_factor(min(len(x), len(y))) * math.sqrt(2) * sigma
        verdict, message = "OK", ""
        if shift.n < stats.LEAST_VALUES:
            verdict, message = "INCONCLUSIVE", f"{shift.n} repetitions are fewer than {stats.LEAST_VALUES}"
        elif p < stats.GATE_ALPHA and abs(shift.median) >= math.log1p(margin):
            verdict = "REGRESSED" if shift.median > 0 else "IMPROVED"
        lines.append(
            CellVerdict(
                name,
                name,
                name,
                verdict,
                effect=math.expm1(shift.median),
                interval=(math.expm1(shift.low), math.expm1(shift.high)),
                p=float(p),
                smallest_visible=math.expm1(visible),
                sigma=sigma,
                rounds=shift.n,
                message=message,
            )
        )
    lines += [
        CellVerdict(name, name, name, "NEW", message="only in head") for name in after if name not in before
    ]
    lines += [
        CellVerdict(name, name, name, "REMOVED", message="only in base")
        for name in before
        if name not in after
    ]
    return Report(
        base=str(base),
        head=str(head),
        machine_id=str(context.get("machine_id", context.get("host_name", ""))),
        seconds=0.0,
        verdict=session_verdict(lines, None),
        cells=tuple(lines),
        control=None,
        margin=margin,
        interrupted=False,
        dirty_share=0.0,
        notes=(NOT_INTERLEAVED,),
        measure="real_time",
    )


# ---- What people and CI read -----------------------------------------------------------------------------------------


def percent(fraction: float | None) -> str:
    """ "+3.1%"; "–" for what is not known."""
    return "–" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:+.1f}%"


def _interval(line: CellVerdict) -> str:
    if line.interval is None or not math.isfinite(line.interval[0]):
        return ""
    return f" [{percent(line.interval[0])}, {percent(line.interval[1])}]"


def _p(line: CellVerdict) -> str:
    return "–" if line.p is None else "< 0.001" if line.p < 0.001 else f"{line.p:.3f}"


def ordered(cells: Iterable[CellVerdict]) -> list[CellVerdict]:
    """Worst first, and the largest change first among equals."""
    rank = {verdict: i for i, verdict in enumerate(MARKS)}
    return sorted(cells, key=lambda line: (rank[line.verdict], -abs(line.effect or 0.0)))


HEADLINES: Final = {
    "FAILED": "a cell of head fails",
    "REGRESSED": "head is slower",
    "IMPROVED": "head is faster",
    "INCONCLUSIVE": "not decided",
    "OK": "no change was found where one could be seen",
}


def differing_controls(report: Report) -> list[CellVerdict]:
    """The cells in which base differs from its own copy: none in a session that can be trusted."""
    return [line for line in report.control or () if line.verdict in ("REGRESSED", "IMPROVED")]


def headline(report: Report) -> str:
    counts = {verdict: sum(line.verdict == verdict for line in report.cells) for verdict in MARKS}
    parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    what = HEADLINES[report.verdict]
    if report.verdict == "INCONCLUSIVE" and differing_controls(report):
        what = "the machine was measured, not the change: identical builds differ"
    elif report.verdict == "INCONCLUSIVE" and counts["IMPROVED"]:
        what = "head is faster in some cells; others are not decided"
    return f"{MARKS[report.verdict]} {report.verdict}: {what} ({parts})"


def summary(report: Report) -> str:
    """The report as Markdown."""
    what = "instructions" if report.measure == "instructions" else "time"
    lines = [
        f"## {headline(report)}",
        "",
        f"Base `{report.base}`, head `{report.head}`, machine `{report.machine_id}`"
        + (f", {report.seconds:.0f} s of measuring." if report.seconds else "."),
        "",
        f"| | verdict | cell | change of {what} | smallest visible | asked | p | rounds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in ordered(report.cells):
        cell = line.label.replace("|", "\\|") + (f": {line.message}" if line.message else "").replace(
            "|", "\\|"
        )
        visible = "none" if line.smallest_visible == math.inf else percent(line.smallest_visible).lstrip("+")
        asked = "–" if line.sees is None else percent(line.sees).lstrip("+")
        lines.append(
            f"| {MARKS[line.verdict]} | {line.verdict} | {cell} | {percent(line.effect)}{_interval(line)} | {visible} "
            f"| {asked} | {_p(line)} | {line.rounds or '–'} |"
        )
    lines.append("")
    if report.control is not None:
        if differ := differing_controls(report):
            lines.append(
                "**The control failed**: base differs from its own copy in "
                + ", ".join(f"{line.label} ({percent(line.effect)})" for line in differ)
                + ". What this session says of time is worth nothing."
            )
        else:
            lines.append(
                f"Control: base does not differ from its own copy in any of {len(report.control)} cells."
            )
        lines.append("")
    lines += [f"- {note}" for note in report.notes]
    if weak := [line.label for line in report.cells if line.verdict == "UNDERPOWERED"]:
        lines.append(
            f"- {len(weak)} of {len(report.cells)} cells are too noisy on this machine for what is asked of them, and do not "
            "decide: they fail only for changes that they can see."
        )
    if report.measure == "wall_ns":
        lines.append(
            f"- {report.dirty_share:.0%} of the observations saw involuntary switches or steal; they are kept."
        )
    lines.append(
        f"- A change is the median ratio head / base with its 95% interval; below the margin of {report.margin:.1%} nothing "
        "counts. Smallest visible: what a change must be for this session to have found it in this cell."
    )
    return "\n".join(lines) + "\n"


def workflow_commands(report: Report) -> list[str]:
    """Workflow commands of GitHub Actions: one for each cell that fails, and one for a session in doubt."""

    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def title(text: str) -> str:
        return escaped(text).replace(":", "%3A").replace(",", "%2C")

    found = []
    for line in ordered(report.cells):
        if line.verdict == "FAILED":
            found.append(f"::error title={title(line.label)}::{escaped(line.message)}")
        elif line.verdict == "REGRESSED" and report.verdict == "REGRESSED":
            text = f"{percent(line.effect)}{_interval(line)} slower than {report.base}"
            found.append(f"::error title={title(line.label)}::{escaped(text)}")
        elif line.verdict == "IMPROVED":
            found.append(
                f"::notice title={title(line.label)}::{escaped(percent(line.effect) + _interval(line))}"
            )
    if report.verdict == "INCONCLUSIVE":
        found.append(f"::warning title=Performance gate::{escaped(headline(report))}")
    return found

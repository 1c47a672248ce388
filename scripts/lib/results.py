"""The only reader of observations.csv: validates a run and turns its rows into one value per launch.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


import numpy as np
import pandas as pd

from scripts.lib import stats, tables
from scripts.lib.disturbance import UNKNOWN, Disturbance, parse

Tables = Mapping[str, Sequence[tables.Row]]
Kinds = Mapping[str, tables.Kind]

SCHEMA: Final = 2
STATUSES: Final = ("ok", "failed", "wrong_output", "timeout", "skipped")

FACTORS: Final = tables.kinds(tables.OURS, "factor")
MEASURES: Final = tables.kinds(tables.OURS, "measure")
# In file order.
COLUMNS: Final = tables.kinds(tables.OURS)

# No row means anything without these, whatever its schema.
ESSENTIAL: Final = ("schema", "cell_id", "strategy", "iterations", "wall_ns", "status")
# Levels and rates of a repetition, not totals of its iterations.
LEVELS: Final = frozenset(str(row["name"]) for row in tables.OURS["columns"] if row.get("total") is False)
# What tells launches apart; rows that come straight from a launch, not from a run, name none.
LAUNCH: Final = ("run_id", "launch", "cell_id")
FAILURES: Final = ("failed", "wrong_output", "timeout")  # the statuses of a launch that went wrong
SHOWN_PROBLEMS: Final = 8
BLOCK: Final = 1000  # lines turned into columns at once, while they are still in the processor's cache


class ResultsError(Exception):
    """What is wrong with a run, where, and what to do. `status` is the exit status it deserves."""

    status: Final = 2


@dataclass(frozen=True)
class Run:
    """One run, validated. `observations` has the columns of COLUMNS, and those that the run's own tables add (integers nullable, never 0 for
    unknown; texts empty instead) and one row per observation that counts, indexed by its line in the file: of a cell
    that was measured again in a round, for being disturbed, the attempt that the program chose."""

    path: Path
    observations: pd.DataFrame
    machine: dict[str, Any]
    plan: dict[str, Any]
    warnings: tuple[str, ...]
    disturbance: Disturbance = UNKNOWN
    references: frozenset[str] = tables.references(tables.OURS)  # the strategies that are programs of others


def load(path: str | Path) -> Run:
    """Reads a run's folder, or a CSV file by itself (then without machine and plan). Committed runs are
    gzipped: observations.csv.gz.

    Throws ResultsError: no such run, a newer schema, a line that breaks the contract, or rows of
    several machines. What does not touch the rows' truth (a torn last line, an unreadable
    machine.json) becomes a warning.
    """
    path = Path(path)
    table = path / "observations.csv" if path.is_dir() else path
    if path.is_dir() and not table.exists() and (path / "observations.csv.gz").exists():
        table = path / "observations.csv.gz"
    warnings: list[str] = []
    own = _read_tables(path / "tables.json", warnings) if path.is_dir() else tables.OURS
    frame = _read(table, own, warnings)
    machine: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    if path.is_dir():
        machine = _read_json(path / "machine.json", warnings, "the machine")
        plan = _read_plan(path, warnings)
    _check_machine(table, frame, machine)
    disturbed = _read_disturbance(path / "disturbance.json", warnings) if path.is_dir() else UNKNOWN
    if disturbed.not_counted:
        frame = frame[~frame["launch"].isin(disturbed.not_counted)]
    return Run(path, frame, machine, plan, tuple(warnings), disturbed, tables.references(own))


def launch_values(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row per launch: the median over its repetitions of measure / iterations.

    A launch with a repetition that failed or wrote a wrong output does not count at all: it is not trusted for its other
    times. One that overran its deadline counts as longer than all others: its wall_ns is inf, and `bound` is what it had
    taken by then (nan where that is not known, and of every other launch); of other measures it has no value. Columns:
    run_id, arm, round, launch, cell_id, all factors, `value` in the measure's unit per iteration (cpu_percent and
    peak_rss_bytes, which are no totals, as they are), and `bound`. Launches without any value of this measure are left
    out. Of a cell measured again in the same round (a run cut off within a launch and resumed) the last launch counts.
    Repetitions in a process are correlated: only these values count as n.
    """
    measures = _measures(frame)
    if measure not in measures:
        raise ResultsError(f"'{measure}' is no numeric measure; there are: {', '.join(measures)}")
    # Numbered once: the three texts that tell launches apart are slow to compare.
    number = frame.groupby(list(LAUNCH), sort=False).ngroup().to_numpy(dtype=np.intp)

    def having(rows: Any) -> Any:
        """Of each row, whether its launch has one of `rows`."""
        return (np.bincount(number[rows], minlength=len(frame)) > 0)[number]

    status = frame["status"]
    overran = (status == "timeout").to_numpy(dtype=bool)
    late = having(overran) if measure == "wall_ns" else np.zeros(len(frame), dtype=bool)
    broken = having(~status.isin(["ok", "timeout"] if measure == "wall_ns" else ["ok"]).to_numpy(dtype=bool))
    usable = np.flatnonzero((frame[measure].notna().to_numpy(dtype=bool) | (overran & late)) & ~broken)
    value = frame[measure].iloc[usable].to_numpy(dtype=float, na_value=math.nan)
    if measure not in LEVELS:
        value = value / frame["iterations"].iloc[usable].to_numpy(dtype=float, na_value=math.nan)
    bound = np.where(overran[usable], value, math.nan)
    value = np.where(late[usable], math.inf, value)
    of_launch = pd.DataFrame({"value": value, "bound": bound}).groupby(number[usable], sort=False)
    medians = of_launch.agg(value=("value", "median"), bound=("bound", "max"))
    # Factors are constant within a launch (checked on reading), so its first row stands for all.
    first = usable[~pd.Series(number[usable]).duplicated().to_numpy()]
    launches = frame.iloc[first][["run_id", "arm", "round", "launch", "cell_id", *factors(frame)]]
    launches = launches.assign(value=medians["value"].to_numpy(float), bound=medians["bound"].to_numpy(float))
    launches = launches.reset_index(drop=True)
    again = (
        launches.duplicated(["run_id", "arm", "round", "cell_id"], keep="last") & launches["round"].notna()
    )
    return launches[~again].reset_index(drop=True)


def typical(launches: pd.DataFrame, unit: Any = 1.0) -> stats.Estimate:
    """The median of some launches' values with its interval, divided by `unit`; those that overran are longer than all
    others, and the estimate knows at least how long."""
    return stats.median_interval(launches["value"] / unit, bounds=launches["bound"] / unit)


def late(frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """The cells of which a launch overran its deadline: how many did, of how many."""
    tried = frame.drop_duplicates(list(LAUNCH)).groupby("cell_id").size()
    overran = (
        frame[frame["status"] == "timeout"]
        .drop_duplicates(list(LAUNCH))
        .groupby("cell_id", sort=False)
        .size()
    )
    return {str(cell): (int(count), int(tried[cell])) for cell, count in overran.items()}


def unreliable(frame: pd.DataFrame) -> dict[str, str]:
    """The cells of which a launch failed or wrote wrong output, and how many did: their other launches are those that
    happened to go well. (What overran its deadline has its place among the values.)"""
    tried = frame.drop_duplicates(list(LAUNCH)).groupby("cell_id").size()
    bad = frame[frame["status"].isin(("failed", "wrong_output"))].drop_duplicates(list(LAUNCH))
    return {
        str(cell): f"{len(some)} of {tried[cell]} launches {some['status'].iloc[0]}"
        for cell, some in bad.groupby("cell_id", sort=False)
    }


def by_round(launches: pd.DataFrame) -> Any:
    """The `value` of one cell's launches, a Series indexed by round: what pairing takes."""
    return launches[launches["round"].notna()].set_index("round")["value"]


def select_group(frame: pd.DataFrame, group: str) -> pd.DataFrame:
    """The rows whose sweep's last dotted part is `group`: "quick.chunk" and "chunk" for "chunk"."""
    return frame[
        frame["sweep"].isin([name for name in frame["sweep"].unique() if name.rpartition(".")[2] == group])
    ]


def factors(frame: pd.DataFrame) -> list[str]:
    """The factors that these rows, or launches, have: what stands between the cell's name and what was measured."""
    names = [str(name) for name in frame.columns]
    return names[names.index("cell_id") + 1 : names.index("iterations" if "iterations" in names else "value")]


def _measures(frame: pd.DataFrame) -> list[str]:
    names = [str(name) for name in frame.columns]
    between = names[names.index("iterations") : names.index("started_ns")]
    return [name for name in between if frame[name].dtype != object]


def _read(table: Path, own: Tables, warnings: list[str]) -> pd.DataFrame:
    try:
        # Unlike splitlines(), only line feeds end a line here: a message may hold any other character.
        data = table.read_bytes()
        if table.suffix == ".gz":
            data = gzip.decompress(data)
        text = data.decode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise ResultsError(
            f"{table}: no such file. Give a run's folder, such as results/latest, or an observations.csv"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise ResultsError(f"{table}: {getattr(error, 'strerror', None) or error}") from None
    lines = text.split("\n")
    torn = lines.pop()
    if not lines:
        raise ResultsError(f"{table}: empty: the run ended before its first row. Measure again")
    if torn:
        warnings.append(
            f"{table}: line {len(lines) + 1} is torn (the run was cut off while writing it) and was left out"
        )
    header, columns = _split(table, lines)
    kinds = _merged(tables.kinds(own))
    _check_header(table, header, columns, list(tables.kinds(own)), kinds, warnings)
    frame = _convert(table, dict(zip(header, columns)), kinds, len(lines) - 1)
    _check_rows(table, frame)
    return frame


def _split(table: Path, lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """The header, and the texts of each column: those at position i stand in line i + 2. Equal texts of a column are one
    object: that takes a third less memory, and whatever looks at them is faster."""
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    columns: list[list[str]] = []
    known: list[dict[str, str]] = []
    block: list[list[str]] = []
    problems: list[str] = []
    line = 0
    try:
        for line, fields in enumerate(reader, start=1):
            if reader.line_num != line:  # a quote swallowed a line end; rows never hold one
                raise ResultsError(f"{table}: line {line}: a quote is not closed")
            if line == 1:
                header, columns, known = fields, [[] for _ in fields], [{} for _ in fields]
                continue
            if len(fields) != len(header):
                problems.append(f"line {line}: {len(fields)} fields, the header has {len(header)}")
            block.append(fields)
            if len(block) == BLOCK or line == len(lines):
                for texts, column, seen in zip(zip(*block), columns, known):
                    column.extend(map(seen.setdefault, texts, texts))
                block.clear()
    except csv.Error as error:
        raise ResultsError(f"{table}: line {line + 1}: {error}") from None
    if problems:
        raise _broken(table, problems)
    return header, columns


def _merged(own: Kinds) -> Kinds:
    """COLUMNS, and what a run of another program has beside them, each in its place."""
    merged = list(COLUMNS.items())
    before = ""
    for name, kind in own.items():
        if name not in COLUMNS:
            place = next((i for i, (other, _) in enumerate(merged, start=1) if other == before), 0)
            merged.insert(place, (name, kind))
        before = name
    return dict(merged)


def _check_header(
    table: Path,
    header: list[str],
    columns: list[list[str]],
    promised: Sequence[str],
    kinds: Kinds,
    warnings: list[str],
) -> None:
    """Columns that only a newer schema has are read as empty from older rows."""
    if "schema" not in header:
        raise ResultsError(
            f"{table}: line 1: no column 'schema': this is no observations.csv "
            f"(its header begins with {', '.join(list(COLUMNS)[:3])})"
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ResultsError(f"{table}: line 1: repeated column: {', '.join(repeated)}")
    by_name = dict(zip(header, columns))
    schema = SCHEMA
    for value in dict.fromkeys(by_name["schema"]):
        place = by_name["schema"].index(value)
        if not (value.isascii() and value.isdigit()):
            raise ResultsError(f"{table}: line {place + 2}: column schema: '{value}' is no whole number")
        if int(value) > SCHEMA:
            sha = by_name["git_sha"][place] if "git_sha" in header else ""
            advice = f"the scripts of its own commit ({sha})" if sha else "the scripts of the newer version"
            raise ResultsError(
                f"{table}: line {place + 2}: schema {value} is newer than this reader (schema {SCHEMA}): read it with {advice}"
            )
        schema = min(schema, int(value))
    missing = [name for name in promised if name not in header]
    hopeless = [name for name in ESSENTIAL if name not in header]
    if hopeless or (missing and schema == SCHEMA):
        raise ResultsError(f"{table}: line 1: missing column: {', '.join(hopeless or missing)}")
    unknown = [name for name in header if name not in kinds]
    if unknown:
        warnings.append(f"{table}: unknown column left out: {', '.join(unknown)}")


def _convert(table: Path, texts_of: dict[str, list[str]], kinds: Kinds, count: int) -> pd.DataFrame:
    empty = [""] * count
    problems: list[str] = []
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        texts = texts_of.get(name, empty)
        if kind == "text":
            columns[name] = np.array(texts, dtype=object)
        elif kind == "real":
            columns[name] = _reals(name, texts, problems)
        else:
            columns[name] = _integers(name, texts, problems, signed=kind == "integer")
    if problems:
        raise _broken(table, problems)
    return pd.DataFrame(columns, index=pd.RangeIndex(2, count + 2, name="line"))


def _integers(name: str, texts: Sequence[str], problems: list[str], *, signed: bool) -> Any:
    """Exact: these hold nanoseconds since 1970, which a double does not."""
    joined = "".join(texts)
    limit = 2**63 if signed else 2**64
    if joined and not (joined.isascii() and joined.isdigit()):
        _collect(
            problems, name, texts, lambda text: text.isascii() and text.isdigit(), "is no whole number >= 0"
        )
        return None
    numbers = [int(text) if text else 0 for text in texts] if joined else [0] * len(texts)
    if numbers and max(numbers) >= limit:
        _collect(problems, name, texts, lambda text: int(text) < limit, f"is not below {limit}")
        return None
    data = np.array(numbers, dtype=np.int64 if signed else np.uint64)
    return pd.arrays.IntegerArray(data, np.array([not text for text in texts], dtype=bool))


def _reals(name: str, texts: Sequence[str], problems: list[str]) -> Any:
    try:
        data = np.array([float(text) if text else np.nan for text in texts], dtype=float)
    except ValueError:
        data = None
    blank = np.array([not text for text in texts], dtype=bool)
    if data is None or not bool(np.all(np.isfinite(data) | blank)):
        _collect(problems, name, texts, _is_finite, "is no finite number")
        return None
    return data


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _collect(problems: list[str], name: str, texts: Sequence[str], good: Any, complaint: str) -> None:
    for line, text in enumerate(texts, start=2):
        if text and not good(text):
            problems.append(f"line {line}: column {name}: '{text}' {complaint}")


def _check_rows(table: Path, frame: pd.DataFrame) -> None:
    problems: list[str] = []

    def require(good: Any, complaint: str, column: str) -> None:
        for line in frame.index[~np.asarray(good, dtype=bool)]:
            problems.append(f"line {line}: column {column}: '{frame.at[line, column]}' {complaint}")

    ok = frame["status"] == "ok"
    require(frame["status"].isin(STATUSES), f"is no status ({', '.join(STATUSES)})", "status")
    require(frame["cell_id"] != "", "must not be empty", "cell_id")
    require((frame["strategy"] != "") | (frame["pitfall"] != ""), "must not be empty", "strategy")
    for name in ("iterations", "wall_ns"):
        require(~ok | frame[name].fillna(0).gt(0), "must be at least 1 where status is ok", name)
    # Rows that come straight from a launch, not from a run, name none.
    named = frame[frame["launch"] != ""]
    constant = ["cell_id", "arm", "round", *factors(frame)]
    distinct = named[["run_id", "launch", *constant]].drop_duplicates()
    if distinct.duplicated(["run_id", "launch"]).any():
        problems.extend(_mixed_launches(named, constant))
    if problems:
        raise _broken(table, problems)


def _mixed_launches(named: pd.DataFrame, constant: list[str]) -> list[str]:
    problems: list[str] = []
    for (_, launch), rows in named.groupby(["run_id", "launch"], sort=False):
        for column in constant:
            texts = rows[column].astype(str)
            for line in rows.index[texts != texts.iloc[0]]:
                problems.append(
                    f"line {line}: column {column}: launch {launch} has both '{texts.iloc[0]}' and "
                    f"'{texts.at[line]}': one launch measures one cell"
                )
    return problems


def _check_machine(table: Path, frame: pd.DataFrame, machine: dict[str, Any]) -> None:
    seen = {str(value) for value in frame["machine_id"].unique() if value}
    if machine.get("machine_id"):
        seen.add(str(machine["machine_id"]))
    if len(seen) > 1:
        raise ResultsError(
            f"{table}: rows of several machines ({', '.join(sorted(seen))}): their times may not be compared. "
            "Read each machine's run by itself"
        )


def _broken(table: Path, problems: list[str]) -> ResultsError:
    problems = sorted(problems, key=lambda text: int(text.split(":")[0].removeprefix("line ")))
    shown = [f"{table}: {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        shown.append(f"… and {len(problems) - SHOWN_PROBLEMS} more")
    shown.append("Nothing was read: correct or delete these lines, or measure again")
    return ResultsError("\n".join(shown))


def _read_json(path: Path, warnings: list[str], what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="backslashreplace"))
    except OSError as error:
        warnings.append(f"{path}: {error.strerror}: {what} is unknown")
        return {}
    except json.JSONDecodeError as error:
        warnings.append(f"{path}: line {error.lineno}: {error.msg}: {what} is unknown")
        return {}
    if not isinstance(content, dict):
        warnings.append(f"{path}: no JSON object: {what} is unknown")
        return {}
    return content


def _read_tables(path: Path, warnings: list[str]) -> Tables:
    """The run's own; those of this tree where an older program made the run."""
    if not path.exists():
        return tables.OURS
    try:
        return tables.kept(_read_json(path, warnings, "its columns' meaning") or tables.OURS)
    except (tables.Incomplete, AttributeError, TypeError) as error:
        warnings.append(f"{path}: {type(error).__name__}: {error}: read with the tables of this tree")
    return tables.OURS


def _read_disturbance(path: Path, warnings: list[str]) -> Disturbance:
    """UNKNOWN where an older program made the run."""
    if not path.exists():
        return UNKNOWN
    facts = _read_json(path, warnings, "the disturbance")
    try:
        return parse(facts) if facts else UNKNOWN
    except (KeyError, TypeError, ValueError) as error:
        warnings.append(f"{path}: {type(error).__name__}: {error}: the disturbance is unknown")
    return UNKNOWN


def _read_plan(folder: Path, warnings: list[str]) -> dict[str, Any]:
    """The plan of a run; runs of older programs have it as TOML."""
    path = folder / "plan.toml"
    if (folder / "plan.json").exists() or not path.exists():
        return _read_json(folder / "plan.json", warnings, "the plan")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8", errors="backslashreplace"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        warnings.append(f"{path}: {error}: the plan is unknown")
    return {}

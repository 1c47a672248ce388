"""The gate's judge, which is the program's: `noisefloor judge` decides, and this asks it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import atexit
import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from scripts.lib.results import ResultsError

TOP: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Rules:
    """What a session promises: harness/statistics/judge.hpp. Shares: 0.01 is 1%."""

    screen_rounds: int
    confirm_rounds: int
    screen_alpha: float
    alpha: float
    margin: float


@dataclass(frozen=True)
class Judged:
    """A cell's verdict and the change that it rests on. `effect`, `low`, `high`, `smallest_visible`, `sees` are shares
    (0.03: head takes 3% longer); nan is not known. `p` is corrected where the cell was confirmed."""

    verdict: str
    effect: float
    low: float
    high: float
    sigma: float
    smallest_visible: float
    sees: float
    rounds: int
    p: float
    flagged: bool
    reason: str


@dataclass(frozen=True)
class Confirmation:
    """Which flagged cells are measured again, in how many rounds, and for which there is no time."""

    rounds: int
    cells: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    cells: dict[str, Judged]
    confirm: Confirmation
    rules: Rules


def find_program() -> Path:
    """The noisefloor that belongs to these scripts: NOISEFLOOR_PROGRAM, the one built in this tree, or the one installed
    beside them. Throws ResultsError, exit status 3."""
    named = os.environ.get("NOISEFLOOR_PROGRAM")
    beside = (TOP / "build/release/noisefloor", TOP.parents[1] / "bin/noisefloor")
    on_path = shutil.which("noisefloor")
    for candidate in (*([Path(named)] if named else beside), *([Path(on_path)] if on_path else ())):
        if os.access(candidate, os.X_OK):
            return candidate
    raise ResultsError(
        f"the program noisefloor is not found{f' as {named}' if named else ''}: make build, or set NOISEFLOOR_PROGRAM",
        3,
    )


@lru_cache(maxsize=1)
def _started() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [find_program(), "judge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C ends the measuring; what is complete is judged all the same
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _ask(session: Mapping[str, Any]) -> Any:
    process = _started()
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(session) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except OSError:
        answer = ""
    if not answer:
        _started.cache_clear()
        raise ResultsError(f"{find_program()} judge ended with status {process.wait()}: see above", 3)
    return json.loads(answer)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _values(values: npt.ArrayLike | None) -> list[float | str]:
    numbers: Sequence[float] = [] if values is None else list(values)  # type: ignore[arg-type]
    return [str(float(v)) if math.isinf(v) else float(v) for v in numbers]


def judge(
    screened: Mapping[str, npt.ArrayLike],
    confirmed: Mapping[str, npt.ArrayLike] | None = None,
    sees: Mapping[str, float] | None = None,
    *,
    affordable: float = math.inf,
    rules: Mapping[str, float] | None = None,
) -> Judgement:
    """The verdict of every cell from ln(head / base) by round, and what to confirm next. `affordable` is how many visits
    of a cell there is time for; `rules` are those of Rules that differ. Throws ResultsError where the program is missing.
    """
    confirmed, sees = confirmed or {}, sees or {}
    cells = [
        {"screened": _values(values), "confirmed": _values(confirmed.get(cell))}
        | ({"sees": sees[cell]} if cell in sees else {})
        for cell, values in screened.items()
    ]
    answer = _ask(
        {
            "cells": cells,
            "affordable": str(affordable) if math.isinf(affordable) else affordable,
            "rules": rules or {},
        }
    )
    names = list(screened)
    numbers = ("effect", "low", "high", "sigma", "smallest_visible", "sees", "p")
    found = {
        cell: Judged(**{**one, **{name: _number(one[name]) for name in numbers}})
        for cell, one in zip(names, answer["cells"])
    }
    plan = answer["confirm"]
    chosen, left_out = (tuple(names[i] for i in plan[key]) for key in ("cells", "left_out"))
    return Judgement(found, Confirmation(plan["rounds"], chosen, left_out), Rules(**answer["rules"]))


@lru_cache(maxsize=1)
def default_rules() -> Rules:
    return judge({}).rules


def visible(sigmas: Sequence[float]) -> list[float]:
    """The smallest change that a session by the default rules finds in 80% of cases in cells of these sigmas, alone."""
    answer = _ask({"cells": [], "sigmas": [float(sigma) for sigma in sigmas]})
    return [_number(one) for one in answer.get("visible", [])]

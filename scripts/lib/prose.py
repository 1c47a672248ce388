"""Numbers as people read them, and what a caption says of the machine, the run and what is not in the picture.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from scripts.lib import stats
from scripts.lib.results import STATUSES, Run


def digits(x: float, most_decimals: int = 99) -> str:
    """Three significant digits, but no more than `most_decimals` decimals; no exponent up to 10 million."""
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0 or math.isnan(x):
        return f"{x:g}"
    x = float(f"{x:.3g}") if abs(x) < 1000 else x  # 99.96 has one decimal less than it seems
    decimals = min(most_decimals, max(0, 2 - math.floor(math.log10(abs(x)))))
    return f"{x:,.{decimals}f}"


def duration(ns: float) -> str:
    """Three significant digits with the unit that suits: "8.92 ms"."""
    if not math.isfinite(ns):
        return "unknown" if math.isnan(ns) else "∞"
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= 0.9995 * factor:
            return f"{digits(ns / factor)} {unit}"
    return f"{digits(ns)} ns"


def ratio(x: float) -> str:
    """A speed-up: two decimals say all that is known of it, unless it is far from 1."""
    return f"{x:.2f}" if 0.0995 <= abs(x) < 99.995 or x == 0 else digits(x)


def interval(estimate: stats.Estimate, show: Callable[[float], str] = digits) -> str:
    """ "1.92 [1.88, 1.95]", or why there is no interval; "> 10" of what overran its deadline in most launches."""
    if estimate.n == 0:
        return "unknown"
    if math.isinf(estimate.median) and not math.isnan(estimate.at_least):
        return f"> {show(estimate.at_least)}"
    if not estimate.has_interval:
        return f"{show(estimate.median)} (n = {estimate.n})"
    return f"{show(estimate.median)} [{show(estimate.low)}, {show(estimate.high)}]"


def unit_of(ns: float) -> tuple[float, str]:
    """The unit in which `ns` is a handy number, and its name."""
    for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= factor:
            return factor, name
    return 1.0, "ns"


def size_unit(size: float) -> tuple[float, str]:
    """The unit in which `size` bytes are a handy number, and its name."""
    for factor, name in ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB")):
        if size >= factor:
            return factor, name
    return 1.0, "bytes"


def counts(numbers: Sequence[int]) -> str:
    """ "n = 6 launches" or "n = 5 to 6 launches" of a point."""
    if not numbers:
        return "no launch"
    low, high = min(numbers), max(numbers)
    text = f"n = {low} launches" if low == high else f"n = {low} to {high} launches"
    return text if low >= stats.LEAST_VALUES else f"{text} (no interval below {stats.LEAST_VALUES})"


def look_up(machine: dict[str, Any], path: str) -> str:
    """What machine.json has at this dotted path, as text; "" if there is nothing."""
    value: Any = machine
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def describe_machine(run: Run, rows: pd.DataFrame) -> str:
    """CPU, CPUs that are ours, kernel, commit and run: what a figure must carry to be judged alone."""
    model = look_up(run.machine, "cpu.model") or "an unknown CPU"
    cpus = look_up(run.machine, "workers")
    kernel = look_up(run.machine, "kernel.release")
    commit = ", ".join(sorted({str(sha)[:12] for sha in rows["git_sha"] if sha})) or "unknown"
    run_id = ", ".join(sorted({str(name) for name in rows["run_id"] if name})) or run.path.name
    parts = [model]
    if cpus:
        parts.append(f"{cpus} CPU{'' if cpus == '1' else 's'}")
    if kernel:
        parts.append(f"Linux {kernel}")
    return f"On {', '.join(parts)}. Commit {commit}, run {run_id}."


def describe_source(run: Run, rows: pd.DataFrame) -> str:
    """The end of every caption: where the rows come from, which of them are not in the picture, and whether others
    worked beside the run."""
    return f" {describe_machine(run, rows)}{describe_undrawn(rows)}{describe_others(run)}"


def describe_others(run: Run) -> str:
    """That others worked beside the run, as a sentence with a blank before it; "" if they hardly did."""
    seen = run.disturbance
    return f" {capital(seen.sentence.partition(':')[0])}." if seen.is_busy else ""


def capital(text: str) -> str:
    """As a sentence of its own begins, without the full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}"


def describe_undrawn(rows: pd.DataFrame) -> str:
    """What was tried and is not in the picture, with the reason, and what overran its deadline; "" if there is neither."""
    # A cell of a pitfall has no strategy, and may be meant to hang.
    late = (rows["status"] == "timeout") & (rows["pitfall"] == "")
    overran = [f"{launches} of {strategy}" for (strategy, _), launches in _kinds(rows[late])]
    lost = rows[~late & (rows["status"] != "ok")]
    parts = []
    for status in STATUSES:
        for (strategy, message), launches in _kinds(lost[lost["status"] == status]):
            reason = f" ({message.rstrip('.')[:120]})" if message else ""
            parts.append(f"{launches} launch{'' if launches == 1 else 'es'} of {strategy} {status}{reason}")
    shown = parts[:4] + ([f"{len(parts) - 4} more kinds"] if len(parts) > 4 else [])
    text = (
        f" Overran their deadline, and count as longer than all others: {', '.join(overran)}."
        if overran
        else ""
    )
    return text + (f" Not drawn: {'; '.join(shown)}." if shown else "")


def _kinds(rows: pd.DataFrame) -> list[tuple[tuple[str, str], int]]:
    """What these rows are of, and their message, with the number of launches."""
    who = rows["strategy"].where(rows["strategy"] != "", rows["pitfall"] + " " + rows["variant"])
    launches = rows.assign(who=who).drop_duplicates(["run_id", "launch", "cell_id"])
    return [
        ((str(name), str(message)), len(some))
        for (name, message), some in launches.groupby(["who", "message"], sort=False)
    ]


def with_unit(unit: Callable[[float], tuple[float, str]]) -> Callable[[stats.Estimate], str]:
    """How an estimate reads in the unit that suits it: "1.92 [1.88, 1.95] ms"."""

    def text(estimate: stats.Estimate) -> str:
        if estimate.n == 0:
            return "unknown"
        if math.isinf(estimate.median) and math.isnan(estimate.at_least):
            return "overran its deadline"
        scale, name = unit(estimate.at_least if math.isinf(estimate.median) else estimate.median)
        return f"{interval(estimate, lambda value: digits(value / scale))} {name}"

    return text


time_text: Final = with_unit(unit_of)
size_text: Final = with_unit(size_unit)

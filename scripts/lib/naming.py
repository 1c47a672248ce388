"""What cells, batches and series are called, and the order in which they stand: the same in every figure and text.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from scripts.lib import results, tables

# In the order of the program's table; any other strategy takes the next place.
STRATEGIES: Final = tables.names("strategies")

# What makes two cells the same batch: only these may be compared with each other.
BATCH: Final = ("workload", "work", "format", "tasks", "task_size", "output_mode", "pitfall")
# What a user's own work is: `work` names it.
OWN: Final = ("work", "library", "command", "inputs", "unchecked", "work_id")


def label_series(cells: pd.DataFrame, axis: Sequence[str]) -> Any:
    """A name for the series of each row: its strategy and whatever else varies among the cells of this
    strategy, except the factors in `axis`, which the figure shows by position."""
    ignored = {"sweep", "strategy", "task_ns", *OWN, *axis}
    names = pd.Series("", index=cells.index, dtype=object)
    for strategy, rows in cells.groupby("strategy", sort=False):
        parts = pd.Series(str(strategy), index=rows.index, dtype=object)
        for factor in ("schedule", *(name for name in results.factors(cells) if name != "schedule")):
            if factor in ignored or rows[factor].nunique(dropna=False) < 2:
                continue
            parts = parts + rows[factor].map(lambda value, factor=factor: describe(factor, value))
        names.loc[rows.index] = parts
    return names


def describe(factor: str, value: Any) -> str:
    """ " guided", " · 2 workers": one factor's value as part of a series' name; empty for an empty value."""
    if pd.isna(value) or value == "":
        return ""
    if factor == "workers":
        return f" · {value} worker{'s' if value != 1 else ''}"
    if factor == "chunk_size":
        return f" · chunk {value}"
    if factor in ("tasks", "task_size"):
        return f" · {factor.replace('_', ' ')} {value:,}"
    return f" {value}" if factor == "schedule" else f" · {value}"


def describe_batch(cell: Any) -> str:
    """ "24 etl tasks of size 441,000 (int16)": what was done, for a panel's heading."""
    tasks = "?" if pd.isna(cell["tasks"]) else f"{cell['tasks']:,}"
    size = "" if pd.isna(cell["task_size"]) else f" of size {cell['task_size']:,}"
    details = [str(cell[name]) for name in ("format", "output_mode", "pitfall") if cell[name]]
    if cell["unchecked"]:
        details.append("output unchecked")
    kind = cell["work"] or cell["workload"]
    return f"{tasks} {kind} task{'' if tasks == '1' else 's'}{size}" + (
        f" ({', '.join(details)})" if details else ""
    )


FORMATS: Final = ("int16", "int32", "float32", "float64")


def batches(
    launches: pd.DataFrame, factors: Sequence[str] = BATCH
) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The launches by `factors`, in an order that no shuffle decides: int16 before the wider formats, then by factor."""

    def order(pair: tuple[tuple[Any, ...], pd.DataFrame]) -> tuple[Any, ...]:
        first = pair[1].iloc[0]
        form = str(first["format"])
        known = FORMATS.index(form) if form in FORMATS else len(FORMATS)
        numbers = [
            math.inf if pd.isna(first[name]) else float(first[name]) for name in ("tasks", "task_size")
        ]
        # What tells batches of one size apart: in the order of names and values.
        return known, str(first["workload"]), *numbers, [str(value) for value in pair[0]]

    groups = launches.groupby(list(factors), sort=False, dropna=False)
    return sorted(((key, some) for key, some in groups), key=order)


def strategy_rank(strategy: str) -> tuple[int, str]:
    """Sort key: the order of the program's table, then by name."""
    return (STRATEGIES.index(strategy) if strategy in STRATEGIES else len(STRATEGIES), strategy)


def describe_cells(launches: pd.DataFrame, axis: Sequence[str] = ("workers",)) -> Any:
    """A name for each row's cell within its batch: its series and its workers."""
    names = label_series(launches, axis=axis)
    alone = (launches["strategy"] == "sequential") & (launches["workers"] == 1)
    workers = launches["workers"].map(lambda value: describe("workers", value))
    return names + workers.where(~alone, "")


def rank_cells(launches: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """The launches of each cell, in the order of the program's table of strategies, then by name and workers."""
    names = label_series(launches, axis=("workers",))
    cells = [(rows.iloc[0], rows) for _, rows in launches.groupby("cell_id", sort=False)]
    return sorted(
        cells,
        key=lambda pair: (
            strategy_rank(pair[0]["strategy"]),
            str(names[pair[1].index[0]]),
            int(pair[0]["workers"]),
        ),
    )

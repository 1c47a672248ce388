"""The program's tables: which columns rows have, and the names in them, each in its order.

tables.json is what scripts/dictionary.py has written of `noisefloor list --json`; a run of another program brings its own.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

Kind = Literal["text", "integer", "unsigned", "real"]
Row = Mapping[str, Any]

FILE: Final = Path(__file__).with_name("tables.json")
# Of each table, what is kept of its rows.
KEPT: Final[Mapping[str, Sequence[str]]] = {
    "columns": ("name", "group", "kind", "total"),
    "strategies": ("name", "reference"),
    "deliveries": ("name",),
    "kernels": ("name",),
}


class Incomplete(Exception):
    """These tables lack what is kept: an older program printed them."""


def kept(listed: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, Any]]]:
    """Of `noisefloor list --json`. Throws Incomplete."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, keys in KEPT.items():
        rows = [{key: row[key] for key in keys if key in row} for row in listed.get(table, [])]
        for row in rows:
            if row.get("kind") == "text":  # neither a total nor a level
                row.pop("total", None)
        needed = [key for key in keys if key != "total"]  # of measures that are numbers
        if not rows or not all(key in row for row in rows for key in needed):
            raise Incomplete(table)
        found[table] = rows
    return found


def text(tables: Mapping[str, Sequence[Row]]) -> str:
    """As the file holds them: a line for each row."""
    parts = []
    for name, rows in tables.items():
        lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


OURS: Final[Mapping[str, Sequence[Row]]] = json.loads(FILE.read_text(encoding="utf-8"))


def kinds(tables: Mapping[str, Sequence[Row]], group: str = "") -> dict[str, Kind]:
    """The kind of each column (of this group) by its name, in the order of the file."""
    return {
        str(row["name"]): cast(Kind, row["kind"])
        for row in tables["columns"]
        if not group or row["group"] == group
    }


def names(table: str) -> tuple[str, ...]:
    return tuple(str(row["name"]) for row in OURS[table])


def references(tables: Mapping[str, Sequence[Row]]) -> frozenset[str]:
    """The strategies that are programs of others."""
    return frozenset(str(row["name"]) for row in tables["strategies"] if row["reference"])

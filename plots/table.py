"""The table of figures: to add one, write plots/figures/x.py with draw() and add its line here.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from plots.figures import (
    chunk,
    cpu,
    delivery,
    files,
    granularity,
    kernels,
    limit,
    map,
    pitfalls,
    quality,
    stages,
    strategies,
    workers,
)
from plots.style import Picture
from scripts.lib.results import Run


@dataclass(frozen=True)
class Figure:
    """A figure draws the rows of some groups of a sweep (a group is the last dotted part of `sweep`); its files are
    named after it. `groups`: the group of the figure's own name if none is given; ("*",): all rows of the run.
    `fill`: the sweeps that measure what it shows."""

    name: str
    question: str
    draw: Callable[[Run, pd.DataFrame], Picture]
    fill: str
    groups: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        return self.groups or (self.name,)


# In the order in which a reader asks.
FIGURES: Final = (
    Figure("strategies", "Which strategy is fastest here?", strategies.draw, "quick", ("strategies", "talk")),
    Figure("map", "Which one wins where?", map.draw, "quick"),
    Figure("granularity", "From which task size on?", granularity.draw, "quick", ("granularity", "floor")),
    Figure("chunk", "With which chunk size?", chunk.draw, "quick"),
    Figure("workers", "How far does it scale?", workers.draw, "quick", ("workers", "strategies", "waiting")),
    Figure("limit", "How far from the limit?", limit.draw, "quick"),
    Figure("files", "What do files cost?", files.draw, "quick", ("files", "split")),
    Figure("kernels", "How fast is each kernel?", kernels.draw, "quick", ("kernels", "kernels_etl")),
    Figure("stages", "Where does the time go?", stages.draw, "quick", ("strategies", "kernels_etl", "talk")),
    Figure("cpu", "What does it cost in CPU time?", cpu.draw, "quick", ("strategies", "talk")),
    Figure("delivery", "What does each delivery cost?", delivery.draw, "quick", ("delivery", "talk")),
    Figure("pitfalls", "Which ways to lose exist here?", pitfalls.draw, "pitfalls"),
    Figure("quality", "How good is this run?", quality.draw, "quick", ("*",)),
)

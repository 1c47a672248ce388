"""The table of figures: to add one, write plots/x.py with draw() and add its line here.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.figure import Figure as Canvas

from plots import chunk, granularity, strategies
from scripts.results import Run


@dataclass(frozen=True)
class Figure:
    """A figure draws the rows whose sweep's last dotted part is `group`; its files are named after it."""

    group: str
    question: str
    draw: Callable[[Run, pd.DataFrame], Canvas]


# In the order in which a reader asks.
FIGURES: Final = (
    Figure("strategies", "Which strategy is fastest here?", strategies.draw),
    Figure("granularity", "From which task size on?", granularity.draw),
    Figure("chunk", "With which chunk size?", chunk.draw),
)

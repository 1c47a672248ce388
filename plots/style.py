"""How every figure looks: colours, marks, settings, files.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from scripts.lib import naming
from scripts.lib.results import ResultsError

# Okabe and Ito's colours, told apart with every common colour blindness. Their yellow comes last: pale on white.
PALETTE: Final = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A6F00")
MARKERS: Final = ("s", "o", "^", "D", "v", "P", "X", "*")
DASHES: Final = ("-", "--", "-.", ":")
INK: Final = "#222222"
MUTED: Final = "#666666"
BAND: Final = "#E8EEF4"
GRID: Final = "#DDDDDD"
PAPER: Final = "#FFFFFF"

# What each of these is on a dark page; report.css has the same.
DARK_PAPER: Final = "#16181b"
DARK_FIRST: Final = "#f4f4f4"
DARK: Final = {
    PAPER: DARK_PAPER,
    INK: "#e8e8e8",
    MUTED: "#a8a8a8",
    GRID: "#3a3d42",
    BAND: "#23303c",
    **dict(
        zip(
            PALETTE,
            (DARK_FIRST, "#4aa3df", "#f0853d", "#27c79a", "#e5a3c6", "#86cdf5", "#f5bb45", "#c9ac3d"),
        )
    ),
}

WIDTH: Final = 9.0  # inches
SIZE: Final = {"title": 13.0, "panel": 9.5, "text": 9.0, "small": 7.5}  # points

SETTINGS: Final = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same widths everywhere
    "font.size": SIZE["text"],
    "text.parse_math": False,  # messages may hold dollars
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "svg.hashsalt": "noisefloor",  # the same rows give the same bytes
    "svg.fonttype": "path",
    "savefig.dpi": 150,
}


# Whether figures are drawn without their title and caption, for a page that prints those itself.
untitled: ContextVar[bool] = ContextVar("untitled", default=False)


class NothingToShow(ResultsError):
    """These rows do not speak of what the figure shows; those of another sweep may."""


class Picture(Figure):  # type: ignore[misc]
    """A figure with what a reader needs beside it: `heading` and `caption` in words, and `data`, the numbers that are
    drawn, one row per point, with the unit in each column's name."""

    heading: str = ""
    caption: str = ""
    data: pd.DataFrame = pd.DataFrame()


@dataclass(frozen=True)
class Mark:
    """How one series is drawn."""

    color: str
    marker: str
    dash: str
    filled: bool

    @property
    def face(self) -> str:
        return self.color if self.filled else "white"


@contextmanager
def settings(*, bare: bool = False) -> Iterator[None]:
    """This style, for the figures drawn and saved inside; nothing outside changes. `bare`: titles and captions are
    left to the page, and texts stay texts."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        if bare:
            matplotlib.rcParams.update({"svg.fonttype": "none"})
        token = untitled.set(bare)
        try:
            yield
        finally:
            untitled.reset(token)


def marks(series: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Mark]:
    """A mark for each (strategy, label): colour and marker by strategy, the same in every figure; dash and
    filling tell the series of one strategy apart."""
    order = [*naming.STRATEGIES, *sorted({strategy for strategy, _ in series} - set(naming.STRATEGIES))]
    used: dict[str, int] = {}
    result: dict[tuple[str, str], Mark] = {}
    for strategy, label in series:
        if (strategy, label) in result:
            continue
        place, nth = order.index(strategy), used.get(strategy, 0)
        used[strategy] = nth + 1
        result[strategy, label] = Mark(
            PALETTE[place % len(PALETTE)],
            MARKERS[(place + place // len(PALETTE)) % len(MARKERS)],
            DASHES[(place + nth) % len(DASHES)],
            nth % 2 == 0,
        )
    return result


def write(figure: Figure, folder: Path, name: str) -> list[Path]:
    """folder/name.svg and .png, each complete or not at all; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    for kind, facts in metadata.items():
        path, temporary = folder / f"{name}.{kind}", folder / f".{name}.{os.getpid()}.{kind}"
        try:
            # Level 4 takes half the time of the default and 5% more room.
            options = {"pil_kwargs": {"compress_level": 4}} if kind == "png" else {}
            figure.savefig(temporary, format=kind, metadata=facts, **options)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(path)
    return written


def darkened(svg: str) -> str:
    """A figure written as SVG in this style, for a dark page; colours that are not of the style stay."""
    other = {light.lower(): dark for light, dark in DARK.items()}
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: other.get(match.group(), match.group()), svg)
    # matplotlib leaves out the colour of what is filled with black.
    return svg.replace("<svg ", f'<svg fill="{DARK_FIRST}" ', 1)

"""How every figure looks and what its caption says: colours, marks, labels that never overlap, files.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any, Final

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.lib import stats
from scripts.lib.document import digits as digits
from scripts.lib.results import FACTORS, STATUSES, ResultsError, Run

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

# In the order of the program's table; any other strategy takes the next place.
STRATEGIES: Final = (
    "sequential",
    "thread_per_task",
    "async",
    "std_thread",
    "mutex_queue",
    "openmp",
    "openmp_tasks",
    "openmp_taskloop",
    "std_par",
    "tbb",
    "tbb_tasks",
    "global_lock",
    "async_io",
    "process_per_task",
    "fork_pool",
    "fork_pool_shm",
    "mpi",
    "python_loop",
    "python_threads",
    "python_threads_own_rng",
    "python_threads_pure",
    "python_asyncio",
    "python_pool_map",
    "python_pool_imap",
    "python_pool_imap_unordered",
    "python_numpy_best",
    "sox_xargs",
)

# What makes two cells the same batch: only these may be compared with each other.
BATCH: Final = ("workload", "format", "tasks", "task_size", "output_mode", "pitfall")

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
_bare: ContextVar[bool] = ContextVar("bare", default=False)


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
        token = _bare.set(bare)
        try:
            yield
        finally:
            _bare.reset(token)


def marks(series: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Mark]:
    """A mark for each (strategy, label): colour and marker by strategy, the same in every figure; dash and
    filling tell the series of one strategy apart."""
    order = [*STRATEGIES, *sorted({strategy for strategy, _ in series} - set(STRATEGIES))]
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


def label_series(cells: pd.DataFrame, axis: Sequence[str]) -> Any:
    """A name for the series of each row: its strategy and whatever else varies among the cells of this
    strategy, except the factors in `axis`, which the figure shows by position."""
    ignored = {"sweep", "strategy", "task_ns", *axis}
    names = pd.Series("", index=cells.index, dtype=object)
    for strategy, rows in cells.groupby("strategy", sort=False):
        parts = pd.Series(str(strategy), index=rows.index, dtype=object)
        for factor in ("schedule", *(name for name in FACTORS if name != "schedule")):
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
    return f"{tasks} {cell['workload']} task{'' if tasks == '1' else 's'}{size}" + (
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


def duration(ns: float) -> str:
    """Three significant digits with the unit that suits: "8.92 ms"."""
    if math.isnan(ns):
        return "unknown"
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= 0.9995 * factor:
            return f"{digits(ns / factor)} {unit}"
    return f"{digits(ns)} ns"


def ratio(x: float) -> str:
    """A speed-up: two decimals say all that is known of it, unless it is far from 1."""
    return f"{x:.2f}" if 0.0995 <= abs(x) < 99.995 or x == 0 else digits(x)


def interval(estimate: stats.Estimate, show: Callable[[float], str] = digits) -> str:
    """ "1.92 [1.88, 1.95]", or why there is no interval."""
    if estimate.n == 0:
        return "unknown"
    if not estimate.has_interval:
        return f"{show(estimate.median)} (n = {estimate.n})"
    return f"{show(estimate.median)} [{show(estimate.low)}, {show(estimate.high)}]"


def bars(estimates: Sequence[stats.Estimate]) -> list[list[float]]:
    """matplotlib's lengths below and above the medians; none where there is no interval."""
    return [
        [e.median - e.low if e.has_interval else 0.0 for e in estimates],
        [e.high - e.median if e.has_interval else 0.0 for e in estimates],
    ]


def bounds(estimates: Sequence[stats.Estimate]) -> tuple[float, float]:
    """The smallest and the largest value that these medians and intervals reach."""
    lows = [e.low if e.has_interval else e.median for e in estimates]
    highs = [e.high if e.has_interval else e.median for e in estimates]
    return min(lows), max(highs)


def scaled(estimate: stats.Estimate, unit: float) -> stats.Estimate:
    """The same in another unit: divided by `unit`."""
    return stats.Estimate(estimate.median / unit, estimate.low / unit, estimate.high / unit, estimate.n)


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


def point(estimate: stats.Estimate | None, name: str) -> dict[str, Any]:
    """An estimate as columns of a figure's data: its median under `name`, its interval and n beside it."""
    if estimate is None or estimate.n == 0:
        return {name: math.nan, "low": math.nan, "high": math.nan, "n": 0}
    return {name: estimate.median, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def counts(numbers: Sequence[int]) -> str:
    """ "n = 6 launches" or "n = 5 to 6 launches" of a point."""
    if not numbers:
        return "no launch"
    low, high = min(numbers), max(numbers)
    text = f"n = {low} launches" if low == high else f"n = {low} to {high} launches"
    return text if low >= stats.LEAST_VALUES else f"{text} (no interval below {stats.LEAST_VALUES})"


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Centres for labels of these heights, as close as possible to `wanted` (least squares), in the same
    order, without overlap, between `low` and `high`. Too little room: they overlap evenly rather than leave
    the axes."""
    count = len(wanted)
    if count == 0:
        return []
    order = sorted(range(count), key=lambda i: (wanted[i], i))
    room, needed = high - low, sum(heights)
    scale = min(1.0, room / needed) if needed > 0 else 1.0
    size = [heights[i] * scale for i in order]
    # With the stacking offset taken away the centres need only be in order: pool what is not.
    offsets, total = [], 0.0
    for height in size:
        offsets.append(total + height / 2)
        total += height
    pools: list[tuple[float, int]] = []  # (mean, members)
    for i, offset in zip(order, offsets):
        mean, members = wanted[i] - offset, 1
        while pools and pools[-1][0] > mean:
            other, n = pools.pop()
            mean, members = (mean * members + other * n) / (members + n), members + n
        pools.append((mean, members))
    flat = [min(max(mean, low), high - total) for mean, n in pools for _ in range(n)]
    centres = [0.0] * count
    for i, start, offset in zip(order, flat, offsets):
        centres[i] = start + offset
    return centres


@dataclass(frozen=True)
class Line:
    """One series over a common axis: its points from left to right, and small print for its label."""

    strategy: str
    label: str
    xs: list[float]
    ys: list[stats.Estimate]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        return self.label, *self.notes


def line_marks(lines: Sequence[Line]) -> dict[tuple[str, str], Mark]:
    return marks([(one.strategy, one.label) for one in lines])


def draw_lines(axes: Any, lines: Sequence[Line]) -> None:
    """Each line with its points and intervals."""
    chosen = line_marks(lines)
    for one in lines:
        mark = chosen[one.strategy, one.label]
        axes.errorbar(one.xs, [y.median for y in one.ys], yerr=bars(one.ys), color=mark.color, marker=mark.marker,
                      markerfacecolor=mark.face, linestyle=mark.dash, capsize=3, zorder=3)  # fmt: skip


def label_lines(axes: Any, lines: Sequence[Line]) -> None:
    """A label at the right for each line, tied to its last point. Call it when limits and layout are final."""
    chosen = line_marks(lines)
    label_ends(
        axes,
        [Label(one.xs[-1], one.ys[-1].median, one.texts, chosen[one.strategy, one.label]) for one in lines],
    )


def line_height(lines: Sequence[Line], least: float) -> float:
    """Inches that a panel needs to hold the labels of these lines beside it, at least `least`."""
    large, small = 1.35 * SIZE["text"], 1.35 * SIZE["small"]
    needed = sum(large + small * len(one.notes) + 5 for one in lines) / 72
    return max(least, needed - 0.6)  # labels may go a little beyond the axes


SAMPLE: Final = 24.0  # points: the piece of line before a label
LEADER: Final = 16.0  # points: from the axes to that piece


@dataclass(frozen=True)
class Label:
    """Text for the end of a line at (x, y) in data units; all but its first line are small print."""

    x: float
    y: float
    lines: tuple[str, ...]
    mark: Mark


def label_margin(texts: Sequence[Sequence[str]]) -> float:
    """Inches to the right of the axes that labels with these lines need."""
    widths = [
        text_width(line, SIZE["text"] if i == 0 else SIZE["small"], bold=i == 0)
        for lines in texts
        for i, line in enumerate(lines)
    ]
    return (LEADER + SAMPLE + 6) / 72 + max(widths, default=0) + 0.2


def label_ends(axes: Any, labels: Sequence[Label]) -> None:
    """Writes each label to the right of the axes, beside the end of its line, tied to it by a thin leader and
    a sample of the line. Call it when the limits and the layout are final."""
    if not labels:
        return
    figure = axes.figure
    box = axes.get_window_extent()
    point = figure.dpi / 72  # pixels per point
    large, small = 1.35 * SIZE["text"] * point, 1.35 * SIZE["small"] * point
    heights = [large + small * (len(label.lines) - 1) + 5 * point for label in labels]
    ends = [axes.transData.transform((label.x, label.y)) for label in labels]
    # The first line of a text stands beside the line's end, the small print below.
    shifts = [height / 2 - large / 2 - 2.5 * point for height in heights]
    wanted = [float(end[1]) - shift for end, shift in zip(ends, shifts)]
    centres = spread(wanted, heights, box.y0 - 30 * point, box.y1 + 20 * point)
    left = box.x1 + LEADER * point
    right = left + SAMPLE * point
    to_axes = axes.transAxes.inverted()

    def line(xs: Sequence[float], ys: Sequence[float], **how: Any) -> None:
        points = [to_axes.transform(xy) for xy in zip(xs, ys)]
        axes.plot(
            [p[0] for p in points], [p[1] for p in points], transform=axes.transAxes, clip_on=False, **how
        )

    for label, end, centre, shift in zip(labels, ends, centres, shifts):
        mark, y = label.mark, centre + shift
        line(
            [float(end[0]) + 6 * point, left - 2 * point],
            [float(end[1]), y],
            color=mark.color,
            linewidth=0.7,
            alpha=0.6,
        )
        line([left, right], [y, y], color=mark.color, linestyle=mark.dash)
        line([(left + right) / 2], [y], color=mark.color, marker=mark.marker, markerfacecolor=mark.face)
        for i, text in enumerate(label.lines):
            x_axes, y_axes = to_axes.transform(
                (right + 6 * point, y - (large + small) / 2 * (i > 0) - small * max(0, i - 1))
            )
            axes.text(
                x_axes, y_axes, text, transform=axes.transAxes, ha="left", va="center_baseline",
                fontsize=SIZE["text"] if i == 0 else SIZE["small"], color=INK if i == 0 else MUTED,
                weight="bold" if i == 0 else "normal",
            )  # fmt: skip


def note(axes: Any, xs: Sequence[float], y: float, text: str) -> None:
    """Small print inside the axes, just above the height y, centred between the two places in `xs` of a
    logarithmic axis, where no point stands; under the data, which it must not hide."""
    axes.annotate(
        text,
        (math.sqrt(xs[0] * xs[-1]), y),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SIZE["small"],
        color=MUTED,
        zorder=2,
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Round values from low to high: decades, or 1-2-5 where there are fewer than three decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = math.log10(high / low) >= 2.5
    ticks = [m * 10.0**k for k in decades for m in ((1,) if wide else (1, 2, 5))]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def thin(ticks: Sequence[float], factor: float) -> list[float]:
    """The ticks, without those that stand closer than `factor` to the one before; the last one stays."""
    kept: list[float] = []
    for tick in reversed(ticks):
        if not kept or kept[-1] / tick >= factor:
            kept.append(tick)
    return kept[::-1]


def apart(ticks: Sequence[float], left: float, right: float, width: float) -> list[float]:
    """The ticks whose labels fit beside each other on a logarithmic axis of this width in inches."""
    kept: list[float] = []
    end = -math.inf
    for tick in ticks:
        place = width * math.log(tick / left) / math.log(right / left)
        half = text_width(f"{tick:,.10g}", SIZE["text"]) / 2
        if place - half >= end:
            kept.append(tick)
            end = place + half + 0.08
    return kept


def set_log_axis(axis: Any, ticks: Sequence[float], show: Any = None) -> None:
    """Exactly these ticks, in plain numbers, and no minor ones."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(show or (lambda value, _: f"{value:,.10g}")))
    axis.set_minor_locator(NullLocator())


def new_figure() -> Picture:
    """An empty figure, without pyplot, so that nothing global is touched. panels() gives it its height."""
    figure = Picture(figsize=(WIDTH, 1))
    FigureCanvasAgg(figure)
    return figure


def panels(
    figure: Picture,
    title: str,
    caption: str,
    heights: Sequence[float],
    *,
    left: float,
    right: float,
    columns: int = 1,
    between: float = 0,
) -> Any:
    """Title above, caption below, and between them a grid: one row per height, a gap `between` columns. All in
    inches; the figure becomes as high as all of it needs."""
    figure.heading, figure.caption = title, caption
    bare = _bare.get()
    heading = [] if bare else wrap(title, WIDTH - 0.5, SIZE["title"], bold=True)
    lines = [] if bare else wrap(caption, WIDTH - 0.5, SIZE["small"])
    large, line, gap = 1.3 * SIZE["title"] / 72, 1.4 * SIZE["small"] / 72, 0.95
    bottom, top = len(lines) * line + 0.2, len(heading) * large + 0.5
    below_axes = 0.5
    height = bottom + below_axes + sum(heights) + gap * (len(heights) - 1) + top
    figure.set_figheight(height)
    for i, text in enumerate(heading):
        y = 1 - (0.15 + i * large) / height
        figure.text(0.25 / WIDTH, y, text, fontsize=SIZE["title"], weight="bold", va="top")
    for i, text in enumerate(lines):
        y = (bottom - 0.05 - i * line) / height
        figure.text(0.25 / WIDTH, y, text, fontsize=SIZE["small"], color=MUTED, va="top")
    width = (WIDTH - left - right - between * (columns - 1)) / columns
    return figure.add_gridspec(
        len(heights),
        columns,
        left=left / WIDTH,
        right=1 - right / WIDTH,
        bottom=(bottom + below_axes) / height,
        top=1 - top / height,
        height_ratios=list(heights),
        wspace=between / width,
        hspace=gap / (sum(heights) / len(heights)),
    )


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Inches that `text` takes in one line, without hinting: within 2% of what is drawn."""
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width / 72)


def wrap(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """`text` in lines of at most `width` inches; its own line breaks are kept."""
    lines: list[str] = []
    blank = text_width("a a", size, bold=bold) - text_width("aa", size, bold=bold)

    def fits(words: Sequence[str]) -> bool:
        return len(words) < 2 or text_width(" ".join(words), size, bold=bold) <= width

    for paragraph in text.split("\n"):
        words = paragraph.split(" ")
        while words:
            if not words[0] and len(words) > 1:  # no line begins with a blank
                del words[0]
                continue
            # Whole lines are slow to measure: start from what the words by themselves say.
            ends = accumulate(text_width(word, size, bold=bold) + blank for word in words)
            count = max(1, sum(1 for _ in takewhile(lambda end: end - blank <= width, ends)))
            while not fits(words[:count]):
                count -= 1
            while count < len(words) and fits(words[: count + 1]):
                count += 1
            lines.append(" ".join(words[:count]))
            words = words[count:]
    return lines


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
    """The end of every caption: where the rows come from, and which of them are not in the picture."""
    return f" {describe_machine(run, rows)}{describe_undrawn(rows)}"


def describe_undrawn(rows: pd.DataFrame) -> str:
    """What was tried and is not in the picture, with the reason; "" if all is."""
    bad = rows[rows["status"] != "ok"]
    if not len(bad):
        return ""
    parts = []
    for status in STATUSES:
        of_status = bad[bad["status"] == status]
        # A cell of a pitfall has no strategy.
        who = of_status["strategy"].where(
            of_status["strategy"] != "", of_status["pitfall"] + " " + of_status["variant"]
        )
        for (strategy, message), some in of_status.groupby([who, "message"], sort=False):
            launches = len(some[["run_id", "launch", "cell_id"]].drop_duplicates())
            reason = f" ({str(message).rstrip('.')[:120]})" if message else ""
            parts.append(f"{launches} launch{'' if launches == 1 else 'es'} of {strategy} {status}{reason}")
    shown = parts[:4] + ([f"{len(parts) - 4} more kinds"] if len(parts) > 4 else [])
    return f" Not drawn: {'; '.join(shown)}."


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


# Lists of cells with a dot for each measure: how most figures of single values look.

ROW_HEIGHT: Final = 0.3  # inches
WIDE: Final = 20.0  # values that differ by more than this factor get a logarithmic axis


@dataclass(frozen=True)
class Dot:
    """A value with its interval, in the column's own unit, and how it reads; without a value the words alone."""

    value: stats.Estimate | None
    text: str
    tick: float | None = None  # a grey mark to compare with


@dataclass(frozen=True)
class Row:
    """One cell: its name, the series that gives it its mark, and a dot per column."""

    label: str
    strategy: str
    dots: tuple[Dot, ...]
    series: str = ""


@dataclass(frozen=True)
class Column:
    """What the dots of one column say."""

    label: str
    unit: Callable[[float], tuple[float, str]] | None = None  # chosen by the largest value
    reference: float | None = None  # a dotted line


def dot_panels(
    figure: Picture,
    title: str,
    caption: str,
    batches: Sequence[tuple[str, Sequence[Row]]],
    columns: Sequence[Column],
) -> None:
    """A band for each batch, one line in it for each row, one panel beside the other for each column."""
    every = [row for _, rows in batches for row in rows]
    texts = [
        max((text_width(row.dots[i].text, SIZE["small"]) for row in every), default=0.0)
        for i in range(len(columns))
    ]
    grid = panels(
        figure,
        title,
        caption,
        [ROW_HEIGHT * (len(rows) + 0.4) for _, rows in batches],
        columns=len(columns),
        left=0.35 + max((text_width(row.label, SIZE["text"]) for row in every), default=0.0),
        right=0.3 + texts[-1],
        between=0.4 + max(texts[:-1], default=0.0),
    )
    for i, (heading, rows) in enumerate(batches):
        for j, column in enumerate(columns):
            axes = figure.add_subplot(grid[i, j])
            _draw_dots(axes, column, rows, j)
            if j == 0:
                axes.set_yticks(range(len(rows)), [row.label for row in rows])
                axes.set_title(heading, loc="left", fontsize=SIZE["panel"], color=INK)


def _draw_dots(axes: Any, column: Column, rows: Sequence[Row], j: int) -> None:
    values = [value for row in rows if (value := row.dots[j].value) is not None and value.n]
    low, high = bounds(values) if values else (0.0, 1.0)
    scale, unit = column.unit(high) if column.unit else (1.0, "")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    chosen = marks([(row.strategy, row.series) for row in rows])
    for y, row in enumerate(rows):
        mark, dot = chosen[row.strategy, row.series], row.dots[j]
        if dot.value is not None and dot.value.n:
            value = scaled(dot.value, scale)
            axes.errorbar([value.median], [y], xerr=bars([value]), color=mark.color, marker=mark.marker,
                          markerfacecolor=mark.face, capsize=3, linestyle="none", zorder=3, clip_on=False)  # fmt: skip
        if dot.tick is not None:
            axes.plot([dot.tick / scale], [y], marker="|", markersize=13, color=MUTED, zorder=2)
        axes.text(1.03, y, dot.text, transform=axes.get_yaxis_transform(), va="center", fontsize=SIZE["small"],
                  color=INK)  # fmt: skip
    if values and low > 0 and high / low > WIDE:
        axes.set_xscale("log")
        width = float(axes.get_position().width * axes.figure.get_figwidth())
        pad = (high / low) ** max(0.08, 0.12 / width)
        left, right = low / scale / pad, high / scale * pad
        axes.set_xlim(left, right)
        ticks = log_ticks(left, right)
        ticks = ticks[:: max(1, math.ceil(len(ticks) / 4))]
        set_log_axis(axes.xaxis, apart(ticks, left, right, width))
    else:
        shown = [high, column.reference or 0.0, *(row.dots[j].tick or 0.0 for row in rows)]
        axes.set_xlim(0, 1.06 * max(shown) / scale)
    axes.grid(axis="x")
    if column.reference is not None:
        axes.axvline(column.reference / scale, color=MUTED, linestyle=":", linewidth=1)
    axes.set_xlabel(f"{column.label}, {unit}" if unit else column.label)


def with_unit(unit: Callable[[float], tuple[float, str]]) -> Callable[[stats.Estimate], str]:
    """How an estimate reads in the unit that suits it: "1.92 [1.88, 1.95] ms"."""

    def text(estimate: stats.Estimate) -> str:
        if estimate.n == 0:
            return "unknown"
        scale, name = unit(estimate.median)
        return f"{interval(estimate, lambda value: digits(value / scale))} {name}"

    return text


time_text: Final = with_unit(unit_of)
size_text: Final = with_unit(size_unit)


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

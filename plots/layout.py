"""Where things go in a figure: panels with title and caption, lines with labels that never overlap, lists of dots.

Lengths are inches and sizes points where nothing else is said.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from plots import style
from scripts.lib import stats


OPEN: Final = 1e3  # how many times its median an interval is drawn long that is open


def bars(estimates: Sequence[stats.Estimate]) -> list[list[float]]:
    """matplotlib's lengths below and above the medians; none where there is no interval, beyond every axis where it is
    open."""

    def length(end: float, e: stats.Estimate) -> float:
        return OPEN * e.median if math.isinf(end) else abs(end - e.median) if e.has_interval else 0.0

    return [[length(e.low, e) for e in estimates], [length(e.high, e) for e in estimates]]


def bounds(estimates: Sequence[stats.Estimate]) -> tuple[float, float]:
    """The smallest and the largest value that these medians and intervals reach; (0, 1) without any."""
    ends = [end for e in estimates for end in ((e.low, e.high) if e.has_interval else (e.median,))]
    finite = [end for end in ends + [e.median for e in estimates] if math.isfinite(end)]
    return min(finite, default=0.0), max(finite, default=1.0)


def scaled(estimate: stats.Estimate, unit: float) -> stats.Estimate:
    """The same in another unit: divided by `unit`."""
    median, low, high, at_least = (
        value / unit for value in (estimate.median, estimate.low, estimate.high, estimate.at_least)
    )
    return stats.Estimate(median, low, high, estimate.n, at_least)


def point(estimate: stats.Estimate | None, name: str) -> dict[str, Any]:
    """An estimate as columns of a figure's data: its median under `name`, its interval and n beside it."""
    if estimate is None or estimate.n == 0:
        return {name: math.nan, "low": math.nan, "high": math.nan, "n": 0}
    return {name: estimate.median, "low": estimate.low, "high": estimate.high, "n": estimate.n}


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

    @property
    def points(self) -> list[tuple[float, stats.Estimate]]:
        """Those that can be drawn: not what overran its deadline in most launches."""
        return [(x, y) for x, y in zip(self.xs, self.ys) if math.isfinite(y.median)]


def line_marks(lines: Sequence[Line]) -> dict[tuple[str, str], style.Mark]:
    return style.marks([(one.strategy, one.label) for one in lines])


def draw_lines(axes: Any, lines: Sequence[Line]) -> None:
    """Each line with its points and intervals."""
    chosen = line_marks(lines)
    for one in lines:
        mark = chosen[one.strategy, one.label]
        points = one.points
        axes.errorbar([x for x, _ in points], [y.median for _, y in points], yerr=bars([y for _, y in points]), color=mark.color, marker=mark.marker,
                      markerfacecolor=mark.face, linestyle=mark.dash, capsize=3, zorder=3)  # fmt: skip


def label_lines(axes: Any, lines: Sequence[Line]) -> None:
    """A label at the right for each line, tied to its last point. Call it when limits and layout are final."""
    chosen = line_marks(lines)
    label_ends(
        axes,
        [
            Label(one.points[-1][0], one.points[-1][1].median, one.texts, chosen[one.strategy, one.label])
            for one in lines
            if one.points
        ],
    )


def line_height(lines: Sequence[Line], least: float) -> float:
    """Inches that a panel needs to hold the labels of these lines beside it, at least `least`."""
    large, small = 1.35 * style.SIZE["text"], 1.35 * style.SIZE["small"]
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
    mark: style.Mark


def label_margin(texts: Sequence[Sequence[str]]) -> float:
    """Inches to the right of the axes that labels with these lines need."""
    widths = [
        text_width(line, style.SIZE["text"] if i == 0 else style.SIZE["small"], bold=i == 0)
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
    large, small = 1.35 * style.SIZE["text"] * point, 1.35 * style.SIZE["small"] * point
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
                fontsize=style.SIZE["text"] if i == 0 else style.SIZE["small"], color=style.INK if i == 0 else style.MUTED,
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
        fontsize=style.SIZE["small"],
        color=style.MUTED,
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
        half = text_width(f"{tick:,.10g}", style.SIZE["text"]) / 2
        if place - half >= end:
            kept.append(tick)
            end = place + half + 0.08
    return kept


def set_log_axis(axis: Any, ticks: Sequence[float], show: Any = None) -> None:
    """Exactly these ticks, in plain numbers, and no minor ones."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(show or (lambda value, _: f"{value:,.10g}")))
    axis.set_minor_locator(NullLocator())


def new_figure() -> style.Picture:
    """An empty figure, without pyplot, so that nothing global is touched. panels() gives it its height."""
    figure = style.Picture(figsize=(style.WIDTH, 1))
    FigureCanvasAgg(figure)
    return figure


def panels(
    figure: style.Picture,
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
    bare = style.untitled.get()
    heading = [] if bare else wrap(title, style.WIDTH - 0.5, style.SIZE["title"], bold=True)
    lines = [] if bare else wrap(caption, style.WIDTH - 0.5, style.SIZE["small"])
    large, line, gap = 1.3 * style.SIZE["title"] / 72, 1.4 * style.SIZE["small"] / 72, 0.95
    bottom, top = len(lines) * line + 0.2, len(heading) * large + 0.5
    below_axes = 0.5
    height = bottom + below_axes + sum(heights) + gap * (len(heights) - 1) + top
    figure.set_figheight(height)
    for i, text in enumerate(heading):
        y = 1 - (0.15 + i * large) / height
        figure.text(0.25 / style.WIDTH, y, text, fontsize=style.SIZE["title"], weight="bold", va="top")
    for i, text in enumerate(lines):
        y = (bottom - 0.05 - i * line) / height
        figure.text(0.25 / style.WIDTH, y, text, fontsize=style.SIZE["small"], color=style.MUTED, va="top")
    width = (style.WIDTH - left - right - between * (columns - 1)) / columns
    return figure.add_gridspec(
        len(heights),
        columns,
        left=left / style.WIDTH,
        right=1 - right / style.WIDTH,
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
    figure: style.Picture,
    title: str,
    caption: str,
    batches: Sequence[tuple[str, Sequence[Row]]],
    columns: Sequence[Column],
) -> None:
    """A band for each batch, one line in it for each row, one panel beside the other for each column."""
    every = [row for _, rows in batches for row in rows]
    texts = [
        max((text_width(row.dots[i].text, style.SIZE["small"]) for row in every), default=0.0)
        for i in range(len(columns))
    ]
    grid = panels(
        figure,
        title,
        caption,
        [ROW_HEIGHT * (len(rows) + 0.4) for _, rows in batches],
        columns=len(columns),
        left=0.35 + max((text_width(row.label, style.SIZE["text"]) for row in every), default=0.0),
        right=0.3 + texts[-1],
        between=0.4 + max(texts[:-1], default=0.0),
    )
    for i, (heading, rows) in enumerate(batches):
        for j, column in enumerate(columns):
            axes = figure.add_subplot(grid[i, j])
            _draw_dots(axes, column, rows, j)
            if j == 0:
                axes.set_yticks(range(len(rows)), [row.label for row in rows])
                axes.set_title(heading, loc="left", fontsize=style.SIZE["panel"], color=style.INK)


def _draw_dots(axes: Any, column: Column, rows: Sequence[Row], j: int) -> None:
    values = [value for row in rows if (value := row.dots[j].value) is not None and value.n]
    low, high = bounds(values) if values else (0.0, 1.0)
    scale, unit = column.unit(high) if column.unit else (1.0, "")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    chosen = style.marks([(row.strategy, row.series) for row in rows])
    for y, row in enumerate(rows):
        mark, dot = chosen[row.strategy, row.series], row.dots[j]
        if dot.value is not None and dot.value.n and math.isfinite(dot.value.median):
            value = scaled(dot.value, scale)
            if math.isinf(value.high):  # open: to the end of the axis
                value = replace(value, high=high / scale)
            axes.errorbar([value.median], [y], xerr=bars([value]), color=mark.color, marker=mark.marker,
                          markerfacecolor=mark.face, capsize=3, linestyle="none", zorder=3, clip_on=False)  # fmt: skip
        if dot.tick is not None:
            axes.plot([dot.tick / scale], [y], marker="|", markersize=13, color=style.MUTED, zorder=2)
        axes.text(1.03, y, dot.text, transform=axes.get_yaxis_transform(), va="center", fontsize=style.SIZE["small"],
                  color=style.INK)  # fmt: skip
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
        axes.axvline(column.reference / scale, color=style.MUTED, linestyle=":", linewidth=1)
    axes.set_xlabel(f"{column.label}, {unit}" if unit else column.label)

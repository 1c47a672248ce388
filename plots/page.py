"""The parts of a page: escaped texts, tables, figures as inline SVG, and the frame around all of it.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from plots import drawing, style


HERE: Final = Path(__file__).resolve().parent
LONG: Final = 48  # characters: a cell that may be broken into lines
MOST_DATA_ROWS: Final = 400  # of a figure's own table; beyond it the rows themselves are the place to look

# What figures are drawn in, and the page's colour that takes its place: these change with the theme.
COLORS: Final = {
    "#ffffff": "paper",
    style.INK.lower(): "ink",
    style.MUTED.lower(): "muted",
    style.GRID.lower(): "grid",
    style.BAND.lower(): "band",
    **{color.lower(): f"s{i}" for i, color in enumerate(style.PALETTE)},
}


def escape(text: Any) -> str:
    """For HTML, without what no document may hold."""
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "�", str(text)))


def marked(text: str) -> str:
    """Escaped, with **numbers** and `names` marked."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


@dataclass(frozen=True)
class Shown:
    """A figure as the page needs it; sent from the process that drew it."""

    svg: str
    heading: str
    caption: str
    data: pd.DataFrame


def shown(picture: style.Picture, drawn: drawing.Drawing) -> Shown:
    sink = io.StringIO()
    picture.savefig(sink, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return Shown(
        inlined(sink.getvalue(), drawn.name, picture.heading, picture.caption),
        picture.heading,
        picture.caption,
        picture.data,
    )


def inlined(svg: str, name: str, title: str, description: str) -> str:
    """matplotlib's SVG as a part of a page: its own ids, the page's colours and fonts, a title and a description, and
    none of what only a file needs."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<style type=\"text/css\">.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    # Most ids only name groups; those that are referred to get the figure's name, since all share one page.
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    svg = re.sub(
        r" id=\"([^\"]+)\"", lambda m: f' id="{name}-{m.group(1)}"' if m.group(1) in used else "", svg
    )
    svg = re.sub(r"(href=\"|url\()#", rf"\1#{name}-", svg)
    svg = svg.replace("xlink:href=", "href=").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    svg = re.sub(r" (fill|stroke)=\"(#[0-9a-f]{6})\"", r' style="\1: \2"', svg)
    svg = re.sub(
        r"#[0-9a-f]{6}(?=[;\"])",
        lambda m: f"var(--{COLORS[m.group()]})" if m.group() in COLORS else m.group(),
        svg,
    )
    svg = svg.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    # Hundredths of a point are enough for places; texts keep their digits.
    svg = re.sub(r"<[^>]+>", lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m.group()), svg)
    svg = re.sub(r" transform=\"rotate\(-0 [^\"]*\)\"", "", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    for _ in range(3):
        svg = re.sub(r"<g>\n?</g>\n?", "", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height|version|xmlns)="[^"]*"', "", head)
    label = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    about = (
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return f"{head} {label}>{about}{rest}".strip()


def value(x: Any) -> tuple[str, bool]:
    """A cell of a table as text, and whether it is a number."""
    if isinstance(x, (bool, np.bool_)):
        return str(x).lower(), False
    if isinstance(x, (int, np.integer)):
        return f"{int(x):,}", True
    if isinstance(x, (float, np.floating)):
        if math.isnan(x):
            return "–", True
        return ("∞" if math.isinf(x) else f"{float(f'{x:.4g}'):,.10g}"), True
    return str(x), False


def html_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    sortable: bool = True,
    name: str = "",
    caption: str = "",
) -> str:
    """Cells are values, or pairs of a text and what it is sorted by."""
    body, numeric = [], [False] * len(columns)
    for row in rows:
        cells = []
        for i, one in enumerate(row):
            key = ""
            if isinstance(one, tuple):
                text, number = one[0], True
                key = f' data-key="{escape("" if one[1] != one[1] else one[1])}"'
            else:
                text, number = value(one)
            numeric[i] = numeric[i] or number
            kind = " class=n" if number else " class=long" if len(text) > LONG else ""
            cells.append(f"<td{kind}{key}>{escape(text)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(
        f"<th scope=col{' class=n' if number else ''}>{escape(column)}</th>"
        for column, number in zip(columns, numeric)
    )
    attributes = (' class="sortable"' if sortable else "") + (f' id="{name}"' if name else "")
    title = f"<caption class=small>{escape(caption)}</caption>" if caption else ""
    lines = "\n".join(body)
    return (
        f"<div class='scroll tall' tabindex=0 role=region aria-label='{escape(caption or name or 'table')}'>"
        f"<table{attributes}>{title}<thead><tr>{heads}</tr></thead><tbody>\n{lines}\n</tbody></table></div>"
    )


def data_table(found: Shown) -> str:
    """The numbers behind a figure, folded away."""
    data = found.data
    if not len(data):
        return ""
    cut = data.head(MOST_DATA_ROWS)
    more = (
        f"<p class=small>The first {MOST_DATA_ROWS:,} of {len(data):,} points; the rows have all of them.</p>"
        if len(data) > MOST_DATA_ROWS
        else ""
    )
    return (
        f"<details><summary>The numbers of this figure ({len(data):,} points)</summary>"
        f"{html_table(list(cut.columns), cut.itertuples(index=False, name=None), caption=found.heading)}{more}</details>"
    )


def figure_html(found: Shown) -> str:
    return (
        f"<figure><div class=scroll tabindex=0 role=group aria-label='{escape(found.heading)}'>{found.svg}</div>"
        f"<figcaption>{escape(found.caption)}</figcaption></figure>{data_table(found)}"
    )


def missing(text: str) -> str:
    return f"<p class=missing>{marked(text)}</p>"


def flat(content: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, one in content.items():
        if isinstance(one, dict):
            yield from flat(one, f"{prefix}{key}.")
        elif isinstance(one, list):
            yield f"{prefix}{key}", ", ".join(
                str(item) if not isinstance(item, dict) else json.dumps(item, sort_keys=True) for item in one
            )
        else:
            yield f"{prefix}{key}", "unknown" if one is None else str(one)


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def link(name: str, kind: str, packed: bytes, what: str) -> str:
    text = base64.b64encode(packed).decode()
    return f"<a class=button download='{name}' href='data:{kind};base64,{text}'>{escape(what)}: {name}</a>"


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    body: str


def whole(title: str, lead: str, verdict: str, sections: Sequence[Section], actions: str) -> str:
    css = (HERE / "report.css").read_text(encoding="utf-8")
    script = (HERE / "report.js").read_text(encoding="utf-8")
    contents = "".join(f"<li><a href='#{one.name}'>{escape(one.title)}</a></li>" for one in sections)
    nav = f"<nav aria-label='Contents'><ul>{contents}</ul></nav>" if sections else ""
    body = "\n".join(
        f"<section id='{one.name}' aria-labelledby='{one.name}-h'><h2 id='{one.name}-h'>{escape(one.title)}</h2>\n{one.body}\n</section>"
        for one in sections
    )
    # Nothing is fetched: the policy says so to the browser too.
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n<meta name=color-scheme content='light dark'>\n"
        f"<link rel=icon href='data:,'>\n<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>\n{lead}\n<p class=bar><button id=theme type=button class=scripted>Dark</button>\n{actions}</p></header>\n"
        f"<main>\n{verdict}\n{nav}\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )

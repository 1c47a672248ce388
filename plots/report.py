#!/usr/bin/env python3
"""Writes report.html: one offline file that says what a run found, how sure, and what it did not measure.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import base64
import bz2
import gzip
import html
import io
import json
import math
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # Started by its path: find scripts/ and plots/ beside each other, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from scripts.lib import interpreter

    interpreter.require()

import numpy as np
import pandas as pd

from plots import all as every
from plots import findings, style, table
from plots.figures import strategies
from scripts.lib import results, stats

HERE: Final = Path(__file__).resolve().parent
MOST_BYTES: Final = 2_900_000  # of a report; what figures and tables leave may be taken by the rows
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


def shown(picture: style.Picture, drawing: every.Drawing) -> Shown:
    sink = io.StringIO()
    picture.savefig(sink, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return Shown(
        inlined(sink.getvalue(), drawing.name, picture.heading, picture.caption),
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


def head_rows(run: results.Run) -> pd.DataFrame:
    """The rows of the build that the report is about: the other arms are for comparing builds."""
    frame = run.observations
    return frame[frame["arm"].isin(["head", ""])]


def ranking(rows: pd.DataFrame) -> str:
    """Every cell with its time, its speed-up against sequential, and how far it is behind the fastest of its batch."""
    launches = results.launch_values(rows[rows["pitfall"] == ""], "wall_ns")
    if not len(launches):
        return missing("No cell has a time: nothing can be ranked.")
    lines = []
    for (sweep, *_), some in launches.groupby(["sweep", *style.BATCH], sort=False, dropna=False):
        batch = style.describe_batch(some.iloc[0])
        names = style.label_series(some, axis=("workers",))
        cells = [
            (own.iloc[0], own["value"].to_numpy(float), own) for _, own in some.groupby("cell_id", sort=False)
        ]
        best = min(float(np.median(values)) for _, values, _ in cells)
        rank = {
            first["cell_id"]: i
            for i, (first, _, _) in enumerate(sorted(cells, key=lambda c: float(np.median(c[1]))), 1)
        }
        for first, values, own in cells:
            wall = stats.median_interval(values)
            sequential = strategies.baseline(some, first)
            gain = None
            if sequential is not None and sequential["cell_id"].iloc[0] != first["cell_id"]:
                gain = stats.speed_up(results.by_round(sequential), results.by_round(own))
            lines.append(
                (
                    sweep,
                    batch,
                    str(names[own.index[0]]),
                    int(first["workers"]),
                    "–" if pd.isna(first["chunk_size"]) else int(first["chunk_size"]),
                    (style.time_text(wall), wall.median),
                    rank[first["cell_id"]],
                    (f"×{style.ratio(wall.median / best)}", wall.median / best),
                    (
                        style.interval(gain, style.ratio) if gain and gain.n else "–",
                        gain.median if gain else math.nan,
                    ),
                    wall.n,
                )
            )
    lines.sort(key=lambda line: (line[0], line[1], line[6]))
    columns = ["sweep", "batch", "cell", "workers", "chunk", "time per iteration", "rank", "over the fastest"]
    body = html_table(
        [*columns, "speed-up", "n"], lines, name="ranking-table", caption="All cells that were measured"
    )
    return (
        "<p class=small>Medians with 95% intervals by order statistics. Rank and distance are within the batch; a rank alone "
        "says nothing where intervals overlap. Speed-up: against sequential, paired by round.</p>"
        "<p class=bar><label class=scripted>Filter <input id=filter type=search placeholder='etl openmp'></label>"
        "<span id=shown class='small scripted'></span>"
        "<button id=export type=button class=scripted>As text</button></p>"
        f"{body}<pre id=exported class='scroll tall' tabindex=0 hidden></pre>"
    )


def metg_table(run: results.Run, frames: Sequence[pd.DataFrame]) -> str:
    """Break-even and METG of every strategy, in numbers."""
    from plots.figures import granularity

    lines = []
    for rows in frames:
        launches = results.launch_values(rows, "wall_ns")
        sweep = str(rows["sweep"].iloc[0]).partition(".")[0]
        for (workload, form), some in launches.groupby(["workload", "format"], sort=False):
            for one in granularity.series(some):
                lines.append(
                    (
                        sweep,
                        f"{workload} {form}".strip(),
                        one.label,
                        one.workers,
                        (findings.plain(reached(one.pays)), one.pays.ns),
                        (findings.plain(reached(one.metg)), one.metg.ns),
                        f"{stats.metg_threshold(one.workers):.0%}",
                        one.metg.rounds,
                    )
                )
    if not lines:
        return ""
    columns = [
        "sweep",
        "workload",
        "strategy",
        "workers",
        "as fast as sequential from",
        "METG",
        "threshold",
        "rounds",
    ]
    return html_table(columns, lines, caption="Break-even (interpolated) and METG, with 95% intervals")


def reached(metg: stats.Metg) -> str:
    return "unreached" if metg.kind == "unreached" else findings.crossing(metg)


def references(rows: pd.DataFrame) -> str:
    """The reference programs beside the fastest of ours on the same batch, paired by round."""
    is_reference = rows["strategy"].str.startswith(findings.REFERENCES)
    if not is_reference.any():
        return missing(
            "No reference program (the Python original, sox) was run. A sweep with their strategies fills this: "
            "`noisefloor list strategies` names them, `noisefloor run quick` runs those that are there."
        )
    lines = [
        (
            one["batch"],
            one["program"],
            (style.time_text(one["wall"]), one["wall"].median),
            one["ours"] or "–",
            ("–", math.nan)
            if one["ratio"] is None
            else (f"×{style.interval(one['ratio'], style.ratio)}", one["ratio"].median),
            one["wall"].n,
        )
        for one in findings.references(rows)
    ]
    table_html = html_table(
        ["batch", "reference program", "its time", "ours, fastest", "how many times as long", "n"], lines,
        caption="Reference programs beside ours",
    )  # fmt: skip
    return table_html + undrawn(rows[is_reference])


def undrawn(rows: pd.DataFrame) -> str:
    text = style.describe_undrawn(rows).strip()
    return f"<p class=small>{escape(text)}</p>" if text else ""


CONTRASTS: Final = ("runtime", "wait_policy", "pool", "ship", "transport", "bind", "schedule", "output_mode")


def contrast(rows: pd.DataFrame) -> str:
    """Cells that differ in one factor alone, such as the OpenMP runtime."""
    lines = [
        (
            one["factor"],
            one["compared"],
            one["batch"],
            one["cell"],
            (f"×{style.interval(one['ratio'], style.ratio)}" if one["ratio"].n else "–", one["ratio"].median),
            one["ratio"].n,
        )
        for factor in CONTRASTS
        for one in findings.contrasts(rows, factor)
    ]
    text = ""
    if not any(line[0] == "runtime" for line in lines):
        text = missing(
            "No cell was measured with both OpenMP runtimes. Fill it with "
            "`noisefloor run quick --filter quick.runtime`; libomp needs Debian's package libomp5."
        )
        text += undrawn(rows[rows["runtime"] != ""])
    if lines:
        text += html_table(
            ["factor", "compared", "batch", "cell", "time ratio", "n"], lines, caption="One factor at a time"
        )
    return text


def pitfalls(rows: pd.DataFrame) -> str:
    """The variants of each pitfall against the fastest of them."""
    rows = rows[rows["pitfall"] != ""]
    if not len(rows):
        return ""
    launches = results.launch_values(rows, "wall_ns")
    memory = results.launch_values(rows, "peak_rss_bytes")
    lines = []
    for pitfall, some in rows.groupby("pitfall", sort=False):
        own = launches[launches["pitfall"] == pitfall]
        best = own.groupby("cell_id")["value"].median().idxmin() if len(own) else ""
        fastest = results.by_round(own[own["cell_id"] == best]) if len(own) else None
        workers = some["workers"].nunique() > 1
        for (variant, cell), of_variant in some.groupby(["variant", "cell_id"], sort=False):
            times = own[own["cell_id"] == cell]
            wall = stats.median_interval(times["value"])
            peak = stats.median_interval(memory.loc[memory["cell_id"] == cell, "value"])
            ratio, key = "–", math.nan
            if fastest is not None and len(times) and cell != best:
                found = stats.paired_ratio(results.by_round(times), fastest)
                ratio, key = f"×{style.interval(found, style.ratio)}", found.median
            elif cell == best:
                ratio, key = "the fastest", 1.0
            variant += style.describe("workers", of_variant["workers"].iloc[0]) if workers else ""
            bad = of_variant[of_variant["status"] != "ok"]
            outcome = "ok"
            if len(bad):
                outcome = f"{bad['status'].iloc[-1]}: {bad['message'].iloc[-1]}"[:200]
            lines.append(
                (
                    pitfall,
                    variant,
                    (style.time_text(wall) if wall.n else "–", wall.median),
                    (ratio, key),
                    (style.size_text(peak) if peak.n else "–", peak.median),
                    wall.n,
                    outcome,
                )
            )
    columns = ["pitfall", "variant", "time", "over the fastest variant", "peak memory", "n", "outcome"]
    return (
        "<p class=small>A bad variant is meant to lose, hang or be wrong; <code>noisefloor pitfall NAME</code> explains it "
        f"and gives the verdict for this machine.</p>{html_table(columns, lines, caption='Pitfalls')}"
    )


def lost(rows: pd.DataFrame) -> str:
    """What was tried and has no value, by reason."""
    bad = rows[rows["status"] != "ok"]
    if not len(bad):
        return "<p>Every launch has a value.</p>"
    kinds = bad.drop_duplicates(list(results.LAUNCH)).groupby(
        ["status", "sweep", "strategy", "kernel", "message"], sort=False
    )
    lines = [(*key, count) for key, count in kinds.size().items()]
    columns = ["status", "sweep", "strategy", "kernel", "message", "launches"]
    return html_table(columns, lines, caption="Launches without a value")


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


METHOD: Final = """<ul>
<li>A <b>launch</b> is a fresh process that measures one cell: 2 warm-up repetitions, then timed ones; its value is the median
of these. Only launches count as n.</li>
<li>A <b>round</b> visits every cell once, in an order shuffled from the recorded seed. Ratios are taken within a round, so that
a slow minute hits both sides.</li>
<li>Every output is checked with the clock stopped; a launch that failed or wrote something else has no value here, and is
listed under <a href="#lost">what has no value</a>.</li>
<li>Intervals are 95% by order statistics of at least 6 launches and assume nothing about the distribution; for METG and
break-even they also hold what the law between two measured durations can move.</li>
<li>The best of several is picked from the same launches that it is compared in, and is a little flattered.</li>
<li>Times of different machines are never comparable; ratios sometimes.</li>
</ul>"""


def method(run: results.Run, rows: pd.DataFrame) -> str:
    plan = {key: one for key, one in run.plan.items() if key != "cell"}
    if isinstance(run.plan.get("cell"), list):
        plan["cells"] = len(run.plan["cell"])
    facts = [("plan", *pair) for pair in flat(plan)] + [("machine", *pair) for pair in flat(run.machine)]
    text = METHOD
    if not run.machine:
        text += missing("The machine is unknown: machine.json is missing or unreadable.")
    if facts:
        text += html_table(["of", "what", "value"], facts, caption="Plan and machine")
    return text


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def download(run: results.Run, room: int) -> str:
    """A link that holds the rows in at most `room` bytes: all of them if they fit, else the value of each launch."""
    source = run.path if run.path.is_file() else run.path / "observations.csv"
    if not source.exists():
        source = run.path / "observations.csv.gz"
    data = source.read_bytes()
    if source.suffix == ".gz":
        data = gzip.decompress(data)
    packed = gzipped(data)
    most = room * 3 // 4  # base64
    everything = f"All {len(run.observations):,} rows"
    if len(packed) <= most:
        return link("observations.csv.gz", "application/gzip", packed, everything)
    # It takes a quarter less room, and six times as long.
    if 0.7 * len(packed) <= most and len(packed := bz2.compress(data)) <= most:
        return link("observations.csv.bz2", "application/x-bzip2", packed, everything)
    launches = results.launch_values(run.observations, "wall_ns")
    launches = launches.rename(columns={"value": "wall_ns_per_iteration"})
    used = [
        name
        for name in launches.columns
        if name in ("round", "wall_ns_per_iteration") or launches[name].nunique() > 1
    ]
    packed = gzipped(launches[used].to_csv(index=False).encode())
    if len(packed) > most:
        return (
            f"<span class=small>The rows are too many to be carried along: they are in {escape(source.name)} of the "
            "run.</span>"
        )
    what = f"One row for each of {len(launches):,} launches (all rows are in {source.name} of the run)"
    return link("launches.csv.gz", "application/gzip", packed, what)


def link(name: str, kind: str, packed: bytes, what: str) -> str:
    text = base64.b64encode(packed).decode()
    return f"<a class=button download='{name}' href='data:{kind};base64,{text}'>{escape(what)}: {name}</a>"


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    body: str


def page(title: str, lead: str, verdict: str, sections: Sequence[Section], actions: str) -> str:
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


def build(run: results.Run) -> str:
    """The page of a run that could be read."""
    rows = head_rows(run)
    drawn = every.outcomes(run, shown, bare=True)
    available: dict[str, list[pd.DataFrame]] = {}
    for one in drawn:
        if not one.drawing.remark:
            available.setdefault(one.drawing.figure.name, []).append(one.drawing.rows)
    fills = {figure.name: figure.fill for figure in table.FIGURES}

    said = list(findings.findings(run, lambda name: available.get(name, []), lambda name: fills[name]))
    answers = []
    for one_finding in said:
        text = marked(one_finding.text)
        if not text and any(
            one.drawing.figure.name == one_finding.section and len(one.drawing.rows) for one in drawn
        ):
            text = "This run's rows give no answer: the figure says why."
        if not text:
            text = (
                f"Not measured in this run; the sweep {escape(one_finding.fill)} fills it: "
                f"<code>noisefloor run {escape(one_finding.fill)}</code>."
            )
        answers.append(
            f"<dt>{escape(one_finding.question)}</dt><dd>{text} <a href='#{one_finding.section}'>see</a></dd>"
        )
    verdict = f"<h2 id=verdict>On this machine</h2>\n<dl class=verdict>{''.join(answers)}</dl>"

    def figure_section(name: str, extra: str = "") -> Section:
        figure = next(one for one in table.FIGURES if one.name == name)
        parts = []
        own = [one for one in drawn if one.drawing.figure.name == name]
        several = len(own) > 1
        for one in own:
            if one.value is None:
                parts.append(missing(f"{one.remark[:1].upper()}{one.remark[1:]}."))
                continue
            sweep = str(one.drawing.rows["sweep"].iloc[0]).partition(".")[0] if several else ""
            heading = one.value.heading + (f" (sweep {sweep})" if sweep else "")
            parts.append(f"<h3>{escape(heading)}</h3>{figure_html(one.value)}")
        return Section(name, figure.question, "\n".join(parts) + extra)

    metg = metg_table(run, available.get("granularity", []))
    beside = {"granularity": metg, "pitfalls": pitfalls(rows)}
    by_figure = {
        figure.name: figure_section(figure.name, beside.get(figure.name, "")) for figure in table.FIGURES
    }
    early = ("map",)
    late = ("quality",)
    sections = [
        *(by_figure[name] for name in early),
        Section("ranking", "All cells, ranked", ranking(rows)),
        *(one for name, one in by_figure.items() if name not in (*early, *late)),
        Section("references", "The Python original beside ours", references(rows)),
        Section("contrasts", "libgomp beside libomp, and other single factors", contrast(rows)),
        *(by_figure[name] for name in late),
        Section("lost", "What has no value", lost(rows)),
        Section("method", "Method and machine", method(run, rows)),
    ]  # fmt: skip
    warnings = "".join(missing(f"Warning: {text}") for text in run.warnings)
    run_id = ", ".join(dict.fromkeys(str(name) for name in rows["run_id"] if name)) or run.path.name
    counted = len(rows[list(results.LAUNCH)].drop_duplicates())
    lead = (
        f"<p class=facts>{escape(style.describe_machine(run, rows))} {rows['cell_id'].nunique():,} cells, {counted:,} launches, "
        f"{len(rows):,} rows; sweeps: {escape(', '.join(dict.fromkeys(name.partition('.')[0] for name in rows['sweep'])) or 'none')}.</p>{warnings}"
    )
    if not len(rows):
        lead += missing(
            "The run has no rows: it ended before its first launch did. Measure again: `noisefloor run quick`."
        )
    title = f"noisefloor: run {run_id}"
    room = MOST_BYTES - len(page(title, lead, verdict, sections, "").encode())
    return page(title, lead, verdict, sections, download(run, room))


def failed(path: Path, error: results.ResultsError) -> str:
    """The page of a run that could not be read: why, and what to do."""
    lines = "".join(f"<p class=missing>{escape(line)}</p>" for line in str(error).splitlines())
    verdict = (
        "<h2 id=verdict>Nothing could be read</h2>"
        f"{lines}<p>No figure is drawn from rows that break the contract. Measure again with <code>noisefloor run quick</code>, "
        "or correct what is named above and run <code>plots/report.py</code> on the folder.</p>"
    )
    return page(f"noisefloor: {path.name}", "", verdict, [], "")


def write(text: str, target: Path) -> None:
    """Complete or not at all."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def main(argv: Sequence[str]) -> int:
    """Prints the report's path. Exit status: 0; 1 if it cannot be written; 2 if the run cannot be read: the report is
    made all the same where its folder exists, and says why."""
    parser = argparse.ArgumentParser(
        prog="report.py", description="Writes the report of a run: one HTML file."
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as results/latest, or a CSV file")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where to write (default: RUN/report.html)")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    path = Path(arguments.run)
    target: Path = arguments.out or (path if path.is_dir() else path.parent) / "report.html"
    status = 0
    try:
        try:
            run = results.load(path)
        except results.ResultsError as error:
            print(f"report.py: {error}", file=sys.stderr)
            status = error.status
            if not target.parent.is_dir() or not (path.exists() or arguments.out):
                return status
            write(failed(path, error), target)
        else:
            for warning in run.warnings:
                print(f"report.py: warning: {warning}", file=sys.stderr)
            write(build(run), target)
    except OSError as error:
        print(f"report.py: {error.filename or target}: {error.strerror}", file=sys.stderr)
        return 1
    print(target.resolve())
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    sys.exit(main(sys.argv[1:]))

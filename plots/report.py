"""Writes report.html: one offline file that says what a run found, how sure, and what it did not measure.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import bz2
import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final


import numpy as np
import pandas as pd

from plots import drawing, page
from plots import findings, table
from plots.figures import strategies
from scripts.lib import naming, prose, results, stats

MOST_BYTES: Final = 2_900_000  # of a report; what figures and tables leave may be taken by the rows


def head_rows(run: results.Run) -> pd.DataFrame:
    """The rows of the build that the report is about: the other arms are for comparing builds."""
    frame = run.observations
    return frame[frame["arm"].isin(["head", ""])]


def ranking(rows: pd.DataFrame) -> str:
    """Every cell with its time, its speed-up against sequential, and how far it is behind the fastest of its batch."""
    launches = results.launch_values(rows[rows["pitfall"] == ""], "wall_ns")
    if not len(launches):
        return page.missing("No cell has a time: nothing can be ranked.")
    lines = []
    for (sweep, *_), some in launches.groupby(["sweep", *naming.BATCH], sort=False, dropna=False):
        batch = naming.describe_batch(some.iloc[0])
        names = naming.label_series(some, axis=("workers",))
        cells = [
            (own.iloc[0], own["value"].to_numpy(float), own) for _, own in some.groupby("cell_id", sort=False)
        ]
        best = min(float(np.median(values)) for _, values, _ in cells)
        rank = {
            first["cell_id"]: i
            for i, (first, _, _) in enumerate(sorted(cells, key=lambda c: float(np.median(c[1]))), 1)
        }
        for first, values, own in cells:
            wall = results.typical(own)
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
                    (prose.time_text(wall), wall.median),
                    rank[first["cell_id"]],
                    (f"×{prose.ratio(wall.median / best)}", wall.median / best),
                    (
                        prose.interval(gain, prose.ratio) if gain and gain.n else "–",
                        gain.median if gain else math.nan,
                    ),
                    wall.n,
                )
            )
    lines.sort(key=lambda line: (line[0], line[1], line[6]))
    columns = ["sweep", "batch", "cell", "workers", "chunk", "time per iteration", "rank", "over the fastest"]
    body = page.html_table(
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
    return page.html_table(columns, lines, caption="Break-even (interpolated) and METG, with 95% intervals")


def reached(metg: stats.Metg) -> str:
    return "unreached" if metg.kind == "unreached" else findings.crossing(metg)


def references(run: results.Run, rows: pd.DataFrame) -> str:
    """The reference programs beside the fastest of ours on the same batch, paired by round."""
    is_reference = rows["strategy"].isin(run.references)
    if not is_reference.any():
        return page.missing(
            "No reference program (the Python original, sox) was run. A sweep with their strategies fills this: "
            "`noisefloor list strategies` names them, `noisefloor run quick` runs those that are there."
        )
    lines = [
        (
            one["batch"],
            one["program"],
            (prose.time_text(one["wall"]), one["wall"].median),
            one["ours"] or "–",
            ("–", math.nan)
            if one["ratio"] is None
            else (f"×{prose.interval(one['ratio'], prose.ratio)}", one["ratio"].median),
            one["wall"].n,
        )
        for one in findings.references(run, rows)
    ]
    table_html = page.html_table(
        ["batch", "reference program", "its time", "ours, fastest", "how many times as long", "n"], lines,
        caption="Reference programs beside ours",
    )  # fmt: skip
    return table_html + undrawn(rows[is_reference])


def undrawn(rows: pd.DataFrame) -> str:
    text = prose.describe_undrawn(rows).strip()
    return f"<p class=small>{page.escape(text)}</p>" if text else ""


CONTRASTS: Final = ("runtime", "wait_policy", "pool", "ship", "transport", "bind", "schedule", "output_mode")


def contrast(rows: pd.DataFrame) -> str:
    """Cells that differ in one factor alone, such as the OpenMP runtime."""
    lines = [
        (
            one["factor"],
            one["compared"],
            one["batch"],
            one["cell"],
            (f"×{prose.interval(one['ratio'], prose.ratio)}" if one["ratio"].n else "–", one["ratio"].median),
            one["ratio"].n,
        )
        for factor in CONTRASTS
        for one in findings.contrasts(rows, factor)
    ]
    text = ""
    if not any(line[0] == "runtime" for line in lines):
        text = page.missing(
            "No cell was measured with both OpenMP runtimes. Fill it with "
            "`noisefloor run quick --filter quick.runtime`; libomp needs Debian's package libomp5."
        )
        text += undrawn(rows[rows["runtime"] != ""])
    if lines:
        text += page.html_table(
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
            wall = results.typical(times)
            peak = stats.median_interval(memory.loc[memory["cell_id"] == cell, "value"])
            ratio, key = "–", math.nan
            if fastest is not None and len(times) and cell != best:
                found = stats.paired_ratio(results.by_round(times), fastest)
                ratio, key = f"×{prose.interval(found, prose.ratio)}", found.median
            elif cell == best:
                ratio, key = "the fastest", 1.0
            variant += naming.describe("workers", of_variant["workers"].iloc[0]) if workers else ""
            bad = of_variant[of_variant["status"] != "ok"]
            outcome = "ok"
            if len(bad):
                outcome = f"{bad['status'].iloc[-1]}: {bad['message'].iloc[-1]}"[:200]
            lines.append(
                (
                    pitfall,
                    variant,
                    (prose.time_text(wall) if wall.n else "–", wall.median),
                    (ratio, key),
                    (prose.size_text(peak) if peak.n else "–", peak.median),
                    wall.n,
                    outcome,
                )
            )
    columns = ["pitfall", "variant", "time", "over the fastest variant", "peak memory", "n", "outcome"]
    return (
        "<p class=small>A bad variant is meant to lose, hang or be wrong; <code>noisefloor pitfall NAME</code> explains it "
        f"and gives the verdict for this machine.</p>{page.html_table(columns, lines, caption='Pitfalls')}"
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
    return page.html_table(columns, lines, caption="Launches without a value")


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
    facts = [("plan", *pair) for pair in page.flat(plan)] + [
        ("machine", *pair) for pair in page.flat(run.machine)
    ]
    text = METHOD
    if not run.machine:
        text += page.missing("The machine is unknown: machine.json is missing or unreadable.")
    if run.disturbance.standing:
        doubts = "".join(f"<li>{page.escape(one)}</li>" for one in run.disturbance.standing)
        text += f"<p>What makes every time on this machine doubtful:</p><ul>{doubts}</ul>"
    if facts:
        text += page.html_table(["of", "what", "value"], facts, caption="Plan and machine")
    return text


def download(run: results.Run, room: int) -> str:
    """A link that holds the rows in at most `room` bytes: all of them if they fit, else the value of each launch."""
    source = run.path if run.path.is_file() else run.path / "observations.csv"
    if not source.exists():
        source = run.path / "observations.csv.gz"
    data = source.read_bytes()
    if source.suffix == ".gz":
        data = gzip.decompress(data)
    packed = page.gzipped(data)
    most = room * 3 // 4  # base64
    everything = f"All {len(run.observations):,} rows"
    if len(packed) <= most:
        return page.link("observations.csv.gz", "application/gzip", packed, everything)
    # It takes a quarter less room, and six times as long.
    if 0.7 * len(packed) <= most and len(packed := bz2.compress(data)) <= most:
        return page.link("observations.csv.bz2", "application/x-bzip2", packed, everything)
    launches = results.launch_values(run.observations, "wall_ns")
    launches = launches.rename(columns={"value": "wall_ns_per_iteration"})
    used = [
        name
        for name in launches.columns
        if name in ("round", "wall_ns_per_iteration") or launches[name].nunique() > 1
    ]
    packed = page.gzipped(launches[used].to_csv(index=False).encode())
    if len(packed) > most:
        return (
            f"<span class=small>The rows are too many to be carried along: they are in {page.escape(source.name)} of the "
            "run.</span>"
        )
    what = f"One row for each of {len(launches):,} launches (all rows are in {source.name} of the run)"
    return page.link("launches.csv.gz", "application/gzip", packed, what)


def build(run: results.Run) -> str:
    """The page of a run that could be read."""
    rows = head_rows(run)
    drawn = drawing.outcomes(run, page.shown, bare=True)
    available: dict[str, list[pd.DataFrame]] = {}
    for one in drawn:
        if not one.drawing.remark:
            available.setdefault(one.drawing.figure.name, []).append(one.drawing.rows)
    fills = {figure.name: figure.fill for figure in table.FIGURES}

    said = list(findings.findings(run, lambda name: available.get(name, []), lambda name: fills[name]))
    answers = []
    for one_finding in said:
        text = page.marked(one_finding.text)
        if not text and any(
            one.drawing.figure.name == one_finding.section and len(one.drawing.rows) for one in drawn
        ):
            text = "This run's rows give no answer: the figure says why."
        if not text:
            text = (
                f"Not measured in this run; the sweep {page.escape(one_finding.fill)} fills it: "
                f"<code>noisefloor run {page.escape(one_finding.fill)}</code>."
            )
        answers.append(
            f"<dt>{page.escape(one_finding.question)}</dt><dd>{text} <a href='#{one_finding.section}'>see</a></dd>"
        )
    verdict = f"<h2 id=verdict>On this machine</h2>\n<dl class=verdict>{''.join(answers)}</dl>"

    def figure_section(name: str, extra: str = "") -> page.Section:
        figure = next(one for one in table.FIGURES if one.name == name)
        parts = []
        own = [one for one in drawn if one.drawing.figure.name == name]
        several = len(own) > 1
        for one in own:
            if one.value is None:
                parts.append(page.missing(f"{one.remark[:1].upper()}{one.remark[1:]}."))
                continue
            sweep = str(one.drawing.rows["sweep"].iloc[0]).partition(".")[0] if several else ""
            heading = one.value.heading + (f" (sweep {sweep})" if sweep else "")
            parts.append(f"<h3>{page.escape(heading)}</h3>{page.figure_html(one.value)}")
        return page.Section(name, figure.question, "\n".join(parts) + extra)

    metg = metg_table(run, available.get("granularity", []))
    beside = {"granularity": metg, "pitfalls": pitfalls(rows)}
    by_figure = {
        figure.name: figure_section(figure.name, beside.get(figure.name, "")) for figure in table.FIGURES
    }
    early = ("map",)
    late = ("quality",)
    sections = [
        *(by_figure[name] for name in early),
        page.Section("ranking", "All cells, ranked", ranking(rows)),
        *(one for name, one in by_figure.items() if name not in (*early, *late)),
        page.Section("references", "The Python original beside ours", references(run, rows)),
        page.Section("contrasts", "libgomp beside libomp, and other single factors", contrast(rows)),
        *(by_figure[name] for name in late),
        page.Section("lost", "What has no value", lost(rows)),
        page.Section("method", "Method and machine", method(run, rows)),
    ]  # fmt: skip
    warnings = "".join(page.missing(f"Warning: {text}") for text in run.warnings)
    run_id = ", ".join(dict.fromkeys(str(name) for name in rows["run_id"] if name)) or run.path.name
    counted = len(rows[list(results.LAUNCH)].drop_duplicates())
    opening = (
        [page.missing(f"{prose.capital(run.disturbance.sentence)}.")] if run.disturbance.sentence else []
    )
    opening += [page.missing(f"Before the run: {doubt}") for doubt in run.disturbance.doubts]
    lead = "".join(opening) + (
        f"<p class=facts>{page.escape(prose.describe_machine(run, rows))} {rows['cell_id'].nunique():,} cells, {counted:,} launches, "
        f"{len(rows):,} rows; sweeps: {page.escape(', '.join(dict.fromkeys(name.partition('.')[0] for name in rows['sweep'])) or 'none')}.</p>{warnings}"
    )
    if not len(rows):
        lead += page.missing(
            "The run has no rows: it ended before its first launch did. Measure again: `noisefloor run quick`."
        )
    title = f"noisefloor: run {run_id}"
    room = MOST_BYTES - len(page.whole(title, lead, verdict, sections, "").encode())
    return page.whole(title, lead, verdict, sections, download(run, room))


def failed(path: Path, error: results.ResultsError) -> str:
    """The page of a run that could not be read: why, and what to do."""
    lines = "".join(f"<p class=missing>{page.escape(line)}</p>" for line in str(error).splitlines())
    verdict = (
        "<h2 id=verdict>Nothing could be read</h2>"
        f"{lines}<p>No figure is drawn from rows that break the contract. Measure again with <code>noisefloor run quick</code>, "
        "or correct what is named above and run <code>scripts/report</code> on the folder.</p>"
    )
    return page.whole(f"noisefloor: {path.name}", "", verdict, [], "")

"""The verdict of a run in words: each sentence computed from its rows, each number with its interval.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from plots import drawing, style, table
from plots.figures import chunk, granularity, limit, quality, strategies, workers
from scripts.lib import naming, prose, results, stats
from scripts.lib.disturbance import Disturbance


# What a sentence says, for comparing runs: an interval of a ratio or a duration, or names one of which is the best.
Claim = tuple[float, float] | frozenset[str]


@dataclass(frozen=True)
class Answer:
    """A sentence, and what it claims by the name of the thing."""

    text: str = ""
    claims: Mapping[str, Claim] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One answer. `text` has its numbers between ** and names between `; `section` is where it can be looked up.
    Without rows `text` is empty and `fill` names the sweep that measures it."""

    question: str
    text: str
    section: str
    fill: str = ""
    claims: Mapping[str, Claim] = field(default_factory=dict)


def contradict(a: Claim, b: Claim, tolerance: float = 1.05) -> bool:
    """Whether both cannot be true of one machine: no name in common, or intervals apart by more than a twentieth."""
    if isinstance(a, frozenset) or isinstance(b, frozenset):
        return not (isinstance(a, frozenset) and isinstance(b, frozenset) and a & b)
    return a[1] * tolerance < b[0] or b[1] * tolerance < a[0]


def span(found: stats.Estimate | stats.Metg) -> tuple[float, float] | None:
    """The interval that is claimed; None where there is none."""
    if isinstance(found, stats.Metg) and found.kind == "unreached":
        return math.inf, math.inf
    if math.isnan(found.low):
        return None
    return (0.0 if isinstance(found, stats.Metg) and found.kind == "at_most" else found.low), found.high


def spans(found: Mapping[str, stats.Estimate | stats.Metg]) -> dict[str, Claim]:
    return {name: claim for name, one in found.items() if (claim := span(one)) is not None}


def number(estimate: stats.Estimate, show: Callable[[float], str] = prose.digits, unit: str = "") -> str:
    """ "**1.98 [1.91–2.04]**"; without an interval its n instead."""
    if estimate.n == 0:
        return "unknown"
    if not estimate.has_interval:
        return f"**{show(estimate.median)}{unit}** (n = {estimate.n}: no interval)"
    return f"**{show(estimate.median)} [{show(estimate.low)}–{show(estimate.high)}]{unit}**"


def crossing(metg: stats.Metg, counts: bool = False) -> str:
    """Where an efficiency is crossed: "**12 µs [9–15 µs]**", with ≤ where the finest task still reaches it; "**12 tasks**"
    where it is the batch that grows."""
    sign = "≤ " if metg.kind == "at_most" else ""
    text = f"{sign}{granularity.amount(metg.ns, counts)}"
    if math.isnan(metg.low):
        return f"**{text}** ({metg.rounds} rounds: no interval)"
    if metg.kind == "at_most" and metg.high == metg.low:
        return f"**{text}**"
    high = "unreached" if math.isinf(metg.high) else granularity.amount(metg.high, counts)
    return f"**{text} [{granularity.amount(metg.low, counts)}–{high}]**"


def names(found: Sequence[str], most: int = 4) -> str:
    """ "`a`, `b` and `c`"; the rest is counted."""
    quoted = [f"`{name}`" for name in found[:most]]
    if len(found) > most:
        quoted.append(f"{len(found) - most} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def grown(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, list[granularity.Series]]]:
    """What grew until workers pay: each work of the user's by its name, else computing tasks that move no memory (without a
    name); with its launches and its series of several workers."""
    own = rows[rows["work"] != ""]
    for name, some in (own if len(own) else rows[rows["workload"] == "spin"]).groupby("work", sort=False):
        launches = results.launch_values(some, "wall_ns")
        found = [one for one in granularity.series(launches) if one.workers > 1] if len(launches) else []
        if found:
            yield str(name), launches, found


def joined(answers: Sequence[Answer]) -> Answer:
    claims: dict[str, Claim] = {}
    for answer in answers:
        claims |= answer.claims
    return Answer(" ".join(answer.text for answer in answers), claims)


def pays(run: results.Run, rows: pd.DataFrame) -> Answer:
    """From which task duration or number of tasks on a strategy beats a plain loop."""
    return joined([pays_for(*one) for one in grown(rows)])


def pays_for(name: str, launches: pd.DataFrame, found: Sequence[granularity.Series]) -> Answer:
    work = f" of `{name}`" if name else ""
    counts = found[0].counts
    claims = spans({f"{one.label} beats a plain loop{plain(work)} from": one.pays for one in found})
    reached = sorted((one for one in found if one.pays.kind != "unreached"), key=lambda one: one.pays.ns)
    if not reached:
        longest = max(one.task_ns[-1] for one in found)
        reach = (
            f"{granularity.amount(longest, True)}**{work}"
            if counts
            else f"tasks{work} of up to **{prose.duration(longest)}**"
        )
        text = f"No strategy measured was ever faster than a plain loop, with {'up to **' if counts else ''}{reach}."
        return Answer(text, claims)
    first = reached[0]
    same = [one.label for one in reached if overlap(one.pays, first.pays)]
    named = launches[launches["strategy"].isin([one.strategy for one in reached if one.label in same])]
    batch = "" if counts else f"batches of {extent(named['tasks'])}tasks, "
    where = f"{extent(named['chunk_size'], 'chunk size ')}{batch}{first.workers} workers"
    least = crossing(first.pays, counts).replace("≤ ", "")
    most = granularity.amount(first.task_ns[-1], counts)
    if first.pays.kind == "at_most":
        what = (
            f"smallest batch measured, {least}{work}" if counts else f"shortest tasks{work} measured, {least}"
        )
        text = f"Even the {what}, may be parallelised"
    elif counts:
        text = f"Batches of fewer than {least}{work} should not be parallelised"
    else:
        text = f"Tasks{work} shorter than {least} should not be parallelised"
    text += (
        f" ({where}): from there on, up to {most}, the {'largest' if counts else 'longest'} measured, `{first.label}` beats a "
        f"plain loop{tied_with(same)}."
    )
    late = reached[-1]
    if len(reached) > 1 and not overlap(late.pays, first.pays):
        text += f" `{late.label}` needs {crossing(late.pays, counts)}."
    never = [one.label for one in found if one.pays.kind == "unreached"]
    if never:
        text += f" Never faster here: {names(never)}."
    return Answer(text, claims)


def too_few(ways: int, rounds: int) -> str:
    """That so many rounds cannot tell the best of so many ways; empty where they can."""
    needed = stats.least_rounds(ways)
    return f"{rounds} rounds cannot rule out any of {ways}; {needed} could" if rounds < needed else ""


def extent(values: pd.Series, before: str = "") -> str:
    """ "chunk size 1, ", or "64 to 128 " without `before`; empty without a value."""
    found = sorted({int(value) for value in values.dropna()})
    if not found:
        return ""
    text = f"{found[0]:,}" + (f" to {found[-1]:,}" if len(found) > 1 else "")
    return f"{before}{text}, " if before else f"{text} "


def tied_with(same: Sequence[str]) -> str:
    """What is said of those that have the same crossing as the first."""
    return f"; the rounds cannot tell {names(same[1:])} from it" if len(same) > 1 else ""


def overlap(a: stats.Metg, b: stats.Metg) -> bool:
    """Whether two crossings may be the same; without intervals, whether they are within 5%."""
    if math.isnan(a.low) or math.isnan(b.low):
        return abs(math.log(a.ns / b.ns)) < 0.05
    return a.low <= b.high and b.low <= a.high


def effective(run: results.Run, rows: pd.DataFrame) -> Answer:
    """METG: from which duration, or number of tasks, on most of the workers' time goes into tasks."""
    return joined([effective_for(*one) for one in grown(rows)])


def effective_for(name: str, launches: pd.DataFrame, found: Sequence[granularity.Series]) -> Answer:
    work = f" of `{name}`" if name else ""
    counts = found[0].counts
    reached = sorted((one for one in found if one.metg.kind != "unreached"), key=lambda one: one.metg.ns)
    claims = spans({f"METG of {one.label}{plain(work)}": one.metg for one in found})
    threshold = f"{stats.metg_threshold(found[0].workers):.0%}"
    if not reached:
        text = (
            f"No strategy measured reached {threshold} of what its workers could give, at any "
            f"{'number of tasks' if counts else 'task duration'}{work}."
        )
        return Answer(text, claims)
    first = reached[0]
    same = [one.label for one in reached if overlap(one.metg, first.metg)]
    text = (
        f"From {'' if counts else 'tasks of '}{crossing(first.metg, counts)}{work} on ({extent(launches['chunk_size'], 'chunk size ')}"
        f"up to {granularity.amount(first.task_ns[-1], counts)}, the {'largest' if counts else 'longest'} measured), `{first.label}` "
        f"makes use of at least {threshold} of what {first.workers} workers could give{'' if counts else ' (METG)'}{tied_with(same)}."
    )
    return Answer(text, claims)


def winner(run: results.Run, rows: pd.DataFrame) -> Answer:
    """The fastest strategy for the ETL, or for the first batch measured. What fails or is wrong now and then is out of the
    race: the launches that are left would flatter it."""
    launches = results.launch_values(rows, "wall_ns")
    etl = launches[launches["workload"] == "etl"]
    launches = etl if len(etl) else launches
    lost = results.unreliable(rows)
    out = launches[launches["cell_id"].isin(lost)]
    launches = launches[~launches["cell_id"].isin(lost)]
    if not len(launches):
        return Answer()
    batch = naming.batches(launches)[0][1]
    same = (out[list(naming.BATCH)].astype(str) == batch.iloc[0][list(naming.BATCH)].astype(str)).all(axis=1)
    out = out[same]
    beside = pd.concat([batch, out])
    cells = {str(first["cell_id"]): own for first, own in naming.rank_cells(batch)}
    labels = naming.describe_cells(beside)
    unfit = [
        f"`{labels[own.index[0]]}` ({lost[str(key)]})" for key, own in out.groupby("cell_id", sort=False)
    ]
    aside = f" Out of the race: {', '.join(unfit)}." if unfit else ""
    # As in the ranking table: by the median time.
    order = sorted(cells, key=lambda key: float(cells[key]["value"].median()))
    perhaps = stats.perhaps_smallest(
        np.log(pd.DataFrame({key: results.by_round(cells[key]) for key in order}))
    )
    best = cells[order[0]]
    if not math.isfinite(best["value"].median()):
        return Answer(f"No way kept its deadline in most launches.{aside}")
    label = {key: str(labels[own.index[0]]) for key, own in cells.items()}
    ties = [label[key] for key, may_be in zip(order[1:], perhaps[1:]) if may_be]
    what = naming.describe_batch(best.iloc[0])
    if len(order) < 2:
        return Answer(
            f"For {what}, only `{label[order[0]]}` was measured: there is nothing to compare it with.{aside}"
        )
    claim = "has the shortest median" if ties else "is the fastest"
    text = f"For {what}, `{label[order[0]]}` {claim} of {len(cells)} ways"
    text += f" at {number(results.typical(best, 1e6), unit=' ms')}"
    sequential = strategies.baseline(batch, best.iloc[0])
    if sequential is not None and sequential["cell_id"].iloc[0] != best["cell_id"].iloc[0]:
        gain = stats.speed_up(results.by_round(sequential), results.by_round(best))
        text += f", {number(gain, prose.ratio, '×')} as fast as `sequential`"
    few = too_few(len(cells), len(results.by_round(best)))
    if few and ties:
        text += f". {few}"
    elif ties:
        text += f". The rounds cannot tell it from {names(ties)}"
        if sequential is not None and label[str(sequential["cell_id"].iloc[0])] in (label[order[0]], *ties):
            text += "; so no way is surely faster than `sequential`"
    else:
        text += "; no other is as fast"
    text += f".{aside}"
    return Answer(text, {f"fastest for {what}": frozenset([label[order[0]], *ties])})


def chunk_size(run: results.Run, rows: pd.DataFrame) -> Answer:
    """Among which chunk sizes the best one is, for the strategy of each batch with the shortest median."""
    launches = results.launch_values(rows, "wall_ns")
    launches = launches[launches["chunk_size"].notna() & launches["round"].notna()]
    parts = []
    claims: dict[str, Claim] = {}
    for _, some in naming.batches(launches):
        found = [one for one in chunk.series(some) if len(one.chunks) > 1]
        if not found:
            continue
        best = min(found, key=lambda one: one.best_wall.median)
        cell = some.iloc[0]
        length = "" if pd.isna(cell["task_ns"]) else f" of {prose.duration(float(cell['task_ns']))}"
        surely = [i for i, ratio in enumerate(best.ratios) if ratio.low > 1 and ratio.median > chunk.NEAR]
        of = f"For {int(cell['tasks']):,} {cell['work'] or cell['workload']} tasks{length}"
        sizes = ranges(best.chunks, best.perhaps_best)
        text = f"{of} the best chunk size of `{best.label}` is {'' if len(perhaps(best)) == 1 else 'among '}{sizes}"
        if few := too_few(len(best.chunks), best.best_wall.n):
            text += f" ({few})"
        if surely:
            worst = max(surely, key=lambda i: best.ratios[i].median)
            text += f"; chunk size {best.chunks[worst]:,} takes {number(best.ratios[worst], prose.ratio, '×')} as long"
        parts.append(text + ".")
        for one in found:
            what = f"best chunk size of {one.label} for {naming.describe_batch(cell)}"
            claims[what] = frozenset(f"{size:,}" for size in perhaps(one))
    return Answer(" ".join(parts), claims)


def perhaps(one: chunk.Series) -> list[int]:
    """The chunk sizes that may be the best."""
    return [size for size, may_be in zip(one.chunks, one.perhaps_best) if may_be]


def ranges(sizes: Sequence[int], chosen: Sequence[bool]) -> str:
    """ "**1–4**, **64**": neighbours among those measured as one range."""
    found: list[list[int]] = []
    after = False
    for size, is_chosen in zip(sizes, chosen):
        if is_chosen and after:
            found[-1].append(size)
        elif is_chosen:
            found.append([size])
        after = is_chosen
    return ", ".join(f"**{one[0]:,}–{one[-1]:,}**" if len(one) > 1 else f"**{one[0]:,}**" for one in found)


def distance(run: results.Run, rows: pd.DataFrame) -> Answer:
    """The ETL over a plain copy of the same files, in the first batch of the figure, for its first two ways: sequential
    and the next in the program's table."""
    try:
        with style.settings():
            data = limit.draw(run, rows).data
    except results.ResultsError:
        return Answer()
    data = data[data["n"] > 0]
    batch = data["batch"].iloc[0]
    more = data["batch"].nunique() - 1
    data = data[data["batch"] == batch]
    parts = []
    claims: dict[str, Claim] = {}
    for row in data.to_dict("records"):
        estimate = stats.Estimate(row["time_over_copy"], row["low"], row["high"], int(row["n"]))
        parts.append(f"{number(estimate, prose.ratio, '×')} with `{row['cell']}`")
        claims |= spans({f"{row['cell']} over a copy": estimate})
        if estimate.low <= 1 <= estimate.high:
            parts[-1] += " (the rounds cannot tell it from a copy)"
    left = [("way", len(parts) - 2), ("batch", more)]
    text = f"For {batch} the ETL takes {' and '.join(parts[:2])} the time of a plain copy of the same files"
    others = [
        f"{n} more {what if n == 1 else what + ('es' if what == 'batch' else 's')}"
        for what, n in left
        if n > 0
    ]
    return Answer(f"{text}; {' and '.join(others)} in the figure." if others else f"{text}.", claims)


def listed(parts: Sequence[str], most: int = 4) -> str:
    """ "a; b; and 3 more in the figure"."""
    left = len(parts) - most
    return "; ".join([*parts[:most], *([f"and {left} more in the figure"] if left > 0 else [])])


def scaling(run: results.Run, rows: pd.DataFrame) -> Answer:
    """The best speed-up of each batch, over as many workers as there are CPUs."""
    launches = results.launch_values(rows, "wall_ns")
    known = prose.look_up(run.machine, "workers")
    cpus = int(known) if known.isdigit() and int(known) > 0 else None
    parts = []
    claims: dict[str, Claim] = {}
    for _, some in naming.batches(launches):
        best: tuple[float, str] | None = None
        for one in workers.series(some, cpus):
            for count, estimate in zip(one.workers, one.speed_ups):
                what = f"{naming.describe_batch(some.iloc[0])}: speed-up of {one.label} with {count} workers"
                claims |= spans({what: estimate})
                if best is None or estimate.median > best[0]:
                    text = f"{number(estimate, prose.ratio, '×')} with {count} workers (`{one.label}`)"
                    best = (estimate.median, text)
        if best is not None:
            parts.append(f"{some.iloc[0]['work'] or some.iloc[0]['workload']} {best[1]}")
    if not parts:
        return Answer()
    text = f"Of {cpus if cpus else 'an unknown number of'} CPUs, the speed-up at best is: {listed(parts)}."
    return Answer(text, claims)


def kernel(run: results.Run, rows: pd.DataFrame) -> Answer:
    """What the widest kernel gives in memory, and what is left of it in the ETL."""
    launches = results.launch_values(rows, "wall_ns")
    parts = []
    claims: dict[str, Claim] = {}
    for _, some in naming.batches(launches, [*naming.BATCH, "strategy", "workers"]):
        naive = some[some["kernel"] == "naive"]
        others = some[some["kernel"] != "naive"]
        if not len(naive) or not len(others):
            continue
        fastest = others.groupby("kernel")["value"].median().idxmin()
        own = others[others["kernel"] == fastest]
        own = own[own["cell_id"] == own["cell_id"].iloc[0]]
        naive = naive[naive["cell_id"] == naive["cell_id"].iloc[0]]
        gain = stats.speed_up(results.by_round(naive), results.by_round(own))
        where = {"noise": "in memory", "etl": "in the whole ETL"}.get(some.iloc[0]["workload"], "")
        form = some.iloc[0]["format"]
        claims |= spans({f"{fastest} against naive, {naming.describe_batch(some.iloc[0])}": gain})
        parts.append(f"`{fastest}` is {number(gain, prose.ratio, '×')} as fast as `naive` {where} ({form})")
    return Answer(f"{listed(parts)}." if parts else "", claims)


def references(run: results.Run, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Every reference program with its time, and that time over the one of the fastest of ours on the same batch, paired
    by round (None: ours was not measured). A program that has a say in format, output mode or chunk size is compared
    with ours of the same."""
    launches = results.launch_values(rows, "wall_ns")
    # Groups of one sweep are measured in the same rounds; a program of its own may have no say in format or output mode.
    launches = launches.assign(sweep=[name.partition(".")[0] for name in launches["sweep"]])
    batch = [name for name in naming.BATCH if name not in ("format", "output_mode")]
    found = []
    for _, some in naming.batches(launches, ["sweep", *batch]):
        is_reference = some["strategy"].isin(run.references)
        theirs, ours = some[is_reference], some[~is_reference]
        if not len(theirs):
            continue
        names_of = naming.describe_cells(some)
        for first, own in naming.rank_cells(theirs):
            own = own.drop_duplicates("round", keep="last")
            alike = ours
            for factor in ("format", "output_mode", "chunk_size"):
                if not pd.isna(first[factor]) and first[factor] != "":
                    alike = alike[alike[factor] == first[factor]]
            best = None
            if len(alike):
                best = alike[alike["cell_id"] == alike.groupby("cell_id")["value"].median().idxmin()]
                best = best.drop_duplicates("round", keep="last")
            found.append(
                {
                    "batch": naming.describe_batch(first),
                    "workload": str(first["workload"]),
                    "program": str(names_of[own.index[0]]),
                    "wall": results.typical(own),
                    "ours": "" if best is None else str(names_of[best.index[0]]),
                    "ratio": (
                        None
                        if best is None
                        else stats.paired_ratio(results.by_round(own), results.by_round(best))
                    ),
                }
            )
    return found


def beside_python(run: results.Run, rows: pd.DataFrame) -> Answer:
    """The reference programs' fastest and slowest against ours: on the ETL, else on the first batch that has them. On a
    busy machine only what is left of it if the other work had slowed the reference program down as much as it could.
    """
    found = [one for one in references(run, rows) if one["ratio"] is not None and one["ratio"].n]
    if not found:
        return Answer()
    chosen = next((one for one in found if one["workload"] == "etl"), found[0])["batch"]
    found = [one for one in found if one["batch"] == chosen]
    order = sorted(found, key=lambda one: float(one["ratio"].median))
    if run.disturbance.is_busy:
        return despite(run.disturbance, order)
    text = (
        f"For {order[0]['batch']}, `{order[0]['program']}` takes {number(order[0]['ratio'], prose.ratio, '×')} as long as "
        f"`{order[0]['ours']}`"
    )
    if len(order) > 1:
        text += f", `{order[-1]['program']}` {number(order[-1]['ratio'], prose.ratio, '×')}"
        if order[-1]["ours"] != order[0]["ours"]:
            text += f" as long as `{order[-1]['ours']}`"
    claims = spans({f"{one['program']} over {one['ours']}": one["ratio"] for one in found})
    return Answer(f"{text}.", claims)


def despite(seen: Disturbance, order: Sequence[Mapping[str, Any]]) -> Answer:
    """What is left of the comparison with reference programs: they share a machine that others leave a part of, so that
    much of the ratio may be the other work's."""
    if seen.taken is None or seen.taken >= seen.cpus:
        return Answer(f"Cannot tell: {seen.why}.")
    stretch = seen.cpus / (seen.cpus - seen.taken)
    sure = {
        f"`{one['program']}`": one["ratio"].low / stretch for one in order if one["ratio"].low / stretch > 1
    }
    if not sure:
        return Answer(f"Cannot tell: {seen.why}.")
    said = ", ".join(f"{program} more than **{prose.ratio(low)}×**" for program, low in sure.items())
    text = f"For {order[0]['batch']}, whatever the other work did: {said} as long as the fastest of ours."
    return Answer(text, {f"{name} over ours": (low, math.inf) for name, low in sure.items()})


def certainty(run: results.Run, rows: pd.DataFrame) -> Answer:
    """How sure: rounds, spread, disturbance, what overran its deadline, and what has no value."""
    launches = quality.executed(rows, run.disturbance.launch_limit)
    if not len(launches):
        return Answer()
    of_cell = results.launch_values(rows, "wall_ns").groupby(["sweep", "cell_id"], sort=False).size()
    rounds, most = int(of_cell.min()), int(of_cell.max())
    counted = f"{rounds}" if rounds == most else f"{rounds} to {most}"
    spread = stats.median_interval(100 * launches.drop_duplicates(["sweep", "cell_id"])["deviation"])
    text = (
        f"Every cell was measured in **{counted} round{'' if most == 1 else 's'}**; in half of the cells the launches "
        f"spread by **{spread.median:.1f}%** or less. {quality.describe_disturbance(run)}. Brackets are intervals that hold the truth in 95 of 100 cases where rounds are independent; "
        "where the machine drifts slower than that, in fewer"
    )
    if rounds < stats.LEAST_VALUES:
        text += f"; with fewer than {stats.LEAST_VALUES} rounds there are none"
    lost = rows[~rows["status"].isin(("ok", "timeout"))]
    counts = [
        f"{len(some[list(results.LAUNCH)].drop_duplicates()):,} {status}"
        for status in results.STATUSES
        if len(some := lost[lost["status"] == status])
    ]
    text += (
        f". Launches without a value: {', '.join(counts)}." if counts else ". No launch is without a value."
    )
    return Answer(f"{text}{overran(rows)}")


def overran(rows: pd.DataFrame) -> str:
    """The cells that kept their deadline in less than half of their launches, each a finding; the others in one number."""
    late = results.late(rows)
    if not late:
        return ""
    mostly = {cell: counts for cell, counts in late.items() if 2 * counts[0] > counts[1]}
    launches = results.launch_values(rows[rows["cell_id"].isin(mostly)], "wall_ns")
    parts = []
    for cell, own in launches.groupby("cell_id", sort=False):
        count, tried = mostly[str(cell)]
        first = own.iloc[0]
        bound = results.typical(own).at_least
        least = f", **> {prose.duration(bound)}**" if math.isfinite(bound) else ""
        name = f"{first['strategy'] or first['pitfall']}{naming.describe('workers', first['workers'])}"
        parts.append(f"`{name}` for {naming.describe_batch(first)} ({count} of {tried} launches{least})")
    text = f" Overran the deadline in most launches: {listed(parts)}." if parts else ""
    rest = sum(count for cell, (count, _) in late.items() if cell not in mostly)
    return text + (
        f" {rest:,} more launches overran theirs and count as longer than all others." if rest else ""
    )


def evenness(run: results.Run, rows: pd.DataFrame) -> Answer:
    """How the durations of a user's tasks spread: what decides about chunk and schedule."""
    own = rows[(rows["work"] != "") & rows["task_median_ns"].notna() & (rows["status"] == "ok")]
    parts = []
    for name, some in own.groupby("work", sort=False):
        some = some[some["tasks"] == some["tasks"].max()]
        launches = {
            what: results.launch_values(some, f"task_{what}")["value"]
            for what in ("median_ns", "longest_ns", "longest_percent")
        }
        median, longest, percent = (stats.median_interval(values) for values in launches.values())
        share = percent.median / 100
        text = (
            f"A task of `{name}` takes {number(median, prose.duration)} in the middle and {number(longest, prose.duration)} at "
            f"most, which is **{100 * share:.2g}%** of all {int(some['tasks'].iloc[0]):,} together"
        )
        if share > 0:
            text += f": no number of workers can be more than **{prose.ratio(1 / share)}×** as fast as one"
        parts.append(f"{text}.")
    return Answer(" ".join(parts))


@dataclass(frozen=True)
class Question:
    """What the verdict answers, from the rows of a figure in plots/table.py."""

    text: str
    answer: Callable[[results.Run, pd.DataFrame], Answer]
    figure: str
    section: str = ""  # where to look it up, if not at the figure
    of_users: bool = False  # whether it is about a user's own work: left out where a run has none
    of_ours: bool = (
        False  # whether it is about the suite's own workloads: left out where a run has a user's only
    )
    fragile: bool = (
        False  # whether it compares what wants more CPUs with what wants fewer: other work is felt unequally
    )


# In the order of the verdict.
QUESTIONS: Final = (
    Question("Which strategy?", winner, "strategies", fragile=True),
    Question("From which task size on?", pays, "granularity", fragile=True),
    Question("From which size on efficiently?", effective, "granularity", fragile=True),
    Question("How even are the tasks?", evenness, "quality", of_users=True),
    Question("With which chunk size?", chunk_size, "chunk"),
    Question("How far does it scale?", scaling, "workers", fragile=True),
    Question("How far from the limit?", distance, "limit", of_ours=True, fragile=True),
    Question("What do the kernels give?", kernel, "kernels", of_ours=True),
    Question("How far ahead of Python?", beside_python, "quality", "references", of_ours=True),
    Question("How sure?", certainty, "quality"),
)


def findings(
    run: results.Run, rows_of: Callable[[str], Sequence[pd.DataFrame]], fill: Callable[[str], str]
) -> Iterator[Finding]:
    """An answer for every question. `rows_of`: the rows that a figure draws, one frame per sweep; the first that has an
    answer gives it. `fill`: the sweep that measures what a figure shows."""
    work = run.observations["work"]
    for question in QUESTIONS:
        if (question.of_ours and bool((work != "").all())) or (
            question.of_users and bool((work == "").all())
        ):
            continue
        answer = Answer()
        for rows in sorted(rows_of(question.figure), key=len, reverse=True):
            try:
                answer = question.answer(run, rows)
            except (results.ResultsError, ValueError) as error:
                answer = Answer(f"Cannot be told: {error}.")
            if answer.text:
                break
        if answer.text and question.fragile and run.disturbance.is_busy:
            answer = Answer(f"Cannot tell: {run.disturbance.why}.")
        section = question.section or question.figure
        yield Finding(
            question.text, answer.text, section, "" if answer.text else fill(question.figure), answer.claims
        )


def of_run(run: results.Run) -> list[Finding]:
    """All that a run has to say, from the rows that its figures draw."""
    rows: dict[str, list[pd.DataFrame]] = {}
    for one in drawing.drawings(run):
        if not one.remark:
            rows.setdefault(one.figure.name, []).append(one.rows)
    fills = {figure.name: figure.fill for figure in table.FIGURES}
    with style.settings():
        return list(findings(run, lambda name: rows.get(name, []), lambda name: fills[name]))


def plain(text: str) -> str:
    """Without marks, for a terminal."""
    return text.replace("**", "").replace("`", "")


def contrasts(rows: pd.DataFrame, factor: str) -> list[dict[str, Any]]:
    """Cells that differ in `factor` alone: the time of each value over that of the first value, paired by round."""
    launches = results.launch_values(rows[rows[factor] != ""], "wall_ns")
    if launches[factor].nunique() < 2:
        return []
    others = [name for name in results.factors(launches) if name not in (factor, "task_ns")]
    found = []
    for _, some in launches.groupby(others, sort=False, dropna=False):
        values = list(dict.fromkeys(sorted(some[factor])))
        if len(values) < 2:
            continue
        first = results.by_round(some[some[factor] == values[0]].drop_duplicates("round", keep="last"))
        for value in values[1:]:
            own = results.by_round(some[some[factor] == value].drop_duplicates("round", keep="last"))
            cell = some.iloc[0]
            found.append(
                {
                    "batch": naming.describe_batch(cell),
                    "cell": str(cell["strategy"])
                    + "".join(
                        naming.describe(name, cell[name])
                        for name in ("schedule", "chunk_size", "workers")
                        if name != factor
                    ),
                    "factor": factor,
                    "compared": f"{value} / {values[0]}",
                    "ratio": stats.paired_ratio(own, first),
                }
            )
    return found

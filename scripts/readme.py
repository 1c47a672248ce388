"""Writes what README.md shows of the committed reference runs, figures included; or checks that it is there.

`--take RUN` makes a run the reference of its sweep first: results/reference/quick and results/reference/pitfalls are what
the README is made of.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from plots import findings as words
from plots.figures import granularity as figure
from plots import drawing, style
from scripts.lib import document, pitfalls, prose, results, stats

ROOT: Final = Path(__file__).resolve().parent.parent
REFERENCES: Final = ROOT / "results" / "reference"
BEGIN: Final = "<!-- {}: written by scripts/readme -->"
END: Final = "<!-- end of {} -->"
# The figure of each reference run that the README shows, for light and dark pages.
SHOWN: Final = {"quick": "granularity", "pitfalls": "pitfalls", "full": "map"}
# Sweeps of `make bench-full`: a run that has all of them, and not quick, is the reference `full`.
FULL: Final = frozenset(
    ("files", "granularity", "map", "chunk", "workers", "kernels", "delivery", "strategies")
)
GALLERY: Final = 12  # pitfalls that have a line: those that cost most


class Cells:
    """The launches of one group of a sweep: wall time per iteration, found by factors."""

    def __init__(self, run: results.Run, group: str) -> None:
        self.launches = results.launch_values(results.select_group(run.observations, group), "wall_ns")
        if self.launches.empty:
            raise results.ResultsError(f"{run.path}: no ok rows of group {group}: measure the sweep quick")

    def where(self, **factors: Any) -> pd.DataFrame:
        """The launches of the one cell with these factors; ResultsError if there is none or more."""
        rows = self.launches
        for name, value in factors.items():
            rows = rows[rows[name] == value]
        if rows["cell_id"].nunique() != 1:
            raise results.ResultsError(
                f"{rows['cell_id'].nunique()} cells have {factors}: the README needs exactly one"
            )
        return rows

    def ratio(self, slow: pd.DataFrame, fast: pd.DataFrame) -> stats.Estimate:
        """Time of `slow` over time of `fast`, paired by round."""
        return stats.paired_ratio(results.by_round(slow), results.by_round(fast))


def number(value: float) -> str:
    return prose.digits(value, 2) if math.isfinite(value) else "–"


def interval(low: float, high: float) -> str:
    """ " [1.90–2.05]"; empty where there are too few rounds for one."""
    if math.isnan(low):
        return ""
    return f" [{number(low)}–{number(high) if math.isfinite(high) else 'unreached'}]"


def times(estimate: stats.Estimate) -> str:
    return f"{number(estimate.median)}×{interval(estimate.low, estimate.high)}"


def crossing(metg: stats.Metg) -> str:
    """Where an efficiency is crossed: "1.15 µs [1.08–1.24]", with ≤ where the finest task still reaches it."""
    if metg.kind == "unreached":
        return "no task duration measured"
    if metg.kind == "at_most" and metg.low == metg.high:
        return f"≤ {number(metg.ns / 1e3)} µs"
    sign = "≤ " if metg.kind == "at_most" else ""
    return f"{sign}{number(metg.ns / 1e3)} µs{interval(metg.low / 1e3, metg.high / 1e3)}"


def plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def verdict(estimate: stats.Estimate) -> str:
    """Whether noise alone could explain the ratio: in words, beside the number."""
    if not estimate.has_interval:
        return "; too few rounds for an interval"
    return "" if estimate.low > 1 or estimate.high < 1 else "; may be noise"


def scaling(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "strategies")
    workers = int(cells.launches["workers"].max())
    alone = cells.where(strategy="sequential")
    batch = f"{plural(int(alone['tasks'].iloc[0]), 'file')} of {int(alone['task_size'].iloc[0]):,} samples"
    for strategy in ("std_thread", "openmp"):
        estimate = cells.ratio(alone, cells.where(strategy=strategy, workers=workers))
        who = f"`{strategy}` with {plural(workers, 'worker')}"
        yield f"| ETL of {batch}: {who}, against `sequential` | {times(estimate)} as fast{verdict(estimate)} |"


def one_file(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "files")
    for strategy in ("std_thread", "openmp"):
        estimate = cells.ratio(
            cells.where(strategy="sequential", tasks=1), cells.where(strategy=strategy, tasks=1)
        )
        yield f"| One file, nothing to share: `{strategy}` against `sequential` | {times(estimate)} as fast{verdict(estimate)} |"


def granularity(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "granularity")
    lines = {one.strategy: one for one in figure.series(cells.launches)}
    tasks = int(cells.launches["tasks"].iloc[0])
    for strategy in ("std_thread", "openmp"):
        one = lines[strategy]
        yield (
            f"| From which task duration on does `{strategy}` pay ({tasks} tasks)? | faster than one worker from "
            f"{crossing(one.pays)}; {stats.metg_threshold(one.workers):.0%} efficient from {crossing(one.metg)} |"
        )


def chunk(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "chunk")

    def cell(workload: str, strategy: str, chunk_size: int) -> pd.DataFrame:
        return cells.where(workload=workload, strategy=strategy, chunk_size=chunk_size)

    for strategy in ("std_thread", "openmp"):
        small = cell("spin", strategy, 1).iloc[0]
        cost = cells.ratio(cell("spin", strategy, 1), cell("spin", strategy, 16))
        what = f"{int(small['tasks']):,} tasks of {number(float(small['task_ns']))} ns"
        yield f"| {what}: chunk size 1 against 16 (`{strategy}`) | {times(cost)} as long{verdict(cost)} |"
    for strategy in ("std_thread", "openmp"):
        small = cell("etl", strategy, 1)
        cost = cells.ratio(cell("etl", strategy, 16), small)
        yield f"| {plural(int(small['tasks'].iloc[0]), 'file')}: chunk size 16 against 1 (`{strategy}`) | {times(cost)} as long{verdict(cost)} |"


def kernels(run: results.Run) -> Iterator[str]:
    for group, what in (("kernels", "Noise in memory"), ("kernels_etl", "The whole ETL, one worker")):
        cells = Cells(run, group)
        naive = cells.where(kernel="naive")
        medians = cells.launches.groupby("kernel")["value"].median().sort_values()
        for name in medians.index.drop("naive"):
            # `auto` is recorded as the kernel that ran: on a machine without AVX-512 that is avx2, twice.
            rows = cells.launches[cells.launches["kernel"] == name]
            rows = rows[rows["cell_id"] == rows["cell_id"].iloc[0]]
            estimate = cells.ratio(naive, rows)
            yield f"| {what}: `{name}` against `naive` | {times(estimate)} as fast{verdict(estimate)} |"


def measured(run: results.Run, group: str) -> bool:
    """Whether the run has the group: runs of before it was thought of are runs, too."""
    return not results.select_group(run.observations, group).empty


def limit(run: results.Run) -> Iterator[str]:
    if not measured(run, "limit"):
        return
    cells = Cells(run, "limit")
    for strategy in ("sequential", "std_thread"):
        etl, copy = (cells.where(workload=name, strategy=strategy) for name in ("etl", "copy"))
        cost = cells.ratio(etl, copy)
        yield f"| The ETL against a plain copy of the same files (`{strategy}`) | {times(cost)} as long{verdict(cost)} |"


def reference(run: results.Run) -> Iterator[str]:
    if not measured(run, "reference"):
        return
    cells = Cells(run, "reference")
    ours, python = (cells.where(strategy=name) for name in ("std_thread", "python_pool_map"))
    tasks = int(ours["tasks"].iloc[0])
    estimate = cells.ratio(python, ours)
    yield (
        f"| ETL of {plural(tasks, 'file')}: `std_thread` against Python's `Pool.map` with scipy and numpy | "
        f"{times(estimate)} as fast{verdict(estimate)} |"
    )


SECTIONS: Final[tuple[Callable[[results.Run], Iterator[str]], ...]] = (
    scaling,
    one_file,
    granularity,
    chunk,
    kernels,
    limit,
    reference,
)


def findings(run: results.Run) -> str:
    """The table as Markdown, with the machine and the run that it comes from."""
    lines = [*opening(run), "| question | finding |", "| --- | --- |"]
    for section in SECTIONS:
        lines += section(run)
    rounds = int(run.observations["round"].nunique())
    try:
        machine = run.machine
        cpus = plural(machine["workers"], "CPU") + (
            " of a virtual machine" if machine["virtual_machine"] else ""
        )
        hardware = f"{machine['cpu']['model']}, {cpus}, {machine['build']['compiler']}"
    except (KeyError, TypeError):
        raise results.ResultsError(
            f"{run.path / 'machine.json'}: does not say which machine this was: measure again"
        ) from None
    lines += [
        "",
        f"Medians of the ratio within each of {plural(rounds, 'round')}, with 95% intervals by order statistics where "
        f"there are at least {stats.LEAST_VALUES}. {hardware}, "
        f"`noisefloor run quick`, commit {str(run.observations['git_sha'].iloc[0])[:12]}; rows, plan and machine in "
        "[results/reference/quick](results/reference/quick).",
    ]
    return "\n".join(lines)


def opening(run: results.Run) -> list[str]:
    """What must be said before anything else: that others worked beside the run."""
    return [f"**{prose.capital(run.disturbance.sentence)}.**", ""] if run.disturbance.is_busy else []


def of_measure(name: str) -> str:
    """What a ratio in a pitfall's measure is of."""
    return {
        "wall_ns": "the time",
        "peak_rss_bytes": "the memory",
        "first_result_ns": "the time to the first result",
    }.get(name, name.removesuffix("_ns").removesuffix("_bytes").replace("_", " "))


def gallery(run: results.Run) -> str:
    """The pitfalls as Markdown: those that cost most here, those that hang or are wrong, and those that do no harm."""
    facts = {str(one["name"]): one for one in pitfalls.facts_of(run)}
    found = pitfalls.findings(list(facts.values()), run.observations)
    if not found:
        raise results.ResultsError(f"{run.path}: no rows of a pitfall: measure the sweep pitfalls")

    def line(one: pitfalls.Finding, verdict: str) -> str:
        where = f"[{one.name}](docs/PITFALLS.md#{one.name})"
        return f"| {where} | {document.cell(str(facts[one.name]['lesson']))} | {document.cell(verdict)} |"

    costly = [one for one in found if one.ratio is not None and one.verdict.startswith("reproduced")]
    costly.sort(key=lambda one: -one.ratio.median if one.ratio is not None else 0.0)
    broken = [one for one in found if one.ratio is None and one.verdict.startswith(("reproduced", "hang"))]
    lines = ["| pitfall | why it loses | here |", "| --- | --- | --- |"]
    lines += [
        line(one, f"{pitfalls.ratio_text(one.ratio)} {of_measure(str(facts[one.name]['measure']))}")
        for one in costly[:GALLERY]
        if one.ratio is not None
    ]
    lines += [line(one, "hangs" if one.verdict.startswith("hang") else "wrong") for one in broken]
    others = [f"`{one.name}`" for one in costly[GALLERY:]]
    unseen = [f"`{one.name}` ({document.cell(one.verdict)})" for one in found if one not in costly + broken]
    rounds = int(run.observations["round"].nunique())
    lines += [
        "",
        f"What the bad variant takes over its cure, in {plural(rounds, 'round')} of one run; median, 95% interval, which does "
        "not hold what differs from one run to the next.",
    ]
    if others:
        lines += ["", f"Smaller, but there: {', '.join(others)}."]
    if unseen:
        lines += ["", f"Not shown by this run: {'; '.join(unseen)}."]
    return "\n".join(lines)


def command(run: results.Run) -> str:
    """How the run was made, as its plan has it: "`noisefloor run quick`, "; empty without a plan."""
    words_of = run.plan.get("command", [])
    return f"`{' '.join([Path(words_of[0]).name, *words_of[1:]])}`, " if words_of else ""


def answers(run: results.Run) -> str:
    """What the report of a run opens with, as Markdown."""
    lines = [f"- **{one.question}** {one.text}" for one in words.of_run(run) if one.text]
    if not lines:
        raise results.ResultsError(f"{run.path}: its rows answer no question")
    return "\n".join(
        [
            *opening(run),
            *lines,
            "",
            f"{command(run)}commit {str(run.observations['git_sha'].iloc[0])[:12]}; rows, plan, machine and all figures in "
            f"[results/reference/{run.path.name}](results/reference/{run.path.name}).",
        ]
    )


def size(amount: float) -> str:
    """ "1.20 GB"."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= factor:
            return f"{number(amount / factor)} {unit}"
    return f"{amount:.0f} bytes"


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def costs(path: Path) -> str:
    """What scripts/studies/costs.py has measured of the two commands, as Markdown."""
    if not path.exists():
        return (
            "What they take in time, download and disk: `scripts/studies/costs.py` measures it on a machine; no measurement is "
            "committed."
        )
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        lines = ["| from a fresh clone | time | download | disk |", "| --- | --- | --- | --- |"]
        for name, one in measured["commands"].items():
            lines.append(
                f"| `make {name}` | {duration(one['seconds'])} | {size(one['clone_bytes'])} of clone, "
                f"{size(one['package_download_bytes'])} of packages | {size(one['disk_bytes'])}, "
                f"{size(one['package_disk_bytes'])} of packages |"
            )
        return "\n".join(
            [
                *lines,
                "",
                f"Time without installing packages, which the network decides; packages beyond a minimal Debian 12. "
                f"{measured['cpu']}, {plural(measured['cpus'], 'CPU')}, commit {measured['git_sha'][:12]}; "
                "`scripts/studies/costs.py` measures it.",
            ]
        )
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise results.ResultsError(
            f"{path}: {error!r}: write it again with scripts/studies/costs.py"
        ) from None


def drawn(run: results.Run, only: Sequence[str] = ()) -> dict[str, str]:
    """The figures of a run as SVG, by file name; those that the README shows in dark, too. What cannot be drawn is
    absent."""

    def svg(picture: style.Picture, drawn: drawing.Drawing) -> str:
        sink = io.StringIO()
        picture.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
        return sink.getvalue()

    found = {}
    for outcome in drawing.outcomes(run, svg, only):
        if outcome.value is None:
            continue
        name = outcome.drawing.name
        found[f"{name}.svg"] = outcome.value
        if name in SHOWN.values():
            found[f"{name}-dark.svg"] = style.darkened(outcome.value)
    return found


def shown(run: results.Run, sweep: str) -> dict[str, str]:
    """Those of drawn() that the README shows. ResultsError if they cannot be drawn."""
    found = drawn(run, [SHOWN[sweep]])
    if f"{SHOWN[sweep]}.svg" not in found:
        raise results.ResultsError(f"{run.path}: its figure {SHOWN[sweep]} cannot be drawn: measure {sweep}")
    return found


def take(path: Path, references: Path) -> Path:
    """Makes the run in `path` the reference of its sweep: plan, machine and rows, gzipped. A run that the README cannot
    be made of is refused, and the old one stays. Returns the new folder."""
    run = results.load(path)
    if run.disturbance.is_busy:
        raise results.ResultsError(
            f"{path}: {run.disturbance.sentence}: measure a reference on a quiet machine"
        )
    sweeps = {str(name).partition(".")[0] for name in run.observations["sweep"]}
    sweep = "full" if sweeps >= FULL and "quick" not in sweeps else next(iter(sweeps), "")
    if sweep != "full" and (len(sweeps) != 1 or sweep not in SHOWN):
        raise results.ResultsError(
            f"{path}: its sweeps are {', '.join(sorted(sweeps))}; a reference is a run of quick or pitfalls alone, or of "
            f"{', '.join(sorted(FULL))} together"
        )
    new, target, old = references / f".{sweep}.new", references / sweep, references / f".{sweep}.old"
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        for name in (
            "plan.json",
            "plan.toml",
            "machine.json",
            "tables.json",
            "disturbance.json",
            "pitfalls.json",
        ):
            if (run.path / name).exists():
                shutil.copyfile(run.path / name, new / name)
        plain, packed = run.path / "observations.csv", run.path / "observations.csv.gz"
        text = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        with open(new / "observations.csv.gz", "wb") as file:
            # Neither time nor name: the same rows give the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as sink:
                sink.write(text)
        taken = results.load(new)
        {"quick": findings, "pitfalls": gallery, "full": answers}[sweep](taken)
        shown(taken, sweep)
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return target


def put(text: str, name: str, body: str) -> str:
    """`text` with what stands between the markers of `name` replaced by `body`."""
    return document.spliced(text, BEGIN.format(name), END.format(name), body)


def picture(sweep: str, words: str) -> str:
    """A figure that follows the page's colours, as GitHub and browsers show it."""
    path = f"results/reference/{sweep}/plots/{SHOWN[sweep]}"
    return "\n".join(
        [
            "<picture>",
            f'  <source media="(prefers-color-scheme: dark)" srcset="{path}-dark.svg">',
            f'  <img alt="{words}" src="{path}.svg">',
            "</picture>",
        ]
    )


def written(text: str, references: Path) -> str:
    """README.md as the reference runs make it. Without a run of pitfalls its section says so."""
    quick = results.load(references / "quick")
    text = put(text, "picture", picture("quick", "Efficiency over task granularity on the reference machine"))
    text = put(text, "costs", costs(references / "costs.json"))
    text = put(text, "findings", findings(quick))
    full = "No full run is committed yet: `make bench-full` measures one."
    if (references / "full").is_dir():
        image = picture("full", "Which strategy wins at which task size and count on the reference machine")
        full = f"{image}\n\n{answers(results.load(references / 'full'))}"
    text = put(text, "full", full)
    if not (references / "pitfalls").is_dir():
        return put(text, "pitfalls", "No run of them is committed yet: `make pitfalls` measures them here.")
    body = gallery(results.load(references / "pitfalls"))
    image = picture("pitfalls", "How much each pitfall costs on the reference machine")
    return put(text, "pitfalls", f"{image}\n\n{body}")


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if --check finds a difference; 2 if a run cannot be read, or shows too little."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if README.md differs")
    parser.add_argument("--run", type=Path, help="print the findings of another run instead")
    parser.add_argument(
        "--take",
        metavar="RUN",
        type=Path,
        action="append",
        default=[],
        help="make this run a reference first",
    )
    arguments = parser.parse_args(argv)
    if arguments.take and (arguments.check or arguments.run is not None):
        parser.error("--take writes: leave --check and --run out")
    try:
        if arguments.run is not None:
            print(findings(results.load(arguments.run)))
            return 0
        for path in arguments.take:
            print(take(path, REFERENCES))
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        wanted = written(text, REFERENCES)
        differs = [] if wanted == text else ["README.md"]
        for sweep in SHOWN:
            if not (REFERENCES / sweep).is_dir():
                continue
            run = results.load(REFERENCES / sweep)
            plots = REFERENCES / sweep / "plots"
            found = shown(run, sweep)
            differs += [
                f"results/reference/{sweep}/plots/{name}"
                for name, svg in found.items()
                if not (plots / name).exists() or (plots / name).read_text(encoding="utf-8") != svg
            ]
            if not arguments.check:
                found |= drawn(run)
                shutil.rmtree(plots, ignore_errors=True)
                plots.mkdir()
                for name, svg in found.items():
                    (plots / name).write_text(svg, encoding="utf-8")
    except results.ResultsError as error:
        print(f"readme: {error}", file=sys.stderr)
        return error.status
    if arguments.check:
        if differs:
            print(
                f"not what the reference runs make: {', '.join(differs)}: run scripts/readme",
                file=sys.stderr,
            )
        return 1 if differs else 0
    if wanted != text:
        readme.write_text(wanted, encoding="utf-8")
    return 0

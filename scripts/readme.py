#!/usr/bin/env python3
"""Splices the findings of the committed reference run into README.md, or checks that they are the ones there.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # Started by its path: find scripts/ as a package, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import pandas as pd

from scripts import results, stats

ROOT: Final = Path(__file__).resolve().parent.parent
REFERENCE: Final = ROOT / "results" / "reference" / "quick"
BEGIN: Final = "<!-- findings: written by scripts/readme.py from {} -->"
END: Final = "<!-- end of findings -->"


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
    """Three significant digits without an exponent."""
    if not math.isfinite(value):
        return "–"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def interval(low: float, high: float) -> str:
    """ " [1.90–2.05]"; empty where there are too few rounds for one."""
    if math.isnan(low):
        return ""
    return f" [{number(low)}–{number(high) if math.isfinite(high) else 'unreached'}]"


def times(estimate: stats.Estimate) -> str:
    return f"{number(estimate.median)}×{interval(estimate.low, estimate.high)}"


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
    for strategy in ("std_thread", "openmp"):
        estimate = cells.ratio(alone, cells.where(strategy=strategy, workers=workers))
        who = f"`{strategy}` with {plural(workers, 'worker')}"
        yield f"| ETL of 24 files of 10 s: {who}, against `sequential` | {times(estimate)} as fast{verdict(estimate)} |"


def one_file(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "files")
    for strategy in ("std_thread", "openmp"):
        estimate = cells.ratio(
            cells.where(strategy="sequential", tasks=1), cells.where(strategy=strategy, tasks=1)
        )
        yield f"| One file, nothing to share: `{strategy}` against `sequential` | {times(estimate)} as fast{verdict(estimate)} |"


def granularity(run: results.Run) -> Iterator[str]:
    cells = Cells(run, "granularity")
    launches = cells.launches
    workers = int(launches["workers"].max())
    sizes = sorted(launches["task_size"].unique())
    for strategy in ("std_thread", "openmp"):
        task_ns: list[float] = []
        speed_ups: list[stats.Estimate] = []
        efficiencies: list[Any] = []
        for size in sizes:
            alone = cells.where(strategy="sequential", task_size=size)
            shared = cells.where(strategy=strategy, task_size=size)
            task_ns.append(float(alone["task_ns"].iloc[0]))
            speed_ups.append(cells.ratio(alone, shared))
            efficiencies.append(results.by_round(alone) / (workers * results.by_round(shared)))
        limit = stats.metg_threshold(workers)
        metg = stats.metg(task_ns, pd.concat(efficiencies, axis=1).to_numpy(dtype=float), limit)
        least = stats.break_even(task_ns, speed_ups)
        sign = "≤ " if metg.kind == "at_most" else ""
        reached = f"{sign}{number(metg.ns / 1e3)} µs{interval(metg.low / 1e3, metg.high / 1e3)}"
        if metg.kind == "unreached":
            reached = "unreached"
        pays = f"{number(least / 1e3)} µs" if least is not None else "no task size measured"
        yield (
            f"| From which task duration on does `{strategy}` pay (64 tasks)? | faster than one worker from {pays}; "
            f"{limit:.0%} efficient from {reached} |"
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
        cost = cells.ratio(cell("etl", strategy, 16), cell("etl", strategy, 1))
        yield f"| 24 files: chunk size 16 against 1 (`{strategy}`) | {times(cost)} as long{verdict(cost)} |"


def kernels(run: results.Run) -> Iterator[str]:
    for group, what in (("kernels", "Noise in memory"), ("kernels_etl", "The whole ETL, one worker")):
        cells = Cells(run, group)
        naive = cells.where(kernel="naive")
        present = [
            name
            for name in ("avx512", "avx2", "omp_simd", "scalar")
            if (cells.launches["kernel"] == name).any()
        ]
        for name in present:
            # `auto` is recorded as the kernel that ran: on a machine without AVX-512 that is avx2, twice.
            rows = cells.launches[cells.launches["kernel"] == name]
            rows = rows[rows["cell_id"] == rows["cell_id"].iloc[0]]
            estimate = cells.ratio(naive, rows)
            yield f"| {what}: `{name}` against `naive` | {times(estimate)} as fast{verdict(estimate)} |"


SECTIONS: Final[tuple[Callable[[results.Run], Iterator[str]], ...]] = (
    scaling,
    one_file,
    granularity,
    chunk,
    kernels,
)


def findings(run: results.Run) -> str:
    """The table as Markdown, with the machine and the run that it comes from."""
    lines = ["| question | finding |", "| --- | --- |"]
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


def spliced(text: str, table: str, source: str) -> str:
    """`text` with what stands between the markers replaced by `table`."""
    begin = BEGIN.format(source)
    if text.count(begin) != 1 or text.count(END) != 1 or text.index(begin) > text.index(END):
        raise results.ResultsError(
            f"README.md must hold the line '{begin}' and, after it, '{END}', once each"
        )
    head, rest = text.split(begin)
    return f"{head}{begin}\n{table}\n{END}{rest.split(END)[1]}"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if README.md differs")
    parser.add_argument("--run", type=Path, help="print the findings of another run instead")
    arguments = parser.parse_args(argv)
    try:
        if arguments.run is not None:
            print(findings(results.load(arguments.run)))
            return 0
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        wanted = spliced(text, findings(results.load(REFERENCE)), str(REFERENCE.relative_to(ROOT)))
    except results.ResultsError as error:
        print(f"readme.py: {error}", file=sys.stderr)
        return error.status
    if wanted == text:
        return 0
    if arguments.check:
        print(
            "README.md does not show the findings of the reference run: run scripts/readme.py",
            file=sys.stderr,
        )
        return 1
    readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    sys.exit(main(sys.argv[1:]))

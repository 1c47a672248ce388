"""How often intervals hold the truth that they are to hold, by simulation: the table in docs/METHOD.md.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final


import numpy as np

from scripts.lib import document, results, stats

BEGIN: Final = "<!-- coverage: written by scripts/studies/coverage -->"
END: Final = "<!-- end of coverage -->"

ROUNDS: Final = (6, 12, 18, 30)
NOISES: Final = (0.02, 0.05, 0.2)  # sigma of ln of one launch's efficiency
OVERHEAD: Final = 5_000.0  # ns per task
WORKERS: Final = 2
# Task durations in ns, as the sweeps have them: `quick` by factors of ten, `granularity` by factors of two. Where a grid
# lies is chance: a session's starts anywhere within its first step.
GRIDS: Final = {"×10": 1_000.0 * 10.0 ** np.arange(4), "×2": 100.0 * 2.0 ** np.arange(14)}
SEED: Final = 20


def median_coverage(rounds: int, sessions: int) -> float:
    """Share of sessions whose interval of the median holds 1, the median of what the values are drawn from."""
    values = np.random.default_rng([SEED, rounds]).lognormal(0, 0.3, (sessions, rounds))
    found = [stats.median_interval(session) for session in values]
    return float(np.mean([one.low <= 1 <= one.high for one in found]))


def added(duration: stats.Floats) -> stats.Floats:
    """The efficiency where overhead adds to the work of each task."""
    return np.asarray(duration / (duration + OVERHEAD))


def limited(duration: stats.Floats) -> stats.Floats:
    """The efficiency where one dispatcher is the limit until tasks are long enough."""
    return np.asarray(duration / np.maximum(duration, OVERHEAD))


Law = Callable[[stats.Floats], stats.Floats]
LAWS: Final[dict[Law, float]] = {
    added: OVERHEAD * stats.metg_threshold(WORKERS) / (1 - stats.metg_threshold(WORKERS)),
    limited: OVERHEAD * stats.metg_threshold(WORKERS),
}


def metg_sessions(law: Law, grid: str, rounds: int, noise: float, sessions: int) -> tuple[float, float]:
    """Share of sessions whose METG interval holds the METG of the law itself, and the bias of the estimate's median."""
    generator = np.random.default_rng([SEED, rounds, round(1000 * noise)])
    step = GRIDS[grid][1] / GRIDS[grid][0]
    found = []
    for _ in range(sessions):
        durations = GRIDS[grid] * step ** generator.uniform(-0.5, 0.5)
        observed = law(durations) * generator.lognormal(0, noise, (rounds, len(durations)))
        found.append(stats.metg(durations, observed, stats.metg_threshold(WORKERS)))
    held = np.mean([one.low <= LAWS[law] <= one.high for one in found])
    return float(held), float(np.median([one.ns for one in found])) / LAWS[law] - 1


def table(sessions: int) -> str:
    """The Markdown table, with what one standard error of its numbers is."""
    kinds = [(law, grid) for law in LAWS for grid in GRIDS]
    titles = "".join(f" METG, overhead {getattr(law, '__name__')}, {grid} |" for law, grid in kinds)
    lines = [
        f"| rounds | launches spread by | median, exact | median, simulated |{titles}",
        "| --- |" + " --- |" * (3 + len(kinds)),
    ]
    for rounds in ROUNDS:
        exact = stats.interval_coverage(rounds, stats.interval_rank(rounds))
        simulated = median_coverage(rounds, 10 * sessions)
        for noise in NOISES:
            cells = [f"{noise:.0%}", f"{exact:.1%}", f"{simulated:.1%}"]
            for law, grid in kinds:
                held, bias = metg_sessions(law, grid, rounds, noise, sessions)
                cells.append(f"{held:.1%}, {bias:+.0%}")
            lines.append(f"| {rounds} | {' | '.join(cells)} |")
    error = (0.95 * 0.05 / sessions) ** 0.5
    lines += [
        "",
        f"How often a 95% interval held the truth, in {sessions:,} simulated sessions each ({10 * sessions:,} for the median; "
        f"one standard error of the METG columns: {error:.1%}); for METG, the bias of the estimate, too. {OVERHEAD:,.0f} ns of "
        f"overhead per task, {WORKERS} workers, on steps of ten from about 1 µs and of two from about 100 ns: added to the "
        "work of each task, or limiting it (one dispatcher, until tasks are long enough). Launches are lognormal. Written by "
        f"`scripts/studies/coverage --sessions {sessions}`.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if the document cannot be written; 2 if it has no place for the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=1000, help="simulated sessions for each METG (1000)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    arguments = parser.parse_args(argv)
    if arguments.sessions < 1:
        print(f"coverage: --sessions must be at least 1, not {arguments.sessions}", file=sys.stderr)
        return 2
    found = table(arguments.sessions)
    if arguments.write is None:
        print(found)
        return 0
    try:
        text = document.spliced(arguments.write.read_text(encoding="utf-8"), BEGIN, END, found)
        arguments.write.write_text(text, encoding="utf-8")
    except (OSError, results.ResultsError) as error:
        print(f"coverage: {arguments.write}: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) else 2
    return 0

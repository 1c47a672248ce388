#!/usr/bin/env python3
"""How often intervals hold the truth that they are to hold, by simulation: the table in docs/METHOD.md.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    # Started by its path: find scripts/ as a package, and nothing by this folder's bare names.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from scripts.lib import interpreter

    interpreter.require()

import numpy as np

from scripts.lib import document, results, stats

BEGIN: Final = "<!-- coverage: written by scripts/studies/coverage.py -->"
END: Final = "<!-- end of coverage -->"

ROUNDS: Final = (6, 12, 18, 30)
NOISES: Final = (0.02, 0.05, 0.2)  # sigma of ln of one launch's efficiency
OVERHEAD: Final = 5_000.0  # ns per task
GRID: Final = 100.0 * 2.0 ** np.arange(14)  # ns
WORKERS: Final = 2
SEED: Final = 20


def median_coverage(rounds: int, sessions: int) -> float:
    """Share of sessions whose interval of the median holds 1, the median of what the values are drawn from."""
    values = np.random.default_rng([SEED, rounds]).lognormal(0, 0.3, (sessions, rounds))
    found = [stats.median_interval(session) for session in values]
    return float(np.mean([one.low <= 1 <= one.high for one in found]))


def metg_coverage(rounds: int, noise: float, sessions: int, resamples: int = 500) -> float:
    """Share of sessions whose METG interval holds the METG of the curve without noise. The curve is the one that is
    interpolated: interpolation's own error, the same in every session, is not noise."""
    curve = GRID / (GRID + OVERHEAD)
    threshold = stats.metg_threshold(WORKERS)
    truth = stats.crossing(GRID, curve, threshold)[0]
    generator = np.random.default_rng([SEED, rounds, round(1000 * noise)])
    hits = 0
    for session in range(sessions):
        observed = curve * generator.lognormal(0, noise, (rounds, len(GRID)))
        metg = stats.metg(GRID, observed, threshold, resamples=resamples, seed=session)
        hits += metg.low <= truth <= metg.high
    return hits / sessions


def table(sessions: int) -> str:
    """The Markdown table, with what one standard error of its numbers is."""
    noises = "".join(f" METG, launches spread by {noise:.0%} |" for noise in NOISES)
    lines = [
        f"| rounds | median, exact | median, simulated |{noises}",
        "| --- |" + " --- |" * (2 + len(NOISES)),
    ]
    for rounds in ROUNDS:
        exact = stats.interval_coverage(rounds, stats.interval_rank(rounds))
        cells = [f"{exact:.1%}", f"{median_coverage(rounds, 10 * sessions):.1%}"]
        cells += [f"{metg_coverage(rounds, noise, sessions):.1%}" for noise in NOISES]
        lines.append(f"| {rounds} | {' | '.join(cells)} |")
    error = (0.95 * 0.05 / sessions) ** 0.5
    lines += [
        "",
        f"How often a 95% interval held the truth, in {sessions:,} simulated sessions each ({10 * sessions:,} for the median; "
        f"one standard error of the METG columns: {error:.1%}). The curve: {len(GRID)} task durations from "
        f"{GRID[0]:,.0f} ns by factors of 2, {OVERHEAD:,.0f} ns of overhead per task, {WORKERS} workers; launches are "
        f"lognormal. Written by `scripts/studies/coverage.py --sessions {sessions}`.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Exit status: 0; 1 if the document cannot be written; 2 if it has no place for the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=1000, help="simulated sessions for each METG (1000)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    arguments = parser.parse_args(argv)
    if arguments.sessions < 1:
        print(f"coverage.py: --sessions must be at least 1, not {arguments.sessions}", file=sys.stderr)
        return 2
    found = table(arguments.sessions)
    if arguments.write is None:
        print(found)
        return 0
    try:
        text = document.spliced(arguments.write.read_text(encoding="utf-8"), BEGIN, END, found)
        arguments.write.write_text(text, encoding="utf-8")
    except (OSError, results.ResultsError) as error:
        print(f"coverage.py: {arguments.write}: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) else 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    sys.exit(main(sys.argv[1:]))

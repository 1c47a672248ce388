"""The verdicts of comparing two builds, from the rows of a run with both: verdicts.json, summary.md, a figure.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plots import style
from plots.figures import gate as figure
from scripts.lib import results, stats, verdicts
from scripts.lib.results import ResultsError


def write_report(report: verdicts.Report, folder: Path) -> None:
    """verdicts.json, summary.md and plots/gate.{svg,png}."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("verdicts.json", report.as_json()), ("summary.md", verdicts.summary(report))):
        temporary = folder / f".{name}.{os.getpid()}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)
    with style.settings():
        style.write(figure.draw(report), folder / "plots", "gate")


def parse_margin(text: str) -> float:
    """ "1%" or "0.01", as a fraction."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no margin: give a share such as 1% or 0.01")
    return value


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 done; 1 a regression or a failed cell; 2 nothing that may be compared; 4 inconclusive, with
    --strict."""
    parser = argparse.ArgumentParser(prog="gate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the folder of noisefloor run SWEEP --base BIN")
    parser.add_argument(
        "--confirm", metavar="RUN", help="fresh rounds of the cells that --flagged names: they decide"
    )
    parser.add_argument(
        "--flagged",
        action="store_true",
        help="print the --filter for the cells to confirm (nothing: none), and end",
    )
    parser.add_argument(
        "--from-google-benchmark",
        nargs=2,
        metavar=("BASE.json", "HEAD.json"),
        help="compare two outputs of Google Benchmark instead, which were not measured in turns",
    )
    parser.add_argument("--margin", type=parse_margin, default=None, help="least change that counts (1%%)")
    parser.add_argument("--strict", action="store_true", help="exit 4 if the session is inconclusive")
    parser.add_argument("--removed", action="append", default=[], metavar="CELL", help=argparse.SUPPRESS)
    parser.add_argument(
        "--names", nargs=2, metavar=("BASE", "HEAD"), help="how the builds are called in the report"
    )
    parser.add_argument("--note", action="append", default=[], metavar="TEXT", help="a remark for the report")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (default: RUN)")
    try:
        arguments = parser.parse_args(argv)
        if (arguments.run is None) == (arguments.from_google_benchmark is None):
            parser.error("give RUN, or --from-google-benchmark BASE.json HEAD.json")
    except SystemExit as end:
        return int(end.code or 0)
    try:
        if arguments.from_google_benchmark:
            base, head = (Path(name) for name in arguments.from_google_benchmark)
            report = verdicts.compare_google_benchmark(
                base, head, margin=stats.GATE_MARGIN if arguments.margin is None else arguments.margin
            )
            print(f"gate: warning: {verdicts.NOT_INTERLEAVED}", file=sys.stderr)
        else:
            screen = results.load(arguments.run)
            if arguments.flagged:
                verdicts.check_comparable(screen, None)
                wanted = verdicts.filter_of(screen, verdicts.plan_confirmation(screen).cells)
                if wanted:
                    print(wanted)
                return 0
            report = verdicts.make_report(
                screen,
                results.load(arguments.confirm) if arguments.confirm else None,
                margin=arguments.margin,
                removed=arguments.removed,
                names=(arguments.names[0], arguments.names[1]) if arguments.names else None,
                notes=arguments.note,
            )
    except ResultsError as error:
        print(f"gate: {error}", file=sys.stderr)
        return error.status
    folder = arguments.out or (Path(arguments.run) if arguments.run else None)
    if folder is not None:
        try:
            write_report(report, folder)
        except OSError as error:
            print(f"gate: {error.filename or folder}: {error.strerror}", file=sys.stderr)
            return 1
    print(verdicts.summary(report), end="")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print("\n".join(verdicts.workflow_commands(report)))
    return report.status(strict=arguments.strict)

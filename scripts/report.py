"""Writes the report of a run: one HTML file.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from plots import report
from scripts.lib import results


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
    parser = argparse.ArgumentParser(prog="report", description="Writes the report of a run: one HTML file.")
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
            print(f"report: {error}", file=sys.stderr)
            status = error.status
            if not target.parent.is_dir() or not (path.exists() or arguments.out):
                return status
            write(report.failed(path, error), target)
        else:
            for warning in run.warnings:
                print(f"report: warning: {warning}", file=sys.stderr)
            write(report.build(run), target)
    except OSError as error:
        print(f"report: {error.filename or target}: {error.strerror}", file=sys.stderr)
        return 1
    print(target.resolve())
    return status

"""The README says what the reference run found, and neither more nor less.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

from plots import style
from scripts import readme
from scripts.lib import results
from tests.python import synthetic

MACHINE: dict[str, Any] = {**synthetic.MACHINE, "virtual_machine": False, "build": {"compiler": "GNU 12"}}


def cells(workers: int = 2) -> list[synthetic.Cell]:
    """quick_cells() as the sweep quick has them now, with the groups that it lacks."""
    found = []
    for cell in synthetic.quick_cells(workers):
        if cell["strategy"] != "openmp" or cell["sweep"] != "quick.granularity":
            found.append(cell)
        elif cell["schedule"] == "static":
            found.append({**cell, "schedule": "", "chunk_size": 1})
    for tasks in (1, 24):
        files: synthetic.Cell = {"sweep": "quick.files", "tasks": tasks}
        found.append(synthetic.cell(**files))
        found += [synthetic.cell(**files, strategy=s, workers=workers) for s in ("std_thread", "openmp")]
    for kernel in ("naive", "scalar", "avx2"):
        found.append(synthetic.cell(sweep="quick.kernels", workload="noise", kernel=kernel))
        found.append(synthetic.cell(sweep="quick.kernels_etl", kernel=kernel))
    for strategy, count in (("sequential", 1), ("std_thread", workers)):
        own: synthetic.Cell = {"sweep": "quick.limit", "strategy": strategy, "workers": count}
        found += [synthetic.cell(**own), synthetic.cell(**own, workload="copy", kernel="")]
    for strategy in ("std_thread", "python_pool_map"):
        found.append(synthetic.cell(sweep="quick.reference", strategy=strategy, workers=workers))
    return found


def wall_ns(cell: synthetic.Cell) -> float:
    """OpenMP is half as fast as it should be; one file is not shared; naive noise takes four times as long."""
    wall = synthetic.model_wall_ns(cell)
    if cell["tasks"] == 1:
        wall *= cell["workers"]
    return wall * (
        2.5
        if cell["strategy"] == "openmp"
        else 4
        if cell["kernel"] == "naive" or cell["strategy"] == "python_pool_map"
        else 1
    )


class Findings(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"

    def findings(self, rounds: int = 6, machine: dict[str, Any] | None = None, workers: int = 2) -> list[str]:
        rows = synthetic.observations(cells(workers), wall_ns, rounds=rounds, noise=0.001)
        synthetic.write_run(self.folder, rows, MACHINE if machine is None else machine)
        return readme.findings(results.load(self.folder)).splitlines()

    def line(self, lines: list[str], *words: str) -> str:
        found = [line for line in lines if all(word in line for word in words)]
        self.assertEqual(len(found), 1, words)
        return found[0].split(" | ")[1].rstrip(" |")

    def test_ratios_are_those_of_the_model_whichever_way_they_go(self) -> None:
        lines = self.findings()
        self.assertRegex(
            self.line(lines, "24 files of 441,000 samples", "std_thread"), r"^(1\.99|2\.0\d)× \[.*\] as fast$"
        )
        slow = self.line(lines, "24 files of 441,000 samples", "openmp")
        self.assertRegex(slow, r"^0\.(79|80)× \[0\.\d\d–0\.\d\d\] as fast$")
        self.assertRegex(self.line(lines, "Noise in memory", "avx2"), r"^(3\.9|4\.0)\d× ")
        self.assertRegex(self.line(lines, "Pool.map"), r"^(3\.9|4\.0)\d× ")
        self.assertRegex(
            self.line(lines, "plain copy", "sequential"), r"^(0\.99|1\.00)× .* as long; may be noise"
        )
        self.assertIn("with 2 workers", "".join(lines))

    def test_what_a_run_did_not_measure_has_no_line(self) -> None:
        some = [one for one in cells() if one["sweep"] not in ("quick.limit", "quick.reference")]
        rows = synthetic.observations(some, wall_ns, rounds=6, noise=0.001)
        synthetic.write_run(self.folder, rows, MACHINE)
        text = readme.findings(results.load(self.folder))
        self.assertNotIn("Pool.map", text)
        self.assertNotIn("plain copy", text)

    def test_the_threshold_of_the_model_is_found(self) -> None:
        # 1 µs on top of each task: 50% at 1 µs, 75% at 3 µs.
        pays = self.line(self.findings(), "does `std_thread` pay")
        self.assertRegex(pays, r"75% efficient from (2\.9|3\.0)\d µs \[\d\.\d+–\d\.\d+\]$")

    def test_too_few_rounds_have_no_interval(self) -> None:
        lines = self.findings(rounds=3)
        self.assertRegex(
            self.line(lines, "24 files of 441,000 samples", "std_thread"),
            r"^\d\.\d\d× as fast; too few rounds",
        )
        self.assertNotIn("–unreached", "".join(lines))

    def test_the_machine_is_the_one_that_measured(self) -> None:
        text = self.findings()[-1]
        self.assertIn("Synthetic CPU 3000, 2 CPUs, GNU 12", text)
        self.assertNotIn("virtual", text)
        one = self.findings(machine={**MACHINE, "workers": 1, "virtual_machine": True}, workers=1)
        self.assertIn("1 CPU of a virtual machine", one[-1])
        self.assertIn("with 1 worker,", "".join(one))

    def test_a_run_of_an_unknown_machine_is_refused(self) -> None:
        with self.assertRaisesRegex(results.ResultsError, "which machine"):
            self.findings(machine={})


PAGE = "".join(
    f"{readme.BEGIN.format(name)}\n{readme.END.format(name)}\n"
    for name in ("picture", "costs", "findings", "full", "pitfalls")
)


class References(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)
        self.references = self.top / "reference"

    def run_of(self, sweep: str) -> Path:
        if sweep == "quick":
            rows = synthetic.observations(cells(), wall_ns, rounds=6, noise=0.001)
        else:
            rows = synthetic.observations(
                synthetic.pitfall_cells(),
                synthetic.pitfall_wall_ns,
                rounds=6,
                status=synthetic.pitfall_status,
            )
        return synthetic.write_run(self.top / sweep, rows, MACHINE)

    def test_a_run_that_is_taken_is_the_reference_of_its_sweep_and_the_same_bytes_again(self) -> None:
        for sweep in ("quick", "pitfalls"):
            run = self.run_of(sweep)
            target = readme.take(run, self.references)
            self.assertEqual(target, self.references / sweep)
            packed = (target / "observations.csv.gz").read_bytes()
            self.assertEqual(gzip.decompress(packed), (run / "observations.csv").read_bytes())
            readme.take(target, self.references)
            self.assertEqual((target / "observations.csv.gz").read_bytes(), packed)
        self.assertEqual(sorted(path.name for path in self.references.iterdir()), ["pitfalls", "quick"])
        text = readme.written(PAGE, self.references)
        self.assertIn("`std_thread` with 2 workers", text)
        self.assertIn("[ten_times](docs/PITFALLS.md#ten_times)", text)

    def test_a_run_that_shows_too_little_is_refused_and_the_reference_stays(self) -> None:
        target = readme.take(self.run_of("quick"), self.references)
        before = (target / "observations.csv.gz").read_bytes()
        rows = synthetic.observations(synthetic.quick_cells(), rounds=6)
        poor = synthetic.write_run(self.top / "poor", rows, MACHINE)
        with self.assertRaises(results.ResultsError):
            readme.take(poor, self.references)
        other = synthetic.write_run(
            self.top / "other", synthetic.observations([synthetic.cell(sweep="chunk.chunk")]), MACHINE
        )
        with self.assertRaisesRegex(
            results.ResultsError, "a run of quick or pitfalls alone, or of chunk, delivery, "
        ):
            readme.take(other, self.references)
        self.assertEqual((target / "observations.csv.gz").read_bytes(), before)
        self.assertEqual([path.name for path in self.references.iterdir()], ["quick"])

    def test_a_run_of_all_full_sweeps_is_the_reference_full_and_its_answers_are_shown(self) -> None:
        readme.take(self.run_of("quick"), self.references)
        self.assertIn("No full run is committed yet", readme.written(PAGE, self.references))
        spin: synthetic.Cell = {"workload": "spin", "kernel": "", "format": ""}
        rows = [
            synthetic.cell(sweep=f"{sweep}.{sweep}", strategy=strategy, workers=workers, tasks=tasks, **spin)
            for sweep in sorted(readme.FULL)
            for strategy, workers in (("sequential", 1), ("std_thread", 2))
            for tasks in (8, 64)
        ]
        run = synthetic.write_run(self.top / "full", synthetic.observations(rows, rounds=6), MACHINE)
        self.assertEqual(readme.take(run, self.references), self.references / "full")
        text = readme.written(PAGE, self.references)
        self.assertIn("results/reference/full/plots/map.svg", text)
        self.assertIn("**Which strategy?** For ", text)

    def test_without_a_run_of_pitfalls_the_page_says_so(self) -> None:
        readme.take(self.run_of("quick"), self.references)
        self.assertIn("No run of them is committed yet", readme.written(PAGE, self.references))

    def test_every_pitfall_of_a_run_has_its_place(self) -> None:
        text = readme.gallery(results.load(self.run_of("pitfalls")))
        self.assertRegex(
            text, r"\| \[ten_times\]\(docs/PITFALLS.md#ten_times\) \| .+ \| ×(10\.\d|9\.\d\d) \["
        )
        self.assertRegex(text, r"\[sticks\].* \| hangs \|")
        self.assertRegex(text, r"\[lies\].* \| wrong \|")
        self.assertRegex(text, r"Not shown by this run: .*`elsewhere` \(not applicable: it takes two CPUs\)")

    def test_costs_are_those_of_the_file_or_said_to_be_missing(self) -> None:
        path = self.top / "costs.json"
        self.assertIn("no measurement is committed", readme.costs(path))
        one = {
            "seconds": 247.4,
            "clone_bytes": 2_500_000,
            "package_download_bytes": 210_000_000,
            "package_disk_bytes": 1_100_000_000,
            "disk_bytes": 640_000_000,
        }
        facts = {"cpu": "A CPU", "cpus": 2, "git_sha": "0123456789abcdef", "commands": {"bench": one}}
        path.write_text(json.dumps(facts), encoding="utf-8")
        self.assertIn(
            "| `make bench` | 4 min 7 s | 2.50 MB of clone, 210 MB of packages | 640 MB, 1.10 GB of packages |",
            readme.costs(path),
        )
        path.write_text("{}", encoding="utf-8")
        with self.assertRaisesRegex(results.ResultsError, "scripts/studies/costs.py"):
            readme.costs(path)


class Dark(unittest.TestCase):
    def test_the_colours_are_those_of_the_report(self) -> None:
        css = (readme.ROOT / "plots" / "report.css").read_text(encoding="utf-8")
        dark = css[css.index("@media (prefers-color-scheme: dark)") :]
        found = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", dark[: dark.index("}")]))
        names = {
            style.PAPER: "paper",
            style.INK: "ink",
            style.MUTED: "muted",
            style.GRID: "grid",
            style.BAND: "band",
        }
        names |= {color: f"s{i}" for i, color in enumerate(style.PALETTE)}
        self.assertEqual({light: found[name] for light, name in names.items()}, style.DARK)

    def test_every_colour_of_the_style_changes_and_no_other(self) -> None:
        svg = '<svg a="1"><path style="fill: #0072b2; stroke: #123456"/><path style="fill: #ffffff"/></svg>'
        self.assertEqual(
            style.darkened(svg),
            '<svg fill="#f4f4f4" a="1"><path style="fill: #4aa3df; stroke: #123456"/>'
            '<path style="fill: #16181b"/></svg>',
        )


if __name__ == "__main__":
    unittest.main()

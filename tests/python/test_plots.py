"""Figures show the known answers of a made-up run, say what they leave out, and never overlap.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import contextlib
import io
import random
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text


from plots import drawing, layout, style, table
from plots.figures import (
    chunk,
    delivery,
    files,
    granularity,
    limit,
    map,
    quality,
    stages,
    strategies,
    workers,
)
from scripts import figures
from scripts.lib import naming, prose, results, stats
from tests.python import synthetic

ROOT = Path(__file__).resolve().parents[2]


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"

    def load(self, cells: list[synthetic.Cell], **how: Any) -> results.Run:
        synthetic.write_run(self.folder, synthetic.observations(cells, **how))
        return results.load(self.folder)

    def run_main(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = figures.main(argv)
        return status, out.getvalue(), err.getvalue()


def launches_of(run: results.Run, group: str) -> Any:
    return results.launch_values(results.select_group(run.observations, group), "wall_ns")


def texts(figure: Figure) -> list[Any]:
    """Every text that is drawn; ticks beyond the end of an axis have one that is not."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {id(tick.label1) for tick in ticks if not low <= tick.get_loc() <= high}
    return [
        artist
        for artist in figure.findobj(Text)
        if artist.get_text().strip() and artist.get_visible() and id(artist) not in hidden
    ]


def written(figure: Figure) -> str:
    return " ".join(artist.get_text() for artist in texts(figure))


class Strategies(Folder):
    def test_times_and_speed_ups_are_those_of_the_model_despite_drift(self) -> None:
        run = self.load(synthetic.quick_cells(4), noise=0.002, drift=0.3, rounds=9)
        found = strategies.entries(launches_of(run, "strategies"))
        self.assertEqual(
            [entry.label for entry in found],
            ["sequential"]
            + [f"{s} · {p}" for s in ("std_thread", "openmp") for p in ("1 worker", "4 workers")],
        )
        for entry, expected in zip(found, (1, 1, 4, 1, 4)):
            assert entry.speed_up is not None
            self.assertAlmostEqual(entry.speed_up.median / expected, 1, delta=0.02)
            self.assertEqual(entry.speed_up.n, 9)
        self.assertTrue(found[0].is_baseline)
        self.assertFalse(any(entry.is_baseline for entry in found[1:]))

    def test_another_kernel_is_never_the_baseline(self) -> None:
        cells = [synthetic.cell(kernel="naive"), synthetic.cell(strategy="openmp", workers=2)]
        run = self.load(cells)
        found = strategies.entries(launches_of(run, "strategies"))
        self.assertEqual([entry.label for entry in found], ["sequential", "openmp · 2 workers"])
        self.assertIsNone(found[1].speed_up)
        self.assertIn("no sequential of its kind", written(strategies.draw(run, run.observations)))

    def test_a_chunk_is_compared_with_the_same_chunk_of_sequential_where_there_is_one(self) -> None:
        def wall(cell: synthetic.Cell) -> float:
            return float({1: 8e6, 64: 1e6}[cell["chunk_size"]] / cell["workers"])

        cells = [synthetic.cell(workload="multiply", chunk_size=c) for c in (1, 64)]
        cells += [
            synthetic.cell(workload="multiply", strategy="openmp", workers=2, chunk_size=c) for c in (1, 64)
        ]
        synthetic.write_run(self.folder, synthetic.observations(cells, wall, noise=0.001))
        found = strategies.entries(launches_of(results.load(self.folder), "strategies"))
        for entry in found[2:]:
            assert entry.speed_up is not None
            self.assertAlmostEqual(entry.speed_up.median, 2, delta=0.02)

    def test_times_that_differ_by_orders_of_magnitude_get_a_logarithmic_axis(self) -> None:
        cells = [synthetic.cell(), synthetic.cell(strategy="async", workers=2)]
        run = self.load(cells)
        self.assertEqual(strategies.draw(run, run.observations).axes[0].get_xscale(), "linear")
        rows = synthetic.observations(cells, lambda c: 1e3 if c["strategy"] == "async" else 1e6)
        synthetic.write_run(self.folder, rows)
        run = results.load(self.folder)
        self.assertEqual(strategies.draw(run, run.observations).axes[0].get_xscale(), "log")

    def test_what_varies_within_a_strategy_is_named(self) -> None:
        cells = [synthetic.cell(strategy="openmp", schedule=s, workers=2) for s in ("static", "guided")]
        found = strategies.entries(launches_of(self.load(cells), "strategies"))
        self.assertEqual(
            [entry.label for entry in found], ["openmp guided · 2 workers", "openmp static · 2 workers"]
        )

    def test_skipped_and_failed_launches_are_said_and_not_drawn(self) -> None:
        def status(cell: synthetic.Cell) -> tuple[str, str]:
            if cell["strategy"] == "openmp":
                return "skipped", "no OpenMP: costs $1 or $2."
            return ("timeout", "") if cell["workers"] == 2 else ("ok", "")

        cells = [c for c in synthetic.quick_cells() if c["sweep"] == "quick.strategies"]
        run = self.load(cells, status=status)
        with style.settings():
            figure = strategies.draw(run, run.observations)
        text = written(figure)
        self.assertIn("count as longer than all others: 6 of std_thread", text)
        self.assertIn(" overran its deadline ", text)
        self.assertNotIn("∞", text)
        self.assertIn("12 launches of openmp skipped (no OpenMP: costs $1 or $2)", text.replace("\n", " "))
        self.assertNotIn("openmp ·", text)


class Granularity(Folder):
    def test_metg_and_break_even_of_a_known_overhead_are_found(self) -> None:
        run = self.load(synthetic.quick_cells(4), noise=0.01, drift=0.3, rounds=12)
        by_label = {one.label: one for one in granularity.series(launches_of(run, "granularity"))}
        self.assertEqual(
            set(by_label), {"std_thread", "openmp static · chunk 500", "openmp dynamic · chunk 1"}
        )
        pool = by_label["std_thread"]
        self.assertEqual(pool.task_ns, [100, 1_000, 10_000, 100_000, 1_000_000])
        for estimate, task_ns in zip(pool.efficiency, pool.task_ns):
            self.assertAlmostEqual(estimate.median, task_ns / (task_ns + 1000), delta=0.03)
        # overhead · 0.5 / 0.5; a grid of decades interpolates to within the interval of one point.
        self.assertAlmostEqual(pool.metg.ns / 1000, 1, delta=0.15)
        # At 100 ns: 4 workers at 9% are slower than one; at 1000 ns: 4 · 50% = 2 times as fast. As fast at 25%.
        self.assertEqual(pool.surely_faster_ns, 1_000)
        self.assertTrue(100 < pool.pays.ns < 1000, pool.pays.ns)
        free = by_label["openmp static · chunk 500"]
        self.assertEqual((free.metg.kind, free.pays.kind, free.surely_faster_ns), ("at_most", "at_most", 100))

    def test_worker_counts_are_told_apart_and_have_their_own_threshold(self) -> None:
        cells = [
            c
            for c in synthetic.quick_cells(2) + synthetic.quick_cells(4)
            if c["sweep"].endswith("granularity")
        ]
        unique = {synthetic.cell_id(c): c for c in cells}
        run = self.load(list(unique.values()), rounds=8)
        found = granularity.series(launches_of(run, "granularity"))
        self.assertIn("std_thread · 2 workers", [one.label for one in found])
        text = written(granularity.draw(run, run.observations))
        self.assertIn("METG threshold 75% (2 workers)", text)
        self.assertIn("METG threshold 50% (4 workers)", text)

    def test_without_a_sequential_cell_it_says_what_is_needed(self) -> None:
        cells = [c for c in synthetic.quick_cells() if c["strategy"] != "sequential"]
        run = self.load(cells)
        _, remarks = drawing.draw_all(run, self.folder / "plots", ["granularity"])
        self.assertIn("measure them together", remarks[0])

    def test_a_wild_interval_is_cut_and_said_but_no_point_is(self) -> None:
        run = self.load(synthetic.quick_cells(), noise=1.5, drift=0)
        rows = results.select_group(run.observations, "granularity")
        lines = granularity.series(results.launch_values(rows, "wall_ns"))
        figure = granularity.draw(run, rows)
        top = figure.axes[0].get_ylim()[1]
        self.assertGreater(max(100 * e.high for one in lines for e in one.efficiency), top)
        self.assertLess(max(100 * e.median for one in lines for e in one.efficiency), top)
        self.assertIn("goes on beyond it", " ".join(written(figure).split()))

    def test_metg_is_described_as_what_it_is(self) -> None:
        nan, inf = float("nan"), float("inf")
        self.assertEqual(
            granularity.describe_metg(stats.Metg(inf, inf, inf, "unreached", 6)), "METG unreached"
        )
        self.assertEqual(
            granularity.describe_metg(stats.Metg(2500, 2000, inf, "reached", 6)),
            "METG 2.50 µs [2.00 µs, unreached]",
        )
        self.assertEqual(granularity.describe_metg(stats.Metg(100, 100, 100, "at_most", 6)), "METG ≤ 100 ns")
        self.assertIn("no interval", granularity.describe_metg(stats.Metg(100, nan, nan, "reached", 3)))


class Chunk(Folder):
    def test_the_best_is_1_and_the_others_are_what_the_model_says(self) -> None:
        run = self.load(synthetic.quick_cells(), noise=0.002, drift=0.3, rounds=9)
        spin = launches_of(run, "chunk")
        found = chunk.series(spin[spin["workload"] == "spin"])
        self.assertEqual([one.label for one in found], ["std_thread", "openmp"])
        for one in found:
            self.assertEqual((one.chunks, one.best), ([1, 4, 16], 16))
            best = 2000 + 1000 / 16
            for ratio, size in zip(one.ratios, one.chunks):
                self.assertAlmostEqual(ratio.median, (2000 + 1000 / size) / best, delta=0.01)
            self.assertEqual((one.ratios[2].low, one.ratios[2].high), (1, 1))

    def test_each_batch_has_its_own_panel(self) -> None:
        run = self.load(synthetic.quick_cells())
        figure = chunk.draw(run, results.select_group(run.observations, "chunk"))
        self.assertEqual(
            [axes.get_title(loc="left") for axes in figure.axes],
            ["24 etl tasks of size 441,000 (int16)", "4,096 spin tasks of size 800"],
        )


class Scaling(Folder):
    def test_a_known_serial_share_is_found_up_to_the_cpus_and_not_beyond(self) -> None:
        def wall(cell: synthetic.Cell) -> float:
            workers = min(cell["workers"], 4)  # 4 CPUs: more workers gain nothing
            return float(1e7 * (0.1 + 0.9 / workers))

        cells = [synthetic.cell(sweep="workers")]
        cells += [synthetic.cell(sweep="workers", strategy="openmp", workers=p) for p in (1, 2, 4, 8, 16)]
        synthetic.write_run(
            self.folder, synthetic.observations(cells, wall, noise=0.002, rounds=9), {"workers": 4}
        )
        run = results.load(self.folder)
        (one,) = workers.series(launches_of(run, "workers"), 4)
        assert one.serial is not None
        self.assertAlmostEqual(one.serial.median, 0.1, delta=0.005)
        self.assertEqual(one.workers, [1, 2, 4, 8, 16])
        self.assertAlmostEqual(one.speed_ups[-1].median, 1 / (0.1 + 0.9 / 4), delta=0.05)
        self.assertIn("more workers than the 4 CPUs", written(workers.draw(run, run.observations)))

    def test_one_worker_count_says_nothing_of_scaling(self) -> None:
        cells = [
            synthetic.cell(sweep="workers"),
            synthetic.cell(sweep="workers", strategy="openmp", workers=2),
        ]
        run = self.load(cells)
        self.assertEqual(workers.series(launches_of(run, "workers"), None), [])
        _, remarks = drawing.draw_all(run, self.folder / "plots", ["workers"])
        self.assertEqual(len(remarks), 1)
        self.assertIn("measure the sweep workers", remarks[0])


class Map(Folder):
    def grid(self, noise: float) -> dict[tuple[int, int], map.Place]:
        def wall(cell: synthetic.Cell) -> float:
            start = {"sequential": 0, "openmp": 1_000, "tbb": 1_010}[cell["strategy"]]
            return float(start + cell["tasks"] * cell["task_ns"] / cell["workers"])

        cells = [
            synthetic.cell(
                sweep="map", workload="spin", strategy=s, workers=p, tasks=n, task_size=t, task_ns=t
            )
            for s, p in (("sequential", 1), ("openmp", 2), ("tbb", 2))
            for n in (2, 1000)
            for t in (10, 10_000)
        ]
        synthetic.write_run(self.folder, synthetic.observations(cells, wall, noise=noise, rounds=9))
        run = results.load(self.folder)
        return {(one.tasks, one.task_size): one for one in map.places(launches_of(run, "map"))}

    def test_the_winner_of_each_place_is_the_fastest_and_its_margin_that_of_the_next(self) -> None:
        grid = self.grid(noise=0.0005)
        self.assertEqual({key: one.strategy for key, one in grid.items()}, {
            (2, 10): "sequential", (2, 10_000): "openmp", (1000, 10): "openmp", (1000, 10_000): "openmp",
        })  # fmt: skip
        tiny = grid[2, 10]
        assert tiny.margin is not None
        self.assertAlmostEqual(tiny.margin.median, 1010 / 20, delta=1)
        self.assertEqual(tiny.ties, ("sequential",))

    def test_what_the_rounds_cannot_tell_apart_is_a_tie(self) -> None:
        self.assertEqual(set(self.grid(noise=0.02)[1000, 10_000].ties), {"openmp", "tbb"})


class Limit(Folder):
    def test_the_etl_is_compared_with_the_copy_of_the_same_strategy_and_format(self) -> None:
        run = self.load(synthetic.full_cells(4), noise=0.002, drift=0.3, rounds=9)
        picture = limit.draw(run, results.select_group(run.observations, "limit"))
        data = picture.data.set_index("cell")
        self.assertAlmostEqual(data.at["tbb · 4 workers", "time_over_copy"], 1.25, delta=0.02)
        self.assertAlmostEqual(data.at["tbb · 4 workers", "speed_up_over_workers_percent"], 100, delta=2)
        self.assertEqual(data.at["sequential", "n"], 9)

    def test_without_a_copy_it_says_which_sweep_to_run(self) -> None:
        run = self.load([synthetic.cell(sweep="kernels.limit")])
        _, remarks = drawing.draw_all(run, self.folder / "plots", ["limit"])
        self.assertIn("measure the sweep kernels", remarks[0])


class FilesOverTheirNumber(Folder):
    def test_equal_files_show_the_time_per_file_and_cut_ones_the_time_of_all(self) -> None:
        run = self.load(synthetic.full_cells(2), noise=0.002, drift=0)
        data = files.draw(run, run.observations[run.observations["sweep"].str.startswith("files.")]).data
        alone = data[data["series"] == "sequential"].set_index(["panel", "files"])
        per_file, for_all = (alone[name].dropna() for name in ("time_per_file_ns", "time_for_all_ns"))
        for value in per_file:
            self.assertAlmostEqual(value / 500_000, 1, delta=0.01)
        for value in for_all:
            self.assertAlmostEqual(value / 12_000_000, 1, delta=0.01)
        self.assertEqual((len(per_file), len(for_all)), (2, 2))


class Stages(Folder):
    def test_shares_are_those_of_the_wall_time_and_the_rest_is_shown(self) -> None:
        run = self.load([synthetic.cell(), synthetic.cell(strategy="openmp", workers=4)])
        alone, shared = stages.entries(run.observations)
        for entry in (alone, shared):
            self.assertEqual(stages.shares(entry), "30 + 40 + 20 + 10%")
        self.assertAlmostEqual(alone.wall.median / shared.wall.median, 4, delta=0.4)

    def test_rows_without_stage_times_are_said_to_have_none(self) -> None:
        run = self.load([synthetic.cell(workload="spin")])
        _, remarks = drawing.draw_all(run, self.folder / "plots", ["stages"])
        self.assertIn("no launch says how long its stages took", remarks[0])


class Quality(Folder):
    def test_outliers_and_disturbed_launches_are_marked_and_kept_in_the_order_of_execution(self) -> None:
        rows = synthetic.observations([synthetic.cell(), synthetic.cell(workers=2)], drift=0, rounds=20)
        for row in rows:
            if row["launch"] == 7:
                row["wall_ns"] *= 3
            if row["launch"] == 9:
                row["involuntary_switches"] = 2
        synthetic.write_run(self.folder, rows[::-1])
        run = results.load(self.folder)
        ran = quality.executed(run.observations, 0.05)
        self.assertEqual(list(ran["launch"]), [str(n) for n in range(1, 41)])
        self.assertEqual([i + 1 for i, yes in enumerate(ran["outlier"]) if yes], [7])
        self.assertEqual([i + 1 for i, yes in enumerate(ran["disturbed"]) if yes], [9])
        self.assertAlmostEqual(ran["relative"][6], 3, delta=0.1)

    def test_many_launches_do_not_make_a_large_file(self) -> None:
        cells = [synthetic.cell(workers=p) for p in range(1, 41)]
        run = self.load(cells, rounds=50, repetitions=1)
        written_files, _ = drawing.draw_all(run, self.folder / "plots", ["quality"])
        self.assertLess(max(path.stat().st_size for path in written_files), 400_000)


class Deliveries(Folder):
    def test_an_unmeasured_peak_is_said_and_never_zero(self) -> None:
        rows = synthetic.observations(
            [synthetic.cell(sweep="delivery", delivery=d) for d in ("collected", "ordered")]
        )
        for row in rows:
            row["peak_rss_bytes"] = ""
        synthetic.write_run(self.folder, rows)
        run = results.load(self.folder)
        picture = delivery.draw(run, run.observations)
        self.assertIn("not measured here", written(picture))
        self.assertTrue(picture.data["peak_rss_bytes"].isna().all())


class Near(unittest.TestCase):
    def test_the_range_within_5_percent_is_the_one_around_the_best(self) -> None:
        ratios = [stats.Estimate(r, r, r, 6) for r in (1.04, 1.2, 1.03, 1.0, 1.05, 1.5)]
        one = chunk.Series("openmp", "openmp", [1, 2, 4, 8, 16, 32], ratios, 8, [True] * 6, ratios[0])
        self.assertEqual(one.near, (4, 16))
        self.assertEqual(chunk.describe_near(one), "within 5%: 4 to 16")


class Undrawn(Folder):
    def test_a_pitfall_without_a_value_is_named(self) -> None:
        run = self.load(
            [synthetic.cell(sweep="pitfalls", strategy="", pitfall="fork_after_openmp", variant="late")],
            status=lambda _: ("timeout", "over 2 s"),
        )
        self.assertIn(
            "6 launches of fork_after_openmp late timeout (over 2 s)",
            prose.describe_undrawn(run.observations),
        )


class EverySweep(unittest.TestCase):
    def test_is_drawn_by_more_than_the_figure_of_quality(self) -> None:
        drawn = {group for figure in table.FIGURES for group in figure.sources}
        for path in sorted((ROOT / "benchmarks/sweeps").glob("*.toml")):
            if path.stem == "gate":
                continue  # two builds: scripts/gate draws it
            groups = {group["name"] for group in tomllib.loads(path.read_text(encoding="utf-8"))["group"]}
            self.assertTrue(groups & drawn, f"{path.name}: no figure draws any of {sorted(groups)}")


class EveryFigure(Folder):
    def draw(self, run: results.Run) -> list[tuple[str, Figure]]:
        found = drawing.outcomes(run, lambda picture, _: picture, processes=1)
        return [(one.drawing.name, one.value) for one in found if one.value is not None]

    def test_no_text_overlaps_another_or_leaves_the_picture(self) -> None:
        machine = {**synthetic.MACHINE, "cpu": {"model": "A Very Long Processor Name Indeed, " * 4}}
        for workers in (2, 128):
            cells = synthetic.full_cells(workers) + (synthetic.quick_cells(workers) if workers == 128 else [])
            rows = synthetic.observations(
                cells, status=lambda c: ("ok", "") if c["chunk_size"] != 4 else ("failed", "x " * 90)
            )
            synthetic.write_run(self.folder, rows, machine)
            drawn = self.draw(results.load(self.folder))
            self.assertLessEqual(
                {figure.name for figure in table.FIGURES}, {name.rpartition("-")[2] for name, _ in drawn}
            )
            for group, figure in drawn:
                with self.subTest(group=group, workers=workers), style.settings():
                    figure.canvas.draw()
                    page = figure.bbox
                    boxes = [(artist.get_text(), artist.get_window_extent()) for artist in texts(figure)]
                    for text, box in boxes:
                        self.assertTrue(
                            page.x0 <= box.x0
                            and box.x1 <= page.x1
                            and page.y0 <= box.y0
                            and box.y1 <= page.y1,
                            f"'{text}' leaves the picture",
                        )
                    for i, (text, box) in enumerate(boxes):
                        for other, second in boxes[:i]:
                            self.assertFalse(overlap(box, second), f"'{text}' overlaps '{other}'")

    def test_captions_carry_n_machine_commit_and_run(self) -> None:
        for group, figure in self.draw(self.load(synthetic.full_cells())):
            with self.subTest(group=group):
                text = written(figure)
                for part in (
                    *(() if group.endswith(("stages", "quality")) else ("95% interval",)),
                    *(() if group == "quality" else ("n = 6 launches",)),
                    "Synthetic CPU 3000",
                    "2 CPUs",
                    "6.1.0-test",
                    "deadbeefdead",
                ):
                    self.assertIn(part, text)

    def test_an_unknown_machine_is_said_to_be_unknown(self) -> None:
        synthetic.write_run(
            self.folder, synthetic.observations([synthetic.cell()]), {"cpu": "?", "kernel": None}
        )
        run = results.load(self.folder)
        self.assertIn("On an unknown CPU. Commit deadbeefdead", prose.describe_machine(run, run.observations))

    def test_fewer_launches_than_an_interval_needs_are_drawn_and_said(self) -> None:
        for group, figure in self.draw(self.load(synthetic.full_cells(), rounds=3)):
            with self.subTest(group=group):
                if group == "quality":
                    continue
                self.assertIn("n = 3 launches (no interval below 6)", written(figure))

    def test_one_launch_of_one_cell_is_enough_to_draw(self) -> None:
        run = self.load(
            [synthetic.cell(), synthetic.cell(sweep="chunk", strategy="openmp")], rounds=1, repetitions=1
        )
        files, remarks = drawing.draw_all(run, self.folder / "plots")
        self.assertEqual({path.stem for path in files}, {"strategies", "chunk", "stages", "cpu", "quality"})
        self.assertIn("granularity: no rows; the sweep quick fills it: noisefloor run quick", remarks)
        self.assertIn("map: no rows; the sweep quick fills it: noisefloor run quick", remarks)


class Files(Folder):
    def test_every_figure_is_written_twice_and_always_the_same(self) -> None:
        self.load(synthetic.full_cells())
        status, out, err = self.run_main(str(self.folder))
        self.assertEqual((status, err), (0, ""))
        stems = {f.name for f in table.FIGURES} - {"stages"} | {"strategies-stages", "kernels-stages"}
        names = sorted(f"{name}.{kind}" for name in stems for kind in ("png", "svg"))
        folder = self.folder / "plots"
        self.assertEqual(sorted(path.name for path in folder.iterdir()), names)
        self.assertEqual(sorted(Path(line).name for line in out.split()), names)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.assertEqual(self.run_main(str(self.folder))[0], 0)
        self.assertEqual(before, {path.name: path.read_bytes() for path in folder.iterdir()})

    def test_it_runs_as_a_program_from_any_folder(self) -> None:
        self.load(synthetic.quick_cells())
        command = [
            sys.executable,
            "-B",
            str(ROOT / "scripts" / "figures"),
            ".",
            "--only",
            "chunk",
            "--out",
            "pictures",
        ]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            sorted(p.name for p in (self.folder / "pictures").iterdir()), ["chunk.png", "chunk.svg"]
        )

    def test_two_sweeps_of_one_group_have_a_picture_each(self) -> None:
        run = self.load([synthetic.cell(sweep=s) for s in ("quick.strategies", "strategies")])
        files, _ = drawing.draw_all(run, self.folder / "plots", ["strategies"])
        self.assertEqual({path.stem for path in files}, {"quick-strategies", "strategies"})

    def test_other_arms_are_not_mixed_in(self) -> None:
        rows = synthetic.observations([synthetic.cell()], rounds=6)
        slow = [
            {**row, "arm": "base", "launch": row["launch"] + 100, "wall_ns": row["wall_ns"] * 9}
            for row in rows
        ]
        synthetic.write_run(self.folder, [*rows, *slow])
        run = results.load(self.folder)
        files, _ = drawing.draw_all(run, self.folder / "plots", ["strategies"])
        first = files[1].read_bytes()
        synthetic.write_run(self.folder, rows)
        files, _ = drawing.draw_all(results.load(self.folder), self.folder / "plots", ["strategies"])
        self.assertEqual(files[1].read_bytes(), first)

    def test_nothing_to_draw_ends_with_2_and_says_which_sweep_to_run(self) -> None:
        self.load([])
        status, out, err = self.run_main(str(self.folder))
        self.assertEqual((status, out), (2, ""))
        for figure in table.FIGURES:
            self.assertIn(
                f"{figure.name}: no rows; the sweep {figure.fill} fills it: noisefloor run {figure.fill}", err
            )

    def test_a_group_that_only_failed_says_so(self) -> None:
        self.load([synthetic.cell()], status=lambda _: ("failed", "disk full"))
        status, _, err = self.run_main(str(self.folder))
        self.assertEqual(status, 2)
        self.assertIn(
            "no ok row in sweep quick.strategies; Not drawn: 6 launches of sequential failed (disk full)", err
        )

    def test_unreadable_runs_and_unknown_figures_end_with_2(self) -> None:
        self.assertEqual(self.run_main(str(self.folder))[0], 2)
        status, _, err = self.run_main(str(self.folder), "--only", "pie")
        self.assertEqual(status, 2)
        self.assertIn("granularity", err)

    def test_a_folder_that_cannot_be_made_ends_with_1(self) -> None:
        self.load([synthetic.cell()])
        (self.folder / "file").write_text("in the way")
        status, _, err = self.run_main(str(self.folder), "--out", str(self.folder / "file"))
        self.assertEqual(status, 1)
        self.assertIn("file", err)


class Spread(unittest.TestCase):
    def test_labels_with_room_stay_where_they_are(self) -> None:
        self.assertEqual(layout.spread([10, 50, 90], [10, 10, 10], 0, 100), [10, 50, 90])

    def test_labels_at_one_place_spread_evenly_around_it(self) -> None:
        self.assertEqual(layout.spread([50, 50, 50], [10, 10, 10], 0, 100), [40, 50, 60])

    def test_they_never_overlap_nor_leave_the_axes_and_keep_their_order(self) -> None:
        generator = random.Random(1)
        for _ in range(300):
            count = generator.randint(1, 12)
            wanted = [generator.uniform(-20, 120) for _ in range(count)]
            heights = [generator.uniform(1, 8) for _ in range(count)]
            centres = layout.spread(wanted, heights, 0, 100)
            order = sorted(range(count), key=lambda i: wanted[i])
            edge = 0.0
            for i in order:
                self.assertGreaterEqual(centres[i] - heights[i] / 2, edge - 1e-9)
                edge = centres[i] + heights[i] / 2
            self.assertLessEqual(edge, 100 + 1e-9)

    def test_too_many_share_the_room(self) -> None:
        self.assertEqual(layout.spread([0, 0], [100, 100], 0, 100), [25, 75])
        self.assertEqual(layout.spread([], [], 0, 100), [])


class Words(unittest.TestCase):
    def test_durations_have_three_digits_and_the_unit_that_suits(self) -> None:
        for ns, text in (
            (0.5, "0.500 ns"),
            (999, "999 ns"),
            (999.8, "1.00 µs"),
            (8.92e6, "8.92 ms"),
            (12e9, "12.0 s"),
        ):
            self.assertEqual(prose.duration(ns), text)

    def test_ticks_are_round_and_inside(self) -> None:
        self.assertEqual(layout.log_ticks(0.07, 1400), [0.1, 1, 10, 100, 1000])
        self.assertEqual(layout.log_ticks(0.9, 30), [1, 2, 5, 10, 20])

    def test_series_of_one_strategy_differ_in_dash_and_filling_and_strategies_in_colour_and_marker(
        self,
    ) -> None:
        marks = style.marks([("openmp", "a"), ("openmp", "b"), ("std_thread", "c"), ("new", "d")])
        a, b, c, d = marks.values()
        self.assertEqual((a.color, a.marker), (b.color, b.marker))
        self.assertTrue(a.dash != b.dash and a.filled != b.filled)
        self.assertEqual(len({(mark.color, mark.marker) for mark in (a, c, d)}), 3)
        self.assertEqual(style.marks([("openmp", "x")])["openmp", "x"].color, a.color)
        # More strategies than colours: a colour that comes again has another marker.
        every = style.marks([(strategy, "") for strategy in naming.STRATEGIES]).values()
        self.assertEqual(len({(mark.color, mark.marker) for mark in every}), len(naming.STRATEGIES))
        self.assertEqual(len({mark.color for mark in list(every)[: len(style.PALETTE)]}), len(style.PALETTE))


class FindPython(unittest.TestCase):
    def run_it(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "scripts" / "find_python")],
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )

    def test_it_prints_an_interpreter_that_has_the_modules(self) -> None:
        done = self.run_it(NOISEFLOOR_PYTHON=sys.executable)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{sys.executable}\n", ""))

    def test_with_none_it_ends_with_3_and_names_the_packages(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            # A python3 that has no module, on the PATH and in the place of the system's.
            script = (
                (ROOT / "scripts" / "find_python")
                .read_text()
                .replace("/usr/bin/python3", f"{folder}/python3")
            )
            copy, python = Path(folder) / "find_python", Path(folder) / "python3"
            copy.write_text(script)
            python.write_text("#!/bin/sh\nexit 1\n")
            python.chmod(0o755)
            done = subprocess.run(
                ["/bin/sh", str(copy)],
                env={"PATH": folder, "NOISEFLOOR_PYTHON": "/no"},
                capture_output=True,
                text=True,
                timeout=600,
            )
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("NOISEFLOOR_PYTHON=/no does not run", done.stderr)
        for package in ("python3-numpy", "python3-pandas", "python3-scipy", "python3-matplotlib"):
            self.assertIn(package, done.stderr)


def overlap(a: Any, b: Any) -> bool:
    """More than half a pixel in both directions."""
    return bool(min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5)


if __name__ == "__main__":
    unittest.main()

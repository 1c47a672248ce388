"""Promise: a function in a shared library is a workload like any other, and what is wrong with it is said.

Usage: library_test.py PROGRAM COMPILER INCLUDE_FOLDER [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = COMPILER = INCLUDE = ""

MINE = """
#include <noisefloor/work.h>
#include <stdexcept>
struct Mine : noisefloor::Work {
  FLAGS
  explicit Mine(const noisefloor_options &) { OPEN; }
  std::uint32_t tasks() const { return 40; }
  std::uint64_t run(std::uint32_t task) const {
    RUN;
    std::uint64_t sum = task;
    for (int i = 0; i < 1000; ++i) sum = sum * 6364136223846793005u + 1;
    return sum;
  }
};
NOISEFLOOR_WORK(Mine)
"""

# Stages, shared memory, a size and a digest: all that the C interface has and the C++ face has not.
STAGED = """
#include <noisefloor/work.h>
#include <string.h>
struct state { uint64_t *found; uint64_t size; };
static struct state it;
static int open_it(const noisefloor_options *options, void **self, uint32_t *tasks, noisefloor_error *error) {
  (void)error;
  it.size = options->task_size;
  it.found = (uint64_t *)options->shared(options->host, 20 * sizeof *it.found);
  if (it.found == NULL) return 7;
  *self = &it;
  *tasks = 20;
  return 0;
}
static int prepare(void *self, noisefloor_error *error) {
  (void)error;
  memset(((struct state *)self)->found, 0, 20 * sizeof(uint64_t));
  return 0;
}
static int digest(void *self, uint32_t task, uint64_t *result, noisefloor_error *error) {
  (void)error;
  *result = ((struct state *)self)->found[task];
  return 0;
}
static int64_t extract(void *self, uint32_t task, void *room, noisefloor_error *error) {
  (void)error;
  memset(room, (int)task + 1, ((struct state *)self)->size);
  return (int64_t)((struct state *)self)->size;
}
static int transform(void *self, uint32_t task, void *data, size_t bytes, noisefloor_error *error) {
  (void)self; (void)task; (void)error;
  for (size_t i = 0; i < bytes; ++i) ((unsigned char *)data)[i] ^= 0x55;
  return 0;
}
static int load(void *self, uint32_t task, const void *data, size_t bytes, uint64_t *result, noisefloor_error *error) {
  (void)error;
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; ++i) sum = sum * 31 + ((const unsigned char *)data)[i];
  ((struct state *)self)->found[task] = sum;
  *result = 1;
  return 0;
}
static const noisefloor_description description = {NOISEFLOOR_WORK_VERSION, 0, "bytes", open_it, NULL, prepare, NULL,
                                                   digest, 4096, extract, transform, load};
const noisefloor_description *noisefloor_work(void) { return &description; }
"""


class LibraryTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-library-"))
        self.addCleanup(shutil.rmtree, self.top, True)

    def build(self, name: str, source: str, *flags: str) -> str:
        language = ["-x", "c", "-std=c11"] if source is STAGED else ["-x", "c++", "-std=c++11"]
        library = self.top / f"{name}.so"
        subprocess.run(
            [*COMPILER.split(), *language, "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", *flags, "-I",
             INCLUDE, "-", "-o", str(library)],
            input=source, text=True, check=True,
        )  # fmt: skip
        return str(library)

    def mine(self, name: str = "mine", flags: str = "", opening: str = "", run: str = "") -> str:
        return self.build(name, MINE.replace("FLAGS", flags).replace("OPEN", opening).replace("RUN", run))

    def program(self, *arguments: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NOISEFLOOR_CACHE": str(self.top / "cache")}
        done = subprocess.run(
            [PROGRAM, *arguments], env=environment, cwd=self.top, capture_output=True, text=True, timeout=600
        )
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def launch(self, cell: str, status: int | None = 0) -> dict[str, str]:
        done = self.program(
            "launch",
            "--iterations",
            "1",
            "--repetitions",
            "1",
            "--warmups",
            "1",
            "--cell",
            cell,
            status=status,
        )
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        return row

    def strategies(self) -> list[str]:
        """All that run tasks of this program."""
        listed = json.loads(self.program("list", "strategies", "--json").stdout)
        return [
            entry["name"]
            for entry in listed
            if not entry["name"].startswith("python_") and entry["name"] != "sox_xargs"
        ]


class EveryStrategy(LibraryTest):
    def test_the_output_is_that_of_sequential_for_any_workers_and_chunk(self) -> None:
        library = self.mine()
        expected = self.launch(f"library={library}")
        self.assertEqual((expected["status"], expected["tasks"], expected["task_size"]), ("ok", "40", ""))
        self.assertEqual((expected["work"], expected["library"]), ("mine", library))
        self.assertEqual(len(expected["work_id"]), 16)
        ran = 0
        for strategy in self.strategies():
            for factors in ("workers=2", "workers=3,chunk_size=7"):
                row = self.launch(f"library={library},strategy={strategy},{factors}", None)
                if row["status"] == "skipped":
                    continue
                ran += 1
                self.assertEqual((row["status"], row["digest"]), ("ok", expected["digest"]), row)
        self.assertGreaterEqual(ran, 15)

    def test_tasks_takes_the_first_ones(self) -> None:
        library = self.mine()
        row = self.launch(f"library={library},tasks=7")
        self.assertEqual((row["status"], row["tasks"]), ("ok", "7"))
        self.assertIn(
            "it has 40",
            self.program("launch", "--cell", f"library={library},tasks=41", status=2).stderr.replace(
                "mine has", "it has"
            ),
        )

    def test_stages_are_run_apart_and_shared_memory_is_digested(self) -> None:
        library = self.build("staged", STAGED)
        expected = self.launch(f"library={library},task_size=100")
        self.assertEqual((expected["status"], expected["task_size"]), ("ok", "100"))
        self.assertNotEqual(self.launch(f"library={library},task_size=101")["digest"], expected["digest"])
        for cell in ("strategy=global_lock,workers=2", "strategy=fork_pool,workers=2,ship=samples,transport=pipe",
                     "strategy=std_thread,workers=2", "strategy=process_per_task,workers=2"):  # fmt: skip
            row = self.launch(f"library={library},task_size=100,{cell}")
            self.assertEqual((row["status"], row["digest"]), ("ok", expected["digest"]), row)

    def test_a_library_that_is_not_thread_safe_gets_processes_only(self) -> None:
        library = self.mine(flags="static constexpr std::uint32_t kFlags = NOISEFLOOR_ONE_THREAD;")
        for strategy in ("sequential", "process_per_task", "fork_pool", "fork_pool_shm"):
            self.assertEqual(self.launch(f"library={library},strategy={strategy}")["status"], "ok", strategy)
        for strategy in ("std_thread", "openmp", "async", "mutex_queue"):
            row = self.launch(f"library={library},strategy={strategy},workers=2")
            self.assertEqual(row["status"], "skipped", strategy)
            self.assertIn("not thread-safe", row["message"])

    def test_its_own_functions_are_called_whatever_this_program_has_loaded(self) -> None:
        own = 'extern "C" __attribute__((noinline)) unsigned long long XXH3_64bits(const void *, unsigned long n) { return n; }\n'
        library = self.build(
            "clash",
            own + MINE.replace("FLAGS", "").replace("OPEN", "").replace(
                "RUN", 'if (XXH3_64bits("abc", 3) != 3) throw std::runtime_error("another function answered")'
            ),
        )  # fmt: skip
        self.assertEqual(self.launch(f"library={library},strategy=std_thread,workers=2")["status"], "ok")


class WhatFails(LibraryTest):
    def message(self, library: str) -> str:
        done = self.program("launch", "--cell", f"library={library}", status=2)
        self.assertIn(library, done.stderr)
        return done.stderr

    def test_a_task_that_throws_is_a_failed_task_with_its_message(self) -> None:
        library = self.mine(run='if (task == 11) throw std::runtime_error("no more milk")')
        for strategy in ("std_thread", "fork_pool_shm"):
            cell = f"library={library},strategy={strategy},workers=2"
            row = self.launch(cell + ",tasks=11")
            self.assertEqual(row["status"], "ok")
            done = self.program("launch", "--expect", "0" * 16, "--cell", cell, status=1)
            self.assertIn("tasks failed; the first: no more milk", done.stdout)

    def test_a_crash_is_a_failed_launch(self) -> None:
        library = self.mine(run="if (task == 3) __builtin_trap()")
        done = self.program("launch", "--cell", f"library={library},strategy=std_thread", status=None)
        self.assertLess(done.returncode, 0)

    def test_what_cannot_be_loaded_is_told_in_the_loaders_words(self) -> None:
        self.assertIn("there is no such file", self.message(str(self.top / "gone.so")))
        text = self.top / "text.so"
        text.write_text("no library" * 100, encoding="ascii")
        self.assertIn("invalid ELF header", self.message(str(text)))
        self.assertIn(
            "undefined symbol: missing_one",
            self.message(self.build("undefined", 'extern "C" int missing_one(); int x = missing_one();')),
        )
        self.assertIn(
            "exports no noisefloor_work()", self.message(self.build("other", "int other() { return 1; }"))
        )

    def test_another_version_of_the_interface_is_refused(self) -> None:
        library = self.build("old", MINE.replace("FLAGS", "").replace("OPEN", "").replace("RUN", "").replace(
            "struct Mine", "#undef NOISEFLOOR_WORK_VERSION\n#define NOISEFLOOR_WORK_VERSION 99\nstruct Mine", 1))  # fmt: skip
        self.assertIn("version 99", self.message(library))

    def test_one_that_does_not_open_or_ends_the_process_says_so(self) -> None:
        self.assertIn("no network", self.message(self.mine(opening='throw std::runtime_error("no network")')))
        self.assertIn("was killed by signal", self.message(self.mine(opening="__builtin_trap()")))

    def test_a_run_of_another_binary_is_not_measured_as_the_same(self) -> None:
        library = self.mine()
        row = self.launch(f"library={library}")
        self.mine(run="if (task == 99) return 0")
        done = self.program(
            "launch", "--cell", f"library={library},tasks=40,task_size=1,work_id={row['work_id']}", status=1
        )
        self.assertIn("is another one by now", done.stderr)
        self.assertNotEqual(self.launch(f"library={library}")["cell_id"], row["cell_id"])


class Sweeps(LibraryTest):
    def plan(self, *arguments: str) -> list[dict[str, str]]:
        done = self.program("run", *arguments, "--dry-run")
        return [dict(part.split("=", 1) for part in line.split(",")) for line in done.stdout.splitlines()]

    def test_it_takes_the_place_of_what_the_sweep_does(self) -> None:
        library = self.mine()
        cells = self.plan("granularity", "--library", "./mine.so", "--work", "milk")
        self.assertEqual(
            {(cell["workload"], cell["work"], cell["library"]) for cell in cells},
            {("library", "milk", library)},
        )
        self.assertLessEqual({"sequential", "std_thread", "fork_pool"}, {cell["strategy"] for cell in cells})
        self.assertEqual(
            {int(cell["tasks"]) for cell in cells}, {40, 20, 10, 5, 3, 1}, "fractions of all tasks"
        )
        self.assertFalse(any("kernel" in cell or "task_size" in cell for cell in cells))

    def test_a_run_is_recorded_and_taken_up_by_the_same_library_only(self) -> None:
        self.mine()
        sweep = self.top / "own.toml"
        sweep.write_text(
            '[[group]]\nstrategy = ["sequential", "std_thread"]\nworkload = "spin"\n', encoding="ascii"
        )
        self.program("run", "own.toml", "--library", "mine.so", "--rounds", "1", "--out", "runs")
        run = next(path for path in (self.top / "runs").iterdir() if not path.is_symlink())
        with (run / "observations.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({(row["work"], row["status"]) for row in rows}, {("mine", "ok")})
        self.mine(run="if (task == 99) return 0")
        done = self.program("run", "--resume", str(run), status=2)
        self.assertIn("mine.so", done.stderr)
        self.assertIn("start a new run", done.stderr.lower())


if __name__ == "__main__":
    PROGRAM, COMPILER, INCLUDE = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()

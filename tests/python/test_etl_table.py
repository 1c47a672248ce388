"""The table of the ETL runs every arm as promised, and says so when one fails.

SPDX-License-Identifier: MIT
"""

import contextlib
import io
import os
import stat
import tempfile
import unittest
import unittest.mock
import wave
from pathlib import Path

from scripts.studies import etl_table
from scripts.reference import etl_pool


class Rounds(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patch = unittest.mock.patch.dict(os.environ, {"NOISEFLOOR_CACHE": self.folder.name})
        patch.start()
        self.addCleanup(patch.stop)
        self.inputs = Path(self.folder.name) / "in"
        self.inputs.mkdir()
        for index in range(3):
            (self.inputs / f"{index}.wav").write_bytes(etl_table.wav_bytes(1000, index))

    def test_every_arm_runs_once_a_round_in_a_new_folder_and_slow_ones_in_the_first_only(self) -> None:
        seen: list[tuple[str, str]] = []

        def arm(name: str, slow: bool = False) -> etl_table.Arm:
            def run(out: Path) -> tuple[int, int]:
                self.assertEqual(list(out.iterdir()), [])
                (out / "output").write_text("x")
                seen.append((name, str(out)))
                return 7, 3

            return etl_table.Arm(name, name, "command", run, "a", slow)

        arms = [arm("a"), arm("b"), arm("slow", slow=True)]
        with etl_table.Scratch() as scratch, contextlib.redirect_stderr(io.StringIO()):
            etl_table.measure(arms, self.inputs, scratch, 8, 3, 1)
            self.assertEqual(list(scratch.path.iterdir()), [], "outputs are removed")
        self.assertFalse(scratch.path.exists())
        self.assertEqual([len(arm.wall) for arm in arms], [8, 8, 3])
        self.assertEqual(sorted(arms[2].wall), [0, 1, 2])
        self.assertEqual(len({out for _, out in seen}), 19, "never the same folder twice")
        firsts = {seen[3 * k][0] for k in range(3)}
        self.assertGreater(len(firsts), 1, "the order is shuffled")

    def test_a_command_that_fails_is_named_with_its_message(self) -> None:
        with self.assertRaisesRegex(etl_table.Failure, "exit 3: gone"):
            etl_table.command(["sh", "-c", "echo gone >&2; exit 3"])

    def test_a_row_that_is_not_ok_is_a_failure(self) -> None:
        program = Path(self.folder.name) / "program"
        program.write_text("#!/bin/sh\nprintf 'status,message\\nwrong_output,digest differs\\n'\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        with self.assertRaisesRegex(etl_table.Failure, "digest differs"):
            etl_table.launch(program, "workload=etl")

    def test_a_raw_loop_that_writes_other_bytes_is_noticed(self) -> None:
        right, wrong = Path(self.folder.name) / "right", Path(self.folder.name) / "wrong"
        right.write_text('#!/bin/sh\ncp "$2"/*.wav "$3"\n')
        wrong.write_text('#!/bin/sh\ncp "$2"/*.wav "$3"\necho x >> "$3/1.wav"\n')
        for program in (right, wrong):
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        with etl_table.Scratch() as scratch:
            etl_table.check_bytes(right, right, self.inputs, scratch)
            with self.assertRaisesRegex(etl_table.Failure, "other bytes.*1.wav"):
                etl_table.check_bytes(right, wrong, self.inputs, scratch)

    def test_outputs_are_counted_and_emptied_but_not_removed(self) -> None:
        folder = Path(self.folder.name) / "outputs"
        folder.mkdir()
        for index in range(3):
            (folder / str(index)).write_bytes(b"sound")
        with self.assertRaisesRegex(etl_table.Failure, "3 files instead of 4"):
            etl_table.empty(folder, 4)
        etl_table.empty(folder, 3)
        self.assertEqual([path.stat().st_size for path in folder.iterdir()], [0, 0, 0])

    def test_a_command_that_fails_has_no_cost_and_another_has_time_and_memory(self) -> None:
        with self.assertRaisesRegex(etl_table.Failure, "exit 3"):
            etl_table.cost_of(["sh", "-c", "exit 3"])
        cost = etl_table.cost_of(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"])
        self.assertGreater(cost.wall, 0)
        self.assertGreater(cost.user + cost.system, 0)
        self.assertGreater(cost.peak, 0)

    def test_a_missing_program_is_exit_3_and_too_few_slow_rounds_are_exit_2(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(etl_table.main(["--program", "/nowhere/noisefloor"]), 3)
            self.assertIn("/nowhere/noisefloor", said.getvalue())
            with self.assertRaises(SystemExit) as ended:
                etl_table.main(["--slow-rounds", "2"])
        self.assertEqual(ended.exception.code, 2)

    def test_small_files_are_sound_files_and_the_reference_program_adds_noise_to_them(self) -> None:
        out = Path(self.folder.name) / "out"
        out.mkdir()
        self.assertEqual(etl_pool.main(["2", str(self.inputs), str(out)]), 0)
        for index in range(3):
            with wave.open(str(out / f"{index}.wav")) as sound:
                self.assertEqual(
                    (sound.getnframes(), sound.getframerate(), sound.getnchannels()), (1000, 44100, 1)
                )
                self.assertGreater(len(set(memoryview(sound.readframes(1000)).cast("h"))), 100)


if __name__ == "__main__":
    unittest.main()

"""Promise: `noisefloor process` writes the same bytes however it is run, and meets bad input with a clear
message, the right exit status and no file under a final name.

Usage: process_test.py PROGRAM [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

import json
import math
import os
import pty
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import wave
from pathlib import Path
from typing import Any, Optional

PROGRAM = ""
NOTES = ".noisefloor"


def write_wav(path: Path, frames: int, channels: int = 1, width: int = 2, seed: int = 1) -> None:
    """A tone with the full range of `width` bytes per sample, at 8 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = random.Random(seed)
    phase = generator.random()
    full = 2 ** (8 * width - 1) - 1
    data = bytearray()
    for i in range(frames * channels):
        value = int(0.7 * full * math.sin(phase + 0.01 * seed * i))
        data += (value + 128 if width == 1 else value).to_bytes(width, "little", signed=width > 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(bytes(data))


def tree(folder: Path) -> dict[str, bytes]:
    """The files below it, without what the program notes for itself."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and NOTES not in p.relative_to(folder).parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def this_host() -> str:
    """As it stands in the names of temporary files: host and boot."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in socket.gethostname())
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")
    return f"{name[:32]}.{boot[:12]}"


def names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name != NOTES)


class ProcessTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-process-"))
        self.addCleanup(shutil.rmtree, self.top, True)
        self.sounds = self.top / "in"
        self.out = self.top / "out"

    def run_program(
        self, *arguments: Any, status: Optional[int] = 0, env: Optional[dict[str, str]] = None
    ) -> Any:
        result: Any = subprocess.run(
            [PROGRAM, "process", *map(os.fspath, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            cwd=self.top,
            env={**os.environ, **(env or {})},
        )
        result.stdout = result.stdout.decode(errors="surrogateescape")
        result.stderr = result.stderr.decode(errors="surrogateescape")
        if status is not None:
            self.assertEqual(result.returncode, status, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def make_sounds(self) -> None:
        for index in range(7):
            write_wav(
                self.sounds / f"s{index}.wav", 3000 + 1777 * index, 1 + index % 2, 1 + index % 4, index + 1
            )
        write_wav(self.sounds / "deep" / "er" / "s.wav", 5000)

    def nothing_written(self) -> None:
        self.assertEqual(tree(self.out) if self.out.exists() else {}, {})


class SameBytes(ProcessTest):
    def test_for_every_strategy_worker_count_chunk_size_and_kernel(self) -> None:
        self.make_sounds()
        listing = json.loads(
            subprocess.run([PROGRAM, "list", "kernels", "--json"], capture_output=True, check=True).stdout
        )
        kernels = [k["name"] for k in listing if not k["unavailable"] and not k["name"].startswith("naive")]
        self.assertIn("scalar", kernels)
        self.run_program(
            "--recursive", "--strategy", "sequential", "--kernel", "scalar", self.sounds, self.out
        )
        expected = tree(self.out)
        self.assertEqual(list(expected), list(tree(self.sounds)))
        ways = [("sequential", 1, 3, k) for k in kernels]
        ways += [(s, w, c, "auto") for s in ("std_thread", "openmp") for w in (1, 2, 5) for c in (1, 3, 100)]
        for strategy, workers, chunk, kernel in ways:
            with self.subTest(strategy=strategy, workers=workers, chunk=chunk, kernel=kernel):
                out = self.top / f"{strategy}-{workers}-{chunk}-{kernel}"
                how = [
                    "--strategy",
                    strategy,
                    "--workers",
                    str(workers),
                    "--chunk",
                    str(chunk),
                    "--kernel",
                    kernel,
                ]
                self.run_program("--recursive", *how, self.sounds, out)
                self.assertEqual(tree(out), expected)

    def test_depend_on_the_relative_path_and_the_seed_only(self) -> None:
        write_wav(self.sounds / "a.wav", 4000)
        shutil.copy(self.sounds / "a.wav", self.sounds / "b.wav")
        self.run_program(self.sounds, self.out)
        both = tree(self.out)
        self.assertNotEqual(both["a.wav"], both["b.wav"], "two files must not get the same noise")
        self.run_program(self.sounds / "a.wav", self.top / "single")
        self.assertEqual((self.top / "single" / "a.wav").read_bytes(), both["a.wav"])
        self.run_program(self.sounds / "a.wav", self.top / "renamed.wav")
        self.assertEqual((self.top / "renamed.wav").read_bytes(), both["a.wav"])
        self.run_program("--seed", "2", self.sounds, self.top / "seed2")
        self.assertNotEqual(tree(self.top / "seed2")["a.wav"], both["a.wav"])

    def test_as_the_input_without_noise(self) -> None:
        self.make_sounds()
        self.run_program("--recursive", "--amplitude", "0", self.sounds, self.out)
        self.assertEqual(tree(self.out), tree(self.sounds))

    def test_for_amplitude_and_the_same_in_decibels(self) -> None:
        write_wav(self.sounds / "a.wav", 4000)
        self.run_program("--amplitude", "0.01", self.sounds, self.top / "a")
        self.run_program("--noise-dbfs", "-40", self.sounds, self.top / "b")
        self.assertEqual(tree(self.top / "a"), tree(self.top / "b"))

    def test_noise_has_the_amplitude_asked_for(self) -> None:
        path = self.sounds / "silence.wav"
        path.parent.mkdir()
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 100_000))
        self.run_program("--amplitude", "0.01", path, self.out)
        with wave.open(str(self.out / "silence.wav")) as file:
            samples = struct.unpack("<100000h", file.readframes(100_000))
        deviation = math.sqrt(sum(x * x for x in samples) / len(samples))
        self.assertAlmostEqual(deviation / 32768, 0.01, delta=0.0002)


class BadInput(ProcessTest):
    def test_one_bad_file_is_named_and_the_others_are_done(self) -> None:
        write_wav(self.sounds / "good.wav", 1000)
        (self.sounds / "empty.wav").write_bytes(b"")
        (self.sounds / "text.wav").write_text("a letter")
        manifest = self.top / "m.jsonl"
        result = self.run_program("--manifest", manifest, self.sounds, self.out, status=1)
        self.assertEqual(list(tree(self.out)), ["good.wav"])
        self.assertIn("empty.wav", result.stderr)
        self.assertIn("text.wav", result.stderr)
        self.assertNotIn("good.wav", result.stderr)
        lines = {Path(x["input"]).name: x for x in map(json.loads, manifest.read_text().splitlines())}
        self.assertEqual(
            {k: v["status"] for k, v in lines.items()},
            {"good.wav": "ok", "empty.wav": "failed", "text.wav": "failed"},
        )
        self.assertIn("empty", lines["empty.wav"]["message"])
        good = lines["good.wav"]
        self.assertEqual(
            (good["frames"], good["channels"], good["rate"], good["subtype"]), (1000, 1, 8000, "PCM_16")
        )
        self.assertEqual((good["seed"], good["sigma"], good["snr_db_requested"]), (1, 0.003, None))

    def test_a_missing_file_is_a_failed_input(self) -> None:
        write_wav(self.sounds / "good.wav", 1000)
        result = self.run_program("missing.wav", self.sounds / "good.wav", self.out, status=1)
        self.assertIn("missing.wav", result.stderr)
        self.assertEqual(list(tree(self.out)), ["good.wav"])

    def test_a_truncated_file_is_processed_with_a_warning(self) -> None:
        write_wav(self.sounds / "cut.wav", 1000)
        os.truncate(self.sounds / "cut.wav", 44 + 2 * 400)
        manifest = self.top / "m.jsonl"
        result = self.run_program("--manifest", manifest, self.sounds, self.out)
        self.assertIn("truncated: 400 of 1000", result.stderr)
        self.assertEqual(json.loads(manifest.read_text())["warnings"], ["truncated"])
        with wave.open(str(self.out / "cut.wav")) as file:
            self.assertEqual(file.getnframes(), 400)

    def test_fail_fast_stops_at_the_first(self) -> None:
        for index in range(20):
            write_wav(self.sounds / f"{index:02}.wav", 100)
        (self.sounds / "00.wav").write_text("a letter")
        result = self.run_program("--fail-fast", "--strategy", "sequential", self.sounds, self.out, status=1)
        self.nothing_written()
        self.assertIn("19 not done", result.stdout)

    def test_what_is_no_regular_file_is_skipped_in_a_folder_and_an_error_by_itself(self) -> None:
        write_wav(self.sounds / "good.wav", 100)
        os.mkfifo(self.sounds / "fifo.wav")
        (self.sounds / "dangling.wav").symlink_to("nowhere")
        (self.sounds / "notes.txt").write_text("a letter")
        result = self.run_program(self.sounds, self.out, status=1)
        self.assertIn("dangling.wav' is a dangling link", result.stderr)
        self.assertIn("neither files nor links, 1 file", result.stdout)
        self.assertIn(".txt: no sound, 1 file", result.stdout)
        self.assertIn("'nowhere'", result.stderr)
        self.assertEqual(list(tree(self.out)), ["good.wav"])
        result = self.run_program(self.sounds / "fifo.wav", self.top / "out2", status=1)
        self.assertIn("is a FIFO", result.stderr)

    def test_no_sound_file_at_all(self) -> None:
        self.sounds.mkdir()
        self.assertIn("no sound file", self.run_program(self.sounds, self.out, status=2).stderr)
        write_wav(self.sounds / "deep" / "s.wav", 100)
        self.assertIn("--recursive", self.run_program(self.sounds, self.out, status=2).stderr)
        self.nothing_written()

    def test_options_that_cannot_be_meant(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        for arguments, said in [
            (["--workers", "0"], "--workers"),
            (["--chunk", "0"], "--chunk"),
            (["--strategy", "opnmp"], "openmp"),
            (["--kernel", "avx3"], "avx2"),
            (["--amplitude", "-1"], "--amplitude"),
            (["--amplitude", "nan"], "--amplitude"),
            (["--noise-dbfs", "30"], "--noise-dbfs"),
            (["--amplitude", "0.1", "--noise-dbfs", "-30"], "--noise-dbfs"),
            (["--overwrite", "--resume"], "--resume"),
            (["--strategy", "sequential", "--workers", "2"], "sequential"),
            (["--seed", "many"], "--seed"),
            (["--snr-db", "loud"], "--snr-db"),
            (["--snr-db", "10:"], "--snr-db"),
            (["--snr-db", "nan"], "--snr-db"),
            (["--snr-db", "inf"], "--snr-db"),
            (["--snr-db", "30:10"], "10:30"),
            (["--snr-db", "10", "--amplitude", "0.1"], "--snr-db"),
            (["--snr-db", "10", "--noise-dbfs", "-30"], "--snr-db"),
            (["--amplitude", "inf"], "--amplitude"),
            (["--noise-dbfs", "nan"], "--noise-dbfs"),
            (["--copies", "0"], "--copies"),
        ]:
            with self.subTest(arguments=arguments):
                result = self.run_program(*arguments, self.sounds, self.out, status=2)
                self.assertIn(said, result.stderr)
                self.nothing_written()
        self.run_program(self.sounds, status=2)
        self.run_program(status=2)


class Outputs(ProcessTest):
    def test_that_exist_are_kept_replaced_or_skipped(self) -> None:
        write_wav(self.sounds / "a.wav", 1000)
        write_wav(self.sounds / "b.wav", 1000)
        self.out.mkdir()
        (self.out / "a.wav").write_text("precious")
        result = self.run_program(self.sounds, self.out, status=1)
        self.assertIn("--overwrite replaces, --resume skips", result.stderr)
        self.assertEqual((self.out / "a.wav").read_text(), "precious")
        self.assertTrue((self.out / "b.wav").exists())
        result = self.run_program("--resume", self.sounds, self.out)
        self.assertIn("2 there already", result.stdout)
        self.assertEqual((self.out / "a.wav").read_text(), "precious")
        self.run_program("--overwrite", self.sounds, self.out)
        self.assertEqual((self.out / "a.wav").stat().st_size, 2044)
        self.assertEqual(names(self.out), ["a.wav", "b.wav"])

    def test_of_two_inputs_under_one_name_are_refused_before_anything_is_written(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        write_wav(self.top / "in2" / "a.wav", 100)
        write_wav(self.top / "in2" / "b.wav", 100)
        result = self.run_program(self.sounds, self.top / "in2", self.out, status=2)
        self.assertIn("a.wav", result.stderr)
        self.assertFalse(self.out.exists())

    def test_never_touch_the_inputs(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        before = tree(self.sounds)
        for out in (self.sounds, self.sounds / "sub", self.sounds / "..", self.top / "link"):
            if out.name == "link":
                out.symlink_to(self.sounds)
            expected = None if out.name == ".." else 2
            self.run_program("--overwrite", self.sounds, out, status=expected)
            self.assertEqual(tree(self.sounds), before)
        self.run_program("--overwrite", self.sounds / "a.wav", self.sounds, status=2)
        self.run_program("--overwrite", self.sounds / "a.wav", self.sounds / "a.wav", status=2)
        self.run_program("--manifest", self.sounds / "a.wav", self.sounds, self.out, status=2)
        self.assertEqual(tree(self.sounds), before)

    def test_that_cannot_be_written_are_said(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        (self.top / "file").write_text("x")
        result = self.run_program(self.sounds, self.top / "file" / "out", status=1)
        self.assertIn("file", result.stderr)
        self.run_program(self.sounds, self.top / "file", status=2)
        self.run_program(self.sounds, "/dev/null", status=2)
        result = self.run_program(self.sounds / "a.wav", self.top / "a.flac", status=2)
        self.assertIn("format is kept", result.stderr)

    def test_of_one_folder_that_cannot_be_made_do_not_stop_the_others(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        write_wav(self.sounds / "deep" / "b.wav", 100)
        self.out.mkdir()
        (self.out / "deep").write_text("in the way")
        result = self.run_program("--recursive", self.sounds, self.out, status=1)
        self.assertIn("b.wav", result.stderr)
        self.assertEqual(names(self.out), ["a.wav", "deep"])

    def test_of_odd_names(self) -> None:
        odd = [
            b"-dash.wav",
            b"new\nline.wav",
            b"by\xffte.wav",
            b'quote"back\\slash.wav',
            b"n" * 251 + b".wav",
        ]
        self.sounds.mkdir()
        write_wav(self.top / "a.wav", 100)
        for name in odd:
            shutil.copy(os.fsencode(self.top / "a.wav"), os.path.join(os.fsencode(self.sounds), name))
        manifest = self.top / "m.jsonl"
        self.run_program("--manifest", manifest, self.sounds, self.out)
        there = os.listdir(os.fsencode(self.out))
        self.assertEqual(sorted(there), sorted([*odd, NOTES.encode()]))
        said = [
            os.fsencode(Path(json.loads(line)["input"]).name) for line in manifest.read_text().splitlines()
        ]
        self.assertEqual(sorted(said), sorted(odd))
        result = subprocess.run(
            [PROGRAM, "process", "--", "-dash.wav", "-out"], cwd=self.sounds, capture_output=True, timeout=600
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((self.sounds / "-out" / "-dash.wav").exists())

    def test_temporaries_of_the_dead_are_removed(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        self.out.mkdir()
        (self.out / f".{this_host()}.0.1-2-3.noisefloor-tmp").write_text("half")
        self.run_program(self.sounds, self.out)
        self.assertEqual(names(self.out), ["a.wav"])

    def test_temporaries_of_other_machines_are_kept(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        self.out.mkdir()
        foreign = ".elsewhere.0123456789ab.0.1-2-3.noisefloor-tmp"
        (self.out / foreign).write_text("half")
        self.run_program(self.sounds, self.out)
        self.assertEqual(names(self.out), [foreign, "a.wav"])

    def test_an_input_whose_name_is_part_of_its_outputs_is_named(self) -> None:
        write_wav(self.top / "a.wav", 100)
        self.run_program("a.wav", "out")
        result = self.run_program("a.wav", "out", status=1)
        self.assertIn("'a.wav': 'out/a.wav' exists", result.stderr)

    def test_async_io_is_one_worker_where_none_is_named(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        result = self.run_program("--strategy", "async_io", self.sounds, self.out)
        self.assertIn("workers 1", result.stdout)
        self.run_program("--strategy", "async_io", "--workers", "2", self.sounds, self.out, status=2)

    def test_a_manifest_that_exists_is_kept_unless_told(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        manifest = self.top / "m.jsonl"
        self.run_program("--manifest", manifest, self.sounds, self.out)
        before = manifest.read_bytes()
        result = self.run_program("--manifest", manifest, self.sounds, self.top / "else", status=2)
        self.assertIn("exists: --overwrite replaces it, --resume adds to it", result.stderr)
        self.assertEqual(manifest.read_bytes(), before)
        self.assertFalse((self.top / "else").exists())
        self.run_program("--overwrite", "--manifest", manifest, self.sounds, self.out)
        self.assertEqual(len(manifest.read_text().splitlines()), 1)

    def test_a_manifest_is_appended_to_on_resume(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        manifest = self.top / "m.jsonl"
        self.run_program("--manifest", manifest, self.sounds, self.out)
        write_wav(self.sounds / "b.wav", 100)
        self.run_program("--resume", "--manifest", manifest, self.sounds, self.out)
        outputs = [Path(json.loads(line)["output"]).name for line in manifest.read_text().splitlines()]
        self.assertEqual(outputs, ["a.wav", "b.wav"])


class NoiseModes(ProcessTest):
    def lines(self, manifest: Path) -> dict[str, Any]:
        return {Path(x["output"]).name: x for x in map(json.loads, manifest.read_text().splitlines())}

    def test_a_ratio_is_drawn_reached_and_told(self) -> None:
        for index in range(8):
            write_wav(self.sounds / f"{index}.wav", 20_000, 1 + index % 2, 2, index + 1)
        manifest = self.top / "m.jsonl"
        result = self.run_program("--snr-db", "10:30", "--manifest", manifest, self.sounds, self.out)
        self.assertIn("10 to 30 dB", result.stdout)
        lines = self.lines(manifest)
        self.assertEqual(len(lines), 8)
        for line in lines.values():
            self.assertTrue(10 <= line["snr_db_requested"] < 30)
            self.assertAlmostEqual(line["snr_db_achieved"], line["snr_db_requested"], delta=0.2)
            with wave.open(line["input"]) as file:
                before = struct.unpack(
                    f"<{file.getnframes() * file.getnchannels()}h", file.readframes(1 << 20)
                )
            with wave.open(line["output"]) as file:
                after = struct.unpack(f"<{len(before)}h", file.readframes(1 << 20))
            signal_power = sum(x * x for x in before)
            noise_power = sum((y - x) ** 2 for x, y in zip(before, after))
            self.assertAlmostEqual(
                line["snr_db_achieved"], 10 * math.log10(signal_power / noise_power), places=9
            )
            rms = math.sqrt(signal_power / len(before)) / 32768
            self.assertAlmostEqual(line["sigma"], rms / 10 ** (line["snr_db_requested"] / 20), places=12)
        self.assertEqual(len({line["snr_db_requested"] for line in lines.values()}), 8)
        first = tree(self.out)
        how = ("--strategy", "sequential", "--kernel", "scalar", "--chunk", "3")
        self.run_program(*how, "--overwrite", "--snr-db", "10:30", self.sounds, self.out)
        self.assertEqual(tree(self.out), first)
        self.run_program("--overwrite", "--snr-db", "-5", self.sounds, self.out)
        self.assertNotEqual(tree(self.out), first)

    def test_silence_gets_no_noise_and_a_warning(self) -> None:
        self.sounds.mkdir()
        with wave.open(str(self.sounds / "silent.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(2000))
        manifest = self.top / "m.jsonl"
        result = self.run_program("--snr-db", "20", "--manifest", manifest, self.sounds, self.out)
        self.assertIn("silent", result.stderr)
        self.assertEqual(tree(self.out), tree(self.sounds))
        line = self.lines(manifest)["silent.wav"]
        self.assertEqual((line["sigma"], line["snr_db_requested"], line["snr_db_achieved"]), (0, 20, None))
        self.assertEqual(line["warnings"], ["silent"])

    def test_a_failed_input_has_a_line_with_what_was_asked_for(self) -> None:
        self.sounds.mkdir()
        (self.sounds / "bad.wav").write_text("a letter")
        manifest = self.top / "m.jsonl"
        self.run_program("--snr-db", "20", "--manifest", manifest, self.sounds, self.out, status=1)
        line = self.lines(manifest)["bad.wav"]
        self.assertEqual((line["status"], line["snr_db_requested"], line["sigma"]), ("failed", 20, None))

    def test_copies_have_names_streams_and_noise_of_their_own(self) -> None:
        write_wav(self.sounds / "a.b.wav", 3000)
        write_wav(self.sounds / "deep" / "c.wav", 3000)
        manifest = self.top / "m.jsonl"
        self.run_program("--recursive", "--copies", "3", "--manifest", manifest, self.sounds, self.out)
        outputs = tree(self.out)
        self.assertEqual(
            sorted(outputs),
            ["a.b.2.wav", "a.b.3.wav", "a.b.wav", "deep/c.2.wav", "deep/c.3.wav", "deep/c.wav"],
        )
        self.assertEqual(len(set(outputs.values())), 6)
        self.assertEqual(len({line["stream"] for line in self.lines(manifest).values()}), 6)
        self.run_program("--recursive", self.sounds, self.top / "one")
        for name, content in tree(self.top / "one").items():
            self.assertEqual(content, outputs[name], "the first copy is the one without --copies")
        self.run_program("--copies", "2", self.sounds / "a.b.wav", self.top / "new.wav")
        self.assertEqual((self.top / "new.2.wav").read_bytes(), outputs["a.b.2.wav"])

    def test_copies_in_the_way_of_an_input_are_refused(self) -> None:
        write_wav(self.sounds / "a.wav", 100)
        write_wav(self.sounds / "a.2.wav", 100)
        result = self.run_program("--copies", "2", self.sounds, self.out, status=2)
        self.assertIn("a.2.wav", result.stderr)
        self.assertFalse(self.out.exists())
        before = tree(self.sounds)
        self.run_program("--overwrite", "--copies", "2", self.sounds / "a.wav", self.sounds / "b.wav")
        self.run_program("--overwrite", "--copies", "2", self.sounds / "a.wav", self.sounds, status=2)
        self.assertEqual({k: v for k, v in tree(self.sounds).items() if k in before}, before)

    def test_what_a_copy_cannot_hold_is_said(self) -> None:
        # libsndfile reads the instrument of an AIFF file, and writes none. Rate: 8000 as an 80-bit float.
        samples = struct.pack(">100h", *range(100))
        rate = struct.pack(">HQ", 0x400B, 8000 << 51)
        chunks = b"COMM" + struct.pack(">IhIh", 18, 1, 100, 16) + rate
        chunks += b"INST" + struct.pack(">I6bh6h", 20, 60, 0, 0, 127, 1, 127, 0, 1, 1, 2, 0, 0, 0)
        chunks += b"SSND" + struct.pack(">III", 8 + len(samples), 0, 0) + samples
        self.sounds.mkdir()
        (self.sounds / "a.aiff").write_bytes(b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFF" + chunks)
        manifest = self.top / "m.jsonl"
        result = self.run_program("--amplitude", "0", "--manifest", manifest, self.sounds, self.out)
        self.assertEqual(self.lines(manifest)["a.aiff"]["warnings"], ["metadata lost"])
        self.assertIn("a.aiff", result.stderr)
        self.assertTrue((self.out / "a.aiff").read_bytes().endswith(samples))


class Links(ProcessTest):
    def test_to_folders_are_followed_once_and_after_the_folders_themselves(self) -> None:
        write_wav(self.sounds / "z" / "s.wav", 100)
        (self.sounds / "a").symlink_to("z")
        (self.sounds / "z" / "up").symlink_to("..")
        (self.sounds / "z" / "self").symlink_to(".")
        (self.sounds / "round").symlink_to("round")
        write_wav(self.top / "elsewhere" / "e.wav", 100)
        (self.top / "elsewhere" / "back").symlink_to(self.sounds)
        (self.sounds / "far").symlink_to(self.top / "elsewhere")
        (self.sounds / "file.wav").symlink_to("z/s.wav")
        result = self.run_program("--recursive", self.sounds, self.out)
        self.assertEqual(sorted(tree(self.out)), ["far/e.wav", "file.wav", "z/s.wav"])
        self.assertIn("4 folders not entered again", result.stdout)
        self.assertFalse(any(path.is_symlink() for path in self.out.rglob("*")))

    def test_cannot_lead_the_output_into_an_input(self) -> None:
        write_wav(self.sounds / "deep" / "s.wav", 100)
        before = tree(self.sounds)
        (self.top / "link").symlink_to(self.sounds / "deep")
        self.run_program("--recursive", self.sounds, self.top / "link", status=2)
        self.run_program("--recursive", self.sounds, self.top / "link" / "new" / "er", status=2)
        self.run_program(self.sounds / "deep", self.top / "link", status=2)
        # A link among the inputs to a folder that holds OUT.
        write_wav(self.top / "other" / "s.wav", 100)
        (self.top / "other" / "top").symlink_to(self.top)
        self.run_program("--recursive", self.top / "other", self.out, status=2)
        self.assertFalse(self.out.exists())
        # A link in OUT that leads back.
        self.out.mkdir()
        (self.out / "deep").symlink_to(self.sounds)
        result = self.run_program("--recursive", self.sounds, self.out, status=2)
        self.assertIn("leads into an input", result.stderr)
        self.assertEqual(tree(self.sounds), before)


class Manifests(ProcessTest):
    def test_escape_every_name(self) -> None:
        self.sounds.mkdir()
        write_wav(self.top / "a.wav", 100)
        for name in (b"by\xffte\xc3.wav", "ü\u2028.wav".encode(), b'q"\\\x01\n.wav', b"\xed\xa0\x80.wav"):
            shutil.copy(os.fsencode(self.top / "a.wav"), os.path.join(os.fsencode(self.sounds), name))
        manifest = self.top / "m.jsonl"
        self.run_program("--manifest", manifest, self.sounds, self.out)
        manifest.read_bytes().decode("utf-8")  # strictly
        lines = [json.loads(line) for line in manifest.read_text().split("\n")[:-1]]
        self.assertEqual(
            sorted(os.path.basename(os.fsencode(line["input"])) for line in lines),
            sorted(os.listdir(os.fsencode(self.sounds))),
        )
        self.assertIn("\\udcff", manifest.read_text())

    def test_have_exactly_these_fields(self) -> None:
        write_wav(self.sounds / "good.wav", 100)
        (self.sounds / "bad.wav").write_text("a letter")
        manifest = self.top / "m.jsonl"
        self.run_program("--manifest", manifest, self.sounds, self.out, status=1)
        fields = "input output copy shard shard_outputs outputs seed stream sigma snr_db_requested snr_db_achieved frames channels rate subtype sound_bytes metadata_bytes other_bytes "
        fields += "clipped nans warnings status message"
        for line in map(json.loads, manifest.read_text().splitlines()):
            self.assertEqual(list(line), fields.split())

    def test_a_torn_line_is_repaired_on_resume(self) -> None:
        for index in range(5):
            write_wav(self.sounds / f"{index}.wav", 300)
        manifest = self.top / "m.jsonl"
        self.run_program("--strategy", "sequential", "--manifest", manifest, self.sounds, self.out)
        whole, outputs = manifest.read_text(), tree(self.out)
        lines = whole.splitlines(keepends=True)
        for cut in (1, 9, 30, len(lines[4]) - 1):
            manifest.write_text("".join(lines[:4]) + lines[4][:cut])
            result = self.run_program("--resume", "--manifest", manifest, self.sounds, self.out)
            self.assertIn("4 there already", result.stdout)
            self.assertEqual(manifest.read_text(), whole)
            self.assertEqual(tree(self.out), outputs)

    def test_what_nobody_told_is_compared_on_resume_and_kept(self) -> None:
        write_wav(self.sounds / "a.wav", 300)
        write_wav(self.sounds / "b.wav", 300)
        self.run_program(self.sounds, self.out)
        (self.out / "b.wav").write_text("precious")
        manifest = self.top / "m.jsonl"
        result = self.run_program("--resume", "--manifest", manifest, self.sounds, self.out, status=1)
        self.assertIn("b.wav", result.stderr)
        self.assertIn("is not what would be written", result.stderr)
        status = {
            Path(x["output"]).name: x["status"] for x in map(json.loads, manifest.read_text().splitlines())
        }
        self.assertEqual(status, {"a.wav": "ok", "b.wav": "failed"})
        self.assertEqual((self.out / "b.wav").read_text(), "precious")

    def test_are_never_something_else(self) -> None:
        write_wav(self.sounds / "a.wav", 300)
        notes = self.top / "notes.txt"
        notes.write_text("first\nsecond")
        result = self.run_program("--resume", "--manifest", notes, self.sounds, self.out, status=2)
        self.assertIn("is no manifest", result.stderr)
        self.assertEqual(notes.read_text(), "first\nsecond")
        self.run_program("--manifest", self.out / "a.wav", self.sounds, self.out, status=2)
        self.run_program("--manifest", self.top / "no" / "m.jsonl", self.sounds, self.out, status=1)


class Interruption(ProcessTest):
    def test_keeps_what_is_complete_and_leaves_no_temporary(self) -> None:
        # One long file that libsndfile must decode and encode sample by sample: time enough to be interrupted.
        path = self.sounds / "long.wav"
        path.parent.mkdir()
        write_wav(self.sounds / "a-short.wav", 100)
        with open(path, "wb") as file:
            size = 1 << 30
            file.write(
                struct.pack(
                    "<4sI4s4sIHHIIHH4sI",
                    b"RIFF",
                    size + 36,
                    b"WAVE",
                    b"fmt ",
                    16,
                    1,
                    1,
                    8000,
                    24000,
                    3,
                    24,
                    b"data",
                    size,
                )
            )
            file.truncate(44 + size)
        process = subprocess.Popen(
            [
                PROGRAM,
                "process",
                "--strategy",
                "sequential",
                "--kernel",
                "scalar",
                str(self.sounds),
                str(self.out),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        deadline = time.monotonic() + 600
        while not (self.out / "a-short.wav").exists() or len(names(self.out)) < 2:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertEqual(names(self.out), ["a-short.wav"])
        self.assertIn(b"1 written", stdout)
        self.assertIn(b"1 not done", stdout)


class Terminal(ProcessTest):
    def stderr_on_a_terminal(self, **env: str) -> bytes:
        master, slave = pty.openpty()
        clean = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "TERM")}
        process = subprocess.Popen(
            [PROGRAM, "process", "--overwrite", str(self.sounds), str(self.out)],
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env={**clean, **env},
        )
        os.close(slave)
        said = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            said += part
        os.close(master)
        process.wait(timeout=600)
        return said

    def test_bar_and_colour_only_where_they_are_wanted(self) -> None:
        write_wav(self.sounds / "good.wav", 100)
        (self.sounds / "bad.wav").write_text("a letter")
        said = self.stderr_on_a_terminal(TERM="xterm")
        self.assertIn(b"\x1b[31m", said)
        self.assertIn(b"[", said)
        self.assertRegex(said, rb"\d/2 files, \d+%, .* left")
        self.assertNotIn(b"\x1b[31m", self.stderr_on_a_terminal(TERM="xterm", NO_COLOR="1"))
        for env in ({"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}):
            said = self.stderr_on_a_terminal(**env)
            self.assertNotIn(b"\x1b", said)
            self.assertIn(b"bad.wav", said)

    def test_results_go_to_stdout_and_messages_to_stderr(self) -> None:
        write_wav(self.sounds / "good.wav", 100)
        result = self.run_program(self.sounds, self.out)
        self.assertIn("1 written", result.stdout)
        self.assertEqual(result.stderr, "")
        (self.sounds / "new\nline\x1b[31m.wav").write_text("a letter")
        result = self.run_program("--overwrite", self.sounds, self.out, status=1)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertNotIn("\x1b", result.stderr)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()

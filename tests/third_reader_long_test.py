"""Promise: what `noisefloor process` reads and writes back without noise is what ffmpeg and sox read, in every format that
the three know: frames, channels, rate, and each sample within the step of its format.

Usage: python3 -B tests/third_reader_long_test.py PROGRAM. Skipped with the reason where ffmpeg or sox is missing.
Lossy formats are encoded anew, so of those the frames are compared, which a decoder gives or does not.
SPDX-License-Identifier: MIT
"""

import array
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from typing import Any

PROGRAM = ""
SECONDS, CHANNELS = "1.5", 2


@dataclass(frozen=True)
class Format:
    name: str  # with the extension
    encode: tuple[str, ...]  # ffmpeg's options
    step: float = 0.0  # of samples, as part of full scale; 0: every bit
    is_lossy: bool = False
    does_sox: bool = True  # sox reads it
    channels: int = CHANNELS
    rate: int = 44100


def codec(name: str) -> tuple[str, ...]:
    return ("-c:a", name)


FORMATS = (
    Format("u8.wav", codec("pcm_u8")),
    Format("s16.wav", codec("pcm_s16le")),
    Format("s24.wav", codec("pcm_s24le")),
    Format("s32.wav", codec("pcm_s32le")),
    Format("f32.wav", codec("pcm_f32le")),
    Format("f64.wav", codec("pcm_f64le")),
    Format("six.wav", codec("pcm_s16le"), channels=6),
    Format("ulaw.wav", codec("pcm_mulaw")),
    Format("alaw.wav", codec("pcm_alaw")),
    Format("s16.rf64", (*codec("pcm_s16le"), "-rf64", "always", "-f", "wav"), does_sox=False),
    Format("s24.w64", codec("pcm_s24le"), does_sox=False),
    Format("s16.aiff", codec("pcm_s16be")),
    Format("s24.aiff", codec("pcm_s24be")),
    Format("f32.aiff", codec("pcm_f32be"), does_sox=False),
    Format("s16.au", codec("pcm_s16be")),
    Format("ulaw.au", codec("pcm_mulaw")),
    Format("s16.caf", codec("pcm_s16be"), does_sox=False),
    Format("s16.flac", codec("flac")),
    Format("s24.flac", (*codec("flac"), "-sample_fmt", "s32")),
    Format("cbr.mp3", (*codec("libmp3lame"), "-b:a", "128k"), is_lossy=True, does_sox=False),
    Format("vbr.mp3", (*codec("libmp3lame"), "-q:a", "4"), is_lossy=True, does_sox=False),
    Format(
        "vbr, no Xing.mp3",
        (*codec("libmp3lame"), "-q:a", "4", "-write_xing", "0"),
        is_lossy=True,
        does_sox=False,
    ),
    Format("low.mp3", (*codec("libmp3lame"), "-write_xing", "0"), is_lossy=True, does_sox=False, rate=22050),
    Format("vorbis.ogg", codec("libvorbis"), is_lossy=True),
    Format("opus.ogg", codec("libopus"), is_lossy=True, does_sox=False, rate=48000),
)


def ran(*command: str) -> bytes:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr!r}")
    return done.stdout


def by_ffmpeg(path: str) -> tuple[tuple[int, int], "array.array[float]"]:
    asked = ("-select_streams", "a:0", "-show_entries", "stream=sample_rate,channels", "-of", "json")
    said = json.loads(ran("ffprobe", "-v", "error", *asked, path))["streams"][0]
    samples = array.array(
        "d", ran("ffmpeg", "-v", "error", "-i", path, "-c:a", "pcm_f64le", "-f", "f64le", "-")
    )
    return (int(said["sample_rate"]), said["channels"]), samples


def by_sox(path: str) -> tuple[tuple[int, int], "array.array[float]"]:
    facts = int(ran("soxi", "-r", path)), int(ran("soxi", "-c", path))
    return facts, array.array("d", ran("sox", "-D", path, "-t", "f64", "-"))


class ThirdReader(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="noisefloor-third-reader-")
        self.addCleanup(shutil.rmtree, self.folder)

    def made(self, form: Format) -> str:
        path = os.path.join(self.folder, form.name)
        tones = "|".join(f"0.4*sin({220 * (i + 1)}*2*PI*t)" for i in range(form.channels))
        source = f"aevalsrc={tones}:s={form.rate}:d={SECONDS}"
        ran("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *form.encode, path)
        return path

    def copied(self, path: str) -> tuple[str, dict[str, Any]]:
        out, manifest = os.path.join(self.folder, "out"), os.path.join(self.folder, "m.jsonl")
        ran(PROGRAM, "process", "--amplitude", "0", "--overwrite", "--manifest", manifest, path, out + "/")
        with open(manifest, encoding="utf-8") as file:
            line = json.loads(file.readlines()[-1])
        return os.path.join(out, os.path.basename(path)), line

    def test_each_format_is_read_as_others_read_it(self) -> None:
        for form in FORMATS:
            with self.subTest(format=form.name):
                path = self.made(form)
                copy, line = self.copied(path)
                for read in (by_ffmpeg, by_sox) if form.does_sox else (by_ffmpeg,):
                    facts, samples = read(path)
                    self.assertEqual((line["rate"], line["channels"]), facts, read.__name__)
                    self.assertEqual(line["frames"], len(samples) // form.channels, read.__name__)
                    self.assertEqual(
                        line["sound_bytes"] + line["metadata_bytes"], os.path.getsize(path), line["warnings"]
                    )
                    if form.is_lossy:
                        continue
                    copied_facts, copied = read(copy)
                    self.assertEqual(copied_facts, facts)
                    self.assertEqual(len(copied), len(samples))
                    self.assertLessEqual(
                        max(abs(a - b) for a, b in zip(samples, copied)), form.step, read.__name__
                    )


if __name__ == "__main__":
    missing = [name for name in ("ffmpeg", "ffprobe", "sox", "soxi") if shutil.which(name) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} is missing (packages/apt.txt, group long)")
        sys.exit(77)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()

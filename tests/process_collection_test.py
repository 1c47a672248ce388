"""Promise: a collection comes out the same whether it is named by folder or by list, in one call or in shards on several
machines; outputs that other settings made never count as done; and `noisefloor manifest` tells what is missing.

Usage: process_collection_test.py PROGRAM [unittest arguments]. Standard library only.
SPDX-License-Identifier: MIT
"""

import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Optional

PROGRAM = ""
NOTES = ".noisefloor"
FOREIGN = "elsewhere.0123456789ab"  # host and boot of another machine


def wav(frames: int, seed: int = 1) -> bytes:
    """A sawtooth in 16 bits at 8 kHz, one channel."""
    data = b"".join(struct.pack("<h", seed * 37 * i % 20011 - 10005) for i in range(frames))
    return (
        struct.pack(
            "<4sI8sIHHIIHH4sI",
            b"RIFF",
            36 + len(data),
            b"WAVEfmt ",
            16,
            1,
            1,
            8000,
            16000,
            2,
            16,
            b"data",
            len(data),
        )
        + data
    )


def tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and NOTES not in p.relative_to(folder).parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def lines(manifest: Path) -> list[Any]:
    return [json.loads(line) for line in manifest.read_text().splitlines()]


class CollectionTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="noisefloor-collection-"))
        self.addCleanup(shutil.rmtree, self.top, True)
        self.sounds = self.top / "in"
        self.out = self.top / "out"

    def run_program(
        self, *arguments: Any, status: int = 0, env: Optional[dict[str, str]] = None, given: bytes = b""
    ) -> Any:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        ran = subprocess.run(
            [PROGRAM, *map(os.fspath, arguments)],
            input=given,
            capture_output=True,
            timeout=120,
            cwd=self.top,
            env={**clean, **(env or {})},
        )
        self.assertEqual(ran.returncode, status, f"{arguments}\n{ran.stdout!r}\n{ran.stderr!r}")
        return subprocess.CompletedProcess(
            ran.args,
            ran.returncode,
            ran.stdout.decode(errors="surrogateescape"),
            ran.stderr.decode(errors="surrogateescape"),
        )

    def process(self, *arguments: Any, **how: Any) -> Any:
        return self.run_program("process", *arguments, **how)

    def make_sounds(self, count: int = 23) -> None:
        for index in range(count):
            path = self.sounds / f"{index % 3}" / f"{index:02}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav(200 + 31 * index, 1 + index))


class OtherSettings(CollectionTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_sounds(4)
        self.how = ["--recursive", self.sounds, self.out]

    def test_that_made_an_output_are_named_where_it_would_be_skipped(self) -> None:
        self.process("--seed", "1", "--snr-db", "0:20", *self.how)
        before = tree(self.out)
        for options, said in [
            (["--seed", "9", "--snr-db", "0:20"], "seed 1 instead of 9"),
            (["--snr-db", "30:40"], "snr_db [0.0,20.0] instead of [30.0,40.0]"),
            (["--amplitude", "0.1"], "instead of"),
            (["--snr-db", "0:20", "--kernel", "naive"], "definition"),
            (["--seed", "9", "--snr-db", "0:20", "--copies", "4"], "seed 1 instead of 9"),
        ]:
            with self.subTest(options=options):
                ran = self.process("--resume", *options, *self.how, status=2)
                self.assertIn(said, ran.stderr)
                self.assertIn("(and 3 more)", ran.stderr)
                self.assertIn("--overwrite", ran.stderr)
                self.assertEqual(tree(self.out), before)
        self.assertIn("4 there already", self.process("--resume", "--snr-db", "0:20", *self.how).stdout)

    def test_are_found_in_the_manifest_where_no_note_is_left(self) -> None:
        manifest = self.top / "m.jsonl"
        self.process("--manifest", manifest, *self.how)
        shutil.rmtree(self.out / NOTES)
        ran = self.process("--resume", "--manifest", manifest, "--seed", "9", *self.how, status=2)
        self.assertIn("seed 1, sigma 0.003 instead of seed 9, sigma 0.003", ran.stderr)
        self.assertEqual(len(lines(manifest)), 4)

    def test_may_be_used_for_other_inputs(self) -> None:
        self.process(*self.how)
        other = self.top / "other"
        other.mkdir()
        for name in ("x.wav", "y.wav"):
            (other / name).write_bytes(wav(300))
        self.process("--seed", "2", other, self.out)
        self.assertIn("2 there already", self.process("--resume", "--seed", "2", other, self.out).stdout)
        self.assertIn("4 there already", self.process("--resume", *self.how).stdout)
        self.process("--resume", "--seed", "2", *self.how, status=2)

    def test_count_no_more_once_all_was_overwritten(self) -> None:
        self.process(*self.how)
        self.process("--overwrite", "--seed", "2", *self.how)
        self.assertIn("4 there already", self.process("--resume", "--seed", "2", *self.how).stdout)
        self.process("--resume", *self.how, status=2)

    def test_of_more_copies_go_on_with_fewer(self) -> None:
        self.process(*self.how)
        ran = self.process("--resume", "--copies", "3", *self.how)
        self.assertIn("8 written", ran.stdout)
        self.process("--recursive", "--copies", "3", self.sounds, self.top / "whole")
        self.assertEqual(tree(self.out), tree(self.top / "whole"))

    def test_of_many_outputs_are_noted_beside_the_entry(self) -> None:
        self.make_sounds(50)
        self.process(*self.how)
        self.assertEqual(len(list((self.out / NOTES).glob("*.outputs"))), 1)
        self.assertIn("(and 49 more)", self.process("--resume", "--seed", "2", *self.how, status=2).stderr)

    def test_of_a_killed_call_are_told_apart_by_making_again(self) -> None:
        self.process(*self.how)
        # A call with other settings that was killed while it replaced: its entry has no end.
        self.process("--overwrite", "--seed", "2", *self.how)
        (notes,) = (self.out / NOTES).glob("settings.*")
        entries = notes.read_text().splitlines(keepends=True)
        self.assertIn('"end"', entries.pop())
        notes.write_text("".join(entries) + '{"version": 1, "torn')
        (self.sounds / "new.wav").write_bytes(wav(100))
        made = tree(self.out)
        old = self.top / "old"
        self.process("--recursive", self.sounds, old)
        shutil.copy(old / "0" / "00.wav", self.out / "0" / "00.wav")
        ran = self.process("--resume", "--seed", "2", *self.how, status=1)
        self.assertIn("00.wav' exists, and is not what would be written", ran.stderr)
        self.assertNotIn("01.wav", ran.stderr)
        self.assertEqual(
            {k: v for k, v in tree(self.out).items() if k not in ("0/00.wav", "new.wav")},
            {k: v for k, v in made.items() if k != "0/00.wav"},
        )

    def test_of_another_machine_are_read(self) -> None:
        self.process(*self.how)
        (notes,) = (self.out / NOTES).glob("settings.*")
        notes.rename(notes.with_name(f"settings.{FOREIGN}.jsonl"))
        self.process("--resume", "--seed", "2", *self.how, status=2)
        (self.sounds / "new.wav").write_bytes(wav(100))
        self.process("--resume", *self.how)
        self.assertEqual(len(list((self.out / NOTES).glob("settings.*"))), 2, "each machine has its own file")

    def test_of_one_file_are_compared(self) -> None:
        file, out = self.sounds / "0" / "00.wav", self.top / "one.wav"
        self.process(file, out)
        self.process("--resume", file, out)
        ran = self.process("--resume", "--seed", "9", file, out, status=1)
        self.assertIn("is not what would be written", ran.stderr)
        self.assertFalse((self.top / NOTES).exists())


class Lists(CollectionTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_sounds(7)
        self.process("--recursive", self.sounds, self.top / "whole")
        self.whole = tree(self.top / "whole")

    def listed(self, *arguments: Any, **how: Any) -> Any:
        return self.process("--from-file", "-", *arguments, self.out, **how)

    def test_key_the_noise_below_their_base(self) -> None:
        names = sorted(tree(self.sounds), reverse=True)
        for text, more in [
            ("\n".join(names) + "\n", ["--base", str(self.sounds)]),
            ("".join(f"./{name}\r\n\n" for name in names), ["--base", "in"]),
            ("\n".join(str(self.sounds / name) for name in names), ["--base", "in/"]),
            ("".join(f"{name}\0" for name in names), ["--base", "in", "--null"]),
        ]:
            with self.subTest(more=more):
                self.listed(*more, given=text.encode())
                self.assertEqual(tree(self.out), self.whole)
                shutil.rmtree(self.out)
        self.listed(given="\n".join(f"in/{name}" for name in names).encode())
        self.assertEqual(sorted(tree(self.out)), sorted(f"in/{name}" for name in names))

    def test_come_from_find_and_from_files(self) -> None:
        found = subprocess.run(
            ["find", ".", "-print0"], cwd=self.sounds, capture_output=True, check=True
        ).stdout
        ran = self.listed("--null", "--base", "in", given=found, status=1)
        self.assertEqual(tree(self.out), self.whole)
        self.assertIn("'in/0' is a folder", ran.stderr)
        self.assertIn("find -type f", ran.stderr)
        shutil.rmtree(self.out)
        (self.top / "list").write_text("0/00.wav\n")
        self.process("--from-file", "list", "--base", "in", self.out)
        self.assertEqual(list(tree(self.out)), ["0/00.wav"])

    def test_take_names_of_every_kind(self) -> None:
        odd = [b"new\nline.wav", b"\xff.wav", b" blank .wav", b"no extension"]
        for name in odd:
            Path(os.fsdecode(os.path.join(os.fsencode(self.sounds), name))).write_bytes(wav(100))
        self.listed("--null", "--base", "in", given=b"\0".join(odd))
        self.assertEqual(sorted(map(os.fsencode, tree(self.out))), sorted(odd))

    def test_with_a_missing_file_do_the_others(self) -> None:
        manifest = self.top / "m.jsonl"
        text = b"0/00.wav\nmissing.wav\n1/01.wav\n"
        ran = self.listed("--base", "in", "--manifest", manifest, given=text, status=1)
        self.assertIn("missing.wav", ran.stderr)
        self.assertEqual(sorted(tree(self.out)), ["0/00.wav", "1/01.wav"])
        failed = [line["input"] for line in lines(manifest) if line["status"] == "failed"]
        self.assertEqual(failed, ["in/missing.wav"])

    def test_that_cannot_be_meant_are_refused(self) -> None:
        refused: list[tuple[bytes, list[str], str]] = [
            (b"", [], "names no file"),
            (b"\n\n", [], "names no file"),
            (b"/etc/passwd\n", [], "does not lie below '.'"),
            (b"in/0/00.wav\n../x.wav\n", [], "--base"),
            (b"in/../in/0/00.wav\n", [], "without '..'"),
            (b"in/0/00.wav\n./in//0/00.wav\n", [], "name each input once"),
            (b"a.wav\0b.wav\0", [], "--null"),
            (b"in/0/00.wav\n", ["in"], "OUT alone"),
            (b"in/0/00.wav\n", ["--recursive"], "--recursive"),
        ]
        for given, more, said in refused:
            with self.subTest(given=given):
                self.assertIn(said, self.listed(*more, given=given, status=2).stderr)
                self.assertFalse(self.out.exists())
        self.assertIn("no-such-list", self.process("--from-file", "no-such-list", self.out, status=2).stderr)
        self.assertIn("--from-file", self.process("--null", self.sounds, self.out, status=2).stderr)

    def test_never_write_to_what_they_name(self) -> None:
        before = tree(self.sounds)
        given = b"0/00.wav\n"
        self.process("--overwrite", "--from-file", "-", "--base", "in", self.sounds, given=given, status=2)
        (self.top / "link").symlink_to(self.sounds)
        self.process(
            "--overwrite", "--from-file", "-", "--base", "in", self.top / "link", given=given, status=2
        )
        # An input that is a link to where the output goes.
        (self.out / "0").mkdir(parents=True)
        shutil.copy(self.sounds / "0" / "00.wav", self.out / "0" / "00.wav")
        (self.top / "linked" / "0").mkdir(parents=True)
        (self.top / "linked" / "0" / "00.wav").symlink_to(self.out / "0" / "00.wav")
        for mode in ("--overwrite", "--resume"):
            ran = self.process(mode, "--from-file", "-", "--base", "linked", self.out, given=given, status=2)
            self.assertIn("is an input itself", ran.stderr)
        self.assertEqual(tree(self.sounds), before)
        self.assertEqual((self.out / "0" / "00.wav").read_bytes(), before["0/00.wav"])


class BadFiles(CollectionTest):
    def test_are_named_by_kind_and_once_for_all_copies(self) -> None:
        self.make_sounds(2)
        for index in range(3):
            (self.sounds / f"{index}.m4a").write_bytes(b"\0")
        (self.sounds / "notes.txt").write_text("a letter")
        (self.sounds / "bad.wav").write_text("a letter")
        (self.sounds / "gone.wav").symlink_to("nowhere")
        manifest = self.top / "m.jsonl"
        ran = self.process(
            "--recursive", "--copies", "4", "--manifest", manifest, self.sounds, self.out, status=1
        )
        self.assertIn(".m4a: not supported, 3 files", ran.stdout)
        self.assertIn(".txt: no sound, 1 file", ran.stdout)
        self.assertEqual(ran.stderr.count("bad.wav"), 1, ran.stderr)
        self.assertEqual(ran.stderr.count("gone.wav"), 1, ran.stderr)
        self.assertIn("is a dangling link: there is no 'nowhere'", ran.stderr)
        copies = {(Path(x["input"]).name, x["copy"]): x["status"] for x in lines(manifest)}
        self.assertEqual(copies[("bad.wav", 3)], "failed")
        self.assertEqual(len(copies), 16)

    def test_of_an_unsupported_kind_alone_are_named(self) -> None:
        self.sounds.mkdir()
        (self.sounds / "a.m4a").write_bytes(b"\0")
        self.assertIn(".m4a is not supported, 1 file", self.process(self.sounds, self.out, status=2).stderr)

    def test_several_inputs_need_a_folder(self) -> None:
        self.make_sounds(2)
        one, two = self.sounds / "0" / "00.wav", self.sounds / "1" / "01.wav"
        for inputs in ([one, two], [self.sounds]):
            ran = self.process("--recursive", *inputs, self.top / "out.wav", status=2)
            self.assertIn("several inputs need a folder", ran.stderr)
        self.process(one, two, f"{self.top}/out.wav/")
        self.assertEqual(len(tree(self.top / "out.wav")), 2)


class DryRun(CollectionTest):
    def test_tells_what_would_be_written_and_writes_nothing(self) -> None:
        self.make_sounds(3)
        manifest = self.top / "m.jsonl"
        how = ["--recursive", "--copies", "2", "--manifest", manifest, self.sounds, self.out]
        ran = self.process("--dry-run", *how)
        self.assertFalse(self.out.exists() or manifest.exists())
        said = sorted(line.split(" -> ")[1] for line in ran.stdout.splitlines() if " -> " in line)
        self.assertIn("6 files would be", ran.stdout)
        self.process(*how)
        self.assertEqual(said, sorted(str(self.out / name) for name in tree(self.out)))
        bytes_in = 2 * sum(map(len, tree(self.sounds).values()))
        self.assertIn(f"size: about {bytes_in / 1e3:.1f} kB", ran.stdout)

    def test_tells_what_would_fail(self) -> None:
        self.make_sounds(3)
        self.process("--recursive", self.sounds, self.out)
        before = tree(self.top)
        how = ["--dry-run", "--recursive", self.sounds, self.top / "missing.wav"]
        ran = self.process(*how, self.out, status=1)
        self.assertEqual(ran.stderr.count("exists: --overwrite replaces it"), 3)
        self.assertIn("missing.wav", ran.stderr)
        ran = self.process("--dry-run", "--resume", "--recursive", self.sounds, self.out)
        self.assertIn("3 there already", ran.stdout)
        self.assertNotIn(" -> ", ran.stdout)
        self.assertIn(
            "3 files would be",
            self.process("--dry-run", "--overwrite", "--recursive", self.sounds, self.out).stdout,
        )
        self.assertIn(
            "seed",
            self.process(
                "--dry-run", "--resume", "--seed", "2", "--recursive", self.sounds, self.out, status=2
            ).stderr,
        )
        self.assertEqual(tree(self.top), before)


class Shards(CollectionTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_sounds()
        self.process("--recursive", "--copies", "2", self.sounds, self.top / "whole")
        self.whole = tree(self.top / "whole")

    def manifest(self, number: int) -> Path:
        return self.top / f"m-{number}.jsonl"

    def shard(self, number: int, count: int, *more: Any, **how: Any) -> Any:
        arguments = ["--recursive", "--copies", "2", "--shard", f"{number}/{count}"]
        return self.process(
            *arguments, "--manifest", self.manifest(number), *more, self.sounds, self.out, **how
        )

    def test_give_the_tree_of_one_call(self) -> None:
        for count in (1, 3, 40):
            with self.subTest(count=count):
                parts = []
                for number in range(1, count + 1):
                    self.shard(number, count)
                    parts.append({line["output"] for line in lines(self.manifest(number))})
                self.assertEqual(tree(self.out), self.whole)
                self.assertEqual(sum(map(len, parts)), len(self.whole), "no output in two shards")
                if count == 3:
                    self.assertTrue(all(parts))
                manifests = [self.manifest(number) for number in range(1, count + 1)]
                ran = self.run_program("manifest", "check", "--look", *manifests)
                self.assertIn(f"outputs: {len(self.whole)} of {len(self.whole)}", ran.stdout)
                self.out.rename(self.top / f"done-{count}")
                for manifest in manifests:
                    manifest.unlink()

    def test_look_at_no_files_of_others(self) -> None:
        listed = "\n".join(tree(self.sounds)).encode()
        strace = shutil.which("strace")
        if strace is None:
            self.skipTest("strace is not installed")
        log = self.top / "log"
        how: list[Any] = [
            "--from-file",
            "-",
            "--base",
            "in",
            "--shard",
            "1/3",
            "--manifest",
            self.manifest(1),
            "--resume",
        ]
        for call in ("first", "again"):
            subprocess.run(
                [strace, "-f", "-e", "trace=file", "-o", log, PROGRAM, "process", *how, self.out],
                input=listed,
                cwd=self.top,
                check=True,
                capture_output=True,
            )
            mine = {Path(line["input"]).name for line in lines(self.manifest(1))}
            looked_at = log.read_text()
            for name in tree(self.sounds):
                self.assertEqual(f'{name}"' in looked_at, Path(name).name in mine, f"{call}: {name}")
            self.assertLess(len(mine), len(self.whole) / 2)

    def test_numbered_by_an_array(self) -> None:
        array = {"SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_COUNT": "3"}
        how = ["--recursive", "--copies", "2", "--shard", "auto/3"]

        def member(number: int, *more: Any, **changed: str) -> Any:
            env = {**array, "SLURM_ARRAY_TASK_ID": str(number), **changed}
            return [*how, "--manifest", self.manifest(number), *more, self.sounds, self.out], env

        for number in (5, 6, 7):
            arguments, env = member(number)
            self.assertIn(f"shard {number - 4}/3", self.process(*arguments, env=env).stdout)
        self.assertEqual(tree(self.out), self.whole)
        # Members 6 and 7 again, as an array of their own.
        again = {"SLURM_ARRAY_TASK_MIN": "6", "SLURM_ARRAY_TASK_COUNT": "2"}
        arguments, env = member(7, "--resume", **again)
        self.assertIn("shard 3/3", self.process(*arguments, env=env).stdout)
        shutil.rmtree(self.out)
        self.assertIn("has 2 members", self.process(*arguments, env=env, status=2).stderr)

    def test_that_cannot_be_meant_are_refused(self) -> None:
        for text, env, said in [
            ("0/3", {}, "between 1 and 3"),
            ("4/3", {}, "between 1 and 3"),
            ("1/0", {}, "K/N"),
            ("1", {}, "K/N"),
            ("x/3", {}, "auto"),
            ("auto/3", {}, "--shard K/3"),
            ("auto/3", {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "5"}, "there are 3 shards"),
            ("auto/3", {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_MIN": "5"}, "must be a number"),
        ]:
            with self.subTest(text=text, env=env):
                ran = self.process("--recursive", "--shard", text, self.sounds, self.out, env=env, status=2)
                self.assertIn(said, ran.stderr)
                self.assertFalse(self.out.exists())

    def test_keep_their_number_and_their_manifest(self) -> None:
        self.shard(1, 3)
        before = self.manifest(1).read_bytes()
        self.manifest(2).write_bytes(before)
        self.assertIn("is of shard 1/3, not 2/3", self.shard(2, 3, "--resume", status=2).stderr)
        ran = self.shard(1, 4, "--resume", status=2)
        self.assertIn("is of shard 1/3, not 1/4", ran.stderr)
        self.assertIn("--shard 1/3", ran.stderr)
        self.assertIn("each shard needs one of its own", self.shard(1, 3, status=2).stderr)
        self.manifest(3).touch()
        self.assertIn("each shard needs one of its own", self.shard(3, 3, status=2).stderr)
        self.assertEqual(self.manifest(1).read_bytes(), before)

    def test_never_write_one_manifest_at_once(self) -> None:
        self.shard(1, 3)
        with open(self.manifest(1), "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertIn("another call writes the manifest", self.shard(1, 3, "--resume", status=2).stderr)

    def test_run_again_remove_what_their_earlier_attempt_left_elsewhere(self) -> None:
        # What another machine left of this shard has the number that this shard's temporaries have, too.
        self.shard(1, 3, "--resume")
        owner = self.owner_of_temporaries(1)
        mine = self.out / "0" / f".{FOREIGN}.{owner}.1-2-3.noisefloor-tmp"
        others = self.out / "0" / f".{FOREIGN}.{'abc'}.1-2-3.noisefloor-tmp"
        mine.write_text("half")
        others.write_text("half")
        self.shard(1, 3, "--resume")
        self.assertFalse(mine.exists())
        self.assertTrue(others.exists())

    def owner_of_temporaries(self, number: int) -> str:
        """As a call of the shard names it, which is stopped as soon as it has made one."""
        sounds = self.top / "pipe"
        sounds.mkdir()
        # An input of one shard only that takes for ever: 2 GB of silence that are a hole.
        for name in (f"{index}.wav" for index in range(100)):
            (sounds / name).write_bytes(wav(1))
        size = 2**31 - 100
        out = self.top / "stopped"
        self.manifest(number).touch()
        for path in sounds.iterdir():
            with open(path, "wb") as file:
                file.write(
                    struct.pack(
                        "<4sI8sIHHIIHH4sI",
                        b"RIFF",
                        36 + size,
                        b"WAVEfmt ",
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
                "--kernel",
                "scalar",
                "--shard",
                f"{number}/3",
                "--resume",
                "--manifest",
                str(self.manifest(number)),
                str(sounds),
                str(out),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while process.poll() is None:
                if found := list(out.glob(".*.noisefloor-tmp")):
                    return found[0].name.split(".")[3]
            self.fail("the call ended by itself")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            shutil.rmtree(out)
            shutil.rmtree(sounds)

    def test_may_be_empty(self) -> None:
        one = self.top / "one"
        one.mkdir()
        (one / "a.wav").write_bytes(wav(100))
        for number in (1, 2, 3):
            self.process("--shard", f"{number}/3", "--manifest", self.manifest(number), one, self.out)
        self.assertEqual(list(tree(self.out)), ["a.wav"])
        manifests = [self.manifest(number) for number in (1, 2, 3)]
        self.run_program("manifest", "check", *manifests)

    def test_are_finished_by_one_call_that_reads_all_manifests(self) -> None:
        self.shard(1, 3)
        self.shard(2, 3)
        last = self.top / "last.jsonl"
        done = ["--done-in", self.manifest(1), "--done-in", self.manifest(2)]
        how = ["--resume", "--recursive", "--copies", "2", "--manifest", last, *done, self.sounds, self.out]
        there = len(lines(self.manifest(1))) + len(lines(self.manifest(2)))
        self.assertIn(f"{there} there already", self.process(*how).stdout)
        self.assertEqual(tree(self.out), self.whole)
        self.run_program("manifest", "check", self.manifest(1), self.manifest(2), last)


class Manifests(CollectionTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_sounds()
        self.manifests = [self.top / f"m-{number}.jsonl" for number in (1, 2, 3)]
        for number, manifest in enumerate(self.manifests, start=1):
            self.process(
                "--recursive", "--shard", f"{number}/3", "--manifest", manifest, self.sounds, self.out
            )

    def check(self, *more: Any, status: int = 0) -> Any:
        return self.run_program("manifest", "check", *more, *self.manifests, status=status)

    def resume(self, number: int, **how: Any) -> Any:
        manifest = self.manifests[number - 1]
        how = {"status": 0, **how}
        return self.process(
            "--recursive",
            "--resume",
            "--shard",
            f"{number}/3",
            "--manifest",
            manifest,
            self.sounds,
            self.out,
            **how,
        )

    def test_that_are_complete_are_told_so(self) -> None:
        self.assertEqual(self.check().stdout, "outputs: 23 of 23; failed: 0; double: 0; missing: 0\n")

    def test_a_missing_line_is_found_and_run_again(self) -> None:
        text = self.manifests[1].read_text().splitlines(keepends=True)
        self.manifests[1].write_text("".join(text[:-1]))
        ran = self.check(status=1)
        self.assertIn("missing: 1", ran.stdout)
        self.assertIn("shards to run again, with --resume: 2 (of 3)", ran.stdout)
        self.resume(2)
        self.check()

    def test_a_missing_shard_is_found(self) -> None:
        missing = len(lines(self.manifests.pop(0)))
        ran = self.check(status=1)
        self.assertIn(f"missing: {missing}", ran.stdout)
        self.assertIn("run again, with --resume: 1 (of 3)", ran.stdout)

    def test_a_failed_line_is_found_and_run_again(self) -> None:
        line = lines(self.manifests[2])[0]
        sound = Path(line["input"]).read_bytes()
        Path(line["input"]).write_text("a letter")
        Path(line["output"]).unlink()
        self.resume(3, status=1)
        ran = self.check(status=1)
        self.assertIn("failed: 1", ran.stdout)
        self.assertIn("run again, with --resume: 3 (of 3)", ran.stdout)
        self.assertIn(f"failed: {line['output']} (shard 3/3)", ran.stderr)
        Path(line["input"]).write_bytes(sound)
        self.resume(3)
        self.check()

    def test_a_double_line_is_found(self) -> None:
        double = self.manifests[0].read_text().splitlines(keepends=True)[0]
        with open(self.manifests[1], "a") as file:
            file.write(double)
        ran = self.check(status=1)
        self.assertIn("double: 1", ran.stdout)
        self.assertIn(json.loads(double)["output"], ran.stderr)
        merged = self.top / "merged.jsonl"
        self.run_program("manifest", "merge", "--output", merged, *self.manifests, status=1)
        self.assertEqual(len(lines(merged)), 23)
        # Another noise under the same name is no double: nobody knows which is in the file.
        merged.unlink()
        with open(self.manifests[1], "a") as file:
            file.write(double.replace('"seed": 1', '"seed": 2'))
        ran = self.run_program("manifest", "merge", "--output", merged, *self.manifests, status=1)
        self.assertIn("different noise", ran.stderr)
        self.assertFalse(merged.exists())

    def test_are_merged_into_one_that_counts(self) -> None:
        with open(self.manifests[0], "a") as file:
            file.write('{"input": "torn')
        merged = self.top / "merged.jsonl"
        ran = self.run_program("manifest", "merge", "--output", merged, *self.manifests)
        self.assertIn("torn", ran.stderr)
        self.assertEqual(len({line["output"] for line in lines(merged)}), 23)
        self.assertEqual(self.run_program("manifest", "check", merged).stdout, self.check().stdout)
        again = self.run_program("manifest", "merge", "--output", merged, *self.manifests, status=1)
        self.assertIn("File exists", again.stderr)
        self.run_program("manifest", "merge", "--overwrite", "--output", merged, *self.manifests)
        last = self.top / "last.jsonl"
        how = ["--recursive", "--resume", "--manifest", last, "--done-in", merged, self.sounds, self.out]
        self.assertIn("23 there already", self.process(*how).stdout)

    def test_tell_what_is_gone(self) -> None:
        gone = self.out / "0" / "00.wav"
        gone.unlink()
        self.check()
        ran = self.check("--look", status=1)
        self.assertIn("not there: 1", ran.stdout)
        self.assertIn(str(gone), ran.stderr)

    def test_of_another_number_of_shards_are_refused(self) -> None:
        other = self.top / "m4.jsonl"
        self.process("--recursive", "--shard", "1/4", "--manifest", other, self.sounds, self.top / "out4")
        self.manifests[1] = other
        self.assertIn("of 3 and of 4 shards", self.check(status=2).stderr)

    def test_what_is_none_is_refused(self) -> None:
        notes = self.top / "notes.txt"
        notes.write_text("a letter\n")
        self.manifests.append(notes)
        self.assertIn("is no manifest", self.check(status=2).stderr)
        self.manifests[-1] = self.top / "missing.jsonl"
        self.assertIn("missing.jsonl", self.check(status=1).stderr)
        self.run_program("manifest", "check", status=2)
        self.run_program("manifest", status=2)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()

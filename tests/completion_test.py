#!/usr/bin/env python3
"""What the shells are told about the command line: completions offer what the program takes.

Usage: completion_test.py NOISEFLOOR

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAM = Path()

ASK = """
source <(noisefloor completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_noisefloor
printf '%s\\n' "${COMPREPLY[@]}"
"""


ASK_ZSH = """
compdef() { :; }
_describe() { print -rl -- "${(@P)3}"; }
_files() { print files; }
source <(noisefloor completion zsh)
words=("$@")
CURRENT=$#words
_noisefloor
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}


def complete(*words: str) -> list[str]:
    """What the program itself answers."""
    done = subprocess.run([PROGRAM, "complete", "--", *words], capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def offers(*words: str) -> list[str]:
    """What bash offers for the last of `words` after the program's name."""
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "noisefloor", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def listed(table: str) -> list[str]:
    done = subprocess.run([PROGRAM, "list", table], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines()]


class Completion(unittest.TestCase):
    def test_commands_come_first(self) -> None:
        self.assertEqual(offers("pro"), ["process"])
        self.assertIn("completion", offers(""))

    def test_names_come_from_the_program_s_tables(self) -> None:
        self.assertEqual(offers("process", "--strategy", ""), listed("strategies"))
        self.assertEqual(offers("pitfall", ""), listed("pitfalls"))
        self.assertEqual(offers("run", "qu"), ["quick"])
        self.assertEqual(offers("process", "--kernel", "au"), ["auto"])

    def test_options_are_those_of_the_command(self) -> None:
        self.assertIn("--snr-db", offers("process", "--s"))
        self.assertNotIn("--snr-db", offers("run", "--s"))

    def test_what_is_a_path_is_left_to_the_shell(self) -> None:
        self.assertEqual(offers("process", "--manifest", "m"), [])

    def test_commands_of_commands_have_their_own(self) -> None:
        self.assertEqual(offers("manifest", ""), ["check", "merge"])
        self.assertEqual(offers("manifest", "merge", "--ou"), ["--output"])

    def test_a_value_behind_an_equals_sign_is_completed(self) -> None:
        self.assertEqual(offers("process", "--kernel", "=", "au"), ["auto"])  # as bash splits it
        self.assertEqual(complete("process", "--kernel=au"), ["--kernel=auto"])

    def test_no_option_is_offered_behind_two_dashes(self) -> None:
        self.assertEqual(offers("process", "--", "--s"), [])

    def test_commands_for_programs_are_not_offered(self) -> None:
        self.assertNotIn("complete", offers("comple"))

    def test_zsh_is_offered_the_same(self) -> None:
        zsh = shutil.which("zsh")
        if zsh is None:
            self.skipTest("zsh is not installed")
        asked = subprocess.run(
            [zsh, "-f", "-c", ASK_ZSH, "zsh", "noisefloor", "manifest", ""],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(
            [line.split(":")[0] for line in asked.stdout.splitlines()], ["check", "merge"], asked.stderr
        )

    def test_fish_is_offered_the_same(self) -> None:
        fish = shutil.which("fish")
        if fish is None:
            self.skipTest("fish is not installed")
        asked = subprocess.run(
            [
                fish,
                "--no-config",
                "-c",
                "noisefloor completion fish | source; complete -C 'noisefloor manifest '",
            ],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(
            [line.split("\t")[0] for line in asked.stdout.splitlines()], ["check", "merge"], asked.stderr
        )

    def test_an_unknown_shell_is_refused_with_the_choices(self) -> None:
        done = subprocess.run([PROGRAM, "completion", "bsh"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'bash'", done.stderr)


if __name__ == "__main__":
    PROGRAM = Path(sys.argv.pop(1)).resolve()
    unittest.main()

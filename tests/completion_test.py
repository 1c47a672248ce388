#!/usr/bin/env python3
"""What the shells are told about the command line: completions offer what the program takes.

Usage: completion_test.py NOISEFLOOR

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import os
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


def offers(*words: str) -> list[str]:
    """What bash offers for the last of `words` after the program's name."""
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "noisefloor", *words],
        env={**os.environ, "PATH": path},
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

    def test_every_shell_s_script_names_every_command(self) -> None:
        for shell in ("bash", "zsh", "fish"):
            with self.subTest(shell):
                done = subprocess.run(
                    [PROGRAM, "completion", shell], capture_output=True, text=True, check=True
                )
                for command in ("run", "list", "process", "pitfall", "launch", "doctor"):
                    self.assertIn(command, done.stdout)

    def test_an_unknown_shell_is_refused_with_the_choices(self) -> None:
        done = subprocess.run([PROGRAM, "completion", "bsh"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'bash'", done.stderr)


if __name__ == "__main__":
    PROGRAM = Path(sys.argv.pop(1)).resolve()
    unittest.main()

"""Numbers that people read, and texts that go into their places and nowhere else.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

from scripts.lib import document, prose, results


class Digits(unittest.TestCase):
    def test_three_digits_count_after_rounding(self) -> None:
        shown = {
            9.996: "10.0",
            99.96: "100",
            0.996: "0.996",
            12.34: "12.3",
            1234.6: "1,235",
            0.01234: "0.0123",
        }
        for value, text in shown.items():
            self.assertEqual(prose.digits(value), text)

    def test_decimals_can_be_limited(self) -> None:
        for value, text in {0.8934: "0.89", 9.996: "10.0", 0.001: "0.00", 57.83: "57.8"}.items():
            self.assertEqual(prose.digits(value, 2), text)

    def test_what_is_no_number_stays_visible(self) -> None:
        self.assertEqual([prose.digits(x) for x in (0.0, float("inf"), float("nan"))], ["0", "∞", "nan"])


class Splice(unittest.TestCase):
    def test_only_what_stands_between_the_markers_changes(self) -> None:
        text = "before\n<a>\nold\n</a>\nafter\n"
        self.assertEqual(document.spliced(text, "<a>", "</a>", "new"), "before\n<a>\nnew\n</a>\nafter\n")
        for broken in ("", "<a>", "</a>\n<a>", text + text):
            with self.assertRaises(results.ResultsError):
                document.spliced(broken, "<a>", "</a>", "new")


class Terminals(unittest.TestCase):
    def test_that_do_not_know_a_character_get_a_plain_one(self) -> None:
        code = (
            "from scripts.lib import terminal; terminal.print_anywhere(); "
            "print('1.5× [1–2] µs ≤ 3 … 日'); print('×', file=__import__('sys').stderr)"
        )
        for encoding, said in {
            "ascii": "1.5x [1-2] us <= 3 ... \\u65e5",
            "latin-1": "1.5× [1-2] µs <= 3 ... \\u65e5",
            "utf-8": "1.5× [1–2] µs ≤ 3 … 日",
        }.items():
            done = subprocess.run(
                [sys.executable, "-B", "-c", code],
                cwd=Path(__file__).resolve().parents[2],
                env={**os.environ, "PYTHONIOENCODING": encoding},
                capture_output=True,
                check=True,
            )
            self.assertEqual(done.stdout.decode(encoding).strip(), said)


if __name__ == "__main__":
    unittest.main()

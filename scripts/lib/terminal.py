"""Lets every command print on terminals that are not UTF-8.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

# What is printed where the terminal does not know a character; others are printed by their numbers.
PLAIN: Final = str.maketrans(
    {
        "×": "x",
        "–": "-",
        "—": "-",
        "−": "-",
        "µ": "u",
        "μ": "u",
        "σ": "sigma",
        "…": "...",
        "·": "-",
        "→": "->",
    }
    | {"≤": "<=", "≥": ">=", "±": "+-", "‘": "'", "’": "'", "“": '"', "”": '"', "\u202f": " ", "\u00a0": " "}
)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def print_anywhere() -> None:
    """From now on, what the terminal cannot show is printed in plain characters, and ends nothing."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")

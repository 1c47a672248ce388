"""A function of yours in Python, as a command: it prints what it found for each file that it is given.

Finding: the interpreter takes some 20 ms to start, so one file at a time ({}) measures Python's start; with {...} and a chunk
size the function itself comes forward.
SPDX-License-Identifier: MIT
"""

import collections
import sys


def count(path: str) -> int:
    """Yours goes here."""
    with open(path, "rb") as file:
        return len(collections.Counter(file.read()))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{count(name)} {name}")

"""Writes into documents: the places where texts go.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from scripts.lib import results


def spliced(text: str, begin: str, end: str, body: str) -> str:
    """`text` with what stands between the lines `begin` and `end` replaced by `body`. Throws ResultsError unless each
    stands in it once, in this order."""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise results.ResultsError(f"it must hold the line '{begin}' and, after it, '{end}', once each")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{body}\n{end}{rest.split(end)[1]}"


def cell(text: str) -> str:
    """For a table in Markdown."""
    return text.replace("|", "\\|")

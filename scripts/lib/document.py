"""What the scripts that write into documents share: numbers as people read them, and the places where texts go.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import math

from scripts.lib import results


def digits(x: float, most_decimals: int = 99) -> str:
    """Three significant digits, but no more than `most_decimals` decimals; no exponent up to 10 million."""
    if x == 0 or not math.isfinite(x):
        return f"{x:g}"
    x = float(f"{x:.3g}") if abs(x) < 1000 else x  # 99.96 has one decimal less than it seems
    decimals = min(most_decimals, max(0, 2 - math.floor(math.log10(abs(x)))))
    return f"{x:,.{decimals}f}"


def spliced(text: str, begin: str, end: str, body: str) -> str:
    """`text` with what stands between the lines `begin` and `end` replaced by `body`. Throws ResultsError unless each
    stands in it once, in this order."""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise results.ResultsError(f"it must hold the line '{begin}' and, after it, '{end}', once each")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{body}\n{end}{rest.split(end)[1]}"

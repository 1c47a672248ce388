"""The definition in docs/NOISE.md is enough to write the noise anew: this is such a writing, in exact arithmetic.

It follows the words of the page, not the code of the project, and must give the page's test vectors.

SPDX-License-Identifier: MIT
"""

import math
import re
import struct
import unittest
from fractions import Fraction
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs/NOISE.md"
WORD = 0xFFFFFFFF


def rounded(x: Fraction) -> int:
    """To the nearest integer, ties to even: what round() does with fractions."""
    return round(x)


def to_float(x: Fraction, digits: int = 24, smallest: int = -149) -> Fraction:
    """The nearest binary floating-point number with so many digits, ties to even; binary32 unless said."""
    if x == 0:
        return x
    exponent = abs(x).numerator.bit_length() - abs(x).denominator.bit_length() - digits
    while abs(x) / Fraction(2) ** exponent >= 2**digits:
        exponent += 1
    while abs(x) / Fraction(2) ** exponent < 2 ** (digits - 1):
        exponent -= 1
    unit = Fraction(2) ** max(exponent, smallest)
    return rounded(x / unit) * unit


def fma(x: Fraction, y: Fraction, z: Fraction) -> Fraction:
    return to_float(x * y + z)


def square_root(x: Fraction) -> Fraction:
    """From the whole part of the root times 2^200; what is cut off lies too low to be half of a last place."""
    scaled = x * 2**400
    whole = math.isqrt(int(scaled))
    return to_float(Fraction(2 * whole + (whole * whole != scaled), 2 * 2**200))


def bits_of(x: Fraction) -> int:
    return int(struct.unpack("<I", struct.pack("<f", float(x)))[0])


def number_of(bits: int) -> Fraction:
    return Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])


def int32(word: int) -> int:
    return word - 2**32 if word & 0x80000000 else word


def page_constants() -> dict[str, list[Fraction]]:
    """The rows B, C and N of the page's table of coefficients, and S."""
    text = DOCUMENT.read_text(encoding="utf-8")
    constants = {}
    for name in "BCN":
        match = re.search(rf"^\| {name} \|(.*)\|$", text, re.MULTILINE)
        assert match, name
        constants[name] = [
            Fraction(float.fromhex(cell.strip())) for cell in match[1].split("|") if cell.strip()
        ]
    match = re.search(r"^S = (\S+)\. ", text, re.MULTILINE)
    assert match
    constants["S"] = [Fraction(float.fromhex(match[1]))]
    return constants


def philox(seed: int, counter: list[int]) -> list[int]:
    k0, k1 = seed & WORD, seed >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & WORD, (p0 >> 32) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return [c0, c1, c2, c3]


def two_words(seed: int, stream: int, i: int) -> tuple[int, int]:
    """x and y of the pair to which sample i belongs."""
    block, group, lane = i // 4096, i % 4096 // 32, i % 32 // 2
    a, b, c, _ = philox(seed, [block & WORD, 16 * (block >> 32) + lane, stream & WORD, stream >> 32])
    counter, words = 1, []
    for _ in range(2 * group + 2):
        word = (a + b + counter) & WORD
        counter += 1
        a = b ^ (b >> 9)
        b = (c + (c << 3)) & WORD
        c = ((((c << 21) | (c >> 11)) & WORD) + word) & WORD
        words.append(word)
    return words[-2], words[-1]


def polar(x: int, y: int, k: dict[str, list[Fraction]]) -> tuple[Fraction, Fraction, Fraction]:
    """radius, cosine, sine."""
    v = to_float(Fraction(int32(x | 1)))
    e = bits_of(v) & 0x7FFFFFFF
    units = to_float(Fraction(e - 0x4F000000))
    t = to_float(number_of((e & 0x007FFFFF) | 0x3F800000) - Fraction(3, 2))
    b = k["B"]
    bump = fma(fma(fma(fma(b[4], t, b[3]), t, b[2]), t, b[1]), t, b[0])
    square = fma(fma(-t, t, Fraction(1, 4)), bump, to_float(units * k["S"][0]))
    radius = square_root(square) * (-1 if v < 0 else 1)
    angle = to_float(to_float(Fraction(int32(y))) * Fraction(1, 2**32))
    q = to_float(angle * angle)
    c, n = k["C"], k["N"]
    cosine = fma(fma(fma(c[3], q, c[2]), q, c[1]), q, c[0])
    sine = to_float(angle * fma(fma(fma(n[3], q, n[2]), q, n[1]), q, n[0]))
    return radius, cosine, sine


def sample(
    seed: int, stream: int, i: int, kind: str, sigma: Fraction, step: int, k: dict[str, list[Fraction]]
) -> str:
    """Sample i of silence with noise, as the page prints it."""
    radius, cosine, sine = polar(*two_words(seed, stream, i), k)
    direction = sine if i % 2 else cosine
    if kind.startswith("float"):
        noise = to_float(to_float(radius * sigma) * direction)
        return struct.pack(">f" if kind == "float32" else ">d", float(noise)).hex()
    r = to_float(radius * to_float(sigma / step))
    limit = 2 ** (int(kind[3:]) - 1)
    product = r * direction if kind == "int16" else to_float(r * direction)
    return str(max(-limit, min(limit - 1, rounded(product) * step)))


class Definition(unittest.TestCase):
    def test_gives_the_test_vectors(self) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        table = text.split("<!-- vectors:begin -->")[1].split("<!-- vectors:end -->")[0]
        rows = [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in table.split("\n")
            if line.startswith("| ")
        ]
        rows = [row for row in rows if re.fullmatch(r"[0-9a-f]{16}", row[0])]
        self.assertGreaterEqual(len(rows), 15)
        constants = page_constants()
        for seed, stream, first, kind, sigma, step, samples in rows:
            with self.subTest(seed=seed, first=first, kind=kind, sigma=sigma):
                scale = to_float(Fraction(sigma))
                found = [
                    sample(int(seed, 16), int(stream, 16), int(first) + n, kind, scale, int(step), constants)
                    for n in range(8)
                ]
                self.assertEqual(found, samples.split())

    def test_the_stream_of_the_page_is_that_of_its_path(self) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        match = re.search(r"`(\S+)`, copy 0, is\s+stream ([0-9a-f]{16})", text)
        assert match
        value = 0xCBF29CE484222325
        for byte in match[1].encode() + bytes(8):
            value = (value ^ byte) * 0x100000001B3 % 2**64
        self.assertEqual(f"{value:016x}", match[2])


class Arithmetic(unittest.TestCase):
    """The exact arithmetic above rounds as binary32 does."""

    def test_rounds_to_nearest_even(self) -> None:
        for x, y in (
            (2**24 + 1, 2**24),
            (2**24 + 3, 2**24 + 4),
            (-(2**24) - 1, -(2**24)),
            (2**24 - 1, 2**24 - 1),
        ):
            self.assertEqual(to_float(Fraction(x)), y)
        self.assertEqual(to_float(Fraction(1, 10)), number_of(0x3DCCCCCD))
        self.assertEqual(to_float(Fraction(1, 2**149)), Fraction(1, 2**149))
        self.assertEqual(to_float(Fraction(1, 2**150)), 0)

    def test_takes_square_roots(self) -> None:
        self.assertEqual(square_root(Fraction(9)), 3)
        self.assertEqual(square_root(Fraction(2)), number_of(0x3FB504F3))


if __name__ == "__main__":
    unittest.main()

"""The hostile corpus: files that break the rules of their format or of good sense, each with what must come of it.

`python3 -B -m tests.hostile.corpus FOLDER [BYTES]` writes those that are bytes alone, none larger than BYTES: the
seeds of the fuzzer. Standard library only.
SPDX-License-Identifier: MIT
"""

import os
import random
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Optional, Union

from tests.hostile.formats import (
    ADPCM,
    ALAW,
    EXTENSIBLE,
    FLOAT,
    MULAW,
    PCM,
    UNKNOWN,
    Sound,
    aiff,
    au,
    caf,
    chunk,
    comm_chunk,
    extended,
    extensible_tail,
    flac,
    flac_frame,
    flac_streaminfo,
    fmt_chunk,
    form,
    mp3_frame,
    opus_pages,
    rf64,
    riff,
    rifx,
    ssnd_chunk,
    swapped,
    w64,
    wav,
    xing_frame,
)


class Outcome(Enum):
    RIGHT = "written, without a word"
    PARTIAL = "written, with a warning"
    FAILED = "named as an error, nothing written"


@dataclass(frozen=True)
class Case:
    """One file. `name` is also its file name where `file` gives none."""

    name: str
    outcome: Outcome
    build: Union[bytes, Callable[[bytes], None]]  # its bytes, or what makes it under a path
    sound: Optional[Sound] = None  # what the output holds without noise; None: not compared
    says: str = ""  # part of the warning or error
    file: bytes = b""
    frames: Optional[int] = None  # in the output; None: those of `sound`
    is_regular: bool = True  # or a link that leads nowhere; else a folder that holds it skips it
    is_long: bool = False  # writes gigabytes
    status: int = 1  # the exit status of a call on it alone, if it fails

    @property
    def file_name(self) -> bytes:
        return self.file or os.fsencode(self.name)

    def make(self, folder: bytes) -> bytes:
        """Makes it in `folder` and returns its path."""
        path = os.path.join(folder, self.file_name)
        if isinstance(self.build, bytes):
            with open(path, "wb") as file:
                file.write(self.build)
        else:
            self.build(path)
        return path


def right(
    name: str,
    build: Union[bytes, Callable[[bytes], None]],
    sound: Optional[Sound],
    file: bytes = b"",
    frames: Optional[int] = None,
    is_long: bool = False,
) -> Case:
    return Case(name, Outcome.RIGHT, build, sound, file=file, frames=frames, is_long=is_long)


def partial(
    name: str,
    build: Union[bytes, Callable[[bytes], None]],
    sound: Optional[Sound],
    says: str,
    frames: Optional[int] = None,
    is_long: bool = False,
) -> Case:
    return Case(name, Outcome.PARTIAL, build, sound, says, frames=frames, is_long=is_long)


def failed(
    name: str,
    build: Union[bytes, Callable[[bytes], None]],
    says: str,
    is_regular: bool = True,
    status: int = 1,
) -> Case:
    return Case(name, Outcome.FAILED, build, None, says, is_regular=is_regular, status=status)


def random_sound(frames: int, channels: int = 1, width: int = 2, rate: int = 8000) -> Sound:
    return Sound(random.Random(frames).randbytes(frames * channels * width), channels, width, rate)


MONO = random_sound(600)
STEREO = random_sound(300, channels=2)
BYTES = random_sound(601, width=1)
NOTHING = Sound(b"")
NO_SOUND = "is no sound file that can be read"
JUNK = random.Random(7).randbytes(64)


def floats(*values: float) -> Sound:
    return Sound(struct.pack(f"<{len(values)}f", *values), width=4)


def doubles(*values: float) -> Sound:
    return Sound(struct.pack(f"<{len(values)}d", *values), width=8)


def truncations() -> list[Case]:
    """The same sound cut at several places, in several formats."""
    whole = wav(MONO)
    cases = [
        failed(f"wav cut in its header at {at}.wav", whole[:at], NO_SOUND)
        for at in (1, 4, 8, 11, 12, 16, 20, 30, 35)
    ]
    cases += [
        failed("wav cut before its data.wav", whole[:36], NO_SOUND),
        failed("wav cut in the name of its data.wav", whole[:38], NO_SOUND),
        partial("wav header only, samples promised.wav", whole[:44], NOTHING, "truncated: 0 of 600"),
        partial("wav cut in its first sample.wav", whole[:45], NOTHING, "truncated: 0 of 600"),
        partial("wav cut at a frame.wav", whole[: 44 + 2 * 250], MONO.first(250), "truncated: 250 of 600"),
        partial(
            "wav cut in a frame.wav", whole[: 44 + 2 * 250 + 1], MONO.first(250), "truncated: 250 of 600"
        ),
        partial("wav cut before its last byte.wav", whole[:-1], MONO.first(599), "truncated: 599 of 600"),
        partial(
            "stereo cut between its channels.wav",
            wav(STEREO)[: 44 + 4 * 100 + 2],
            STEREO.first(100),
            "truncated: 100 of 300",
        ),
    ]
    for extension, file in (
        ("aiff", aiff(MONO)),
        ("w64", w64(MONO)),
        ("rf64", rf64(MONO)),
        ("caf", caf(MONO)),
        ("au", au(MONO)),
    ):
        short = MONO.first(200)
        cases.append(
            partial(f"{extension} cut.{extension}", file[: len(file) - 800], short, "truncated: 200 of 600")
        )
        cases.append(failed(f"{extension} cut in its header.{extension}", file[:22], NO_SOUND))
    whole = flac(MONO)
    frame = len(flac_frame(MONO, 0, 256))
    cases += [
        failed("flac cut in its header.flac", whole[:20], NO_SOUND),
        partial("flac header only.flac", whole[:42], NOTHING, "truncated: 0 of 600"),
        partial("flac cut at a frame.flac", whole[: 42 + frame], MONO.first(256), "truncated: 256 of 600"),
        partial("flac cut in a frame.flac", whole[: 42 + frame + 100], None, "damaged", frames=256),
    ]
    return cases


def empty_and_foreign() -> list[Case]:
    return [
        failed("empty.wav", b"", "is empty"),
        failed("one byte.wav", b"R", NO_SOUND),
        failed("zeros.wav", bytes(5000), NO_SOUND),
        failed("random bytes.wav", random.Random(1).randbytes(5000), NO_SOUND),
        failed("a letter.wav", b"Dear Sir or Madam,\n" * 50, NO_SOUND),
        failed("a picture.wav", b"\x89PNG\r\n\x1a\n" + bytes(500), NO_SOUND),
        failed("a film of RIFF.wav", riff(chunk(b"LIST", b"hdrl" + bytes(100)), kind=b"AVI "), NO_SOUND),
        failed("signature of ogg only.ogg", b"OggS", NO_SOUND),
        failed("an ogg page of nothing.ogg", b"OggS\0\2" + bytes(20) + b"\1\x1e" + bytes(30), NO_SOUND),
        failed("a tag that claims 256 MB.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + JUNK, NO_SOUND),
        right("header without samples.wav", wav(NOTHING), NOTHING),
        right("wav named flac.flac", wav(MONO), MONO),
        right("wav named mp3.mp3", wav(MONO), MONO),
        right("flac named wav.wav", flac(MONO), MONO),
        right("aiff named wav.wav", aiff(MONO), MONO),
        right("wav in capitals.WAV", wav(MONO), MONO),
    ]


def sizes() -> list[Case]:
    """Chunks and files that say a wrong size."""
    good, data = fmt_chunk(MONO), chunk(b"data", MONO.data)
    long_by = "truncated: 600 of"
    unsized = "does not say its length"
    return [
        partial("data claims 4 GB.wav", wav(MONO, data_size=0xFFFFFFFE), MONO, long_by),
        partial("data claims 2 GB.wav", wav(MONO, data_size=0x80000002), MONO, long_by),
        partial("data claims one frame more.wav", wav(MONO, data_size=1202), MONO, "truncated: 600 of 601"),
        partial("data claims one frame less.wav", wav(MONO, data_size=1198), MONO, "its header says 599"),
        partial("data claims an odd size.wav", wav(MONO, data_size=1199), MONO.first(599), "1 bytes that"),
        right("riff claims 4 GB.wav", wav(MONO, riff_size=0xFFFFFFFE), MONO),
        right("riff claims nothing.wav", wav(MONO, riff_size=0), MONO),
        right("riff claims half.wav", wav(MONO, riff_size=500), MONO),
        partial(
            "from a pipe, ffmpeg's way.wav", wav(MONO, data_size=UNKNOWN, riff_size=UNKNOWN), MONO, unsized
        ),
        partial(
            "from a pipe, sox's way.wav", wav(MONO, data_size=0x7FFFF000, riff_size=0x7FFFF024), MONO, unsized
        ),
        partial(
            "from a pipe, arecord's way.wav",
            wav(MONO, data_size=0x80000000, riff_size=0x80000024),
            MONO,
            unsized,
        ),
        partial("from a pipe, zeros.wav", wav(MONO, data_size=0, riff_size=0), MONO, unsized),
        partial("from a recorder cut off, 36.wav", wav(MONO, data_size=0, riff_size=36), MONO, unsized),
        partial("from a recorder cut off, 8.wav", wav(MONO, data_size=0, riff_size=8), MONO, unsized),
        partial("unknown riff, no data.wav", wav(MONO, data_size=0, riff_size=UNKNOWN), MONO, unsized),
        partial(
            "from a pipe, extensible stereo.wav",
            riff(
                fmt_chunk(STEREO, EXTENSIBLE, tail=extensible_tail(PCM, 16, 3)),
                chunk(b"data", STEREO.data, UNKNOWN),
                size=UNKNOWN,
            ),
            STEREO,
            unsized,
        ),
        partial(
            "from a pipe, odd bytes.wav",
            wav(Sound(MONO.data + b"x"), data_size=0, riff_size=0)[:-1],
            MONO,
            unsized,
        ),
        right(
            "no data, then another chunk.wav",
            wav(NOTHING, after=chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 4) + b"abc\0")),
            NOTHING,
        ),
        partial("from a pipe.rifx.wav", rifx(MONO, data_size=0, riff_size=0), MONO, unsized),
        partial("from a pipe.rf64", rf64(MONO, data_size=0, riff_size=0, frames=0), MONO, unsized),
        partial("from a pipe, all ones.rf64", rf64(MONO, 2**64 - 1, 2**64 - 1, frames=0), MONO, unsized),
        failed("rf64 without its sizes.rf64", rf64(MONO, has_ds64=False), NO_SOUND),
        partial("rf64 claims 2^60.rf64", rf64(MONO, data_size=2**60), MONO, long_by),
        partial("rf64 claims 2^63.rf64", rf64(MONO, data_size=2**63), MONO, "600"),
        partial("w64 claims 2^60.w64", w64(MONO, data_size=2**60), MONO, long_by),
        partial("w64 claims 2^63.w64", w64(MONO, data_size=2**63), MONO, "600"),
        partial("from a pipe.w64", w64(MONO, data_size=24, riff_size=0), MONO, unsized),
        partial("w64 claims less than its header.w64", w64(MONO, data_size=8), MONO, unsized),
        partial("caf claims 2^60.caf", caf(MONO, data_size=2**60), MONO, long_by),
        right("caf to the end.caf", caf(MONO, data_size=-1), MONO),
        failed("caf claims less than nothing.caf", caf(MONO, data_size=-(2**40)), NO_SOUND),
        failed(
            "caf chunk of 2^62 before its data.caf",
            caf(MONO, before=b"free" + struct.pack(">q", 2**62)),
            NO_SOUND,
        ),
        right("au to the end.au", au(MONO, data_size=UNKNOWN), MONO),
        partial("au claims 4 GB.au", au(MONO, data_size=0xFFFFFFF0), MONO, long_by),
        partial("au, no data.au", au(MONO, data_size=0), MONO, unsized),
        partial(
            "au data beyond its end.au", au(MONO, offset=0x7FFFFFFF), None, "truncated: 0 of 600", frames=0
        ),
        failed("au data inside its header.au", au(MONO, offset=4), "inside its header"),
        partial("aiff claims 4 GB.aiff", aiff(MONO, 2**31, 0xFFFFFFFE), MONO, long_by),
        partial("from a recorder cut off.aiff", aiff(MONO, 0, 8), MONO, unsized),
        partial("from a pipe, zeros.aiff", aiff(MONO, 0, 0), MONO, unsized),
        partial("from a pipe, ones.aiff", aiff(MONO, UNKNOWN, UNKNOWN), MONO, unsized),
        partial(
            "aiff offset beyond its data.aiff",
            form(comm_chunk(MONO), ssnd_chunk(MONO.data, offset=2**31)),
            NOTHING,
            "truncated: 0 of 600",
        ),
        failed("fmt of 4 GB.wav", riff(good[:4] + struct.pack("<I", 0xFFFFFFF0) + good[8:], data), NO_SOUND),
        failed("fmt of 4 bytes.wav", riff(chunk(b"fmt ", good[8:12]), data), NO_SOUND),
        failed("fmt of nothing.wav", riff(chunk(b"fmt ", b""), data), NO_SOUND),
        failed(
            "list of 4 GB before its data.wav",
            riff(good, chunk(b"LIST", b"INFO", 0xFFFFFFF0), data),
            NO_SOUND,
        ),
        partial(
            "list of 4 GB after its data.wav",
            wav(MONO, after=chunk(b"LIST", b"INFO", 0xFFFFFFF0)),
            MONO,
            "beside its samples",
        ),
        partial("junk after its data.wav", wav(MONO) + JUNK, MONO, "64 bytes that are neither"),
        right("flac of unknown length.flac", flac(MONO, frames=0), MONO),
        partial("flac claims 2^36.flac", flac(MONO, frames=2**36 - 1), MONO, long_by),
        partial("flac claims less.flac", flac(MONO, frames=256), MONO, "its header says 256"),
        failed("flac metadata of 16 MB.flac", flac_streaminfo(MONO, 256, size=2**24 - 1), NO_SOUND),
    ]


def understated() -> list[Case]:
    """More sound than the size in the header, with and without another size that says so."""
    part, longer, neither = MONO.first(22), "its header says 22", "1156 bytes that are neither"
    size = len(part.data)
    unsized = "does not say its length"
    wrong_frames = ssnd_chunk(swapped(MONO.data, 2), size + 8)
    return [
        partial("never updated.wav", wav(MONO, data_size=44, riff_size=80), part, neither),
        partial("preallocated, data not updated.wav", wav(MONO, data_size=44), MONO, longer),
        partial("unknown riff, short data.wav", wav(MONO, data_size=44, riff_size=UNKNOWN), MONO, longer),
        partial("no size, right riff.wav", wav(MONO, data_size=0), MONO, unsized),
        partial("no size, right riff.rifx.wav", rifx(MONO, data_size=0), MONO, unsized),
        partial("short data.rifx.wav", rifx(MONO, data_size=44), MONO, longer),
        partial(
            "zeros behind its samples, within riff.wav",
            wav(Sound(MONO.data + bytes(64)), data_size=1200),
            Sound(MONO.data + bytes(64)),
            "its header says 600",
        ),
        partial("zeros behind its samples.wav", wav(MONO) + bytes(64), MONO, "64 bytes that are neither"),
        partial("short data.rf64", rf64(MONO, data_size=44), MONO, longer),
        partial("never updated.rf64", rf64(MONO, data_size=44, riff_size=116), part, neither),
        partial("short data.w64", w64(MONO, data_size=size + 24), MONO, longer),
        partial("never updated.w64", w64(MONO, data_size=size + 24, riff_size=148), part, "1152 bytes that"),
        partial("short data.aiff", aiff(MONO, data_size=size + 8), MONO, longer),
        partial("short data, few frames.aiff", aiff(MONO, 22, size + 8), MONO, longer),
        partial("never updated.aiff", form(comm_chunk(MONO, 22), wrong_frames, size=90), part, neither),
        partial("short data.au", au(MONO, data_size=size), part, neither),
        partial("short data.caf", caf(MONO, data_size=size + 4), part, neither),
        right("chunks of other names behind it.wav", wav(MONO, after=chunk(b"junk", JUNK)), MONO),
        partial(
            "a chunk without its pad byte before.wav",
            riff(
                fmt_chunk(BYTES), b"data" + struct.pack("<I", 601) + BYTES.data + chunk(b"iXML", b"<BWFXML/>")
            ),
            BYTES,
            "beside its samples",
        ),
    ]


def compressed() -> list[Case]:
    """Lengths that MP3, Ogg and FLAC files do not say, or say wrong."""
    frame, many = mp3_frame(), mp3_frame() * 20
    mixed = b"".join(mp3_frame(kbit) for kbit in (32, 128, 64, 32, 32) * 20)
    told = xing_frame(20) + many
    big = b"ID3\3\0\0\0\x0f\x7f\x7f" + bytes(2**18 - 1)
    gapless = 23040 - 529  # with Xing's frame, what the decoder itself is late by is taken off
    opus, short, stereo = opus_pages(5), opus_pages(2), opus_pages(2, channels=2)
    other, cut, bytes_left = "becomes another kind of sound", "is truncated", "bytes that are neither"
    beside = "beside its samples"

    def file(*pages: list[bytes]) -> bytes:
        return b"".join(b"".join(some) for some in pages)

    return [
        right("rate of bits that varies, not told.mp3", mixed, None, frames=115200),
        right("constant rate of bits.mp3", many, None, frames=23040),
        right("a count of frames.mp3", told, None, frames=gapless),
        partial("a count too small.mp3", xing_frame(5) + many, None, "its header says 5231", frames=gapless),
        partial("a count too large.mp3", xing_frame(50) + many, None, cut, frames=gapless),
        right("two joined.mp3", told + told, None, frames=2 * gapless),
        right("two joined, not told.mp3", many + many, None, frames=46080),
        right("two joined with tags.mp3", told + ID3V1 + ID3V2 + told + ID3V1, None, frames=2 * gapless),
        right("a tag of 256 KiB.mp3", big + many, None, frames=23040),
        partial("junk between frames.mp3", many + JUNK * 30 + many, None, bytes_left, frames=46080),
        partial("cut in a frame.mp3", many + frame[:100], None, cut, frames=23040),
        failed("two of other rates.mp3", many + mp3_frame(64, 48000) * 20, other),
        right("opus.ogg", file(opus), None, frames=48000),
        partial("a chain.ogg", file(opus, short), None, beside, frames=67200),
        partial("a chain of five.ogg", file(*[short] * 5), None, beside, frames=96000),
        failed("a chain of other channels.ogg", file(short, stereo), other),
        partial("cut within a page.ogg", file(opus)[:-20], None, "its end is missing", frames=38400),
        partial("cut at a page.ogg", file(opus[:-1]), None, "its end is missing", frames=38400),
        partial("a chain cut in its last part.ogg", file(opus, short)[:-20], None, "its end", frames=57600),
        failed("cut within its headers.ogg", file(opus)[:60], NO_SOUND),
        partial("junk between pages.ogg", file(opus[:4], [JUNK], opus[4:]), None, bytes_left, frames=48000),
        partial("junk behind it.ogg", file(opus) + JUNK, None, bytes_left, frames=48000),
        partial("ID3v1 behind it.ogg", file(opus) + ID3V1, None, beside, frames=48000),
        partial("zeros behind it.flac", flac(MONO) + bytes(64), MONO, "64 bytes that are neither"),
        partial("ID3v1 behind it.flac", flac(MONO) + ID3V1, MONO, beside),
        partial("two joined.flac", flac(MONO) + flac(STEREO), MONO, bytes_left),
    ]


ID3V2 = b"ID3\3\0\0\0\0\0\x20TIT2\0\0\0\6\0\0\0title" + bytes(16)
ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
APE = (
    b"APETAGEX"
    + struct.pack("<IIII", 2000, 47, 1, 0xA0000000)
    + bytes(8)
    + struct.pack("<II", 1, 0)
    + b"Title\0x"
    + b"APETAGEX"
    + struct.pack("<IIII", 2000, 47, 1, 0x80000000)
    + bytes(8)
)
LYRICS = b"LYRICSBEGININD0000200000017LYRICS200"


def tags() -> list[Case]:
    """Tags behind the samples, where the format has no place for them."""
    lost = "beside its samples"
    named = {"ID3v2": ID3V2, "ID3v1": ID3V1, "APEv2": APE, "APEv2 and ID3v1": APE + ID3V1}
    cases = []
    for name, tag in named.items():
        cases += [
            partial(f"{name} behind it.{extension}", file + tag, MONO, lost)
            for extension, file in (("wav", wav(MONO)), ("aiff", aiff(MONO)), ("rf64", rf64(MONO)))
        ]
    for name in ("ID3v1", "APEv2", "APEv2 and ID3v1"):
        cases += [
            partial(f"{name} behind it.{extension}", file + named[name], MONO, lost)
            for extension, file in (("au", au(MONO)), ("au to the end.au", au(MONO, data_size=UNKNOWN)))
        ]
    return [
        *cases,
        partial("ID3v2 and junk behind it.wav", wav(MONO) + ID3V2 + JUNK, MONO, "64 bytes that are neither"),
        partial(
            "ID3v1 behind what is unsized.wav",
            wav(MONO, data_size=UNKNOWN, riff_size=UNKNOWN) + ID3V1,
            MONO,
            "its length",
        ),
    ]


def in_four_bytes(sound: Sound, is_high: bool = False) -> bytes:
    """Samples of 24 bits, in the lower three of four bytes with the sign above, or in the upper three."""
    data = b""
    for at in range(0, len(sound.data), 3):
        three = sound.data[at : at + 3]
        data += b"\0" + three if is_high else three + (b"\xff" if three[2] & 0x80 else b"\0")
    return data


def packings() -> list[Case]:
    """24 bits in 4 bytes, as `arecord -f S24_LE` writes them."""
    mono, stereo = random_sound(5000, width=3), random_sound(300, channels=2, width=3)
    silence = Sound(bytes(3000), width=3)
    repacked = "24 bits in 4 bytes"

    def packed(
        sound: Sound, data: bytes, size: Optional[int] = None, riff_size: Optional[int] = None
    ) -> bytes:
        fmt = fmt_chunk(sound, bits=24, align=4 * sound.channels)
        return riff(fmt, chunk(b"data", data, size), size=riff_size)

    whole = packed(mono, in_four_bytes(mono))
    return [
        partial("24 bits in the lower bytes of 4.wav", whole, mono, repacked),
        partial(
            "24 bits in the upper bytes of 4.wav", packed(mono, in_four_bytes(mono, True)), mono, repacked
        ),
        partial("24 bits in 4 bytes, stereo.wav", packed(stereo, in_four_bytes(stereo)), stereo, repacked),
        partial("24 bits in 4 bytes, silent.wav", packed(silence, bytes(4000)), silence, repacked),
        partial(
            "24 bits in 4 bytes, cut.wav", whole[: 44 + 4002], mono.first(1000), "truncated: 1000 of 5000"
        ),
        partial(
            "24 bits in 4 bytes, from a pipe.wav",
            packed(mono, in_four_bytes(mono), UNKNOWN, UNKNOWN),
            mono,
            "does not say its length",
        ),
        failed(
            "24 bits in 4 bytes, all of them used.wav",
            packed(mono, random.Random(3).randbytes(4000)),
            "uses all four",
        ),
    ]


def facts() -> list[Case]:
    """Channels, rates, widths and codecs that cannot be."""
    data = chunk(b"data", MONO.data)

    def with_fmt(fmt: bytes) -> bytes:
        return riff(fmt, data)

    contradiction = "contradicts itself"
    rate = "sampling rate"
    cases = [
        failed("0 channels.wav", with_fmt(fmt_chunk(MONO, channels=0)), NO_SOUND),
        failed("1025 channels.wav", with_fmt(fmt_chunk(MONO, channels=1025, align=2050)), NO_SOUND),
        failed("65535 channels.wav", with_fmt(fmt_chunk(BYTES, channels=65535, align=65535)), NO_SOUND),
        failed("65535 channels in 2 bytes.wav", with_fmt(fmt_chunk(MONO, channels=65535)), contradiction),
        failed(
            "65535 channels of float.wav", with_fmt(fmt_chunk(MONO, FLOAT, 64, 0, channels=65535)), NO_SOUND
        ),
    ]
    wide = random_sound(3, channels=1024)
    cases += [
        right("1024 channels.wav", wav(wide), wide),
        failed("0 channels.aiff", form(comm_chunk(MONO, channels=0), ssnd_chunk(MONO.data)), NO_SOUND),
        failed(
            "65535 channels.aiff", form(comm_chunk(MONO, channels=65535), ssnd_chunk(MONO.data)), NO_SOUND
        ),
        failed("0 channels.au", au(MONO, channels=0), NO_SOUND),
        failed("2^32 channels.au", au(MONO, channels=0xFFFFFFFF), NO_SOUND),
        failed("2^32 channels.caf", caf(MONO, channels=0xFFFFFFFF), NO_SOUND),
        failed("rate 0.wav", with_fmt(fmt_chunk(MONO, rate=0)), NO_SOUND),
        failed("rate 0.aiff", form(comm_chunk(MONO, rate=extended(0)), ssnd_chunk(MONO.data)), rate),
        failed(
            "rate infinite.aiff",
            form(comm_chunk(MONO, rate=b"\x7f\xff" + bytes(8)), ssnd_chunk(MONO.data)),
            rate,
        ),
        failed(
            "rate negative.aiff",
            form(comm_chunk(MONO, rate=b"\xc0\x0b\xfa" + bytes(7)), ssnd_chunk(MONO.data)),
            rate,
        ),
        failed("rate 0.au", au(MONO, rate=0), NO_SOUND),
        failed("rate NaN.caf", caf(MONO, rate=float("nan")), NO_SOUND),
        failed("rate infinite.caf", caf(MONO, rate=float("inf")), NO_SOUND),
        failed("rate 2^31.wav", with_fmt(fmt_chunk(MONO, rate=2**31)), NO_SOUND),
        right("rate 1.wav", wav(Sound(MONO.data, rate=1)), Sound(MONO.data, rate=1)),
        right("alignment 0.wav", with_fmt(fmt_chunk(MONO, align=0)), MONO),
        failed("alignment of other channels.wav", with_fmt(fmt_chunk(MONO, align=8)), contradiction),
        failed("alignment less than a sample.wav", with_fmt(fmt_chunk(MONO, align=1)), contradiction),
        failed("0 bits.wav", with_fmt(fmt_chunk(MONO, bits=0)), NO_SOUND),
        failed("65535 bits.wav", with_fmt(fmt_chunk(MONO, bits=65535)), contradiction),
        failed("4096 bits.wav", with_fmt(fmt_chunk(MONO, bits=4096, align=512)), NO_SOUND),
        failed("float of 16 bits.wav", with_fmt(fmt_chunk(MONO, FLOAT)), NO_SOUND),
        failed("unknown codec.wav", with_fmt(fmt_chunk(MONO, tag=0x1234)), NO_SOUND),
        failed(
            "unknown codec.aifc",
            form(comm_chunk(MONO, codec=b"what"), ssnd_chunk(MONO.data), kind=b"AIFC"),
            NO_SOUND,
        ),
        failed("unknown codec.au", au(MONO, encoding=999), NO_SOUND),
        failed("unknown codec.caf", caf(MONO, codec=b"what"), NO_SOUND),
        failed(
            "unknown extensible codec.wav",
            with_fmt(fmt_chunk(MONO, EXTENSIBLE, tail=extensible_tail(PCM, 16, guid_end=bytes(14)))),
            NO_SOUND,
        ),
        failed("extensible without its tail.wav", with_fmt(fmt_chunk(MONO, EXTENSIBLE)), NO_SOUND),
        failed(
            "adpcm of block size 0.wav",
            with_fmt(
                fmt_chunk(MONO, ADPCM, bits=4, align=0, tail=struct.pack("<HHH", 32, 500, 7) + bytes(28))
            ),
            NO_SOUND,
        ),
        failed(
            "adpcm of 65535 samples in 8 bytes.wav",
            with_fmt(
                fmt_chunk(MONO, ADPCM, bits=4, align=8, tail=struct.pack("<HHH", 32, 65535, 7) + bytes(28))
            ),
            NO_SOUND,
        ),
        failed(
            "ima adpcm of 1 sample in 65535 bytes.wav",
            with_fmt(fmt_chunk(MONO, 0x11, bits=4, align=65535, tail=struct.pack("<HH", 2, 1))),
            NO_SOUND,
        ),
        failed("gsm of 2 channels.wav", with_fmt(fmt_chunk(STEREO, 0x31, bits=0, align=65)), NO_SOUND),
        failed("flac of rate 0.flac", flac_streaminfo(MONO, 256, rate=0) + flac(MONO)[42:], NO_SOUND),
        partial(
            "flac of other channels than it says.flac",
            flac_streaminfo(MONO, 256, channels=8) + flac(MONO)[42:],
            None,
            "damaged",
            frames=0,
        ),
        right(
            "extensible.wav",
            riff(
                fmt_chunk(STEREO, EXTENSIBLE, tail=extensible_tail(PCM, 16, 3)), chunk(b"data", STEREO.data)
            ),
            STEREO,
        ),
        right("rifx.wav", rifx(MONO), MONO),
        right("bytes, of odd number.wav", wav(BYTES), BYTES),
        right("mu-law.wav", wav(BYTES, MULAW), None, frames=601),
        right("A-law.wav", wav(BYTES, ALAW), None, frames=601),
        right("rf64.rf64", rf64(MONO), MONO),
        right("w64.w64", w64(MONO), MONO),
        right("caf.caf", caf(MONO), MONO),
        right("au.au", au(MONO), MONO),
        right("aiff.aiff", aiff(STEREO), STEREO),
        right(
            "little-endian.aifc",
            form(comm_chunk(STEREO, codec=b"sowt"), ssnd_chunk(STEREO.data), kind=b"AIFC"),
            STEREO,
        ),
        right("stereo.flac", flac(STEREO), STEREO),
    ]
    return cases


def orders() -> list[Case]:
    """Chunks too many, missing, twice, or out of order."""
    fmt, data = fmt_chunk(MONO), chunk(b"data", MONO.data)
    comm, ssnd = comm_chunk(MONO), ssnd_chunk(swapped(MONO.data, 2))
    few, many = (b"".join(chunk(b"junk", JUNK[: i % 9]) for i in range(count)) for count in (3000, 60000))
    # Read as signed, these sizes lead back to where they are.
    back = chunk(b"LIST", b"INFOISFT" + struct.pack("<i", -8) + JUNK)
    labels = chunk(b"LIST", b"adtlwhat" + struct.pack("<i", -8) + JUNK)
    cut_list = chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 100) + b"abc")
    label = chunk(b"labl", struct.pack("<I", 1) + b"a mark\0\0")
    beside = "beside its samples"
    return [
        failed("data before fmt.wav", riff(data, fmt), NO_SOUND),
        failed("no fmt.wav", riff(data), NO_SOUND),
        failed("no data.wav", riff(fmt), NO_SOUND),
        failed("two fmt.wav", riff(fmt, fmt_chunk(STEREO, rate=44100), data), NO_SOUND),
        failed("two data.wav", riff(fmt, data, chunk(b"data", JUNK)), NO_SOUND),
        right("3000 chunks before its data.wav", riff(fmt, few, data), MONO),
        right("3000 chunks after its data.wav", riff(fmt, data, few), MONO),
        failed("60000 chunks before its data.wav", riff(fmt, many, data), NO_SOUND),
        failed("60000 chunks of no length.wav", riff(fmt, b"junk\0\0\0\0" * 60000, data), NO_SOUND),
        failed("chunks for ever.wav", riff(fmt, b"junk\0\0\0\0" * 60000), NO_SOUND),
        failed("a list in itself 20000 deep.wav", riff(b"LIST\xff\xff\0\0INFO" * 20000), NO_SOUND),
        partial("a list that goes back, before its data.wav", riff(fmt, back, data), MONO, beside),
        partial("a list that goes back, after its data.wav", riff(fmt, data, back), MONO, beside),
        partial("a list of labels that goes back.wav", riff(fmt, labels, data), MONO, beside),
        partial("a list that ends in a chunk.wav", riff(fmt, data, cut_list), MONO, beside),
        partial(
            "names that are none, before its data.wav",
            riff(fmt, chunk(b"\1\2\3\xff", JUNK), data),
            MONO,
            beside,
        ),
        right("samples before facts.aiff", form(ssnd, comm), MONO),
        failed("no facts.aiff", form(ssnd), NO_SOUND),
        partial(
            "3000 chunks.aiff",
            form(*[chunk(b"ANNO", JUNK[:10], big=True)] * 3000, comm, ssnd),
            MONO,
            beside,
        ),
        partial(
            "markers of 65535, none there.aiff",
            form(comm, chunk(b"MARK", b"\xff\xff", big=True), ssnd),
            MONO,
            beside,
        ),
        partial("cues of 2^32, none there.wav", riff(fmt, chunk(b"cue ", b"\xff" * 4), data), MONO, beside),
        right("sampler loops of 2^32, none there.wav", riff(fmt, chunk(b"smpl", b"\xff" * 36), data), MONO),
        partial(
            "a broadcast chunk cut short.wav",
            riff(fmt, chunk(b"bext", b"\xff" * 100), data),
            MONO,
            beside,
        ),
        partial(
            "a recorder's notes before its data.wav",
            riff(fmt, chunk(b"iXML", b"<BWFXML/>"), data),
            MONO,
            beside,
        ),
        partial(
            "a recorder's notes after its data.wav",
            riff(fmt, data, chunk(b"iXML", b"<BWFXML/>")),
            MONO,
            beside,
        ),
        partial("labels of cues.wav", riff(fmt, data, chunk(b"LIST", b"adtl" + label)), MONO, beside),
        right("a fact that lies.wav", riff(fmt, chunk(b"fact", b"\xff" * 4), data), MONO),
    ]


def values() -> list[Case]:
    """Samples that are no numbers, or hardly."""
    nan, infinity, tiny = float("nan"), float("inf"), 1e-45
    payload = struct.pack("<6I", 0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0x3F000000, 0xFF800000, 0x80000000)
    return [
        partial(
            "NaN and infinities.wav",
            wav(floats(nan, infinity, -infinity, 0.25), FLOAT),
            floats(0, 1, -1, 0.25),
            "3 samples",
        ),
        partial(
            "NaN of all kinds.wav",
            wav(Sound(payload, width=4), FLOAT),
            floats(0, 0, 0, 0.5, -1, -0.0),
            "4 samples",
        ),
        partial(
            "NaN and infinities in double.wav",
            wav(doubles(nan, infinity, -infinity, 1e300), FLOAT),
            doubles(0, 1, -1, 1e300),
            "3 samples",
        ),
        right("denormals.wav", wav(floats(tiny, -tiny, 1e-39, 0.5), FLOAT), floats(tiny, -tiny, 1e-39, 0.5)),
        right(
            "denormals in double.wav",
            wav(doubles(5e-324, -1e-310, 0.5), FLOAT),
            doubles(5e-324, -1e-310, 0.5),
        ),
        right("far beyond full scale.wav", wav(floats(3e38, -3e38, 7.5), FLOAT), floats(3e38, -3e38, 7.5)),
        partial("NaN only.wav", wav(floats(*[nan] * 5000), FLOAT), floats(*[0.0] * 5000), "5000 samples"),
        right("full scale.wav", wav(Sound(b"\xff\x7f\x00\x80" * 500)), Sound(b"\xff\x7f\x00\x80" * 500)),
    ]


def names() -> list[Case]:
    """Good sounds under bad names."""
    return [
        right(name, wav(MONO), MONO, file=file)
        for name, file in (
            ("a newline", b"new\nline.wav"),
            ("a leading dash", b"-dash.wav"),
            ("an option", b"--overwrite.wav"),
            ("bytes that are no UTF-8", b"by\xff\xfete.wav"),
            ("255 bytes", b"n" * 251 + b".wav"),
            ("spaces", b"  .wav"),
            ("an escape sequence", b"\x1b[2J.wav"),
            ("wildcards and quotes", b"*?'\"$`\\.wav"),
        )
    ]


def make_fifo(path: bytes) -> None:
    os.mkfifo(path)


def make_socket(path: bytes) -> None:
    # The name of a socket is at most 107 bytes long: bound from within its folder.
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(os.path.dirname(path))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.basename(path))
    finally:
        os.fchdir(here)
        os.close(here)


def link_to(target: bytes) -> Callable[[bytes], None]:
    return lambda path: os.symlink(target, path)


def make_folder(path: bytes) -> None:
    os.mkdir(path)


def make_unreadable(path: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(wav(MONO))
    os.chmod(path, 0)


def make_sparse(header: bytes, size: int) -> Callable[[bytes], None]:
    def make(path: bytes) -> None:
        with open(path, "wb") as file:
            file.write(header)
            file.truncate(size)

    return make


def kinds_of_file() -> list[Case]:
    """What is no regular file, cannot be opened, or is far larger than what is in it."""
    return [
        failed("a fifo.wav", make_fifo, "is a FIFO", is_regular=False),
        failed("a socket.wav", make_socket, "a socket.wav", is_regular=False),
        failed("a device without end.wav", link_to(b"/dev/zero"), "is a device", is_regular=False),
        failed("a device without content.wav", link_to(b"/dev/null"), "is a device", is_regular=False),
        failed("a link to itself.wav", link_to(b"a link to itself.wav"), "symbolic links"),
        failed("a link to nothing.wav", link_to(b"nowhere"), "is a dangling link: there is no 'nowhere'"),
        failed("a folder.wav", make_folder, "no sound file", is_regular=False, status=2),
        failed("unreadable.wav", make_unreadable, "Permission denied"),
        failed("1 TiB of nothing.wav", make_sparse(b"", 2**40), NO_SOUND),
        partial(
            "1 TiB behind its samples.wav", make_sparse(wav(MONO), 2**40), MONO, "bytes that are neither"
        ),
        failed("kernel memory.wav", link_to(b"/proc/self/mem"), "is empty"),
    ]


def gigabytes() -> list[Case]:
    most = 2**31 - 100
    whole = wav(NOTHING, data_size=most, riff_size=most + 36)
    piped = wav(NOTHING, data_size=UNKNOWN, riff_size=UNKNOWN)
    beyond = 2**32 + 10**6
    wrapped = wav(NOTHING, data_size=beyond % 2**32, riff_size=(beyond + 36) % 2**32)
    return [
        right("2 GiB sparse.wav", make_sparse(whole, 44 + most), None, frames=most // 2, is_long=True),
        partial(
            "2 GiB sparse from a pipe.wav",
            make_sparse(piped, 44 + 2**31 + 2),
            None,
            "does not say its length",
            frames=2**30 + 1,
            is_long=True,
        ),
        partial(
            "4 GiB sparse, sizes modulo 2^32.wav",
            make_sparse(wrapped, 44 + beyond),
            None,
            "its header says 500000",
            frames=beyond // 2,
            is_long=True,
        ),
        partial(
            "4 GiB sparse from a pipe.wav",
            make_sparse(piped, 44 + beyond),
            None,
            "does not say its length",
            frames=beyond // 2,
            is_long=True,
        ),
        failed("4 GiB sparse.aiff", make_sparse(aiff(NOTHING, UNKNOWN, UNKNOWN), 54 + beyond), "4 GiB"),
    ]


CASES: tuple[Case, ...] = tuple(
    [
        *empty_and_foreign(),
        *truncations(),
        *sizes(),
        *understated(),
        *tags(),
        *packings(),
        *compressed(),
        *facts(),
        *orders(),
        *values(),
        *names(),
        *kinds_of_file(),
        *gigabytes(),
    ]
)


def main(arguments: Sequence[str]) -> int:
    folder, most = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1 << 20
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(CASES):
        if isinstance(case.build, bytes) and 0 < len(case.build) <= most:
            (folder / f"{number:03}").write_bytes(case.build)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

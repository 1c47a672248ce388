"""Sound files built from bytes, and the samples of plain sound files read back. Standard library only.

Every size and every field can be given a wrong value: what is built is as good or as bad as asked for.
SPDX-License-Identifier: MIT
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Optional

PCM, ADPCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 2, 3, 6, 7, 0xFFFE
UNKNOWN = 0xFFFFFFFF  # what writers to a pipe leave in a size field of 32 bits


@dataclass(frozen=True)
class Sound:
    """`data` holds the samples of all channels interleaved, `width` bytes each, little-endian."""

    data: bytes
    channels: int = 1
    width: int = 2
    rate: int = 8000

    @property
    def frames(self) -> int:
        return len(self.data) // (self.channels * self.width)

    def first(self, frames: int) -> "Sound":
        """The beginning of this sound, `frames` long."""
        return Sound(self.data[: frames * self.channels * self.width], self.channels, self.width, self.rate)


def swapped(data: bytes, width: int) -> bytes:
    """`data` with the bytes of each sample of `width` bytes reversed; what is left over stays as it is."""
    whole = len(data) // width * width
    reversed_samples = bytearray(whole)
    for i in range(width):
        reversed_samples[i::width] = data[width - 1 - i : whole : width]
    return bytes(reversed_samples) + data[whole:]


# --- RIFF, RIFX, RF64 ---


def chunk(name: bytes, body: bytes, size: Optional[int] = None, big: bool = False) -> bytes:
    """A chunk of RIFF or AIFF (`big`), padded to an even length; `size` is what it says of itself."""
    stated = (len(body) if size is None else size) & UNKNOWN
    return name + struct.pack(">I" if big else "<I", stated) + body + b"\0" * (len(body) % 2)


def fmt_chunk(
    sound: Sound,
    tag: int = PCM,
    bits: Optional[int] = None,
    align: Optional[int] = None,
    tail: bytes = b"",
    channels: Optional[int] = None,
    rate: Optional[int] = None,
    big: bool = False,
) -> bytes:
    """The chunk `fmt ` of a WAV file of `sound`; what is given replaces what would be right."""
    channels = sound.channels if channels is None else channels
    rate = sound.rate if rate is None else rate
    bits = 8 * sound.width if bits is None else bits
    align = sound.channels * sound.width if align is None else align
    per_second = (rate * sound.channels * sound.width) & UNKNOWN
    body = struct.pack(">HHIIHH" if big else "<HHIIHH", tag, channels, rate, per_second, align & 0xFFFF, bits)
    return chunk(b"fmt ", body + tail, big=big)


def extensible_tail(tag: int, valid_bits: int, mask: int = 4, guid_end: Optional[bytes] = None) -> bytes:
    """What follows the first 16 bytes of `fmt ` under WAVE_FORMAT_EXTENSIBLE."""
    end = bytes.fromhex("000000001000800000aa00389b71") if guid_end is None else guid_end
    return struct.pack("<HHIH", 22, valid_bits, mask, tag) + end


def riff(*chunks: bytes, name: bytes = b"RIFF", size: Optional[int] = None, kind: bytes = b"WAVE") -> bytes:
    body = kind + b"".join(chunks)
    stated = (len(body) if size is None else size) & UNKNOWN
    return name + struct.pack(">I" if name == b"RIFX" else "<I", stated) + body


def wav(
    sound: Sound,
    tag: int = PCM,
    data_size: Optional[int] = None,
    riff_size: Optional[int] = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAV file; `before` and `after` are chunks around its samples."""
    return riff(fmt_chunk(sound, tag), before, chunk(b"data", sound.data, data_size), after, size=riff_size)


def rifx(sound: Sound, data_size: Optional[int] = None, riff_size: Optional[int] = None) -> bytes:
    data = chunk(b"data", swapped(sound.data, sound.width), data_size, big=True)
    return riff(fmt_chunk(sound, big=True), data, name=b"RIFX", size=riff_size)


def rf64(
    sound: Sound,
    data_size: Optional[int] = None,
    riff_size: Optional[int] = None,
    has_ds64: bool = True,
    frames: Optional[int] = None,
) -> bytes:
    """Sizes are those of the chunk `ds64`; the 32-bit ones say that it has them."""
    size = len(sound.data) if data_size is None else data_size
    ds64 = struct.pack(
        "<QQQI",
        (len(sound.data) + 72 if riff_size is None else riff_size),
        size,
        sound.frames if frames is None else frames,
        0,
    )
    return riff(
        chunk(b"ds64", ds64) if has_ds64 else b"",
        fmt_chunk(sound),
        chunk(b"data", sound.data, UNKNOWN),
        name=b"RF64",
        size=UNKNOWN,
    )


# --- Sony Wave64 ---

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
W64_FMT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


def w64(sound: Sound, data_size: Optional[int] = None, riff_size: Optional[int] = None) -> bytes:
    """Sizes count the 24 bytes of the chunk's own header."""
    fmt = fmt_chunk(sound)[8:]
    size = len(sound.data) + 24 if data_size is None else data_size
    body = W64_WAVE + W64_FMT + struct.pack("<Q", 24 + len(fmt)) + fmt
    body += W64_DATA + struct.pack("<Q", size & (2**64 - 1)) + sound.data
    stated = len(body) + 24 if riff_size is None else riff_size
    return W64_RIFF + struct.pack("<Q", stated & (2**64 - 1)) + body


# --- AIFF ---


def extended(value: int) -> bytes:
    """A positive integer, or 0, as an 80-bit float."""
    if value == 0:
        return bytes(10)
    bits = value.bit_length()
    return struct.pack(">HQ", 16382 + bits, value << (64 - bits))


def comm_chunk(
    sound: Sound,
    frames: Optional[int] = None,
    channels: Optional[int] = None,
    bits: Optional[int] = None,
    rate: Optional[bytes] = None,
    codec: bytes = b"",
) -> bytes:
    body = struct.pack(
        ">HIH",
        sound.channels if channels is None else channels,
        sound.frames if frames is None else frames,
        8 * sound.width if bits is None else bits,
    )
    body += extended(sound.rate) if rate is None else rate
    return chunk(b"COMM", body + (codec + b"\0\0" if codec else b""), big=True)


def ssnd_chunk(data: bytes, size: Optional[int] = None, offset: int = 0) -> bytes:
    return chunk(b"SSND", struct.pack(">II", offset, 0) + data, size, big=True)


def form(*chunks: bytes, kind: bytes = b"AIFF", size: Optional[int] = None) -> bytes:
    body = kind + b"".join(chunks)
    return b"FORM" + struct.pack(">I", (len(body) if size is None else size) & UNKNOWN) + body


def aiff(sound: Sound, frames: Optional[int] = None, data_size: Optional[int] = None) -> bytes:
    return form(comm_chunk(sound, frames), ssnd_chunk(swapped(sound.data, sound.width), data_size))


# --- AU, CAF ---


def au(
    sound: Sound,
    encoding: int = 3,
    data_size: Optional[int] = None,
    offset: int = 28,
    channels: Optional[int] = None,
    rate: Optional[int] = None,
) -> bytes:
    """`encoding` 3 is 16 bits; `offset` is where it says that the samples begin."""
    size = len(sound.data) if data_size is None else data_size
    channels = sound.channels if channels is None else channels
    rate = sound.rate if rate is None else rate
    header = b".snd" + struct.pack(">IIIII", offset, size, encoding, rate, channels) + b"\0\0\0\0"
    return header + swapped(sound.data, sound.width)


def caf(
    sound: Sound,
    data_size: Optional[int] = None,
    codec: bytes = b"lpcm",
    channels: Optional[int] = None,
    rate: Optional[float] = None,
    before: bytes = b"",
) -> bytes:
    """Big-endian integers; the size -1 says that the samples end where the file does."""
    channels = sound.channels if channels is None else channels
    frame_bytes = sound.channels * sound.width
    desc = struct.pack(
        ">d4sIIIII", sound.rate if rate is None else rate, codec, 0, frame_bytes, 1, channels, 0
    )
    desc = desc[:-4] + struct.pack(">I", 8 * sound.width)
    size = len(sound.data) + 4 if data_size is None else data_size
    return (
        b"caff\0\1\0\0"
        + b"desc"
        + struct.pack(">q", len(desc))
        + desc
        + before
        + b"data"
        + struct.pack(">q", size)
        + b"\0\0\0\0"
        + swapped(sound.data, sound.width)
    )


# --- FLAC ---


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    value, top, mask = 0, 1 << (bits - 1), (1 << bits) - 1
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = ((value << 1) ^ (polynomial if value & top else 0)) & mask
    return value


def flac_streaminfo(
    sound: Sound,
    block: int,
    frames: Optional[int] = None,
    channels: Optional[int] = None,
    rate: Optional[int] = None,
    size: int = 34,
) -> bytes:
    """The signature and the metadata block STREAMINFO, the last one."""
    packed = (sound.rate if rate is None else rate) << 44
    packed |= ((sound.channels if channels is None else channels) - 1) << 41
    packed |= (8 * sound.width - 1) << 36
    packed |= sound.frames if frames is None else frames
    body = struct.pack(">HH", block, block) + bytes(6) + struct.pack(">Q", packed)
    return b"fLaC\x80" + size.to_bytes(3, "big") + body + hashlib.md5(sound.data).digest()


def flac_frame(sound: Sound, number: int, block: int) -> bytes:
    """Frame `number` of 16-bit `sound`, its samples verbatim; `number` < 128."""
    part = sound.data[number * block * sound.channels * 2 : (number + 1) * block * sound.channels * 2]
    count = len(part) // (2 * sound.channels)
    header = bytes([0xFF, 0xF8, 0x70, (sound.channels - 1) << 4 | 4 << 1, number])
    header += struct.pack(">H", count - 1)
    header += bytes([_crc(header, 0x07, 8)])
    body = b""
    for c in range(sound.channels):
        column = b"".join(part[i : i + 2] for i in range(2 * c, len(part), 2 * sound.channels))
        body += b"\x02" + swapped(column, 2)
    frame = header + body
    return frame + struct.pack(">H", _crc(frame, 0x8005, 16))


def flac(sound: Sound, block: int = 256, frames: Optional[int] = None) -> bytes:
    """`frames` is what STREAMINFO says; 0: unknown."""
    count = -(-sound.frames // block)
    return flac_streaminfo(sound, block, frames) + b"".join(flac_frame(sound, i, block) for i in range(count))


# --- MPEG, Ogg ---


def mp3_frame(kbit: int = 64, rate: int = 44100) -> bytes:
    """1152 frames of silence in mono, MPEG 1 layer III; `kbit` of 32, 64 or 128, `rate` of 44100 or 48000."""
    code = {32: 1, 64: 5, 128: 9}[kbit] << 4 | {44100: 0, 48000: 1}[rate] << 2
    return bytes([0xFF, 0xFB, code, 0xC0]).ljust(144 * kbit * 1000 // rate, b"\0")


def xing_frame(frames: int) -> bytes:
    """A frame of 64 kbit/s that says how many follow."""
    body = mp3_frame()[: 4 + 17] + b"Info" + struct.pack(">II", 1, frames)
    return body.ljust(len(mp3_frame()), b"\0")


def ogg_page(packets: list[bytes], granule: int, number: int, flags: int = 0, serial: int = 7) -> bytes:
    """`flags`: 2 begins a stream, 4 ends it. Packets are shorter than 255 bytes."""
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, serial, number, 0, len(packets))
    page = head + bytes(len(packet) for packet in packets) + b"".join(packets)
    return page[:22] + struct.pack("<I", _crc(page, 0x04C11DB7, 32)) + page[26:]


def opus_pages(pages: int, channels: int = 1, ends: bool = True) -> list[bytes]:
    """An Ogg file of Opus: two pages of headers, then pages of 10 packets of silence, 9600 frames in all."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, 48000, 0, 0)
    packet = bytes([0xF8 | (4 if channels == 2 else 0), 0xFF, 0xFE])
    tags = b"OpusTags" + struct.pack("<I", 3) + b"lib" + struct.pack("<I", 0)
    built = [ogg_page([head], 0, 0, 2), ogg_page([tags], 0, 1)]
    for i in range(pages):
        flags = 4 if ends and i + 1 == pages else 0
        built.append(ogg_page([packet] * 10, 9600 * (i + 1), 2 + i, flags))
    return built


# --- Reading back ---


@dataclass(frozen=True)
class Found:
    """What a file holds. `digest` is that of its samples where a format keeps them compressed (FLAC)."""

    channels: int
    rate: int
    data: bytes
    frames: Optional[int] = None
    digest: Optional[bytes] = None


def read_back(file: bytes) -> Found:
    """The samples of a well-formed file, little-endian. Raises ValueError for one that is not."""
    if file[:4] in (b"RIFF", b"RIFX", b"RF64") and file[8:12] == b"WAVE":
        return _read_riff(file)
    if file[:4] == b"FORM":
        return _read_aiff(file)
    if file[:4] == b".snd":
        offset, size, encoding, rate, channels = struct.unpack(">IIIII", file[4:24])
        width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8}[encoding]
        if len(file) != offset + size:
            raise ValueError(f"AU: {size} bytes at {offset} in a file of {len(file)}")
        return Found(channels, rate, swapped(file[offset:], width))
    if file[:4] == b"caff":
        return _read_caf(file)
    if file[:16] == W64_RIFF:
        return _read_w64(file)
    if file[:4] == b"fLaC":
        (packed,) = struct.unpack(">Q", file[18:26])
        return Found((packed >> 41 & 7) + 1, packed >> 44, b"", packed & (2**36 - 1), file[26:42])
    if file[:4] == b"OggS" or file[:3] == b"ID3" or file[:2] == b"\xff\xfb":
        return Found(0, 0, b"")  # what is in it takes a decoder
    raise ValueError(f"begins with {file[:4]!r}")


def _within(file: bytes, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(file):
        raise ValueError(f"{size} bytes at {at} in a file of {len(file)}")
    return file[at : at + size]


def _read_riff(file: bytes) -> Found:
    order = ">" if file[:4] == b"RIFX" else "<"
    (whole,) = struct.unpack(order + "I", file[4:8])
    if file[:4] != b"RF64" and whole + 8 != len(file):
        raise ValueError(f"RIFF: says {whole} + 8 bytes, has {len(file)}")
    at, fmt, long_size = 12, b"", 0
    while at + 8 <= len(file):
        name, size = file[at : at + 4], struct.unpack(order + "I", file[at + 4 : at + 8])[0]
        if name == b"data":
            if not fmt:
                raise ValueError("RIFF: data before fmt")
            if size == UNKNOWN:
                size = long_size
            _, channels, rate, _, _, bits = struct.unpack(order + "HHIIHH", fmt[:16])
            data = _within(file, at + 8, size)
            return Found(channels, rate, swapped(data, bits // 8) if order == ">" else data)
        body = _within(file, at + 8, size)
        if name == b"fmt ":
            fmt = body
        if name == b"ds64":
            (long_size,) = struct.unpack("<Q", body[8:16])
        at += 8 + size + size % 2
    raise ValueError("RIFF: no data")


def _read_aiff(file: bytes) -> Found:
    (whole,) = struct.unpack(">I", file[4:8])
    if whole + 8 != len(file):
        raise ValueError(f"AIFF: says {whole} + 8 bytes, has {len(file)}")
    at, facts = 12, (0, 0, 0, 0, "")
    while at + 8 <= len(file):
        name, size = file[at : at + 4], struct.unpack(">I", file[at + 4 : at + 8])[0]
        body = _within(file, at + 8, size)
        if name == b"COMM":
            channels, frames, bits, exponent, mantissa = struct.unpack(">HIHHQ", body[:18])
            little = file[8:12] == b"AIFC" and body[18:22] == b"sowt"
            facts = (channels, frames, bits, mantissa >> (16446 - exponent), "little" if little else "big")
        if name == b"SSND":
            channels, frames, bits, rate, order = facts
            width = -(-bits // 8)
            data = body[8:]
            if len(data) != frames * channels * width:
                raise ValueError(f"AIFF: {frames} frames in {len(data)} bytes")
            return Found(channels, rate, data if order == "little" else swapped(data, width))
        at += 8 + size + size % 2
    raise ValueError("AIFF: no SSND")


def _read_caf(file: bytes) -> Found:
    at, facts = 8, (0, 0, 0, 0)
    while at + 12 <= len(file):
        name, size = file[at : at + 4], struct.unpack(">q", file[at + 4 : at + 12])[0]
        body = _within(file, at + 12, size)
        if name == b"desc":
            rate, _, flags, _, _, channels, bits = struct.unpack(">d4sIIIII", body[:32])
            facts = (int(rate), channels, bits, flags)
        if name == b"data":
            data = body[4:]
            return Found(facts[1], facts[0], data if facts[3] & 2 else swapped(data, facts[2] // 8))
        at += 12 + size
    raise ValueError("CAF: no data")


def _read_w64(file: bytes) -> Found:
    (whole,) = struct.unpack("<Q", file[16:24])
    if whole != len(file):
        raise ValueError(f"W64: says {whole} bytes, has {len(file)}")
    at, fmt = 40, b""
    while at + 24 <= len(file):
        name, size = file[at : at + 16], struct.unpack("<Q", file[at + 16 : at + 24])[0]
        body = _within(file, at + 24, size - 24)
        if name == W64_FMT:
            fmt = body
        if name == W64_DATA:
            _, channels, rate = struct.unpack("<HHI", fmt[:8])
            return Found(channels, rate, body)
        at += -(-size // 8) * 8
    raise ValueError("W64: no data")

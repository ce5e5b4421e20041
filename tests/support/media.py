"""Recordings of odd forms: several audio tracks, encrypted ones, headers that lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE_HZ = 16_000


def tone(seconds: float, hz: float = 300.0) -> np.ndarray:
    """Return a tone; with several tracks, its pitch says which one was taken."""
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (np.sin(2 * np.pi * hz * times) * 9000).astype(np.int16)


def frames(samples: np.ndarray, size: int = 1024) -> Iterator[av.AudioFrame]:
    for at in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], "s16", "mono")
        frame.sample_rate = RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        frame.pts = at
        yield frame


def write_tracks(
    path: Path, tracks: Sequence[tuple[str, np.ndarray]], codec: str = "aac", *, default: int | None = None
) -> Path:
    """Write a file of several audio tracks, each with the code of its language, and a title that is nobody's.

    `default`: the number of the track that is marked so.
    """
    from av.stream import Disposition

    live = {"live": "1"} if path.suffix == ".mkv" else {}  # without an index, so that bytes can be put in
    with av.open(str(path), "w", options=live) as container:
        streams = []
        for number, (language, _) in enumerate(tracks, 1):
            stream = container.add_stream(codec, rate=RATE_HZ)
            stream.codec_context.layout = "mono"
            stream.metadata["language"], stream.metadata["title"] = language, "Secret meeting"
            if default is not None:
                stream.disposition = Disposition.default if number == default else Disposition(0)
            streams.append(stream)
        for stream, (_, samples) in zip(streams, tracks, strict=True):
            for frame in frames(samples):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def encrypt_mp4(path: Path, number: int = 1) -> Path:
    """Let an audio track of an MP4 say, as a protected one does, that it is encrypted; its samples stay."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(number):
        at = data.index(b"mp4a", data.index(b"stsd", at + 1))
    entry = at - 4
    (size,) = struct.unpack_from(">I", data, entry)
    info = _box(b"sinf", _box(b"frma", b"mp4a") + _box(b"schm", b"\0\0\0\0cenc\0\1\0\0"))
    data[at : at + 4] = b"enca"
    data[entry + size : entry + size] = info
    _grow(data, 0, len(data), entry, len(info))
    path.write_bytes(data)
    return path


def encrypt_matroska(path: Path) -> Path:
    """Let the first track of a Matroska file say that it is encrypted."""
    data = bytearray(path.read_bytes())
    tracks = data.rindex(b"\x16\x54\xae\x6b", 0, data.index(b"\x1f\x43\xb6\x75"))
    entry = tracks + 4 + 9 - data[tracks + 4].bit_length()
    entry += 6 if data[entry] == 0xBF else 0  # a checksum, which nobody checks
    encoding = b"\x62\x40\x83" + b"\x50\x35\x80"
    encodings = b"\x6d\x80" + bytes([0x80 | len(encoding)]) + encoding
    for place in (entry + 1, tracks + 4):
        length = 9 - data[place].bit_length()
        value = int.from_bytes(data[place : place + length], "big") + len(encodings)
        data[place : place + length] = value.to_bytes(length, "big")
    length = 9 - data[entry + 1].bit_length()
    content = entry + 1 + length
    data[content:content] = encodings
    path.write_bytes(data)
    return path


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def _grow(data: bytearray, start: int, end: int, place: int, by: int) -> None:
    """Let all boxes around a place be longer; inside a list of sample entries that place is an entry."""
    while start + 8 <= end:
        (size,) = struct.unpack_from(">I", data, start)
        name = bytes(data[start + 4 : start + 8])
        if start <= place < start + size:
            struct.pack_into(">I", data, start, size + by)
            if start != place:
                _grow(data, start + (16 if name == b"stsd" else 8), start + size + by, place, by)
            return
        start += size


def write_long(path: Path, form: str, seconds: int, rate_hz: int = 48_000) -> Path:
    """Write a stereo recording that takes hardly any disk: silence, and a second of tone at its end.

    `form`: rf64, bwf (the same with a `bext` chunk), w64, wrapped (a WAV whose size has overflowed), open (a WAV of
    size all ones) or zero (a WAV of size 0).
    """
    length, frame = seconds * rate_hz * 4, 4
    kind = struct.pack("<HHIIHH", 1, 2, rate_hz, rate_hz * frame, frame, 16)
    extra = b"bext" + struct.pack("<I", 602) + b"A recorder".ljust(602, b"\0") if form == "bwf" else b""
    with path.open("wb") as file:
        if form == "w64":
            tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
            file.write(b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000") + struct.pack("<Q", 104 + length))
            file.write(b"wave" + tail + b"fmt " + tail + struct.pack("<Q", 40) + kind)
            file.write(b"data" + tail + struct.pack("<Q", 24 + length))
        elif form in {"rf64", "bwf"}:
            sizes = struct.pack("<QQQI", 72 + len(extra) + length, length, length // frame, 0)
            file.write(b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", 28) + sizes + extra)
            file.write(b"fmt " + struct.pack("<I", 16) + kind + b"data\xff\xff\xff\xff")
        else:
            stated = {"wrapped": length % 2**32, "open": 2**32 - 1, "zero": 0}[form]
            file.write(b"RIFF" + struct.pack("<I", min(stated + 36, 2**32 - 1)) + b"WAVE")
            file.write(b"fmt " + struct.pack("<I", 16) + kind + b"data" + struct.pack("<I", stated))
        begin = file.tell()
        file.truncate(begin + length)
        times = np.arange(rate_hz) / rate_hz
        second = (np.sin(2 * np.pi * 440 * times) * 9000).astype("<i2")
        file.seek(begin + length - rate_hz * frame)
        file.write(np.stack([second, second], axis=1).tobytes())
    return path

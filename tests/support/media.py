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

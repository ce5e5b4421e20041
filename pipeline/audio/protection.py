"""Which audio tracks of a file are encrypted, and whether an MP4 has its index: libav tells neither.

What is encrypted decodes to noise, or to nothing, and a transcript of it would be invented. Only headers are read,
of MP4 and its kin as boxes, of Matroska and WebM as elements; a file of another form has no encrypted tracks.

Source: ISO/IEC 14496-12, 4.2 (boxes), 8.12 (protected sample entries); RFC 8794, 4 and 5 (elements); RFC 9559,
5.1.4.1.31.6 (ContentEncryption).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

HEADERS_MAX = 10_000
"""Boxes or elements looked at; a file of more is no recording, and is left to its decoder."""

FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"})
"""What MP4 and QuickTime files begin with."""

PROTECTED_ENTRIES = frozenset({b"enca", b"drms", b"drmi", b"aavd"})
"""Sample entries of encrypted sound: of the standard, of iTunes, and of Audible."""

SEGMENT, TRACKS, ENTRY, TRACK_TYPE = 0x1853_8067, 0x1654_AE6B, 0xAE, 0x83
ENCODINGS, ENCODING, ENCRYPTION = 0x6D80, 0x6240, 0x5035
EBML = b"\x1a\x45\xdf\xa3"
AUDIO_TRACK = 2


@frozen
class _Part:
    """A box or an element: its name, and where its content lies."""

    name: bytes | int
    start: int
    end: int


def encrypted_audio(file: BinaryIO) -> list[bool]:
    """Return for each audio track, in the file's order, whether it is encrypted; empty where that isn't known.

    Raises:
        OSError: the file can't be read.
    """
    begin = _at(file, 0, 8)
    if begin[4:8] in FIRST_BOXES:
        return [_is_protected(file, trak) for trak in _inside(file, b"moov") if _is_sound(file, trak)]
    if begin[:4] == EBML:
        return list(_matroska(file))
    return []


def lacks_index(file: BinaryIO) -> bool:
    """Say whether a file begins like an MP4 or QuickTime file and has no `moov`, where its sound is listed.

    Raises:
        OSError: the file can't be read.
    """
    if _at(file, 0, 8)[4:8] not in FIRST_BOXES:
        return False
    return not any(box.name == b"moov" for box in _boxes(file, 0, _size(file)))


def _inside(file: BinaryIO, name: bytes) -> Iterator[_Part]:
    for box in _boxes(file, 0, _size(file)):
        if box.name == name:
            yield from (inner for inner in _boxes(file, box.start, box.end) if inner.name == b"trak")


def _is_sound(file: BinaryIO, trak: _Part) -> bool:
    handler = _path(file, trak, b"mdia", b"hdlr")
    return handler is not None and _at(file, handler.start + 8, 4) == b"soun"


def _is_protected(file: BinaryIO, trak: _Part) -> bool:
    entries = _path(file, trak, b"mdia", b"minf", b"stbl", b"stsd")
    if entries is None:
        return False
    return any(entry.name in PROTECTED_ENTRIES for entry in _boxes(file, entries.start + 8, entries.end))


def _path(file: BinaryIO, box: _Part, *names: bytes) -> _Part | None:
    found: _Part | None = box
    for name in names:
        if found is None:
            return None
        found = next((inner for inner in _boxes(file, found.start, found.end) if inner.name == name), None)
    return found


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Part]:
    """Yield the boxes in a stretch of a file; the last may reach beyond it."""
    for _ in range(HEADERS_MAX):
        header = _at(file, start, 16)
        if start + 8 > end or len(header) < 8:
            return
        size, content = int.from_bytes(header[:4], "big"), start + 8
        if size == 1 and len(header) == 16:
            size, content = int.from_bytes(header[8:], "big"), start + 16
        elif size == 0:
            size = end - start
        if size < content - start:
            return
        yield _Part(header[4:8], content, min(start + size, end))
        start += size


def _matroska(file: BinaryIO) -> Iterator[bool]:
    for segment in _elements(file, 0, _size(file)):
        if segment.name == SEGMENT:
            for tracks in _elements(file, segment.start, segment.end):
                if tracks.name == TRACKS:
                    yield from _tracks(file, tracks)
                    return


def _tracks(file: BinaryIO, tracks: _Part) -> Iterator[bool]:
    for entry in _elements(file, tracks.start, tracks.end):
        parts = list(_elements(file, entry.start, entry.end)) if entry.name == ENTRY else []
        kind = next((part for part in parts if part.name == TRACK_TYPE), None)
        if kind is not None and int.from_bytes(_at(file, kind.start, kind.end - kind.start), "big") == AUDIO_TRACK:
            encodings = [
                encoding
                for part in parts
                if part.name == ENCODINGS
                for encoding in _elements(file, part.start, part.end)
                if encoding.name == ENCODING
            ]
            yield any(
                inner.name == ENCRYPTION
                for encoding in encodings
                for inner in _elements(file, encoding.start, encoding.end)
            )


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[_Part]:
    """Yield the elements in a stretch of a file; one of unknown size is the last, and reaches to the end."""
    for _ in range(HEADERS_MAX):
        header = _at(file, start, 12)
        if start >= end or not header or not header[0]:
            return
        id_length = 9 - header[0].bit_length()
        if id_length > 4 or len(header) <= id_length or not header[id_length]:
            return
        length = 9 - header[id_length].bit_length()
        value = int.from_bytes(header[id_length : id_length + length], "big") & ((1 << 7 * length) - 1)
        content = start + id_length + length
        is_unknown = value == (1 << 7 * length) - 1
        after = end if is_unknown else min(end, content + value)
        yield _Part(int.from_bytes(header[:id_length], "big"), content, after)
        start = after


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)

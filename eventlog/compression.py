"""Bytes ↔ one zstd frame, with the dictionaries that come with evt. The only file that knows zstd.

A frame of ours says how long its content is, ends in a checksum, and stands alone. Whatever else is found, or more
content than a log could have, is refused before it fills the memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backports.zstd import ZstdDecompressor, ZstdDict

LEVEL = 1
"""Of zstd. Source: benchmarks/archive.py; higher levels are slower and make logs hardly smaller."""
DICTIONARY = 1814873993
"""Id of the dictionary for new frames; benchmarks/dictionary.py made it. All that were ever used stay there."""
RATIO_MAX = 256
"""Content is at most so many times as long as its frame, and a mebibyte more; real logs have 6 to 10."""
_PIECE_BYTES = 1 << 20
_WINDOW_LOG_MAX = 23
"""What a frame may let a reader hold, as a power of two. Source: RFC 8878, 3.1.1.1.2, recommends 8 MB."""
_MAGIC, _CHECKSUM = b"\x28\xb5\x2f\xfd", 0x04
"""How a frame begins, and the bit in the byte behind it. Source: RFC 8878, section 3.1.1."""


class BadFrameError(Exception):
    """These bytes are not one whole frame of ours; the text is the reason, as a clause."""


def compress(content: bytes) -> bytes:
    """Return content as one frame.

    Raises:
        BadFrameError: it would be refused when it is read, since it is as long as only a bomb is.
    """
    from backports.zstd import CompressionParameter, compress

    options: dict[int, int] = {
        CompressionParameter.compression_level: LEVEL,
        CompressionParameter.content_size_flag: 1,
        CompressionParameter.checksum_flag: 1,
        CompressionParameter.dict_id_flag: 1,
    }
    dictionary = _dictionary(DICTIONARY)
    # Digested, it is prepared only once: small logs are compressed twice as fast.
    frame = compress(content, options=options, zstd_dict=dictionary and dictionary.as_digested_dict)
    _require_plausible(len(content), len(frame))
    return frame


def compress_pieces(pieces: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield the frame of content that comes in pieces and has this size; nothing but zstd is needed to read it."""
    from backports.zstd import CompressionParameter, ZstdCompressor

    options: dict[int, int] = {
        CompressionParameter.compression_level: LEVEL,
        CompressionParameter.content_size_flag: 1,
        CompressionParameter.checksum_flag: 1,
    }
    compressor = ZstdCompressor(options=options)
    compressor.set_pledged_input_size(size_bytes)
    for piece in pieces:
        if made := compressor.compress(piece):
            yield made
    yield compressor.flush()


def decompress(
    pieces: Iterable[bytes], *, ratio_max: int = RATIO_MAX, more_bytes: int = _PIECE_BYTES
) -> Iterator[bytes]:
    """Yield the content of a frame that comes in pieces, a mebibyte at a time.

    Nothing vouches for what is yielded before the end: the checksum comes last.

    Args:
        pieces: the frame; its header is in the first one.
        ratio_max: content is at most so many times as long as what was taken of the frame.
        more_bytes: and so much more.

    Raises:
        BadFrameError: it is not a frame of ours, not whole, something follows it, or it holds too much.
    """
    from backports.zstd import ZstdError

    coming = iter(pieces)
    first = next(coming, b"")
    taken = made = 0
    try:
        decompressor, size = _begin(first)
        for piece in chain([first], coming):
            _require(not decompressor.eof, "something follows its end")
            taken += len(piece)
            for content in _all_of(decompressor, piece):
                made += len(content)
                _require(made <= size, "it holds more than it says")
                _require_plausible(made, taken, ratio_max, more_bytes)
                yield content
    except ZstdError as error:
        raise BadFrameError(f"it can't be unpacked ({error})") from None
    _require(decompressor.eof, "its end is missing")
    _require(not decompressor.unused_data, "something follows its end")
    _require(made == size, "it holds less than it says")


def _begin(first: bytes) -> tuple[ZstdDecompressor, int]:
    """Return what unpacks a frame that begins like this, and how long it says that its content is."""
    from backports.zstd import DecompressionParameter, ZstdDecompressor, get_frame_info

    _require(first[:4] == _MAGIC and len(first) > 4, "it is no zstd frame")
    info = get_frame_info(first)
    _require(info.decompressed_size is not None, "it does not say how long its content is")
    _require(first[4] & _CHECKSUM, "it has no checksum")
    options: dict[int, int] = {DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    return ZstdDecompressor(_dictionary(info.dictionary_id), options), info.decompressed_size or 0


def _all_of(decompressor: ZstdDecompressor, piece: bytes) -> Iterator[bytes]:
    """Yield what a piece of the frame unpacks to, never more than a mebibyte at once."""
    while True:
        if content := decompressor.decompress(piece, _PIECE_BYTES):
            yield content
        if decompressor.eof or decompressor.needs_input:
            return
        piece = b""


@functools.cache
def _dictionary(number: int) -> ZstdDict | None:
    """Return a dictionary by its id; None for 0, which means that none is needed."""
    from backports.zstd import ZstdDict

    if number == 0:
        return None
    file = Path(__file__).parent / "dictionaries" / f"{number}.zdict"
    _require(file.is_file(), f"it needs the dictionary {number}, which this version of evt does not have")
    return ZstdDict(file.read_bytes())


def _require_plausible(
    content_bytes: int, frame_bytes: int, ratio_max: int = RATIO_MAX, more_bytes: int = _PIECE_BYTES
) -> None:
    most = frame_bytes * ratio_max + more_bytes
    _require(content_bytes <= most, f"it holds more than {ratio_max} times its size, which nothing usual does")


def _require(holds: object, problem: str) -> None:
    if not holds:
        raise BadFrameError(problem)

"""A log ↔ the bytes of its archive: docs/format.md, *Archived logs*. Values in, values out.

Each line's `prev` is left out: it is the hash of the line before, and most of what can't be compressed. Each line's
`sum`, which covers `prev` too, stays and vouches for all lines up to it, so that no damage gives another record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from eventlog.compression import BadFrameError, compress, decompress
from eventlog.reader import Head
from eventlog.record import GENESIS_PREV, LINE_BYTES_MAX

_END_BYTES = len(',"sum":""}') + 16
"""What each line ends in: `sum`, and before it `prev`."""
_PREV_BYTES = len(',"prev":""') + 64


def pack(log: bytes, head: Head) -> bytes:
    """Return the archive of a log whose records are all good and the last of which is `head`.

    Raises:
        BadFrameError: the log is of no usual shape, and its archive would be refused.
    """
    bodies = [line[: -_PREV_BYTES - _END_BYTES] + line[-_END_BYTES:] for line in log.split(b"\n")[:-1]]
    return compress(b"%b%b\n" % (head.to_bytes(), b"\n".join(bodies)))


def unpack(frame: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the log of an archive, whose bytes come in pieces, as pieces of whole lines. It is never held whole.

    Raises:
        BadFrameError: it is damaged, or no archive. What was yielded before is the beginning of the log.
    """
    head, seq, prev = None, 0, GENESIS_PREV
    for lines in _lines(decompress(frame)):
        if head is None:
            head = Head.from_bytes(lines.pop(0) + b"\n")
        whole: list[bytes] = []
        for line in lines:
            begin = b'%b,"prev":"%b"' % (line[:-_END_BYTES], prev.encode())
            digest = hashlib.sha256(begin)
            end = b',"sum":"%b"}' % digest.hexdigest()[:16].encode()
            if line[-_END_BYTES:] != end:
                yield b"".join(whole)
                raise BadFrameError(f"record {seq + len(whole) + 1} was changed, or one before it")
            digest.update(end + b"\n")
            prev = digest.hexdigest()
            whole.append(begin + end + b"\n")
        seq += len(whole)
        yield b"".join(whole)
    if head != Head(seq, prev):
        raise BadFrameError("it does not hold what its first line says")


def _lines(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines that each piece completes, where there are any."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise BadFrameError("a line of it is longer than any record")
        if lines:
            yield lines
    if rest:
        raise BadFrameError("its last line is not whole")

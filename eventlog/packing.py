"""A log ↔ the bytes of its archive: docs/format.md, *Archived logs*. Values in, values out.

What can be computed from the rest is left out: each line's `prev` and `sum`, half of what can't be compressed. The
last line's hash stands in front, so that no byte of an archive is unguarded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from eventlog.compression import BadFrameError, compress, decompress
from eventlog.reader import Head
from eventlog.record import GENESIS_PREV, LINE_BYTES_MAX

_LEFT_OUT_BYTES = len(',"prev":"","sum":""}') + 64 + 16
"""What each line ends in."""


def pack(log: bytes, head: Head) -> bytes:
    """Return the archive of a log whose records are all good and the last of which is `head`.

    Raises:
        BadFrameError: the log is of no usual shape, and its archive would be refused.
    """
    bodies = [line[:-_LEFT_OUT_BYTES] for line in log.split(b"\n")[:-1]]
    return compress(b"%b%b}\n" % (head.to_bytes(), b"}\n".join(bodies)))


def unpack(read: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the log of an archive in pieces of whole lines; what `read` gives is gone through twice.

    Once to see that it is undamaged, since the checksum comes last, then to unpack it. So it is never held whole.

    Raises:
        BadFrameError: it is damaged, or no archive. Nothing was yielded then, unless damage hit upon the checksum.
    """
    for _ in decompress(read()):
        pass
    head, seq, prev = None, 0, GENESIS_PREV
    for lines in _lines(decompress(read())):
        if head is None:
            head = Head.from_bytes(lines.pop(0) + b"\n")
        log, prev = _complete(lines, prev)
        seq += len(lines)
        yield log
    if head != Head(seq, prev):
        raise BadFrameError("it does not hold what its first line says")


def _complete(lines: Sequence[bytes], prev: str) -> tuple[bytes, str]:
    """Return lines of the log with what was left out of them, and the hash of the last one."""
    whole = []
    for line in lines:
        begin = b'%b,"prev":"%b"' % (line[:-1], prev.encode())
        digest = hashlib.sha256(begin)
        end = b',"sum":"%b"}\n' % digest.hexdigest()[:16].encode()
        digest.update(end)
        prev = digest.hexdigest()
        whole.append(begin + end)
    return b"".join(whole), prev


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

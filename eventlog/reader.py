"""Bytes → records, then a verdict on how they end. Never writes, never locks, never opens a file.

The decision between an unfinished last write (torn) and any other damage (corrupt) is the table in
docs/format.md; `Scanner.verdict` is that table, and the labels in its comments are the table's.
"""

from __future__ import annotations

import enum
import io
import re
from collections.abc import Iterable, Iterator

from attrs import define, frozen

from eventlog.record import (
    GENESIS_PREV,
    LINE_BYTES_MAX,
    LINE_BYTES_MIN,
    BadLineError,
    NewerFormatError,
    Record,
    decode,
    decode_chain,
    durable_mark,
)
from eventlog.values import Value


class Tail(enum.Enum):
    """How a log ends."""

    CLEAN = "clean"
    UNTERMINATED = "unterminated"
    """The last record is whole but for its newline."""
    TORN = "torn"
    """The last write did not finish; nothing acknowledged is touched."""
    CORRUPT = "corrupt"
    """A record that may have been durable is damaged."""
    NEWER = "newer"
    """An intact record of a later format version follows."""


@frozen(eq=False, repr=False)
class Head(Value):
    """Names a log up to one record: its seq and the sha256 of its line."""

    seq: int
    sha256: str

    def to_bytes(self) -> bytes:
        """Return the content of a head file."""
        return b'{"seq":%d,"sha256":"%b"}\n' % (self.seq, self.sha256.encode())

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """Return the head that a head file names; UNREADABLE_HEAD if it can't be understood."""
        match = _HEAD.fullmatch(content)
        return cls(int(match[1]), match[2].decode()) if match else UNREADABLE_HEAD


_HEAD = re.compile(rb'\{"seq":([1-9][0-9]{0,17}),"sha256":"([0-9a-f]{64})"\}\n')
UNREADABLE_HEAD = Head(10**18, "")
"""Stands for a head that can't be understood: it may have named any record, so no end can be trusted."""


@frozen(eq=False, repr=False)
class Verdict(Value):
    """How a log ends.

    Attributes:
        seq: number of the last good record; 0: none.
        offset: end of the last good record in bytes; what follows is what the verdict is about.
        reason: what is wrong with what follows, as a clause; empty for a clean log.
        head: the last good record; None where there is none.
        is_short: nothing follows; only the head kept beside the log says that more was there.
    """

    tail: Tail
    seq: int
    offset: int
    reason: str = ""
    head: Head | None = None
    is_short: bool = False


@define(eq=False, repr=False)
class Scanner:
    """Takes a log's bytes in pieces, yields its records, and judges the end. Holds some dozens of lines at a time.

    A record is yielded when its `sum` has proved right, or when the next line's `prev` is the hash of its line.

    Attributes:
        pipeline: the log's name.
        kept: the head kept beside the log, if there is one.
        seq: number of the last good record.
        offset: where it ends; the next piece fed to a new scanner begins there.
        prev: sha256 of its line.
    """

    pipeline: str
    kept: Head | None = None
    seq: int = 0
    offset: int = 0
    prev: str = GENESIS_PREV
    _rest: bytes = b""
    _problem: str = ""
    _newer: str = ""
    _has_nul: bool = False
    _long_line_has_nul: bool | None = None
    _mark_max: int = -1

    def feed(self, piece: bytes) -> Iterator[Record]:
        """Yield the records that this piece completes; after the first bad line, only look for evidence."""
        for lines in self._lines(piece):
            for line, record in zip(lines, self._chained(lines) or map(self._take, lines), strict=True):
                if record is not None:
                    self.seq, self.prev = record.seq, record.line_sha256
                    self.offset += len(line)
                    yield record

    def verdict(self) -> Verdict:
        """Return how the log ends, now that all its bytes were fed."""
        damaged = bool(self._problem or self._rest)
        tail, reason = self._judge_damage(self._rest) if damaged else self._judge_end()
        last = Head(self.seq, self.prev) if self.seq else None
        return Verdict(tail, self.seq, self.offset, reason, last, is_short=tail is Tail.CORRUPT and not damaged)

    def _lines(self, piece: bytes) -> Iterator[list[bytes]]:
        """Yield the lines that this piece completes, some dozens at a time; the rest waits for the next piece."""
        stream = io.BytesIO(piece)
        while lines := stream.readlines(_TOGETHER_BYTES):
            lines[0] = self._rest + lines[0]
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if lines:
                yield lines
            self._rest = rest
            self._shorten()

    def _chained(self, lines: list[bytes]) -> list[Record] | None:
        """Return the records of lines that fit one another and the log; None where each must be judged alone."""
        if self._problem:
            return None
        records = decode_chain(lines, pipeline=self.pipeline, seq=self.seq, prev=self.prev)
        named = self._kept_seq() - self.seq - 1
        if records and 0 <= named < len(records) and self._is_replaced(records[named]):
            return None
        return records

    def _take(self, line: bytes) -> Record | None:
        has_nul = b"\0" in line or self._long_line_has_nul is True
        shortened, self._long_line_has_nul = self._long_line_has_nul is not None, None
        if self._problem:
            self._weigh(line)
            return None
        record, problem = (None, _TOO_LONG) if shortened else self._fit(line)
        if record is None:
            self._problem, self._has_nul = problem, has_nul
            self._weigh(line)
        return record

    def _fit(self, line: bytes) -> tuple[Record | None, str]:
        """Return the record of a line if it is the next one, else what is wrong with it."""
        if len(line) > LINE_BYTES_MAX:
            return None, _TOO_LONG
        try:
            record = decode(line)
        except BadLineError as error:
            return None, str(error)
        problem = self._misfit(record)
        return (None, problem) if problem else (record, "")

    def _misfit(self, record: Record) -> str:
        if record.seq != self.seq + 1:
            return f"it has seq {record.seq} where {self.seq + 1} is due"
        if record.prev != self.prev:
            return "its prev is not the hash of the line before"
        if record.pipeline != self.pipeline:
            return f"it belongs to the log {record.pipeline}"
        if self._is_replaced(record):
            return "the head kept beside the log names another record of this number: it or one before was replaced"
        return ""

    def _is_replaced(self, record: Record) -> bool:
        return self.kept is not None and record.seq == self.kept.seq and record.line_sha256 != self.kept.sha256

    def _weigh(self, line: bytes) -> None:
        """Look for intact lines in or behind the damage: they tell how far the log was durable and who wrote it."""
        if len(line) < LINE_BYTES_MIN:
            return
        # A hole of NULs may end just where a record begins.
        for candidate in {line, line[line.rfind(b"\0") + 1 :]}:
            try:
                self._mark_max = max(self._mark_max, durable_mark(candidate) or 0)
            except NewerFormatError as error:
                self._newer = self._newer or str(error)

    def _shorten(self) -> None:
        """Forget the beginning of a line longer than any record; a hole of NULs may be of any size."""
        excess = len(self._rest) - LINE_BYTES_MAX
        if excess > 0:
            self._long_line_has_nul = bool(self._long_line_has_nul) or self._rest.find(b"\0", 0, excess) >= 0
            self._rest = self._rest[excess:]

    def _judge_end(self) -> tuple[Tail, str]:
        if self._kept_seq() > self.seq:
            return Tail.CORRUPT, f"it ends there, and {self._kept_words()}"  # lost end
        return Tail.CLEAN, ""  # clean

    def _judge_damage(self, rest: bytes) -> tuple[Tail, str]:
        due = self.seq + 1
        record, problem = (None, self._problem) if self._problem else self._fit(rest + b"\n")
        for line in _with_newline(rest):
            self._weigh(line)
        if self._newer:
            return Tail.NEWER, self._newer  # newer
        if self._mark_max >= due:
            return Tail.CORRUPT, f"{problem}, and a later record says that it was durable"  # vouched
        if record is not None and self._kept_seq() <= due:
            return Tail.UNTERMINATED, "only the newline of the last record is missing"  # no newline
        if self._kept_seq() >= due:
            return Tail.CORRUPT, f"{problem or 'its newline is missing'}, and {self._kept_words()}"  # kept
        return self._judge_shape(rest, problem)

    def _judge_shape(self, rest: bytes, problem: str) -> tuple[Tail, str]:
        """Judge a bad line by itself, when nothing else tells whether it was durable."""
        if self._problem:
            return (Tail.TORN if self._has_nul else Tail.CORRUPT), problem  # hole, shape
        if self._long_line_has_nul or b"\0" in rest:
            return Tail.TORN, problem  # hole
        if _CONTROL.search(rest):
            return Tail.CORRUPT, f"{problem}, and holds a byte that no record holds"  # shape
        if len(rest) > LINE_BYTES_MAX or self._long_line_has_nul is not None:
            return Tail.CORRUPT, _TOO_LONG  # shape
        if any(durable_mark(line) is not None for line in _with_newline(rest)):
            return Tail.CORRUPT, f"it is whole but for its newline, and {problem}"  # shape
        return Tail.TORN, "it is incomplete"  # cut short

    def _kept_seq(self) -> int:
        return self.kept.seq if self.kept else 0

    def _kept_words(self) -> str:
        if self.kept is UNREADABLE_HEAD:
            return f"{self.pipeline}.head beside it can't be understood"
        return f"the head kept beside the log names record {self._kept_seq()}"


def _with_newline(rest: bytes) -> tuple[bytes, bytes]:
    """Return an unended last line as if its newline were missing, and as if another byte stood in its place."""
    return rest + b"\n", rest[:-1] + b"\n"


_TOGETHER_BYTES = 32 * 1024
"""Lines are decoded together in lots of about this size: more is no faster, and is held at once."""
_CONTROL = re.compile(rb"[\x01-\x1f]")
"""What stands in no record, and is no hole: another program saved the file."""
_TOO_LONG = f"it is longer than {LINE_BYTES_MAX} bytes"


def scan(pieces: Iterable[bytes], pipeline: str, kept: Head | None = None) -> tuple[list[Record], Verdict]:
    """Return a log's good records and how it ends; for logs that fit into memory."""
    scanner = Scanner(pipeline, kept)
    records = [record for piece in pieces for record in scanner.feed(piece)]
    return records, scanner.verdict()

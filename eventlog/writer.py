"""Append, sync, then return. After the first failure the writer acknowledges nothing any more.

A writer is made by `Store.open_writer`, which holds the lock and has judged what the file already holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from eventlog.errors import LogStorageError, SeqConflictError, WriterDeadError
from eventlog.reader import Head, Verdict
from eventlog.record import GENESIS_PREV, Record, compose
from eventlog.storage import LogFile

_TIME = "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"

Event = tuple[str, Mapping[str, Any]]
"""An event to be written: its type and its data."""


class Writer:
    """The only writer of one log; threads may share it, a forked process may not.

    Attributes:
        pipeline: the log's name.
        seq: number of the last record.
    """

    def __init__(self, file: LogFile, pipeline: str, verdict: Verdict, clock: Callable[[], datetime]) -> None:
        self.pipeline = pipeline
        self.seq = verdict.seq
        self._file = file
        self._clock = clock
        self._prev = verdict.head.sha256 if verdict.head else GENESIS_PREV
        self._size_bytes = verdict.offset
        self._death: str | None = None
        self._owner_pid = os.getpid()
        self._turn = threading.Lock()

    @property
    def head(self) -> Head:
        """The last record's seq and hash; (0, 64 zeros) for an empty log."""
        return Head(self.seq, self._prev)

    def append(self, events: Sequence[Event], *, run: str, expected_seq: int | None = None) -> list[Record]:
        """Write events as one batch and return their records once they are on stable storage.

        Args:
            events: written in this order; after a crash the log holds a prefix of them.
            run: id of the invocation that they belong to.
            expected_seq: the seq that the caller believes to be the last one.

        Raises:
            RecordRejectedError: an event can't be written; the log is unchanged and the writer goes on.
            SeqConflictError: the log has moved on; nothing was written.
            LogStorageError: the disk failed now. Whether the events are there, the next opening tells.
            WriterDeadError: it failed before, or this process is a fork of the writer's. Open the log again.
        """
        # Before the lock: a fork's copy of it may be held for ever.
        self._require_no_fork()
        with self._turn:
            self._require_alive()
            if expected_seq is not None:
                self._require_seq(expected_seq)
            records, data = self._compose(events, run)
            if records:
                self._write(data)
                self.seq, self._prev = records[-1].seq, records[-1].line_sha256
                self._size_bytes += len(data)
            return records

    def require_alive(self) -> None:
        """Raise WriterDeadError if it was closed, has failed, or is in a fork of the process that opened it."""
        self._require_no_fork()
        with self._turn:
            self._require_alive()

    def close(self) -> None:
        """Release the lock and the file. A forked child only loses its copy of the file."""
        self._death = self._death or "it was closed"
        self._file.close()

    def _require_seq(self, expected: int) -> None:
        if expected != self.seq:
            raise SeqConflictError(
                f"The log of {self.pipeline} has {self.seq} records where {expected} were expected; read it again.",
                pipeline=self.pipeline,
                expected=expected,
                actual=self.seq,
            )

    def _compose(self, events: Sequence[Event], run: str) -> tuple[list[Record], bytes]:
        records: list[Record] = []
        lines: list[bytes] = []
        prev = self._prev
        for seq, (type_, data) in enumerate(events, self.seq + 1):
            record, line = compose(
                seq=seq,
                # Read for each record: times of one log need not ascend, seq does.
                time=_time_text(self._clock()),
                type=type_,
                pipeline=self.pipeline,
                run=run,
                data=data,
                # All that this writer found or acknowledged is durable; the rest of this batch isn't yet.
                dur=self.seq,
                prev=prev,
            )
            prev = record.line_sha256
            records.append(record)
            lines.append(line)
        return records, b"".join(lines)

    def _write(self, data: bytes) -> None:
        """Check the file → write once → sync → check the file again; whatever cuts this short kills the writer."""
        self._death = "an earlier write was cut short"
        written = 0
        try:
            # By the descriptor alone, which is cheaper: bytes that somebody else appended must stop the write.
            # Where the path leads decides only whether the write may be acknowledged.
            _require_size(self._file.end_bytes(), self._size_bytes)
            written = self._file.append(data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes could be written; the disk may be full")
            self._file.sync()
            _require_size(self._file.size_bytes(), self._size_bytes + written)
        except OSError as error:
            self._death = str(error)
            self._cut_back(written)
            raise LogStorageError(
                f"The log of {self.pipeline} could not be written: {error.strerror or error}. "
                "Nothing recorded before is lost. Mend the cause (space, permissions, disk), then repeat the "
                "command.",
                pipeline=self.pipeline,
            ) from error
        self._death = None

    def _cut_back(self, written: int) -> None:
        """Try to remove our half-written batch, nobody else's bytes; what this can't do, the next opening does."""
        try:
            if written and self._file.size_bytes() == self._size_bytes + written:
                self._file.truncate(self._size_bytes)
        except OSError as error:
            self._death = f"{self._death}; then {error}"

    def _require_no_fork(self) -> None:
        if os.getpid() != self._owner_pid:
            self._death = "this process is a fork of the one that opened it"
            self._require_alive()

    def _require_alive(self) -> None:
        if self._death is not None:
            raise WriterDeadError(
                f"The log of {self.pipeline} is closed for writing: {self._death}. Repeat the command.",
                pipeline=self.pipeline,
            )


def _time_text(now: datetime) -> str:
    """Return a time as a record has it; `isoformat` does it too, and spends more on asking for the zone."""
    return _TIME % (now.year, now.month, now.day, now.hour, now.minute, now.second, now.microsecond)


def _require_size(actual: int | None, expected: int) -> None:
    if actual is None:
        raise OSError("the file was moved, replaced or deleted while it was being written")
    if actual != expected:
        raise OSError(f"somebody else changed the file: it has {actual} bytes instead of {expected}")

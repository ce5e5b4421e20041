"""The errors of a log, each with the fields that a program needs and a message that says what to do next."""

from __future__ import annotations


class EvtError(Exception):
    """Base of every error that evt raises on purpose; its message is meant for people."""


class LogError(EvtError):
    """Something about one log; `pipeline` names it."""

    def __init__(self, message: str, *, pipeline: str = "") -> None:
        super().__init__(message)
        self.pipeline = pipeline


class LogNotFoundError(LogError):
    """There is no log of that name in this home. List the ones there are, or check the home."""


class LogGoneError(LogError):
    """A log is gone while its head or other traces of it remain. Restore it; it is never begun anew."""


class LogPurgedError(LogNotFoundError):
    """The log was purged, and a tombstone in its place says so. None is begun before somebody lifts that."""


class LogLockedError(LogError):
    """Another process writes this log. Wait for it, or end it; nothing was changed."""


class LogStorageError(LogError):
    """The disk refused (permission, space, input/output). Mend the cause and repeat the command."""


class UnsafeFileSystemError(LogError):
    """The file system can't keep the log's promises. Choose a home on a local disk."""

    def __init__(self, message: str, *, kind: str, path: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.path = path


class RecordRejectedError(LogError):
    """An event can't be written (too large, not finite, not JSON). The log is unchanged and still usable."""


class SeqConflictError(LogError):
    """The log holds another number of records than the caller believed. Read it again before you decide."""

    def __init__(self, message: str, *, pipeline: str, expected: int, actual: int) -> None:
        super().__init__(message, pipeline=pipeline)
        self.expected = expected
        self.actual = actual


class CorruptLogError(LogError):
    """A record that was durable is damaged. Nothing was changed; reports show the records before it.

    Attributes:
        seq: number of the first record that can't be trusted.
        offset: where it begins, in bytes.
    """

    def __init__(self, message: str, *, pipeline: str, seq: int, offset: int) -> None:
        super().__init__(message, pipeline=pipeline)
        self.seq = seq
        self.offset = offset


class NewerLogError(LogError):
    """A newer version wrote the log. Install that version; nothing was changed."""


class ReadOnlyLogError(LogError):
    """This log is a copy of one that is written elsewhere: it is read here, and not written."""


class LogWholeError(LogError):
    """Nothing is to be salvaged or accepted: the log is whole. Go on with it."""


class NotArchivedError(LogError):
    """A log stays as it is: it is not finished, or what is in its archive would not be the same."""


class WriterDeadError(LogError):
    """A write or sync failed earlier; this writer acknowledges nothing any more. Open the log again."""

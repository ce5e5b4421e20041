"""What is said when a log can't be used: what is wrong, where, and what to do next."""

from __future__ import annotations

import errno

from eventlog.errors import (
    CorruptLogError,
    LogError,
    LogGoneError,
    LogLockedError,
    LogNotFoundError,
    LogPurgedError,
    LogStorageError,
    LogWholeError,
    NewerLogError,
    NotArchivedError,
    ReadOnlyLogError,
    UnsafeFileSystemError,
)
from eventlog.filesystem import FileSystem
from eventlog.place import Place
from eventlog.reader import Tail, Verdict


def unusable(place: Place, verdict: Verdict) -> LogError | None:
    """Return why a log that ends like this may be read but not built upon; None if it may be."""
    if verdict.tail is Tail.NEWER:
        return NewerLogError(
            f"The log of {place.pipeline} was written by a newer evt: {verdict.reason}. Install that version.",
            pipeline=place.pipeline,
        )
    return corrupt(place, verdict) if verdict.tail is Tail.CORRUPT else None


def corrupt(place: Place, verdict: Verdict) -> CorruptLogError:
    """Say where a log is damaged, and how to go on."""
    what, remedy = "is damaged", f"set it aside and go on with what is good: `evt salvage {place.pipeline}`"
    if verdict.is_short:
        what, remedy = "seems to end too early", f"go on with the log as it is: `evt accept {place.pipeline}`"
    return CorruptLogError(
        f"The log {place.log} {what} at record {verdict.seq + 1} (byte {verdict.offset}): {verdict.reason}. "
        f"Nothing was changed, and `evt show {place.pipeline}` reports the {verdict.seq} records before it. "
        f"Restore the file from a backup, or {remedy}.",
        pipeline=place.pipeline,
        seq=verdict.seq + 1,
        offset=verdict.offset,
    )


def head_unreadable(place: Place) -> CorruptLogError:
    """Say that nothing can be told from the head."""
    return CorruptLogError(
        f"{place.head} can't be understood. Restore it from a backup or, if you know that the log is whole, go on "
        f"without it: `evt accept {place.pipeline}`.",
        pipeline=place.pipeline,
        seq=1,
        offset=0,
    )


def archive_damaged(place: Place, problem: str) -> CorruptLogError:
    """Say that a log can't be had from its archive."""
    return CorruptLogError(
        f"The archive {place.archive} can't be read: {problem}. Nothing was changed. Restore the file from "
        "a backup. docs/format.md, *Archived logs*, says how to unpack what is before the damage.",
        pipeline=place.pipeline,
        seq=1,
        offset=0,
    )


def two_logs(place: Place, problem: str) -> CorruptLogError:
    """Say that a log and its archive contradict each other."""
    return CorruptLogError(
        f"{place.archive} lies beside the log and {problem}. Nothing was changed. One of the two is a stranger "
        "or was damaged: move it away. Until then the log is read, and not written.",
        pipeline=place.pipeline,
        seq=1,
        offset=0,
    )


def not_archived(place: Place, reason: str) -> NotArchivedError:
    """Say why a log stays as it is."""
    return NotArchivedError(f"The log of {place.pipeline} is not archived: {reason}.", pipeline=place.pipeline)


def whole(place: Place, verdict: Verdict) -> LogWholeError:
    """Say that there is nothing to be mended."""
    remedy = f"; what its head names is missing, see `evt accept {place.pipeline}`" if verdict.is_short else ""
    return LogWholeError(
        f"The log {place.log} holds {verdict.seq} good records and no damaged one{remedy}. Nothing was changed.",
        pipeline=place.pipeline,
    )


def missing(place: Place, *, gone: bool) -> LogError:
    """Say that there is no log, or that there is none any more."""
    if not gone:
        return LogNotFoundError(f"There is no log {place.log}.", pipeline=place.pipeline)
    return LogGoneError(
        f"The log {place.log} is gone, but what it described is still there. Restore it from a backup. It is not "
        "begun anew, because then nothing would tell what was done and paid.",
        pipeline=place.pipeline,
    )


def purged(place: Place) -> LogPurgedError:
    """Say that there was a log, and that it was taken away on purpose."""
    return LogPurgedError(
        f"The log {place.log} was purged; {place.tombstone} says when and by whom. None is begun in its place "
        "before that is lifted.",
        pipeline=place.pipeline,
    )


def read_only(place: Place) -> ReadOnlyLogError:
    """Say that the log is written elsewhere."""
    return ReadOnlyLogError(
        f"The log of {place.pipeline} is a copy of one that is written elsewhere: here it is only read. To go on "
        "here, have it handed over: `evt bundle` without --copy where it is written, then `evt import`.",
        pipeline=place.pipeline,
    )


def locked(place: Place) -> LogLockedError:
    """Say that there is another writer."""
    return LogLockedError(
        f"Another process is writing the log of {place.pipeline}. Wait until it has finished, or stop it.",
        pipeline=place.pipeline,
    )


def unreadable(place: Place, error: OSError) -> LogStorageError:
    """Say that the disk does not give the log."""
    return LogStorageError(
        f"The log {place.log} can't be read: {error.strerror or error}. Check its permissions and the disk.",
        pipeline=place.pipeline,
    )


def unwritable(place: Place, error: OSError) -> LogStorageError:
    """Say that the disk does not take the log, or what lies beside it."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    cause = "Make room on the disk" if full else "Check the folder's permissions and the disk"
    return LogStorageError(
        f"The log {place.log} can't be written: {error.strerror or error}. {cause}, then repeat the command.",
        pipeline=place.pipeline,
    )


def unsafe(place: Place, system: FileSystem) -> UnsafeFileSystemError:
    """Say that the file system can't keep what is promised."""
    return UnsafeFileSystemError(
        f"{place.root} lies on a {system.kind} file system, where a log can't keep its promises. "
        "Choose a folder on a local disk with --home, or allow it with --unsafe-fs.",
        kind=system.kind,
        path=place.root,
    )

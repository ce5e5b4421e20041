"""After a crash or damage: keep what is cut aside, cut the log back to its last good record, say so in the log.

Nothing here decides what is torn or damaged; that is the reader's verdict. Nothing here forgets: whatever is taken
out of a log, or from beside it, stays in a file whose name tells what it was, and a record names that file. A file
that no record names yet (a crash came in between) is recorded at the next opening.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from eventlog import refusals
from eventlog.errors import LogError
from eventlog.place import Place
from eventlog.reader import Head, Tail, Verdict, scan
from eventlog.record import LINE_BYTES_MAX, NewerFormatError, Record, durable_mark
from eventlog.storage import LogFile, Storage, replace_durably

RECOVERED, SALVAGED, RESTORED = "log.recovered", "log.salvaged", "log.restored"
_TORN, _DAMAGED, _HEAD = "torn", "damaged", "head"
_RECORD_OF = {_TORN: RECOVERED, _DAMAGED: SALVAGED, _HEAD: RESTORED}
_WHOLE_LINE = re.compile(rb',"sum":"[0-9a-f]{16}"\}')
"""How a record ends: behind it the newline may have been lost."""
_ASIDE = re.compile(
    r"(?P<pipeline>.+)\.(?P<kind>torn|damaged|head)-(?P<number>0|[1-9][0-9]{0,18})-(?P<sum>[0-9a-f]{16})"
)


def cut_torn_tail(storage: Storage, file: LogFile, verdict: Verdict, place: Place) -> None:
    """Copy the bytes behind the last good record aside, durably, then cut them off.

    A crash at any point leaves a state from which the same call does the same again.
    """
    cut = b"".join(file.pieces(verdict.offset))
    replace_durably(storage, _aside_path(place, _TORN, verdict.offset, cut), cut)
    file.truncate(verdict.offset)
    file.sync()


def set_damaged_aside(storage: Storage, file: LogFile, verdict: Verdict, place: Place) -> None:
    """Copy a damaged log aside as it stands, durably, then cut it back to its good prefix.

    It stays the same file, so that its lock holds and whoever follows it goes on. A crash at any point leaves a
    state from which the same call, or the next opening, goes on.
    """
    whole = b"".join(file.pieces())
    replace_durably(storage, _aside_path(place, _DAMAGED, verdict.offset, whole), whole)
    file.truncate(verdict.offset)
    file.sync()


def set_head_aside(storage: Storage, kept: Head, place: Place) -> None:
    """Give a head that names lost records another name, durably, so that it no longer speaks against the log."""
    content = b"".join(storage.pieces(place.head))
    storage.rename(place.head, _aside_path(place, _HEAD, kept.seq, content))
    storage.sync_dir(place.folder)


def complete_last_line(file: LogFile, place: Place, kept: Head | None) -> tuple[list[Record], Verdict]:
    """Add the newline that the last record lacks, durably; return what the file then holds."""
    file.append(b"\n")
    file.sync()
    records, verdict = scan(file.pieces(), place.pipeline, kept)
    if verdict.tail is not Tail.CLEAN:
        raise OSError(f"the last line could not be completed: {verdict.reason}")
    return records, verdict


def unrecorded(storage: Storage, place: Place, records: Iterable[Record]) -> list[tuple[str, dict[str, Any]]]:
    """Return an event for each file that was set aside and that the log does not name yet."""
    named = _named(records)
    return [
        (_RECORD_OF[match["kind"]], _describe(storage, place, match))
        for match in _set_aside(storage, place)
        if match.group() not in named
    ]


def is_half_mended(storage: Storage, place: Place, records: Sequence[Record], kept: Head | None) -> bool:
    """Say whether a mending was cut short: before its record, or after it and before the new head."""
    recorded = kept is None and bool(records) and records[-1].type in {SALVAGED, RESTORED}
    return recorded or bool(unrecorded(storage, place, records))


def has_traces(storage: Storage, place: Place) -> bool:
    """Say whether something is left that only a log of this name can have left: a head, or what was set aside."""
    return place.kept_head(storage) is not None or any(_set_aside(storage, place))


def absence(storage: Storage, place: Place) -> LogError:
    """Return why there is no log: it was purged, it is gone although something of it is left, or never was."""
    if place.is_purged(storage):
        return refusals.purged(place)
    return refusals.missing(place, gone=has_traces(storage, place))


def set_aside(storage: Storage, place: Place) -> list[str]:
    """Return the names of the files that were set aside for a log."""
    return [match.group() for match in _set_aside(storage, place)]


def set_aside_for(name: str) -> tuple[str, str] | None:
    """Return the log that a file of such a name is set aside for, and the first digits of its SHA-256."""
    match = _ASIDE.fullmatch(name)
    return (match["pipeline"], match["sum"]) if match else None


def aside_findings(
    storage: Storage, place: Place, records: Iterable[Record], gone: Collection[str] = ()
) -> list[str]:
    """Return, as sentences, what is wrong with the files that were set aside for a log; some may be gone."""
    there = {match.group(): _describe(storage, place, match) for match in _set_aside(storage, place)}
    named = _named(records)
    missing = [f"{name}, which was set aside, is gone." for name in named if name not in there and name not in gone]
    unnamed = [f"The log does not name {name}, which was set aside, yet." for name in there if name not in named]
    altered = [
        f"{name}, which was set aside, was changed."
        for name, found in there.items()
        if found["sha256"] != named.get(name, found).get("sha256")
    ]
    return missing + unnamed + altered


def _named(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return what records say of files that were set aside, by the file's name; a stranger's may say anything."""
    return {
        name: record.data
        for record in records
        if record.type in _RECORD_OF.values() and isinstance(name := record.data.get("file"), str)
    }


def _aside_path(place: Place, kind: str, number: int, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()[:16]
    return os.path.join(place.folder, f"{place.pipeline}.{kind}-{number}-{digest}")


def _set_aside(storage: Storage, place: Place) -> Iterator[re.Match[str]]:
    for name in storage.names(place.folder):
        match = _ASIDE.fullmatch(name)
        if match and match["pipeline"] == place.pipeline:
            yield match


def _describe(storage: Storage, place: Place, match: re.Match[str]) -> dict[str, Any]:
    content = b"".join(storage.pieces(os.path.join(place.folder, match.group())))
    facts = {"file": match.group(), "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return facts | _DESCRIBE[match["kind"]](content, int(match["number"]))


def _describe_torn(cut: bytes, offset: int) -> dict[str, Any]:
    # Only a plain prefix of one line is certainly an unfinished write; the rest may have been more.
    return {"offset": offset, "uncertain": b"\0" in cut or b"\n" in cut or _WHOLE_LINE.search(cut) is not None}


def _describe_damaged(whole: bytes, offset: int) -> dict[str, Any]:
    return {"offset": offset, "intact_behind": _intact(whole[offset:])}


def _describe_head(content: bytes, _: int) -> dict[str, Any]:
    head = Head.from_bytes(content)
    return {"head": {"seq": head.seq, "sha256": head.sha256} if head.sha256 else None}


_DESCRIBE: dict[str, Callable[[bytes, int], dict[str, Any]]] = {
    _TORN: _describe_torn,
    _DAMAGED: _describe_damaged,
    _HEAD: _describe_head,
}


def _intact(content: bytes) -> int:
    """Return how many lines are records by themselves; they may be all that is left of what they say."""
    return sum(len(line) < LINE_BYTES_MAX and _is_intact(line + b"\n") for line in content.split(b"\n"))


def _is_intact(line: bytes) -> bool:
    try:
        return durable_mark(line) is not None
    except NewerFormatError:
        return True

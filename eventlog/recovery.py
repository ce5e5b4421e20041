"""After a crash: keep a torn tail aside, cut the log back to its last good record, say so in the log.

Nothing here decides what is torn; that is the reader's verdict. Nothing here forgets: the cut bytes stay in a
file whose name tells where they were, and `log.recovered` names that file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from typing import Any

from eventlog.reader import Head, Tail, Verdict, scan
from eventlog.record import Record
from eventlog.storage import LogFile, Storage, replace_durably

RECOVERED = "log.recovered"
_QUARANTINE = re.compile(r"(?P<pipeline>.+)\.torn-(?P<offset>\d+)-(?P<sum>[0-9a-f]{16})")


def cut_torn_tail(storage: Storage, file: LogFile, verdict: Verdict, folder: str, pipeline: str) -> None:
    """Copy the bytes behind the last good record aside, durably, then cut them off.

    A crash at any point leaves a state from which the same call does the same again.
    """
    cut = b"".join(file.pieces(verdict.offset))
    name = f"{pipeline}.torn-{verdict.offset}-{hashlib.sha256(cut).hexdigest()[:16]}"
    replace_durably(storage, os.path.join(folder, name), cut)
    file.truncate(verdict.offset)
    file.sync()


def complete_last_line(file: LogFile, pipeline: str, kept: Head | None) -> tuple[list[Record], Verdict]:
    """Add the newline that the last record lacks, durably; return what the file then holds."""
    file.append(b"\n")
    file.sync()
    records, verdict = scan(file.pieces(), pipeline, kept)
    if verdict.tail is not Tail.CLEAN:
        raise OSError(f"the last line could not be completed: {verdict.reason}")
    return records, verdict


def quarantine_findings(storage: Storage, folder: str, pipeline: str, records: Iterable[Record]) -> list[str]:
    """Return, as sentences, what is wrong with the quarantined tails of a log."""
    kept = {name: _describe(storage, folder, name) for name in _quarantined(storage, folder, pipeline)}
    named = {record.data.get("file"): record.data for record in records if record.type == RECOVERED}
    missing = [f"The quarantined tail {name} is gone." for name in named if name not in kept]
    unnamed = [f"The log does not name the quarantined tail {name} yet." for name in kept if name not in named]
    altered = [
        f"The quarantined tail {name} was changed." for name in kept if kept[name] != named.get(name, kept[name])
    ]
    return missing + unnamed + altered


def unrecorded_cuts(
    storage: Storage, folder: str, pipeline: str, records: Iterable[Record]
) -> list[tuple[str, dict[str, Any]]]:
    """Return a `log.recovered` event for each quarantined tail that the log does not name yet.

    Also one that an earlier crash left between the cut and its record.
    """
    named = {record.data.get("file") for record in records if record.type == RECOVERED}
    return [
        (RECOVERED, _describe(storage, folder, name))
        for name in _quarantined(storage, folder, pipeline)
        if name not in named
    ]


def _quarantined(storage: Storage, folder: str, pipeline: str) -> list[str]:
    matches = [_QUARANTINE.fullmatch(name) for name in storage.names(folder)]
    return [match.group() for match in matches if match and match["pipeline"] == pipeline]


def _describe(storage: Storage, folder: str, name: str) -> dict[str, Any]:
    match = _QUARANTINE.fullmatch(name)
    assert match is not None
    cut = b"".join(storage.pieces(os.path.join(folder, name)))
    return {
        "file": name,
        "offset": int(match["offset"]),
        "size_bytes": len(cut),
        "sha256": hashlib.sha256(cut).hexdigest(),
        # Only a plain prefix of one line is certainly an unfinished write; the rest may have been more.
        "uncertain": b"\0" in cut or b"\n" in cut,
    }

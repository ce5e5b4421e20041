"""Copies of logs that programs for syncing leave beside them when two machines wrote: found, and compared.

A copy is never used, and never removed: only a person can say which of two histories is the true one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from attrs import frozen

from eventlog.errors import LogError
from eventlog.reader import Scanner
from eventlog.scan import LOG, Folder
from eventlog.storage import PosixStorage
from eventlog.store import Store

_COPY = re.compile(r"([0-9a-f]{16,64}(?:\.[1-9][0-9]*)?)(?!\.[1-9][0-9]*\.jsonl)([ ._(-].*)\.jsonl")
_MAKERS = (
    (re.compile(r"\.sync-conflict-.*"), "Syncthing"),
    (re.compile(r".*conflicted copy.*"), "Dropbox or Nextcloud"),
    (re.compile(r" ?\([0-9]+\)"), "Google Drive or a browser"),
    (re.compile(r" [0-9]+"), "iCloud Drive"),
    (re.compile(r"(?: -)? copy.*"), "a file manager"),
    (re.compile(r"-.+"), "OneDrive"),
    (re.compile(r".+"), "somebody"),
)
"""How what was added to a name begins, and whose habit that is. Sources: docs.syncthing.net/users/syncing, the help
pages of Dropbox, Nextcloud and OneDrive; Google and Apple describe no rule, theirs are what users report."""

SAME, OLDER, LONGER, FORKED, UNREADABLE = "same", "older", "longer", "forked", "unreadable"


@frozen
class Copy:
    """A file beside a log that has its name and something besides.

    Attributes:
        pipeline: whose log it is a copy of.
        path: where it lies.
        maker: who gives such names, for people.
    """

    pipeline: str
    path: str
    maker: str


@frozen
class Compared:
    """How a copy stands to the log.

    Attributes:
        relation: `same`; `older`, the log holds all of it and more; `longer`, the other way round; `forked`, both
            went on after some record; `unreadable`, it is no log of this pipeline.
        common: how many records both have.
        log, copy: how many each has.
    """

    relation: str
    common: int = 0
    log: int = 0
    copy: int = 0


def copies(root: str, folders: Iterable[Folder]) -> Iterator[Copy]:
    """Yield the copies of logs below a root, by name."""
    for folder in folders:
        for file in folder.files:
            name = str(file[0])
            match = _COPY.fullmatch(name) if name.endswith(LOG) else None
            if match is not None and match[1][:2] == folder.name:
                maker = next(words for mark, words in _MAKERS if mark.fullmatch(match[2].lower()))
                yield Copy(match[1], f"{root}/{folder.name}/{name}", maker)


def compared(store: Store, copy: Copy) -> Compared:
    """Return how a copy stands to the log beside it; neither is changed.

    Raises:
        OSError: the copy can't be read.
    """
    scanner = Scanner(copy.pipeline)
    theirs = (record.line_sha256 for piece in PosixStorage().pieces(copy.path) for record in scanner.feed(piece))
    common = log = other = 0
    is_equal = True
    for ours, their in zip_longest(_hashes(store, copy.pipeline), theirs):
        log += ours is not None
        other += their is not None
        is_equal = is_equal and ours == their
        common += is_equal
    return Compared(_relation(common, log, other), common, log, other)


def _relation(common: int, log: int, copy: int) -> str:
    if not copy:
        return UNREADABLE
    if common < min(log, copy):
        return FORKED
    return SAME if log == copy else OLDER if copy < log else LONGER


def _hashes(store: Store, pipeline: str) -> Iterator[str]:
    """Yield the hashes of a log's good records; none where there is no log."""
    try:
        yield from (record.line_sha256 for record in store.stream(pipeline))
    except LogError:
        return

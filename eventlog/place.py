"""Where one log is, and the files beside it; what they tell before the log itself is read."""

from __future__ import annotations

import os

from attrs import frozen

from eventlog.reader import Head
from eventlog.scan import ARCHIVE, COPY, HEAD, LIFTED, LOG, PURGED
from eventlog.storage import Storage
from eventlog.values import Value


@frozen(eq=False, repr=False)
class Place(Value):
    """The files of one log: `<root>/<first 2>/<pipeline>.jsonl` or its archive, and its head beside it."""

    root: str
    pipeline: str

    @property
    def folder(self) -> str:
        """The folder that holds the log."""
        return os.path.join(self.root, self.pipeline[:2])

    @property
    def log(self) -> str:
        """The log itself."""
        return os.path.join(self.folder, self.pipeline + LOG)

    @property
    def archive(self) -> str:
        """The log's archive, in place of the log once it is sealed and put away."""
        return os.path.join(self.folder, self.pipeline + ARCHIVE)

    @property
    def head(self) -> str:
        """The file that holds the head."""
        return os.path.join(self.folder, self.pipeline + HEAD)

    @property
    def copy(self) -> str:
        """The file that says that the log is a copy, and not to be written; empty but for a line's end."""
        return os.path.join(self.folder, self.pipeline + COPY)

    @property
    def tombstone(self) -> str:
        """The file that says that the log was purged, so that none is begun in its place."""
        return os.path.join(self.folder, self.pipeline + PURGED)

    @property
    def lifted(self) -> str:
        """What a tombstone is called once a log may be begun in spite of it."""
        return os.path.join(self.folder, self.pipeline + LIFTED)

    def is_purged(self, storage: Storage) -> bool:
        """Say whether a log was here and was purged; beside a log that holds anything a tombstone means nothing."""
        if storage.signature(self.tombstone) is None:
            return False
        there = storage.signature(self.found(storage))
        return there is None or there.size_bytes == 0

    def is_copy(self, storage: Storage) -> bool:
        """Say whether the log is a copy of one that is written elsewhere; without a log the mark means nothing."""
        marked = storage.signature(self.copy) is not None
        return marked and storage.signature(self.found(storage)) is not None

    def found(self, storage: Storage) -> str:
        """Return the path of the log; that of its archive if only this is there."""
        is_away = storage.signature(self.log) is None and storage.signature(self.archive) is not None
        return self.archive if is_away else self.log

    def kept_head(self, storage: Storage) -> Head | None:
        """Return the head kept beside the log; UNREADABLE_HEAD if it can't be understood, None if there is none."""
        try:
            return Head.from_bytes(b"".join(storage.pieces(self.head)))
        except FileNotFoundError:
            return None

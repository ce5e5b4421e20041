"""Folders whose names no crash takes back."""

from __future__ import annotations

import contextlib
import os

from eventlog.storage import Storage

_REMEMBERED_MAX = 1000
"""Bounds the memory of a process that works on very many logs; what is forgotten is synced once more."""


class Folders:
    """Makes folders durably and remembers those it did, so that each is synced once and not at every use.

    Only what this object synced itself counts: whoever else made a folder may have died before syncing its name.
    One that was removed or replaced since is another folder, and is made anew.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._durable: dict[str, tuple[int, int]] = {}

    def make(self, path: str) -> None:
        """Make a folder and its parents: from the outermost inwards, make → sync the parent, whoever made it."""
        if self._is_durable(path):
            return
        parent = os.path.dirname(path)
        if parent == path:
            return
        self.make(parent)
        self.storage.make_dir(path)
        # A folder that we may not read is somebody else's, who made its names long ago.
        with contextlib.suppress(PermissionError):
            self.storage.sync_dir(parent)
        self._remember(path)

    def forget(self, path: str) -> None:
        """Believe no more of a folder and what is in it than of a stranger's."""
        # Of a list: other threads remember theirs meanwhile.
        for known in list(self._durable):
            if known == path or known.startswith(path + os.sep):
                self._durable.pop(known, None)

    def _is_durable(self, path: str) -> bool:
        known = self._durable.get(path)
        if known is None:
            return False
        found = self.storage.signature(path)
        return found is not None and found.identity == known

    def _remember(self, path: str) -> None:
        found = self.storage.signature(path)
        if len(self._durable) >= _REMEMBERED_MAX:
            self._durable = {}
        if found is not None:
            self._durable[path] = found.identity


def make_dirs_durably(storage: Storage, path: str) -> None:
    """Make a directory and its parents so that no crash takes their names back; all of them are synced."""
    Folders(storage).make(path)

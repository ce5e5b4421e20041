"""Taking a log away on purpose: a tombstone comes first, durably, so that nobody takes that for a loss.

Whoever holds the log's lock calls this. Each step can be repeated; a crash leaves the log whole, or its tombstone
in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import frozen

from eventlog import refusals
from eventlog.place import Place
from eventlog.recovery import set_aside
from eventlog.scan import PURGED
from eventlog.storage import Storage, replace_durably


@frozen
class Purging:
    """What is done to one log that is purged, or was."""

    place: Place
    storage: Storage

    def names(self) -> list[str]:
        """Return the names of the files that go, in their order: the log before what is beside it."""
        place = self.place
        own = [place.archive, place.log, place.head, place.copy]
        names = [os.path.basename(path) for path in own]
        there = set(self.storage.names(place.folder))
        names += [*set_aside(self.storage, place), *(f"{name}.tmp" for name in names)]
        return [name for name in names if name in there]

    def entomb(self, content: bytes) -> None:
        """Put the tombstone beside the log, durably: from here on the log is to go.

        Raises:
            LogStorageError: the disk failed.
        """
        with self._writing():
            replace_durably(self.storage, self.place.tombstone, content)

    def take_away(self) -> None:
        """Unlink the log → sync the folder → unlink what is beside it → sync the folder.

        Raises:
            LogStorageError: the disk failed; repeat it.
        """
        first = {os.path.basename(path) for path in (self.place.archive, self.place.log)}
        with self._writing():
            for some in ([n for n in self.names() if n in first], [n for n in self.names() if n not in first]):
                for name in some:
                    self.storage.unlink(os.path.join(self.place.folder, name))
                if some:
                    self.storage.sync_dir(self.place.folder)

    def content(self) -> bytes | None:
        """Return what the tombstone says, also while the log is still beside it; None where there is none."""
        with self._writing():
            try:
                return b"".join(self.storage.pieces(self.place.tombstone))
            except FileNotFoundError:
                return None

    def drop(self) -> None:
        """Take the tombstone away, durably: the log is not to go, or comes back.

        Raises:
            LogStorageError: the disk failed.
        """
        with self._writing(), suppress(FileNotFoundError):
            self.storage.unlink(self.place.tombstone)
            self.storage.sync_dir(self.place.folder)

    def lift(self, content: bytes) -> None:
        """Keep this as what the tombstone said, under another name, and take the tombstone away.

        Raises:
            LogStorageError: the disk failed; repeat it.
        """
        with self._writing():
            replace_durably(self.storage, self.place.lifted, content)
        self.drop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refusals.unwritable(self.place, error) from error


def tombstones(storage: Storage, root: str, of: str) -> Iterator[str]:
    """Yield the names of logs that have a tombstone and begin so, sorted."""
    for shard in [of[:2]] if len(of) >= 2 else storage.names(root):
        for name in storage.names(os.path.join(root, shard)) if len(shard) <= 2 else ():
            if name.endswith(PURGED) and name.startswith(of) and name[:2] == shard:
                yield name.removesuffix(PURGED)

"""Reads a log while others write it: no error, no false record, no half line, each record once, nothing changed."""

from __future__ import annotations

import hashlib
import os

from attrs import define, field

from eventlog.errors import LogGoneError, LogNotFoundError
from eventlog.follow import Follower
from eventlog.reader import Tail
from eventlog.record import Record
from proofs.account import Account, content, require


@define
class Onlooker:
    """One reader of one log, which follows it and also reads it all, again and again."""

    account: Account
    _follower: Follower
    _followed: list[str] = field(factory=list)
    _new: list[Record] = field(factory=list)
    _read: list[Record] = field(factory=list)

    @classmethod
    def of(cls, account: Account) -> Onlooker:
        """Return a reader that has seen nothing yet."""
        return cls(account, Follower(account.store, [account.NAME]))

    def look(self, *, may_be_gone: bool) -> None:
        """Follow, and read all; what was seen is held against the account as soon as that has heard all."""
        self._new += self._follower.poll()
        try:
            view = self.account.store.read(self.account.NAME)
        except LogGoneError:
            require(may_be_gone, "I11", "a log was gone for a reader that nobody had deleted")
            return
        except LogNotFoundError:
            require(not self.account.acknowledged, "I11", "there was no log for a reader, though it had been begun")
            return
        is_well = view.verdict.tail is not Tail.CORRUPT or may_be_gone
        require(is_well, "I11", f"it was read as corrupt: {view.verdict.reason}")
        self._read += view.records

    def compare(self) -> None:
        """Fail if a record was seen that nobody submitted, or not once and in order; call it after hearing all."""
        lines = bytes(self.account.submitted).split(b"\n")[:-1]
        submitted = [hashlib.sha256(line + b"\n").hexdigest() for line in lines]
        for record in self._new + self._read:
            is_known = submitted[record.seq - 1 : record.seq] == [record.line_sha256]
            is_known |= record.line_sha256 in self.account.undone
            require(is_known, "I11", f"record {record.seq} was shown, and nobody had submitted it")
        for record in self._new:
            # Whoever is shown a record before it is acknowledged may be shown another in its place.
            gone, self._followed = self._followed[record.seq - 1 :], self._followed[: record.seq - 1]
            is_next = set(gone) <= self.account.undone and len(self._followed) == record.seq - 1
            require(is_next, "I11", f"record {record.seq} was shown behind {len(self._followed) + len(gone)}")
            self._followed.append(record.line_sha256)
        self._new, self._read = [], []

    def look_at_stillness(self) -> None:
        """Read in every way while nobody writes; nothing may change, no time of change either."""
        store, name = self.account.store, self.account.NAME
        before = self._state()
        self.look(may_be_gone=True)
        list(store.stream(name))
        store.findings(name)
        store.read_head(name)
        store.pipelines()
        require(self._state() == before, "I11", "a reader changed the log, its folder or a time of change")

    def _state(self) -> list[tuple[str, bytes, int]]:
        folder = os.path.dirname(self.account.path)
        paths = [folder, *(os.path.join(folder, name) for name in sorted(os.listdir(folder)))]
        return [(path, b"" if path == folder else content(path), os.stat(path).st_mtime_ns) for path in paths]

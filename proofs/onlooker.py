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
    """One reader of one log.

    Attributes:
        account: of the log.
        shown: how many records it has followed.
    """

    account: Account
    _follower: Follower
    shown: int = 0
    _unverified: list[Record] = field(factory=list)

    @classmethod
    def of(cls, account: Account) -> Onlooker:
        """Return a reader that has seen nothing yet."""
        return cls(account, Follower(account.store, [account.NAME]))

    def look(self, *, may_be_gone: bool) -> None:
        """Follow, and read all; what is there is held against the account as soon as that has heard all."""
        new = self._follower.poll()
        seqs = [record.seq for record in new]
        require(seqs == [*range(self.shown + 1, self.shown + len(new) + 1)], "I11", f"{seqs} follow {self.shown}")
        self.shown += len(new)
        self._unverified += new
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
        self._unverified += view.records

    def compare(self) -> None:
        """Fail if a record was seen that nobody submitted; call it once the account has heard all there was."""
        lines = bytes(self.account.submitted).split(b"\n")
        for record in self._unverified:
            line = lines[record.seq - 1] + b"\n" if record.seq < len(lines) else b""
            is_known = hashlib.sha256(line).hexdigest() == record.line_sha256
            require(is_known, "I11", f"record {record.seq} was shown, and nobody had submitted it")
        self._unverified.clear()

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

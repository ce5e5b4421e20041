"""Where a proof begins, again and again: no log yet, a good one, and logs as a crash leaves them."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from proofs.account import Account
from proofs.processes import Nursery

WORK: list[list[Any]] = [["append", 1, 10], ["append", 3, 20], ["head"], ["append", 1, 10], ["append", 2, 30]]


@frozen
class Start:
    """What is on the disk before a run.

    Attributes:
        name: in words.
        account: what is known of it.
        files: a copy of it.
    """

    name: str
    account: Account
    files: str

    def begin(self, root: str, seen_from: str = "") -> Account:
        """Put it under a root, in the place of what is there; return an account of it."""
        account = copy.deepcopy(self.account)
        account.root, account.seen_from = root, seen_from
        shutil.rmtree(seen_from + root, ignore_errors=True)
        if os.path.exists(self.files):
            shutil.copytree(self.files, seen_from + root)
        return account

    @property
    def quarantine(self) -> str:
        """The name of the file in which a recovery has to keep what it cuts off."""
        torn = bytes(self.account.submitted[self.account.acknowledged :])
        return f"{Account.NAME}.torn-{self.account.acknowledged}-{hashlib.sha256(torn).hexdigest()[:16]}"


def starts(nest: Nursery, folder: str) -> Iterator[Start]:
    """Make each start once; the copies stay in a folder."""
    yield Start("fresh", Account(""), os.path.join(folder, "fresh"))
    yield _written(nest, folder, "good")
    yield _written(nest, folder, "short tail", 30, 200)
    yield _written(nest, folder, "long tail", 9_000, 9_100)
    yield _written(nest, folder, "unterminated", 30, -1)


def _written(nest: Nursery, folder: str, name: str, text_bytes: int = 0, kept: int | None = None) -> Start:
    """Let a life write a log; of one more record keep so many bytes, as if they alone had been written."""
    account = Account(os.path.join(folder, name))
    account.live(nest, [["open"], *WORK, ["close"]])
    if kept is not None:
        acknowledged = account.acknowledged
        account.live(nest, [["open"], ["append", 1, text_bytes], ["close"]])
        account.submitted = account.submitted[: acknowledged + kept] if kept > 0 else account.submitted[:kept]
        account.acknowledged = acknowledged
        with open(account.path, "wb") as file:
            file.write(account.submitted)
        account.check()
    return Start(name, account, account.root)

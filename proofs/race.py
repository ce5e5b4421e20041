"""Processes that want to write one log at the same time, while a hand kills, stops and takes the log away."""

from __future__ import annotations

import os
import random
import shutil
import signal
from typing import Any

from attrs import define, field

from proofs.account import Account, content, refusals, require
from proofs.onlooker import Onlooker
from proofs.processes import Ear, Nursery, Word, require_named_end
from proofs.report import Tally
from proofs.writer_process import Said

REFUSED_S_MAX = 1.0
LOCKED = "open: LogLockedError"
CALM, DELETED, REPLACED = "calm", "deleted", "replaced"
RACES = (CALM, DELETED, REPLACED)
"""What happens to the log in a race: nothing, it is deleted and put back, or a copy is put in its place."""


def require_told_soon(said: list[Word]) -> None:
    """Fail if an opening was refused late: by its processor time and the waiting that the store asked for."""
    waits_s = [float(word.text) for word in said if word.what is Said.LOSER_S]
    require(max(waits_s, default=0) < REFUSED_S_MAX, "I7", f"a loser was told so after {waits_s} s")


def replace(account: Account) -> None:
    """Put a copy of the log in its place; all who write must stand still."""
    shutil.copyfile(account.path, account.path + ".copy")
    os.replace(account.path + ".copy", account.path)
    account.replaced()


@define
class Race:
    """Processes that want to write one log at the same time, and a hand that disturbs them."""

    nest: Nursery
    account: Account
    chance: random.Random
    tally: Tally
    kind: str
    ear: Ear = field(factory=Ear)
    said: list[Word] = field(factory=list)
    living: list[int] = field(factory=list)
    stopped: set[int] = field(factory=set)

    @property
    def aside(self) -> str:
        """Where the log is kept while it is deleted."""
        return self.account.root + ".aside"

    def run(self) -> None:
        """Let them race, disturb them a while, let them end, and check."""
        onlooker = Onlooker.of(self.account)
        order = {"haste": 5, "inodes": True}
        with self.ear:
            writers = self.chance.randint(2, 16)
            pids = [self.nest.begin(self.account.order(self._steps(), **order), self.ear) for _ in range(writers)]
            self.living += pids
            acts = [self._kill, self._stop, self._let_go_on]
            acts += {CALM: [], DELETED: [self._delete_or_put_back] * 2, REPLACED: [self._replace] * 2}[self.kind]
            for _ in range(3 * writers):
                onlooker.look(may_be_gone=os.path.exists(self.aside))
                self._hear(self.ear.listen(self.chance.uniform(0, 0.01)))
                onlooker.compare()
                is_deleted_long_enough = os.path.exists(self.aside) and self.chance.random() < 0.5
                (self._delete_or_put_back if is_deleted_long_enough else self.chance.choice(acts))()
            self._end()
        for pid in pids:
            require_named_end(self.nest.bury(pid), [])
        self._check()
        onlooker.look_at_stillness()
        onlooker.compare()
        self.account.settle(self.nest)

    def _steps(self) -> list[list[Any]]:
        fork: list[Any] = ["fork", [["append", 1, 5], ["head"], ["linger"]]]
        # Two that hold two files under one name would also write one head at the same time.
        kept = [["head"]] if self.kind != REPLACED else []
        steps: list[list[Any]] = []
        for _ in range(4):
            work = [["append", self.chance.randint(1, 3), self.chance.randrange(200)] for _ in range(3)]
            steps += [["open"], *work, *self.chance.choice(([], kept, [fork])), ["close"]]
        return steps

    def _hear(self, words: list[Word]) -> None:
        self.account.hear(words)
        self.said += words

    def _kill(self) -> None:
        if len(self.living) > 1:
            pid = self.living.pop(self.chance.randrange(len(self.living)))
            self.stopped.discard(pid)
            self.account.is_dying(pid)
            self.nest.signal(pid, signal.SIGKILL)
            self.tally.add("writers killed in a race")

    def _stop(self) -> None:
        pid = self.chance.choice(self.living)
        self.nest.signal(pid, signal.SIGSTOP)
        self.stopped.add(pid)
        self.tally.add("writers stopped in a race")

    def _let_go_on(self) -> None:
        for pid in self.stopped:
            self.nest.signal(pid, signal.SIGCONT)
        self.stopped.clear()

    def _delete_or_put_back(self) -> None:
        path = self.account.path
        if os.path.exists(self.aside):
            # Who found no head before may have made the file; under the lock it finds one, and refuses.
            is_new = os.path.exists(path) and os.path.getsize(path) > 0
            require(not is_new, "I1", "a log was begun anew where there had been one")
            os.rename(self.aside, path)
        elif os.path.exists(path) and self.account.kept_seq:
            os.link(path, self.aside)
            os.unlink(path)
            self.tally.add("logs deleted and put back in a race")

    def _replace(self) -> None:
        """Put a copy in the log's place while all stand still; not while it is mended, which two would then do."""
        for pid in self.living:
            self.nest.stop(pid)
        self.stopped.update(self.living)
        self._hear(self.ear.listen(0))
        if content(self.account.path).endswith(b"\n"):
            replace(self.account)
            self.tally.add("logs replaced in a race")
        self._let_go_on()

    def _end(self) -> None:
        if os.path.exists(self.aside):
            self._delete_or_put_back()
        self._let_go_on()
        self.ear.send_lingerers_home()
        for word in self.ear.until_over():
            self._hear([word])

    def _check(self) -> None:
        """Fail if somebody was refused for another reason than one that the race gives."""
        self.account.opener = None
        self.account.check()
        require_told_soon(self.said)
        reasons = {LOCKED, "append: WriterDeadError", "head: WriterDeadError"}
        if self.kind != CALM:
            reasons |= {f"open: {name}" for name in ("LogGoneError", "CorruptLogError", "LogStorageError")}
            reasons.add("append: LogStorageError")
        for pid in {word.pid for word in self.said}:
            refused = set(refusals([word for word in self.said if word.pid == pid]))
            require(refused <= reasons, "I7", f"a writer was refused {refused - reasons}")
            self.tally.add("writers that lost in a race", LOCKED in refused)
        self.tally.add("batches acknowledged in a race", sum(w.what is Said.ACKNOWLEDGED for w in self.said))

"""Many want to write one log: at most one does, the others are told so within a second, and readers see no wrong.

    python -m proofs.writers --rounds 60 --seed 1

In each round, first the cases that a race hits too seldom, step by step; then a race of 2 to 16 processes that
open, append, fork and close, some killed or stopped, while the log is deleted and put back, or replaced.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable
from typing import Any

from proofs.account import Account, case, refusals, require
from proofs.processes import Ear, Nursery, Word, live, nursery, require_named_end, scratch
from proofs.race import LOCKED, RACES, Race, replace, require_told_soon
from proofs.report import Tally, command
from proofs.starts import starts
from proofs.writer_process import BEFORE_LOCK, BEFORE_OPEN, Said

SHORT_LIFE: list[list[Any]] = [["open"], ["append", 1, 10], ["close"]]


def prove(*, rounds: int, seed: int) -> Tally:
    """Let many race for one log: at most one ever acknowledges a seq, and readers see only what was submitted."""
    chance, tally = random.Random(seed), Tally()
    with scratch() as folders, nursery() as nest:
        beginnings = [(folder, start) for folder in folders for start in starts(nest, folder)]
        for number in range(rounds):
            folder, start = beginnings[number % len(beginnings)]
            root = os.path.join(folder, "log")
            for step_by_step in STEP_BY_STEP:
                with case(f"{start.name}; {step_by_step.__name__.strip('_')}"):
                    step_by_step(nest, start.begin(root))
                tally.add("cases step by step")
            with case(f"{start.name}; race {number}"):
                Race(nest, start.begin(root), chance, tally, RACES[number % len(RACES)]).run()
            tally.add("races")
    return tally


def _hold(nest: Nursery, account: Account, ear: Ear, *steps: list[Any], forks: int = 0) -> tuple[int, list[Word]]:
    """Let a writer open the log, append, and wait before it appends again and closes.

    Returns:
        Its process, and what it and its forks have said.
    """
    work: list[list[Any]] = [["open"], ["append", 1, 10], *steps, ["wait"], ["append", 1, 10], ["close"]]
    pid = nest.begin(account.order(work, inodes=True), ear)
    said = ear.until(Said.WAITING, 1 + forks)
    account.hear(said)
    return pid, said


def _let_end(nest: Nursery, account: Account, ear: Ear, pid: int) -> list[str]:
    """Let a writer that waits go on to its end; return the steps that it was refused."""
    ear.let_go()
    said = ear.until(Said.ENDED)
    require_named_end(nest.bury(pid), said)
    account.hear(said)
    return refusals([word for word in said if word.pid == pid])


def _is_locked(nest: Nursery, account: Account, while_what: str) -> None:
    """Fail unless another writer is told, within a second, that the log is locked."""
    said = live(nest, account.order(SHORT_LIFE, haste=20))
    require(refusals(said) == [LOCKED], "I7", f"{while_what}, and another writer was told {refusals(said)}")
    require_told_soon(said)


def _a_holder_waits_or_is_stopped(nest: Nursery, account: Account) -> None:
    with Ear() as ear:
        pid, _ = _hold(nest, account, ear)
        _is_locked(nest, account, "a writer has it open")
        _remove_strays(account)
        _is_locked(nest, account, "a writer has it open, and all files but those of docs/format.md were deleted")
        nest.stop(pid)
        _is_locked(nest, account, "a writer has it open and is stopped")
        nest.signal(pid, signal.SIGCONT)
        refused = _let_end(nest, account, ear, pid)
        require(not refused, "I7", f"the writer that had it open was refused {refused}")
    _goes_on(nest, account, "it was closed")


def _remove_strays(account: Account) -> None:
    """Delete what no document says to be there, as somebody might who tidies up."""
    folder = os.path.dirname(account.path)
    for name in os.listdir(folder):
        if name not in (f"{account.NAME}.jsonl", f"{account.NAME}.head") and ".torn-" not in name:
            os.unlink(os.path.join(folder, name))


def _a_fork_neither_writes_nor_frees_nor_keeps_it(nest: Nursery, account: Account) -> None:
    for closes, is_killed in itertools.product((False, True), repeat=2):
        fork = [["append", 1, 5], ["head"], *([["close"]] if closes else []), ["linger"]]
        with Ear() as ear:
            pid, said = _hold(nest, account, ear, ["fork", fork], forks=1)
            refused = refusals([word for word in said if word.pid != pid])
            require(
                refused == ["append: WriterDeadError", "head: WriterDeadError"], "I7", f"a fork was told {refused}"
            )
            _is_locked(nest, account, "a writer that has it open has a fork")
            if is_killed:
                account.is_dying(pid)
                nest.signal(pid, signal.SIGKILL)
                nest.bury(pid)
            else:
                require(not _let_end(nest, account, ear, pid), "I7", "a writer whose fork had closed was refused")
            _goes_on(nest, account, "a fork of the last writer lives on")


def _it_is_begun_and_deleted_before_the_opening(nest: Nursery, account: Account) -> None:
    with Ear() as ear:
        late = nest.begin(account.order([["pause", BEFORE_OPEN], *SHORT_LIFE], haste=20), ear)
        said = ear.until(Said.WAITING)
        account.live(nest, [["open"], ["append", 1, 10], ["head"], ["close"]])
        os.rename(account.path, account.root + ".aside")
        ear.let_go()
        said += ear.until_over()
        require_named_end(nest.bury(late), said)
        refused = refusals(said)
        told = refused in (["open: LogGoneError"], ["open: CorruptLogError"])
        require(told, "I1", f"it was begun, then deleted, and who had found no head was told {refused}")
        os.rename(account.root + ".aside", account.path)
    _goes_on(nest, account, "it was put back")


def _it_is_replaced_before_the_lock(nest: Nursery, account: Account) -> None:
    account.live(nest, SHORT_LIFE)
    with Ear() as ear:
        pid = nest.begin(account.order([["pause", BEFORE_LOCK], *SHORT_LIFE], inodes=True), ear)
        account.hear(ear.until(Said.WAITING))
        replace(account)
        refused = _let_end(nest, account, ear, pid)
        require(not refused, "I7", f"who opened a file that was then replaced was refused {refused}")
    _goes_on(nest, account, "it was replaced between opening and locking")


def _it_is_replaced_under_a_writer(nest: Nursery, account: Account) -> None:
    with Ear() as ear:
        pid, _ = _hold(nest, account, ear)
        replace(account)
        _goes_on(nest, account, "it was replaced under a writer that lives on")
        refused = _let_end(nest, account, ear, pid)
        require(
            refused == ["append: LogStorageError"], "I7", f"a writer whose file was replaced was told {refused}"
        )
    _goes_on(nest, account, "it was replaced under a writer")


def _goes_on(nest: Nursery, account: Account, though: str) -> None:
    """Fail unless another writer gets it, now."""
    refused = account.live(nest, SHORT_LIFE, inodes=True)
    require(not refused, "I7", f"{though}, and another writer was told {refused}")


STEP_BY_STEP: tuple[Callable[[Nursery, Account], None], ...] = (
    _a_holder_waits_or_is_stopped,
    _a_fork_neither_writes_nor_frees_nor_keeps_it,
    _it_is_begun_and_deleted_before_the_opening,
    _it_is_replaced_before_the_lock,
    _it_is_replaced_under_a_writer,
)


def main() -> None:
    """See `prove`."""
    command("writers", prove, {"rounds": 60})


if __name__ == "__main__":
    main()

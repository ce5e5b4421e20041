"""Somebody else has a hand in it: files and folders are moved, replaced, cut or closed under a writer's feet.

    python -m proofs.interference --rounds 2 --seed 1

Each harm is done at three moments: between two batches, between a writer's look at the file and its write, and
between the write and the look that precedes the acknowledgement. What is acknowledged after that must be where it
belongs. The next opening goes on, or says what is the matter and changes nothing; then the damage is undone.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from proofs.account import Account, case, content, refusals, require
from proofs.processes import Ear, Nursery, Word, live, nursery, require_named_end, scratch
from proofs.report import Tally, command
from proofs.starts import starts
from proofs.writer_process import AFTER_WRITE, BEFORE_WRITE, Said

MOMENTS = ("step", BEFORE_WRITE, AFTER_WRITE)
NOBODY = 65534
"""Who a writer becomes where root runs this: root may do all, so that permissions would mean nothing."""
NOTICED = ["append: LogStorageError", "append: WriterDeadError", "head: WriterDeadError"]
OPENS = "opens"
CORRUPT = "CorruptLogError"
FOREIGN = b"a line of somebody else"

Hand = Callable[[Path], object]
"""Does something to a log, given its path."""


@frozen
class Harm:
    """What is done to a log that a writer has open.

    Attributes:
        do: does it.
        opening: what the next opening says; it may depend on the moment, in the order of MOMENTS.
        refused: what the writer is refused.
        undo: puts it right; None: a backup from just before does.
        create: whether the next opening may begin a log.
    """

    name: str
    do: Hand
    opening: str | tuple[str, ...]
    refused: list[str] = NOTICED
    undo: Hand | None = None
    create: int = 1

    def next_opening(self, moment: str) -> str:
        """Return what the next opening says."""
        return self.opening if isinstance(self.opening, str) else self.opening[MOMENTS.index(moment)]


def _replaced(content_of: Callable[[bytes], bytes]) -> Hand:
    """Put another file, made from the log's content, in the log's place."""

    def do(log: Path) -> None:
        other = log.with_suffix(".other")
        other.write_bytes(content_of(log.read_bytes()))
        other.rename(log)

    return do


def _moved(make: Hand = lambda log: None) -> Hand:
    """Move the log away, and make something else of its name."""

    def do(log: Path) -> None:
        log.rename(log.with_suffix(".away"))
        make(log)

    return do


def _added(data: bytes) -> Hand:
    """Write something behind the log's end."""

    def do(log: Path) -> None:
        with log.open("ab") as file:
            file.write(data)

    return do


def _flipped(log: Path) -> None:
    """Change a bit of the second record, or change it back."""
    with log.open("r+b") as file:
        file.seek(300)
        byte = file.read(1)[0]
        file.seek(300)
        file.write(bytes([byte ^ 1]))


def _folder_replaced(log: Path) -> None:
    log.parent.rename(log.parent.with_suffix(".away"))
    log.parent.mkdir(0o700)


def _mode(mode: int) -> Hand:
    return lambda log: log.chmod(mode)


def _folder_mode(mode: int) -> Hand:
    return lambda log: log.parent.chmod(mode)


def _cut(size_of: Callable[[bytes], int]) -> Hand:
    """Cut the log, or extend it by NULs, to a size made from its content."""
    return lambda log: os.truncate(log, size_of(log.read_bytes()))


HARMS = (
    Harm("deleted", Path.unlink, "LogGoneError"),
    Harm("moved away", _moved(), "LogGoneError"),
    Harm(
        "moved away, a link to it", _moved(lambda log: log.symlink_to(log.with_suffix(".away"))), "LogStorageError"
    ),
    Harm("moved away, a folder in its place", _moved(Path.mkdir), "LogStorageError"),
    Harm("moved away, a pipe in its place", _moved(os.mkfifo), "LogStorageError"),
    Harm("folder moved away, an empty one in its place", _folder_replaced, "LogNotFoundError", create=0),
    Harm("replaced by its copy", _replaced(lambda whole: whole), OPENS),
    Harm("replaced by an older copy", _replaced(lambda whole: whole[: whole.index(b"\n") + 1]), CORRUPT),
    Harm("replaced by an empty file", _replaced(lambda _: b""), CORRUPT),
    Harm("emptied", _cut(lambda _: 0), CORRUPT),
    Harm("cut within a record", _cut(lambda _: 400), CORRUPT),
    Harm("cut behind a record", _cut(lambda whole: whole.index(b"\n") + 1), CORRUPT),
    Harm("NULs added", _cut(lambda whole: len(whole) + 100), OPENS),
    Harm("a line added", _added(FOREIGN + b"\n"), CORRUPT),
    Harm("half a line added", _added(FOREIGN), (OPENS, CORRUPT, OPENS)),
    Harm("overwritten", _flipped, CORRUPT, [], _flipped),
    Harm("made unreadable", _mode(0), "LogStorageError", [], _mode(0o600)),
    Harm("folder closed", _folder_mode(0), "LogStorageError", undo=_folder_mode(0o700)),
    Harm("folder made read-only", _folder_mode(0o500), OPENS, ["head: LogStorageError"], _folder_mode(0o700)),
)


def prove(*, rounds: int, seed: int) -> Tally:
    """Do each harm at each moment; nothing is acknowledged that is not where it belongs."""
    chance, tally = random.Random(seed), Tally()
    with scratch() as folders, nursery() as nest:
        for folder in folders:
            os.chmod(folder, 0o711)
        places = [(folder, list(starts(nest, folder))) for folder in folders]
        for harm, moment in [(harm, moment) for _ in range(rounds) for harm in HARMS for moment in MOMENTS]:
            folder, beginnings = chance.choice(places)
            start = chance.choice(beginnings)
            with case(f"{start.name}; {harm.name}; {moment}"):
                _suffer(nest, start.begin(os.path.join(folder, "log")), harm, moment)
            tally.add(f"harms done at the moment: {moment}")
    return tally


def _suffer(nest: Nursery, account: Account, harm: Harm, moment: str) -> None:
    """Let a writer suffer one harm, then the next opening; put it right, and go on."""
    log, root, backup = Path(account.path), Path(account.root), account.root + ".backup"
    root.mkdir(exist_ok=True)
    _give(root)
    said = _harmed_life(nest, account, harm, moment, backup)
    require(refusals(said) == harm.refused, "I5", f"the writer was refused {refusals(said)}")
    _open_harmed(nest, account, harm, moment)
    if harm.undo is not None:
        harm.undo(log)
    elif harm.next_opening(moment) != OPENS:
        shutil.rmtree(root)
        shutil.copytree(backup, root)
    shutil.rmtree(backup)
    _give(root)
    refused = account.live(nest, [*_become(), ["open"], ["append", 1, 10], ["head"], ["close"]])
    require(not refused, "I10", f"all was put right, and yet: {refused}")
    account.settle(nest)


def _harmed_life(nest: Nursery, account: Account, harm: Harm, moment: str, backup: str) -> list[Word]:
    """Let a writer live, do the harm when its moment has come, and return what it said."""
    pause = ["wait"] if moment == MOMENTS[0] else ["pause", moment]
    work: list[list[Any]] = [["append", 1, 10], ["head"], pause, ["append", 1, 10], ["append", 1, 10], ["head"]]
    with Ear() as ear:
        pid = nest.begin(account.order([*_become(), ["open"], *work, ["close"]]), ear)
        said = ear.until(Said.WAITING)
        shutil.copytree(account.root, backup)
        harm.do(Path(account.path))
        _give(Path(account.root))
        ear.let_go()
        said += ear.until_over()
    require_named_end(nest.bury(pid), said)
    account.hear(said)
    account.opener = None
    return said


def _open_harmed(nest: Nursery, account: Account, harm: Harm, moment: str) -> None:
    """Open once; fail if it says anything but what it must, or says no and changes something."""
    expected = harm.next_opening(moment)
    before = _seen(account.root)
    if expected == OPENS:
        # Half a line of somebody else's looks like one of ours, and is cut off and kept like one.
        account.submitted[:] = content(account.path)
    said = live(nest, account.order([*_become(), ["open", harm.create], ["close"]]))
    if expected == OPENS:
        require(not account.after_death(said), "I4", f"it does not open: {refusals(said)}")
    else:
        require(refusals(said) == [f"open: {expected}"], "I6", f"the next opening said {refusals(said)}")
        require(_seen(account.root) == before, "I6", "an opening refused it and changed something")


def _become() -> list[list[Any]]:
    return [["become", NOBODY]] if os.geteuid() == 0 else []


def _give(root: Path) -> None:
    """Make the writer the owner of all, whoever made it."""
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _seen(root: str) -> dict[str, tuple[int, int, int]]:
    """Return all that one sees of a folder from outside: each file's mode, size and time of change."""
    found = {str(path): path.lstat() for path in Path(root).rglob("*")}
    return {path: (stat.st_mode, stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def main() -> None:
    """See `prove`."""
    command("interference", prove, {"rounds": 10})


if __name__ == "__main__":
    main()

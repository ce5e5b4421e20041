"""The oracle of the proofs with real processes: what writers said of one log, held against the bytes of its file.

It trusts no library: it knows the bytes that were said before they were written, and which were acknowledged. What
I1, I2 and so on stand for: docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from eventlog.reader import Tail
from eventlog.store import Store
from proofs.processes import Nursery, Word, live
from proofs.report import BrokenPromiseError
from proofs.writer_process import Said


@define
class Account:
    """One log, and what is known of it.

    Attributes:
        root: the folder of its store, as its writers see it.
        seen_from: what stands before that where the writers have mounts of their own.
        submitted: the bytes of the log, if all that was said to be written was written.
        acknowledged: how many of them must be there.
        opener: the process that has it open, as far as it said.
        dying: processes that were killed; what they said may still arrive.
        inode: of the file that was last put in the log's place; None: that never happened.
        failed: the opener's append was refused, so that it may acknowledge nothing any more.
        kept_seq: seq of the newest head that was acknowledged.
        undone: hashes of lines that a writer took back, since their batch had failed.
        cuts: what recoveries said to have cut off, by the name under which it must be kept.
    """

    root: str
    seen_from: str = ""
    submitted: bytearray = field(factory=bytearray)
    acknowledged: int = 0
    opener: int | None = None
    dying: set[int] = field(factory=set)
    inode: int | None = None
    failed: bool = False
    kept_seq: int = 0
    undone: set[str] = field(factory=set)
    cuts: dict[str, bytes] = field(factory=dict)
    _step: str = ""
    _is_recovering: bool = False
    _inodes: dict[int, int] = field(factory=dict)
    _lines_copied: int = 0
    _too_short: dict[int, int] = field(factory=dict)

    NAME = "written"

    @property
    def store(self) -> Store:
        """The store, to read; this process writes nothing."""
        return Store(self.seen_from + self.root)

    @property
    def path(self) -> str:
        """The log's file."""
        return self.store.path(self.NAME)

    def order(self, steps: list[list[Any]], **more: Any) -> dict[str, Any]:
        """Return what a life is told to do with this log."""
        return {"root": self.root, "name": self.NAME, "steps": steps, **more}

    def live(self, nest: Nursery, steps: list[list[Any]], **more: Any) -> list[str]:
        """Let a life take all its steps, and check; return what it was refused, see `refusals`."""
        return self.after_death(live(nest, self.order(steps, **more)))

    def after_death(self, said: list[Word]) -> list[str]:
        """Hear what a life has said that is over, and check; return what it was refused, see `refusals`."""
        self.hear(said)
        self.opener = None
        self.check()
        return refusals(said)

    def settle(self, nest: Nursery) -> None:
        """Open twice: the first opening recovers what there is to recover, the second changes nothing.

        Raises:
            BrokenPromiseError: the log can't be opened, or I4 or another invariant does not hold.
        """
        seen = []
        for _ in range(2):
            refused = self.live(nest, [["open"], ["close"]])
            require(not refused, "I4", f"the log can't be opened again: {refused}")
            seen.append({name: content(os.path.join(self._folder, name)) for name in os.listdir(self._folder)})
        require(seen[0] == seen[1], "I4", "opening twice changed more than opening once")
        found = self.store.findings(self.NAME)
        require(not found and self.check() is Tail.CLEAN, "I4", f"after an opening: {found}")

    def hear(self, words: list[Word]) -> None:
        """Take account of what was said.

        Raises:
            BrokenPromiseError: it can't be true while I1, I2, I5 and I7 hold.
        """
        for word in words:
            self._hear(word)

    def replaced(self) -> None:
        """Take account of another file in the log's place, with the same bytes, put there while all stood still.

        Those who have the old one open are astray: what they do does not touch the log any more.
        """
        self.inode, self.opener = os.stat(self.path).st_ino, None
        self._lines_copied = content(self.path).count(b"\n")

    def _hear(self, word: Word) -> None:
        if word.what is Said.STEP:
            self._begin(word)
        elif word.what is Said.FOUND and b" " in word.payload:
            self._inodes[word.pid] = int(word.payload.split()[1])
        if self.inode is not None and self._inodes.get(word.pid, self.inode) != self.inode:
            self._hear_astray(word)
        else:
            self._hear_writer(word)

    def _hear_astray(self, word: Word) -> None:
        if word.what is Said.ACKNOWLEDGED:
            seq, sha256 = int(word.text.split()[0]), word.text.split()[1]
            line = bytes(self.submitted).split(b"\n")[seq - 1] + b"\n"
            known = seq <= self._lines_copied and hashlib.sha256(line).hexdigest() == sha256
            require(
                known,
                "I7",
                f"{word.pid} acknowledged record {seq}, written into a file that is not the log any more",
            )

    def _hear_writer(self, word: Word) -> None:
        match word.what:
            case Said.FOUND:
                self._found(word.pid, int(word.payload.split()[0]))
            case Said.SUBMITTED | Said.CUT | Said.OPENED if word.pid in self._too_short:
                raise BrokenPromiseError(
                    f"I1: {self._too_short[word.pid]} bytes were found, and then: {word.what.name}"
                )
            case Said.SUBMITTED:
                self.submitted += word.payload
                self._is_recovering = False
            case Said.CUT:
                self._cut(int(word.payload))
            case Said.OPENED:
                require(self.opener is None, "I7", f"{word.pid} opened it while {self.opener} had it open")
                self.opener, self.failed = None if word.pid in self.dying else word.pid, False
                self._acknowledge(word)
            case Said.ACKNOWLEDGED:
                may = word.pid == self.opener or (self.opener is None and word.pid in self.dying)
                require(may, "I7", f"{word.pid} acknowledged while {self.opener} had it open")
                require(not self.failed, "I5", "a writer acknowledged after one of its appends had failed")
                self._acknowledge(word)
            case Said.KEPT if self.inode is None:
                # Who is astray may keep an older head; a replaced file is no promise of ours.
                self.kept_seq = int(word.payload)
            case Said.REFUSED:
                self.failed = self.failed or (word.pid == self.opener and self._step == "append")

    def is_dying(self, pid: int) -> None:
        """Take account of a process that is about to be killed."""
        self.dying.add(pid)
        if self.opener == pid:
            self.opener = None

    def check(self) -> Tail:
        """Hold the files against the account; return how the log ends. Nobody may be writing.

        Raises:
            BrokenPromiseError: I1, I2 or I7 does not hold.
        """
        raw = content(self.path)
        if not raw.startswith(self.submitted[: self.acknowledged]):
            raise BrokenPromiseError(f"I1: {self._differs(raw)}")
        if not self.submitted.startswith(raw):
            raise BrokenPromiseError(f"I2: {self._differs(raw)}")
        for name, cut in self.cuts.items():
            require(content(os.path.join(self._folder, name)) == cut, "I2", f"{name} is not what was cut off")
        return self._check_reading(raw) if os.path.exists(self.path) else Tail.CLEAN

    def _check_reading(self, raw: bytes) -> Tail:
        view = self.store.read(self.NAME)
        tail = view.verdict.tail
        require(tail not in (Tail.CORRUPT, Tail.NEWER), "I2", f"it reads as {tail.value}: {view.verdict.reason}")
        hashes = [hashlib.sha256(line + b"\n").hexdigest() for line in raw.split(b"\n")[:-1]]
        require([record.line_sha256 for record in view.records] == hashes, "I2", "a reader shows other records")
        require([record.seq for record in view.records] == [*range(1, len(hashes) + 1)], "I7", "seq has gaps")
        numbers = [record.data["n"] for record in view.records if "n" in record.data]
        require(numbers == [*range(1, len(numbers) + 1)], "I2", f"events are missing or doubled: {numbers}")
        head = self.store.read_head(self.NAME)
        require((head.seq if head else 0) >= self.kept_seq, "I1", f"head {self.kept_seq} was kept, {head} is there")
        return tail

    @property
    def _folder(self) -> str:
        return os.path.dirname(self.path)

    def _begin(self, word: Word) -> None:
        if word.text == "open":
            self._inodes.pop(word.pid, None)
        if word.pid == self.opener:
            self._step = word.text
            if word.text == "close":
                self.opener = None

    def _found(self, pid: int, size: int) -> None:
        self._too_short.pop(pid, None)
        if size < self.acknowledged:
            # Somebody took the rest away. That is no breach yet, but to build on what is left would be one.
            self._too_short[pid] = size
            return
        require(size <= len(self.submitted), "I2", f"an opening found {size} of {len(self.submitted)} bytes")
        del self.submitted[size:]
        self._is_recovering = True

    def _cut(self, size: int) -> None:
        require(size >= self.acknowledged, "I1", f"cut to {size} of {self.acknowledged} acknowledged bytes")
        cut = bytes(self.submitted[size:])
        self.undone.update(hashlib.sha256(line).hexdigest() for line in cut.splitlines(keepends=True))
        if self._is_recovering:
            self.cuts[f"{self.NAME}.torn-{size}-{hashlib.sha256(cut).hexdigest()[:16]}"] = cut
        del self.submitted[size:]

    def _acknowledge(self, word: Word) -> None:
        seq, sha256 = word.text.split()
        lines = self.submitted.count(b"\n")
        last = self.submitted[self.submitted.rfind(b"\n", 0, -1) + 1 :]
        require(lines == int(seq), "I1", f"record {seq} was acknowledged when {lines} had been submitted")
        require(hashlib.sha256(last).hexdigest() == sha256, "I1", f"another record {seq} was submitted")
        self.acknowledged = len(self.submitted)

    def _differs(self, raw: bytes) -> str:
        pairs = enumerate(zip(raw, self.submitted, strict=False))
        same = next(
            (offset for offset, (there, said) in pairs if there != said), min(len(raw), len(self.submitted))
        )
        return (
            f"submitted {len(self.submitted)} bytes, acknowledged {self.acknowledged}, in the file {len(raw)}, "
            f"the same up to {same}"
        )


def refusals(said: list[Word]) -> list[str]:
    """Return the steps of one life that were refused, as `append: LogStorageError`."""
    step, refused = "", []
    for word in said:
        if word.what is Said.STEP:
            step = word.text
        elif word.what is Said.REFUSED:
            refused.append(f"{step}: {word.text.partition(':')[0]}")
    return refused


def require(holds: bool, invariant: str, otherwise: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise BrokenPromiseError(f"{invariant}: {otherwise}")


@contextlib.contextmanager
def case(name: str) -> Iterator[None]:
    """Say in a failure which case it was."""
    try:
        yield
    except BrokenPromiseError as broken:
        raise BrokenPromiseError(f"{broken} (case: {name})") from broken


def content(path: str) -> bytes:
    """Return the bytes of a file; none if there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""

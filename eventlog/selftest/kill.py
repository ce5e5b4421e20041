"""Writers are killed at random moments: what they acknowledged is found again, byte for byte, and nothing false.

What a child was told is known from its pipe, and the file is compared by its bytes, so that neither the writer nor
the reader that are tried here is believed.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from pathlib import Path

from attrs import define, field

from eventlog.errors import CorruptLogError
from eventlog.record import Record
from eventlog.selftest.bench import NAME, RUN, Bench, BrokenPromiseError, Tally, numbered
from eventlog.selftest.children import Child
from eventlog.selftest.sample import HAPPENED, event
from eventlog.store import Store

_BATCHES_MAX = 6
_WRITING_S_MAX = 0.004
"""A kill falls so soon after one of the first batches was announced: while it is made, written or synced."""
_WHILE_OPENING_ONE_IN = 5
_TEAR_ONE_IN = 4
_LOG_BYTES_MAX = 2 << 20
"""A larger log is left for a new one, since each opening reads it all."""


@define
class _Log:
    """One log, and what those who wrote it were told.

    Attributes:
        submitted: how many events were to be written at most.
        acknowledged: the sha256 of lines by their `seq`.
        checked: how many events were found, and found right, before.
        opening_s: how long the last child took to open it.
        torn: the unfinished end that we made ourselves.
    """

    store: Store
    seed: int
    submitted: int = 0
    acknowledged: dict[int, str] = field(factory=dict)
    checked: int = 0
    opening_s: float = 0.02
    torn: bytes = b""

    def content(self) -> bytes:
        try:
            with open(self.store.path(NAME), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def listen(self, lines: list[str]) -> None:
        for line in lines:
            what, *words = line.split()
            if what == "submitted":
                self.submitted = int(words[0])
            elif what == "acknowledged":
                for seq, _, sha256 in (word.partition(":") for word in words):
                    if self.acknowledged.setdefault(int(seq), sha256) != sha256:
                        raise BrokenPromiseError(f"Record {seq} was acknowledged twice, as different records.")


def prove(bench: Bench, tally: Tally) -> None:
    """Kill as many writers as there is time for, and look at what each has left."""
    rng = bench.random("kill")
    tally.counts.update(dict.fromkeys(("kills", "acknowledged", "unacknowledged", "cut_short", "healed"), 0))
    log = _new_log(bench, tally)
    upcoming = Child(bench, "write")
    try:
        while not tally.counts["kills"] or tally.in_time:
            with upcoming as child:
                # The next one starts while this one lives; starting is most of what a kill costs.
                upcoming = Child(bench, "write")
                _round(child, log, rng, tally)
            bench.step(numbered(tally.counts["kills"], "kill"))
            if len(log.content()) > _LOG_BYTES_MAX:
                shutil.rmtree(log.store.root)
                log = _new_log(bench, tally)
    finally:
        upcoming.close()
    tally.detail = _words(tally)


def _new_log(bench: Bench, tally: Tally) -> _Log:
    tally.counts["logs"] += 1
    return _Log(bench.open_store(bench.root(f"kill-{tally.counts['logs']}")), bench.seed)


def _round(child: Child, log: _Log, rng: random.Random, tally: Tally) -> None:
    known = len(log.acknowledged)
    log.listen(_life(child, log, rng))
    tally.counts["kills"] += 1
    tally.counts["acknowledged"] += len(log.acknowledged) - known
    _check(log, tally)
    if rng.randrange(_TEAR_ONE_IN) == 0:
        _tear(log, rng)


def _words(tally: Tally) -> str:
    kills, found, more = (tally.counts[name] for name in ("kills", "acknowledged", "unacknowledged"))
    healed, cut_short = tally.counts["healed"], tally.counts["cut_short"]
    return (
        f"{numbered(kills, 'kill')}: all {numbered(found, 'acknowledged record')} found, and {more:,} just being "
        f"written; {numbered(healed, 'unfinished end')} healed, {cut_short:,} of them left by a kill"
    )


def _life(child: Child, log: _Log, rng: random.Random) -> list[str]:
    """Let a child write, kill it at a random moment, and return what it said."""
    child.begin(log.store.root)
    begun_s = time.monotonic()
    heard: list[str] = []
    if rng.randrange(_WHILE_OPENING_ONE_IN) == 0:
        time.sleep(rng.uniform(0, log.opening_s))
    else:
        batches = rng.randrange(_BATCHES_MAX)
        while sum(line.startswith("submitted") for line in heard) <= batches:
            heard.append(child.hear())
            if heard[-1] == "open":
                log.opening_s = time.monotonic() - begun_s
        time.sleep(rng.uniform(0, _WRITING_S_MAX))
    return heard + child.kill()


def _check(log: _Log, tally: Tally) -> None:
    """Compare the file, and what opening it gives, with what the dead writer was told."""
    left = log.content()
    _require_acknowledged(log, _hashes(left))
    try:
        opened = log.store.open_writer(NAME, run=RUN, create=True)
    except CorruptLogError as error:
        raise BrokenPromiseError(f"Damaged after a kill: {error}") from error
    opened.writer.close()
    content = log.content()
    hashes = _hashes(content)
    _require_acknowledged(log, hashes)
    if [record.line_sha256 for record in opened.records] != hashes:
        raise BrokenPromiseError("Opening the log gave other records than there are in the file.")
    found = [record for record in opened.records if record.type == HAPPENED]
    _require_submitted(log, found)
    tally.counts["unacknowledged"] += max(0, len(_hashes(left)) - len(log.acknowledged))
    torn = left.rpartition(b"\n")[2]
    tally.counts["cut_short"] += torn not in (b"", log.torn)
    for tail in {torn, log.torn} - {b""}:
        _require_healed(log, tail, completed=content.startswith(left + b"\n"))
        tally.counts["healed"] += 1
    # The opening has returned them, and what an opening returns is durable.
    log.acknowledged = dict(enumerate(hashes, 1))
    log.submitted = log.checked = len(found)
    log.torn = b""


def _tear(log: _Log, rng: random.Random) -> None:
    """Leave the log as a write that was cut short does; the next writer heals it, and may be killed at that."""
    line = log.content().splitlines(keepends=True)[-1]
    log.torn = line[: rng.randrange(1, len(line) - 1)]
    with open(log.store.path(NAME), "ab") as file:
        file.write(log.torn)


def _require_healed(log: _Log, tail: bytes, *, completed: bool) -> None:
    """An unfinished end is completed if only its newline was missing; else it is cut off and kept aside."""
    if not log.content().endswith(b"\n"):
        raise BrokenPromiseError("Opening the log did not heal its unfinished end.")
    aside = Path(log.store.path(NAME)).parent.glob("*.torn-*")
    if not completed and tail not in (path.read_bytes() for path in aside):
        raise BrokenPromiseError("An unfinished end was cut off and not kept aside.")


def _hashes(content: bytes) -> list[str]:
    """Return the sha256 of each whole line."""
    return [hashlib.sha256(line + b"\n").hexdigest() for line in content.split(b"\n")[:-1]]


def _require_acknowledged(log: _Log, hashes: list[str]) -> None:
    for seq, sha256 in log.acknowledged.items():
        if seq > len(hashes):
            raise BrokenPromiseError(f"Record {seq} was acknowledged and is gone after a kill.")
        if hashes[seq - 1] != sha256:
            raise BrokenPromiseError(f"Record {seq} was acknowledged and is another one after a kill.")


def _require_submitted(log: _Log, found: list[Record]) -> None:
    if len(found) > log.submitted:
        raise BrokenPromiseError(f"There are {len(found)} events where only {log.submitted} were submitted.")
    for number in range(log.checked, len(found)):
        if found[number].data != event(log.seed, number)[1]:
            raise BrokenPromiseError(f"Record {found[number].seq} does not hold what was submitted.")

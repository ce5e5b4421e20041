"""What is found on a simulated disk after a crash, an error, a lie, a deletion or damage, against the promises."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from eventlog.errors import CorruptLogError, LogError, LogGoneError
from eventlog.reader import Head, Tail, scan
from eventlog.record import Record
from eventlog.recovery import RECOVERED
from proofs.lives import LOG, PIPELINE, RUN, Ledger, Life, beyond_common_lines, require, store_on
from proofs.medium import SECTOR, Choose
from proofs.report import Tally
from proofs.simfs import FILLS, SimDisk


@frozen
class Moment:
    """A disk, and what the processes of its log were told by then."""

    disk: SimDisk
    ledger: Ledger

    def after(self, mode: str, fill: str, choose: Choose) -> Moment:
        """Return what a crash leaves of it."""
        disk = self.disk.snapshot()
        disk.choose = choose
        disk.crash(mode, fill)
        return Moment(disk, self.ledger)

    def with_cuts(self) -> Moment:
        """Return it with the torn tail that its log has noted in the ledger, if that is on the medium to stay."""
        if not self.disk.is_settled() or not self.disk.holds(LOG):
            return self
        content = self.disk.content(LOG)
        verdict = scan([content], PIPELINE)[1]
        if verdict.tail is not Tail.TORN:
            return self
        cut = hashlib.sha256(content[verdict.offset :]).hexdigest()
        return Moment(self.disk, evolve(self.ledger, cuts=self.ledger.cuts | {cut}))

    def fills(self) -> Sequence[str]:
        """Return what may stand in lost sectors; of a disk that lies, stale bytes would leave nothing to check."""
        return ("nul",) if "lie" in self.disk.fired else FILLS


@define
class Examiner:
    """Examines each disk once, and counts them.

    Attributes:
        kind: the word that the counts begin with.
    """

    kind: str
    tally: Tally
    _endings: dict[int, str] = field(factory=dict)
    _recovered: set[int] = field(factory=set)

    def examine(self, after: Moment, what: str = "") -> str:
        """Open a log after all that befell its disk, and hold it against what its processes were told.

        Returns:
            How that ended: `recovered`; `refused`, for which only stale bytes are an excuse; `revenants`, as
            Ledger.check says; `gone`, where somebody deleted it; `lied to`, where a sync did nothing.
        """
        key = _key(after)
        if key not in self._endings:
            self._endings[key] = _examine(after.disk.snapshot(), after.ledger, self._recovered)
            self.tally.add(f"{self.kind} states")
            self.tally.add(f"{self.kind} states, {self._endings[key]}{what}")
        return self._endings[key]

    def is_new(self, after: Moment) -> bool:
        """Say whether a disk was not examined before."""
        return _key(after) not in self._endings


def examine_damage(disk: SimDisk, choose: Choose) -> str:
    """Flip a bit of a log that is durable, or clear a sector: no opening may drop that silently (I6).

    Returns:
        `damage refused`; or `damage recorded`, where it is in the newest batch, for which nothing vouches.
    """
    whole = disk.content(LOG)
    first, vouched_seq, damaged = _damaged(disk, whole, choose)
    disk.overwrite(LOG, damaged)
    ledger = Ledger(whole, mark=len(disk.writes))
    try:
        opened = store_on(disk).open_writer(PIPELINE, run=RUN)
    except LogError:
        _require_untouched(disk, damaged, ledger)
        return "damage refused"
    require(vouched_seq < first, f"I6 damage below record {vouched_seq}, known to be durable, is refused")
    ledger.check(disk.content(LOG), disk)
    cut = _require_cut_kept(disk, damaged, opened.records)
    require(cut["uncertain"] is True, "I6 a cut that may have held whole records is called uncertain")
    return "damage recorded"


def _examine(disk: SimDisk, ledger: Ledger, known: set[int]) -> str:
    if "lie" in disk.fired:
        _examine_lied(disk, ledger)
        return "lied to"
    if "unlink" in disk.fired and not disk.holds(LOG):
        _examine_gone(disk)
        return "gone"
    before = _on_medium(disk)
    life = Life(disk, ledger)
    try:
        life.do(("open", ()))
    except CorruptLogError as error:
        require("stale" in disk.fired, f"I6 nothing acknowledged was damaged, but: {error}")
        _require_untouched(disk, before, ledger)
        return "refused"
    life.require_alone()
    _require_cut_kept(disk, before, life.told)
    _require_durable(disk, life, known)
    return "revenants" if life.ledger.has_revenants else "recovered"


def _examine_lied(disk: SimDisk, ledger: Ledger) -> None:
    """No I1 on a disk whose syncs lie; but no false record, and a head kept elsewhere tells of every loss."""
    content = disk.content(LOG) if disk.holds(LOG) else b""
    told = ledger.submitted[: ledger.acknowledged_bytes]
    last = told[told.rfind(b"\n", 0, -1) + 1 :]
    outside = Head(told.count(b"\n"), hashlib.sha256(last).hexdigest()) if told else None
    verdict = scan([content], PIPELINE, outside)[1]
    whole = content + b"\n" if verdict.tail is Tail.UNTERMINATED else content[: verdict.offset]
    ledger.check(whole, disk)
    lost = not whole.startswith(told)
    require(verdict.tail is Tail.CORRUPT or not lost, f"I6 an outside head tells of every loss, but not: {verdict}")
    try:
        Life(disk, ledger).do(("open", ()))
    except LogError:
        require(not content or disk.content(LOG) == content, "I6 a log that is refused is not changed")


def _examine_gone(disk: SimDisk) -> None:
    try:
        store_on(disk).open_writer(PIPELINE, run=RUN, create=True, traces=True)
    except LogGoneError:
        return
    require(False, "I6 a log that left traces is not begun anew")


def _require_untouched(disk: SimDisk, before: bytes, ledger: Ledger) -> None:
    """Hold a refusal against what it owes: it changed nothing, and readers still get what was acknowledged."""
    require(disk.content(LOG) == before, "I6 a log that is refused is not changed")
    ledger.check(before[: store_on(disk).read(PIPELINE).verdict.offset], disk)


def _require_cut_kept(disk: SimDisk, before: bytes, records: Sequence[Record]) -> Mapping[str, Any]:
    """Hold an opening against what it owes to the bytes that it cut off: the log names them (I6).

    Returns:
        What the log says of them; nothing where none were cut.
    """
    content = disk.content(LOG)
    if content.startswith(before):
        return {}
    cut = hashlib.sha256(b"".join(beyond_common_lines(before, content))).hexdigest()
    said = [record.data for record in records if record.type == RECOVERED and record.data["sha256"] == cut]
    require(bool(said), "I6 the log names what was cut off")
    return said[-1]


def _require_durable(disk: SimDisk, life: Life, known: set[int]) -> None:
    """Cut the power right after an opening: nothing it returned may be lost, nor is there anything left to do.

    The latter is tried once for logs that end up alike, as most do.
    """
    survivor = disk.snapshot()
    survivor.crash("none")
    content = disk.content(LOG)
    held = survivor.content(LOG) if survivor.holds(LOG) else None
    require(held == content, "I3 what an opening returned survives the next crash")
    state = hash(survivor.state())
    if state in known:
        return
    known.add(state)
    again = Life(survivor, life.ledger.ended(disk), life.numbers)
    again.do(("open", ()))
    if any(record.type == RECOVERED for record in again.told):
        findings = store_on(survivor).findings(PIPELINE)
        require(not findings, f"I6 what was cut off is kept, but {findings}")
    require(survivor.content(LOG) == content, "I4 recovering again changes nothing")
    again.do(("append", (10,)))
    again.require_replayed()
    again.do(("close", ()))


def _on_medium(disk: SimDisk) -> bytes:
    """Return what an opening has to judge: a failed sync leaves other bytes in the cache."""
    if not disk.holds(LOG):
        return b""
    probe = disk.snapshot()
    probe.open_log(LOG, create=False).drop_cache()
    return probe.content(LOG)


def _key(after: Moment) -> int:
    """Return what two disks that deserve the same judgement have in common."""
    excuses = frozenset({"lie", "stale", "unlink"}.intersection(after.disk.fired))
    return hash((after.disk.state(), after.ledger, excuses))


def _damaged(disk: SimDisk, whole: bytes, choose: Choose) -> tuple[int, int, bytes]:
    """Return the first record that is damaged, the last one that is still known to be durable, and the bytes."""
    start = choose(len(whole))
    if choose(2):
        end, wrong = start + 1, bytes([whole[start] ^ 1 << choose(8)])
    else:
        start -= start % SECTOR
        end = min(start + SECTOR, len(whole))
        wrong = bytes(end - start)
    first, last = (whole.count(b"\n", 0, place) + 1 for place in (start, end - 1))
    vouchers = [record.dur for record in store_on(disk).read(PIPELINE).records if not first <= record.seq <= last]
    head = store_on(disk).read_head(PIPELINE)
    return first, max([head.seq if head else 0, *vouchers]), whole[:start] + wrong + whole[end:]

"""Crashes, failing, lying and full disks: what was acknowledged is there, in order, and no more.

The proof is proofs/crash.py, here with a small budget; the invariants I1–I8 are those of proofs/lives.py.
"""

from __future__ import annotations

import random

import pytest

from eventlog.reader import Head, Tail, scan
from proofs.aftermath import Examiner, Moment
from proofs.crash import ALPHABET, CLOSE, OPEN, live_randomly, prove
from proofs.lives import LOG, PIPELINE, Ledger, Life, store_on
from proofs.medium import SECTOR
from proofs.report import BrokenPromiseError, Tally
from proofs.simfs import FAULTS, MODES, SimDisk

ONE, THREE, KEEP, SEAL, REOPEN = ALPHABET


@pytest.mark.slow
def test_many_lives_with_many_crashes_and_faults_lose_nothing_acknowledged():
    """I1, I2, I3, I4, I5, I6, I7, I8, over 3,000 disks that random lives left."""
    counts = prove(states=3_000, depth=0, workload=0, jobs=1, seed=random.randrange(2**32)).counts
    assert counts["random states"] >= 3_000
    assert all(counts[f"random lives with {fault}"] for fault in (*FAULTS, "crash", "read"))
    assert all(counts[f"random states, {ending}"] for ending in ("recovered", "refused", "gone", "lied to"))
    assert counts["random logs, damage refused"] > counts["random logs, damage recorded"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "workloads", "states", "of_each"),
    [(1, 1 + 5, 4000, 200), pytest.param(2, 1 + 5 + 25, 15_000, 1000, marks=pytest.mark.heavy)],
)
def test_a_crash_or_fault_at_any_operation_of_any_small_workload_loses_nothing_acknowledged(
    depth, workloads, states, of_each
):
    """I1, I2, I3, I4, I5, I6, I7, I8, over every workload of so many operations, and I4 inside the recovery.

    One operation finds most of the seeded bugs of proofs/mutants.py, which ask for it first.
    """
    counts = prove(states=0, depth=depth, workload=0, jobs=1, seed=random.randrange(2**32)).counts
    assert counts["workloads"] == workloads
    assert counts["exhaustive states"] > states
    for what in ("a crash", "a fault", "a crash in the recovery", "a fault in the recovery"):
        assert counts[f"exhaustive states, recovered after {what}"] > of_each


def test_one_seed_is_one_life():
    tallies = [Tally(), Tally(), Tally()]
    for seed, tally in zip((1, 1, 2), tallies, strict=True):
        live_randomly(random.Random(seed), tally)
    assert tallies[0] == tallies[1] != tallies[2]


@pytest.mark.parametrize("mode", ["none", "size"])
def test_a_loss_is_noticed_when_a_disk_lies_in_secret(mode):
    """Otherwise nothing would show that the proof can fail."""
    disk = SimDisk()
    life = Life(disk)
    life.play([OPEN, ONE])
    disk.faults = {disk.operations + 1: "lie"}
    life.play([THREE])
    assert disk.fired == ["lie"]
    disk.fired.clear()
    with pytest.raises(BrokenPromiseError, match="I1 acknowledged ⊆ recovered"):
        Examiner("secret", Tally()).examine(Moment(disk, life.ledger.ended(disk)).after(mode, "nul", disk.choose))


def test_what_an_opening_completed_survives_the_next_crash():
    """I3 where it is narrow: the newline that the opening adds is the first byte of a sector of its own."""
    for size in range(SECTOR):
        disk = SimDisk()
        life = Life(disk)
        life.play([OPEN, ("append", (size,)), CLOSE])
        disk.overwrite(LOG, disk.content(LOG)[:-1])
        life.play([OPEN])
        disk.crash("size")
        life.play([OPEN])
        assert len(life.told) == 2, f"{size} bytes"


def test_a_lying_disk_gives_no_false_record_and_only_an_outside_head_tells_of_every_loss():
    """Nothing can promise I1 there: what is left often looks whole, and only a head kept elsewhere knows better."""
    looked_whole = 0
    for at, mode in ((at, mode) for at in range(24) for mode in MODES):
        disk = SimDisk(faults=dict.fromkeys(range(at, 99), "lie"), choose=random.Random(at).randrange)
        life = Life(disk)
        life.play([OPEN, ONE, KEEP, THREE, ONE, CLOSE])
        disk.crash(mode)
        Examiner("lied", Tally()).examine(Moment(disk, life.ledger.ended(disk)))
        content = disk.content(LOG) if disk.holds(LOG) else b""
        outside = Head(life.told[-1].seq, life.told[-1].line_sha256)
        if scan([content], PIPELINE, outside)[1].tail is Tail.CORRUPT:
            looked_whole += scan([content], PIPELINE)[1].tail is Tail.CLEAN
    assert looked_whole > 20


def test_stale_bytes_may_bring_back_a_record_that_was_never_acknowledged():
    """What the format can't tell, on a file system that shows old bytes: medium.py says which."""
    disk = SimDisk()
    life = Life(disk)
    life.play([OPEN, ONE])
    disk.faults = {disk.operations: "late"}  # an error, though all was written
    life.play([ONE])
    disk.crash("none")
    life.play([OPEN])
    assert len(life.told) == 2
    disk.faults = {disk.operations + 1: "crash"}
    life.play([ONE])
    after = Moment(disk, life.ledger).after("size", "stale", disk.choose)
    assert [record.data.get("n") for record in store_on(after.disk).read(PIPELINE).records] == [None, 0, 1]
    assert Examiner("stale", Tally()).examine(after) == "revenants"


def test_a_log_that_goes_on_after_every_kind_of_crash_is_whole():
    disk, ledger = SimDisk(choose=random.Random(1).randrange), Ledger()
    for mode in MODES * 3:
        life = Life(disk, ledger)
        disk.faults = {disk.operations + 6: "crash"}
        life.play([OPEN, THREE, ONE, ONE, SEAL, REOPEN])
        assert disk.fired[-1] == "crash"
        ledger = life.ledger
        disk.crash(mode)
    life = Life(disk, ledger)
    life.play([OPEN, CLOSE])
    assert store_on(disk).findings(PIPELINE) == []
    life.require_replayed()

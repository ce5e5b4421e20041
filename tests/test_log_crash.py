"""Crashes at every operation of the disk, in every mode: what was acknowledged is there, in order, and no more.

I1 acknowledged ⊆ found; I2 found = a prefix of what was submitted, each record once and whole; I3 what an
opening returned survives the next crash; I4 opening again changes nothing, also after a crash inside the
opening; I5 after an input/output error nothing is acknowledged; I7 one writer, seq without gaps.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random

import pytest
from attrs import define, field

from eventlog.errors import LogError, LogStorageError, WriterDeadError
from eventlog.reader import Head, Tail, scan
from eventlog.record import Record
from eventlog.store import Store
from tests.support.logs import PIPELINE, store_on
from tests.support.simfs import MODES, SECTOR, CrashError, SimDisk

pytestmark = pytest.mark.slow

OWN = ("log.created", "log.recovered", "log.sealed")
Step = tuple[str, int, int]
"""append (how many events, how many bytes each), or keep, seal, reopen."""

SCRIPTS: dict[str, list[Step]] = {
    "short": [("append", 1, 10), ("append", 3, 40), ("append", 1, 10)],
    "sectors": [("append", 2, 700), ("keep", 0, 0), ("append", 3, 350), ("append", 1, 2000)],
    "sealed": [("append", 1, 100), ("seal", 0, 0), ("reopen", 0, 0), ("append", 2, 300), ("seal", 0, 0)],
}


@define
class Life:
    """What one process was told, in submitted order."""

    submitted: list[int] = field(factory=list)
    acknowledged: list[str] = field(factory=list)

    def play(self, store: Store, script: list[Step], numbers: itertools.count) -> None:
        opened = store.open_writer(PIPELINE, run="01", create=True)
        self.acknowledged = [record.line_sha256 for record in opened.records]
        for what, count, size in script:
            if what == "append":
                batch = [next(numbers) for _ in range(count)]
                self.submitted += batch
                events = [("test.happened", {"n": n, "text": "x" * size}) for n in batch]
                self._hear(opened.writer.append(events, run="01"))
            elif what == "keep":
                store.keep_head(opened.writer)
            elif what == "seal":
                self._hear(store.seal(opened.writer, run="01"))
            else:
                opened.writer.close()
                opened = store.open_writer(PIPELINE, run="01")
                assert [record.line_sha256 for record in opened.records] == self.acknowledged
        opened.writer.close()

    def _hear(self, records: list[Record]) -> None:
        self.acknowledged += [record.line_sha256 for record in records]


def check(store: Store, life: Life) -> list[Record]:
    """Open the log after a crash and hold it against what the process was told."""
    opened = store.open_writer(PIPELINE, run="02", create=True)
    found = opened.records
    hashes = [record.line_sha256 for record in found]
    assert hashes[: len(life.acknowledged)] == life.acknowledged, "I1"
    numbers = [record.data["n"] for record in found if record.type not in OWN]
    assert numbers == life.submitted[: len(numbers)], "I2"
    assert [record.seq for record in found] == list(range(1, len(found) + 1)), "I7"
    appended = opened.writer.append([("test.ended", {"n": -1})], run="02")
    assert appended[0].seq == len(found) + 1
    opened.writer.close()
    view = store.read(PIPELINE)
    assert view.verdict.tail is Tail.CLEAN
    assert view.records == [*found, *appended]
    assert store.findings(PIPELINE) == []
    return view.records


def run_until_crash(disk: SimDisk, script: list[Step]) -> Life:
    life = Life()
    with contextlib.suppress(CrashError):
        life.play(store_on(disk), script, itertools.count())
    return life


def operations_of(script: list[Step]) -> int:
    disk = SimDisk()
    run_until_crash(disk, script)
    return disk.operations


def settings(mode: str, seeds: int) -> range:
    """Only modes that choose by chance are worth more than one seed."""
    return range(seeds if mode in ("prefix", "subset", "size", "byte") else 1)


def first_lives(script: list[Step], seeds: int):
    for at in range(operations_of(script) + 1):
        for mode in MODES:
            for seed in settings(mode, seeds):
                disk = SimDisk(faults={at: "crash"})
                life = run_until_crash(disk, script)
                disk.crash(mode, seed)
                yield f"at {at}, mode {mode}, seed {seed}", disk, life


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_crash_at_any_operation_loses_nothing_acknowledged(script):
    states = 0
    for where, disk, life in first_lives(SCRIPTS[script], seeds=4):
        store = store_on(disk)
        try:
            records = check(store, life)
            disk.crash("none")
            assert store.read(PIPELINE).records == records, "I3"
            reopened = store.open_writer(PIPELINE, run="03")
            assert reopened.records == records, "I4"
        except (AssertionError, LogError) as error:
            error.add_note(f"script {script}, {where}")
            raise
        states += 1
    assert states > 300


def crash_while_opening(seeds: int, script: list[Step]) -> int:
    """Crash, crash again at every operation of the next opening, then open: nothing is lost on the way."""
    states = 0
    for where, disk, life in first_lives(script, seeds):
        for at, mode in itertools.product(range(40), ("kill", "none", "subset", "byte")):
            second = disk.snapshot()
            second.faults = {disk.operations + at: "crash"}
            try:
                store_on(second).open_writer(PIPELINE, run="02", create=True)
            except CrashError:
                second.crash(mode, at)
            else:
                break
            try:
                check(store_on(second), life)
            except (AssertionError, LogError) as error:
                error.add_note(f"{where}, then at {at}, mode {mode}")
                raise
            states += 1
    return states


def test_a_crash_inside_the_recovery_loses_nothing_acknowledged():
    assert crash_while_opening(1, [("append", 2, 350)]) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_crash_inside_the_recovery_of_longer_logs_loses_nothing_acknowledged(script):
    assert crash_while_opening(2, SCRIPTS[script]) > 3000


def test_the_bytes_that_a_recovery_cuts_are_never_lost():
    """At any moment they are in the log or, whole, in the quarantine file, and in the end the log names that."""
    for at, mode in itertools.product(range(40), MODES):
        disk = SimDisk()
        store = store_on(disk)
        store.open_writer(PIPELINE, run="01", create=True)
        path = store.path(PIPELINE)
        torn = b'{"v":1,"seq":2,"time"' + b"x" * 900
        disk.overwrite(path, disk.content(path) + torn)
        disk.crash("kill")
        disk.faults = {disk.operations + at: "crash"}
        with contextlib.suppress(CrashError):
            store.open_writer(PIPELINE, run="02").writer.close()
        disk.crash(mode, at)
        folder = os.path.dirname(path)
        aside = [disk.content(os.path.join(folder, name)) for name in disk.names(folder) if ".torn-" in name]
        assert torn in (disk.content(path)[-len(torn) :], *aside), f"at {at}, mode {mode}"
        opened = store.open_writer(PIPELINE, run="03")
        named = [record.data["file"] for record in opened.records if record.type == "log.recovered"]
        assert torn in [disk.content(os.path.join(folder, name)) for name in named], f"at {at}, mode {mode}"
        assert store.findings(PIPELINE) == []


def random_script(rng: random.Random) -> list[Step]:
    steps = ["append"] * 6 + ["keep", "seal", "reopen"]
    return [
        (rng.choice(steps), rng.randint(1, 5), rng.choice([0, 100, 230, 512, 3000]))
        for _ in range(rng.randint(1, 5))
    ]


def live_and_crash(seed: int, lives: int) -> None:
    """Several lives of one log, each with its own script and crash; none may lose what another was told."""
    rng = random.Random(seed)
    disk, numbers = SimDisk(), itertools.count()
    life = Life()
    for _ in range(lives):
        disk.faults = {disk.operations + rng.randint(0, 45): "crash"}
        before = list(life.submitted)
        with contextlib.suppress(CrashError):
            life.play(store_on(disk), random_script(rng), numbers)
        disk.crash(rng.choice(MODES), rng.randrange(2**32))
        opened = store_on(disk).open_writer(PIPELINE, run="02", create=True)
        hashes = [record.line_sha256 for record in opened.records]
        assert hashes[: len(life.acknowledged)] == life.acknowledged, "I1"
        found = [record.data["n"] for record in opened.records if record.type not in OWN]
        assert found[: len(before)] == before, "I3"
        assert found == life.submitted[: len(found)], "I2"
        life.submitted, life.acknowledged = found, hashes
        opened.writer.close()


def test_many_lives_with_many_crashes_lose_nothing_acknowledged():
    start = random.randrange(2**32)
    for seed in range(start, start + 250):
        try:
            live_and_crash(seed, lives=4)
        except (AssertionError, LogError) as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.slow
def test_very_many_lives_with_many_crashes_lose_nothing_acknowledged():
    """EVT_CRASH_LOGS says how many logs, each of six lives; a thousand without it."""
    start = random.randrange(2**32)
    for seed in range(start, start + int(os.environ.get("EVT_CRASH_LOGS", "1000"))):
        try:
            live_and_crash(seed, lives=6)
        except (AssertionError, LogError) as error:
            error.add_note(f"seed {seed}")
            raise


def test_what_an_opening_completed_survives_the_next_crash():
    """I3 where it is narrow: the newline that the opening adds is the first byte of a sector of its own."""
    for size in range(SECTOR):
        disk = SimDisk()
        store = store_on(disk)
        store.open_writer(PIPELINE, run="01", create=True).writer.append(
            [("test.happened", {"text": "x" * size})], run="01"
        )
        path = store.path(PIPELINE)
        disk.overwrite(path, disk.content(path)[:-1])
        disk.crash("kill")
        records = store.open_writer(PIPELINE, run="01").records
        disk.crash("size")
        assert store.open_writer(PIPELINE, run="01").records == records, f"{size} bytes"


@pytest.mark.parametrize("fault", ["fail", "short"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_an_error_of_any_operation_ends_the_writer_and_loses_nothing(script, fault):
    """The same command repeated goes on; a power cut after the error changes nothing."""
    for at, mode in itertools.product(range(operations_of(SCRIPTS[script])), ("kill", "none", "subset", "byte")):
        disk, life = SimDisk(faults={at: fault}), Life()
        try:
            life.play(store_on(disk), SCRIPTS[script], itertools.count())
        except LogStorageError:
            pass
        else:
            assert fault == "short"
        assert disk.fired == [fault]
        disk.capacity_bytes = None
        disk.crash(mode, at)
        try:
            check(store_on(disk), life)
        except (AssertionError, LogError) as error:
            error.add_note(f"script {script}, {fault} at {at}, mode {mode}")
            raise


def test_a_writer_that_met_an_error_refuses_every_later_append():
    for at in range(2):
        disk = SimDisk()
        writer = store_on(disk).open_writer(PIPELINE, run="01", create=True).writer
        disk.faults = {disk.operations + at: "fail"}
        with pytest.raises(LogStorageError):
            writer.append([("test.happened", {})], run="01")
        with pytest.raises(WriterDeadError):
            writer.append([("test.happened", {})], run="01")


def test_a_lying_disk_gives_no_false_record_and_an_outside_head_tells_of_every_loss():
    """Nothing can promise I1 there: what is left often looks whole, and only a head kept elsewhere knows better."""
    looked_whole = 0
    script = SCRIPTS["sectors"]
    for at, mode in itertools.product(range(operations_of(script)), MODES):
        disk = SimDisk(faults=dict.fromkeys(range(at, at + 400), "lie"))
        life = run_until_crash(disk, script)
        disk.crash(mode, at)
        path = store_on(disk).path(PIPELINE)
        content = disk.content(path) if disk.signature(path) else b""
        outside = Head(len(life.acknowledged), life.acknowledged[-1])
        hashes = [record.line_sha256 for record in scan([content], PIPELINE)[0]]
        assert hashes == life.acknowledged[: len(hashes)]
        lost = len(hashes) < len(life.acknowledged)
        assert (scan([content], PIPELINE, outside)[1].tail is Tail.CORRUPT) == lost, f"at {at}, mode {mode}"
        looked_whole += lost and scan([content], PIPELINE)[1].tail is Tail.CLEAN
    assert looked_whole > 20

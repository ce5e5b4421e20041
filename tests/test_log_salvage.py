"""Going on with a log that lost something: what is kept aside, what is said, and what a crash in between leaves."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random

import pytest

from eventlog.errors import CorruptLogError, LogGoneError, LogWholeError, NewerLogError
from eventlog.reader import Tail
from eventlog.store import Store
from proofs.simfs import MODES, CrashError, SimDisk
from tests.support.logs import PIPELINE, store_on, write_log

EVENT = ("test.happened", {"n": 1})
FOLDER = f"/logs/{PIPELINE[:2]}"


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk()


def write(store: Store, *, head: bool = True) -> list[bytes]:
    """Write a log and return its lines."""
    write_log(store, events=4, head=head)
    return content(store).splitlines(keepends=True)


def content(store: Store) -> bytes:
    return b"".join(store._storage.pieces(store.path(PIPELINE)))


def damage(disk: SimDisk, store: Store, lines: list[bytes], record: int) -> bytes:
    """Change a letter in a record and return what the file then holds."""
    lines = [*lines]
    lines[record - 1] = lines[record - 1].replace(b"test.", b"tost.", 1).replace(b"log.created", b"log.crested", 1)
    damaged = b"".join(lines)
    disk.overwrite(store.path(PIPELINE), damaged)
    return damaged


def aside(disk: SimDisk, kind: str) -> list[bytes]:
    names = [name for name in disk.names(FOLDER) if name.startswith(f"{PIPELINE}.{kind}-")]
    return [disk.content(os.path.join(FOLDER, name)) for name in names]


def test_a_salvaged_log_goes_on_behind_its_good_records_and_the_damaged_one_is_kept_whole(disk):
    store = store_on(disk)
    lines = write(store)
    damaged = damage(disk, store, lines, record=3)
    opened = store.salvage(PIPELINE, run="02")
    salvaged = opened.records[2]
    assert (salvaged.type, salvaged.run, salvaged.seq) == ("log.salvaged", "02", 3)
    assert salvaged.data["offset"] == len(b"".join(lines[:2]))
    assert (salvaged.data["size_bytes"], salvaged.data["intact_behind"]) == (len(damaged), 2)
    assert content(store).startswith(b"".join(lines[:2]))
    assert aside(disk, "damaged") == [damaged]
    assert store.read_head(PIPELINE) == opened.writer.head
    opened.writer.append([EVENT], run="02")
    opened.writer.close()
    assert store.read(PIPELINE).verdict.tail is Tail.CLEAN
    assert store.findings(PIPELINE) == []


def test_a_head_that_names_lost_records_is_set_aside_and_recorded(disk):
    store = store_on(disk)
    lines = write(store)
    named = store.read_head(PIPELINE)
    damage(disk, store, lines, record=3)
    opened = store.salvage(PIPELINE, run="02")
    restored = opened.records[3]
    assert restored.type == "log.restored"
    assert restored.data["head"] == {"seq": named.seq, "sha256": named.sha256}
    assert aside(disk, "head") == [named.to_bytes()]
    opened.writer.close()


def test_a_log_without_a_good_record_is_salvaged_as_one_that_begins_again(disk):
    store = store_on(disk)
    damaged = damage(disk, store, write(store, head=False), record=1)
    opened = store.salvage(PIPELINE, run="02")
    assert [record.type for record in opened.records] == ["log.created", "log.salvaged"]
    assert opened.records[1].data["intact_behind"] == 4
    assert aside(disk, "damaged") == [damaged]
    opened.writer.close()


def test_what_is_whole_is_not_salvaged_and_nothing_is_changed(disk):
    store = store_on(disk)
    lines = write(store)
    for act in (store.salvage, store.accept_short):
        with pytest.raises(LogWholeError, match=f"{len(lines)} good records"):
            act(PIPELINE, run="02")
    disk.overwrite(store.path(PIPELINE), b"".join(lines[:-1]))
    with pytest.raises(LogWholeError, match="evt accept"):
        store.salvage(PIPELINE, run="02")
    assert content(store) == b"".join(lines[:-1])
    assert aside(disk, "") == []


def test_a_newer_log_is_neither_salvaged_nor_accepted(disk):
    store = store_on(disk)
    lines = write(store, head=False)
    body = lines[-1][:-27].replace(b'{"v":1,', b'{"v":2,', 1)
    newer = body + b',"sum":"' + hashlib.sha256(body).hexdigest()[:16].encode() + b'"}\n'
    disk.overwrite(store.path(PIPELINE), b"".join([*lines[:-1], newer]))
    for act in (store.salvage, store.accept_short, store.open_writer):
        with pytest.raises(NewerLogError, match="newer"):
            act(PIPELINE, run="02")
    assert content(store) == b"".join([*lines[:-1], newer])


def test_a_log_older_than_its_head_goes_on_only_by_an_explicit_word_which_is_recorded(disk):
    store = store_on(disk)
    lines = write(store)
    named = store.read_head(PIPELINE)
    disk.overwrite(store.path(PIPELINE), b"".join(lines[:2]))
    with pytest.raises(CorruptLogError, match="evt accept"):
        store.open_writer(PIPELINE, run="02")
    opened = store.accept_short(PIPELINE, run="02")
    assert [record.type for record in opened.records[2:]] == ["log.restored"]
    assert opened.records[2].data["head"] == {"seq": named.seq, "sha256": named.sha256}
    opened.writer.append([EVENT], run="02")
    opened.writer.close()
    assert store.open_writer(PIPELINE, run="03").writer.seq == 4
    assert aside(disk, "head") == [named.to_bytes()]


def test_a_log_whose_head_can_not_be_understood_goes_on_only_by_an_explicit_word(disk):
    store = store_on(disk)
    write(store)
    disk.overwrite(store.path(PIPELINE).replace(".jsonl", ".head"), b"?")
    opened = store.accept_short(PIPELINE, run="02")
    assert opened.records[-1].data["head"] is None
    assert store.read_head(PIPELINE) == opened.writer.head
    opened.writer.close()


def test_damage_is_not_accepted(disk):
    store = store_on(disk)
    damaged = damage(disk, store, write(store), record=3)
    with pytest.raises(CorruptLogError, match="evt salvage"):
        store.accept_short(PIPELINE, run="02")
    assert content(store) == damaged


def test_a_log_that_is_gone_while_something_that_was_set_aside_for_it_remains_is_not_begun_anew(disk):
    store = store_on(disk)
    damage(disk, store, write(store, head=False), record=3)
    store.salvage(PIPELINE, run="02").writer.close()
    disk.remove(store.path(PIPELINE))
    disk.remove(store.path(PIPELINE).replace(".jsonl", ".head"))
    for act in (store.read, lambda name: store.open_writer(name, run="03", create=True)):
        with pytest.raises(LogGoneError):
            act(PIPELINE)


@pytest.mark.parametrize("act", ["salvage", "accept_short"])
@pytest.mark.parametrize("record", [1, 3, 5])
def test_a_crash_at_any_step_of_it_leaves_what_the_same_word_or_the_next_opening_goes_on_from(act, record):
    """I4; and what was damaged is whole in one place or the other at every moment."""
    for mode in MODES:
        at = 0
        while True:
            disk = SimDisk()
            store = store_on(disk)
            lines = write(store)
            good = b"".join(lines[: record - 1])
            if act == "salvage":
                evidence = damage(disk, store, lines, record)
            else:
                disk.overwrite(store.path(PIPELINE), good)
                evidence = store.read_head(PIPELINE).to_bytes()
            disk.faults = {disk.operations + at: "crash"}
            with contextlib.suppress(CrashError):
                getattr(store, act)(PIPELINE, run="02").writer.close()
            crashed = bool(disk.fired)
            disk.choose = random.Random(at).randrange
            disk.crash(mode)
            require_gone_on(disk, act, evidence, good)
            if not crashed:
                break
            at += 1


def require_gone_on(disk: SimDisk, act: str, evidence: bytes, good: bytes) -> None:
    store = store_on(disk)
    before = content(store)
    head_path = store.path(PIPELINE).replace(".jsonl", ".head")
    kept = disk.content(head_path) if disk.signature(head_path) else b""
    assert evidence in [before, kept, *aside(disk, "damaged"), *aside(disk, "head")]
    try:
        opened = store.open_writer(PIPELINE, run="03")
    except (CorruptLogError, LogGoneError):
        getattr(store, act)(PIPELINE, run="03").writer.close()
        opened = store.open_writer(PIPELINE, run="03")
    assert content(store).startswith(good)
    assert {"log.salvaged", "log.restored"} & {record.type for record in opened.records}
    assert store.findings(PIPELINE) == []
    opened.writer.close()
    again = store.open_writer(PIPELINE, run="04")
    assert again.records == opened.records
    again.writer.close()


def test_a_salvage_that_died_before_its_new_head_is_finished_by_the_same_word(disk):
    store = store_on(disk)
    damage(disk, store, write(store), record=3)
    opened = store.salvage(PIPELINE, run="02")
    opened.writer.close()
    disk.remove(store.path(PIPELINE).replace(".jsonl", ".head"))
    again = store.salvage(PIPELINE, run="03")
    assert again.records == opened.records
    assert store.read_head(PIPELINE) == again.writer.head
    again.writer.close()
    with pytest.raises(LogWholeError):
        store.salvage(PIPELINE, run="04")

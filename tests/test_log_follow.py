"""Following logs: every whole record once, in order, whatever happens to the file; and soon."""

import os
import subprocess
import sys
import threading

import pytest

from eventlog.follow import Follower
from eventlog.store import Store
from eventlog.watch import _look, changes
from proofs.simfs import SimDisk
from tests.support.logs import PIPELINE, RUN, chain, store_on

EVENT = ("test.happened", {"n": 1})
LINES = chain([1] * 6)


@pytest.fixture
def disk():
    return SimDisk()


@pytest.fixture
def store(disk):
    store = store_on(disk)
    store.open_writer(PIPELINE, run=RUN, create=True).writer.close()
    return store


def seqs(follower: Follower) -> list[int]:
    return [record.seq for record in follower.poll()]


def test_each_record_is_shown_once(store):
    follower = Follower(store, [PIPELINE])
    assert seqs(follower) == [1]
    assert seqs(follower) == []
    writer = store.open_writer(PIPELINE, run=RUN).writer
    writer.append([EVENT, EVENT], run=RUN)
    assert seqs(follower) == [2, 3]
    writer.append([EVENT], run=RUN)
    assert seqs(follower) == [4]


def test_what_was_seen_before_is_not_shown(store):
    store.open_writer(PIPELINE, run=RUN).writer.append([EVENT] * 4, run=RUN)
    assert seqs(Follower(store, None, seen={PIPELINE: 3})) == [4, 5]


def test_half_a_line_is_never_shown_and_whole_it_is(store, disk):
    follower = Follower(store, [PIPELINE])
    shown = []
    whole = b"".join(LINES)
    for size in range(0, len(whole) + 1, 7):
        disk.overwrite(store.path(PIPELINE), whole[:size])
        shown += seqs(follower)
        assert len(shown) == whole[:size].count(b"\n")
    disk.overwrite(store.path(PIPELINE), whole)
    assert [*shown, *seqs(follower)] == [1, 2, 3, 4, 5, 6]


def test_logs_that_begin_later_are_followed(store):
    every, named = Follower(store), Follower(store, ["new", PIPELINE])
    assert (len(every.poll()), len(named.poll())) == (1, 1)
    store.open_writer("new", run=RUN, create=True)
    assert [[record.pipeline for record in follower.poll()] for follower in (every, named)] == [["new"], ["new"]]


def test_records_of_several_logs_come_by_time_and_each_log_by_seq(store):
    other = store.open_writer("other", run=RUN, create=True).writer
    mine = store.open_writer(PIPELINE, run=RUN).writer
    for _ in range(3):
        mine.append([EVENT], run=RUN)
        other.append([EVENT], run=RUN)
    records = Follower(store).poll()
    assert [record.time for record in records] == sorted(record.time for record in records)
    for name in ("other", PIPELINE):
        assert [record.seq for record in records if record.pipeline == name] == [1, 2, 3, 4]


def test_a_recovery_that_cuts_a_torn_tail_is_survived(store, disk):
    follower = Follower(store)
    path = store.path(PIPELINE)
    assert seqs(follower) == [1]
    disk.overwrite(path, disk.content(path) + b'{"v":1,"seq":2,"time' + b"x" * 3000)
    assert seqs(follower) == []
    store.open_writer(PIPELINE, run=RUN)
    assert [record.type for record in follower.poll()] == ["log.recovered"]
    assert seqs(follower) == []


def test_a_shorter_file_is_read_again_and_only_what_is_new_is_shown(store, disk):
    follower, path = Follower(store), store.path(PIPELINE)
    disk.overwrite(path, b"".join(LINES[:4]))
    assert seqs(follower) == [1, 2, 3, 4]
    disk.overwrite(path, b"".join(LINES[:2]))
    assert seqs(follower) == []
    disk.overwrite(path, b"".join(LINES[:5]))
    assert seqs(follower) == [5]


def test_a_record_in_the_place_of_one_that_vanished_is_shown(store, disk):
    """A batch that the writer took back was never acknowledged, but a reader may have shown it."""
    follower, path = Follower(store), store.path(PIPELINE)
    disk.overwrite(path, b"".join(LINES[:3]))
    assert seqs(follower) == [1, 2, 3]
    other = chain([1, 1, 1], [{"text": "größer"}, {"text": "größer"}, {"text": "another, and a longer one"}])
    disk.overwrite(path, b"".join(other))
    assert [record.data["text"][:7] for record in follower.poll()] == ["another"]


def test_another_file_of_the_same_name_is_read_from_its_start(tmp_path):
    store = Store(str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    writer.append([EVENT], run=RUN)
    writer.close()
    follower = Follower(store)
    assert seqs(follower) == [1, 2]
    with open(store.path(PIPELINE) + ".new", "wb") as file:
        file.write(b"".join(LINES))
    os.replace(store.path(PIPELINE) + ".new", store.path(PIPELINE))
    assert seqs(follower) == [1, 2, 3, 4, 5, 6]


def test_a_log_that_is_deleted_and_comes_back_shows_only_what_is_new(store, disk):
    follower, path = Follower(store, [PIPELINE]), store.path(PIPELINE)
    content = disk.content(path)
    assert seqs(follower) == [1]
    disk.remove(path)
    assert seqs(follower) == []
    disk.write_new(path, content)
    assert seqs(follower) == []


def test_behind_damage_nothing_is_shown_and_other_logs_go_on(store, disk):
    follower, path = Follower(store), store.path(PIPELINE)
    disk.overwrite(path, LINES[0] + LINES[1].replace(b"gr", b"GR") + LINES[2])
    assert seqs(follower) == [1]
    store.open_writer("other", run=RUN, create=True)
    assert [record.pipeline for record in follower.poll()] == ["other"]


APPEND = """
import sys, time
from eventlog.store import Store
store = Store(sys.argv[1])
for line in sys.stdin:
    writer = store.open_writer(line.strip(), run="01", create=True).writer
    writer.append([("test.happened", {"at": time.monotonic()})], run="01")
    writer.close()
"""


@pytest.mark.slow
def test_new_records_new_folders_and_a_root_that_comes_later_are_seen(tmp_path):
    """How soon is measured in benchmarks/tail.py."""
    store = Store(str(tmp_path / "later" / "logs"))
    follower, stop = Follower(store), threading.Event()
    steps = changes(store.root, stop=stop)
    with subprocess.Popen([sys.executable, "-c", APPEND, store.root], stdin=subprocess.PIPE, text=True) as process:
        for name in ("aa", "bb", "aa", "cc", "bb", "dd", "aa"):
            process.stdin.write(name + "\n")
            process.stdin.flush()
            while not (news := [record for record in follower.poll() if record.type == "test.happened"]):
                next(steps)
            assert [record.pipeline for record in news] == [name]
        process.stdin.close()
    steps.close()


def test_waiting_ends_when_it_is_told_to_and_beats_while_nothing_happens(tmp_path):
    stop = threading.Event()
    for root in (tmp_path, tmp_path / "missing"):
        stop.clear()
        steps = changes(str(root), idle_s=0.01, stop=stop)
        next(steps)
        next(steps)
        stop.set()
        assert list(steps) == []


def test_what_watching_needs_is_loaded_only_by_watching():
    code = "import eventlog.follow, eventlog.store, sys; sys.exit('ctypes' in sys.modules)"
    assert subprocess.call([sys.executable, "-c", code]) == 0


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere every log is looked at")


def first_seen(steps, found):
    """Return the first thing of a kind that is told; what is told of anything else is passed over."""
    return next(told for told in steps if found(told))


@pytest.fixture
def root(tmp_path):
    store = Store(str(tmp_path / "home" / "logs"))
    for name in ("aa1", "bb1"):
        store.open_writer(name, run=RUN, create=True).writer.close()
    return tmp_path / "home" / "logs"


@on_linux
def test_only_the_logs_that_changed_are_named_whatever_else_lies_there(root):
    steps = changes(str(root))
    assert next(steps) is None
    (root / "bb" / "bb1.head").write_text("no log")
    with (root / "aa" / "aa1.jsonl").open("ab") as file:
        file.write(b"x")
    assert first_seen(steps, bool) == {"aa1"}
    (root / "cc" / "dd").mkdir(parents=True)
    (root / "cc" / "dd" / "cc1.2.jsonl").write_bytes(b"")
    assert first_seen(steps, bool) == {"cc1.2"}


@on_linux
def test_a_log_that_is_deleted_or_becomes_another_file_is_named_and_does_not_end_the_watch(root):
    steps, follower = changes(str(root)), Follower(Store(str(root)))
    follower.poll(next(steps))
    (root / "aa" / "aa1.jsonl").rename(root / "aa" / "aa1.jsonl.zst")
    assert first_seen(steps, bool) == {"aa1"}
    assert follower.poll({"aa1"}) == []
    (root / "bb" / "bb1.jsonl").unlink()
    assert follower.poll(first_seen(steps, bool)) == []
    (root / "bb").rmdir()
    Store(str(root)).open_writer("bb1", run=RUN, create=True)
    assert first_seen(steps, bool) == {"bb1"}
    assert [record.pipeline for record in follower.poll({"bb1"})] == ["bb1"]


@on_linux
def test_where_the_system_lost_changes_every_log_is_looked_at(root):
    steps = changes(str(root))
    assert next(steps) is None
    fds = [os.open(path, os.O_WRONLY | os.O_APPEND) for path in root.glob("*/*.jsonl")]
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        held = int(file.read())
    for number in range(held + 2):
        os.write(fds[number % 2], b"x")
    for fd in fds:
        os.close(fd)
    assert first_seen(steps, lambda told: not told) is None


@on_linux
@pytest.mark.parametrize("above", [False, True], ids=["itself", "with what it lies in"])
def test_a_root_that_is_replaced_is_watched_again(root, above):
    steps = changes(str(root), idle_s=0.01)
    assert next(steps) is None
    old = root.parent if above else root
    old.rename(old.with_name("old"))
    Store(str(root)).open_writer("aa2", run=RUN, create=True)
    assert first_seen(steps, lambda told: told is None) is None
    with (root / "aa" / "aa2.jsonl").open("ab") as file:
        file.write(b"x")
    assert first_seen(steps, bool) == {"aa2"}


def test_where_nothing_tells_every_log_is_looked_at_again_and_again(root):
    steps = _look(str(root), 0.01, threading.Event())
    assert [next(steps), next(steps)] == [None, None]
    root.rename(root.with_name("old"))
    assert list(steps) == []


def test_of_logs_that_are_not_followed_no_change_is_looked_at(root):
    store = Store(str(root))
    follower = Follower(store, ["aa1"])
    assert follower.poll({"bb1", "../aa1"}) == []
    assert [record.pipeline for record in follower.poll({"aa1"})] == ["aa1"]
    assert [record.pipeline for record in Follower(store).poll({"bb1", "../aa1", ""})] == ["bb1"]

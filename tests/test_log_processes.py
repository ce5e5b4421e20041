"""The proofs with real processes, system calls and disks, with small budgets, and what they once found."""

import os
import sys

import pytest

from eventlog.errors import CorruptLogError, LogStorageError, WriterDeadError
from eventlog.reader import Tail
from eventlog.storage import PosixStorage
from eventlog.store import Store
from proofs import full_disk, interference, kills, syscalls, writers
from tests.support.logs import PIPELINE, RUN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the proofs use what only Linux has")

SEED = 20_261_123
EVENT = ("test.happened", {"n": 1})


@pytest.mark.slow
def test_thirty_killed_writers_lose_nothing_that_they_acknowledged():
    assert kills.prove(kills=30, seed=SEED).counts["kills"] == 30


@pytest.mark.slow
def test_whatever_system_call_fails_or_is_the_last_nothing_acknowledged_is_lost():
    """Thirty-two faults, each seen in strace's report to have struck; all calls are among them."""
    tally = syscalls.prove(injections=32, seed=SEED)
    if tally.skipped:
        pytest.skip(tally.skipped[0])
    assert tally.counts["injections, each seen to have struck"] == 32
    assert all(tally.counts[f"injections into {call}"] > 1 for call in syscalls.EXPECTED)


@pytest.mark.slow
def test_where_there_is_no_room_a_batch_is_acknowledged_whole_or_refused():
    tally = full_disk.prove(limits=30, pages=0, seed=SEED)
    assert tally.counts["runs with a limit on the size of files"] == 30
    assert tally.counts["refused, append: LogStorageError"] > 5
    assert tally.counts["refused, open: LogStorageError"] > 5


@pytest.mark.slow
def test_on_a_full_disk_a_batch_is_acknowledged_whole_or_refused():
    tally = full_disk.prove(limits=0, pages=12, seed=SEED)
    if tally.skipped:
        pytest.skip(tally.skipped[0])
    assert tally.counts["refused, append: LogStorageError"] > 5


@pytest.mark.slow
def test_of_many_writers_one_at_most_acknowledges_and_readers_see_no_wrong():
    tally = writers.prove(rounds=2, seed=SEED)
    assert tally.counts["batches acknowledged in a race"] > 20


@pytest.mark.slow
def test_a_file_harmed_under_its_writer_is_noticed_before_the_next_acknowledgement():
    tally = interference.prove(rounds=1, seed=SEED)
    assert sum(tally.counts.values()) >= len(interference.HARMS) * len(interference.MOMENTS)


# -- what they found, step by step ----------------------------------------------------------------------------


class Meddler(PosixStorage):
    """A disk on which something happens at one place of a reader's or an opener's way."""

    def __init__(self, name: str, deed) -> None:
        self.name, self.deed = name, deed

    def pieces(self, path, offset=0):
        try:
            for piece in super().pieces(path, offset):
                yield piece
                self.meddle(path)
        except FileNotFoundError:
            self.meddle(path)
            raise

    def meddle(self, path):
        if path.endswith(self.name):
            deed, self.deed = self.deed, lambda: None
            deed()


def recover(root) -> None:
    Store(root).open_writer(PIPELINE, run=RUN).writer.close()


def test_a_reader_that_sees_a_torn_tail_while_it_is_replaced_reports_no_damage(tmp_path):
    """It read the tail, then what was written behind the place where that had ended."""
    root = str(tmp_path)
    Store(root).open_writer(PIPELINE, run=RUN, create=True).writer.close()
    with open(Store(root).path(PIPELINE), "ab") as file:
        file.write(b'{"v":1,"seq":17')
    view = Store(root, storage=Meddler(".jsonl", lambda: recover(root))).read(PIPELINE)
    assert (view.verdict.tail, view.records[-1].type) == (Tail.CLEAN, "log.recovered")


def test_who_found_no_head_begins_no_log_that_was_begun_and_deleted_meanwhile(tmp_path):
    root = str(tmp_path)

    def begin_and_delete() -> None:
        store = Store(root)
        writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
        store.keep_head(writer)
        writer.close()
        os.unlink(store.path(PIPELINE))

    with pytest.raises(CorruptLogError):
        Store(root, storage=Meddler(".head", begin_and_delete)).open_writer(PIPELINE, run=RUN, create=True)


def test_a_closed_writer_keeps_no_head_over_a_newer_one(tmp_path):
    store = Store(str(tmp_path))
    first = store.open_writer(PIPELINE, run=RUN, create=True).writer
    first.close()
    second = store.open_writer(PIPELINE, run=RUN).writer
    second.append([EVENT], run=RUN)
    store.keep_head(second)
    second.close()
    with pytest.raises(WriterDeadError):
        store.keep_head(first)
    assert store.read_head(PIPELINE) == second.head


def test_mounts_that_can_not_be_read_are_a_storage_error(tmp_path):
    def no_more_files(_):
        raise OSError(24, "Too many open files", "/proc/self/mountinfo")

    with pytest.raises(LogStorageError, match="Too many open files"):
        Store(str(tmp_path), file_system=no_more_files).open_writer(PIPELINE, run=RUN, create=True)


def test_a_close_that_the_system_reports_as_failed_is_none_for_the_writer(tmp_path):
    """What was acknowledged is synced. The descriptor is taken away, so that unlocking and closing both fail."""
    writer = Store(str(tmp_path)).open_writer(PIPELINE, run=RUN, create=True).writer
    opened = [fd for fd in os.listdir("/proc/self/fd") if points_at(fd, Store(str(tmp_path)).path(PIPELINE))]
    for fd in opened:
        os.close(int(fd))
    writer.close()
    assert len(opened) == 1


def points_at(fd: str, path: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == path
    except FileNotFoundError:
        return False


def test_a_fork_has_no_copy_of_the_log_with_which_it_would_keep_the_lock_of_a_killed_writer(tmp_path):
    store = Store(str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    child = os.fork()
    if child == 0:
        os._exit(sum(points_at(fd, store.path(PIPELINE)) for fd in os.listdir("/proc/self/fd")))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert writer.append([EVENT], run=RUN)[0].seq == 2
    writer.close()

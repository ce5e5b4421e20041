"""What `append` promises while it works, while the disk fails, and afterwards."""

import os
import threading
from datetime import UTC, datetime

import pytest

from eventlog.errors import LogStorageError, RecordRejectedError, SeqConflictError, WriterDeadError
from eventlog.reader import Head, Tail
from eventlog.record import decode
from eventlog.storage import PosixLogFile, PosixStorage
from eventlog.store import Store
from proofs.simfs import CrashError, SimDisk
from tests.support.logs import PIPELINE, RUN, store_on

EVENT = ("test.happened", {"n": 1})


@pytest.fixture(params=["simulated", "posix"])
def storage_and_root(request, tmp_path):
    return (SimDisk(), "/logs") if request.param == "simulated" else (PosixStorage(), str(tmp_path / "logs"))


@pytest.fixture
def store(storage_and_root):
    return store_on(*storage_and_root)


def content(storage, path: str) -> bytes:
    return b"".join(storage.pieces(path))


def test_appended_records_are_what_a_reader_finds(store):
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    appended = opened.writer.append([EVENT, ("test.ended", {"text": "\u2028ü", "list": (1, 2)})], run="02")
    assert store.read(PIPELINE).records == opened.records + appended
    assert [record.seq for record in appended] == [2, 3]
    assert [record.run for record in appended] == ["02", "02"]
    assert appended[1].data == {"text": "\u2028ü", "list": [1, 2]}
    opened.writer.close()


def test_each_line_is_chained_to_the_bytes_before_and_knows_what_was_durable(store, storage_and_root):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    writer.append([EVENT, EVENT], run=RUN)
    writer.append([EVENT], run=RUN)
    writer.close()
    lines = content(storage_and_root[0], store.path(PIPELINE)).splitlines(keepends=True)
    records = [decode(line) for line in lines]
    assert [record.dur for record in records] == [0, 1, 1, 3]
    assert [record.prev for record in records[1:]] == [record.line_sha256 for record in records[:-1]]
    assert writer.head == Head(4, records[-1].line_sha256)


def test_changing_what_append_returned_or_took_changes_nothing_recorded(store):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    data = {"list": [1]}
    record = writer.append([("test.happened", data)], run=RUN)[0]
    data["list"].append(2)
    assert record.data == {"list": [1]}
    writer.close()


@pytest.mark.parametrize(
    "now",
    [datetime(1, 2, 3, tzinfo=UTC), datetime(2026, 11, 23, 4, 5, 6, 7, UTC), datetime.max.replace(tzinfo=UTC)],
)
def test_a_record_has_the_time_of_the_clock_with_six_decimals(now):
    store = Store("/logs", storage=SimDisk(), clock=lambda: now, unsafe_fs=True)
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    time = writer.append([EVENT], run=RUN)[0].time
    assert (datetime.fromisoformat(time), len(time)) == (now, 27)


def test_another_expected_seq_is_a_conflict_and_nothing_is_written(store, storage_and_root):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    before = content(storage_and_root[0], store.path(PIPELINE))
    with pytest.raises(SeqConflictError) as caught:
        writer.append([EVENT], run=RUN, expected_seq=7)
    assert (caught.value.expected, caught.value.actual, caught.value.pipeline) == (7, 1, PIPELINE)
    assert content(storage_and_root[0], store.path(PIPELINE)) == before
    assert writer.append([EVENT], run=RUN, expected_seq=1)[0].seq == 2
    writer.close()


def test_a_refused_event_refuses_its_batch_and_the_writer_goes_on(store):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    with pytest.raises(RecordRejectedError):
        writer.append([EVENT, ("test.happened", {"n": float("nan")})], run=RUN)
    assert writer.append([EVENT], run=RUN)[0].seq == 2
    assert store.read(PIPELINE).verdict.tail is Tail.CLEAN
    writer.close()


def test_no_events_write_nothing(store, storage_and_root):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    before = content(storage_and_root[0], store.path(PIPELINE))
    assert writer.append([], run=RUN) == []
    assert content(storage_and_root[0], store.path(PIPELINE)) == before
    writer.close()


def test_a_closed_writer_acknowledges_nothing(store):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    writer.close()
    writer.close()
    with pytest.raises(WriterDeadError, match="closed"):
        writer.append([EVENT], run=RUN)


def test_threads_take_turns(store):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    threads = [
        threading.Thread(target=lambda: [writer.append([EVENT, EVENT], run=RUN) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view = store.read(PIPELINE)
    assert (view.verdict.tail, view.verdict.seq) == (Tail.CLEAN, 161)
    writer.close()


@pytest.mark.parametrize(("operation", "fault"), [("append", "fail"), ("append", "short"), ("sync", "fail")])
def test_after_a_failed_write_or_sync_nothing_is_acknowledged_and_the_file_opens_again(operation, fault):
    disk = SimDisk()
    store = store_on(disk)
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    acknowledged = writer.append([EVENT], run=RUN)
    disk.faults = {disk.operations + (operation == "sync"): fault}
    with pytest.raises(LogStorageError, match=r"Mend the cause .* repeat"):
        writer.append([EVENT, EVENT], run=RUN)
    assert disk.fired == [fault]
    disk.capacity_bytes = None
    for _ in range(2):
        with pytest.raises(WriterDeadError):
            writer.append([EVENT], run=RUN)
    assert writer.head == Head(2, acknowledged[-1].line_sha256)
    writer.close()
    opened = store.open_writer(PIPELINE, run=RUN)
    assert [record.seq for record in opened.records] == [1, 2]
    assert opened.writer.append([EVENT], run=RUN)[0].seq == 3
    assert store.read(PIPELINE).verdict.tail is Tail.CLEAN
    opened.writer.close()


def test_records_that_only_the_cache_shows_after_a_failed_sync_are_not_believed():
    """The next opening syncs and forgets the cache before it reads, so it finds what the disk holds."""
    disk = SimDisk()
    store = store_on(disk)
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    # The write fails to sync, and then so does the attempt to take it back.
    disk.faults = {disk.operations + 1: "fail", disk.operations + 2: "fail"}
    with pytest.raises(LogStorageError):
        writer.append([("test.happened", {"text": "x" * 2000})], run=RUN)
    assert disk.fired == ["fail", "fail"]
    assert store.read(PIPELINE).verdict.seq == 2
    writer.close()
    opened = store.open_writer(PIPELINE, run=RUN)
    assert [record.type for record in opened.records] == ["log.created", "log.recovered"]
    opened.writer.close()


def test_a_full_disk_loses_nothing_and_the_log_goes_on_when_there_is_room():
    for room in range(0, 700, 7):
        disk = SimDisk()
        store = store_on(disk)
        writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
        disk.capacity_bytes = len(disk.content(store.path(PIPELINE))) + room
        with pytest.raises(LogStorageError):
            writer.append([EVENT, EVENT, EVENT], run=RUN)
        writer.close()
        disk.capacity_bytes = None
        opened = store.open_writer(PIPELINE, run=RUN)
        assert [record.type for record in opened.records] == ["log.created"]
        opened.writer.close()


def test_an_interrupted_append_is_never_followed_by_another():
    disk = SimDisk()
    store = store_on(disk)
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    disk.faults = {disk.operations + 1: "crash"}
    with pytest.raises(CrashError):
        writer.append([EVENT], run=RUN)
    with pytest.raises(WriterDeadError, match="cut short"):
        writer.append([EVENT], run=RUN)


@pytest.mark.parametrize("harm", ["unlinked", "replaced", "moved", "truncated", "extended"])
def test_a_file_harmed_under_its_writer_is_noticed_before_the_next_acknowledgement(tmp_path, harm):
    store = store_on(PosixStorage(), str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    path = store.path(PIPELINE)
    with open(path, "rb") as file:
        before = file.read()
    if harm == "unlinked":
        os.unlink(path)
    elif harm == "moved":
        os.rename(path, path + ".bak")
    elif harm == "replaced":
        with open(path + ".new", "wb") as file:
            file.write(before)
        os.replace(path + ".new", path)
    elif harm == "truncated":
        os.truncate(path, 10)
    else:
        with open(path, "ab") as file:
            file.write(b"foreign\n")
    with pytest.raises(LogStorageError):
        writer.append([EVENT], run=RUN)
    with pytest.raises(WriterDeadError):
        writer.append([EVENT], run=RUN)
    writer.close()
    if harm == "extended":
        with open(path, "rb") as file:
            assert file.read() == before + b"foreign\n"


def test_a_file_replaced_by_one_of_the_size_that_is_due_is_noticed(tmp_path):
    store = store_on(PosixStorage(), str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    path = store.path(PIPELINE)
    sizes = []
    for _ in range(2):
        sizes.append(os.path.getsize(path))
        writer.append([EVENT], run=RUN)
    due = os.path.getsize(path) + sizes[1] - sizes[0]
    with open(path + ".new", "wb") as file:
        file.write(b"x" * due)
    os.replace(path + ".new", path)
    with pytest.raises(LogStorageError, match="replaced"):
        writer.append([EVENT], run=RUN)
    writer.close()


def test_another_file_that_took_the_place_of_the_descriptor_is_not_written(tmp_path):
    """As after a daemon that closed all its descriptors; the other file even has the size that is due."""
    store = store_on(PosixStorage(), str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    other = tmp_path / "other"
    other.write_bytes(b"x" * os.path.getsize(store.path(PIPELINE)))
    fd = os.open(other, os.O_RDWR)
    os.dup2(fd, writer._file._fd)
    os.close(fd)
    before = other.read_bytes()
    with pytest.raises(LogStorageError):
        writer.append([EVENT], run=RUN)
    assert other.read_bytes() == before
    writer.close()


class Disturbed(PosixStorage):
    """A disk on which somebody else appends to the log while it is synced, once told to."""

    told = False

    def open_log(self, path: str, *, create: bool) -> PosixLogFile:
        storage = self

        class File(PosixLogFile):
            def sync(self) -> None:
                if storage.told:
                    with open(path, "ab") as file:
                        file.write(b"foreign\n")
                super().sync()

        return File(path, create=create)


def test_bytes_that_somebody_appends_during_a_write_stop_it_and_are_not_cut_off(tmp_path):
    storage = Disturbed()
    store = store_on(storage, str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    storage.told = True
    with pytest.raises(LogStorageError, match="somebody else"):
        writer.append([EVENT], run=RUN)
    assert content(storage, store.path(PIPELINE)).endswith(b"foreign\n")
    writer.close()


def test_a_file_deleted_during_a_write_is_noticed_before_its_acknowledgement():
    disk = SimDisk()
    writer = store_on(disk).open_writer(PIPELINE, run=RUN, create=True).writer
    disk.faults = {disk.operations + 1: "unlink"}
    with pytest.raises(LogStorageError, match="deleted"):
        writer.append([EVENT], run=RUN)
    with pytest.raises(WriterDeadError):
        writer.append([EVENT], run=RUN)


def test_a_fork_can_not_write_and_does_not_keep_the_lock(tmp_path):
    store = store_on(PosixStorage(), str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    (said, say), (told, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell)
        try:
            writer.append([EVENT], run=RUN)
            os.write(say, b"written")
        except WriterDeadError:
            os.write(say, b"refused")
        os.read(told, 1)  # until the other end is closed
        os._exit(0)
    try:
        assert os.read(said, 9) == b"refused"
        assert writer.append([EVENT], run=RUN)[0].seq == 2
        writer.close()
        store.open_writer(PIPELINE, run=RUN).writer.close()
    finally:
        for fd in (said, say, told, tell):
            os.close(fd)
        assert os.waitpid(child, 0)[1] == 0

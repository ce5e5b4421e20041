"""Opening, reading, listing: who may write, what is refused, and what is reported."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from eventlog.errors import (
    CorruptLogError,
    LogError,
    LogGoneError,
    LogLockedError,
    LogNotFoundError,
    LogStorageError,
    UnsafeFileSystemError,
    WriterDeadError,
)
from eventlog.filesystem import FileSystem
from eventlog.reader import Tail
from eventlog.storage import PosixLogFile, PosixStorage
from eventlog.store import Store
from proofs.simfs import SimDisk
from tests.support.logs import PIPELINE, RUN, chain, store_on, write_log

EVENT = ("test.happened", {"n": 1})


@pytest.fixture(params=["simulated", "posix"])
def store(request, tmp_path):
    if request.param == "simulated":
        return store_on(SimDisk())
    return store_on(PosixStorage(), str(tmp_path / "new" / "logs"))


@pytest.fixture
def disk():
    return SimDisk()


def written(store: Store, *, events: int = 2, head: bool = False) -> str:
    return write_log(store, events=events, head=head)


def test_a_new_log_begins_with_what_its_disk_promises(store):
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    assert [(record.type, record.data) for record in opened.records] == [
        ("log.created", {"format": 1, "durability": "disk", "file_system": "simulated"})
    ]
    opened.writer.close()


def test_opening_again_appends_nothing_and_finds_every_record(store):
    written(store)
    before = store.read(PIPELINE).records
    for create in (True, False):
        opened = store.open_writer(PIPELINE, run="02", create=create)
        assert opened.records == before
        opened.writer.close()
    assert store.read(PIPELINE).records == before
    assert list(store.stream(PIPELINE)) == before


def test_a_log_is_never_created_unasked(store):
    for act in (
        lambda: store.open_writer(PIPELINE, run=RUN),
        lambda: store.read(PIPELINE),
        lambda: list(store.stream(PIPELINE)),
    ):
        with pytest.raises(LogNotFoundError):
            act()
    assert store.pipelines() == []


def test_logs_are_listed_by_name_and_nothing_else_is(store, tmp_path):
    for name in ("b", "ab.2", "ab", "zz"):
        store.open_writer(name, run=RUN, create=True).writer.close()
    assert store.pipelines() == ["ab", "ab.2", "b", "zz"]
    if os.path.isdir(store.root):
        for stray in ("ab/ab.jsonl.tmp", "ab/zz.jsonl", "xy", "ab/NOTE.jsonl"):
            with open(os.path.join(store.root, stray), "w"):
                pass
        assert store.pipelines() == ["ab", "ab.2", "b", "zz"]


@pytest.mark.parametrize("name", ["../x", "", ".", "A", "a/b", "a\0", "a" * 65])
def test_a_name_outside_the_folder_is_not_found(store, name):
    for act in (store.path, store.read, store.read_head, lambda n: store.open_writer(n, run=RUN, create=True)):
        with pytest.raises(LogNotFoundError):
            act(name)
    assert store.pipelines() == []


def test_a_second_writer_is_refused_until_the_first_has_finished(store):
    first = store.open_writer(PIPELINE, run=RUN, create=True).writer
    with pytest.raises(LogLockedError, match="Another process"):
        store.open_writer(PIPELINE, run=RUN, create=True)
    first.append([EVENT], run=RUN)
    first.close()
    assert store.open_writer(PIPELINE, run=RUN).writer.seq == 2


def test_a_refused_opening_leaves_the_lock_free(store):
    with pytest.raises(LogError):
        store.open_writer(PIPELINE, run="NO RUN ID", create=True)
    store.open_writer(PIPELINE, run=RUN, create=True).writer.close()


def test_a_log_deleted_while_its_head_or_other_traces_remain_is_gone_not_new(disk):
    store = store_on(disk)
    disk.remove(written(store, head=True))
    for act in (store.read, lambda n: list(store.stream(n)), lambda n: store.open_writer(n, run=RUN, create=True)):
        with pytest.raises(LogGoneError, match="backup"):
            act(PIPELINE)
    with pytest.raises(LogGoneError):
        store.open_writer("another", run=RUN, create=True, traces=True)


@pytest.mark.parametrize("rest", [b"", b'{"v":1,"seq":1,'])
def test_an_emptied_log_with_traces_is_gone_and_without_them_it_begins(disk, rest):
    store = store_on(disk)
    disk.overwrite(written(store), rest)
    with pytest.raises(LogGoneError):
        store.open_writer(PIPELINE, run=RUN, create=True, traces=True)
    assert disk.content(store.path(PIPELINE)) == rest
    types = [record.type for record in store.open_writer(PIPELINE, run=RUN, create=True).records]
    assert types == ["log.created", "log.recovered"][: 2 if rest else 1]


def test_a_lost_end_is_corrupt_for_reader_and_writer_once_a_head_is_kept(disk):
    store = store_on(disk)
    path = written(store, head=True)
    whole = disk.content(path)
    disk.overwrite(path, whole[: whole.rfind(b"\n", 0, -1) + 1])
    assert store.read(PIPELINE).verdict.tail is Tail.CORRUPT
    with pytest.raises(CorruptLogError) as caught:
        store.open_writer(PIPELINE, run=RUN)
    assert (caught.value.seq, caught.value.offset) == (3, len(disk.content(path)))


def test_a_replaced_log_is_corrupt_for_reader_and_writer_once_a_head_is_kept(disk):
    store = store_on(disk)
    path = written(store, head=True)
    disk.overwrite(path, b"".join(chain([1, 1, 1, 1])))
    verdict = store.read(PIPELINE).verdict
    assert (verdict.tail, verdict.seq) == (Tail.CORRUPT, 2)
    assert "replaced" in verdict.reason
    with pytest.raises(CorruptLogError, match="replaced") as caught:
        store.open_writer(PIPELINE, run=RUN)
    assert (caught.value.seq, caught.value.offset) == (3, verdict.offset)


def test_a_head_that_can_not_be_understood_is_reported_and_never_built_upon(disk):
    store = store_on(disk)
    path = written(store, head=True)
    head_path = path.removesuffix(".jsonl") + ".head"
    disk.overwrite(head_path, b"{}")
    view = store.read(PIPELINE)
    assert (len(view.records), view.verdict.tail) == (3, Tail.CORRUPT)
    assert f"{PIPELINE}.head" in view.verdict.reason
    for act in (store.read_head, lambda n: store.open_writer(n, run=RUN)):
        with pytest.raises(CorruptLogError, match=r"\.head"):
            act(PIPELINE)
    disk.remove(head_path)
    assert store.open_writer(PIPELINE, run=RUN).writer.seq == 3


def test_a_seal_is_the_last_record_and_its_head_is_kept(store):
    writer = store.open_writer(PIPELINE, run=RUN, create=True).writer
    sealed = store.seal(writer, run=RUN)
    assert [record.type for record in sealed] == ["log.sealed"]
    assert store.read_head(PIPELINE) == writer.head
    writer.append([EVENT], run=RUN)
    assert store.read(PIPELINE).verdict.tail is Tail.CLEAN
    writer.close()
    assert store.open_writer(PIPELINE, run=RUN).writer.seq == 3


def test_damage_before_the_end_is_refused_and_changes_nothing(disk):
    store = store_on(disk)
    path = written(store)
    whole = disk.content(path)
    damaged = whole.replace(b'"n":1', b'"n":2', 1)
    disk.overwrite(path, damaged)
    with pytest.raises(CorruptLogError, match="checksum") as caught:
        store.open_writer(PIPELINE, run=RUN)
    assert (caught.value.seq, caught.value.offset) == (2, whole.index(b"\n") + 1)
    assert disk.content(path) == damaged
    assert [record.seq for record in store.read(PIPELINE).records] == [1]


def test_a_torn_tail_is_kept_aside_cut_and_recorded(disk):
    store = store_on(disk)
    path = written(store)
    whole = disk.content(path)
    disk.overwrite(path, whole + b'{"v":1,"seq"')
    opened = store.open_writer(PIPELINE, run="02")
    recovered = opened.records[-1]
    assert (recovered.type, recovered.run, recovered.seq) == ("log.recovered", "02", 4)
    assert {key: recovered.data[key] for key in ("offset", "size_bytes", "uncertain")} == {
        "offset": len(whole),
        "size_bytes": 12,
        "uncertain": False,
    }
    folder = os.path.dirname(path)
    assert disk.content(os.path.join(folder, recovered.data["file"])) == b'{"v":1,"seq"'
    assert disk.content(path).startswith(whole)
    opened.writer.close()
    assert store.open_writer(PIPELINE, run="03").records == opened.records
    assert store.findings(PIPELINE) == []


@pytest.mark.parametrize("tail", [b"\0" * 700, b'{"v":1\0\0\n' + chain([2])[1]])
def test_a_cut_that_may_have_held_whole_records_is_uncertain(disk, tail):
    store = store_on(disk)
    path = written(store)
    disk.overwrite(path, disk.content(path) + tail)
    assert store.open_writer(PIPELINE, run=RUN).records[-1].data["uncertain"] is True


def test_a_missing_last_newline_is_added_and_nothing_is_cut(disk):
    store = store_on(disk)
    path = written(store)
    whole = disk.content(path)
    disk.overwrite(path, whole[:-1])
    assert len(store.open_writer(PIPELINE, run=RUN).records) == 3
    assert disk.content(path) == whole


def test_a_quarantined_tail_that_is_gone_or_changed_is_found(disk):
    store = store_on(disk)
    path = written(store)
    disk.overwrite(path, disk.content(path) + b"torn")
    opened = store.open_writer(PIPELINE, run=RUN)
    opened.writer.close()
    aside = os.path.join(os.path.dirname(path), opened.records[-1].data["file"])
    disk.overwrite(aside, b"other")
    assert [finding for finding in store.findings(PIPELINE) if "changed" in finding]
    disk.remove(aside)
    assert [finding for finding in store.findings(PIPELINE) if "gone" in finding]


def test_readers_change_nothing(tmp_path):
    store = store_on(PosixStorage(), str(tmp_path))
    path = written(store, head=True)
    with open(path, "ab") as file:
        file.write(b"torn")
    before = [(name, os.stat(name).st_mtime_ns, os.stat(name).st_size) for name in (path, os.path.dirname(path))]
    assert store.read(PIPELINE).verdict.tail is Tail.TORN
    list(store.stream(PIPELINE))
    store.findings(PIPELINE)
    store.pipelines()
    assert before == [
        (name, os.stat(name).st_mtime_ns, os.stat(name).st_size) for name in (path, os.path.dirname(path))
    ]


def test_logs_and_folders_are_private(tmp_path):
    path = written(store_on(PosixStorage(), str(tmp_path / "logs")), head=True)
    modes = {os.stat(name).st_mode & 0o777 for name in (path, path.replace(".jsonl", ".head"))}
    assert modes == {0o600}
    assert {os.stat(folder).st_mode & 0o777 for folder in (os.path.dirname(path), str(tmp_path / "logs"))} == {
        0o700
    }


@pytest.mark.parametrize("kind", ["fifo", "symlink", "directory", "device"])
def test_what_is_no_regular_file_is_refused_without_hanging(tmp_path, kind):
    store = store_on(PosixStorage(), str(tmp_path))
    path = store.path(PIPELINE)
    os.mkdir(os.path.dirname(path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    {
        "fifo": lambda: os.mkfifo(path),
        "symlink": lambda: os.symlink(elsewhere, path),
        "directory": lambda: os.mkdir(path),
        "device": lambda: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)),
    }[kind]()
    for act in (store.read, lambda n: store.open_writer(n, run=RUN, create=True)):
        with pytest.raises(LogStorageError, match=path):
            act(PIPELINE)
    assert elsewhere.read_bytes() == b""


def test_an_unsafe_file_system_is_refused_before_anything_is_made(tmp_path):
    root = tmp_path / "logs"
    nfs = FileSystem("nfs4", "disk", safe=False)
    with pytest.raises(UnsafeFileSystemError, match=r"nfs4.*--home") as caught:
        Store(str(root), file_system=lambda _: nfs).open_writer(PIPELINE, run=RUN, create=True)
    assert (caught.value.kind, caught.value.path) == ("nfs4", str(root))
    assert not root.exists()
    allowed = Store(str(root), file_system=lambda _: nfs, unsafe_fs=True)
    opened = allowed.open_writer(PIPELINE, run=RUN, create=True)
    assert opened.records[0].data["file_system"] == "nfs4"
    opened.writer.close()
    with pytest.raises(UnsafeFileSystemError):
        Store(str(root), file_system=lambda _: nfs).open_writer(PIPELINE, run=RUN)


def test_the_real_file_system_of_a_folder_is_known(tmp_path):
    writer = Store(str(tmp_path / "logs")).open_writer(PIPELINE, run=RUN, create=True)
    assert writer.records[0].data["durability"] in ("disk", "process")
    assert writer.records[0].data["file_system"]
    writer.writer.close()


# -- what any disk owes, simulated or real --------------------------------------------------------------------


@pytest.fixture(params=["simulated", "posix"])
def storage_and_folder(request, tmp_path):
    if request.param == "posix":
        return PosixStorage(), str(tmp_path)
    disk = SimDisk()
    disk.make_dir("/folder")
    return disk, "/folder"


def test_a_disk_appends_reads_and_truncates(storage_and_folder):
    storage, folder = storage_and_folder
    path = os.path.join(folder, "a")
    with pytest.raises(FileNotFoundError):
        storage.open_log(path, create=False)
    file = storage.open_log(path, create=True)
    assert (file.append(b"one"), file.append(b"two"), file.size_bytes()) == (3, 3, 6)
    assert b"".join(file.pieces()) == b"".join(storage.pieces(path)) == b"onetwo"
    assert b"".join(file.pieces(2)) == b"".join(storage.pieces(path, 2)) == b"etwo"
    assert list(file.pieces(6)) == []
    file.truncate(4)
    file.append(b"!")
    file.sync()
    file.drop_cache()
    assert b"".join(storage.open_log(path, create=True).pieces()) == b"onet!"
    file.close()


def test_a_disk_locks_a_file_for_one_handle(storage_and_folder):
    storage, folder = storage_and_folder
    first, second = (storage.open_log(os.path.join(folder, "a"), create=True) for _ in range(2))
    assert (first.try_lock(), second.try_lock(), first.try_lock()) == (True, False, True)
    second.close()
    third = storage.open_log(os.path.join(folder, "a"), create=False)
    assert not third.try_lock()
    first.close()
    assert third.try_lock()
    third.close()


def test_a_disk_replaces_a_file_and_tells_the_old_one_from_the_new(storage_and_folder):
    storage, folder = storage_and_folder
    path = os.path.join(folder, "a")
    assert storage.signature(path) is None
    file = storage.open_log(path, create=True)
    before = storage.signature(path)
    file.append(b"x")
    grown = storage.signature(path)
    assert grown != before
    storage.write_new(path + ".new", b"y")
    assert storage.names(folder) == ["a", "a.new"]
    storage.rename(path + ".new", path)
    storage.sync_dir(folder)
    assert storage.names(folder) == ["a"]
    assert storage.signature(path).identity != grown.identity
    assert file.size_bytes() is None
    assert b"".join(storage.pieces(path)) == b"y"
    file.close()


def test_a_disk_makes_folders_once_and_lists_nothing_where_there_is_none(storage_and_folder):
    storage, folder = storage_and_folder
    inside = os.path.join(folder, "b")
    assert storage.names(inside) == []
    storage.make_dir(inside)
    storage.make_dir(inside)
    assert (storage.names(folder), storage.names(inside)) == (["b"], [])
    with pytest.raises(FileNotFoundError):
        storage.sync_dir(os.path.join(folder, "c"))
    with pytest.raises(FileNotFoundError):
        list(storage.pieces(os.path.join(folder, "c")))


# -- real processes ------------------------------------------------------------------------------------------

WRITE = """
import sys
from eventlog.store import Store
store = Store(sys.argv[1])
writer = store.open_writer(sys.argv[2], run="01", create=True).writer
print("open", flush=True)
while line := sys.stdin.readline():
    records = writer.append([("test.happened", {"text": "x" * int(line)})] * 2, run="01")
    print(records[-1].seq, flush=True)
writer.close()
"""


def start(code: str, *args: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def test_of_two_processes_the_second_is_refused_after_half_a_second_of_waiting(tmp_path):
    with start(WRITE, str(tmp_path), PIPELINE) as first:
        assert first.stdout.readline() == "open\n"
        waited: list[float] = []
        with pytest.raises(LogLockedError):
            Store(str(tmp_path), sleep=waited.append).open_writer(PIPELINE, run=RUN)
        assert sum(waited) == pytest.approx(0.5)
        os.kill(first.pid, signal.SIGSTOP)
        with pytest.raises(LogLockedError):
            Store(str(tmp_path)).open_writer(PIPELINE, run=RUN)
        os.kill(first.pid, signal.SIGKILL)
    Store(str(tmp_path)).open_writer(PIPELINE, run=RUN).writer.close()


def test_a_file_size_limit_acts_like_a_full_disk(tmp_path):
    """A real short write: the system takes a part of the batch, and the log still opens with all before it."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    with start(WRITE, str(tmp_path), PIPELINE, preexec_fn=limit, stderr=subprocess.PIPE) as process:
        out, err = process.communicate("100\n" * 10)
    assert "LogStorageError" in err
    acknowledged = int(out.split()[-1])
    opened = Store(str(tmp_path)).open_writer(PIPELINE, run=RUN)
    assert len(opened.records) == acknowledged > 3
    opened.writer.append([EVENT], run=RUN)
    opened.writer.close()


UNWRITABLE = """
import os, sys
from eventlog.errors import LogStorageError
from eventlog.store import Store
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Store(sys.argv[1]).open_writer("abc", run="01", create=True)
except LogStorageError as error:
    print(error)
"""


def test_a_folder_that_may_not_be_written_is_a_storage_error(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    folder.chmod(0o555)
    with start(UNWRITABLE, str(folder / "logs"), cwd=os.path.dirname(os.path.dirname(__file__))) as process:
        out, _ = process.communicate()
    assert "permission" in out.lower()
    assert list(folder.iterdir()) == []


class Rewritten(SimDisk):
    """A disk of which one reading sees half of an old tail and half of a new one."""

    def pieces(self, path: str, offset: int = 0):
        content = b"".join(super().pieces(path, offset))
        if path.endswith(".jsonl") and self.mixed:
            self.mixed = False
            content = content[:-40] + b"old tail" + content[-32:]
        yield content


def test_damage_that_is_not_there_at_a_second_look_is_a_writer_at_work():
    disk = Rewritten()
    disk.mixed = False
    store = store_on(disk)
    written(store)
    for mixed, tail in ((True, Tail.TORN), (False, Tail.CLEAN)):
        disk.mixed = mixed
        assert store.stream(PIPELINE).verdict.tail is tail
    disk.mixed = True
    assert store.read(PIPELINE).verdict.tail is Tail.CLEAN


def test_a_writer_that_is_dead_keeps_no_head_over_a_newer_one(disk):
    store = store_on(disk)
    first = store.open_writer(PIPELINE, run=RUN, create=True).writer
    disk.faults = {disk.operations: "fail"}
    with pytest.raises(LogStorageError):
        first.append([EVENT], run=RUN)
    first.close()
    second = store.open_writer(PIPELINE, run="02").writer
    second.append([EVENT], run="02")
    store.keep_head(second)
    with pytest.raises(WriterDeadError):
        store.keep_head(first)
    assert store.read_head(PIPELINE) == second.head
    second.close()


class ReplacedFile(PosixLogFile):
    """A log in whose place another one is put just before it is locked, once."""

    replacements = 1

    def try_lock(self) -> bool:
        if ReplacedFile.replacements and os.path.getsize(self._path):
            ReplacedFile.replacements -= 1
            with open(self._path, "rb") as file:
                content = file.read()
            with open(self._path + ".new", "wb") as file:
                file.write(content)
            os.replace(self._path + ".new", self._path)
        return super().try_lock()


class ReplacingStorage(PosixStorage):
    def open_log(self, path: str, *, create: bool) -> PosixLogFile:
        return ReplacedFile(path, create=create)


def test_a_log_that_is_replaced_before_it_is_locked_is_locked_again_where_it_is_now(tmp_path):
    written(store_on(PosixStorage(), str(tmp_path)))
    store = store_on(ReplacingStorage(), str(tmp_path))
    writer = store.open_writer(PIPELINE, run=RUN).writer
    assert ReplacedFile.replacements == 0
    assert writer.append([EVENT], run=RUN)[0].seq == 4
    writer.close()
    assert store.read(PIPELINE).verdict.seq == 4

"""Archives: a sealed log goes into one and comes back byte for byte, whatever stops it, and is read there.

The invariants I1–I8 are those of proofs/lives.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from eventlog import compression
from eventlog.compression import BadFrameError, compress, decompress
from eventlog.errors import (
    CorruptLogError,
    LogGoneError,
    LogLockedError,
    LogNotFoundError,
    LogStorageError,
    NotArchivedError,
)
from eventlog.follow import Follower
from eventlog.packing import pack, unpack
from eventlog.reader import Head, Tail, scan
from eventlog.storage import LogFile, PosixStorage, Signature
from eventlog.store import Store
from proofs.simfs import FILLS, MODES, CrashError, SimDisk
from tests.support.logs import PIPELINE, RUN, chain, store_on

EVENT = ("test.happened", {"n": 1, "text": "Zoë \u2028 }\n"})
GOLDEN = sorted(Path(__file__).parent.glob("golden/*/*.jsonl"))


def sealed(store: Store, events: int = 3) -> bytes:
    """Write a sealed log and return its bytes."""
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    for _ in range(events):
        opened.writer.append([EVENT], run=RUN)
    store.seal(opened.writer, run=RUN)
    opened.writer.close()
    return read(store)


def read(store: Store) -> bytes:
    """Return the log's bytes as a reader gets them, wherever they lie."""
    return b"".join(store._pieces(store._place(PIPELINE)))


def archive_of(store: Store) -> str:
    return store._place(PIPELINE).archive


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk(choose=random.Random(7).randrange)


@pytest.fixture
def store(disk: SimDisk) -> Store:
    return store_on(disk)


@pytest.fixture
def real(tmp_path: Path) -> Store:
    return store_on(PosixStorage(), str(tmp_path / "logs"))


def test_an_archived_log_comes_back_byte_for_byte_and_is_read_there_as_before(real: Store) -> None:
    log = sealed(real, 300)
    before = real.read(PIPELINE)
    saved = real.archive(PIPELINE)
    archive = Path(archive_of(real))
    assert (saved.log_bytes, saved.archive_bytes) == (len(log), archive.stat().st_size)
    assert saved.log_bytes > 5 * saved.archive_bytes
    assert real.is_archived(PIPELINE)
    assert sorted(path.name for path in archive.parent.iterdir()) == [f"{PIPELINE}.head", f"{PIPELINE}.jsonl.zst"]
    after = real.read(PIPELINE)
    assert (after.records, after.verdict) == (before.records, before.verdict)
    assert (real.path(PIPELINE), real.pipelines(), real.findings(PIPELINE)) == (str(archive), [PIPELINE], [])
    assert not real.has_unrecorded(PIPELINE)
    assert real.signature(PIPELINE) is not None
    assert real.unarchive(PIPELINE)
    assert (read(real), Path(real.path(PIPELINE)).read_bytes()) == (log, log)
    assert not real.unarchive(PIPELINE)
    assert not archive.exists()


def test_opening_an_archived_log_puts_it_back_and_goes_on(store: Store, disk: SimDisk) -> None:
    log = sealed(store)
    store.archive(PIPELINE)
    opened = store.open_writer(PIPELINE, run="02")
    opened.writer.append([EVENT], run="02")
    assert not disk.holds(archive_of(store))
    assert read(store).startswith(log)
    assert [record.seq for record in store.read(PIPELINE).records] == [*range(1, 7)]


def test_trying_changes_nothing(store: Store, disk: SimDisk) -> None:
    sealed(store)
    before = disk.state()
    assert store.archive(PIPELINE, only_try=True).log_bytes
    assert disk.state() == before


def test_a_log_that_is_not_sealed_is_not_archived(store: Store) -> None:
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    opened.writer.append([("log.sealed", {}), EVENT], run=RUN)
    opened.writer.close()
    with pytest.raises(NotArchivedError, match="not finished"):
        store.archive(PIPELINE)
    assert not store.is_archived(PIPELINE)


def test_a_log_in_use_is_not_archived(store: Store) -> None:
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    store.seal(opened.writer, run=RUN)
    with pytest.raises(LogLockedError):
        store.archive(PIPELINE)


def test_what_is_not_there_or_archived_already_is_said_to_be_so(store: Store, disk: SimDisk) -> None:
    with pytest.raises(LogNotFoundError):
        store.archive(PIPELINE)
    assert not store.unarchive(PIPELINE)
    sealed(store)
    store.archive(PIPELINE)
    with pytest.raises(NotArchivedError, match="it is already"):
        store.archive(PIPELINE)
    disk.remove(archive_of(store))
    for act in (store.archive, store.read):
        with pytest.raises(LogGoneError):
            act(PIPELINE)


@pytest.mark.parametrize("harm", ["a byte", "its end", "a line"])
def test_a_damaged_log_is_not_archived(store: Store, disk: SimDisk, harm: str) -> None:
    log = sealed(store)
    path, lines = store.path(PIPELINE), log.splitlines(keepends=True)
    harmed = {"a byte": log.replace(b"Zo", b"So"), "its end": b"".join(lines[:-1]), "a line": b"".join(lines[1:])}
    disk.overwrite(path, harmed[harm])
    with pytest.raises(CorruptLogError):
        store.archive(PIPELINE)
    assert disk.content(path) == harmed[harm]


def test_a_log_whose_sum_is_wrong_is_not_archived_though_the_next_record_vouches_for_it(store: Store, disk) -> None:
    lines = chain([1] * 3)
    lines[0] = lines[0][:-19] + b"0" * 16 + lines[0][-3:]
    odd = lines[0] + b"".join(rechained(lines))
    _, verdict = scan([odd], PIPELINE)
    assert verdict.tail is Tail.CLEAN
    sealed(store)
    disk.overwrite(store.path(PIPELINE), odd)
    disk.remove(store._place(PIPELINE).head)
    with pytest.raises(NotArchivedError, match="byte for byte"):
        store.archive(PIPELINE)
    assert disk.content(store.path(PIPELINE)) == odd


def rechained(lines: list[bytes]) -> list[bytes]:
    """Return the lines behind the first one, chained to it as it is now."""
    import hashlib

    prev, made = hashlib.sha256(lines[0]).hexdigest().encode(), []
    for number, line in enumerate(lines[1:], 2):
        body = line[: -len(',"prev":"","sum":""}\n') - 80]
        if number == len(lines):
            body = body.replace(b"test.happened", b"log.sealed")
        begin = body + b',"prev":"' + prev + b'"'
        made.append(begin + b',"sum":"' + hashlib.sha256(begin).hexdigest()[:16].encode() + b'"}\n')
        prev = hashlib.sha256(made[-1]).hexdigest().encode()
    return made


def test_a_log_with_something_set_aside_that_it_does_not_name_is_not_archived(store: Store, disk: SimDisk) -> None:
    sealed(store)
    disk.write_new(os.path.join(os.path.dirname(store.path(PIPELINE)), f"{PIPELINE}.torn-7-{'0' * 16}"), b"half")
    with pytest.raises(NotArchivedError, match="set aside"):
        store.archive(PIPELINE)


def test_a_log_of_which_only_a_bomb_has_the_shape_is_not_archived(store: Store) -> None:
    opened = store.open_writer(PIPELINE, run=RUN, create=True)
    opened.writer.append([("test.happened", {"text": "a" * 60_000})] * 40, run=RUN)
    store.seal(opened.writer, run=RUN)
    opened.writer.close()
    with pytest.raises(NotArchivedError, match="256 times"):
        store.archive(PIPELINE)


# Crashes


def archive(store: Store) -> None:
    store.archive(PIPELINE)


def unarchive(store: Store) -> None:
    store.unarchive(PIPELINE)


def go_on(store: Store) -> None:
    opened = store.open_writer(PIPELINE, run="02")
    opened.writer.append([EVENT], run="02")
    store.seal(opened.writer, run="02")
    opened.writer.close()


def begun(act: Callable[[Store], None], choose: Callable[[int], int]) -> tuple[SimDisk, bytes]:
    """Return a settled disk on which something can be done, and the log."""
    disk = SimDisk(choose=choose)
    log = sealed(store_on(disk), 2)
    if act is not archive:
        archive(store_on(disk))
    assert disk.is_settled()
    return disk, log


def require_whole(disk: SimDisk, log: bytes, act: Callable[[Store], None]) -> None:
    """The log is read whole, and all that can be done next ends well, on a disk of its own each."""
    found = read(store_on(disk))
    assert found == log or (act is go_on and found.startswith(log))
    assert store_on(disk).read(PIPELINE).verdict.tail in (
        {Tail.CLEAN} if act is not go_on else {*Tail} - {Tail.CORRUPT}
    )
    for after in (archive, unarchive, go_on):
        went_on = disk.snapshot()
        with contextlib.suppress(NotArchivedError):
            after(store_on(went_on))
        assert read(store_on(went_on)).startswith(log)
        assert store_on(went_on).read(PIPELINE).verdict.tail in {Tail.CLEAN, Tail.TORN, Tail.UNTERMINATED}
        if after is go_on:  # what an opening that was cut short set aside is named by the next one
            assert store_on(went_on).findings(PIPELINE) == []
        if after is archive and found == log:
            assert not went_on.holds(store_on(went_on)._place(PIPELINE).log)
        if after is go_on:
            assert not went_on.holds(archive_of(store_on(went_on)))
            archive(store_on(went_on))
            assert read(store_on(went_on)).startswith(log)


@pytest.mark.parametrize("act", [archive, unarchive, go_on])
def test_a_crash_at_any_step_loses_nothing_and_the_next_command_goes_on(act: Callable[[Store], None]) -> None:
    """Also one in the middle of going on, and whatever the medium had taken by then."""
    rng = random.Random(11)
    disk, log = begun(act, rng.randrange)
    steps = disk.snapshot()
    act(store_on(steps))
    assert steps.operations > (6 if act is go_on else 5)
    # Stale bytes behind what was synced may read as damage: docs/format.md, C8. They can't harm an archive.
    fills = FILLS if act is not go_on else ("nul",)
    for at, mode, fill in itertools.product(range(steps.operations + 1), MODES, fills):
        crashed = disk.snapshot()
        crashed.faults = {at: "crash"}
        with contextlib.suppress(CrashError):
            act(store_on(crashed))
        crashed.crash(mode, fill)
        require_whole(crashed, log, act)
        again = crashed.snapshot()
        again.faults = {rng.randrange(8): "crash"}
        with contextlib.suppress(CrashError, NotArchivedError):
            act(store_on(again))
        again.crash(rng.choice(MODES))
        require_whole(again, log, act)


@pytest.mark.parametrize("act", [archive, unarchive])
@pytest.mark.parametrize("fault", ["fail", "late", "short", "full"])
def test_an_error_at_any_step_loses_nothing_and_is_reported(act: Callable[[Store], None], fault: str) -> None:
    rng = random.Random(12)
    disk, log = begun(act, rng.randrange)
    steps = disk.snapshot()
    act(store_on(steps))
    fired = 0
    for at, mode in itertools.product(range(steps.operations), MODES):
        faulty = disk.snapshot()
        faulty.faults = {at: fault}
        try:
            act(store_on(faulty))
        except LogStorageError:
            fired += 1
        else:
            assert not faulty.fired
        faulty.capacity_bytes = None
        require_whole(faulty, log, act)
        faulty.crash(mode)
        require_whole(faulty, log, act)
    assert fired >= len(MODES)


@pytest.mark.parametrize("act", [archive, unarchive])
def test_a_read_that_fails_loses_nothing(act: Callable[[Store], None]) -> None:
    disk, log = begun(act, lambda _: 0)
    steps = disk.snapshot()
    act(store_on(steps))
    for at in range(steps.reads):
        faulty = disk.snapshot()
        faulty.bad_reads = frozenset({at})
        with contextlib.suppress(LogStorageError, CorruptLogError):
            act(store_on(faulty))
        faulty.bad_reads = frozenset()
        require_whole(faulty, log, act)


def test_a_log_beside_its_archive_counts_and_the_next_archiving_finishes(store: Store, disk: SimDisk) -> None:
    log = sealed(store)
    older = pack(b"".join(log.splitlines(keepends=True)[:2]), store.read(PIPELINE).records and _head_of(log, 2))
    disk.write_new(archive_of(store), older)
    assert read(store) == log
    assert store.findings(PIPELINE) == []
    undone = store_on(disk.snapshot())
    assert undone.unarchive(PIPELINE)
    assert (read(undone), undone._storage.signature(archive_of(undone))) == (log, None)
    store.archive(PIPELINE)
    assert (read(store), store.is_archived(PIPELINE)) == (log, True)


def _head_of(log: bytes, seq: int) -> Head:
    records, _ = scan([log], PIPELINE)
    return Head(seq, records[seq - 1].line_sha256)


def test_an_archive_that_contradicts_its_log_stops_every_writer_and_none_is_deleted(store: Store, disk) -> None:
    log = sealed(store)
    other = sealed(elsewhere := store_on(SimDisk()), 9)
    elsewhere.archive(PIPELINE)
    assert other != log
    for stranger in (pack(other, _head_of(other, 11)), b"no archive", b""):
        disk.write_new(archive_of(store), stranger)
        assert read(store) == log
        assert "lies beside the log" in store.findings(PIPELINE)[0]
        for act in (archive, go_on):
            with pytest.raises(CorruptLogError, match="lies beside the log"):
                act(store)
        assert (disk.content(store.path(PIPELINE)), disk.content(archive_of(store))) == (log, stranger)
        disk.remove(archive_of(store))
    store.archive(PIPELINE)


# Hostile and damaged archives


def test_no_flipped_bit_of_an_archive_gives_another_log(store: Store, disk: SimDisk) -> None:
    """I6, over every bit: what is read is the log, or an error; and no writer replaces a damaged archive."""
    log = sealed(store, 1)
    store.archive(PIPELINE)
    path, good = archive_of(store), disk.content(archive_of(store))
    refused = 0
    for place, bit in itertools.product(range(len(good)), range(8)):
        bad = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
        disk.overwrite(path, bad)
        try:
            assert read_strictly(store, log) == log
        except CorruptLogError:
            refused += 1
    assert refused > 7.9 * len(good)
    with pytest.raises(CorruptLogError):
        store.open_writer(PIPELINE, run=RUN, create=True)
    assert disk.content(path) == bad
    assert not disk.holds(store._place(PIPELINE).log)


def read_strictly(store: Store, log: bytes) -> bytes:
    """Return the log of an archive; what is yielded before an error must be its beginning."""
    got = b""
    with store._reading(store._place(PIPELINE)):
        for piece in store._pieces(store._place(PIPELINE)):
            got += piece
            assert log.startswith(got)
    return got


def test_a_changed_record_is_refused_though_its_frame_is_whole_and_those_before_it_are_shown(
    store: Store, disk
) -> None:
    """What a checksum of four bytes may miss: 32 bytes of each line's `sum` and of the head stand behind it."""
    log = sealed(store, 5)
    store.archive(PIPELINE)
    content = b"".join(decompress([disk.content(archive_of(store))]))
    lines = content.splitlines(keepends=True)
    for number in range(1, len(lines)):
        changed = [*lines[:number], lines[number].replace(b'"seq":', b'"sea":'), *lines[number + 1 :]]
        disk.overwrite(archive_of(store), compress(b"".join(changed)))
        with pytest.raises(CorruptLogError, match=f"record {number} was changed"):
            read_strictly(store, log)
        seen = []
        with pytest.raises(CorruptLogError):
            seen += [seen.append(record) for record in store.stream(PIPELINE)]
        assert [record.seq for record in seen] == [*range(1, number)]
    for fewer in (lines[:-1], lines[:1] + lines[2:], lines[:1]):
        disk.overwrite(archive_of(store), compress(b"".join(fewer)))
        with pytest.raises(CorruptLogError, match=r"first line|changed"):
            read_strictly(store, log)


def test_an_archive_cut_at_any_byte_is_refused(store: Store, disk: SimDisk) -> None:
    sealed(store, 1)
    store.archive(PIPELINE)
    good = disk.content(archive_of(store))
    for size in range(len(good)):
        disk.overwrite(archive_of(store), good[:size])
        for act in (store.read, store.unarchive):
            with pytest.raises(CorruptLogError, match="can't be read"):
                act(PIPELINE)


def frame_of(content: bytes, *, checksum: bool = True, size: bool = True, window_log: int = 0) -> bytes:
    options: dict[int, int] = {
        zstd.CompressionParameter.checksum_flag: int(checksum),
        zstd.CompressionParameter.content_size_flag: int(size),
    }
    if window_log:
        options[zstd.CompressionParameter.window_log] = window_log
    if window_log or not size:  # in pieces, so that the whole length isn't known
        compressor = zstd.ZstdCompressor(options=options)
        return b"".join([compressor.compress(content), compressor.flush()])
    return zstd.compress(content, options=options)


LINE = b'{"v":1}\n'


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (b"", "no zstd frame"),
        (b"\x28\xb5\x2f\xfd", "no zstd frame"),
        (b'{"v":1,"seq":1}\n', "no zstd frame"),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + frame_of(LINE), "no zstd frame"),
        (frame_of(LINE) + b"\n", "something follows"),
        (frame_of(LINE) * 2, "something follows"),
        (frame_of(LINE, checksum=False), "no checksum"),
        (frame_of(LINE, size=False), "how long"),
        (frame_of(bytes(100_000_000)), "longer than any record"),
        (frame_of(b""), "first line"),
        (frame_of(LINE * 9), "record 1 was changed"),
        (frame_of(b'{"seq":1,"sha256":"' + b"0" * 64 + b'"}\n'), "first line"),
        (frame_of(b'{"seq":1,"sha256":"' + b"0" * 64 + b'"}\n' + LINE), "record 1 was changed"),
        (frame_of(b'{"seq":1,"sha256":"' + b"0" * 64 + b'"}\n' + LINE[:-1]), "not whole"),
        (frame_of(random.Random(1).randbytes(3_000_000).replace(b"\n", b"")), "longer than any record"),
        (bytes.fromhex("28b52ffd 27 01020304 04 00".replace(" ", "")) + bytes(9), "dictionary"),
    ],
)
def test_what_is_no_archive_is_refused_and_left_alone(
    store: Store, disk: SimDisk, hostile: bytes, reason: str
) -> None:
    sealed(store)
    store.archive(PIPELINE)
    disk.overwrite(archive_of(store), hostile)
    for act in (store.read, store.unarchive, lambda name: store.open_writer(name, run=RUN)):
        with pytest.raises(CorruptLogError, match=reason):
            act(PIPELINE)
    assert disk.content(archive_of(store)) == hostile
    assert store.pipelines() == [PIPELINE]


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    frame = frame_of(LINE * 10_000_000)
    pieces: list[int] = []
    with pytest.raises(BadFrameError, match="256 times"):
        pieces.extend(map(len, decompress([frame])))
    assert max(pieces) <= 1 << 20
    assert sum(pieces) <= 256 * len(frame) + (1 << 20)


def test_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(BadFrameError, match="checksum"):
        list(decompress([compress(LINE * 5000)[:-4] + b"\0\0\0\0"]))


def test_a_frame_that_needs_much_memory_is_refused() -> None:
    frame = bytearray(frame_of(random.Random(1).randbytes(200_000), window_log=27, size=False))
    with pytest.raises(BadFrameError):
        list(decompress([bytes(frame)]))


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_file_is_not_read_as_an_archive(real: Store, kind: str, tmp_path: Path) -> None:
    sealed(real)
    real.archive(PIPELINE)
    archive = Path(archive_of(real))
    kept = shutil.move(archive, tmp_path / "kept")
    {"symlink": lambda: archive.symlink_to(kept), "fifo": lambda: os.mkfifo(archive), "folder": archive.mkdir}[
        kind
    ]()
    for act in (real.read, real.archive, real.unarchive, lambda name: real.open_writer(name, run=RUN, create=True)):
        with pytest.raises((LogStorageError, NotArchivedError)):
            act(PIPELINE)
    assert not os.path.lexists(real._place(PIPELINE).log)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 9))
def test_a_frame_is_the_same_in_whatever_pieces_it_comes_behind_its_header(parts: list[bytes], size: int) -> None:
    content = b"".join(parts) * 50
    frame = compress(content)
    pieces = [frame[:18], *(frame[at : at + size] for at in range(18, len(frame), size))]
    assert b"".join(decompress(pieces)) == content


@pytest.mark.parametrize("path", GOLDEN, ids=[path.parent.name for path in GOLDEN])
def test_logs_of_every_release_come_back_byte_for_byte(path: Path) -> None:
    log = path.read_bytes()
    _, verdict = scan([log], path.stem)
    assert verdict.head is not None
    frame = pack(log, verdict.head)
    assert b"".join(unpack([frame])) == log
    assert len(log) > 4 * len(frame)


# Others at the same time


def test_a_follower_goes_on_when_a_log_is_archived_and_put_back(store: Store) -> None:
    sealed(store)
    follower = Follower(store)
    assert [record.seq for record in follower.poll()] == [1, 2, 3, 4, 5]
    store.archive(PIPELINE)
    assert follower.poll() == []
    go_on(store)
    assert [record.seq for record in follower.poll()] == [6, 7]
    store.archive(PIPELINE)
    assert follower.poll() == []
    assert [record.seq for record in Follower(store, newest=2).poll()] == [6, 7]


@pytest.mark.slow
def test_readers_see_the_whole_log_while_it_goes_to_and_fro_and_grows(tmp_path: Path) -> None:
    """I11: never an error, never half a log, never an older one."""
    store = Store(str(tmp_path), unsafe_fs=True)
    sealed(store)
    done = threading.Event()
    problems: list[str] = []
    least = [len(store.read(PIPELINE).records)]

    def look() -> None:
        while not done.is_set():
            known = least[0]
            view = store.read(PIPELINE)
            if len(view.records) < known or view.verdict.tail is Tail.CORRUPT:
                problems.append(f"{len(view.records)} of {known}, {view.verdict.tail}")
            if store.pipelines() != [PIPELINE]:
                problems.append("not listed")

    def reader() -> None:
        try:
            look()
        except Exception as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        store.archive(PIPELINE)
        go_on(store)
        least[0] += 2
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []


CHILD = """
import os, signal, sys
from eventlog.storage import PosixStorage
from eventlog.store import Store

left = int(sys.argv[3])

def dying(name):
    def step(self, *arguments):
        global left
        left -= 1
        if left == 0:
            if name == "write_new":
                with open(arguments[0], "wb") as file:
                    file.write(arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(PosixStorage, name)(self, *arguments)
    return step

names = ("write_new", "rename", "sync_dir", "unlink")
storage = type("Dying", (PosixStorage,), {name: dying(name) for name in names})()
store = Store(sys.argv[1], storage=storage, unsafe_fs=True)
while True:
    store.unarchive(sys.argv[2])
    store.archive(sys.argv[2])
    if left > 0:
        break
"""


def child_of(root: Path, steps: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, str(root), PIPELINE, str(steps)], stderr=subprocess.PIPE)


@pytest.mark.slow
def test_killed_at_each_step_of_archiving_and_of_putting_back_nothing_is_lost(tmp_path: Path) -> None:
    """Real processes, kill -9, half a temporary file among what they leave; the next process goes on from there."""
    store = Store(str(tmp_path), unsafe_fs=True)
    log = sealed(store, 50)
    store.archive(PIPELINE)
    left = set()
    for step in range(1, 40):
        child = child_of(tmp_path, step)
        _, error = child.communicate()
        assert read(store) == log
        left.add(tuple(sorted(path.name.removeprefix(PIPELINE) for path in tmp_path.glob("*/*"))))
        if child.returncode == 0:
            break
        assert child.returncode == -9, error
        go_on(store)
        log = read(store)
        store.archive(PIPELINE)
    assert child.returncode == 0
    assert step > 10
    assert {"".join(names) for names in left} >= {".head.jsonl.zst", ".head.jsonl.jsonl.zst", ".head.jsonl"}


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    store = Store(str(tmp_path), unsafe_fs=True)
    log = sealed(store, 200)
    rng = random.Random()
    for _ in range(10):
        child = child_of(tmp_path, -1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.1 + rng.random() * 0.1)
        child.kill()
        child.communicate()
        assert read(store) == log
    go_on(store)
    assert read(store).startswith(log)


def test_an_opening_that_waits_for_an_archiving_goes_on_behind_it(real: Store, tmp_path: Path) -> None:
    """The writer has the file open that is deleted before it gets the lock: it must find the archive."""
    sealed(real)
    waited: list[float] = []
    held = PosixStorage().open_log(real.path(PIPELINE), create=False)
    assert held.try_lock()

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            held.close()
            real.archive(PIPELINE)

    waiting = Store(str(tmp_path / "logs"), unsafe_fs=True, sleep=sleep)
    opened = waiting.open_writer(PIPELINE, run="02", create=True)
    assert waited
    assert opened.records[-1].seq == 5
    opened.writer.close()


class Meddled(PosixStorage):
    """A disk on which somebody else acts just before a path is looked at, or opened, for the first time."""

    def __init__(self, path: str, act: Callable[[], object]) -> None:
        self.path = path
        self.act: Callable[[], object] | None = act

    def _meddle(self, path: str) -> None:
        if path == self.path and self.act is not None:
            act, self.act = self.act, None
            act()

    def signature(self, path: str) -> Signature | None:
        self._meddle(path)
        return super().signature(path)

    def open_log(self, path: str, *, create: bool) -> LogFile:
        self._meddle(path)
        return super().open_log(path, create=create)


def meddled(store: Store, path: str, act: Callable[[], object]) -> Store:
    return Store(store.root, storage=Meddled(path, act), unsafe_fs=True)


def test_a_log_that_is_put_back_while_it_is_to_be_archived_is_not_called_gone(real: Store) -> None:
    sealed(real)
    real.archive(PIPELINE)
    other = meddled(real, archive_of(real), lambda: real.unarchive(PIPELINE))
    assert other.archive(PIPELINE).log_bytes
    assert real.is_archived(PIPELINE)


def test_a_log_that_is_archived_again_while_it_is_put_back_is_not_called_gone(real: Store) -> None:
    log = sealed(real)
    real.archive(PIPELINE)
    place = real._place(PIPELINE)

    def restored_and_gone() -> None:
        real.unarchive(PIPELINE)
        other._storage.path, other._storage.act = place.log, lambda: real.archive(PIPELINE)

    other = meddled(real, place.archive, restored_and_gone)
    opened = other.open_writer(PIPELINE, run="02")
    assert len(opened.records) == 5
    opened.writer.close()
    assert read(real).startswith(log)


# Dictionaries


def test_every_dictionary_that_was_ever_shipped_is_there_unchanged() -> None:
    """An archive that needs one could otherwise not be read any more. Add a line, never change one."""
    import hashlib

    shipped = {"1814873993.zdict": "d035d09a2dc2b816c01da5b0cdfc1ec62466b3a882fab0c04fe5ae43c68ab85e"}
    folder = Path(compression.__file__).parent / "dictionaries"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.zdict")}
    assert found == shipped
    assert f"{compression.DICTIONARY}.zdict" in found

"""A purge that is killed at every change of the disk, and writers that come in between: whole, or purged."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.lookup import known_pipelines, look_at_all
from eventlog.errors import LogGoneError, LogNotFoundError, LogPurgedError
from eventlog.storage import PosixStorage
from eventlog.store import Store
from pipeline.bundles.form import Limits
from pipeline.bundles.importing import Importing
from pipeline.bundles.unbundling import verify
from pipeline.errors import BundleError
from pipeline.home import Home
from pipeline.upkeep.cleanup import Spared
from pipeline.upkeep.purging import GONE, Purgeable, Purger, settle_purges
from pipeline.upkeep.tombstones import tombstone_of
from projections.cleaning import Rule
from tests.support.cli import ROOT
from tests.support.dying import is_killed
from tests.support.proofs import rarely
from tests.test_import_kills import PIPELINE, make
from tests.test_import_kills import content as all_of

TIME = "2026-11-27T14:00:00.000000Z"
STONE = f"logs/01/{PIPELINE}.purged"


def content(root: Path) -> dict[str, bytes]:
    """Return what counts in a home: not the index, nor what was in the making."""
    return {name: data for name, data in all_of(root).items() if not name.endswith((".tmp", ".sqlite"))}


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A finished pipeline, once salvaged, so that something lies beside its log."""
    root = tmp_path / "start"
    make(root, [b"one", b"two"])
    log = root / "logs" / "01" / f"{PIPELINE}.jsonl"
    log.write_bytes(log.read_bytes() + b'{"v":1,"seq":9')
    make(root, [b"three"], finished=True)
    assert list(root.glob("logs/*/*.torn-*"))
    return root


def purger(root: Path, storage: PosixStorage | None = None) -> Purger:
    store = Store(str(root / "logs"), storage=storage)
    return Purger(Home(root), store, Rule(), "anna", "0", lambda: "run9", lambda: TIME)


def purge(root: Path, bundle: Path | None = None, storage: PosixStorage | None = None) -> list[str | None]:
    one = purger(root, storage)
    offers = [item for item in one.survey([PIPELINE]) if isinstance(item, Purgeable)]
    made = one.bundle(offers, bundle, time.monotonic) if bundle else None
    return [done.spared for done in one.purge(offers, made)]


def store_of(root: Path) -> Store:
    return Store(str(root / "logs"), sleep=lambda seconds: None)


def require_whole_or_purged(root: Path, first: dict[str, bytes]) -> bool:
    """Whoever looks finds all of it, or a tombstone; nobody can begin it anew. Return whether it is purged."""
    found, store = content(root), store_of(root)
    try:
        assert len(list(store.stream(PIPELINE))) > 5
    except LogPurgedError:
        assert STONE in found
        assert tombstone_of(store, PIPELINE) is not None
        assert known_pipelines(store, Home(root)) == []
        assert look_at_all(Home(root)).rows == []
        with pytest.raises(LogPurgedError):
            store.open_writer(PIPELINE, run="run", create=True)
        return True
    assert first.items() <= found.items()
    return False


@pytest.mark.parametrize("bundled", [True, *rarely(False)])
def test_a_purge_that_is_killed_anywhere_is_finished_or_never_was(
    tmp_path: Path, start: Path, bundled: bool
) -> None:
    first, outcomes = content(start), set()
    for step in range(1, 200):
        root, bundle = tmp_path / f"home{step}", tmp_path / f"bundle{step}" if bundled else None
        shutil.copytree(start, root)
        was_killed = is_killed(step, lambda root=root, bundle=bundle: purge(root, bundle))  # type: ignore[misc]
        is_purged = require_whole_or_purged(root, first)
        if bundle is not None and (is_purged or bundle.exists()):
            assert verify(bundle, Limits(), time.monotonic).members[0].pipeline == PIPELINE
        settle_purges(Home(root), store_of(root))
        assert not (root / "purging").exists()
        now = content(root)
        assert set(now) == {STONE} if require_whole_or_purged(root, first) else now == first
        outcomes.add((is_purged, set(now) == {STONE}))
        if bundle is not None and set(now) == {STONE}:
            importing = Importing(Home(root), store_of(root), "anna", lambda: "run3")
            importing.import_(bundle, Limits(), time.monotonic)
            assert content(root) == first
        shutil.rmtree(root)
        if not was_killed:
            assert outcomes >= {(False, False), (False, True), (True, True)}
            return
    raise AssertionError("it was killed each time")


@pytest.mark.parametrize("every", [3, *rarely(1)])
def test_an_import_over_a_tombstone_that_is_killed_anywhere_brings_all_back_or_nothing(
    tmp_path: Path, start: Path, every: int
) -> None:
    first, bundle = content(start), tmp_path / "bundle"
    purge(start, bundle)
    for step in range(1, 200, every):
        root = tmp_path / f"home{step}"
        shutil.copytree(start, root)

        def act(root: Path = root) -> None:
            Importing(Home(root), store_of(root), "anna", lambda: "run3").import_(bundle, Limits(), time.monotonic)

        was_killed = is_killed(step, act)
        Importing(Home(root), store_of(root), "anna", lambda: "run3").settle()
        settle_purges(Home(root), store_of(root))
        if content(root) != first:
            assert set(content(root)) == {STONE}
            assert require_whole_or_purged(root, first)
        act()
        assert content(root) == first
        shutil.rmtree(root)
        if not was_killed:
            return
    raise AssertionError("it was killed each time")


def test_a_pipeline_that_was_put_back_by_hand_is_not_taken_for_a_purge_that_was_cut_short(
    tmp_path: Path, start: Path
) -> None:
    first = content(start)
    shutil.copytree(start, tmp_path / "backup")
    purge(start)
    shutil.copytree(tmp_path / "backup", start, dirs_exist_ok=True)
    settle_purges(Home(start), store_of(start))
    assert first.items() <= content(start).items()
    store_of(start).open_writer(PIPELINE, run="run").writer.close()
    assert STONE not in content(start)
    (start / "logs/01" / f"{PIPELINE}.jsonl").unlink()
    with pytest.raises(LogGoneError):
        store_of(start).open_writer(PIPELINE, run="run", create=True)


def test_a_purge_whose_log_went_on_before_it_was_finished_is_undone(tmp_path: Path, start: Path) -> None:
    """The purge died before it took the log away, and then somebody corrected a name."""
    for step in range(1, 100):
        root = tmp_path / f"home{step}"
        shutil.copytree(start, root)
        is_killed(step, lambda root=root: purge(root))  # type: ignore[misc]
        if (root / STONE).exists():
            break
    assert len(content(root)) > 3
    make(root, [b"four"])
    before = content(root)
    settle_purges(Home(root), store_of(root))
    assert f"purging/{PIPELINE}" in before
    assert content(root) == {name: data for name, data in before.items() if name in content(start) or "/4/" in name}


def test_a_pipeline_that_changed_since_the_question_is_left_alone(start: Path) -> None:
    one = purger(start)
    offers = [item for item in one.survey([PIPELINE]) if isinstance(item, Purgeable)]
    make(start, [b"four"])
    before = content(start)
    assert [done.spared for done in one.purge(offers, None)] == ["it was changed since it was looked at"]
    assert content(start) == before


def test_a_bundle_that_does_not_read_back_stops_the_purge(start: Path, tmp_path: Path) -> None:
    first = content(start)
    with pytest.raises(BundleError):
        purge(start, tmp_path / "no such folder" / "bundle")
    assert content(start) == first


WRITER = """
import sys
from eventlog.errors import LogError
from eventlog.storage import PosixLogFile, PosixStorage
from eventlog.store import Store

class Slow(PosixLogFile):
    def try_lock(self):
        print("opened", flush=True)
        sys.stdin.readline()
        return super().try_lock()

class SlowStorage(PosixStorage):
    def open_log(self, path, *, create):
        return Slow(path, create=create)

try:
    Store(sys.argv[1], storage=SlowStorage()).open_writer(sys.argv[2], run="other", create=True)
    print("wrote", flush=True)
except LogError as error:
    print(type(error).__name__, flush=True)
"""


class Meeting(PosixStorage):
    """A disk on which another process has the log open when it is unlinked."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-c", WRITER, str(root / "logs"), PIPELINE]
        pipe = subprocess.PIPE
        self.other = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={"PYTHONPATH": str(ROOT)})

    def unlink(self, path: str) -> None:
        if path.endswith(".jsonl"):
            assert self.other.stdout is not None
            assert self.other.stdout.readline() == "opened\n"
        super().unlink(path)

    def said(self) -> str:
        """Let the other process try its lock, as often as it wants, and return what it says at the end."""
        out, _ = self.other.communicate("\n" * 40, timeout=60)
        return out.splitlines()[-1]


@pytest.fixture
def meeting(start: Path) -> Iterator[Meeting]:
    made = Meeting(start)
    yield made
    made.other.kill()
    made.other.communicate()


def test_a_writer_that_had_the_log_open_when_it_was_purged_appends_nothing(start: Path, meeting: Meeting) -> None:
    """Its lock is one of a file that is nowhere any more; then it looks again, and finds the tombstone."""
    assert purge(start, storage=meeting) == [None]
    assert meeting.said() == "LogPurgedError"
    assert set(content(start)) == {STONE}


def test_a_log_that_is_being_written_is_not_purged(start: Path) -> None:
    opened = store_of(start).open_writer(PIPELINE, run="run")
    before = content(start)
    assert purge(start) == ["another evt works on it"]
    opened.writer.close()
    assert {name: data for name, data in content(start).items() if "purging" not in name} == before


def test_an_empty_log_beside_a_tombstone_is_no_beginning(start: Path) -> None:
    """An import that was killed leaves one: it only holds the lock."""
    purge(start)
    (start / "logs/01" / f"{PIPELINE}.jsonl").touch()
    with pytest.raises(LogNotFoundError):
        store_of(start).open_writer(PIPELINE, run="run", create=True)
    assert tombstone_of(store_of(start), PIPELINE) is not None


def test_what_another_purge_took_meanwhile_is_called_gone_not_damaged(start: Path) -> None:
    purge(start)
    assert [item.reason for item in purger(start).survey([PIPELINE]) if isinstance(item, Spared)] == [GONE]

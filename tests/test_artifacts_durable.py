"""What the log names is on stable storage under its name: a disk counts what a crash could take back."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventlog.folders import Folders
from eventlog.storage import LogFile, PosixStorage
from pipeline.artifacts import Artifacts
from pipeline.workshop import Workshop
from projections.options import Named
from tests.support.cli import WORDS
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech


class CountingStorage(PosixStorage):
    """The real disk, which knows of each name that no sync of its folder has made durable yet."""

    def __init__(self) -> None:
        self.unsynced: set[str] = set()
        self.syncs: list[str] = []
        self.forgotten: list[str] = []

    def make_dir(self, path: str) -> None:
        if not os.path.isdir(path):
            self.unsynced.add(path)
        super().make_dir(path)

    def rename(self, old: str, new: str) -> None:
        self.unsynced.add(new)
        super().rename(old, new)

    def sync_dir(self, path: str) -> None:
        super().sync_dir(path)
        self.syncs.append(path)
        self.unsynced = {name for name in self.unsynced if os.path.dirname(name) != path}

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        file.append = _watched(file.append, self)  # type: ignore[method-assign] # the file is this one's own
        return file


def _watched(append: Callable[[bytes], int], disk: CountingStorage) -> Callable[[bytes], int]:
    """Note each file that a record names before its name, or a folder's above it, is durable."""

    def watched(data: bytes) -> int:
        named = data.decode()
        for path in disk.unsynced:
            parts = Path(path).parts
            inside = "/".join(parts[parts.index("artifacts") + 2 :]) if "artifacts" in parts else ""
            is_named = f'"path":"{inside}"' in named or f'"path":"{inside}/' in named
            if inside and is_named and not path.endswith(".scratch"):
                disk.forgotten.append(path)
        return append(data)

    return watched


@pytest.fixture
def disk() -> CountingStorage:
    return CountingStorage()


def counted(disk: CountingStorage, tmp_path: Path, names: Sequence[str]) -> Workshop:
    (tmp_path / "out").mkdir()
    shop = make_shop(tmp_path / "home", disk, folders=Folders(disk))
    script = write_script(tmp_path / "script.toml", words=WORDS, chunk_s="[2.0, 3.0]")
    for number, name in enumerate(names):
        speech = write_speech(tmp_path / f"{name}.wav", 8.0, number)
        result, _ = run_once(shop, speech, tmp_path / "out", Named(scripted(script)))
        assert result is not None
        assert result.outcome == "completed"
    return shop


def test_no_record_names_a_file_whose_name_a_crash_could_take_back(disk: CountingStorage, tmp_path: Path) -> None:
    counted(disk, tmp_path, ["one", "two"])
    assert disk.forgotten == []
    assert {path for path in disk.unsynced if not path.endswith(".scratch")} == set()


def test_a_second_recording_does_not_sync_again_what_lies_above_the_pipelines(
    disk: CountingStorage, tmp_path: Path
) -> None:
    counted(disk, tmp_path, ["one", "two"])
    home = tmp_path / "home"
    above = [path for path in disk.syncs if Path(path) == home or Path(path) in home.parents]
    # Those of the logs and those of the artifacts are known apart.
    assert len(above) == 2 * len({*above})
    assert disk.syncs.count(str(home / "artifacts")) == 2


def test_files_of_one_attempt_that_are_stored_together_share_the_sync_of_their_folder(
    disk: CountingStorage, tmp_path: Path
) -> None:
    folder = Artifacts(tmp_path / "files", Folders(disk)).attempt("export", 1)
    first = folder.put_bytes("a", b"a")
    disk.syncs.clear()
    refs = folder.put_all({"b": b"b", "c": b"c", "d": b"dd"})
    assert disk.syncs == [str(folder.path)]
    assert [ref.path for ref in (first, *refs)] == [f"export/1/{name}" for name in "abcd"]
    assert [ref.size_bytes for ref in refs] == [1, 1, 2]


def test_a_folder_is_synced_once_and_again_when_it_is_another_one(disk: CountingStorage, tmp_path: Path) -> None:
    folders, path = Folders(disk), tmp_path / "a" / "b"
    folders.make(str(path))
    disk.syncs.clear()
    folders.make(str(path))
    assert disk.syncs == []
    path.rename(tmp_path / "a" / "old")
    path.mkdir()
    folders.make(str(path))
    assert disk.syncs == [str(path.parent)]


def test_a_folder_that_somebody_else_made_is_synced(disk: CountingStorage, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    Folders(disk).make(str(tmp_path / "a" / "b"))
    assert disk.syncs[-2:] == [str(tmp_path), str(tmp_path / "a")]


def test_what_is_forgotten_is_synced_again_and_its_neighbour_is_not(disk: CountingStorage, tmp_path: Path) -> None:
    folders = Folders(disk)
    for name in ("a/b", "ab"):
        folders.make(str(tmp_path / name))
    folders.forget(str(tmp_path / "a"))
    disk.syncs.clear()
    folders.make(str(tmp_path / "ab"))
    assert disk.syncs == []
    folders.make(str(tmp_path / "a" / "b"))
    assert disk.syncs == [str(tmp_path), str(tmp_path / "a")]


def test_the_memory_of_folders_is_bounded(disk: CountingStorage, tmp_path: Path) -> None:
    folders = Folders(disk)
    for number in range(1100):
        folders.make(str(tmp_path / str(number)))
    assert len(folders._durable) <= 1000


class SyncedAlready(PosixStorage):
    """A disk without the waits, so that threads meet where they share something."""

    def sync_dir(self, path: str) -> None:
        pass


def test_threads_remember_and_forget_their_folders_side_by_side(tmp_path: Path) -> None:
    folders = Folders(SyncedAlready())

    def work(name: int) -> None:
        for number in range(300):
            pipeline = str(tmp_path / f"{name}" / f"{number}")
            folders.forget(pipeline)
            for stage in "abcde":
                folders.make(os.path.join(pipeline, stage))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    finally:
        sys.setswitchinterval(interval)

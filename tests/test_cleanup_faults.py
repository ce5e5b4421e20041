"""A cleanup that is killed, hindered, deceived or not alone: the log and the disk agree at the next look."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventlog.storage import PosixStorage
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.home import Home
from pipeline.upkeep.cleanup import (
    BUSY,
    CLEANUP,
    LEFT,
    MAKING,
    TEMPORARY_AGE_S,
    Cleaner,
    Done,
    Offer,
    _events,
    free_bytes,
    remove_temporary,
    temporary,
)
from pipeline.upkeep.removing import Lying
from projections.cleaning import Rule
from projections.events import ArtifactErased, to_data
from projections.fold import fold, initial_state
from projections.options import Named
from projections.state import PipelineState
from tests.support.cli import WORDS
from tests.support.shop import Crash, DyingStorage, make_shop, run_once, scripted, write_script, write_speech

NOBODY = 65534
EFFECTS = {"os.remove", "os.rename"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished pipeline."""
    folder = tmp_path_factory.mktemp("done")
    script = write_script(folder / "script.toml", words=WORDS, chunk_s="[2.0, 3.0]")
    recording = write_speech(folder / "talk.wav", 8.0)
    run_once(make_shop(folder / "home"), recording, folder, Named(options=scripted(script)))
    return folder / "home"


@pytest.fixture
def home(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "home")
    return tmp_path / "home"


def cleaner(home: Path, storage: PosixStorage | None = None, **rule: Any) -> Cleaner:
    store = Store(str(home / "logs"), storage=storage, sleep=lambda seconds: None)
    return Cleaner(Home(home), store, Rule(**rule), "anna", CLEANUP, lambda: "run00000000000000000000001")


def offers(home: Path, **rule: Any) -> list[Offer]:
    one = cleaner(home, **rule)
    return [found for found in one.survey(one.store.pipelines()) if isinstance(found, Offer) and found.candidates]


def clean(home: Path, storage: PosixStorage | None = None) -> list[Done]:
    return [cleaner(home, storage).clean(offer) for offer in offers(home)]


def state_of(home: Path) -> PipelineState:
    store = Store(str(home / "logs"))
    (pipeline,) = store.pipelines()
    return fold(initial_state(pipeline), store.stream(pipeline))


def folder_of(home: Path) -> Path:
    return Home(home).artifacts(state_of(home).pipeline_id)


def there(home: Path) -> set[str]:
    return {str(path.relative_to(folder_of(home))) for path in folder_of(home).rglob("*") if path.is_file()}


def require_believed(home: Path) -> None:
    """Whatever the log doesn't say is gone is there and whole."""
    state = state_of(home)
    artifacts = Artifacts(Home(home).artifacts(state.pipeline_id))
    assert state.findings == ()
    assert all(artifacts.is_whole(ref) for ref in state.artifacts if ref.path not in state.erased)


def dies_at(number: int, work: Callable[[], object]) -> bool:
    """Do something in a process that is killed at its n-th effect on the disk; say whether it got that far."""
    if (pid := os.fork()) == 0:
        left = number

        def watch(event: str, args: object) -> None:
            nonlocal left
            if event in EFFECTS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(watch)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_a_cleanup_that_is_killed_anywhere_is_finished_by_the_next_one(done: Path, tmp_path: Path) -> None:
    """At every effect on the disk: what is recorded as gone goes, and is counted by whoever removes it."""
    number, before = 0, there(done)
    goes = sum(len(offer.candidates) for offer in offers(done))
    died = True
    while died:
        number += 1
        home = tmp_path / str(number)
        shutil.copytree(done, home)
        died = dies_at(number, lambda home=home: clean(home))
        require_believed(home)
        removed = len(before) - len(there(home))
        second = clean(home)
        assert removed + sum(item.files for item in second) == goes
        assert not any(item.failures for item in second)
        require_believed(home)
        assert not state_of(home).erased & there(home)
        assert state_of(home).sealed or removed == 0
        assert offers(home) == []
        shutil.rmtree(home)
    assert number > goes


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("mode", ["before", "torn", "after"])
def test_a_log_that_dies_under_a_cleanup_loses_no_file_that_it_believes_in(home: Path, at: int, mode: str) -> None:
    with pytest.raises(Crash):
        clean(home, DyingStorage(at, mode))
    require_believed(home)
    assert sum(item.files for item in clean(home)) == 5
    require_believed(home)
    assert offers(home) == []


def test_nothing_is_removed_that_the_log_does_not_name_first(home: Path) -> None:
    with pytest.raises(Crash):
        clean(home, DyingStorage(1, "before"))
    assert state_of(home).erased == frozenset()
    require_believed(home)


def test_two_cleanups_at_once_remove_each_file_once(home: Path) -> None:
    before = there(home)
    offered = offers(home)
    done: list[Done] = []
    threads = [
        threading.Thread(target=lambda: done.extend(cleaner(home).clean(offer) for offer in offered))
        for _ in "12345"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(item.files for item in done) == len(before) - len(there(home)) == 5
    assert {item.spared for item in done} <= {None, BUSY}
    assert [item.failures for item in done] == [()] * 5
    erased = [
        r for r in Store(str(home / "logs")).stream(state_of(home).pipeline_id) if r.type == ArtifactErased.type
    ]
    assert len(erased) == 1


def test_a_pipeline_that_a_run_works_on_is_left_alone(home: Path) -> None:
    (offer,) = offers(home)
    writer = Store(str(home / "logs")).open_writer(offer.pipeline, run="run").writer
    before = there(home)
    assert [item.spared for item in clean(home)] == [BUSY]
    (folder_of(home) / "merge/1/.scratch").mkdir()
    (folder_of(home) / "merge/1/.scratch/half").write_bytes(b"half")
    writer.close()
    with (home / "logs" / offer.pipeline[:2] / f"{offer.pipeline}.jsonl").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert [item.spared for item in clean(home)] == [BUSY]
    assert there(home) == before | {"merge/1/.scratch/half"}


def test_scratch_of_a_run_that_works_is_left_alone(home: Path) -> None:
    clean(home)
    scratch = folder_of(home) / "merge/1/.scratch"
    scratch.mkdir()
    (scratch / "half").write_bytes(b"half")
    writer = Store(str(home / "logs")).open_writer(state_of(home).pipeline_id, run="run").writer
    assert [item.spared for item in clean(home)] == [BUSY]
    assert scratch.exists()
    writer.close()
    assert [item.files for item in clean(home)] == [1]


def test_what_the_log_says_is_gone_is_gone_for_the_plan_although_it_still_lies_there(
    done: Path, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(Crash):
        clean(home, DyingStorage(1, "after"))
    assert "audio_conversion/1/audio.flac" in there(home)
    wishes = Named(options=scripted(done.parent / "script.toml"), refresh=frozenset({"transcription"}))
    result, _ = run_once(make_shop(home), write_speech(tmp_path / "talk.wav", 8.0), tmp_path, wishes)
    assert result is not None
    assert result.ran == ("audio_conversion", "transcription")
    clean(home)
    require_believed(home)
    assert not state_of(home).erased & there(home)


def test_what_changed_since_the_question_is_not_removed(home: Path, tmp_path: Path) -> None:
    (offer,) = offers(home)
    script = write_script(tmp_path / "other.toml", words=WORDS[:2], chunk_s="[2.0, 3.0]", billable="true")
    doubt = '[[failures]]\noperation = "transcription"\nkind = "ambiguous"'
    script.write_text(f"{script.read_text()}\n{doubt}")
    recording = write_speech(tmp_path / "talk.wav", 8.0)
    run_once(make_shop(home), recording, tmp_path, Named(options=scripted(script)))
    before = there(home)
    assert "outcome" in str(cleaner(home).clean(offer).spared)
    assert there(home) == before


def test_scratch_of_a_dead_run_goes_whatever_became_of_the_pipeline(home: Path) -> None:
    clean(home)
    log = Store(str(home / "logs"))
    pipeline = state_of(home).pipeline_id
    before = Path(log.path(pipeline)).read_bytes()
    scratch = folder_of(home) / "transcription" / "2" / ".scratch"
    scratch.mkdir(parents=True)
    (scratch / "half").write_bytes(bytes(1000))
    assert [item.kind for offer in offers(home) for item in offer.candidates] == [MAKING]
    assert [(item.files, item.size_bytes) for item in clean(home)] == [(1, 1000)]
    assert not scratch.parent.exists()
    assert Path(log.path(pipeline)).read_bytes() == before, "nothing that the log knows of has gone"


def test_a_file_that_has_another_name_frees_nothing(home: Path, tmp_path: Path) -> None:
    (offer,) = offers(home)
    audio = folder_of(home) / "audio_conversion/1/audio.flac"
    size_bytes = audio.stat().st_size
    whole = free_bytes(item.found for item in offer.candidates)
    os.link(audio, tmp_path / "other")
    (offer,) = offers(home)
    assert free_bytes(item.found for item in offer.candidates) == whole - size_bytes
    assert [item.size_bytes for item in clean(home)] == [whole - size_bytes]
    assert (tmp_path / "other").stat().st_size == size_bytes


# Deceit


@pytest.mark.parametrize("at", ["file", "attempt", "stage", "pipeline"])
def test_a_link_below_the_artifacts_is_never_followed(home: Path, tmp_path: Path, at: str) -> None:
    folder = folder_of(home)
    lured = {
        "file": folder / "audio_conversion/1/audio.flac",
        "attempt": folder / "audio_conversion/1",
        "stage": folder / "audio_conversion",
        "pipeline": folder,
    }[at]
    precious = tmp_path / "precious"
    lured.rename(precious)
    lured.symlink_to(precious)
    kept = sorted(str(path) for path in tmp_path.glob("precious/**/*"))
    clean(home)
    assert precious.exists()
    assert sorted(str(path) for path in tmp_path.glob("precious/**/*")) == kept
    assert lured.is_symlink()


def test_scratch_that_is_a_link_is_not_emptied(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/letter").write_text("dear")
    (folder_of(home) / "merge/1/.scratch").symlink_to(tmp_path / "precious")
    clean(home)
    assert (tmp_path / "precious/letter").exists()


@pytest.mark.parametrize(
    "path",
    [
        "../../precious",
        "audio_conversion/../../../precious",
        "audio_conversion/1/../../../../precious",
        "/precious",
    ],
)
def test_a_path_that_a_stranger_wrote_into_a_log_leads_nowhere(home: Path, path: str) -> None:
    (home / "precious").write_text("letter")
    store = Store(str(home / "logs"))
    log = store.open_writer(state_of(home).pipeline_id, run="run")
    log.writer.append([(ArtifactErased.type, to_data(ArtifactErased((path,), 6, CLEANUP, "eve")))], run="run")
    log.writer.close()
    clean(home)
    assert (home / "precious").exists()


def test_what_a_stage_did_not_make_is_never_removed(home: Path) -> None:
    stranger = folder_of(home) / "audio_conversion/1/mine.txt"
    stranger.write_text("mine")
    unknown_answer = folder_of(home) / "transcription/1/calls/9-0123456789abcdef.json"
    unknown_answer.write_text("{}")
    clean(home)
    assert stranger.exists()
    assert unknown_answer.exists(), "it may be one that was paid for, and whose record is lost"


# A disk that refuses


def test_what_the_system_refuses_to_remove_is_told_not_counted_and_left_to_the_next_cleanup(done: Path) -> None:
    """In a process that may not write there, whoever runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(done, home)
        audio = folder_of(home) / "audio_conversion/1"
        audio.chmod(0o500)
        code = _as_nobody(Path(folder), lambda: _require_refusal(home))
        assert code == 0
        audio.chmod(0o700)
        assert [item.kind for offer in offers(home) for item in offer.candidates] == [LEFT]
        assert [item.files for item in clean(home)] == [1]
        assert not audio.exists()


def _require_refusal(home: Path) -> None:
    (result,) = clean(home)
    assert result.files == 4
    assert "Permission denied" in result.failures[0]
    assert (folder_of(home) / "audio_conversion/1/audio.flac").exists()


def _as_nobody(folder: Path, work: Callable[[], object]) -> int:
    """Do something in a process without root's rights, which may write everywhere."""
    is_root = os.geteuid() == 0
    for path in (folder, *folder.rglob("*")) if is_root else ():
        os.chown(path, NOBODY, -1)
    if (pid := os.fork()) == 0:
        try:
            if is_root:
                os.setuid(NOBODY)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class FullDisk(PosixStorage):
    """A disk that has room in files that are there, and none for another one, until something is removed."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write_new(self, path: str, data: bytes) -> None:
        if list(self.home.glob("artifacts/*/*/audio_conversion/1/audio.flac")):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        super().write_new(path, data)


def test_one_cleanup_frees_a_disk_that_has_room_for_its_record_alone(home: Path) -> None:
    (done,) = clean(home, FullDisk(home))
    assert done.failures == ()
    assert done.files == 5
    require_believed(home)
    assert state_of(home).sealed
    store = Store(str(home / "logs"))
    pipeline = state_of(home).pipeline_id
    assert store.read_head(pipeline) == store.read(pipeline).verdict.head


def test_many_files_are_told_in_records_that_are_not_too_long(home: Path) -> None:
    """Ten thousand answers of a long recording, say."""
    found = [
        Lying(f"transcription/1/calls/{n}-0123456789abcdef.json", 10, 1, 1, (0, n), 0.0) for n in range(10_000)
    ]
    events = list(_events(found, CLEANUP, "anna"))
    assert [path for event in events for path in event.paths] == [item.path for item in found]
    assert sum(event.size_bytes for event in events) == 100_000
    store = Store(str(home / "logs"))
    log = store.open_writer(state_of(home).pipeline_id, run="run")
    log.writer.append([(event.type, to_data(event)) for event in events], run="run")
    log.writer.close()
    assert len(state_of(home).erased) == 10_000


def test_files_in_the_making_go_when_they_are_a_day_old(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.tmp").write_text("letter")
    names = ["config.toml.tmp", "logs/59/x.head.tmp", "artifacts/x/salt.tmp", "logs/link.tmp"]
    (home / "logs/59").mkdir(exist_ok=True)
    (home / "artifacts/x").mkdir()
    for name in names[:3]:
        (home / name).write_text("half")
    (home / names[3]).symlink_to(tmp_path / "precious.tmp")
    now_s = (home / names[0]).stat().st_mtime
    assert temporary(Home(home), now_s + TEMPORARY_AGE_S - 60) == []
    found = temporary(Home(home), now_s + TEMPORARY_AGE_S + 60)
    assert {item.found.path for item in found} == set(names[:3])
    assert remove_temporary(Home(home), found).files == 3
    assert not any((home / name).exists() for name in names[:3])
    assert (home / names[3]).is_symlink()


def test_a_home_without_anything_is_clean(tmp_path: Path) -> None:
    assert temporary(Home(tmp_path / "none"), 1e10) == []
    assert offers(tmp_path / "none") == []

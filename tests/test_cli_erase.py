"""`evt erase`: what was said is gone, what happened stays, and nobody brings it back by accident."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import wave
from pathlib import Path

import pytest

from eventlog.store import Store
from pipeline.home import Home
from pipeline.recordings import _TABLE
from pipeline.upkeep.erasing import Erasing
from projections.fold import fold, initial_state
from projections.state import PipelineState
from tests.support.cli import WORDS, Evt
from tests.support.dying import is_killed
from tests.support.shop import write_script

CANARY = "five"
"""A word that was said."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Evt(tmp_path_factory.mktemp("done"))
    fields = {"billable": "true", "price_per_min": 0.6, "chunk_s": "[2.0, 3.0]"}
    made.script = write_script(made.folder / "script.toml", words=WORDS, **fields)
    made.speech()
    made.run("talk.wav", "-o", made.folder / "out")
    made("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", "-o", made.folder / "out")
    return made.folder


@pytest.fixture
def evt(done: Path, tmp_path: Path) -> Evt:
    made = Evt.copied(done, tmp_path)
    # Not beside the recording that the log names, which all tests of this file share.
    shutil.copytree(done / "out", tmp_path / "work", dirs_exist_ok=True)
    return made


def state_of(home: Path) -> PipelineState:
    store = Store(str(home / "logs"))
    (pipeline,) = store.pipelines()
    return fold(initial_state(pipeline), store.stream(pipeline))


def holding(root: Path, text: bytes) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_nothing_that_was_said_is_left_in_the_home_and_the_log_still_verifies(evt: Evt) -> None:
    cost, log = evt.json("cost")["totals"], evt.log().read_bytes()
    assert holding(evt.folder, CANARY.encode())
    report = evt.json("erase", "talk.wav", "--yes")
    assert report["pipelines"][0]["files"] > 10
    assert holding(evt.home, CANARY.encode()) == holding(evt.home, b"Anna") == []
    assert not [path for path in (evt.home / "artifacts").rglob("*") if path.is_file()]
    assert evt.log().read_bytes().startswith(log)
    assert evt("validate").stdout.endswith("ok\n")
    assert evt.json("cost")["totals"] == cost
    assert evt.json("list")[0]["status"] == "erased"
    state = state_of(evt.home)
    assert (state.findings, state.annotations) == ((), ())


def test_transcripts_that_are_as_evt_wrote_them_go_and_others_stay(evt: Evt) -> None:
    (evt.work / "talk.srt").write_text("mine now")
    elsewhere = evt.work / "transcripts"
    elsewhere.mkdir()
    shutil.copy(evt.work / "talk.vtt", elsewhere / "renamed.vtt")
    report = evt.json("erase", "talk.wav", "--yes", "-o", str(elsewhere))
    gone = {Path(path).name for path in report["pipelines"][0]["deliveries"]}
    assert gone == {"talk.txt", "talk.vtt", "talk.json", "talk.rttm", "renamed.vtt"}
    assert sorted(path.name for path in evt.work.rglob("*.*")) == ["talk.srt", "talk.wav"]
    assert any("bundles, backups" in note for note in report["notes"])


def test_a_transcript_without_words_takes_no_file_of_another_name_with_it(evt: Evt) -> None:
    """What two silent recordings leave is the same, and an empty line may be anybody's."""
    for seconds, name in ((1, "quiet.wav"), (2, "quiet2.wav")):
        with wave.open(str(evt.work / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(bytes(32000 * seconds))
    evt("run", "quiet.wav", "quiet2.wav", "--diarizer", "builtin", "--transcriber", "builtin", "-o", "out")
    (evt.work / "out" / "mine").write_text("\n")
    before = {path.name for path in (evt.work / "out").iterdir()}
    evt("erase", "quiet.wav", "--yes", "-o", "out")
    assert before - {path.name for path in (evt.work / "out").iterdir()} == {
        f"quiet.{suffix}" for suffix in ("json", "rttm", "srt", "txt", "vtt")
    }


def test_what_remembers_the_recording_forgets_it(evt: Evt) -> None:
    os.utime(evt.work / "talk.wav", (1, 1))
    sha256 = state_of(evt.home).input["sha256"]

    def rows() -> list[tuple[str]]:
        with sqlite3.connect(evt.home / "index.sqlite") as index:
            return index.execute("SELECT sha256 FROM digests WHERE sha256 = ?", [sha256]).fetchall()

    with sqlite3.connect(evt.home / "index.sqlite") as index:
        index.execute(_TABLE)  # it is there only once a recording that has settled was run
        index.execute("INSERT OR REPLACE INTO digests VALUES ('1', '2', 3, 4, 5, ?, 6)", [sha256])
    assert rows()
    evt("erase", state_of(evt.home).pipeline_id, "--yes")
    assert not rows()
    assert sha256.encode() not in (evt.home / "index.sqlite").read_bytes()


def test_an_erased_recording_is_not_transcribed_again_until_the_user_says_so(evt: Evt) -> None:
    evt("erase", "talk.wav", "--yes")
    before = evt.log().read_bytes()
    told = evt.run("talk.wav", code=3).stderr
    assert "was erased on" in told
    assert "--unerase" in told
    evt("speakers", "talk.wav", "--name", "SPEAKER_00=Anna", code=None)
    evt("edit", "talk.wav", code=None)
    evt("export", "talk.wav", "--format", "md", code=None)
    assert evt.log().read_bytes() == before
    assert not [path for path in (evt.home / "artifacts").rglob("*") if path.is_file()]
    assert evt.json("erase", "talk.wav", "--unerase")[0]["unerased"] is True
    report = evt.json("run", "talk.wav", *evt.engines)[0]
    assert report["outcome"] == "completed"
    assert CANARY in (evt.work / "talk.txt").read_text()
    assert "Anna" not in (evt.work / "talk.txt").read_text()
    assert evt("validate").stdout.endswith("ok\n")
    assert evt.json("erase", "talk.wav", "--unerase")[0]["unerased"] is False


def test_without_a_word_of_the_user_nothing_is_erased(evt: Evt) -> None:
    before = evt.log().read_bytes()
    said = evt("erase", "talk.wav", code=3)
    assert "To be erased, for good" in said.stdout
    assert "talk.txt" in said.stdout
    assert evt.log().read_bytes() == before


def test_one_that_cannot_be_erased_keeps_no_other_from_it_and_both_are_told(evt: Evt) -> None:
    first = state_of(evt.home).pipeline_id
    evt.speech("other.wav", seed=3)
    evt.run("other.wav")
    (other,) = (name for name in Store(str(evt.home / "logs")).pipelines() if name != first)
    Path(Store(str(evt.home / "logs")).path(first)).write_bytes(b"{}\n")
    done = evt("erase", first, other, "--yes", "--json", code=4)
    assert [item["pipeline"] for item in json.loads(done.stdout)["pipelines"]] == [other]
    assert f"evt salvage {first}" in done.stderr
    done = evt("erase", other, first, "--yes", code=4)
    assert f"{other}  other.wav: erased" in done.stdout


def test_a_pipeline_that_is_being_worked_on_is_refused(evt: Evt) -> None:
    with evt.log().open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert f"pid {os.getpid()}" in evt("erase", "talk.wav", "--yes", code=3).stderr
    assert state_of(evt.home).erasure is None


def test_what_was_set_aside_beside_the_log_goes_and_is_no_damage(evt: Evt) -> None:
    with evt.log().open("ab") as file:
        file.write(b'{"v":1,"seq":99,"time":"')
    evt("speakers", "talk.wav", "--name", "SPEAKER_01=Ben")
    (torn,) = evt.home.glob("logs/*/*.torn-*")
    (torn.parent / f"{torn.name.split('.')[0]}.jsonl.tmp").write_text(CANARY)
    evt("erase", "talk.wav", "--yes")
    assert not torn.exists()
    assert not list(evt.home.glob("logs/*/*.tmp"))
    assert evt("validate").stdout.endswith("ok\n")


def test_an_archived_pipeline_is_erased_too(evt: Evt) -> None:
    evt("archive", "talk.wav")
    evt("erase", "talk.wav", "--yes")
    assert evt("validate").stdout.endswith("ok\n")
    assert not list(evt.home.glob("logs/*/*.zst"))


def test_no_import_brings_an_erased_pipeline_back(evt: Evt) -> None:
    evt("bundle", "talk.wav", "-o", "b")
    evt("erase", "talk.wav", "--yes")
    assert evt.json("import", "b")[0]["outcome"] == "nothing"
    evt("bundle", "talk.wav", "-o", "c")
    assert holding(evt.home, CANARY.encode()) == []
    other = ["--home", str(evt.folder / "other")]
    evt(*other, "import", "c")
    assert "was erased on" in evt(*other, "run", "talk.wav", *evt.engines, code=3).stderr


def test_a_copy_is_erased_too_and_does_not_come_back(evt: Evt) -> None:
    bad = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"'
    evt.script = write_script(evt.folder / "bad.toml", words=WORDS, chunk_s="[2.0, 3.0]", extra=bad)
    evt.speech("other.wav", seed=3)
    evt.run("other.wav", code=1)
    evt("bundle", "other.wav", "-o", "b", "--copy")
    other = ["--home", str(evt.folder / "other")]
    evt(*other, "import", "b")
    evt(*other, "erase", "other.wav", "--yes")
    assert not [path for path in (evt.folder / "other" / "artifacts").rglob("*") if path.is_file()]
    assert evt.json(*other, "import", "b")[0]["outcome"] == "nothing"


def test_an_erasure_that_is_killed_anywhere_is_finished_by_the_next(evt: Evt) -> None:
    """And until then the log says that it is erased, or everything is still there."""
    start = evt.folder / "start"
    shutil.copytree(evt.home, start)
    pipeline = state_of(start).pipeline_id
    for step in range(1, 60):
        shutil.rmtree(evt.home)
        shutil.copytree(start, evt.home)
        was_killed = killed(step, evt.home, pipeline)
        left = [path for path in (evt.home / "artifacts").rglob("*") if path.is_file()]
        whole = len([path for path in (start / "artifacts").rglob("*") if path.is_file()])
        assert state_of(evt.home).erasure is not None or len(left) == whole
        unfinished = len(list(evt.home.glob("logs/*/*.tmp")))
        found = erasing(evt.home).erase(pipeline)
        assert found.files == len(left) + unfinished
        assert not [path for path in (evt.home / "artifacts").rglob("*") if path.is_file()]
        assert state_of(evt.home).findings == ()
        if not was_killed:
            assert step > 10
            return
    raise AssertionError("it was killed each time")


def erasing(root: Path) -> Erasing:
    store, time = Store(str(root / "logs")), "2026-11-27T14:00:00.000000Z"
    return Erasing(Home(root), store, "anna", lambda: "run9", lambda: time)


def killed(step: int, root: Path, pipeline: str) -> bool:
    """Erase in a fork that dies at its n-th change of the disk; False: it did not come so far."""
    return is_killed(step, lambda: erasing(root).erase(pipeline))

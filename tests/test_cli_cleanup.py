"""`evt cleanup`: what goes, what stays, and that the log and the disk agree whatever happens in between."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from typing import Any

import pytest

from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.home import Home
from projections.fold import fold, initial_state
from projections.state import PipelineState
from tests.support.cli import WORDS, Evt
from tests.support.shop import write_script

GONE = {"audio", "answers", "exports"}


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished pipeline: audio, answers, a replaced export. Whoever changes it takes a copy."""
    made = Evt(tmp_path_factory.mktemp("done"))
    made.speech()
    made.run("talk.wav")
    made.run("talk.wav", "--refresh", "transcription")
    made("export", "talk.wav", "--format", "md")
    return made.folder


@pytest.fixture
def finished(done: Path, tmp_path: Path) -> Evt:
    return Evt.copied(done, tmp_path)


def files(evt: Evt) -> set[str]:
    """Return all artifacts, by their paths below a pipeline's folder."""
    return {"/".join(path.parts[-3:]) for path in evt.home.glob("artifacts/*/**/*") if path.is_file()}


def state_of(home: Path) -> PipelineState:
    store = Store(str(home / "logs"))
    (pipeline,) = store.pipelines()
    return fold(initial_state(pipeline), store.stream(pipeline))


def require_agreement(evt: Evt) -> None:
    """Everything that the log believes in is there and whole; everything else that it named is gone."""
    state = state_of(evt.home)
    artifacts = Artifacts(Home(evt.home).artifacts(state.pipeline_id))
    assert state.findings == ()
    assert [
        ref.path for ref in state.artifacts if ref.path not in state.erased and not artifacts.is_whole(ref)
    ] == []
    assert [path for path in state.erased if (artifacts.root / path).exists()] == []


def test_a_cleanup_removes_what_can_be_made_again_and_counts_it(finished: Evt) -> None:
    before = {path: path.stat().st_size for path in finished.home.glob("artifacts/**/*") if path.is_file()}
    report = finished.json("cleanup", "--yes")
    gone = {path: size for path, size in before.items() if not path.exists()}
    assert report["removed"] == report["total"] == {"files": len(gone), "size_bytes": sum(gone.values())}
    assert set(report["pipelines"][0]["kinds"]) == GONE
    assert {path.parts[-3] for path in gone} <= {"audio_conversion", "export", "1", "2"}
    assert not list(finished.home.glob("artifacts/*/*/audio_conversion"))
    require_agreement(finished)


def test_a_second_cleanup_finds_nothing_and_writes_nothing(finished: Evt) -> None:
    finished("cleanup", "--yes")
    before = finished.log().read_bytes()
    assert finished("cleanup", "--yes").stdout == "There is nothing to remove.\n"
    assert finished.log().read_bytes() == before


def test_a_dry_run_changes_nothing(finished: Evt) -> None:
    before, log = files(finished), finished.log().read_bytes()
    shown = finished("cleanup", "--dry-run").stdout
    assert "converted audio: 1 file" in shown
    assert (files(finished), finished.log().read_bytes()) == (before, log)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_without_a_terminal_nothing_goes_unless_the_user_says_yes(finished: Evt, more: list[str]) -> None:
    before = files(finished)
    assert "--yes" in finished("cleanup", *more, code=3).stderr
    assert files(finished) == before


@pytest.mark.parametrize(("answer", "goes"), [(b"y\n", True), (b"n\n", False)])
def test_on_a_terminal_the_user_is_asked(finished: Evt, answer: bytes, goes: bool) -> None:
    before = files(finished)
    ours, theirs = pty.openpty()
    process = finished.start("cleanup", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, answer)
    assert process.wait(60) == 0
    os.close(ours)
    assert b"Can be removed" in shown
    assert (files(finished) != before) is goes


def test_what_was_removed_is_no_damage_and_leaves_nothing_to_do(finished: Evt) -> None:
    listed, cost = finished.json("list"), finished.json("cost")
    finished("cleanup", "--yes")
    assert finished("validate").stdout.endswith("ok\n")
    assert "nothing to do" in finished.run("talk.wav").stdout
    assert {**finished.json("list")[0], "last_updated": ""} == {**listed[0], "last_updated": ""}
    assert finished.json("cost") == cost
    assert "completed" in finished("show", "talk.wav").stdout


def test_a_transcript_is_exported_named_and_corrected_without_an_engine_after_a_cleanup(finished: Evt) -> None:
    finished("cleanup", "--yes")
    finished("export", "talk.wav", "--format", "csv")
    finished("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    assert "Anna" in (finished.work / "talk.txt").read_text()
    assert "audio_conversion" not in {path.split("/")[0] for path in files(finished)}


def test_the_audio_is_made_again_from_the_recording_when_it_is_needed(evt: Evt) -> None:
    recording = evt.speech()
    evt.run("talk.wav")
    evt("cleanup", "--yes")
    content = recording.read_bytes()
    recording.unlink()
    pipeline = state_of(evt.home).pipeline_id
    assert "the recording itself is needed" in evt.run(pipeline, "--refresh", "transcription", code=3).stderr
    recording.write_bytes(content)
    report = evt.json("run", "talk.wav", "--refresh", "transcription", *evt.engines)[0]
    assert report["ran"] == ["audio_conversion", "transcription"]
    assert set(report["reused"]) >= {"diarization", "merge"}
    require_agreement(evt)


def test_what_a_user_said_is_never_removed(finished: Evt) -> None:
    finished("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    finished("speakers", "talk.wav", "--undo")
    kept = {path for path in files(finished) if path.startswith("annotation") or path.endswith("salt")}
    assert len(kept) == 2
    finished("cleanup", "--yes", "--paid")
    assert kept <= files(finished)


def test_age_is_use_and_not_what_a_cleanup_recorded(finished: Evt) -> None:
    assert finished.json("cleanup", "--older-than", "1h", "--yes")["removed"]["files"] == 0
    assert finished.json("cleanup", "--older-than", "0s", "--yes")["removed"]["files"] > 0
    assert "is not a span" in finished("cleanup", "--older-than", "soon", code=3).stderr


def test_only_pipelines_of_the_wanted_status_are_cleaned(evt: Evt) -> None:
    evt.speech()
    failing = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"'
    evt.script = write_script(evt.folder / "bad.toml", words=WORDS, chunk_s="[2.0, 3.0]", extra=failing)
    evt.run("talk.wav", code=1)
    assert "because it is failed" in evt("cleanup", "--yes").stdout
    assert evt.json("cleanup", "--yes", "--status", "failed")["removed"]["files"] > 0
    require_agreement(evt)


# Money


def paid_script(evt: Evt, extra: str = "", **more: Any) -> None:
    fields = {"billable": "true", "price_per_min": 0.6, "chunk_s": "[2.0, 3.0]", **more}
    evt.script = write_script(evt.folder / "paid.toml", words=WORDS, extra=extra, **fields)


def test_answers_that_were_paid_for_stay_unless_the_user_says_paid(evt: Evt) -> None:
    paid_script(evt)
    evt.speech()
    evt.run("talk.wav")
    answers = {path for path in files(evt) if path.startswith("1/calls/")}
    cost = evt.json("cost")["totals"]
    evt("cleanup", "--yes")
    assert answers
    assert answers <= files(evt)
    shown = evt("cleanup", "--paid", "--dry-run").stdout
    assert "To get answers again that were paid for costs as much as they did: 0." in shown
    assert "USD" in shown
    evt("cleanup", "--paid", "--yes")
    assert not answers & files(evt)
    assert evt.json("cost")["totals"] == cost
    assert "nothing to do" in evt.run("talk.wav").stdout
    require_agreement(evt)


def test_what_was_removed_with_paid_is_paid_again_only_when_its_stage_must_run(evt: Evt) -> None:
    paid_script(evt)
    evt.speech()
    evt.run("talk.wav")
    evt("cleanup", "--paid", "--yes")
    report = evt.json("run", "talk.wav", *evt.engines, "--format", "md")
    assert report[0]["ran"] == ["export"]


def test_audio_stays_while_paid_answers_wait_for_the_rest_of_their_stage(evt: Evt) -> None:
    failing = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"'
    paid_script(evt, failing)
    evt.speech()
    evt.run("talk.wav", code=1)
    before = files(evt)
    evt("cleanup", "--yes", "--status", "failed")
    assert files(evt) == before
    assert "converted audio" in evt("cleanup", "--yes", "--status", "failed", "--paid").stdout


def test_a_pipeline_in_doubt_about_a_payment_is_left_alone_even_if_it_is_named(evt: Evt) -> None:
    doubt = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"\nkind = "ambiguous"'
    paid_script(evt, doubt)
    evt.speech()
    evt("run", "talk.wav", *evt.engines, "--in-doubt", "stop", code=None)
    before, status = files(evt), state_of(evt.home).status
    told = evt("cleanup", "talk.wav", "--status", status, "--paid", "--yes", code=3)
    assert "a paid call has no outcome yet" in told.stdout
    assert files(evt) == before

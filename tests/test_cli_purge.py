"""`evt cleanup --purge`: a pipeline goes, a tombstone stays, and nothing is paid again or lost unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.cli import WORDS, Evt
from tests.support.shop import write_script


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished pipeline that was paid for."""
    made = Evt(tmp_path_factory.mktemp("done"))
    fields = {"billable": "true", "price_per_min": 0.6, "chunk_s": "[2.0, 3.0]"}
    made.script = write_script(made.folder / "script.toml", words=WORDS, **fields)
    made.speech()
    made.run("talk.wav")
    made("speakers", "talk.wav", "--name", "SPEAKER_00=Anna")
    return made.folder


@pytest.fixture
def evt(done: Path, tmp_path: Path) -> Evt:
    made = Evt(tmp_path)
    made.work.rmdir()
    for name in ("home", "work"):
        shutil.copytree(done / name, tmp_path / name)
    made.script = done / "script.toml"
    return made


def files(evt: Evt) -> dict[str, bytes]:
    """Return what the home holds of logs and artifacts."""
    found = [*evt.home.glob("logs/**/*"), *evt.home.glob("artifacts/**/*"), *evt.home.glob("purging/*")]
    return {str(path.relative_to(evt.home)): path.read_bytes() for path in found if path.is_file()}


def stone(evt: Evt) -> dict[str, object]:
    (path,) = evt.home.glob("logs/*/*.purged")
    found = json.loads(path.read_bytes())
    assert isinstance(found, dict)
    return found


def test_a_purge_leaves_a_tombstone_and_nothing_else_and_counts_what_went(evt: Evt) -> None:
    before, pipeline = files(evt), evt.log().stem
    head = evt("head", pipeline).stdout.split()
    report = evt.json("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes")
    assert report["removed"] == {"files": len(before), "size_bytes": sum(map(len, before.values()))}
    assert set(files(evt)) == {f"logs/{pipeline[:2]}/{pipeline}.purged"}
    found = stone(evt)
    assert found["pipeline"] == pipeline
    assert found["name"] == "talk.wav"
    assert f"{found['head']['seq']}:{found['head']['sha256']}" in head  # type: ignore[index]
    assert evt.json("list") == []
    assert evt("validate").stdout == "No pipelines.\n"
    assert "no log" not in evt("cleanup", "--dry-run").stdout


def test_a_purged_recording_is_paid_for_again_only_after_the_users_word(evt: Evt) -> None:
    pipeline = evt.log().stem
    evt("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes")
    for command in (
        ["run", "talk.wav", *evt.engines],
        ["plan", "talk.wav"],
        ["run", pipeline],
        ["show", pipeline[:5]],
    ):
        told = evt(*command, code=5).stderr
        assert "was purged on" in told
        assert "USD had been paid" in told
        assert f"evt accept {pipeline}" in told
    assert "nothing was accepted" in evt("accept", "talk.wav", code=5).stderr
    evt("accept", "talk.wav", "--yes")
    assert evt.json("run", "talk.wav", *evt.engines)[0]["ran"] != []
    evt("validate")


def test_the_bundle_of_a_purge_brings_the_pipeline_back_as_it_was(evt: Evt) -> None:
    before = files(evt)
    told = evt("cleanup", "talk.wav", "--purge", "--bundle", "talk.evtbundle", "--yes").stdout
    assert "read back" in told
    assert stone(evt)["bundle"]["path"] == str(evt.work / "talk.evtbundle")  # type: ignore[index]
    assert "talk.evtbundle brings it back" in evt.run("talk.wav", code=5).stderr
    evt("import", "talk.evtbundle")
    assert files(evt) == before
    assert "nothing to do" in evt.run("talk.wav").stdout


def test_a_purge_must_say_what_and_whether_a_bundle_is_made(evt: Evt) -> None:
    before = files(evt)
    assert "name the pipelines" in evt("cleanup", "--purge", "--no-bundle", "--yes", code=2).stderr
    assert "--no-bundle" in evt("cleanup", "talk.wav", "--purge", "--yes", code=2).stderr
    both = ("cleanup", "talk.wav", "--purge", "--bundle", "b", "--no-bundle", "--yes")
    assert "one of two" in evt(*both, code=2).stderr
    assert "go with --purge" in evt("cleanup", "--no-bundle", "--yes", code=2).stderr
    assert "nobody can be asked" in evt("cleanup", "talk.wav", "--purge", "--no-bundle", code=3).stderr
    assert "USD" in evt("cleanup", "talk.wav", "--purge", "--no-bundle", "--dry-run").stdout
    (evt.work / "b").write_text("mine")
    evt("cleanup", "talk.wav", "--purge", "--bundle", "b", "--yes", code=3)
    evt("cleanup", "talk.wav", "--purge", "--bundle", evt.home / "b", "--yes", code=3)
    assert files(evt) == before


def test_an_erased_recording_stays_erased_when_it_is_purged(evt: Evt) -> None:
    evt("bundle", "talk.wav", "-o", "before.evtbundle")
    pipeline = evt.log().stem
    evt("erase", "talk.wav", "--yes")
    evt("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes")
    assert "--unerase" in evt.run("talk.wav", code=5).stderr
    assert "--unerase" in evt("accept", "talk.wav", "--yes", code=5).stderr
    assert "older state" in evt("import", "before.evtbundle", code=3).stderr
    assert set(files(evt)) == {f"logs/{pipeline[:2]}/{pipeline}.purged"}
    evt("erase", "talk.wav", "--unerase")
    assert evt.json("run", "talk.wav", *evt.engines)[0]["outcome"] == "completed"

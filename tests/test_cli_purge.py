"""`evt cleanup --purge`: a pipeline goes, a tombstone stays, and nothing is paid again or lost unasked."""

from __future__ import annotations

import json
import subprocess
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
    return Evt.copied(done, tmp_path)


def files(evt: Evt) -> dict[str, bytes]:
    """Return what the home holds of logs and artifacts."""
    found = [*evt.home.glob("logs/**/*"), *evt.home.glob("artifacts/**/*"), *evt.home.glob("purging/*")]
    return {str(path.relative_to(evt.home)): path.read_bytes() for path in found if path.is_file()}


def compare(evt: Evt, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Compare the recording's transcript with that of another engine: a variant."""
    other = write_script(evt.folder / "other.toml", words=WORDS[:3], chunk_s="[2.0, 3.0]")
    return evt("compare", "talk.wav", "--transcriber", f"script:{other}", "--no-html", code=code)


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
        assert "was purged, its log included, on" in told
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


def test_variants_go_with_their_base_and_come_back_with_it(evt: Evt) -> None:
    compare(evt)
    before, base = files(evt), evt.json("list")[0]["pipeline_id"].partition(".")[0]
    evt("cleanup", base, "--purge", "--bundle", "both", "--yes")
    assert {Path(name).name for name in files(evt)} == {f"{base}.purged", f"{base}.2.purged"}
    assert f"{base} was purged" in compare(evt, code=5).stderr
    evt("import", "both")
    assert files(evt) == before


def test_a_variant_that_was_purged_is_not_made_and_paid_for_again_unasked(evt: Evt) -> None:
    compare(evt)
    base = evt.json("list")[0]["pipeline_id"].partition(".")[0]
    evt("cleanup", f"{base}.2", "--purge", "--no-bundle", "--yes")
    assert f"evt accept {base}.2" in compare(evt, code=5).stderr
    assert "nothing to do" in evt.run("talk.wav").stdout, "the base has all that it had"
    evt("accept", f"{base}.2", "--yes")
    compare(evt)


def test_a_family_of_which_a_part_is_left_alone_stays_whole(evt: Evt) -> None:
    compare(evt)
    before, base = files(evt), evt.json("list")[0]["pipeline_id"].partition(".")[0]
    (log,) = evt.home.glob(f"logs/*/{base}.2.jsonl")
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"seq":3', b'"seq":4', 1))
    told = evt("cleanup", base, "--purge", "--no-bundle", "--yes", code=3).stdout
    assert "its log is damaged" in told
    assert f"its variant {base}.2 is left alone" in told
    log.write_bytes(content)
    assert files(evt) == before


def test_what_is_in_doubt_is_not_purged(tmp_path: Path) -> None:
    other = Evt(tmp_path)
    doubt = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"\nkind = "ambiguous"'
    fields = {"billable": "true", "price_per_min": 0.6, "chunk_s": "[2.0, 3.0]"}
    other.script = write_script(other.folder / "doubt.toml", words=WORDS, extra=doubt, **fields)
    other.speech()
    other("run", "talk.wav", *other.engines, "--in-doubt", "stop", code=None)
    before, status = files(other), other.json("list")[0]["status"]
    purge = ("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes", "--status", status)
    assert "no outcome yet" in other(*purge, code=3).stdout
    assert files(other) == before


def test_one_that_is_not_finished_is_handed_over_and_goes_on_after_an_import(tmp_path: Path) -> None:
    evt = Evt(tmp_path)
    failing = '[[failures]]\noperation = "transcription"\ncalls = [2]\ncode = "broken"'
    good, fields = evt.script, {"billable": "true", "price_per_min": 0.6, "chunk_s": "[2.0, 3.0]"}
    evt.script = write_script(evt.folder / "bad.toml", words=WORDS, extra=failing, **fields)
    evt.speech()
    evt.run("talk.wav", code=1)
    assert (
        "--status failed takes such too"
        in evt(*("cleanup", "talk.wav", "--purge", "--bundle", "b", "--yes"), code=3).stdout
    )
    evt("cleanup", "talk.wav", "--purge", "--bundle", "b", "--yes", "--status", "failed")
    assert "goes on here" in evt("import", "b").stdout
    assert not list(evt.home.glob("logs/*/*.purged"))
    evt.script = good
    assert "audio_conversion" in evt.json("run", "talk.wav", *evt.engines)[0]["reused"]


def test_what_purged_pipelines_had_cost_is_said_beside_the_sums(evt: Evt) -> None:
    evt("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes")
    assert "what purged pipelines had cost is not in these sums: 0." in evt("cost").stderr


def test_a_tombstone_that_cannot_be_understood_still_stops_a_run(evt: Evt) -> None:
    evt("cleanup", "talk.wav", "--purge", "--no-bundle", "--yes")
    (path,) = evt.home.glob("logs/*/*.purged")
    path.write_bytes(b"\xff{")
    assert "can't be understood" in evt.run("talk.wav", code=5).stderr
    evt("accept", "talk.wav", "--yes")
    assert evt.json("run", "talk.wav", *evt.engines)[0]["outcome"] == "completed"


def test_a_purge_that_was_killed_is_finished_by_the_next_command_and_counted(evt: Evt) -> None:
    log = evt.log()
    stone_of = log.with_suffix(".purged")
    evt("cleanup", "talk.wav", "--purge", "--bundle", "b", "--yes")
    content = stone_of.read_bytes()
    evt("import", "b")
    count = len(files(evt))
    stone_of.write_bytes(content)
    (evt.home / "purging").mkdir()
    (evt.home / "purging" / log.stem).write_bytes(content)
    evt("cleanup", "--dry-run")
    assert len(files(evt)) == count + 2
    told = evt("cleanup", "--yes").stdout
    assert f"A purge was cut short; it is finished now. Removed {count} files" in told
    assert list(files(evt)) == [str(stone_of.relative_to(evt.home))]

"""The setting `retention`: what is old enough goes after a run, said, and never at the cost of the run."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from eventlog.store import Store
from projections.options import Named
from tests.support.cli import WORDS, Evt
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    """A home with a pipeline that was last used eight days ago, and a recording that is to be run."""
    made = Evt(tmp_path)
    then = datetime.now(UTC) - timedelta(days=8)
    shop = make_shop(made.home)
    shop = evolve(shop, store=Store(shop.store.root, clock=lambda: then))
    script = write_script(tmp_path / "old.toml", words=WORDS, chunk_s="[2.0, 3.0]")
    run_once(shop, write_speech(tmp_path / "old.wav", 3.0, seed=9), tmp_path, Named(options=scripted(script)))
    os.utime(made.log(), (then.timestamp(), then.timestamp()))
    made.speech(seconds=3.0)
    return made


def audio(evt: Evt) -> int:
    return len(list(evt.home.glob("artifacts/*/*/audio_conversion/1/*")))


def test_without_the_setting_nothing_is_removed(evt: Evt) -> None:
    assert "Retention" not in evt.run("talk.wav").stderr
    assert audio(evt) == 2


def test_what_is_old_goes_after_a_run_and_that_is_said_before_and_after(evt: Evt) -> None:
    evt("config", "set", "retention", "7d")
    assert evt.json("config", "get", "retention")["value"] == "7d"
    told = evt.run("talk.wav").stderr
    assert told.index("Retention: removing") < told.index("Removed ")
    assert "of 1 pipeline," in told
    assert audio(evt) == 1, "what was used just now stays"
    assert evt("validate").stdout.count("ok\n") == 2
    assert "Retention" not in evt.run("talk.wav").stderr


def test_what_was_used_since_stays(evt: Evt) -> None:
    done = evt("run", "talk.wav", *evt.engines, EVT_RETENTION="9d")
    assert "Retention" not in done.stderr
    assert audio(evt) == 2


def test_it_is_quiet_where_the_user_wants_quiet(evt: Evt) -> None:
    done = evt("run", "-q", "talk.wav", *evt.engines, EVT_RETENTION="7d")
    assert "Retention" not in done.stderr + done.stdout
    assert audio(evt) == 1


def test_a_folder_that_is_not_trusted_cannot_have_files_removed(evt: Evt) -> None:
    (evt.work / "evt.toml").write_text('retention = "0s"\n')
    assert "'retention', which is taken only from a trusted folder" in evt.run("talk.wav").stderr
    assert audio(evt) == 2
    evt("trust", ".")
    evt.run("talk.wav")
    assert audio(evt) == 0


@pytest.mark.parametrize("value", ['"soon"', "7", "true", '"7 d"', '""'])
def test_a_value_that_is_no_span_is_refused(evt: Evt, value: str) -> None:
    (evt.home / "config.toml").write_text(f"retention = {value}\n")
    assert "retention can't be" in evt.run("talk.wav", code=3).stderr


def test_a_retention_that_cannot_be_kept_does_not_fail_the_run(evt: Evt) -> None:
    (evt.home / "logs" / "59").mkdir(exist_ok=True)
    (evt.home / "logs" / "59" / "59dfb9a4acb36fe2.jsonl").mkdir()
    done = evt("run", "talk.wav", *evt.engines, EVT_RETENTION="7d")
    assert (evt.work / "talk.txt").exists()
    assert "Traceback" not in done.stderr


def test_paid_answers_never_go_by_themselves(evt: Evt) -> None:
    evt.script = write_script(evt.folder / "paid.toml", words=WORDS, billable="true", price_per_min=0.6)
    evt("run", "talk.wav", *evt.engines, EVT_RETENTION="0s")
    assert audio(evt) == 0
    assert len(list(evt.home.glob("artifacts/*/*/*/1/calls/*"))) == 2


def test_audio_whose_recording_is_gone_goes_only_when_the_user_says_so(evt: Evt) -> None:
    (evt.folder / "old.wav").unlink()
    evt("run", "talk.wav", *evt.engines, EVT_RETENTION="7d")
    assert audio(evt) == 2
    shown = evt("cleanup", "--older-than", "7d", "--yes").stdout
    assert "Of 1 pipeline the recording isn't where it was seen" in shown
    assert audio(evt) == 1


def test_a_file_of_another_size_is_not_taken_for_the_recording(evt: Evt) -> None:
    (evt.folder / "old.wav").write_bytes(b"something else")
    evt("run", "talk.wav", *evt.engines, EVT_RETENTION="7d")
    assert audio(evt) == 2

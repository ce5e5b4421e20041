"""Which audio track of a file is transcribed: the one that was named, and the user is told of the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.cli import Evt
from tests.support.media import RATE_HZ, encrypt_matroska, encrypt_mp4, tone, write_tracks

pytestmark = pytest.mark.slow

ENGLISH, GERMAN = ("eng", tone(3, 400)), ("deu", tone(3, 1000))


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def converted(evt: Evt) -> Mapping[str, Any]:
    """Return the metadata of the last conversion that succeeded."""
    found = [
        record["data"]["metadata"]
        for record in evt.records()
        if record["type"] == "stage.succeeded" and record["data"]["stage"] == "audio_conversion"
    ]
    return dict(found[-1])


def pitch_hz(evt: Evt) -> float:
    """Return the pitch of what was converted last."""
    paths = sorted(evt.home.glob("artifacts/*/*/audio_conversion/*/audio.flac"), key=lambda path: path.parent.name)
    samples, _ = soundfile.read(paths[-1])
    return float(np.argmax(np.abs(np.fft.rfft(samples[:RATE_HZ]))))


@pytest.mark.parametrize("name", ["talk.mp4", "talk.mkv"])
def test_a_track_that_was_named_is_transcribed_and_the_others_are_told_of(evt: Evt, name: str) -> None:
    write_tracks(evt.work / name, [ENGLISH, GERMAN])
    first = evt.run(name)
    assert "audio track 1 of 2 was transcribed (1 aac eng, 2 aac deu); --track N takes another" in first.stderr
    assert pitch_hz(evt) == pytest.approx(400, abs=2)
    second = evt.run(name, "--track", "2")
    assert "audio track 2 of 2 was transcribed" in second.stderr
    assert pitch_hz(evt) == pytest.approx(1000, abs=2)
    assert (converted(evt)["track"], converted(evt)["tracks"]) == (2, 2)
    assert "Secret" not in evt.log().read_text(encoding="utf-8")
    assert "nothing to do" in evt.run(name).stdout
    again = evt.run(name, "--track", "auto")
    assert "nothing to run" in again.stdout
    assert "audio track 1 of 2" in again.stderr


def test_the_default_track_is_taken_where_none_is_named(evt: Evt) -> None:
    write_tracks(evt.work / "talk.mkv", [ENGLISH, GERMAN], default=2)
    assert "audio track 2 of 2" in evt.run("talk.mkv").stderr


def test_a_track_that_is_not_there_is_one_line_that_names_those_that_are(evt: Evt) -> None:
    write_tracks(evt.work / "talk.mp4", [ENGLISH, GERMAN])
    refused = evt.run("talk.mp4", "--track", "3", code=3)
    assert "has 2 audio tracks, and no track 3" in refused.stderr
    assert "1 aac eng, 2 aac deu" in refused.stderr
    evt.speech("one.wav")
    assert "has one audio track, and no track 2" in evt("run", "one.wav", "--track", "2", code=3).stderr


@pytest.mark.parametrize("encrypt", [encrypt_mp4, encrypt_matroska])
def test_an_encrypted_track_is_refused_by_that_name_and_passed_over_for_another(evt: Evt, encrypt: Any) -> None:
    name = "film.mp4" if encrypt is encrypt_mp4 else "film.mkv"
    encrypt(write_tracks(evt.work / name, [ENGLISH, GERMAN]))
    assert "audio track 2 of 2 was transcribed (1 aac eng encrypted, 2 aac deu)" in evt.run(name).stderr
    refused = evt.run(name, "--track", "1", code=3)
    assert (
        "audio track 1 is encrypted (DRM) and can't be read. Those that can be read: 2 aac deu." in refused.stderr
    )


def test_a_file_that_is_encrypted_throughout_is_one_line(evt: Evt) -> None:
    encrypt_mp4(write_tracks(evt.work / "film.mp4", [ENGLISH]))
    refused = evt.run("film.mp4", code=3)
    assert "its sound is encrypted (DRM) and can't be read. Use a copy that is not protected." in refused.stderr


def test_an_mp4_without_its_index_is_called_incomplete(evt: Evt) -> None:
    whole = write_tracks(evt.work / "talk.mp4", [ENGLISH]).read_bytes()
    (evt.work / "cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    refused = evt.run("cut.mp4", code=3)
    assert "is not complete: its index" in refused.stderr
    assert "Copy it again" in refused.stderr


def test_the_key_of_a_conversion_names_a_track_only_where_it_was_named(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    started = next(record["data"] for record in evt.records() if record["type"] == "stage.started")
    assert (started["stage"], started["options"]) == ("audio_conversion", {})
    assert "track" not in converted(evt)


def test_a_setting_and_a_file_beside_the_recording_name_a_track_too(evt: Evt) -> None:
    write_tracks(evt.work / "talk.mp4", [ENGLISH, GERMAN])
    (evt.work / "talk.evt.toml").write_text("track = 2\n")
    assert "audio track 2 of 2" in evt.run("talk.mp4").stderr
    write_tracks(evt.work / "other.mp4", [ENGLISH, ("fra", tone(3, 700))])
    assert "audio track 2 of 2" in evt("run", "other.mp4", *evt.engines, EVT_TRACK="2").stderr
    assert "track can't be 'x'" in evt.run("talk.mp4", "--track", "x", code=3).stderr

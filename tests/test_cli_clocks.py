"""Sound that starts late or has gaps: times fit the picture, and the user is told of the silence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.support.cli import Evt
from tests.test_audio_containers import RATE_HZ, SPEECH, begin_of, mux

pytestmark = pytest.mark.slow


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def converted(evt: Evt) -> Mapping[str, Any]:
    return next(
        record["data"]["metadata"]
        for record in evt.records()
        if record["type"] == "stage.succeeded" and record["data"]["stage"] == "audio_conversion"
    )


@pytest.mark.parametrize(("name", "codec"), [("film.mkv", "flac"), ("film.mp4", "aac"), ("film.mov", "pcm_s16le")])
def test_sound_that_starts_after_the_picture_keeps_its_distance(evt: Evt, name: str, codec: str) -> None:
    mux(evt.work / name, [(2.5, SPEECH)], codec, video_s=14)
    late = evt.run(name)
    (path,) = evt.home.glob("artifacts/*/*/audio_conversion/1/audio.flac")
    sound, _ = soundfile.read(path)
    assert begin_of(sound) == pytest.approx(begin_of(SPEECH / 32768) + 2.5, abs=0.03)
    assert re.search(r"the sound begins 2\.[45] s after the picture; times are those of the file", late.stderr)
    assert converted(evt)["start_offset_s"] == pytest.approx(2.5, abs=0.07)


def test_a_gap_is_told_and_an_excerpt_behind_it_is_on_the_same_clock(evt: Evt) -> None:
    half = 4 * RATE_HZ
    mux(evt.work / "talk.mkv", [(0.0, SPEECH[:half]), (7.0, SPEECH[half:])], "flac")
    whole = evt.run("talk.mkv")
    assert "sound is missing in 1 place, 3.0 s in all; silence stands there, so that times fit" in whole.stderr
    part = evt.run("talk.mkv", "--start", "7", "--end", "9")
    assert "only 00:00:07 to 00:00:09 of 00:00:14" in part.stderr

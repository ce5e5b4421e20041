"""`--start` and `--end`: only that is transcribed and paid for, and every time is still the recording's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.conversion import Selection
from pipeline.audio.convert import convert
from pipeline.speech.times import clock, seconds_in
from pipeline.speech.transcript import Excerpt, excerpt_note
from tests.support.cli import Evt
from tests.support.media import RATE_HZ, tone, write_tracks
from tests.test_audio_convert import Quiet

pytestmark = pytest.mark.slow

NOTE = "Only 00:00:04 to 00:00:10 of 00:00:20 of the recording was transcribed."


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def times(evt: Evt, name: str = "talk") -> dict[str, float]:
    """Return when each word begins, by the transcript that was delivered."""
    document = json.loads((evt.work / f"{name}.json").read_bytes())
    return {word["text"]: word["start_s"] for one in document["utterances"] for word in one["words"]}


def test_times_in_every_format_are_those_of_the_recording(evt: Evt) -> None:
    evt.speech(seconds=20)
    every = "txt,srt,vtt,json,rttm,md,docx,csv,tsv,jsonl,ctm,textgrid,eaf,ass,ttml"
    done = evt.run("talk.wav", "--start", "4", "--end", "0:10", "--format", every)
    assert f"Note: talk.wav: only{NOTE[4:-1]}; --start 0 --end end takes that back" in done.stderr
    assert times(evt)["one"] == 4.2  # the script says 0.2, of what it is given
    assert times(evt)["four"] == 8.4
    document = json.loads((evt.work / "talk.json").read_bytes())
    assert document["excerpt"] == {"start_s": 4.0, "end_s": 10.0, "recording_s": 20.0}
    assert document["duration_s"] == 20.0
    assert document["turns"][0]["start_s"] == 4.0
    assert document["quality"]["silence"]["seconds"] <= 6.0
    read = {suffix: (evt.work / f"talk.{suffix}").read_text("utf-8") for suffix in every.split(",")[:5]}
    assert "00:00:04,200 -->" in read["srt"]
    assert "00:00:04.200 -->" in read["vtt"]
    assert " 4.000 3.000 " in read["rttm"]
    for suffix in ("txt", "vtt", "md", "ttml", "ass", "json"):
        assert NOTE in re.sub(r"\s+", " ", (evt.work / f"talk.{suffix}").read_text("utf-8")), suffix
    assert "xmax = 20" in (evt.work / "talk.TextGrid").read_text("utf-8")


def test_another_excerpt_is_another_transcript_and_taking_it_back_is_the_first_one(evt: Evt) -> None:
    evt.speech(seconds=20)
    evt.run("talk.wav")
    assert times(evt)["one"] == 0.2
    evt.run("talk.wav", "--start", "4")
    assert times(evt)["one"] == 4.2
    assert "nothing to do" in evt.run("talk.wav").stdout
    evt.run("talk.wav", "--start", "0:05")
    assert times(evt)["one"] == 5.2
    assert "nothing to run" in evt.run("talk.wav", "--start", "0").stdout
    assert times(evt)["one"] == 0.2
    assert NOTE[:5] not in (evt.work / "talk.txt").read_text("utf-8")


def test_excerpts_of_equal_sound_are_told_apart_by_their_times(evt: Evt) -> None:
    soundfile.write(evt.work / "still.wav", np.zeros(20 * RATE_HZ, np.int16), RATE_HZ)
    for start_s in (3, 6):
        evt(
            "run",
            "still.wav",
            "--diarizer",
            "none",
            "--transcriber",
            f"script:{evt.script}",
            "--start",
            str(start_s),
            "--end",
            "10",
        )
        document = json.loads((evt.work / "still.json").read_bytes())
        assert document["excerpt"]["start_s"] == start_s


def test_only_the_excerpt_is_priced_before_and_after_the_conversion(evt: Evt) -> None:
    evt.speech(seconds=60)
    evt.script.write_text(evt.script.read_text() + "\nbillable = true\nprice_per_min = 1.0\n", encoding="utf-8")
    words = evt.script.read_text(encoding="utf-8").splitlines()
    evt.script.write_text(
        "\n".join(sorted(words, key=lambda line: "=" not in line or "[" in line)), encoding="utf-8"
    )

    def expected(*more: str) -> float:
        (report,) = evt.json(
            "plan", "talk.wav", "--diarizer", "none", "--transcriber", f"script:{evt.script}", *more
        )
        return float(report["price"]["expected"]["amount"])

    assert expected() == pytest.approx(1.0, abs=0.05)
    assert expected("--start", "30") == pytest.approx(0.5, abs=0.05)
    assert expected("--start", "10", "--end", "16") == pytest.approx(0.1, abs=0.02)
    evt("run", "talk.wav", "--diarizer", "none", "--transcriber", f"script:{evt.script}", "--start", "54")
    assert expected("--start", "0") == pytest.approx(1.0, abs=0.05)


def test_a_range_that_is_none_is_one_clear_line(evt: Evt) -> None:
    evt.speech(seconds=8)
    assert (
        "'talk.wav' ends at 00:00:08, before the start that was named, 00:01:00."
        in evt.run("talk.wav", "--start", "1:00", code=3).stderr
    )
    assert "--start is not before --end" in evt.run("talk.wav", "--end", "30", code=3).stderr
    late = evt.run("talk.wav", "--start", "0", "--end", "30")
    assert "the recording ends at 00:00:08, before the end at 00:00:30" in late.stderr
    assert (
        "--start 00:00:05 is not before --end 00:00:05"
        in evt.run("talk.wav", "--start", "5", "--end", "5", code=3).stderr
    )
    assert "it is seconds, MM:SS or H:MM:SS" in evt.run("talk.wav", "--start", "1:60", code=3).stderr


def test_names_that_were_given_stay_with_their_voices_when_the_excerpt_moves(evt: Evt) -> None:
    evt.speech(seconds=20)
    evt.run("talk.wav", "--names", "Anna")
    evt.run("talk.wav", "--start", "1")
    shown = evt("show", "talk.wav", "--transcript", code=None)
    assert shown.returncode in {0, 2}
    assert "[00:00:01] Anna:" in (evt.work / "talk.txt").read_text("utf-8")


def test_speech_without_words_is_told_on_the_recordings_clock(evt: Evt) -> None:
    evt.speech(seconds=30)
    text = evt.script.read_text(encoding="utf-8")
    evt.script.write_text(
        text.replace("concurrency", "accounts_for_speech = true\nconcurrency", 1), encoding="utf-8"
    )
    failed = evt.run("talk.wav", "--start", "10", code=1)
    found = re.findall(r"00:(\d\d)–00:(\d\d)", failed.stderr)
    assert {(start, end) for start, end in found} == {("17", "29")}, failed.stderr
    allowed = evt.run("talk.wav", "--allow-gaps")
    assert allowed.returncode == 0
    document = json.loads((evt.work / "talk.json").read_bytes())
    assert min(gap["start_s"] for gap in document["gaps"]) >= 16


def read(path: Path, folder: Path, selection: Selection) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    convert(path, folder, work=Quiet(), selection=selection)
    samples: np.ndarray = soundfile.read(folder / "audio.flac", dtype="int16")[0]
    return samples


@pytest.mark.parametrize(
    ("name", "codec"),
    [("talk.wav", ""), ("talk.mkv", "pcm_s16le"), ("talk.mp4", "aac"), ("talk.mp3", "libmp3lame")],
)
def test_an_excerpt_is_sample_for_sample_what_the_whole_has_there(tmp_path: Path, name: str, codec: str) -> None:
    sound = (tone(12, 300) * np.linspace(0, 1, 12 * RATE_HZ)).astype(np.int16)
    if codec:
        write_tracks(tmp_path / name, [("eng", sound)], codec)
    else:
        soundfile.write(tmp_path / name, sound, RATE_HZ)
    whole = read(tmp_path / name, tmp_path / "whole", Selection())
    part = read(tmp_path / name, tmp_path / "part", Selection(start_s=5.0, end_s=7.5))
    np.testing.assert_array_equal(part, whole[5 * RATE_HZ : int(7.5 * RATE_HZ)])


@given(st.integers(0, 10**8))
def test_a_time_that_is_written_is_read_as_it_was(milliseconds: int) -> None:
    time_s = milliseconds / 1000
    assert seconds_in(str(time_s)) == pytest.approx(time_s)
    assert seconds_in(f"{clock(time_s)}.{milliseconds % 1000:03}") == pytest.approx(time_s)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1:60", "1:60:00", "1:2:3:4", "1e3", "inf", "nan", "1:", ":1", "١"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert seconds_in(text) is None


def test_an_excerpt_of_unknown_whole_is_told_without_it() -> None:
    assert excerpt_note(Excerpt(1.0, 2.0)) == "Only 00:00:01 to 00:00:02 of the recording was transcribed."


def forgotten(evt: Evt) -> Any:
    return evt.run("talk.wav", "--reset-options").stdout


def test_reset_options_takes_an_excerpt_back(evt: Evt) -> None:
    evt.speech(seconds=20)
    evt.run("talk.wav")
    evt.run("talk.wav", "--end", "5")
    assert "nothing to run" in forgotten(evt)
    assert len(times(evt)) == 5

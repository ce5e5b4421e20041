"""`--join`: several files are one recording, whose clock runs through, and whose parts are found again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline import transcribe
from pipeline.audio.conversion import Selection
from pipeline.audio.convert import convert
from pipeline.audio.sandbox import client
from pipeline.audio.sandbox.limits import Limits
from pipeline.errors import DecoderError, SourceRejectedError
from pipeline.recordings import again, identify, joined
from tests.support.batches import wait_until
from tests.support.cli import Evt
from tests.support.media import RATE_HZ, tone, write_tracks
from tests.test_audio_convert import SPEECH, Quiet

pytestmark = pytest.mark.slow

CUTS = (70_001, 130_000)
NAMES = ["one.wav", "two.wav", "three.wav"]


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def parts_of(folder: Path, sound: np.ndarray = SPEECH, rate_hz: int = RATE_HZ) -> list[Path]:
    """Write a recording in three parts, as a recorder would, cut wherever it was when a file was full."""
    paths = [folder / name for name in NAMES]
    for path, piece in zip(paths, np.split(sound, CUTS), strict=True):
        soundfile.write(path, piece, rate_hz)
    return paths


def converted(paths: list[Path], folder: Path, **more: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    folder.mkdir()
    first, *then = paths
    found = convert(first, folder, work=Quiet(), then=then, **more)
    tracks = {track.name: soundfile.read(folder / track.name, dtype="int16")[0] for track in found.tracks}
    return tracks, dict(found.metadata)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_parts_of_one_form_are_the_whole_recording_to_the_sample(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "whole.wav", SPEECH, rate_hz)
    parts = parts_of(tmp_path, rate_hz=rate_hz)
    found, metadata = converted(parts, tmp_path / "joined")
    whole, _ = converted([tmp_path / "whole.wav"], tmp_path / "whole")
    np.testing.assert_array_equal(found["audio.flac"], whole["audio.flac"])
    assert metadata["part_starts_s"] == [0.0, *(round(cut / rate_hz, 3) for cut in CUTS)]
    assert metadata["size_bytes"] == sum(path.stat().st_size for path in parts)


def test_channels_that_carry_different_speech_do_so_through_all_parts(tmp_path: Path) -> None:
    call = np.stack([SPEECH, np.roll(SPEECH, 60_000) * (np.arange(len(SPEECH)) % 50_000 > 25_000)], axis=1)
    soundfile.write(tmp_path / "whole.wav", call, RATE_HZ)
    found, _ = converted(parts_of(tmp_path, call), tmp_path / "joined")
    whole, _ = converted([tmp_path / "whole.wav"], tmp_path / "whole")
    assert found.keys() == whole.keys()
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])


def test_an_excerpt_of_parts_lies_on_their_common_clock(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    whole, _ = converted(parts, tmp_path / "whole")
    selection = Selection(start_s=3.0, end_s=9.5)
    excerpt, metadata = converted(parts, tmp_path / "part", selection=selection)
    np.testing.assert_array_equal(excerpt["audio.flac"], whole["audio.flac"][3 * RATE_HZ : int(9.5 * RATE_HZ)])
    assert metadata["start_s"] == 3.0
    assert metadata["recording_s"] == 11.0
    early, metadata = converted(parts, tmp_path / "early", selection=Selection(end_s=2.0))
    assert len(early["audio.flac"]) == 2 * RATE_HZ
    assert metadata["part_starts_s"] == [0.0]


def test_parts_of_different_forms_are_converted_one_by_one(tmp_path: Path) -> None:
    first, second, third = np.split(SPEECH, CUTS)
    soundfile.write(tmp_path / "a.wav", np.stack([first, np.zeros_like(first)], axis=1), RATE_HZ)
    soundfile.write(tmp_path / "b.flac", second, RATE_HZ)
    write_tracks(tmp_path / "c.m4a", [("eng", third)])
    paths = [tmp_path / name for name in ("a.wav", "b.flac", "c.m4a")]
    tracks, metadata = converted(paths, tmp_path / "joined")
    assert list(tracks) == ["audio.flac"]
    assert metadata["part_starts_s"][:3] == [0.0, 4.375, 8.125]
    assert metadata["downmix"] == "by_part"
    np.testing.assert_array_equal(tracks["audio.flac"][: CUTS[0]], first)  # at its level, not at half of it
    np.testing.assert_array_equal(tracks["audio.flac"][CUTS[0] : CUTS[1]], second)
    assert len(tracks["audio.flac"]) == pytest.approx(len(SPEECH), abs=2048)


def test_joined_files_are_one_pipeline_that_ends_in_nothing_to_do(evt: Evt) -> None:
    parts = parts_of(evt.work)
    done = evt.run("--join", *NAMES)
    assert "Note: one.wav + two.wav + three.wav: 3 files are joined, part 2 at 00:00:04" in done.stderr
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in parts]
    digest = hashlib.sha256(
        ("evt joined recording 1\n" + "".join(f"{one}\n" for one in digests)).encode()
    ).hexdigest()
    assert evt.log().stem == digest[:16]
    created = next(record["data"]["input"] for record in evt.records() if record["type"] == "pipeline.created")
    assert [part["sha256"] for part in created["parts"]] == digests
    assert [part["name"] for part in created["parts"]] == NAMES
    assert (created["sha256"], created["name"]) == (digest, "one.wav")
    assert json.loads((evt.work / "one.json").read_bytes())["duration_s"] == 11.0
    size = evt.log().stat().st_size
    assert "nothing to do" in evt.run("--join", *NAMES).stdout
    assert "nothing to do" in evt.run(digest[:16]).stdout
    assert evt.log().stat().st_size == size
    assert [line for line in evt("show", digest[:16]).stdout.splitlines() if "two.wav" in line] == [
        "  part 2     two.wav"
    ]


def test_another_order_is_another_recording(evt: Evt) -> None:
    parts_of(evt.work)
    (first,) = evt.json("plan", "--join", *NAMES)
    (second,) = evt.json("plan", "--join", *reversed(NAMES))
    assert first["pipeline"] != second["pipeline"]


def test_parts_that_moved_are_missed_by_name_and_found_where_the_user_says(evt: Evt) -> None:
    parts_of(evt.work)
    evt.run("--join", *NAMES)
    pipeline = evt.log().stem
    (evt.work / "away").mkdir()
    shutil.move(evt.work / "two.wav", evt.work / "away" / "two.wav")
    assert "nothing to do" in evt.run(pipeline).stdout
    missed = evt.run(pipeline, "--refresh", "audio_conversion", code=3)
    assert f"Part 2, two.wav, isn't at {evt.work}/two.wav." in missed.stderr
    (report,) = evt.json("plan", pipeline, "--refresh", "audio_conversion", code=3)
    assert any("Part 2, two.wav" in note for note in report["notes"])
    strange = evt.run(pipeline, "--input", str(evt.speech("other.wav")), code=3)
    assert "is none of the parts" in strange.stderr
    evt.run(pipeline, "--refresh", "audio_conversion", "--input", "away/two.wav")
    evt.run(pipeline, "--refresh", "audio_conversion")
    with (evt.work / "three.wav").open("ab") as file:
        file.write(b"\0\0")
    changed = evt.run(pipeline, "--refresh", "audio_conversion", code=3)
    assert "Part 3, three.wav, isn't any more what it was," in changed.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["one.wav", "one.wav"], "is the same file as"),
        (["one.wav", "copy.wav"], "is the same file as"),
        (["one.wav", "."], "is a folder"),
        (["one.wav", "gone.wav"], "There is no file gone.wav"),
        (["one.wav", "*.wav"], "There is no file *.wav"),
        (["one.wav", "page.wav"], "Part 2 of 2: 'page.wav' is no sound or video file"),
        (["one.wav", "empty.wav"], "is empty"),
    ],
)
def test_what_can_not_be_joined_is_one_line(evt: Evt, names: list[str], said: str) -> None:
    parts_of(evt.work)
    shutil.copy(evt.work / "one.wav", evt.work / "copy.wav")
    (evt.work / "page.wav").write_text("<html>not found</html>")
    (evt.work / "empty.wav").write_bytes(b"")
    refused = evt.run("--join", *names, code=3)
    lines = [line for line in refused.stderr.splitlines() if line.startswith("evt: ")]
    assert len(lines) == 1
    assert said in lines[0]


def test_a_day_in_many_parts_is_joined(tmp_path: Path) -> None:
    pieces = np.array_split(SPEECH, 100)
    paths = [tmp_path / f"{number:03}.wav" for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        soundfile.write(path, piece, RATE_HZ)
    found = client.convert(paths[0], tmp_path, work=Quiet(), then=paths[1:])
    assert found.tracks[0].samples == len(SPEECH)
    assert len(found.metadata["part_starts_s"]) == len(paths)


def test_a_single_file_that_is_joined_is_that_file(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    assert "nothing to do" in evt.run("--join", "talk.wav").stdout


def test_a_decoder_that_dies_names_the_part_that_it_read(tmp_path: Path) -> None:
    paths = parts_of(tmp_path)
    write_tracks(tmp_path / "film.m4a", [("eng", tone(60))])
    with pytest.raises(DecoderError, match=r"'film.m4a' could not be read"):
        client.convert(
            paths[0], tmp_path, work=Quiet(), then=[paths[1], tmp_path / "film.m4a"], limits=Limits(sound_s=20)
        )


def test_a_part_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    recording = joined([identify(path, tmp_path / "index") for path in parts_of(tmp_path)])
    recording.require_unchanged()
    with (tmp_path / "two.wav").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(SourceRejectedError, match=r"two\.wav changed while it was being read"):
        recording.require_unchanged()
    with pytest.raises(SourceRejectedError, match="was changed since this command began"):
        again(recording, tmp_path / "index")


def test_other_programs_join_files_by_naming_several(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    result = transcribe(parts, home=tmp_path / "home", diarizer="none", transcriber="builtin", end_s=1)
    assert result.as_json()["excerpt"]["end_s"] == 1.0
    with pytest.raises(SourceRejectedError, match="without a file"):
        transcribe([], home=tmp_path / "home")


def test_a_joined_run_that_was_killed_goes_on_and_asks_nothing_twice(evt: Evt) -> None:
    parts_of(evt.work, np.resize(SPEECH, 30 * RATE_HZ))
    evt.script.write_text(
        evt.script.read_text()
        + '\n[[delays]]\noperation = "transcription"\nseconds = 60\nattempts = [1]\ncalls = [3]\n'
    )
    process = evt.start("run", "--join", *NAMES, *evt.engines)
    wait_until(lambda: len(list(evt.home.glob("logs/*/*.jsonl"))) == 1 and evt.types().count("call.succeeded") >= 2)
    process.kill()
    process.communicate()
    pipeline = evt.log().stem
    done = evt.run(pipeline)
    assert "reused" in done.stdout
    records = evt.records()
    started = {one["data"]["call"]: one["data"] for one in records if one["type"] == "call.started"}
    answered = [started[one["data"]["call"]] for one in records if one["type"] == "call.succeeded"]
    units = [(call["stage"], call["unit"]) for call in answered]
    assert len(units) == len(set(units)) > 3
    assert "nothing to do" in evt.run("--join", *NAMES).stdout


def test_a_list_tells_joined_files_from_the_first_of_them_alone(evt: Evt) -> None:
    parts_of(evt.work)
    evt.run("--join", *NAMES)
    evt.run(NAMES[0])
    names = [line.partition(NAMES[0])[2] for line in evt("list").stdout.splitlines()[1:]]
    assert sorted(names) == ["", f" + {len(NAMES) - 1} more"]
    assert f"joined of  {', '.join(NAMES)}" in evt("list", "--detailed").stdout
    assert sorted(len(row["parts"]) for row in evt.json("list", "--json")) == [0, len(NAMES)]

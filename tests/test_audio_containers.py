"""Containers and their clocks: late starts, gaps, damage, and what must not be opened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.containers import Clock, open_container
from pipeline.audio.source import Facts, Findings
from pipeline.errors import SourceRejectedError

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "samples"
RATE_HZ = 16_000
SPEECH = soundfile.read(SAMPLES / "jfk.wav", dtype="int16")[0]


def frames(samples: np.ndarray, start_s: float, rate_hz: int, size: int = 1024) -> Iterator[av.AudioFrame]:
    for at in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], "s16", "mono")
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        frame.pts = at + round(start_s * rate_hz)
        yield frame


def mux(
    path: Path, pieces: list[tuple[float, np.ndarray]], codec: str, *, video_s: float = 0.0, title: str = ""
) -> None:
    """Write pieces of sound, each at its time; with video_s, a picture runs from 0 on for so long."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        sound = container.add_stream(codec, rate=RATE_HZ)
        sound.codec_context.layout = "mono"
        if video_s:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 32
            for number in range(int(video_s * 10)):
                shown = av.VideoFrame(32, 32, "yuv420p")
                for plane in shown.planes:
                    plane.update(bytes(plane.buffer_size))
                shown.pts, shown.time_base = number, Fraction(1, 10)
                container.mux(picture.encode(shown))
            container.mux(picture.encode(None))
        for start_s, samples in pieces:
            for frame in frames(samples, start_s, RATE_HZ):
                container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def read(path: Path) -> tuple[np.ndarray, Facts, Findings]:
    with open_container(path) as source:
        pieces = list(source.blocks())
        return np.concatenate(pieces, axis=1), source.facts, source.findings


@pytest.mark.parametrize(("name", "codec"), [("talk.mkv", "pcm_s16le"), ("talk.mkv", "flac"), ("talk.mp4", "aac")])
def test_sound_that_starts_after_the_video_is_preceded_by_silence(tmp_path: Path, name: str, codec: str) -> None:
    mux(tmp_path / name, [(1.5, SPEECH)], codec, video_s=14)
    sound, _, findings = read(tmp_path / name)
    assert findings.start_offset_s == pytest.approx(1.5, abs=0.07)  # AAC begins with 64 ms of its own
    assert findings.gaps == 0
    assert not sound[0, : int(1.4 * RATE_HZ)].any()
    assert begin_of(sound[0]) == pytest.approx(begin_of(SPEECH / 32768) + 1.5, abs=0.02)


def begin_of(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(samples) > 0.05) / RATE_HZ)


@pytest.mark.parametrize(("name", "codec"), [("talk.mkv", "pcm_s16le"), ("talk.mkv", "flac"), ("talk.mka", "aac")])
def test_a_gap_in_the_container_becomes_silence(tmp_path: Path, name: str, codec: str) -> None:
    half = 4 * RATE_HZ
    mux(tmp_path / name, [(0.0, SPEECH[:half]), (6.0, SPEECH[half:])], codec)
    sound, _, findings = read(tmp_path / name)
    assert findings.gaps == 1
    assert findings.gaps_s == pytest.approx(2.0, abs=0.07)
    assert sound.shape[1] / RATE_HZ == pytest.approx(2 + len(SPEECH) / RATE_HZ, abs=0.1)
    assert not sound[0, int(4.2 * RATE_HZ) : int(5.9 * RATE_HZ)].any()
    assert findings.warnings == []


def test_a_container_that_starts_late_as_a_whole_starts_at_once(tmp_path: Path) -> None:
    mux(tmp_path / "talk.mkv", [(30.0, SPEECH)], "pcm_s16le")
    sound, _, findings = read(tmp_path / "talk.mkv")
    assert findings == Findings()
    np.testing.assert_array_equal(sound[0], SPEECH.astype(np.float32) / 32768)


def test_jitter_is_not_filled(tmp_path: Path) -> None:
    pieces = [(at / RATE_HZ + (0.03 if at else 0), SPEECH[at : at + 16_384]) for at in range(0, 65_536, 16_384)]
    mux(tmp_path / "talk.mkv", pieces, "pcm_s16le")
    sound, _, findings = read(tmp_path / "talk.mkv")
    assert findings == Findings()
    np.testing.assert_array_equal(sound[0], SPEECH[:65_536].astype(np.float32) / 32768)


def clock(limit_s: float = 100.0, origin: int = 0) -> Clock:
    return Clock(origin, 1000, limit_s * 1000, Findings())


def test_a_clock_that_jumps_far_is_set_anew_with_a_warning() -> None:
    broken = clock()
    assert [broken.missing_before(at, 1000) for at in (0, 1000, 9_000_000, 9_001_000)] == [0, 0, 0, 0]
    assert len(broken.findings.warnings) == 1
    assert broken.missing_before(9_003_000, 1000) == 1000


def test_a_clock_that_falls_back_counts_from_there() -> None:
    joined = clock()
    assert [joined.missing_before(at, 1000) for at in (0, 1000, 2000, 0, 1000, 3000)] == [0, 0, 0, 0, 0, 1000]
    assert len(joined.findings.warnings) == 1


@given(st.lists(st.tuples(st.none() | st.integers(-(10**6), 10**6), st.integers(1, 5000)), max_size=30))
def test_no_clock_makes_a_recording_longer_than_sound_and_limit(ticks: list[tuple[int | None, int]]) -> None:
    any_clock = clock(limit_s=60)
    silence = [any_clock.missing_before(at, samples) for at, samples in ticks]
    assert all(missing >= 0 for missing in silence)
    assert sum(silence) <= 60_000
    assert any_clock.position == sum(silence) + sum(samples for _, samples in ticks)


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "flac"]
)
def test_every_sample_format_gives_the_same_floats(tmp_path: Path, codec: str) -> None:
    coarse = (SPEECH // 256 * 256).astype(np.int16)  # fits in 8 bits
    with av.open(str(tmp_path / "talk.mkv"), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        adapter = av.AudioResampler(stream.codec_context.codec.audio_formats[0].name, "mono", RATE_HZ)
        for frame in frames(coarse, 0, RATE_HZ):
            for adapted in adapter.resample(frame):
                container.mux(stream.encode(adapted))
        container.mux(stream.encode(None))
    sound, facts, _ = read(tmp_path / "talk.mkv")
    assert (facts.codec, facts.container) == (codec, "matroska")
    np.testing.assert_array_equal(sound[0], coarse.astype(np.float32) / 32768)


def test_a_broadcast_that_changes_its_form_goes_on_in_the_first(tmp_path: Path) -> None:
    for name, samples, channels in (("one", SPEECH, 1), ("two", np.stack([SPEECH, SPEECH], axis=1), 2)):
        soundfile.write(tmp_path / f"{name}.mp3", samples, RATE_HZ * channels)
    both = (tmp_path / "one.mp3").read_bytes() + (tmp_path / "two.mp3").read_bytes()
    (tmp_path / "both.mp3").write_bytes(both)
    sound, facts, _ = read(tmp_path / "both.mp3")
    assert (facts.rate_hz, len(sound)) == (RATE_HZ, 1)
    assert sound.shape[1] == pytest.approx(1.5 * len(SPEECH), rel=0.03)


def test_the_default_audio_stream_is_read_and_the_others_are_counted(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "talk.mkv"), "w") as container:
        tracks = [container.add_stream("flac", rate=RATE_HZ, layout="mono") for _ in range(2)]
        tracks[0].disposition = av.stream.Disposition(0)
        tracks[1].disposition = av.stream.Disposition.default
        for track, samples in zip(tracks, (SPEECH // 2, SPEECH), strict=True):
            for frame in frames(samples, 0, RATE_HZ):
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    sound, facts, _ = read(tmp_path / "talk.mkv")
    assert facts.tracks == 2
    np.testing.assert_array_equal(sound[0], SPEECH.astype(np.float32) / 32768)


def test_a_video_without_sound_is_rejected(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        for number in range(10):
            shown = av.VideoFrame(32, 32, "yuv420p")
            shown.pts = number
            container.mux(picture.encode(shown))
        container.mux(picture.encode(None))
    with pytest.raises(SourceRejectedError, match="no sound"):
        read(tmp_path / "silent.mp4")


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:11\n#EXTINF:11,\nfile:{sound}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{sound}'\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="audio/mpeg"><Representation id="1" bandwidth="1"><BaseURL>{sound}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_only_names_others_is_rejected(tmp_path: Path, name: str) -> None:
    sound = tmp_path / "talk.mp3"
    soundfile.write(sound, SPEECH, RATE_HZ)
    playlist = tmp_path / name
    playlist.write_text(PLAYLISTS[name].format(sound=sound))
    with pytest.raises(SourceRejectedError, match=r"list.* is no sound or video file"):
        read(playlist)


def test_damage_in_flac_costs_neither_the_rest_nor_its_times(tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    soundfile.write(path, SPEECH, RATE_HZ)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 12_000] = np.random.default_rng(0).bytes(12_000)
    path.write_bytes(data)
    sound, _, findings = read(path)
    assert findings.warnings or findings.gaps
    np.testing.assert_array_equal(sound[0, -RATE_HZ:], SPEECH[-RATE_HZ:].astype(np.float32) / 32768)
    assert sound.shape[1] == len(SPEECH)


def test_damage_in_the_middle_costs_little_and_is_said(tmp_path: Path) -> None:
    whole = tmp_path / "talk.mka"
    mux(whole, [(0.0, SPEECH)], "aac")
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = np.random.default_rng(0).bytes(1500)
    whole.write_bytes(data)
    sound, _, findings = read(whole)
    assert sound.shape[1] / RATE_HZ > 9
    assert findings.warnings


def test_a_file_cut_short_gives_what_is_there_and_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "talk.mka"
    mux(path, [(0.0, SPEECH)], "flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound, _, findings = read(path)
    assert 4 < sound.shape[1] / RATE_HZ < 7
    assert any("cut short" in warning for warning in findings.warnings)


def test_titles_that_are_not_utf_8_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "talk.mka"
    mux(path, [(0.0, SPEECH)], "flac", title="SAMPLE")
    path.write_bytes(path.read_bytes().replace(b"SAMPLE", b"S\xff\xfePLE"))
    assert read(path)[0].shape == (1, len(SPEECH))


def test_libav_says_nothing_on_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    soundfile.write(path, SPEECH, RATE_HZ)
    data = bytearray(path.read_bytes())
    data[5000:9000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(data)
    program = """
import sys
from pathlib import Path
from pipeline.audio.containers import open_container
with open_container(Path(sys.argv[1])) as source:
    print(sum(block.shape[1] for block in source.blocks()) > 0)
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_gap_in_sound_of_many_unnamed_channels_is_filled_as_well(tmp_path: Path) -> None:
    surround = np.stack([SPEECH[:RATE_HZ]] * 5, axis=1)
    soundfile.write(tmp_path / "five.wav", surround, RATE_HZ)
    with av.open(str(tmp_path / "five.wav")) as given, av.open(str(tmp_path / "five.mkv"), "w") as container:
        track = container.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.pts is not None:
                packet.pts = packet.dts = packet.pts + (RATE_HZ if packet.pts > 0 else 0)
                packet.stream = track
                container.mux(packet)
    sound, _, findings = read(tmp_path / "five.mkv")
    assert (findings.gaps, findings.gaps_s) == (1, pytest.approx(1.0, abs=0.01))
    assert sound.shape == (5, pytest.approx(2 * RATE_HZ, abs=20))

"""Recordings of every kind become canonical audio, or are rejected with a plain message."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from pipeline.audio.containers import open_container
from pipeline.audio.convert import Conversion, Level, convert
from pipeline.audio.soundfiles import open_lossless, read_samples
from pipeline.errors import SourceRejectedError, StoppedError

ROOT = Path(__file__).parents[1]
RATE_HZ = 16_000
SPEECH = soundfile.read(ROOT / "samples" / "jfk.wav", dtype="int16")[0]
OTHER = np.resize(soundfile.read(ROOT / "samples" / "quilter.wav", dtype="int16")[0], len(SPEECH))
LOSSLESS = {
    "wav u8": ("talk.wav", "PCM_U8"),
    "wav 16": ("talk.wav", "PCM_16"),
    "wav 24": ("talk.wav", "PCM_24"),
    "wav 32": ("talk.wav", "PCM_32"),
    "wav float": ("talk.wav", "FLOAT"),
    "wav double": ("talk.wav", "DOUBLE"),
    "wav u-law": ("talk.wav", "ULAW"),
    "wav a-law": ("talk.wav", "ALAW"),
    "aiff": ("talk.aiff", "PCM_16"),
    "au": ("talk.au", "PCM_16"),
    "caf": ("talk.caf", "PCM_24"),
    "w64": ("talk.w64", "PCM_16"),
}


class Quiet:
    """Work that nobody watches and nobody stops."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[tuple[float, float]] = []
        self._stop_after = stop_after

    def check(self) -> None:
        if len(self.seen) == self._stop_after:
            raise StoppedError("stopped")

    def progress(self, done_s: float, total_s: float) -> None:
        self.seen.append((done_s, total_s))


def converted(source: Path, folder: Path) -> Conversion:
    folder.mkdir(exist_ok=True)
    return convert(source, folder, work=Quiet())


def samples_of(folder: Path, name: str = "audio.flac") -> np.ndarray:
    return read_samples(folder / name, 0, 10**9)


def test_16_khz_mono_keeps_its_samples(tmp_path: Path) -> None:
    conversion = converted(ROOT / "samples" / "jfk.wav", tmp_path)
    (track,) = conversion.tracks
    assert (track.name, track.channel, track.samples) == ("audio.flac", None, len(SPEECH))
    assert track.pcm_sha256 == sha256(SPEECH.tobytes()).hexdigest()
    np.testing.assert_array_equal(samples_of(tmp_path), SPEECH)
    assert dict(conversion.metadata) == {
        "size_bytes": (ROOT / "samples" / "jfk.wav").stat().st_size,
        "rate_hz": RATE_HZ,
        "channels": 1,
        "codec": "pcm_16",
        "container": "wav",
        "tracks": 1,
        "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
        "resampler": "none",
        "start_offset_s": 0.0,
        "gaps": 0,
        "gaps_s": 0.0,
        "warnings": [],
        "clipped_share": 0.0,
        "duration_s": 11.0,
        "rms_dbfs": pytest.approx(-16.95, abs=0.01),
        "peak_dbfs": pytest.approx(-2.13, abs=0.01),
        "downmix": "mono",
        "downmix_channels": [0],
        "downmix_inverted": [],
    }


def at_44_khz_in_a_room() -> np.ndarray:
    speech = soxr.resample(SPEECH.astype(np.float32) / 32768, RATE_HZ, 44_100)[: 3 * 44_100]
    return np.stack([speech, 0.7 * np.roll(speech, 20)], axis=1)


@pytest.mark.parametrize("case", LOSSLESS)
def test_both_decoders_give_the_same_samples_for_lossless_files(tmp_path: Path, case: str) -> None:
    name, subtype = LOSSLESS[case]
    soundfile.write(tmp_path / name, at_44_khz_in_a_room(), 44_100, subtype)
    with open_lossless(tmp_path / name) as fast, open_container(tmp_path / name) as slow:
        assert fast is not None
        assert (fast.facts.rate_hz, fast.facts.channels) == (slow.facts.rate_hz, slow.facts.channels)
        for left, right in zip(fast.blocks(), slow.blocks(), strict=True):
            np.testing.assert_array_equal(left, right)
        assert fast.findings == slow.findings


@pytest.mark.parametrize(
    ("name", "codec"),
    [("talk.mkv", "pcm_s16le"), ("talk.mkv", "flac"), ("talk.m4a", "alac"), ("talk.flac", "flac")],
)
def test_a_lossless_stream_in_another_container_has_the_digest_of_its_wav(
    tmp_path: Path, name: str, codec: str
) -> None:
    soundfile.write(tmp_path / "talk.wav", at_44_khz_in_a_room(), 44_100, "PCM_16")
    repack(tmp_path / "talk.wav", tmp_path / name, codec)
    fast = converted(tmp_path / "talk.wav", tmp_path / "fast")
    slow = converted(tmp_path / name, tmp_path / "slow")
    assert [fast.metadata["decoder"].split()[0], slow.metadata["decoder"].split()[0]] == ["libsndfile", "av"]
    assert fast.tracks == slow.tracks
    assert fast.tracks[0].samples == 3 * RATE_HZ


def repack(source: Path, target: Path, codec: str, rate: int | None = None) -> None:
    """Encode a file again with another codec, in the container that the suffix names."""
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        sound = given.streams.audio[0]
        track = container.add_stream(codec, rate=rate or sound.rate)
        track.codec_context.layout = {1: "mono", 2: "stereo"}[sound.channels]
        for frame in given.decode(sound):
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("talk.mp3", "libmp3lame", 44_100),
        ("talk.m4a", "aac", 44_100),
        ("talk.ogg", "libopus", 48_000),
        ("talk.webm", "libopus", 48_000),
        ("talk.mp4", "aac", 48_000),
        ("talk.avi", "libmp3lame", 48_000),
        ("talk.ts", "aac", 48_000),
    ],
)
def test_lossy_files_keep_speech_at_its_time_and_level(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    repack(ROOT / "samples" / "jfk.wav", tmp_path / name, codec, rate=rate)
    conversion = converted(tmp_path / name, tmp_path / "out")
    assert conversion.metadata["warnings"] == []
    assert conversion.metadata["duration_s"] == pytest.approx(11, abs=0.15)
    assert conversion.metadata["rms_dbfs"] == pytest.approx(-16.95, abs=0.5)
    assert abs(delay_s(samples_of(tmp_path / "out"))) < 0.05


def delay_s(samples: np.ndarray) -> float:
    """By how much the speech comes later than in the original, by cross-correlation."""
    size = 2**19
    spectra = [np.fft.rfft(each.astype(float), size) for each in (samples, SPEECH)]
    lag = int(np.argmax(np.fft.irfft(spectra[0] * spectra[1].conj(), size)))
    return (lag if lag < size // 2 else lag - size) / RATE_HZ


def test_one_speaker_per_channel_gives_a_file_for_each(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.stack([SPEECH, OTHER], axis=1), RATE_HZ)
    conversion = converted(tmp_path / "call.wav", tmp_path / "out")
    assert [(t.name, t.channel) for t in conversion.tracks] == [
        ("audio.flac", None),
        ("channel-0.flac", 0),
        ("channel-1.flac", 1),
    ]
    np.testing.assert_array_equal(samples_of(tmp_path / "out", "channel-0.flac"), SPEECH)
    np.testing.assert_array_equal(samples_of(tmp_path / "out", "channel-1.flac"), OTHER)
    mean = np.rint((SPEECH.astype(float) + OTHER) / 2)
    np.testing.assert_array_equal(samples_of(tmp_path / "out"), mean)


def test_an_ordinary_stereo_recording_gives_one_file_and_is_read_once(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.stack([SPEECH, SPEECH // 2], axis=1), RATE_HZ)
    work = Quiet()
    conversion = convert(tmp_path / "talk.wav", tmp_path, work=work)
    assert [track.name for track in conversion.tracks] == ["audio.flac"]
    assert conversion.metadata["downmix"] == "mean"
    assert [done_s for done_s, _ in work.seen] == sorted(done_s for done_s, _ in work.seen)
    assert work.seen[-1] == (11.0, 11.0)


def test_antiphase_stereo_does_not_vanish(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.stack([SPEECH, -SPEECH], axis=1), RATE_HZ)
    conversion = converted(tmp_path / "talk.wav", tmp_path / "out")
    assert conversion.metadata["downmix_inverted"] == [1]
    np.testing.assert_array_equal(samples_of(tmp_path / "out"), SPEECH)


def test_speech_on_one_channel_of_six_keeps_its_level(tmp_path: Path) -> None:
    surround = np.zeros((len(SPEECH), 6), np.int16)
    surround[:, 2] = SPEECH
    soundfile.write(tmp_path / "film.wav", surround, RATE_HZ)
    conversion = converted(tmp_path / "film.wav", tmp_path / "out")
    assert (conversion.metadata["downmix"], conversion.metadata["downmix_channels"]) == ("single", [2])
    np.testing.assert_array_equal(samples_of(tmp_path / "out"), SPEECH)


def test_silence_is_converted_like_anything_else(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros((RATE_HZ, 2)), RATE_HZ)
    conversion = converted(tmp_path / "silence.wav", tmp_path / "out")
    assert (conversion.metadata["rms_dbfs"], conversion.metadata["duration_s"]) == (-120.0, 1.0)


def test_clipping_is_measured(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(SPEECH * 8.0 / 32768, -1, 1), RATE_HZ)
    assert 0.1 < converted(tmp_path / "loud.wav", tmp_path / "out").metadata["clipped_share"] < 0.9


@pytest.mark.parametrize("samples", [1, 100, 1599, 16_001])
def test_very_short_recordings_are_whole(tmp_path: Path, samples: int) -> None:
    soundfile.write(tmp_path / "blip.wav", np.stack([SPEECH, OTHER], axis=1)[-samples:], RATE_HZ)
    assert converted(tmp_path / "blip.wav", tmp_path / "out").tracks[0].samples == samples


def test_samples_that_are_no_numbers_do_not_spread(tmp_path: Path) -> None:
    floats = np.repeat(SPEECH / 32768, 3).astype(np.float32)
    floats[[1000, 2000, 3000]] = [np.nan, np.inf, 1e30]
    soundfile.write(tmp_path / "odd.wav", floats, 48_000, "FLOAT")
    conversion = converted(tmp_path / "odd.wav", tmp_path / "out")
    assert len(conversion.metadata["warnings"]) == 1
    assert conversion.metadata["rms_dbfs"] == pytest.approx(-16.95, abs=0.3)


@pytest.mark.parametrize("name", ["talk.wav", "talk.flac", "talk.aiff"])
def test_a_file_cut_short_gives_what_is_there_and_a_warning(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, SPEECH, RATE_HZ)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    conversion = converted(path, tmp_path / "out")
    assert 4 < conversion.metadata["duration_s"] < 7
    assert any("cut short" in warning or "damaged" in warning for warning in conversion.metadata["warnings"])


def rejected(path: Path, folder: Path) -> str:
    with pytest.raises(SourceRejectedError) as caught:
        converted(path, folder)
    return str(caught.value)


def test_what_is_no_recording_is_rejected_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    (tmp_path / "page.wav").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    soundfile.write(tmp_path / "header.wav", np.zeros(0), RATE_HZ)
    os.mkfifo(tmp_path / "pipe")
    messages = {
        name: rejected(tmp_path / name, tmp_path / "out")
        for name in ("gone.wav", ".", "zero.wav", "page.wav", "header.wav", "pipe")
    }
    assert "can't be found" in messages["gone.wav"]
    assert "folder" in messages["."]
    assert "0 bytes" in messages["zero.wav"]
    assert "'page.wav' is no sound or video file" in messages["page.wav"]
    assert "'header.wav' holds no sound" in messages["header.wav"]
    assert "not a file" in messages["pipe"]


def test_a_damaged_header_does_not_blow_up(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", SPEECH, 10)
    assert "header makes no sense" in rejected(tmp_path / "slow.wav", tmp_path / "out")


@pytest.mark.parametrize("suffix", [b".wav", b".mp3"])
@pytest.mark.parametrize("stem", [b"two words", b"'\"\n", "речь 話".encode(), b"\xff\xfe", b"-y", b"http:", b"%d"])
def test_any_bytes_may_stand_in_a_name(tmp_path: Path, stem: bytes, suffix: bytes) -> None:
    plain = tmp_path / f"plain{suffix.decode()}"
    soundfile.write(plain, SPEECH, RATE_HZ)
    odd = os.fsencode(tmp_path) + b"/" + stem + suffix
    os.rename(plain, odd)
    assert converted(Path(os.fsdecode(odd)), tmp_path / "out").metadata["duration_s"] == pytest.approx(11, abs=0.1)


def test_stopping_takes_effect_between_blocks_and_leaves_no_thread(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.tile(SPEECH, 6), RATE_HZ)
    threads, work = threading.active_count(), Quiet(stop_after=2)
    with pytest.raises(StoppedError):
        convert(tmp_path / "talk.wav", tmp_path, work=work)
    assert work.seen == [(15.0, 66.0), (30.0, 66.0)]
    assert threading.active_count() == threads


def test_level_is_measured_against_full_scale() -> None:
    level = Level()
    sine = np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    for block in np.array_split((sine * 32767).astype(np.int16), 5):
        level.add(block)
    assert (level.rms_dbfs(), level.peak_dbfs()) == (pytest.approx(-3.01, abs=0.01), pytest.approx(0, abs=0.01))


def noise_blocks(minutes: int, channels: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(minutes):
        yield rng.integers(-3000, 3000, (60 * 48_000, channels), np.int16)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("minutes", [10, pytest.param(30, marks=pytest.mark.heavy)])
def test_memory_does_not_grow_with_length(tmp_path: Path, minutes: int, channels: int) -> None:
    """Ten minutes at 48 kHz are 58 MB per channel; the growth allowed beyond the imports is 40 MiB."""
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 48_000, channels, "PCM_16") as file:
        for block in noise_blocks(minutes, channels):
            file.write(block)
    program = """
import resource, sys
import av, numpy, soundfile, soxr
from pathlib import Path
from pipeline.audio.convert import convert
from tests.test_audio_convert import Quiet
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
convert(Path(sys.argv[1]), Path(sys.argv[2]), work=Quiet())
print((peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""
    command = [sys.executable, "-c", program, tmp_path / "long.wav", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 40 * 2**20

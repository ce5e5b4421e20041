"""Silences of real and generated sound; none is lost or invented at the borders of windows."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.audio.silence import RATE, SHORTEST_MS, WINDOW_MS, _Summed, find_silences, quietest_sample
from pipeline.audio.soundfiles import FlacWriter

ROOT = Path(__file__).parent.parent
JFK = ROOT / "samples" / "jfk.wav"
SHORTEST = SHORTEST_MS * RATE // 1000
WINDOW = WINDOW_MS * RATE // 1000
slow = pytest.mark.slow

SLACK = RATE // 20
"""The detection works in steps of 10 ms, over stretches that may hold the edge of a sound."""


def flac(path, samples):
    writer = FlacWriter(path)
    writer.write(samples.astype("int16"))
    writer.close()
    return path


def noise(samples, level=3000):
    return np.random.default_rng(7).normal(0, level, samples)


def sound_with_pauses(total, pauses, floor=0):
    """Loud noise, with pauses at a softer level."""
    samples = noise(total)
    for start, end in pauses:
        samples[start:end] = noise(total, floor)[start:end]
    return samples


def near(found, expected):
    return len(found) == len(expected) and all(
        abs(a - b) <= SLACK
        for one, other in zip(found, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("floor", [0, 3, 100], ids=["digital silence", "dither", "room noise at -50 dBFS"])
def test_a_pause_is_found_where_it_is_however_loud_the_room(tmp_path, floor):
    pauses = [(RATE * 2, RATE * 3), (RATE * 5, RATE * 5 + SHORTEST + RATE // 10)]
    path = flac(tmp_path / "a.flac", sound_with_pauses(RATE * 8, pauses, floor))
    assert near(find_silences(path, RATE * 8), pauses)


@slow
def test_a_pause_across_the_border_of_two_windows_is_one_silence(tmp_path):
    """Also where the part on one side is shorter than any silence."""
    for offset in (SHORTEST // 4, SHORTEST // 2, SHORTEST * 3 // 4):
        pause = (WINDOW - offset, WINDOW - offset + SHORTEST + RATE // 10)
        path = flac(tmp_path / f"{offset}.flac", sound_with_pauses(WINDOW + RATE * 5, [pause]))
        assert near(find_silences(path, WINDOW + RATE * 5), [pause])


@slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(total=1, pauses=[])
@example(total=RATE, pauses=[0.0, 1.0])
@given(
    total=st.integers(1, 4 * RATE),
    pauses=st.lists(st.floats(0, 1), max_size=6).filter(lambda at: len(at) % 2 == 0).map(sorted),
)
def test_silences_are_sorted_disjoint_and_within_the_recording(tmp_path, total, pauses):
    spans = [(int(a * total), int(b * total)) for a, b in zip(pauses[::2], pauses[1::2], strict=True)]
    path = flac(tmp_path / "a.flac", sound_with_pauses(total, spans))
    found = find_silences(path, total)
    borders = [border for span in found for border in span]
    assert borders == sorted(set(borders))
    assert all(0 <= border <= total for border in borders)


@slow
def test_a_recording_without_sound_is_one_silence(tmp_path):
    total = WINDOW + RATE
    assert find_silences(flac(tmp_path / "a.flac", np.zeros(total)), total) == [(0, total)]


def test_steady_noise_has_no_silence(tmp_path):
    assert find_silences(flac(tmp_path / "a.flac", noise(RATE * 20)), RATE * 20) == []


def test_pauses_of_real_speech_are_found_between_its_phrases():
    """Kennedy pauses after "Americans", "not" and "you", and nowhere within these words."""
    silences = [(start / RATE, end / RATE) for start, end in find_silences(JFK, 11 * RATE)]
    for pause_s in (2.7, 4.8, 7.9):
        assert any(start <= pause_s < end for start, end in silences)
    for spoken_s in (1.0, 1.8, 3.5, 4.15, 6.0, 7.0, 8.5, 9.5):
        assert not any(start <= spoken_s < end for start, end in silences)


def test_the_quietest_sample_lies_in_the_softest_part(tmp_path):
    samples = noise(RATE * 3)
    samples[RATE * 2 : RATE * 2 + 800] /= 10
    path = flac(tmp_path / "a.flac", samples)
    assert RATE * 2 <= quietest_sample(path, RATE, RATE * 3) < RATE * 2 + 800
    assert RATE <= quietest_sample(path, RATE, RATE + 100) <= RATE + 100


@slow
def test_the_search_can_be_stopped_in_each_minute(tmp_path):
    class StoppedHereError(Exception):
        pass

    asked = []

    def stop_at_the_second():
        asked.append(1)
        if len(asked) == 2:
            raise StoppedHereError

    path = flac(tmp_path / "a.flac", np.zeros(WINDOW + RATE))
    with pytest.raises(StoppedHereError):
        find_silences(path, WINDOW + RATE, stop_at_the_second)


@slow
@given(
    total=st.integers(0, RATE * 2),
    pauses=st.lists(st.tuples(st.integers(0, RATE * 2), st.integers(0, RATE)), max_size=3),
    threshold=st.floats(-70, -10),
)
@settings(max_examples=60, deadline=None)
@example(total=RATE + 8, pauses=[(RATE // 2, RATE)], threshold=-40.0)
@example(total=RATE + 9, pauses=[(RATE // 2, RATE)], threshold=-40.0)
@example(total=RATE + 7, pauses=[(RATE // 2, RATE)], threshold=-40.0)
def test_pydub_finds_the_same_in_sums_as_in_its_own_parts(total, pauses, threshold):
    samples = noise(total, 1000)
    for start, length in pauses:
        samples[start : start + length] //= 50
    samples = samples.astype("<i2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
        from pydub.silence import detect_silence

    own = AudioSegment(data=samples.tobytes(), sample_width=2, frame_rate=RATE, channels=1)
    summed = _Summed(samples)
    assert len(own) == len(summed)
    assert own.max_possible_amplitude == summed.max_possible_amplitude
    how = {"min_silence_len": SHORTEST_MS, "silence_thresh": threshold, "seek_step": 10}
    assert detect_silence(summed, **how) == detect_silence(own, **how)


def test_pydub_says_nothing_to_users(tmp_path):
    """Neither about its escapes nor about the ffmpeg that it misses, not even when all warnings are shown."""
    path = flac(tmp_path / "a.flac", np.zeros(RATE))
    code = (
        f"from pathlib import Path; from pipeline.audio.silence import *; find_silences(Path({str(path)!r}), 16000)"
    )
    run = subprocess.run(
        [sys.executable, "-B", "-W", "always", "-c", code],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("", "")

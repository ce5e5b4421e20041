"""What the channels of a recording say about how to mix them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.audio.mix import Mix, Statistics, best_mix, mean_of, only, separate_channels

SAMPLES = Path(__file__).parents[1] / "samples"
RATE_HZ = 16_000
LENGTH = 30 * RATE_HZ
RNG = np.random.default_rng(7)


def voice(name: str) -> np.ndarray:
    speech = soundfile.read(SAMPLES / name, dtype="float32")[0]
    repeated = np.resize(speech, LENGTH)
    return repeated * np.float32(0.05 / np.sqrt(np.mean(repeated**2)))


def noise(level_db: float) -> np.ndarray:
    return RNG.normal(0, 10 ** (level_db / 20), LENGTH).astype(np.float32)


def gathered(*channels: np.ndarray, rate_hz: int = RATE_HZ) -> Statistics:
    block = np.stack(channels).astype(np.float32)
    statistics = Statistics(rate_hz, len(channels))
    for start in range(0, block.shape[1], rate_hz):
        statistics.add(np.ascontiguousarray(block[:, start : start + rate_hz]))
    return statistics


def separate(*channels: np.ndarray) -> tuple[int, ...]:
    return separate_channels(gathered(*channels).levels_db())


ONE, OTHER = voice("jfk.wav"), voice("quilter.wav")
FIRST_SPEAKS = (np.arange(LENGTH) // (3 * RATE_HZ)) % 2 == 0
SILENCE = np.zeros(LENGTH, np.float32)


def in_room(near: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two talkers before two microphones: 5 dB apart, delayed, each microphone with its own echoes and noise."""

    def echoing(sound: np.ndarray) -> np.ndarray:
        decay = np.exp(-np.arange(3000) / 900) * 0.06
        response = RNG.normal(0, 1, 3000) * decay
        response[0] = 1
        size = LENGTH + len(response)
        return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[:LENGTH]

    left = echoing(near) + 0.56 * echoing(np.roll(far, 8)) + noise(-60)
    right = 0.56 * echoing(np.roll(near, 8)) + echoing(far) + noise(-60)
    return left, right


def music() -> tuple[np.ndarray, np.ndarray]:
    """Two instruments panned by 10 dB and a bass in the middle."""
    time_s = np.arange(LENGTH) / RATE_HZ

    def notes(pitch_hz: float, per_s: float) -> np.ndarray:
        tone = sum(np.sin(2 * np.pi * pitch_hz * part * time_s) / part for part in (1, 2, 3))
        return 0.05 * tone * np.exp(-((time_s * per_s) % 1) * 5)

    left, right, bass = notes(220, 2), notes(330, 3), notes(110, 1)
    return bass + left + 0.3 * right, bass + 0.3 * left + right


def handled() -> tuple[np.ndarray, np.ndarray]:
    """A recorder in the hand: rustling at one microphone, then the other, for a tenth of the time each."""
    seconds = np.arange(LENGTH) // RATE_HZ % 10
    rustling = noise(-15)
    return ONE + noise(-60) + rustling * (seconds == 2), ONE + noise(-60) + rustling * (seconds == 7)


ALTERNATING = (ONE * FIRST_SPEAKS, OTHER * ~FIRST_SPEAKS)
SAME_SPEECH = {
    "mono on two channels": (ONE, ONE),
    "mono, one channel 20 dB quieter": (ONE, 0.1 * ONE),
    "antiphase": (ONE, -ONE),
    "delayed": (ONE, np.roll(ONE, 30)),
    "one channel silent": (ONE, SILENCE),
    "one channel noise": (ONE, noise(-40)),
    "noise on both": (noise(-50), noise(-35)),
    "silence on both": (SILENCE, SILENCE),
    "room, one after the other": in_room(*ALTERNATING),
    "room, at once": in_room(ONE, OTHER),
    "rustling at each microphone": handled(),
    "music": music(),
    "six channels, speech in the centre": (SILENCE, SILENCE, ONE, SILENCE, SILENCE, SILENCE),
    "one channel": (ONE,),
}
DIFFERENT_SPEECH = {
    "alternating": ALTERNATING,
    "alternating, noisy": (ALTERNATING[0] + noise(-55), ALTERNATING[1] + noise(-60)),
    "at once": (ONE, OTHER),
    "alternating, bleed at -20 dB": (
        ALTERNATING[0] + 0.1 * ALTERNATING[1],
        ALTERNATING[1] + 0.1 * ALTERNATING[0],
    ),
    "at once, bleed at -20 dB": (ONE + 0.1 * OTHER + noise(-60), OTHER + 0.1 * ONE + noise(-60)),
    "one 14 dB quieter": (ALTERNATING[0], 0.2 * ALTERNATING[1]),
    "with offset": (ALTERNATING[0] + 0.2, ALTERNATING[1] - 0.1),
}


@pytest.mark.parametrize("case", SAME_SPEECH)
def test_channels_with_the_same_speech_are_not_separated(case: str) -> None:
    assert separate(*SAME_SPEECH[case]) == ()


@pytest.mark.parametrize("case", DIFFERENT_SPEECH)
def test_one_speaker_per_channel_is_found(case: str) -> None:
    assert separate(*DIFFERENT_SPEECH[case]) == (0, 1)


def test_of_four_channels_only_those_that_are_heard_are_separated() -> None:
    assert separate(ALTERNATING[0], SILENCE, ALTERNATING[1], SILENCE) == (0, 2)


@pytest.mark.parametrize(
    ("channels", "signs"),
    [
        ((ONE, ONE), (1, 1)),
        ((ONE, -ONE), (1, -1)),
        ((ONE + 0.3, -ONE + 0.3), (1, -1)),
        ((ONE, OTHER), (1, 1)),
        ((SILENCE, ONE), (0, 1)),
        ((1e-5 * noise(0), ONE), (0, 1)),
        ((SILENCE, -ONE, ONE), (0, 1, -1)),
        ((SILENCE, SILENCE), (1, 1)),
        ((SILENCE, SILENCE, ONE, SILENCE, SILENCE, SILENCE), (0, 0, 1, 0, 0, 0)),
        ((ONE, 0.05 * OTHER), (1, 1)),
    ],
)
def test_the_mix_leaves_out_silence_and_turns_over_antiphase(
    channels: tuple[np.ndarray, ...], signs: tuple[int, ...]
) -> None:
    assert best_mix(gathered(*channels)) == Mix(signs)


@given(
    arrays.arrays(np.float32, (3, 50), elements=st.floats(-1, 1, width=32)),
    st.tuples(*[st.sampled_from([-1, 0, 1])] * 3).filter(any),
)
def test_a_mix_is_the_mean_of_its_channels_with_their_signs(block: np.ndarray, signs: tuple[int, ...]) -> None:
    before = block.copy()
    expected = (np.array(signs)[:, None] * block.astype(float)).sum(axis=0) / np.abs(signs).sum()
    np.testing.assert_allclose(Mix(signs).apply(block), expected, atol=1e-6)
    np.testing.assert_array_equal(block, before)


def test_rules_have_names() -> None:
    assert [mean_of(1).rule, mean_of(2).rule, only(1, 2).rule] == ["mono", "mean", "single"]


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 44_100, 48_000])
def test_levels_are_those_of_the_sound_at_any_rate(rate_hz: int) -> None:
    sine = 0.1 * np.sin(2 * np.pi * 440 * np.arange(3 * rate_hz) / rate_hz)
    levels_db = gathered(sine, sine + 0.5, rate_hz=rate_hz).levels_db()
    assert levels_db.shape == (2, 30)
    np.testing.assert_allclose(levels_db, -23.01, atol=0.1)


def test_the_clipped_share_counts_samples_at_full_scale_and_beyond() -> None:
    statistics = gathered(np.array([1.0, 0.5, -1.0, 0.0]), np.array([2.0, 0.0, 0.0, 32767 / 32768]))
    assert statistics.clipped_share == 0.5

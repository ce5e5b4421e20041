"""To 16 kHz and 16 bits without folding, clicks or surprises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.resample import RATE_HZ, Resampler, to_s16


def sine(pitch_hz: float, rate_hz: int, duration_s: float = 2.0, amplitude: float = 0.9) -> np.ndarray:
    times_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * pitch_hz * times_s)).astype(np.float32)


def resampled(samples: np.ndarray, rate_hz: int, cuts: list[int] | None = None) -> np.ndarray:
    resampler = Resampler(rate_hz)
    pieces = [resampler(piece) for piece in np.split(samples, sorted(cuts or []))]
    return np.concatenate([*pieces, resampler(samples[:0], last=True)])


@pytest.mark.parametrize(("pitch_hz", "rate_hz"), [(11_000, 48_000), (9_000, 44_100), (20_000, 96_000)])
def test_a_tone_above_8_khz_vanishes(pitch_hz: float, rate_hz: int) -> None:
    whole = resampled(sine(pitch_hz, rate_hz), rate_hz)
    inside = whole[RATE_HZ // 10 : -RATE_HZ // 10]
    assert 20 * np.log10(np.sqrt(np.mean(inside**2)) + 1e-12) <= -80
    assert not to_s16(inside).any()


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000])
def test_a_tone_of_speech_keeps_level_and_length(rate_hz: int) -> None:
    whole = resampled(sine(1000, rate_hz), rate_hz)
    assert abs(len(whole) - 2 * RATE_HZ) <= 1
    np.testing.assert_allclose(whole[800:-800], sine(1000, RATE_HZ)[800 : len(whole) - 800], atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=6), st.sampled_from([8000, 44_100, 48_000]))
def test_how_the_sound_is_cut_does_not_change_the_result(cuts: list[int], rate_hz: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
    np.testing.assert_array_equal(resampled(samples, rate_hz, cuts), resampled(samples, rate_hz))


@given(st.lists(st.integers(-32768, 32767)))
def test_16_bit_samples_survive_unchanged(values: list[int]) -> None:
    samples = np.array(values, np.int16)
    floats = samples.astype(np.float32) / np.float32(32768)
    np.testing.assert_array_equal(to_s16(resampled(floats, RATE_HZ)), samples)


def test_rounding_is_to_the_nearest_and_clips() -> None:
    steps = np.array([0.4, 0.6, -0.6, 1.5, 2.5, 40_000, -40_000], np.float32) / 32768
    assert to_s16(steps).tolist() == [0, 1, -1, 2, 2, 32767, -32768]

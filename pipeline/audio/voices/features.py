"""What of the sound tells voices apart: the shape of the spectrum, per frame of 10 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.soundfiles import read_samples
from pipeline.audio.voice_activity import FRAME, RATE, Interval

Array = NDArray[np.float64]
Frames = NDArray[np.float32]

WINDOW = 400
"""Samples of 25 ms, within which one sound is made."""

FFT = 512
BANDS = 26
BAND_HZ = (100.0, 7600.0)
CEPSTRA = 16
"""How many cepstral coefficients are kept, loudness left out. More describe noise, fewer lose voices."""

FLOOR = 100.0
"""Power added to each band, so that digital silence and the empty bands of telephone speech are not all noise."""

PIECE = 1000
"""Frames that are read at a time."""


def speech_spectra(path: Path, intervals: Sequence[Interval], check: Callable[[int], None]) -> Frames:
    """Describe each frame of the intervals.

    Args:
        path: a converted recording (16 kHz, mono, s16).
        intervals: where somebody speaks, at least one; in order.
        check: called with the number of the last frame done, at least for every 10 s of speech.

    Returns:
        Cepstral coefficients of the frames in their order, each of mean 0 and variance 1; shape (frames, CEPSTRA).
    """
    spectra = np.empty((sum(end - first for first, end in intervals), CEPSTRA), np.float32)
    row = 0
    for first, end in _pieces(intervals):
        spectra[row : row + end - first] = spectrum(_padded(path, first, end), end - first)
        row += end - first
        check(end)
    return _normalised(spectra)


def _pieces(intervals: Sequence[Interval]) -> Iterator[Interval]:
    for first, end in intervals:
        for start in range(first, end, PIECE):
            yield start, min(start + PIECE, end)


def _padded(path: Path, first: int, end: int) -> Array:
    """Read the samples of the frames [first, end) and as many after them as the last window needs."""
    length = (end - first) * FRAME + WINDOW
    samples = read_samples(path, first * FRAME, first * FRAME + length)
    return np.pad(samples.astype(np.float64), (0, length - len(samples)))


def _normalised(spectra: Frames) -> Frames:
    """Bring every coefficient to mean 0 and variance 1, in place: the recording may be long."""
    spectra -= spectra.mean(axis=0, dtype=np.float64).astype(np.float32)
    spectra /= np.maximum(spectra.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)
    return spectra


def spectrum(samples: Array, frames: int) -> Array:
    """Return mel-frequency cepstral coefficients 1 to 16 of each frame; shape (frames, CEPSTRA).

    Source: S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition", IEEE Transactions on Acoustics, Speech and Signal Processing 28(4), 1980.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::FRAME][:frames]
    flat = windows - 0.97 * np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    power = np.square(np.abs(np.fft.rfft(flat * np.hamming(WINDOW), FFT)))
    bands, cosines = _filters()
    cepstra: Array = np.log(power @ bands + FLOOR) @ cosines
    return cepstra


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


@cache
def _filters() -> tuple[Array, Array]:
    """Return the triangular mel filters, shape (FFT // 2 + 1, BANDS), and the cosines, shape (BANDS, CEPSTRA)."""
    edges_mel = np.linspace(_mel(BAND_HZ[0]), _mel(BAND_HZ[1]), BANDS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    hertz = np.fft.rfftfreq(FFT, 1 / RATE)[:, np.newaxis]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    angles = (np.arange(BANDS)[:, np.newaxis] + 0.5) * np.arange(1, CEPSTRA + 1)
    return np.maximum(0.0, np.minimum(rising, falling)), np.cos(np.pi / BANDS * angles)

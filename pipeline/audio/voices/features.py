"""What of the sound tells voices apart: per frame of 10 ms, the shape of the spectrum and the pitch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.audio.soundfiles import read_samples
from pipeline.audio.voice_activity import FRAME, RATE, Interval

Array = NDArray[np.float64]
Samples = NDArray[np.int16]

SPECTRUM_WINDOW = 400
PITCH_WINDOW = 640
"""25 ms show the spectrum of one sound; 40 ms hold two periods of the lowest voice."""

FFT = 512
PITCH_FFT = 2048
BANDS = 26
BAND_HZ = (100.0, 7600.0)
CEPSTRA = 16
"""How many cepstral coefficients are kept, loudness (the first) left out. More describe noise, fewer lose voices."""

PITCH_HZ = (60.0, 400.0)
VOICED = 0.5
"""How much a frame must resemble itself one period later for its pitch to count."""

FLOOR = 100.0
"""Power added to each band, so that digital silence and the empty bands of telephone speech are not all noise."""

PIECE = 1000
"""Frames that are read at a time."""


@frozen
class Features:
    """The speech of a recording, pauses left out.

    Attributes:
        frame: the number of each row's frame in the recording, ascending; shape (rows,).
        spectrum: cepstral coefficients, each of mean 0 and variance 1; shape (rows, CEPSTRA).
        pitch: log2 of the pitch in Hz, NaN where there is none; shape (rows,).
    """

    frame: NDArray[np.int64]
    spectrum: NDArray[np.float32]
    pitch: NDArray[np.float32]


def speech_features(
    path: Path, intervals: Sequence[Interval], check: Callable[[int], None]
) -> Features:
    """Describe each frame of the intervals.

    Args:
        path: a converted recording (16 kHz, mono, s16).
        intervals: where somebody speaks, at least one; in order.
        check: called with the number of frames done, at least for every 10 s of speech.
    """
    spectra, pitches, frames = [], [], []
    for first, end in _pieces(intervals):
        samples = _padded(path, first, end)
        spectra.append(spectrum(samples, end - first).astype(np.float32))
        pitches.append(pitch(samples, end - first).astype(np.float32))
        frames.append(np.arange(first, end))
        check(end)
    return Features(np.concatenate(frames), _normalised(np.concatenate(spectra)), np.concatenate(pitches))


def _pieces(intervals: Sequence[Interval]) -> Iterator[Interval]:
    for first, end in intervals:
        for start in range(first, end, PIECE):
            yield start, min(start + PIECE, end)


def _padded(path: Path, first: int, end: int) -> Array:
    """Read the samples of the frames [first, end) and as many after them as the last window needs."""
    length = (end - first) * FRAME + PITCH_WINDOW
    samples = read_samples(path, first * FRAME, first * FRAME + length)
    return np.pad(samples.astype(np.float64), (0, length - len(samples)))


def _normalised(spectra: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring every coefficient to mean 0 and variance 1, in place: the recording may be long."""
    spectra -= spectra.mean(axis=0, dtype=np.float64).astype(np.float32)
    spectra /= np.maximum(spectra.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)
    return spectra


def spectrum(samples: Array, frames: int) -> Array:
    """Return mel-frequency cepstral coefficients 1 to 16 of each frame; shape (frames, CEPSTRA).

    Source: S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition", IEEE Transactions on Acoustics, Speech and Signal Processing 28(4), 1980.
    """
    windows = _windows(samples, SPECTRUM_WINDOW, frames)
    flat = windows - 0.97 * np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    power = np.square(np.abs(np.fft.rfft(flat * np.hamming(SPECTRUM_WINDOW), FFT)))
    bands, cosines = _filters()
    cepstra: Array = np.log(power @ bands + FLOOR) @ cosines
    return cepstra


def pitch(samples: Array, frames: int) -> Array:
    """Return log2 of the pitch in Hz of each frame, NaN where it has none; shape (frames,).

    Source: P. Boersma, "Accurate short-term analysis of the fundamental frequency", 1993: autocorrelation of the
    windowed sound divided by that of the window.
    """
    window = np.hanning(PITCH_WINDOW)
    shortest, longest = round(RATE / PITCH_HZ[1]), round(RATE / PITCH_HZ[0])
    likeness = _autocorrelation(_windows(samples, PITCH_WINDOW, frames) * window)[:, : longest + 1]
    likeness /= _autocorrelation(window[np.newaxis])[:, : longest + 1]
    likeness /= likeness[:, :1] + 1e-9
    # A period twice as long fits as well, hence the slight preference for short ones.
    favoured = likeness[:, shortest:longest] * (1 - 0.0005 * np.arange(shortest, longest))
    period = favoured.argmax(axis=1) + shortest
    voiced = likeness[np.arange(frames), period] > VOICED
    return np.where(voiced, np.log2(RATE / period), np.nan)


def _autocorrelation(windows: Array) -> Array:
    power = np.square(np.abs(np.fft.rfft(windows, PITCH_FFT)))
    power[:, np.fft.rfftfreq(PITCH_FFT, 1 / RATE) > 1000.0] = 0.0
    return np.fft.irfft(power)


def _windows(samples: Array, length: int, frames: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::FRAME][:frames]


@cache
def _filters() -> tuple[Array, Array]:
    """Return the triangular mel filters, shape (FFT // 2 + 1, BANDS), and the cosines, shape (BANDS, CEPSTRA)."""
    edges_mel = np.linspace(*(2595 * np.log10(1 + np.array(BAND_HZ) / 700)), BANDS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    hertz = np.fft.rfftfreq(FFT, 1 / RATE)[:, np.newaxis]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    angles = (np.arange(BANDS)[:, np.newaxis] + 0.5) * np.arange(1, CEPSTRA + 1)
    return np.maximum(0.0, np.minimum(rising, falling)), np.cos(np.pi / BANDS * angles)

"""Tells which frames of a recording are of the same voice: the whole way from spectra to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.voice_activity import Interval
from pipeline.audio.voices.boundaries import sharpened
from pipeline.audio.voices.clustering import eigenvectors, grouped
from pipeline.audio.voices.counting import least_distance, least_persistence, speaker_count, support
from pipeline.audio.voices.models import Frames, Labels, supervectors, trained
from pipeline.audio.voices.windows import Spans, windows

CLUSTERED_MAX = 600
"""How many windows are clustered at most: time grows with the cube, memory with the square of their number. The
other windows follow their neighbours until the borders are sharpened."""

COUNTED_MAX = 6
"""The largest number of voices that is found without being told; more are hardly ever told apart."""

COMPARED_FRAMES = 60_000
"""How many frames (ten minutes) are looked at to decide on the number of voices."""


class Voices:
    """The speech of a recording, ready to be divided into voices.

    Args:
        spectra: of the speech, pauses left out; shape (frames, dimensions), at least one frame.
        intervals: which frames of the recording these are.
    """

    def __init__(self, spectra: Frames, intervals: Sequence[Interval]) -> None:
        self._spectra = spectra
        self._mixture = trained(spectra)
        self._shares = self._mixture.responsibilities(spectra)
        self._windows = windows(intervals)
        self._chosen = self._windows.thinned(CLUSTERED_MAX)
        self._starts = _recording_frames(self._chosen.spans[:, 0], intervals)
        vectors = supervectors(self._mixture, spectra, self._shares, self._chosen.spans)
        self._coordinates = eigenvectors(vectors, len(vectors))

    def labels(self, voices: int) -> Labels:
        """Divide the frames into at most so many voices; the voice of each frame, from 0."""
        groups = grouped(self._coordinates, voices)
        first = self._spread(groups, self._windows.steps)
        return sharpened(self._mixture, self._spectra, self._shares, first, int(groups.max()) + 1)

    def count(self, check: Callable[[], None]) -> int:
        """Return how many voices there seem to be."""
        return speaker_count(self._supports(check))

    def _supports(self, check: Callable[[], None]) -> Iterator[float]:
        """Yield what speaks for 2, 3, 4 … voices; each must have two windows at least."""
        for voices in range(2, min(COUNTED_MAX, len(self._chosen.steps) // 2) + 1):
            check()
            groups = grouped(self._coordinates, voices)
            complete = int(groups.max()) + 1 == voices
            yield self._support(groups, voices) if complete else -np.inf

    def _support(self, groups: Labels, voices: int) -> float:
        labels = self._spread(groups, self._windows.steps)
        rows = np.arange(0, len(labels), -(-len(labels) // COMPARED_FRAMES))
        if len(np.unique(labels[rows])) < voices:
            return -np.inf
        distance = least_distance(self._mixture, self._spectra[rows], self._shares[rows], labels[rows], voices)
        return support(distance, least_persistence(groups, self._starts, voices))

    def _spread(self, groups: Labels, steps: Spans) -> Labels:
        """Give each frame the group of the chosen step that is nearest to its own."""
        middles = self._chosen.steps.mean(axis=1)
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, steps.mean(axis=1))
        return np.repeat(groups[nearest], steps[:, 1] - steps[:, 0])


def speaker_labels(
    spectra: Frames,
    intervals: Sequence[Interval],
    fewest: int,
    most: int | None,
    check: Callable[[], None],
) -> Labels:
    """Return the voice of each frame of speech, as a number from 0.

    Args:
        spectra: of the speech, pauses left out; shape (frames, dimensions), at least one frame.
        intervals: which frames of the recording these are.
        fewest: the smallest speaker count to find, if the speech can be divided so far.
        most: the largest speaker count to find; as `fewest` if it is known, None if nothing is.
        check: called between steps; what it raises ends the search.
    """
    voices = Voices(spectra, intervals)
    check()
    if fewest == most:
        return voices.labels(fewest)
    count = max(fewest, voices.count(check))
    return voices.labels(min(count, most) if most else count)


def _recording_frames(rows: NDArray[np.int64], intervals: Sequence[Interval]) -> Labels:
    """Return the frames of the recording that rows of speech are."""
    firsts, ends = np.array(intervals, np.int64).T
    offsets = np.concatenate([[0], np.cumsum(ends - firsts)[:-1]])
    interval = np.searchsorted(offsets, rows, side="right") - 1
    return np.asarray(rows - offsets[interval] + firsts[interval], np.int64)

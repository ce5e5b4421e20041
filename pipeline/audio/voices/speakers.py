"""Tells which frames of a recording are of the same voice: the whole way from spectra to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.voice_activity import Interval
from pipeline.audio.voices.boundaries import best_path
from pipeline.audio.voices.clustering import eigenvectors, grouped
from pipeline.audio.voices.counting import (
    least_distance,
    least_margin,
    least_persistence,
    speaker_count,
    support,
)
from pipeline.audio.voices.models import COMPONENTS, SEEDS, Frames, Labels, Mixture, supervectors, trained, unit
from pipeline.audio.voices.windows import Spans, windows

Array = NDArray[np.float64]

CLUSTERED_MAX = 600
"""How many windows are clustered: time grows with the cube of their number. The others join the nearest group."""

JUDGING_COMPONENTS = 4
"""Of which mixtures the distances between voices are taken to judge their number."""

COUNTED_MAX = 6
"""The largest number of voices that is looked for where the user names none; more are hardly told apart."""

COUNTED_MIN = 1000
"""Frames of speech, ten seconds, below which one voice is assumed: sounds differ more than voices in so little."""

BATCH = 500
"""Windows that are compared with the voices at a time, about four minutes."""


class Voices:
    """The speech of a recording, ready to be divided into voices.

    Args:
        spectra: of the speech, pauses left out; shape (frames, dimensions), at least one frame.
        intervals: which frames of the recording these are.
        check: called between steps; what it raises ends the work.
    """

    def __init__(self, spectra: Frames, intervals: Sequence[Interval], check: Callable[[], None]) -> None:
        self._spectra = spectra
        self._check = check
        self._mixtures = self._trained()
        self._windows = windows(intervals)
        self._chosen = self._windows.thinned(CLUSTERED_MAX)
        self._starts = _recording_frames(self._chosen.spans[:, 0], intervals)
        self._vectors = self._supervectors(self._chosen.spans)
        self._coordinates = eigenvectors(self._vectors, len(self._vectors))

    def labels(self, voices: int) -> Labels:
        """Divide the frames into at most so many voices; the voice of each frame, from 0."""
        centres = self._centres(grouped(self._coordinates, voices))
        spans = self._windows.spans
        fits = [
            self._supervectors(spans[start : start + BATCH]) @ centres.T for start in range(0, len(spans), BATCH)
        ]
        lengths = np.diff(self._windows.steps, axis=1)[:, 0]
        return np.repeat(best_path(np.concatenate(fits)), lengths)

    def count(self, most: int) -> int:
        """Return how many voices there seem to be, up to `most`; each needs two windows at least."""
        if len(self._spectra) < COUNTED_MIN:
            return 1
        return speaker_count(self._supports(min(most, len(self._vectors) // 2)))

    def _supports(self, most: int) -> Iterator[float]:
        """Yield what speaks for 2, 3, 4 … voices."""
        for voices in range(2, most + 1):
            self._check()
            fits = self._vectors @ self._centres(grouped(self._coordinates, voices)).T
            labels = best_path(fits)
            complete = len(np.unique(labels)) == voices
            yield self._support(fits, labels) if complete else -np.inf

    def _support(self, fits: Array, labels: Labels) -> float:
        voices = fits.shape[1]
        judges = [mixture for mixture in self._mixtures if len(mixture.weights) == JUDGING_COMPONENTS]
        steps = self._chosen.steps
        spectra = np.concatenate([self._spectra[first:end] for first, end in steps])
        frame_labels = np.repeat(labels, steps[:, 1] - steps[:, 0])
        return support(
            least_distance(judges, spectra, frame_labels, voices),
            least_persistence(labels, self._starts, voices),
            least_margin(fits, labels),
        )

    def _trained(self) -> list[Mixture]:
        """Train a mixture for each number of components and each seed."""
        mixtures = []
        for components, seed in product(COMPONENTS, SEEDS):
            self._check()
            mixtures.append(trained(self._spectra, components, seed))
        return mixtures

    def _centres(self, groups: Labels) -> Array:
        """Return the middle direction of each group of the chosen windows."""
        members = np.eye(int(groups.max()) + 1)[groups]
        return unit(members.T @ self._vectors)

    def _supervectors(self, spans: Spans) -> Array:
        self._check()
        return supervectors(self._mixtures, self._spectra, spans)


def speaker_labels(
    spectra: Frames,
    intervals: Sequence[Interval],
    fewest: int,
    most: int | None,
    check: Callable[[], None],
) -> Labels:
    """Return the voice of each frame of speech, as a number.

    Args:
        spectra: of the speech, pauses left out; shape (frames, dimensions), at least one frame.
        intervals: which frames of the recording these are.
        fewest: the smallest speaker count to find, if the speech can be divided so far.
        most: the largest speaker count to find; as `fewest` if it is known, None if nothing is.
        check: called between steps; what it raises ends the work.
    """
    voices = Voices(spectra, intervals, check)
    count = fewest if fewest == most else max(fewest, voices.count(most or COUNTED_MAX))
    return voices.labels(count)


def _recording_frames(rows: NDArray[np.int64], intervals: Sequence[Interval]) -> Labels:
    """Return which frames of the recording some rows of its speech are."""
    firsts, ends = np.array(intervals, np.int64).T
    offsets = np.concatenate([[0], np.cumsum(ends - firsts)[:-1]])
    interval = np.searchsorted(offsets, rows, side="right") - 1
    return np.asarray(rows - offsets[interval] + firsts[interval], np.int64)

"""Tells which frames of a recording are of the same voice: the whole way from spectra to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.audio.voice_activity import Interval
from pipeline.audio.voices.boundaries import best_path
from pipeline.audio.voices.clustering import groupings, numbered
from pipeline.audio.voices.counting import THRESHOLD, evidence
from pipeline.audio.voices.models import (
    COMPONENTS,
    SEEDS,
    Frames,
    Labels,
    Mixture,
    statistics,
    supervectors,
    trained,
    unit,
)
from pipeline.audio.voices.spectral import eigenvectors, grouped
from pipeline.audio.voices.windows import Spans, windows

Array = NDArray[np.float64]

CLUSTERED_MAX = 600
"""How many windows are clustered: time grows with the cube of their number. The others join the nearest group."""

FINEST = 10
"""Into how many voices the speech is divided before those that are too alike are joined."""

ROUNDS = 2
"""How often the voices of a division share out the windows anew, each time as those windows then sound."""

JUDGING_COMPONENTS = 4
"""Of which mixtures the distances between voices are taken to judge their number."""

COUNTED_MAX = 6
"""The largest number of voices that is looked for where the user names none; more are hardly told apart."""

COUNTED_MIN = 1000
"""Frames of speech, ten seconds, below which one voice is assumed: sounds differ more than voices in so little."""

BATCH = 500
"""Windows that are compared with the voices at a time, about four minutes."""


@frozen
class Division:
    """The chosen windows divided into voices.

    Attributes:
        labels: the voice of each window, from 0 without gaps.
        fit: how well each window's own voice fits it, as a cosine, on average.
        support: how clearly all voices are different ones; infinite with one voice.
        alike: the two that are the least clearly different, the lower number first.
    """

    labels: Labels
    fit: float
    support: float
    alike: tuple[int, int]

    @property
    def voices(self) -> int:
        """Return how many voices there are."""
        return int(self.labels.max()) + 1


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
        judges = [mixture for mixture in self._mixtures if len(mixture.weights) <= JUDGING_COMPONENTS]
        self._statistics = [statistics(judge, spectra, self._chosen.steps) for judge in judges]
        self._found: dict[int, list[Division]] = {}

    def labels(self, voices: int) -> Labels:
        """Divide the frames into at most so many voices; the voice of each frame, from 0."""
        centres = self._centres(self._fitting(voices).labels)
        spans = self._windows.spans
        fits = [
            self._supervectors(spans[start : start + BATCH]) @ centres.T for start in range(0, len(spans), BATCH)
        ]
        lengths = np.diff(self._windows.steps, axis=1)[:, 0]
        return np.repeat(best_path(np.concatenate(fits)), lengths)

    def count(self, most: int) -> int:
        """Return how many voices there seem to be, up to `most`: the most that are all different ones."""
        if len(self._spectra) < COUNTED_MIN:
            return 1
        divisions = self._divisions(COUNTED_MAX + 1)
        return min(most, max(division.voices for division in divisions if division.support > THRESHOLD))

    def _fitting(self, most: int) -> Division:
        """Return the best fitting of the divisions into the most voices up to `most` that were found."""
        groups = grouped(eigenvectors(self._vectors, most), most)
        found = [self._division(groups), *self._divisions(max(most, COUNTED_MAX + 1))]
        return max(
            (division for division in found if division.voices <= most),
            key=lambda division: (division.voices, division.fit),
        )

    def _divisions(self, most: int) -> list[Division]:
        """Return divisions into 1, 2, 3 … voices, `most` or more; of some numbers there may be several, or none."""
        if most not in self._found:
            groups = groupings(self._vectors, max(FINEST, most))
            joined = list(self._joined(groups[-1]))
            self._found[most] = joined + [self._division(labels) for labels in groups[1:most]]
        return self._found[most]

    def _joined(self, groups: Labels) -> Iterator[Division]:
        """Yield divisions into fewer and fewer voices: the two that are the least clearly different are joined."""
        division = self._division(groups)
        while division.voices > 1:
            yield division
            one, other = division.alike
            division = self._division(numbered(np.where(division.labels == other, one, division.labels)))
        yield division

    def _division(self, groups: Labels) -> Division:
        """Let the voices that the groups stand for share out the windows anew, and judge the outcome."""
        self._check()
        labels = groups
        for _ in range(ROUNDS):
            labels = numbered(best_path(self._vectors @ self._centres(labels).T))
        fits = self._vectors @ self._centres(labels).T
        fit = float(fits[np.arange(len(labels)), labels].mean())
        if labels.max() == 0:
            return Division(labels, fit, np.inf, (0, 0))
        found = evidence(self._statistics, fits, labels, self._starts)
        return Division(labels, fit, found.support(), found.alike())

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

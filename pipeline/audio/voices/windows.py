"""Cuts speech into short steps, each with a longer window around it that shows whose voice it is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.audio.voice_activity import Interval

Spans = NDArray[np.int64]

STEP = 50
"""Frames of a step: within half a second one person speaks."""

WINDOW = 150
"""Frames of a window: in 1.5 s enough sounds are made to know a voice by, and few answers are shorter."""

RUN = 12
"""Steps of a run of neighbours, about six seconds of speech, where not all of a long recording is looked at."""


@frozen
class Windows:
    """Half-open ranges of rows of speech, pauses left out; both of shape (steps, 2).

    Attributes:
        steps: disjoint, ascending.
        spans: the window around each step, never longer than its stretch of speech.
    """

    steps: Spans
    spans: Spans

    def thinned(self, most: int) -> Windows:
        """Return an even selection of at most `most` steps with their windows: runs of neighbours.

        Whether voices go on or change shows only in windows that follow one another.
        """
        rows = len(self.steps)
        chosen = np.arange(rows)
        if rows > most:
            firsts = np.linspace(0, rows - RUN, most // RUN).astype(np.int64)
            chosen = np.unique(firsts[:, np.newaxis] + np.arange(RUN))
        return Windows(self.steps[chosen], self.spans[chosen])


def windows(intervals: Sequence[Interval]) -> Windows:
    """Cut stretches of speech into steps of about half a second with a window around each."""
    steps: list[Interval] = []
    spans: list[Interval] = []
    offset = 0
    for first, end in intervals:
        length = end - first
        edges = np.linspace(0, length, max(1, round(length / STEP)) + 1).round().astype(int)
        for start, stop in pairwise(edges.tolist()):
            left = max(0, min((start + stop) // 2 - WINDOW // 2, length - WINDOW))
            steps.append((offset + start, offset + stop))
            spans.append((offset + left, offset + min(length, left + WINDOW)))
        offset += length
    return Windows(np.array(steps, np.int64).reshape(-1, 2), np.array(spans, np.int64).reshape(-1, 2))

"""Judges from the sound how many voices there are.

Three things show that a division into voices is real, and none of them grows with the length of the recording, so
that an hour of two people does not become ten: how much better each voice's own model fits its frames than
another's does; whether a voice goes on for a while rather than coming and going with single sounds; and how
clearly each moment prefers its own voice.

Source: D. Reynolds et al., "Blind clustering of speech utterances based on speaker and language characteristics",
ICSLP 1998 (the cross likelihood ratio). The weights and the threshold gave the best counts on 126 mixtures of
other voices than those of benchmarks/accuracy.py: 20 s to 10 min, some with little speech of each voice that
comes again and again, some one lively call repeated up to 20 times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.voices.models import Frames, Labels, Mixture, voice_models

Array = NDArray[np.float64]

PERSISTENCE_WEIGHT = 2.0
MARGIN_WEIGHT = 2.0
THRESHOLD = 4.1

LAG = 150
LAG_MAX = 230
"""Frames between windows that are compared: so far that they don't overlap, so near that one person may go on."""


def speaker_count(supports: Iterable[float]) -> int:
    """Return the largest number of voices up to which every division is supported.

    Args:
        supports: the support (see `support`) of 2, 3, 4 … voices, taken only as far as needed.
    """
    return 1 + sum(1 for _ in takewhile(lambda supported: supported > THRESHOLD, supports))


def support(distance: float, persistence: float, margin: float) -> float:
    """Weigh what speaks for a division into voices."""
    return distance + PERSISTENCE_WEIGHT * persistence + MARGIN_WEIGHT * margin


def least_distance(mixtures: Sequence[Mixture], frames: Frames, labels: Labels, voices: int) -> float:
    """Return the smallest distance between two voices: the cross likelihood ratio per frame, both ways added.

    Args:
        mixtures: models of all speech of the recording; the distances that they give are averaged.
        frames: spectra, pauses left out; shape (frames, dimensions).
        labels: each frame's voice, 0 to voices - 1, each voice present.
        voices: how many there are, at least 2.
    """
    distances = np.mean([_distances(mixture, frames, labels, voices) for mixture in mixtures], axis=0)
    return float(distances[~np.eye(voices, dtype=bool)].min())


def _distances(mixture: Mixture, frames: Frames, labels: Labels, voices: int) -> Array:
    models = voice_models(mixture, frames, labels, voices)
    fits = np.stack([model.log_likelihoods(frames) for model in models], axis=1)
    means = np.array([fits[labels == voice].mean(axis=0) for voice in range(voices)])
    lead = np.diag(means)[:, np.newaxis] - means
    both_ways: Array = lead + lead.T
    return both_ways


def least_persistence(labels: Labels, starts: Labels, voices: int) -> float:
    """Return by how much voices go on rather than change, for the pair that changes most often.

    Args:
        labels: the voice of each window.
        starts: the frame of the recording at which each window starts, ascending.
        voices: how many there are.

    Returns:
        1 where no voice ever follows another within two seconds, 0 where they follow by chance, at least -1.
    """
    changes = np.zeros((voices, voices))
    later = np.searchsorted(starts, starts + LAG)
    now = np.flatnonzero(later < len(starts))
    near = now[starts[later[now]] - starts[now] <= LAG_MAX]
    np.add.at(changes, (labels[near], labels[later[near]]), 1.0)
    changes += changes.T
    pairs = [(one, other) for one in range(voices) for other in range(one)]
    return max(-1.0, min(_persistence(changes[np.ix_(pair, pair)]) for pair in pairs))


def _persistence(changes: Array) -> float:
    """Compare how often two voices follow one another with chance; a half is added against tiny numbers."""
    total = changes.sum() / 2
    share = (changes[0].sum() / 2 + 0.5) / (total + 1)
    by_chance = 2 * share * (1 - share) * total
    return float(1 - (changes[0, 1] + 0.5) / (by_chance + 0.5))


def least_margin(fits: Array, labels: Labels) -> float:
    """Return by how much windows prefer their own voice to the next best, for the voice that they prefer least.

    Args:
        fits: how well each voice fits each window, as a cosine; shape (windows, voices), at least two voices.
        labels: the voice of each window, each voice present.
    """
    rows = np.arange(len(labels))
    others = fits.copy()
    others[rows, labels] = -np.inf
    margins = fits[rows, labels] - others.max(axis=1)
    return float(min(margins[labels == voice].mean() for voice in range(fits.shape[1])))

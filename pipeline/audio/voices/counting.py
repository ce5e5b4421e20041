"""Judges from the sound how many voices there are.

Two things show that a division into voices is real, and neither grows with the length of the recording, so that
an hour of two people does not become ten: how much better each voice's own model fits its frames than another's
(whoever says the same again and again has parts that sound different, but not so different), and whether a voice
goes on for a while rather than coming and going with single sounds.

Source: D. Reynolds et al., "Blind clustering of speech utterances based on speaker and language characteristics",
ICSLP 1998 (cross likelihood ratio); weights and threshold by benchmarks/mixtures.py, see there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.voices.models import Frames, Labels, Mixture, voice_models

Array = NDArray[np.float64]

PERSISTENCE_WEIGHT = 2.0
THRESHOLD = 3.0
PATIENCE = 2
"""How many divisions in a row must fail before larger ones aren't tried: one failure may be bad luck."""

LAG = 150
LAG_MAX = 230
"""Frames between windows that are compared: so far that they don't overlap, so near that one person may go on."""


def speaker_count(divisions: Iterable[float]) -> int:
    """Return the largest number of voices that is supported.

    Args:
        divisions: the support (see `support`) of 2, 3, 4 … voices, taken only as far as needed.
    """
    count, failures = 1, 0
    for voices, supported in enumerate(divisions, start=2):
        count, failures = (voices, 0) if supported > THRESHOLD else (count, failures + 1)
        if failures == PATIENCE:
            break
    return count


def support(distance: float, persistence: float) -> float:
    """Weigh what speaks for a division into voices."""
    return distance + PERSISTENCE_WEIGHT * persistence


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
    return lead + lead.T


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

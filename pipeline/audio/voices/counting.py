"""Judges from the sound whether voices that were told apart are really different ones.

Four things show that two voices are, and none of them grows with the length of the recording, so that an hour of
two people does not become ten: how much better each one's own model fits its frames than the other's does; whether
each follows the other rarely rather than by chance, as sounds do; how clearly each moment prefers its own voice to
all others; and how long each speaks at a stretch.

Sources: D. Reynolds et al., "Blind clustering of speech utterances based on speaker and language characteristics",
ICSLP 1998 (the cross likelihood ratio). The weights and the threshold: docs/accuracy.md says what they were tuned
on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.audio.voices.models import Labels, Statistics

Array = NDArray[np.float64]

DISTANCE_MAX = 3.0
"""A larger distance says no more: laughter and breath are farther from a voice than another voice is."""

PERSISTENCE_WEIGHT = 3.0
MARGIN_WEIGHT = 3.0
LENGTH_WEIGHT = 1.0
THRESHOLD = 5.1

STRETCH = 6
"""Windows, three seconds, that a voice speaks at a stretch on average; longer ones say no more."""

JOINED_DISTANCE_MAX = 2.5
"""The same, to find the two voices to be joined."""

LAG = 150
LAG_MAX = 230
"""Frames between windows that are compared: so far that they don't overlap, so near that one person may go on."""


@frozen
class Evidence:
    """What speaks for the voices of a division being different ones.

    Attributes:
        distances: how much better two voices' own models fit, per frame; shape (voices, voices).
        persistence: by how much two voices go on rather than change; shape (voices, voices).
        leads: by how much windows prefer their voice to another, as a cosine; shape (voices, voices).
        margins: the same, to the next best voice; shape (voices,).
        stretches: how many windows on end each voice has, on average; shape (voices,).
    """

    distances: Array
    persistence: Array
    leads: Array
    margins: Array
    stretches: Array

    def alike(self) -> tuple[int, int]:
        """Return the two voices that are the least clearly different."""
        distances = np.minimum(self.distances, JOINED_DISTANCE_MAX)
        clearness = distances + PERSISTENCE_WEIGHT * self.persistence + MARGIN_WEIGHT * self.leads
        one, other = divmod(int(_others(clearness).argmin()), len(clearness))
        return min(one, other), max(one, other)

    def support(self) -> float:
        """Weigh it all for the two voices that have the least of it; above THRESHOLD all are different."""
        lengths = np.log(np.minimum(self.stretches / STRETCH, 1.0))
        alone = MARGIN_WEIGHT * self.margins + LENGTH_WEIGHT * lengths
        together = np.minimum(self.distances, DISTANCE_MAX) + PERSISTENCE_WEIGHT * self.persistence
        return float(_others(together + np.minimum(alone, alone[:, np.newaxis])).min())


def evidence(gathered: Sequence[Statistics], fits: Array, labels: Labels, starts: Labels) -> Evidence:
    """Compare the voices of a division.

    Args:
        gathered: statistics of each window's step, by several mixtures; the distances that they give are averaged.
        fits: how well each voice fits each window, as a cosine; shape (windows, voices), at least two voices.
        labels: the voice of each window, 0 to voices - 1, each voice present.
        starts: the frame of the recording at which each window starts, ascending.
    """
    voices = fits.shape[1]
    members = np.eye(voices)[labels]
    leads = _leads(members.T @ fits / members.sum(axis=0)[:, np.newaxis])
    distances = [_leads(one.cross_fits(members)) for one in gathered]
    return Evidence(
        np.mean([lead + lead.T for lead in distances], axis=0),
        persistence(labels, starts, voices),
        np.minimum(leads, leads.T),
        margins(fits, members),
        stretches(labels, voices),
    )


def _leads(fits: Array) -> Array:
    """Return by how much what is of one voice (row) fits it better than each of them (column)."""
    leads: Array = np.diag(fits)[:, np.newaxis] - fits
    return leads


def _others(pairs: Array) -> Array:
    """Return the values of two different voices, infinite elsewhere."""
    return np.where(np.eye(len(pairs), dtype=bool), np.inf, pairs)


def margins(fits: Array, members: Array) -> Array:
    """Return by how much the windows of each voice prefer it to the next best one, on average."""
    own = np.where(members > 0, fits, -np.inf).max(axis=1)
    other = np.where(members > 0, -np.inf, fits).max(axis=1)
    found: Array = members.T @ (own - other) / members.sum(axis=0)
    return found


def stretches(labels: Labels, voices: int) -> Array:
    """Return how many windows on end each voice has, on average."""
    begins = np.flatnonzero(np.diff(labels, prepend=-1))
    found: Array = np.bincount(labels, minlength=voices) / np.bincount(labels[begins], minlength=voices)
    return found


def persistence(labels: Labels, starts: Labels, voices: int) -> Array:
    """Return by how much voices go on rather than change, for each two of them.

    Returns:
        1 where neither ever follows the other within two seconds, 0 where they follow by chance, at least -1.
    """
    changes = np.zeros((voices, voices))
    later = np.searchsorted(starts, starts + LAG)
    now = np.flatnonzero(later < len(starts))
    near = now[starts[later[now]] - starts[now] <= LAG_MAX]
    np.add.at(changes, (labels[near], labels[later[near]]), 1.0)
    found = np.ones((voices, voices))
    for one in range(voices):
        for other in range(one):
            pair = np.ix_((one, other), (one, other))
            found[one, other] = found[other, one] = max(-1.0, _persistence(changes[pair] + changes[pair].T))
    return found


def _persistence(changes: Array) -> float:
    """Compare how often two voices follow one another with chance; a half is added against tiny numbers."""
    total = changes.sum() / 2
    share = (changes[0].sum() / 2 + 0.5) / (total + 1)
    by_chance = 2 * share * (1 - share) * total
    return float(1 - (changes[0, 1] + 0.5) / (by_chance + 0.5))

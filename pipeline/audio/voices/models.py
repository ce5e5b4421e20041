"""Models of how voices sound: a mixture of Gaussians for all speech of a recording, adapted to parts of it.

Source: D. Reynolds, T. Quatieri, R. Dunn, "Speaker verification using adapted Gaussian mixture models", Digital
Signal Processing 10, 2000.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Array = NDArray[np.float64]
Frames = NDArray[np.float32]
Labels = NDArray[np.int64]

COMPONENTS = (4, 8, 16)
"""How many kinds of sounds the mixtures tell apart. With more, what is said outweighs who says it."""

SEEDS = (0, 1, 2)
"""One mixture depends on where its training starts; several of them together don't."""

TRAINING_FRAMES = 8_000
ROUNDS = 10
VARIANCE_MIN = 0.05
RELEVANCE = 16.0
"""How many frames of a sound a voice must have made to count as much there as all voices together."""

CHUNK = 20_000
"""Frames that are worked on at a time, so that a long recording needs little memory."""


@frozen
class Mixture:
    """A mixture of Gaussians with diagonal covariances; shapes (components,), (components, dimensions) twice."""

    weights: Array
    means: Array
    variances: Array

    def log_densities(self, frames: Frames) -> Array:
        """Return log of weight times density of each component; shape (frames, components)."""
        x = frames.astype(np.float64)
        precisions = 1 / self.variances
        squares = np.square(x) @ precisions.T - 2 * x @ (self.means * precisions).T
        constants = (np.square(self.means) * precisions + np.log(2 * np.pi * self.variances)).sum(axis=1)
        log_densities: Array = np.log(self.weights) - 0.5 * (squares + constants)
        return log_densities

    def responsibilities(self, frames: Frames) -> Frames:
        """Return the probability that each component made a frame; shape (frames, components)."""
        return np.concatenate([self._responsibilities(chunk).astype(np.float32) for chunk in _chunks(frames)])

    def adapted(self, counts: Array, sums: Array) -> Mixture:
        """Return this mixture with its means moved towards a voice's.

        Args:
            counts: how many frames of the voice each component made; shape (components,).
            sums: the sums of those frames; shape (components, dimensions).
        """
        weight = counts + RELEVANCE
        means = (sums + RELEVANCE * self.means) / weight[:, np.newaxis]
        return Mixture(self.weights, means, self.variances)

    def _responsibilities(self, frames: Frames) -> Array:
        log_densities = self.log_densities(frames)
        return np.exp(log_densities - _log_sum(log_densities)[:, np.newaxis])


def trained(frames: Frames, components: int, seed: int = 0) -> Mixture:
    """Fit a mixture to an even selection of the frames; the same frames and seed give the same mixture."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), TRAINING_FRAMES)).astype(np.int64)
    sample = frames[chosen]
    mixture = _first_guess(sample.astype(np.float64), components, seed)
    for _ in range(ROUNDS):
        shares = mixture.responsibilities(sample).astype(np.float64)
        mixture = _fitted(sample.astype(np.float64), shares)
    return mixture


def _first_guess(sample: Array, components: int, seed: int) -> Mixture:
    """Place the components by k-means, from frames taken at random."""
    rng = np.random.default_rng(seed)
    components = min(components, len(sample))
    centres = sample[rng.choice(len(sample), components, replace=False)]
    for _ in range(5):
        nearest = np.argmin(np.square(centres).sum(axis=1) - 2 * sample @ centres.T, axis=1)
        shares = np.eye(components)[nearest]
        centres = (shares.T @ sample + 1e-3 * centres) / (shares.sum(axis=0) + 1e-3)[:, np.newaxis]
    return _fitted(sample, shares)


def _fitted(sample: Array, shares: Array) -> Mixture:
    counts = shares.sum(axis=0) + 1e-3
    means = shares.T @ sample / counts[:, np.newaxis]
    squares = shares.T @ np.square(sample) / counts[:, np.newaxis]
    return Mixture(counts / counts.sum(), means, np.maximum(squares - np.square(means), VARIANCE_MIN))


@frozen
class Statistics:
    """What a mixture makes of some stretches of speech, so that voices made of them can be compared at once.

    Attributes:
        counts: how many frames of each stretch each component made; shape (stretches, components).
        sums: the sums of those frames, from the component's mean, in its standard deviations; shape (stretches,
            components, dimensions).
    """

    counts: Array
    sums: Array

    def cross_fits(self, members: Array) -> Array:
        """Return how well the model of each voice fits the frames of each, as log likelihood per frame.

        Each frame stays with the components that made it, which spares going through the frames again.

        Args:
            members: 1 where a stretch is of a voice, else 0; shape (stretches, voices), each voice present.

        Returns:
            By frames of one voice and model of another, less what the mixture itself gives; shape (voices, voices).
        """
        counts = members.T @ self.counts
        sums = np.tensordot(members.T, self.sums, axes=1)
        means = sums / (counts + RELEVANCE)[:, :, np.newaxis]
        gains = np.einsum("fcd,mcd->fm", sums, means) - 0.5 * np.einsum("fc,mcd->fm", counts, np.square(means))
        fits: Array = gains / counts.sum(axis=1)[:, np.newaxis]
        return fits


def statistics(mixture: Mixture, frames: Frames, stretches: NDArray[np.int64]) -> Statistics:
    """Gather the statistics of stretches of frames, half-open ranges of rows, none empty."""
    found = [_statistics(frames[a:b], mixture.responsibilities(frames[a:b])) for a, b in stretches]
    counts = np.array([count for count, _ in found])
    sums = np.array([total for _, total in found])
    centred = sums - counts[:, :, np.newaxis] * mixture.means
    return Statistics(counts, centred / np.sqrt(mixture.variances))


def _statistics(frames: Frames, shares: Frames) -> tuple[Array, Array]:
    counts = shares.sum(axis=0, dtype=np.float64)
    sums = np.zeros((shares.shape[1], frames.shape[1]))
    for frame_chunk, share_chunk in zip(_chunks(frames), _chunks(shares), strict=True):
        sums += share_chunk.astype(np.float64).T @ frame_chunk.astype(np.float64)
    return counts, sums


def supervectors(mixtures: Sequence[Mixture], frames: Frames, spans: NDArray[np.int64]) -> Array:
    """Return how each span of frames differs from all speech, as vectors that are compared by their angle.

    Args:
        mixtures: models of all speech of the recording.
        frames: spectra, pauses left out; shape (frames, dimensions).
        spans: half-open ranges of rows of `frames`, none empty; shape (spans, 2).

    Returns:
        Vectors of length 1; shape (spans, dimensions * components of all mixtures).
    """
    vectors = [np.concatenate([_shift(mixture, frames[a:b]) for mixture in mixtures]) for a, b in spans]
    return unit(np.array(vectors))


def _shift(mixture: Mixture, frames: Frames) -> Array:
    """Return by how much the means of some frames differ from the mixture's, in its standard deviations."""
    shares = mixture.responsibilities(frames)
    counts, sums = _statistics(frames, shares)
    shift = mixture.adapted(counts, sums).means - mixture.means
    weighted = np.sqrt(mixture.weights)[:, np.newaxis] * shift / np.sqrt(mixture.variances)
    return unit(weighted.reshape(1, -1)).ravel()


def unit(vectors: Array) -> Array:
    """Bring each row to length 1."""
    scaled: Array = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    return scaled


def _chunks(rows: Frames) -> Iterator[Frames]:
    for start in range(0, max(1, len(rows)), CHUNK):
        yield rows[start : start + CHUNK]


def _log_sum(logs: Array) -> Array:
    largest = logs.max(axis=1, keepdims=True)
    total: Array = (largest + np.log(np.exp(logs - largest).sum(axis=1, keepdims=True)))[:, 0]
    return total

"""Divides vectors into a given number of groups of similar ones. Nothing here knows of sound.

Source: A. Ng, M. Jordan, Y. Weiss, "On spectral clustering", NIPS 2001.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

KMEANS_ROUNDS = 20


def eigenvectors(vectors: Array, largest: int) -> Array:
    """Return the coordinates of each vector in which groups of similar vectors stand apart.

    Args:
        vectors: what to group, by the cosine between them: each of length 1; shape (rows, dimensions).
        largest: how many coordinates are wanted.

    Returns:
        The most telling coordinate first; shape (rows, min(largest, rows)).
    """
    similarity = np.maximum(vectors @ vectors.T, 0.0)
    np.fill_diagonal(similarity, 0.0)
    degree = similarity.sum(axis=1) + 1e-9
    _, found = np.linalg.eigh(similarity / np.sqrt(np.outer(degree, degree)))
    coordinates: Array = found[:, ::-1][:, :largest]
    return coordinates


def grouped(coordinates: Array, groups: int) -> Labels:
    """Divide the rows of `eigenvectors` into at most `groups` groups, numbered from 0 without gaps."""
    rows = coordinates[:, :groups]
    rows = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    return np.unique(_kmeans(rows, groups), return_inverse=True)[1]


def _kmeans(rows: Array, groups: int) -> Labels:
    centres = _far_apart(rows, groups)
    for _ in range(KMEANS_ROUNDS):
        members = np.eye(len(centres))[_distances(rows, centres).argmin(axis=1)]
        counts = members.sum(axis=0)[:, np.newaxis]
        centres = np.where(counts > 0, members.T @ rows / np.maximum(counts, 1), centres)
    return np.asarray(_distances(rows, centres).argmin(axis=1), np.int64)


def _far_apart(rows: Array, groups: int) -> Array:
    """Choose the row nearest the middle, then again and again the one farthest from all that are chosen."""
    chosen = [int(_distances(rows, rows.mean(axis=0, keepdims=True)).argmin())]
    while len(chosen) < min(groups, len(rows)):
        chosen.append(int(_distances(rows, rows[chosen]).min(axis=1).argmax()))
    return rows[chosen]


def _distances(rows: Array, centres: Array) -> Array:
    """Return squared Euclidean distances; shape (rows, centres)."""
    distances: Array = np.square(rows[:, np.newaxis] - centres).sum(axis=2)
    return distances

"""Divides vectors into groups of similar ones. Nothing here knows of sound.

Source: R. Sokal, C. Michener, "A statistical method for evaluating systematic relationships", University of Kansas
Science Bulletin 38, 1958 (the average linkage).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def groupings(vectors: Array, most: int) -> list[Labels]:
    """Divide vectors into 1, 2, 3 … groups, each division a refinement of the one before.

    The two groups that are the most alike on average are joined, again and again.

    Args:
        vectors: what to group, by the cosine between them: each of length 1; shape (rows, dimensions).
        most: how many groups the finest division has; never more than there are rows.

    Returns:
        The group of each row, from 0 without gaps; the division into n groups at index n - 1.
    """
    labels = np.arange(len(vectors))
    found = []
    for keep, join in _joins(vectors @ vectors.T):
        found.append(numbered(labels))
        labels[labels == join] = keep
    found.append(numbered(labels))
    return found[::-1][:most]


def numbered(labels: Labels) -> Labels:
    """Number the groups from 0 without gaps, in the order of their numbers so far."""
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)


def _joins(similarity: Array) -> list[tuple[int, int]]:
    """Return which two groups are joined at each step, by the row that stands for each; the first one goes on."""
    rows = len(similarity)
    alike = similarity.copy()
    np.fill_diagonal(alike, -np.inf)
    size = np.ones(rows)
    best = alike.max(axis=1)
    joins = []
    for _ in range(rows - 1):
        keep = int(best.argmax())
        join = int(alike[keep].argmax())
        mean = (size[keep] * alike[keep] + size[join] * alike[join]) / (size[keep] + size[join])
        mean[[keep, join]] = -np.inf
        alike[keep] = alike[:, keep] = mean
        alike[join] = alike[:, join] = -np.inf
        size[keep] += size[join]
        best = alike.max(axis=1)
        joins.append((keep, join))
    return joins

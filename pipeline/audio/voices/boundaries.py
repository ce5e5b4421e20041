"""Decides step by step who speaks, once it is known how well each voice fits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

CHANGE_COST = 0.1
"""How much better (as a cosine) another voice must fit, over all its steps, before the speaker changes. Larger
costs lose short answers."""


def best_path(fits: Array) -> Labels:
    """Return the sequence of voices that fits best in total, less the cost of the changes: the Viterbi algorithm.

    Args:
        fits: how well each voice fits each step; shape (steps, voices), at least one step.
    """
    steps, voices = fits.shape
    stay = np.arange(voices)
    came_from = np.empty((steps, voices), np.int64)
    score = fits[0]
    for step in range(1, steps):
        best = int(score.argmax())
        changes = score < score[best] - CHANGE_COST
        came_from[step] = np.where(changes, best, stay)
        score = np.where(changes, score[best] - CHANGE_COST, score) + fits[step]
    path = np.empty(steps, np.int64)
    path[-1] = score.argmax()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path

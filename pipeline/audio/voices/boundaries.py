"""Decides frame by frame who speaks, once it is known how each voice sounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.voices.models import Frames, Labels, Mixture, voice_models

Array = NDArray[np.float64]

STEP = 5
"""Frames that are decided together: 50 ms."""

CORRELATION = 0.2
"""Neighbouring frames say the same again; each counts as so much evidence."""

SWITCH_COST = 3.0
"""How much better (in log likelihood) another voice must fit before the speaker changes."""

ROUNDS = 6


def sharpened(mixture: Mixture, frames: Frames, shares: Frames, labels: Labels, voices: int) -> Labels:
    """Move the borders between voices to where the sound changes.

    Models of the voices and their frames are found in turn until nothing changes: the Viterbi algorithm with a
    cost for each change of speaker.

    Args:
        mixture: the model of all speech of the recording.
        frames: spectra, pauses left out; shape (frames, dimensions).
        shares: the mixture's responsibilities for the frames.
        labels: a first guess of each frame's voice, 0 to voices - 1.
        voices: how many there are.

    Returns:
        The voice of each frame.
    """
    if voices == 1:
        return labels
    starts = np.arange(0, len(frames), STEP)
    lengths = np.diff(np.append(starts, len(frames)))
    for _ in range(ROUNDS):
        models = voice_models(mixture, frames, shares, labels, voices)
        evidence = np.stack([np.add.reduceat(model.log_likelihoods(frames), starts) for model in models], axis=1)
        moved = np.repeat(_best_path(CORRELATION * evidence), lengths)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels


def _best_path(evidence: Array) -> Labels:
    """Return the sequence of voices of the largest total evidence, less the cost of the changes."""
    steps, voices = evidence.shape
    stay = np.arange(voices)
    came_from = np.empty((steps, voices), np.int64)
    score = evidence[0]
    for step in range(1, steps):
        best = int(score.argmax())
        changes = score < score[best] - SWITCH_COST
        came_from[step] = np.where(changes, best, stay)
        score = np.where(changes, score[best] - SWITCH_COST, score) + evidence[step]
    path = np.empty(steps, np.int64)
    path[-1] = score.argmax()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path

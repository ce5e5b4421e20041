"""Finds the stretches in which somebody speaks. The only file that imports webrtcvad.

webrtcvad by itself calls noise and the pauses between words speech, so what is much softer than the loud speech
of the same recording is taken away again. Reads a converted recording in blocks, twice; holds some bytes per
10 ms of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.audio.soundfiles import blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Levels = NDArray[np.float32]
    Flags = NDArray[np.bool_]

RATE = 16_000
FRAMES_PER_S = 100
FRAME = RATE // FRAMES_PER_S
"""Samples in a frame of 10 ms, the shortest that webrtcvad takes."""

BLOCK_S = 10.0
STRICTNESS = 2
"""How easily webrtcvad says no, 0 to 3. Source: benchmarks/accuracy.py; 3 misses three times as much speech."""

RANGES_DB = (20.0, 35.0)
"""How much softer than the loud speech of its recording speech may be: at least and at most."""

CONTRAST_DB = 6.0
"""Speech is at least so much louder than the quiet of its recording; steady noise is not."""

LOUD_DBFS = -20.0
"""The loudest second is brought to this level: webrtcvad hears nothing in soft recordings."""

GAIN_MAX_DB = 40.0
PAUSE = 30
"""Frames of the shortest pause that ends a stretch; within words there are closures of up to 150 ms."""

SHORTEST = 20
"""Frames of the shortest stretch; what is shorter is a click or a breath."""

MARGIN = 5
"""Frames added at both ends, where speech is too soft to be told from the pause."""

Interval = tuple[int, int]
"""A half-open range [first, end) of frames of 10 ms."""


def speech_intervals(path: Path, check: Callable[[], None]) -> list[Interval]:
    """Return where somebody speaks in a converted recording (16 kHz, mono, s16), in frames of 10 ms.

    A child process looks for it: that is Python's work, 15 ms for ten seconds, and other threads go on meanwhile.

    Args:
        path: the converted recording.
        check: called ten times a second; what it raises ends the search.

    Returns:
        Disjoint intervals in their order; none where nobody speaks.

    Raises:
        OSError: the file can't be read.
        DecoderError: the child was ended.
    """
    from pipeline.audio.sandbox.client import pairs

    return pairs("speech", path, check)


def find_speech(path: Path, check: Callable[[], None]) -> list[Interval]:
    """Do the same in this process; `check` is called after each block."""
    levels, flags = _frames(path, _gain(path, check), check)
    return _smoothed(_loud_enough(levels, flags))


def _gain(path: Path, check: Callable[[], None]) -> float:
    """Return the factor that brings the loudest second to the level that webrtcvad expects; at least 1."""
    import numpy as np

    power = 1.0
    for block in blocks(path, 1.0):
        power = max(power, float(np.mean(np.square(block, dtype=np.float64))))
        check()
    gain_db = LOUD_DBFS - 10 * np.log10(power / 32768**2)
    return float(10 ** (np.clip(gain_db, 0.0, GAIN_MAX_DB) / 20))


def _frames(path: Path, gain: float, check: Callable[[], None]) -> tuple[Levels, Flags]:
    """Return the level of each frame in dB and whether webrtcvad takes it for speech."""
    import numpy as np
    import webrtcvad

    detector = webrtcvad.Vad(STRICTNESS)
    levels, flags = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    for block in blocks(path, BLOCK_S):
        frames = block[: len(block) // FRAME * FRAME].reshape(-1, FRAME) * gain
        levels.append(10 * np.log10(np.mean(np.square(frames), axis=1) + 1.0).astype(np.float32))
        heard = np.clip(np.round(frames), -32768, 32767).astype("<i2")
        flags.append(np.array([detector.is_speech(frame.tobytes(), RATE) for frame in heard], np.bool_))
        check()
    return np.concatenate(levels), np.concatenate(flags)


def _loud_enough(levels: Levels, flags: Flags) -> Flags:
    """Keep the flagged frames that stand out from the quiet and are not too far below the loud speech."""
    import numpy as np

    if not flags.any():
        return flags
    loud, quiet = np.percentile(levels[flags], 95), np.percentile(levels, 5)
    if loud - quiet < CONTRAST_DB:
        return np.zeros_like(flags)
    least, most = RANGES_DB
    return flags & (levels > np.clip(quiet + CONTRAST_DB, loud - most, loud - least))


def _smoothed(flags: Flags) -> list[Interval]:
    """Close short pauses, drop short stretches, add margins."""
    joined: list[list[int]] = []
    for first, end in _runs(flags):
        if joined and first - joined[-1][1] < PAUSE:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    last = len(flags)
    return [(max(0, first - MARGIN), min(last, end + MARGIN)) for first, end in joined if end - first >= SHORTEST]


def _runs(flags: Flags) -> list[Interval]:
    import numpy as np

    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]

"""Finds the silences of a converted recording, to cut long audio there. The only file that imports pydub.

Nothing here holds more than a minute of audio. pydub is used for what it is good at; it looks for no ffmpeg
here, and its complaints about that don't reach users.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from pipeline.audio.soundfiles import read_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16000
"""Samples per second of every recording after its conversion."""

SAMPLES_PER_MS = RATE // 1000
WINDOW_MS = 60_000
SHORTEST_MS = 300
"""A pause between phrases; the closure of a plosive within a word lasts up to about 150 ms."""

STEP_MS = 10
"""Silences begin on this grid. Source: at 1 ms pydub takes ten times as long and cuts no better."""

FRAME = 20 * SAMPLES_PER_MS
"""Samples of a frame whose level is measured: 20 ms, the usual analysis frame of speech."""

CONTRAST_DB = 10.0
"""A pause is at least so much softer than what is loud around it; steady noise has none."""

FLOOR_DBFS = -60.0
"""What is softer than this is always silence: digital silence, dither, a muted line."""


def find_silences(path: Path, total: int, check: Callable[[], None] = lambda: None) -> list[tuple[int, int]]:
    """Return the pauses of at least 0.3 s of a mono 16 kHz s16 file.

    What counts as silent is decided minute by minute, a third of the way (in dB) from the softest to the loudest
    frames, so that quiet and noisy recordings have pauses too. Windows overlap by the shortest silence: none is
    lost at their borders.

    Args:
        path: the converted recording.
        total: its samples.
        check: called before each minute of audio; what it raises passes through.

    Returns:
        Half-open spans [start, end) in samples, disjoint and sorted; may be empty.
    """
    found: list[tuple[int, int]] = []
    for start in range(0, total, WINDOW_MS * SAMPLES_PER_MS):
        check()
        end = min(total, start + (WINDOW_MS + SHORTEST_MS) * SAMPLES_PER_MS)
        for silence in _silences(read_samples(path, start, end)):
            _add(found, (start + silence[0], start + silence[1]))
    return found


def quietest_sample(path: Path, start: int, end: int) -> int:
    """Return the middle of the softest 20 ms of samples [start, end) of a file, for a cut where no pause is."""
    if end - start < FRAME:
        return (start + end) // 2
    levels = _levels_dbfs(read_samples(path, start, end))
    return start + int(levels.argmin()) * FRAME + FRAME // 2


def _add(found: list[tuple[int, int]], silence: tuple[int, int]) -> None:
    """Append a silence, joined to the last one where they touch."""
    if found and silence[0] <= found[-1][1]:
        found[-1] = found[-1][0], max(found[-1][1], silence[1])
    else:
        found.append(silence)


def _silences(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    spans_ms = _pydub().detect_silence(
        _Summed(samples), min_silence_len=SHORTEST_MS, silence_thresh=_threshold_dbfs(samples), seek_step=STEP_MS
    )
    return [(start * SAMPLES_PER_MS, min(end * SAMPLES_PER_MS, len(samples))) for start, end in spans_ms]


def _threshold_dbfs(samples: NDArray[np.int16]) -> float:
    import numpy as np

    soft, loud = np.percentile(_levels_dbfs(samples), (10, 95))
    return max(FLOOR_DBFS, float(min(soft + (loud - soft) / 3, loud - CONTRAST_DB)))


def _levels_dbfs(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the level of each whole 20 ms frame; of all samples where they are fewer."""
    import numpy as np

    size = min(FRAME, len(samples))
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = (frames**2).mean(axis=1) / 2**30
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12))
    return levels


class _Summed:
    """Audio as pydub's search asks for it: its parts by milliseconds, of which only the level is wanted.

    pydub's own AudioSegment copies each part and measures it anew; sums from the start give the same numbers
    in a twentieth of the time.
    """

    max_possible_amplitude = 1 << 15

    def __init__(self, samples: NDArray[np.int16]) -> None:
        import numpy as np

        squares = np.cumsum(samples.astype(np.int64) ** 2)
        self._before: list[int] = [0, *squares[SAMPLES_PER_MS - 1 :: SAMPLES_PER_MS].tolist()]
        self._total = int(squares[-1]) if len(squares) else 0
        self._length_ms = round(1000 * (len(samples) / RATE))

    def __len__(self) -> int:
        return self._length_ms

    def __getitem__(self, part: slice) -> _Level:
        end = min(part.stop, self._length_ms)
        # The last millisecond may be a part of one; what lacks counts as silence, as pydub has it.
        summed = self._before[end] if end < len(self._before) else self._total
        size = (end - part.start) * SAMPLES_PER_MS
        return _Level(int(math.sqrt((summed - self._before[part.start]) / size)))


class _Level(NamedTuple):
    rms: int


@cache
def _pydub() -> ModuleType:
    """Import pydub without its warnings: invalid escapes, `audioop`, and the ffmpeg that isn't needed here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("pydub.silence")

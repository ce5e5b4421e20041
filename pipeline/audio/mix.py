"""How the channels of a recording become one: statistics, the rule of the mix, one speaker per channel or not.

Pure; numpy only. Import it lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from pipeline.audio.source import FRAMES_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.audio.source import Block

    Mono = NDArray[np.float32]

SILENT_DB = -60.0
INAUDIBLE_DB = 40.0
"""A channel whose loudest frame is below the first, or so far below that of the loudest channel, is left out."""

ANTIPHASE = -0.5
"""Neighbours correlated less than this lose more than half of their amplitude in a mean; one gets turned over."""

ACTIVE_DB = -55.0
ABOVE_FLOOR_DB = 10.0
FLOOR_PERCENTILE = 10
"""A frame is active above the first and so far above its channel's floor; steady noise never is."""

DOMINATES_DB = 10.0
SHARE_OF_A_SPEAKER = 0.05
SHARE_OF_ALL = 0.30
SHORTEST_S = 0.3
"""Channels carry different speech if two of them dominate in these shares of the active frames and for so long.

Voices that talk at once differ by more than 10 dB in about half of their frames; the microphones of one room
hardly ever do: in generated rooms less than 5 % of the frames. Source: tests/test_audio_mix.py.
"""

CLIPPED = 1 - 2.0**-15
"""The largest 16-bit sample."""


@frozen
class Mix:
    """The mean of some channels.

    Attributes:
        signs: per channel 1 as it is, -1 turned over, 0 left out; at least one is not 0.
    """

    signs: tuple[int, ...]

    def apply(self, block: Block) -> Mono:
        """Mix a block of shape (channels, samples) into one of shape (samples,).

        Channels are added one after the other: a matrix product would round differently on other processors.
        """
        used = [(channel, sign) for channel, sign in enumerate(self.signs) if sign]
        first, sign = used[0]
        if len(used) == 1 and sign == 1:
            one: Mono = block[first]
            return one
        mixed: Mono = block[first] * np.float32(sign)
        for channel, sign in used[1:]:
            (np.add if sign > 0 else np.subtract)(mixed, block[channel], out=mixed)
        mixed *= np.float32(1 / len(used))
        return mixed

    @property
    def rule(self) -> str:
        """One word for the record: mono, single or mean."""
        if len(self.signs) == 1:
            return "mono"
        return "single" if sum(map(abs, self.signs)) == 1 else "mean"


def mean_of(channels: int) -> Mix:
    """Return the plain mean of all channels."""
    return Mix((1,) * channels)


def only(channel: int, channels: int) -> Mix:
    """Return one channel as it is."""
    return Mix(tuple(int(each == channel) for each in range(channels)))


class Statistics:
    """Gathers, from consecutive blocks, what decides over the mix.

    The energies are those at the source's own rate, without the offset that cheap microphones add.

    Attributes:
        samples: of all channels, so far.
        clipped: how many of them are at full scale or beyond.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._frame = max(1, rate_hz // FRAMES_PER_S)
        self._energies = [np.zeros((channels, 0), np.float32)]
        self._neighbours = np.zeros(channels - 1)
        self.samples = 0
        self.clipped = 0

    def add(self, block: Block) -> None:
        """Count one block of shape (channels, samples); up to a frame at its end is counted for clipping only.

        Of a single channel only that is counted, since there is nothing to decide.
        """
        self._count_clipped(block)
        if len(block) > 1:
            self._add_energies(block)

    def _add_energies(self, block: Block) -> None:
        frames = block.shape[1] // self._frame
        shaped = block[:, : frames * self._frame].reshape(len(block), frames, self._frame)
        means = np.einsum("cfn->cf", shaped) / self._frame
        self._energies.append(_products(shaped, shaped) / self._frame - means**2)
        crossed = _products(shaped[:-1], shaped[1:]) / self._frame - means[:-1] * means[1:]
        self._neighbours += crossed.sum(axis=1, dtype=np.float64)

    def _count_clipped(self, block: Block) -> None:
        self.samples += block.size
        if max(block.max(initial=0), -block.min(initial=0)) >= CLIPPED:
            self.clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED))

    @property
    def clipped_share(self) -> float:
        """Which share of all samples of all channels is at full scale or beyond."""
        return self.clipped / self.samples if self.samples else 0.0

    def levels_db(self) -> NDArray[np.float64]:
        """Return the level of each frame, shape (channels, frames), in dB below full scale; -120 at the least."""
        energies = np.concatenate(self._energies, axis=1, dtype=np.float64)
        levels: NDArray[np.float64] = 10 * np.log10(np.maximum(energies, 1e-12))
        return levels

    def correlations(self) -> NDArray[np.float64]:
        """Return the correlation of each channel with the next over the whole recording, shape (channels - 1,)."""
        totals = np.concatenate(self._energies, axis=1).sum(axis=1, dtype=np.float64)
        correlations: NDArray[np.float64] = self._neighbours / np.maximum(np.sqrt(totals[:-1] * totals[1:]), 1e-12)
        return correlations


def _products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    products: NDArray[np.float32] = np.einsum("cfn,cfn->cf", left, right)
    return products


def best_mix(statistics: Statistics) -> Mix:
    """Return the mix in which nothing audible vanishes.

    Silent channels are left out, so that speech on one channel of six keeps its level; channels in antiphase with
    their neighbour are turned over; of the rest, the mean.
    """
    heard = audible(statistics.levels_db())
    turned = np.where(statistics.correlations() < ANTIPHASE, -1, 1)
    signs = np.concatenate([[1], np.cumprod(turned)])
    kept = [int(sign) if channel in heard else 0 for channel, sign in enumerate(signs)]
    first = kept[heard[0]]
    return Mix(tuple(first * sign for sign in kept))


def audible(levels_db: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the channels that aren't silent; all of them where all are."""
    loudest = levels_db.max(axis=1, initial=-120.0)
    heard = np.flatnonzero(loudest >= max(SILENT_DB, loudest.max() - INAUDIBLE_DB))
    return tuple(heard.tolist()) or tuple(range(len(levels_db)))


def separate_channels(levels_db: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the channels to keep apart since they carry different speech; none where the mix says it all.

    Args:
        levels_db: shape (channels, frames), as `Statistics.levels_db` returns them.
    """
    if len(levels_db) < 2 or levels_db.shape[1] < FRAMES_PER_S:
        return ()
    dominant = _dominant(levels_db)
    frames = [int(row.sum()) for row in dominant]
    return audible(levels_db) if _differ(frames, int(_active(levels_db).any(axis=0).sum())) else ()


def _active(levels_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    floors = np.percentile(levels_db, FLOOR_PERCENTILE, axis=1, keepdims=True)
    active: NDArray[np.bool_] = levels_db > np.maximum(floors + ABOVE_FLOOR_DB, ACTIVE_DB)
    return active


def _dominant(levels_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where each channel is active and louder than every other one by far."""
    ordered = np.sort(levels_db, axis=0)
    others = np.where(levels_db == ordered[-1], ordered[-2], ordered[-1])
    dominant: NDArray[np.bool_] = _active(levels_db) & (levels_db > others + DOMINATES_DB)
    return dominant


def _differ(frames: Sequence[int], active: int) -> bool:
    least = max(SHARE_OF_A_SPEAKER * active, SHORTEST_S * FRAMES_PER_S)
    speakers = sum(count >= least for count in frames)
    return speakers >= 2 and sum(frames) >= SHARE_OF_ALL * active

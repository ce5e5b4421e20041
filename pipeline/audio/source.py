"""What the two decoders have in common: the facts of a source, and what comes to light while it is read.

Blocks of a source are float32 arrays of shape (channels, samples), full scale 1.0, each row contiguous. Every
block but the last has `Facts.block_samples`, so that the same sound read by another decoder gives the same blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = NDArray[np.float32]

FRAMES_PER_S = 10
"""Syllables last 100 to 200 ms: longer frames would blend speakers who alternate, shorter ones split vowels."""

BLOCK_VALUES = 240_000
"""Samples of all channels in one block, 5 s of mono at 48 kHz. Longer blocks are no faster, and memory is this
times a dozen; of half the size, threads wait for each other more. Source: benchmarks/convert.py."""

LOUDEST = 8.0
"""Samples beyond this multiple of full scale are damage; without a bound, one of them ruins its surroundings."""


@frozen
class Facts:
    """What a decoder knows of a source before it reads the sound.

    Attributes:
        decoder: name and version, since another version may decode other samples.
        total_s: the stated length, for progress; None where the file doesn't say.
        tracks: how many audio streams the file has; the default one, else the first, is read.
    """

    rate_hz: int
    channels: int
    codec: str
    container: str
    decoder: str
    total_s: float | None
    tracks: int = 1

    @property
    def frame_samples(self) -> int:
        """Return how many samples of one channel a frame of 100 ms has."""
        return max(1, self.rate_hz // FRAMES_PER_S)

    @property
    def block_samples(self) -> int:
        """Return how many samples of one channel a block has: whole frames, one at the least."""
        return max(1, BLOCK_VALUES // (self.channels * self.frame_samples)) * self.frame_samples


@define
class Findings:
    """What reading brought to light; complete once all blocks were read.

    Attributes:
        warnings: sentences of ours for the user, each at most once.
    """

    start_offset_s: float = 0.0
    gaps: int = 0
    gaps_s: float = 0.0
    warnings: list[str] = field(factory=list)

    def warn(self, sentence: str) -> None:
        """Keep a warning, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)


class Source(Protocol):
    """An open recording."""

    @property
    def facts(self) -> Facts:
        """What is known before reading."""

    @property
    def findings(self) -> Findings:
        """What is known after reading."""

    def blocks(self) -> Iterator[Block]:
        """Yield the sound from the start, once."""


def bounded(block: Block, findings: Findings) -> Block:
    """Make samples that are no numbers silent and bound absurd ones, in place; a warning says so."""
    import numpy as np

    if not np.isfinite(block).all():
        findings.warn("Some samples are not numbers; they were replaced by silence.")
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(block, -LOUDEST, LOUDEST, out=block)

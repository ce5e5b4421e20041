"""What the two decoders have in common: the facts of a source, and what comes to light while it is read.

Blocks of a source are float32 arrays of shape (channels, samples), full scale 1.0, each row contiguous. Every
block but the last has `Facts.block_samples`, so that the same sound read by another decoder gives the same blocks.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from pathlib import Path

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
        tracks: how many audio tracks the file has.
        track: which of them is read, from 1.
        track_list: each as `1 aac eng`: number, codec, and the code of its language where the file has one; those
            that can't be decoded say so. Empty where there is one.
    """

    rate_hz: int
    channels: int
    codec: str
    container: str
    decoder: str
    total_s: float | None
    tracks: int = 1
    track: int = 1
    track_list: tuple[str, ...] = ()

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

    def take(self, other: Findings, label: str = "") -> None:
        """Take over what reading the next file brought to light; its late start is a gap between the two."""
        self.gaps += other.gaps + (other.start_offset_s > 0)
        self.gaps_s += other.gaps_s + other.start_offset_s
        for sentence in other.warnings:
            self.warn(f"{label}{sentence}")


class Source(Protocol):
    """An open recording."""

    @property
    def facts(self) -> Facts:
        """What is known before reading."""

    @property
    def findings(self) -> Findings:
        """What is known after reading."""

    def skip(self, samples: int) -> int:
        """Pass over samples at the start without reading them; return how many, 0 where that would cost accuracy.

        Called before `blocks`, if at all.
        """

    def blocks(self) -> Generator[Block, None, None]:
        """Yield the sound from the start, or from where `skip` left it, once."""


def require_track(path: Path, wanted: int | None, tracks: int) -> None:
    """Raise SourceRejectedError if a file of one audio track, or none, has no track of this number."""
    if wanted is not None and wanted > tracks:
        has = "one audio track" if tracks else "no sound in it"
        raise SourceRejectedError(f"{path.name!r} has {has}, and no track {wanted}. `--track auto` takes it back.")


def bounded(block: Block, findings: Findings) -> Block:
    """Make samples that are no numbers silent and bound absurd ones, in place; a warning says so."""
    import numpy as np

    if not np.isfinite(block).all():
        findings.warn("Some samples are not numbers; they were replaced by silence.")
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(block, -LOUDEST, LOUDEST, out=block)

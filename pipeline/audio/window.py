"""An excerpt of a recording, cut out while it is read.

What lies before it is passed over where a format has exact positions, and decoded and dropped elsewhere, since
other ways to seek don't arrive at the same sample.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from pipeline.audio.source import Block, Source


@define
class Window:
    """Cuts an excerpt out of sources that follow one another; one for each time that they are read.

    Attributes:
        start_s, end_s: the excerpt on the recording's clock; end_s None: up to its end.
        at_s: where on that clock reading is.
        starts_s: where each source that was begun starts.
        is_whole: the last source was read, or passed over, up to its end.
    """

    start_s: float = 0.0
    end_s: float | None = None
    at_s: float = 0.0
    starts_s: list[float] = field(factory=list)
    is_whole: bool = False

    @property
    def is_over(self) -> bool:
        """Nothing that follows is wanted."""
        return self.end_s is not None and self.at_s >= self.end_s

    def pass_to(self, other: Window) -> None:
        """Be where another one is, without reading."""
        self.at_s, self.starts_s, self.is_whole = other.at_s, list(other.starts_s), other.is_whole

    def cut(self, source: Source) -> Generator[Block, None, None]:
        """Yield what is wanted of the next source, and an empty block for each that is not, so that time passes."""
        rate_hz, begin_s = source.facts.rate_hz, self.at_s
        self.starts_s.append(begin_s)
        self.is_whole = False
        first = max(0, round((self.start_s - begin_s) * rate_hz))
        end = None if self.end_s is None else max(0, round((self.end_s - begin_s) * rate_hz))
        at = source.skip(first) if first else 0
        self.at_s = begin_s + at / rate_hz
        if end is not None and at >= end:
            return
        with closing(source.blocks()) as blocks:
            for block in blocks:
                stop = block.shape[1] if end is None else end - at
                yield block[:, max(0, first - at) : stop]
                at += block.shape[1]
                self.at_s = begin_s + (at if end is None else min(at, end)) / rate_hz
                if end is not None and at >= end:
                    return
        self.is_whole = True


def regular(blocks: Iterator[Block], samples: int) -> Iterator[Block]:
    """Yield the same sound in blocks of so many samples, the last one shorter; empty blocks pass."""
    import numpy as np

    kept: list[Block] = []
    length = 0
    for block in blocks:
        if not block.shape[1]:
            yield block
            continue
        kept.append(block)
        length += block.shape[1]
        while length >= samples:
            joined = np.concatenate(kept, axis=1)
            yield np.ascontiguousarray(joined[:, :samples])
            kept, length = [joined[:, samples:]], length - samples
    if length:
        yield np.concatenate(kept, axis=1)

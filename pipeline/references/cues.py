"""What SubRip and WebVTT have in common: blocks with a line of times. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import frozen

from pipeline.references.text import ReferenceFileError, numbered_blocks, require_order

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?"
_TIMES = re.compile(rf"{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")

_EXAMPLE = "00:00:01,500 --> 00:00:03,000"


@frozen
class Cue:
    """One subtitle, its lines as they stand in the file."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def read_cues(text: str, not_said: tuple[str, ...] = ()) -> Iterator[Cue]:
    """Yield the cues of a file.

    Args:
        text: the file's.
        not_said: what blocks begin with that are comments, styles, or the file's head.

    Raises:
        ReferenceFileError: a block has no times, or such as can't be; what it says would be lost.
    """
    for first, block in numbered_blocks(text):
        arrows = [at for at, line in enumerate(block) if "-->" in line]
        if arrows:
            yield from _cues(block, first, arrows)
        elif not block[0].startswith(not_said or " "):
            raise ReferenceFileError(f"line {first}: a line of times is missing, such as {_EXAMPLE}.")


def _cues(block: Sequence[str], first: int, arrows: Sequence[int]) -> Iterator[Cue]:
    """Yield the cues of a block; there are several where the empty lines between them are missing."""
    for at, following in zip(arrows, [*arrows[1:], None], strict=True):
        match = _TIMES.fullmatch(block[at])
        if match is None:
            raise ReferenceFileError(f"line {first + at}: these are no times of a subtitle, such as {_EXAMPLE}.")
        parts = match.groups()
        start_s, end_s = _seconds(parts[:4]), _seconds(parts[4:])
        require_order(start_s, end_s, first + at)
        lines = block[at + 1 : following]
        if following is not None and lines and lines[-1].isdecimal():
            lines = lines[:-1]
        yield Cue(start_s, end_s, tuple(lines))


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000

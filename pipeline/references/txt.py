"""Plain text: all of it was said. Speakers are known where every paragraph begins with one: `Ann: …`.

The text that evt writes is known by its paragraphs, `[00:00:01] SPEAKER_00: …`: what stands before the first of
them is a note, and was not said.
"""

from __future__ import annotations

import re

from pipeline.references.text import numbered_blocks, numbered_lines, spoken, with_names
from pipeline.references.values import Accounts, Segment, accounts

_HEAD = re.compile(r"\[\d+:\d\d:\d\d\]\s+(?=[^:]+:)")
_NO_SPEECH = "(no speech found)"


def read(text: str) -> Accounts:
    """Read plain text; each paragraph, or else each line, may have a speaker. Times are too coarse to be of use."""
    blocks = [" ".join(block) for _, block in numbered_blocks(text)]
    if any(_HEAD.match(block) for block in blocks) or blocks[-1:] == [_NO_SPEECH]:
        first = next((at for at, block in enumerate(blocks) if _HEAD.match(block)), len(blocks))
        blocks = [_HEAD.sub("", block, count=1) for block in blocks[first:]]
        return _read(blocks)
    lines = [line for _, line in numbered_lines(text)]
    by_line = _read(lines)
    return by_line if by_line[""].speakers else _read(blocks)


def _read(texts: list[str]) -> Accounts:
    said = [plain for plain in map(spoken, texts) if plain]
    return accounts((Segment(one, speaker=name) for name, one in with_names(said)), times=False)

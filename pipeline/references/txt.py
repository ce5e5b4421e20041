"""Plain text: all of it was said. Speakers are known where every paragraph begins with one: `Ann: …`.

The text that evt writes is known by its paragraphs, `[00:00:01] SPEAKER_00: …`: what stands before the first of
them is a note, and was not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.references.text import numbered_blocks, numbered_lines, spoken, with_names
from pipeline.references.values import Accounts, Segment, accounts

_HEAD = re.compile(r"\[\d+:\d\d:\d\d\] ([^:]+): ")
_NO_SPEECH = "(no speech found)"


def read(text: str) -> Accounts:
    """Read plain text; each paragraph, or else each line, may have a speaker. Times are too coarse to be of use."""
    blocks = [" ".join(block) for _, block in numbered_blocks(text)]
    if blocks[-1:] == [_NO_SPEECH]:
        return accounts((), times=False)
    if any(map(_HEAD.match, blocks)):
        return accounts(_ours(blocks), times=False)
    by_line = _named([line for _, line in numbered_lines(text)])
    return by_line if by_line[""].speakers else _named(blocks)


def _named(texts: list[str]) -> Accounts:
    said = [plain for plain in map(spoken, texts) if plain]
    return accounts((Segment(one, speaker=name) for name, one in with_names(said)), times=False)


def _ours(blocks: list[str]) -> Iterator[Segment]:
    """Yield what is said in a text that evt wrote."""
    speaker = None
    for block in blocks:
        if head := _HEAD.match(block):
            speaker = head[1]
        said = spoken(block[head.end() :] if head else block)
        if speaker is not None and said:
            yield Segment(said, speaker=speaker)

"""SubRip subtitles. Speakers are known where every subtitle begins with one: `Ann: …` or `[Ann]: …`."""

from __future__ import annotations

import re

from pipeline.references.cues import read_cues
from pipeline.references.text import spoken, with_names
from pipeline.references.values import Accounts, Segment, accounts

_MARKS = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
"""Tags such as `<i>`, and positions such as `{\\an8}`."""


def read(text: str) -> Accounts:
    """Read SubRip.

    Raises:
        ReferenceFileError: a subtitle has no times, or such as can't be.
    """
    found = [(cue, spoken(_MARKS.sub("", " ".join(cue.lines)))) for cue in read_cues(text)]
    found = [(cue, said) for cue, said in found if said]
    named = with_names([said for _, said in found])
    return accounts(
        Segment(said, cue.start_s, cue.end_s, name) for (cue, _), (name, said) in zip(found, named, strict=True)
    )

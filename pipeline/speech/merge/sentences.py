"""Where a sentence ends, as far as its words tell. Pure."""

from __future__ import annotations

PAUSE_S = 1.0
"""A longer silence ends a sentence, and an utterance."""

_MARKS = tuple(".!?…。！？｡؟۔।")
_CLOSING = "\"'”’»›)]}」』）"
_TITLES = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs."})


def ends_sentence(text: str) -> bool:
    """Say whether a word ends a sentence: by its mark, unless that belongs to a title or an initial."""
    bare = text.rstrip(_CLOSING)
    initial = len(bare) == 2 and bare[0].isupper() and bare[0] != "I" and bare[1] == "."
    return bare.endswith(_MARKS) and bare.lower() not in _TITLES and not initial

"""Which scripts are written without spaces between words, and how words are put together to text. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # half-width Katakana
    (0x20000, 0x3FFFF),
)
"""Scripts that are written without spaces between words. Source: Unicode 16, Blocks.txt."""

_FIRST_UNSPACED = chr(_UNSPACED[0][0])

_PUNCTUATION = frozenset({"Pe", "Pf", "Po", "Ps", "Pi", "Mn", "Mc", "Me"})
"""Categories that belong to the letter beside them: punctuation, and the marks that letters carry."""


def is_unspaced(char: str) -> bool:
    """Say whether a character is a letter of a script without spaces; its vowel signs and marks are not."""
    return (
        char >= _FIRST_UNSPACED and char.isalnum() and any(first <= ord(char) <= last for first, last in _UNSPACED)
    )


def joined(words: Iterable[str]) -> str:
    """Return words as a text: with single spaces, but none between words of scripts that are written without.

    Between such a script and another (Chinese, then a Latin name) stands a space.
    """
    text = ""
    for word in words:
        text += word if not text or (_ends_unspaced(text) and _begins_unspaced(word)) else f" {word}"
    return text


def _ends_unspaced(text: str) -> bool:
    at = len(text) - 1
    while at > 0 and unicodedata.category(text[at]) in _PUNCTUATION:
        at -= 1
    return is_unspaced(text[at])


def _begins_unspaced(word: str) -> bool:
    at = 0
    while at < len(word) - 1 and unicodedata.category(word[at]) in _PUNCTUATION:
        at += 1
    return bool(word) and is_unspaced(word[at])

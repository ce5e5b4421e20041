"""What counts as a word when transcripts are compared. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from pipeline.speech.scripts import is_unspaced

NONE: Final = "none"
BASIC: Final = "basic"
NORMALISERS: Final = {
    NONE: "words as they are written, with case and punctuation",
    BASIC: "Unicode NFKC, lower case, without punctuation and symbols; apostrophes within words count",
}
"""How texts are made alike before they are compared, and what that means for people."""

_APOSTROPHES = frozenset("'’‘ʼ")
_JOINERS = frozenset("\u200c\u200d")
"""Zero width joiners say how letters are drawn, not which they are; they neither part words nor belong to them."""


def words_of(text: str, normaliser: str = BASIC) -> list[str]:
    """Return the words that are compared.

    In scripts that are written without spaces, such as Chinese, Japanese and Thai, each letter with its marks
    is a word of its own; words of other scripts between them stay whole. With `basic`, a hyphen parts words, and
    numbers and abbreviations stay as they are written: "Mr" and "mister" are different words.

    Args:
        text: any text.
        normaliser: a key of NORMALISERS.
    """
    if normaliser == BASIC:
        text = _plain(text)
    return [word for chunk in text.split() for word in _letters_apart(chunk)]


def normalised_words(text: str) -> list[str]:
    """Return the words of a text with the normaliser `basic`."""
    return words_of(text, BASIC)


def _plain(text: str) -> str:
    """Return lower-case words with spaces between them and nothing else."""
    # Lower case can bring characters that NFKC takes apart, such as the dotted capital I of Turkish.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    text = "".join(char for char in text if char not in _JOINERS)
    return "".join(_plain_char(text, at) for at in range(len(text)))


def _plain_char(text: str, at: int) -> str:
    char = text[at]
    if char in _APOSTROPHES:
        return "'" if 0 < at < len(text) - 1 and _in_word(text[at - 1]) and _in_word(text[at + 1]) else " "
    return char if _in_word(char) else " "


def _in_word(char: str) -> bool:
    """Say whether a character is a letter, a digit, or a mark that letters carry."""
    return char not in _APOSTROPHES and (char.isalnum() or unicodedata.category(char).startswith("M"))


def _letters_apart(chunk: str) -> Iterator[str]:
    """Yield a text without spaces, parted before and after each letter of a script that has none."""
    if chunk.isascii():
        yield chunk
        return
    begin, unspaced = 0, False
    for at, char in enumerate(chunk):
        if at > begin and (is_unspaced(char) or (unspaced and char.isalnum())):
            yield chunk[begin:at]
            begin = at
        if char.isalnum():
            unspaced = is_unspaced(char)
    yield chunk[begin:]

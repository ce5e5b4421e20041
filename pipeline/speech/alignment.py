"""Text with punctuation put together with timed words that lack it. Pure.

Speech services give a text and, beside it, words with times. Only the text has punctuation, and each cuts words in
its own way; what people read should have both. A stored form: another result is another transcript.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from attrs import evolve

from pipeline.speech.scripts import is_unspaced
from pipeline.speech.values import Word

_VOICED = "\uff9e\uff9f"
"""Half-width marks that change the sound of the Katakana before them; Unicode calls them letters."""


def split_text(text: str) -> list[str]:
    """Return the words of a text, in order, each with its punctuation; empty where no letter or digit is in it.

    Text of a script without spaces is split into its characters. What holds no letter or digit is put to the word
    before it, or to the first word, with a space as in the text.
    """
    words: list[str] = []
    before = ""
    for token in units(text):
        if letters(token):
            words.append(before + token)
            before = ""
        elif words:
            words[-1] += f" {token}"
        else:
            before += f"{token} "
    return words


def units(text: str) -> list[str]:
    """Return the smallest parts of a text that are compared, in order: what spaces part, or characters."""
    return [token for piece in text.split() for token in _characters(piece)]


def letters(text: str) -> str:
    """Return what of a text is compared: letters and digits, in one form and case."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def with_times(text: str, words: Sequence[Word]) -> list[Word]:
    """Return the words as the text writes them, with the times of the given ones.

    No word is lost and none changes places: where the two differ, the timed words stay as they are, and words that
    only the text has are put into the gap where they belong.

    Args:
        text: what was said, with punctuation.
        words: the same with times, sorted; usually without punctuation.
    """
    tokens = split_text(text)
    timed = [word for word in words if letters(word.text)]
    mine, theirs = [letters(token) for token in tokens], [letters(word.text) for word in timed]
    if not tokens or not timed:
        return list(words)
    if "".join(mine) == "".join(theirs):
        return _in_order(_spread(tokens, timed))
    found: list[Word] = []
    for tag, a, b, c, d in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if tag == "equal" or "".join(mine[a:b]) == "".join(theirs[c:d]):
            found += _spread(tokens[a:b], timed[c:d])
        elif c == d:
            start_s = found[-1].end_s if found else timed[0].start_s
            end_s = timed[d].start_s if d < len(timed) else timed[-1].end_s
            found += between(tokens[a:b], _earlier(start_s, end_s), end_s)
        else:
            found += timed[c:d]
    return _in_order(found)


def between(tokens: Sequence[str], start_s: float | None, end_s: float | None) -> list[Word]:
    """Return words that fill a span, each as long as it has characters; without times where the span has none."""
    if start_s is None or end_s is None:
        return [Word(token) for token in tokens]
    total, done, found = sum(map(len, tokens)), 0, []
    length_s = max(0.0, end_s - start_s)
    for token in tokens:
        first_s = start_s + length_s * done / total
        done += len(token)
        found.append(Word(token, first_s, start_s + length_s * done / total))
    return found


def _spread(tokens: Sequence[str], words: Sequence[Word]) -> Iterator[Word]:
    """Yield the tokens with the times of the words that hold their letters; the letters of both are equal."""
    lengths = [len(letters(word.text)) for word in words]
    owners = [(word, at, length) for word, length in zip(words, lengths, strict=True) for at in range(length)]
    at = 0
    for token in tokens:
        count = len(letters(token))
        (first, offset, length), (last, last_offset, last_length) = owners[at], owners[at + count - 1]
        sure = [word.confidence for word, _, _ in owners[at : at + count] if word.confidence is not None]
        at += count
        yield evolve(
            first,
            text=token,
            start_s=_inside(first, offset / length),
            end_s=_inside(last, (last_offset + 1) / last_length),
            confidence=min(sure, default=None),
        )


def _inside(word: Word, share: float) -> float | None:
    if word.start_s is None or word.end_s is None:
        return None
    if share in (0.0, 1.0):
        return word.end_s if share else word.start_s
    return word.start_s + (word.end_s - word.start_s) * share


def _in_order(words: Iterable[Word]) -> list[Word]:
    """Return words of which none begins before the one before it, which parts of overlapping words might."""
    found: list[Word] = []
    for word in words:
        before_s = found[-1].start_s if found else None
        back = before_s is not None and word.start_s is not None and word.start_s < before_s
        found.append(evolve(word, start_s=before_s, end_s=max(before_s or 0, word.end_s or 0)) if back else word)
    return found


def _earlier(first_s: float | None, second_s: float | None) -> float | None:
    return min(first_s, second_s) if first_s is not None and second_s is not None else None


def _characters(piece: str) -> Iterator[str]:
    """Cut a piece between characters of scripts without spaces; marks and closing punctuation stay with theirs."""
    current, has_unspaced = "", False
    for char in piece:
        opens = unicodedata.category(char) in {"Ps", "Pi"}
        starts = is_unspaced(char) and bool(letters(current))
        spaced = char.isalnum() and not is_unspaced(char) and char not in _VOICED
        ends = has_unspaced and (opens or spaced)
        if starts or ends:
            yield current
            current, has_unspaced = "", False
        current += char
        has_unspaced = has_unspaced or is_unspaced(char)
    if current:
        yield current

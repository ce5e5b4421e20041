"""Word and character error rates. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pipeline.speech.metrics.edits import Pair, alignment, distance
from pipeline.speech.metrics.normalising import BASIC, words_of
from pipeline.speech.scripts import joined


@frozen
class WordErrors:
    """How many words, or characters, of a transcript are wrong.

    Attributes:
        wrong: to be replaced, put in or left out until the transcript is right; the least number.
        words: of the truth.
        replaced: another one stands there.
        missing: of the truth, and not in the transcript.
        added: in the transcript, and not of the truth.
    """

    wrong: int
    words: int
    replaced: int
    missing: int
    added: int

    @property
    def rate(self) -> float:
        """The error rate: 0 is perfect, and there is no upper limit."""
        return self.wrong / self.words if self.words else float(self.wrong > 0)


@frozen
class CharacterErrors:
    """How many characters of a transcript are wrong.

    Attributes:
        wrong: to be replaced, put in or left out until the transcript is right; the least number.
        characters: of the truth.
    """

    wrong: int
    characters: int

    @property
    def rate(self) -> float:
        """The error rate: 0 is perfect, and there is no upper limit."""
        return self.wrong / self.characters if self.characters else float(self.wrong > 0)


def word_errors(truth: str, transcript: str) -> WordErrors:
    """Compare a transcript with the truth, word by word; case and punctuation don't count.

    Numbers and abbreviations are taken as they are written: "Mr" and "mister" are different words.
    """
    return errors_between(words_of(truth, BASIC), words_of(transcript, BASIC))


def errors_between(truth: Sequence[str], found: Sequence[str]) -> WordErrors:
    """Count the least changes between two lists of words; jiwer counts the same."""
    return counted(truth, found, alignment(truth, found))


def counted(truth: Sequence[str], found: Sequence[str], pairs: Sequence[Pair]) -> WordErrors:
    """Count the changes of an alignment."""
    missing = sum(j is None for _, j in pairs)
    added = sum(i is None for i, _ in pairs)
    replaced = sum(i is not None and j is not None and truth[i] != found[j] for i, j in pairs)
    return WordErrors(replaced + missing + added, len(truth), replaced, missing, added)


def character_errors(truth: Sequence[str], found: Sequence[str], pairs: Sequence[Pair]) -> CharacterErrors:
    """Count the least number of characters to change.

    The single space between words is a character too, as in jiwer; a letter's combining marks count by themselves.

    Args:
        truth: the true words.
        found: the transcript's.
        pairs: an alignment of them; it says how far apart characters can be at most, which saves time.
    """
    limit = sum(
        distance(truth[i] if i is not None else "", found[j] if j is not None else "") + 2
        for i, j in pairs
        if i is None or j is None or truth[i] != found[j]
    )
    # Each change can also concern the spaces before and behind it.
    text = joined(truth)
    return CharacterErrors(distance(text, joined(found), limit), len(text))

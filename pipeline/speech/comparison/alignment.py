"""Transcripts of one recording side by side: how far they agree with the first, and where they differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from attrs import frozen

from pipeline.speech.comparison.wording import Shared, shared_words
from pipeline.speech.metrics import word_errors
from pipeline.speech.scripts import joined
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import AttributedWord

WORDS, SPEAKER = "words", "speaker"
"""What differs at a place."""


@frozen
class Difference:
    """A place where a transcript differs from the first.

    Attributes:
        start_s, end_s: from the first of the words concerned, in either, to the last.
        kind: `words`, or `speaker` where only who says them differs.
        first: the first transcript's words, or speaker; empty where it has none.
        here: this transcript's.
    """

    start_s: float
    end_s: float
    kind: str
    first: str
    here: str


@frozen
class Agreement:
    """How far a transcript agrees with the first.

    Attributes:
        wrong: words to replace, leave out or put in until it says what the first says.
        words: of the first; letters where a script is written without spaces.
        speakers: the part of the shared words that the same person says, 0 to 1; None where no word is shared.
        names: whom the first calls what this one calls so; somebody whom the first doesn't know has no entry.
        differences: ordered by start.
    """

    wrong: int
    words: int
    speakers: float | None
    names: Mapping[str, str]
    differences: tuple[Difference, ...]

    @property
    def rate(self) -> float:
        """How far apart the words are, as a word error rate: 0 is equal, and there is no upper limit."""
        return self.wrong / self.words if self.words else float(self.wrong > 0)


@frozen
class Aligned:
    """One transcript beside the first.

    Attributes:
        words: ordered by start.
        shared: whether each of them is in the first too; of the first itself, whether every other has it.
        lacking: words of the first that this one lacks.
        other_speaker: by place, the first's name of whoever says a shared word there, where it is somebody else.
        agreement: with the first; None for the first itself.
    """

    words: tuple[AttributedWord, ...]
    shared: tuple[bool, ...]
    lacking: tuple[AttributedWord, ...] = ()
    other_speaker: Mapping[int, str] = {}
    agreement: Agreement | None = None


def compare(transcripts: Sequence[Transcript]) -> list[Aligned]:
    """Hold each transcript against the first.

    Args:
        transcripts: of one recording; the first is what the others are compared with. At least one.
    """
    first, *others = [_words_of(transcript) for transcript in transcripts]
    found = [shared_words(first, words) for words in others]
    everywhere = set(range(len(first))).intersection(*({a for a, _ in shared.pairs} for shared in found))
    columns = [_beside(first, words, shared) for words, shared in zip(others, found, strict=True)]
    shared = tuple(place in everywhere or not _is_said(word) for place, word in enumerate(first))
    return [Aligned(first, shared), *columns]


def _words_of(transcript: Transcript) -> tuple[AttributedWord, ...]:
    words = (word for utterance in transcript.utterances for word in utterance.words)
    return tuple(sorted(words, key=lambda word: (word.start_s, word.end_s)))


def _beside(first: Sequence[AttributedWord], words: tuple[AttributedWord, ...], shared: Shared) -> Aligned:
    names = _names(first, words, shared)
    there, here = ({pair[side] for pair in shared.pairs} for side in (0, 1))
    somebody_else = {
        b: first[a].speaker for a, b in shared.pairs if names.get(words[b].speaker) != first[a].speaker
    }
    errors = [word_errors(" ".join(one), " ".join(other)) for one, other in shared.pieces]
    both = {b for _, b in shared.pairs}
    agreement = Agreement(
        wrong=sum(error.wrong for error in errors),
        words=sum(error.words for error in errors),
        speakers=1 - len(somebody_else) / len(both) if both else None,
        names=names,
        differences=tuple(_differences(first, words, shared, somebody_else)),
    )
    return Aligned(
        words=words,
        shared=tuple(place in here or not _is_said(word) for place, word in enumerate(words)),
        lacking=tuple(word for place, word in enumerate(first) if place not in there and _is_said(word)),
        other_speaker=somebody_else,
        agreement=agreement,
    )


def _is_said(word: AttributedWord) -> bool:
    """Say whether a word is more than punctuation."""
    return any(char.isalnum() for char in word.text)


def _names(first: Sequence[AttributedWord], words: Sequence[AttributedWord], shared: Shared) -> dict[str, str]:
    """Pair speakers who say the same words, those who share most first."""
    together = Counter((words[b].speaker, first[a].speaker) for a, b in shared.pairs)
    names: dict[str, str] = {}
    for (here, there), _ in sorted(together.items(), key=lambda item: (-item[1], item[0])):
        if here not in names and there not in names.values():
            names[here] = there
    return names


def _differences(
    first: Sequence[AttributedWord],
    words: Sequence[AttributedWord],
    shared: Shared,
    somebody_else: Mapping[int, str],
) -> list[Difference]:
    found = [*_of_words(first, words, shared), *_of_speakers(words, shared, somebody_else)]
    return sorted(found, key=lambda difference: (difference.start_s, difference.end_s))


def _of_words(
    first: Sequence[AttributedWord], words: Sequence[AttributedWord], shared: Shared
) -> Iterator[Difference]:
    """Yield what stands between shared words in one of the two or both."""
    a = b = 0
    for next_a, next_b in (*shared.pairs, (len(first), len(words))):
        there = [word for word in first[a:next_a] if _is_said(word)]
        here = [word for word in words[b:next_b] if _is_said(word)]
        if there or here:
            concerned = (*there, *here)
            start_s, end_s = min(word.start_s for word in concerned), max(word.end_s for word in concerned)
            yield Difference(start_s, end_s, WORDS, _text(there), _text(here))
        a, b = next_a + 1, next_b + 1


def _of_speakers(
    words: Sequence[AttributedWord], shared: Shared, somebody_else: Mapping[int, str]
) -> Iterator[Difference]:
    """Yield the stretches of shared words that somebody else says."""
    places = list(dict.fromkeys(b for _, b in shared.pairs))
    for who, run in groupby(places, key=lambda b: (somebody_else.get(b), words[b].speaker)):
        said = [words[b] for b in run]
        if who[0] is not None:
            yield Difference(said[0].start_s, max(word.end_s for word in said), SPEAKER, who[0], who[1])


def _text(words: Sequence[AttributedWord]) -> str:
    return joined(word.text for word in words)

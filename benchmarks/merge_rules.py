"""Prints how many words rules for merging give to the wrong speaker when the words' clock is off.

`EVT_CORPUS=… python -m benchmarks.merge_rules`, some seconds. The true words of a real telephone call, lying along
their utterances, are merged with the turns that a real diarizer (pyannote's community-1) found in it. Each word is
moved by an offset common to all, and by a jitter of its own: normal, with the standard deviation that the column
says. A figure is the mean of 40 draws of the jitter and of the sentence marks that are left.

It is one call of 81 words, and its utterances are of one speaker each by construction, which flatters every rule
that looks at sentences or segments: a direction, not a measurement of what to expect.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import evolve

from benchmarks.truth import Said, rttm, stm, wrong_speakers
from pipeline.speech.groups import spread
from pipeline.speech.merge import merge
from pipeline.speech.merge.sentences import ends_sentence
from pipeline.speech.values import Turn, Word

CLOCKS = ((0.0, 0.0), (0.2, 0.1), (-0.2, 0.1), (0.4, 0.2), (-0.4, 0.2))
"""(offset, jitter) in seconds."""

DRAWS = 40
SEGMENT_S = 8.0
"""Segments as transcribers make them: whole sentences, as many as this holds."""

Rule = Callable[[Sequence[Said], Sequence[Turn]], list[str | None]]
"""Words in their order and turns → a speaker for each word. It may look at the words' texts and times only."""


def start_anchor(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The turn in which a word starts."""
    return [_speaking(turns, word.start_s) for word in words]


def midpoint(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The turn in which the middle of a word lies."""
    return [_speaking(turns, (word.start_s + word.end_s) / 2) for word in words]


def most_overlap(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The speaker whose turns cover most of a word, of equal ones the first to speak; nobody where none does."""
    return [_most_heard(turns, word.start_s, word.end_s) for word in words]


def most_overlap_or_nearest(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The same, and the nearest edge of a turn where none covers anything of a word."""
    return [
        _most_heard(turns, word.start_s, word.end_s)
        or min(turns, key=lambda turn: max(turn.start_s - word.end_s, word.start_s - turn.end_s)).speaker
        for word in words
    ]


def sentence_majority(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The same, and then all of a sentence for the speaker of most of it."""
    found = most_overlap_or_nearest(words, turns)
    marks = [i + 1 for i, word in enumerate(words) if ends_sentence(word.text)]
    for first, end in zip([0, *marks], [*marks, len(words)], strict=True):
        sentence = found[first:end]
        found[first:end] = [max(sentence, key=sentence.count)] * len(sentence) if sentence else []
    return found


def segment_majority(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """All of a segment for the speaker whose turns cover most of it."""
    return [
        _most_heard(turns, segment[0].start_s, segment[-1].end_s) for segment in segments(words) for _ in segment
    ]


def ours(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The rule `overlap-edge`."""
    return _merged([Word(word.text, word.start_s, word.end_s) for word in words], turns)


def ours_by_segments(words: Sequence[Said], turns: Sequence[Turn]) -> list[str | None]:
    """The rule `overlap-edge` where only the segments have times."""
    said = []
    for segment in segments(words):
        span = segment[0].start_s, max(segment[0].start_s, segment[-1].end_s)
        times = spread([word.text for word in segment], *span)
        said += [Word(word.text, a, b, segment=span) for word, (a, b) in zip(segment, times, strict=True)]
    return _merged(said, turns)


ROWS: Sequence[tuple[str, Rule, float]] = (
    ("segment majority", segment_majority, 1.0),
    ("start of the word", start_anchor, 1.0),
    ("middle of the word", midpoint, 1.0),
    ("most overlap, may stay unknown", most_overlap, 1.0),
    ("most overlap, else nearest edge", most_overlap_or_nearest, 1.0),
    ("the same, then sentence majority", sentence_majority, 1.0),
    ("…, half of the sentence marks", sentence_majority, 0.5),
    ("…, no sentence marks", sentence_majority, 0.0),
    ("evt", ours, 1.0),
    ("evt, half of the sentence marks", ours, 0.5),
    ("evt, no sentence marks", ours, 0.0),
    ("evt, times of segments only", ours_by_segments, 1.0),
)
"""What a row is called, its rule, and the share of the sentence marks that it gets to see."""


def main() -> None:
    corpus = os.environ.get("EVT_CORPUS")
    if corpus is None:
        print("merge rules: not run (set EVT_CORPUS to the folder of the shared recordings)")
        return
    folder = Path(corpus) / "pyannote_sample"
    true, turns = stm(folder / "sample.stm"), rttm(folder / "hyp.community-1.rttm")
    print(f"| % of {sum(map(len, true))} words wrong |", *(f" {o:+.1f} ± {j:.1f} s |" for o, j in CLOCKS), sep="")
    print("|---|---|---|---|---|---|")
    for name, rule, marks in ROWS:
        print(
            f"| {name} |", *(f" {wrong_percent(true, turns, rule, clock, marks):.1f} |" for clock in CLOCKS), sep=""
        )


def wrong_percent(
    utterances: Sequence[Sequence[Said]],
    turns: Sequence[Turn],
    rule: Rule,
    clock: tuple[float, float],
    marks: float = 1.0,
) -> float:
    """Return the share of words with the wrong speaker, the mean of all draws."""
    wrong = words = 0
    for draw in draws([word for utterance in utterances for word in utterance], clock, marks):
        wrong += wrong_speakers([word.speaker for word in draw], rule(draw, turns))
        words += len(draw)
    return 100 * wrong / words


def draws(words: Sequence[Said], clock: tuple[float, float], marks: float) -> Iterator[list[Said]]:
    """Yield the words with a clock that is off, sorted by start, and with some of the sentence marks."""
    offset_s, jitter_s = clock
    for seed in range(DRAWS):
        chance = random.Random(seed)
        moved = []
        for word in words:
            by_s = offset_s + chance.gauss(0.0, jitter_s)
            text = word.text if chance.random() < marks else word.text.rstrip(".?!")
            moved.append(evolve(word, text=text, start_s=word.start_s + by_s, end_s=word.end_s + by_s))
        yield sorted(moved, key=lambda word: word.start_s)


def segments(words: Sequence[Said]) -> list[list[Said]]:
    """Return the words as segments of a transcriber."""
    found: list[list[Said]] = [[]]
    sentence: list[Said] = []
    for i, word in enumerate(words):
        sentence.append(word)
        if ends_sentence(word.text) or i + 1 == len(words):
            if found[-1] and sentence[-1].end_s - found[-1][0].start_s > SEGMENT_S:
                found.append([])
            found[-1] += sentence
            sentence = []
    return found


def _speaking(turns: Sequence[Turn], at_s: float) -> str | None:
    return next((turn.speaker for turn in turns if turn.start_s <= at_s < turn.end_s), None)


def _most_heard(turns: Sequence[Turn], start_s: float, end_s: float) -> str | None:
    heard: dict[str, float] = {}
    for turn in turns:
        seconds = min(end_s, turn.end_s) - max(start_s, turn.start_s)
        if seconds > 0:
            heard[turn.speaker] = heard.get(turn.speaker, 0.0) + seconds
    return max(heard, key=heard.__getitem__) if heard else None


def _merged(words: Sequence[Word], turns: Sequence[Turn]) -> list[str | None]:
    numbered = [evolve(word, confidence=float(i)) for i, word in enumerate(words)]
    found = {word.confidence: word.speaker for utterance in merge(numbered, turns) for word in utterance.words}
    return [found[float(i)] for i in range(len(words))]


if __name__ == "__main__":
    main()

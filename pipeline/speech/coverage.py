"""Speech that was heard and of which no words came: how much there is, and where. Pure; seconds of the recording.

A voice-activity detector says where somebody speaks, a transcriber what was said. Each errs, so a second here and
there proves nothing; a long stretch of speech without a single word means that a part of the recording is missing
from the transcript, or that music or noise sounded like speech.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import frozen

from pipeline.speech.merge.times import LONGEST_CHARACTER_S, LONGEST_WORD_S
from pipeline.speech.times import Span
from pipeline.speech.values import Word

REACH_S = 1.0
"""Speech within this much of a word counts as that word's: clocks of engines are that far off, and detectors hear
breath and the ends of words that no engine writes down."""

LOST_S = 10.0
"""So much speech in a row without a word is a gap. Laughter, coughs and rustling are shorter."""

STRETCH_S = 2.0
"""What is shorter is no gap by itself, whatever the rest looks like."""

POOR = 0.5
"""A part of which less than this share of the speech has words has lost something."""

SLOW_WORDS_PER_S = 0.5
"""Where words have no times of their own: slower speech than this has lost words. People speak 2 to 4 a second."""


@frozen
class Coverage:
    """How far words account for the speech of a part of the recording.

    Attributes:
        speech_s: in which somebody was heard.
        silent: stretches of it that no word is near, each with its seconds of speech.
        lost: those of them that mean that something is missing; mostly empty.
    """

    speech_s: float
    silent: tuple[tuple[Span, float], ...]
    lost: tuple[Span, ...]

    @property
    def silent_s(self) -> float:
        """Span of speech that no word is near."""
        return sum(seconds for _, seconds in self.silent)

    @property
    def share(self) -> float:
        """The part of the speech that has words, 0 to 1."""
        return 1.0 - self.silent_s / self.speech_s if self.speech_s else 1.0


def coverage(speech: Sequence[Span], words: Sequence[Word], *, least_s: float = LOST_S) -> Coverage:
    """Hold the words of a part of the recording against the speech that was heard in it.

    Args:
        speech: where somebody is heard, disjoint and sorted.
        words: what was said there, in any order. Without times they are held against the speech by their number.
        least_s: less speech than this without words is no loss.
    """
    speech_s = sum(end - start for start, end in speech)
    timed = [word for word in words if word.start_s is not None]
    if words and not timed:
        slow = speech_s >= least_s and len(words) < SLOW_WORDS_PER_S * speech_s
        all_of_it = ((speech[0][0], speech[-1][1]), speech_s) if slow else None
        return Coverage(speech_s, (all_of_it,) if all_of_it else (), (all_of_it[0],) if all_of_it else ())
    silent = tuple(_silent(speech, timed))
    silent_s = sum(seconds for _, seconds in silent)
    poor = silent_s >= least_s and silent_s > (1 - POOR) * speech_s
    lost = tuple(span for span, seconds in silent if seconds >= (STRETCH_S if poor else max(least_s, LOST_S)))
    return Coverage(speech_s, silent, lost)


def _silent(speech: Sequence[Span], words: Sequence[Word]) -> Iterable[tuple[Span, float]]:
    """Yield the stretches of speech between words, with their seconds of speech."""
    reached = sorted(_reach(word) for word in words)
    until_s, pauses = -math.inf, []
    for start_s, end_s in [*reached, (math.inf, math.inf)]:
        if start_s > until_s:
            pauses.append((until_s, start_s))
        until_s = max(until_s, end_s)
    at = 0
    for pause_start, pause_end in pauses:
        parts = []
        while at < len(speech) and speech[at][1] <= pause_start:
            at += 1
        for start_s, end_s in speech[at:]:
            if start_s >= pause_end:
                break
            parts.append((max(start_s, pause_start), min(end_s, pause_end)))
        if parts:
            yield (parts[0][0], parts[-1][1]), sum(end - start for start, end in parts)


def _reach(word: Word) -> Span:
    """Return what a word accounts for; one that is stretched over a pause accounts for no more than its letters."""
    assert word.start_s is not None, "only words with times reach anywhere"
    longest_s = LONGEST_WORD_S + LONGEST_CHARACTER_S * len(word.text)
    end_s = word.start_s if word.end_s is None else min(word.end_s, word.start_s + longest_s)
    return word.start_s - REACH_S, end_s + REACH_S

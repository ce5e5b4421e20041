"""Subtitle cues: utterances cut to what fits on a screen, with times that never overlap. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from pipeline.speech.transcript import one_line
from pipeline.speech.values import AttributedWord, Utterance

LINE_CHARACTERS = 42
CUE_LINES = 2
LONGEST_CUE_S = 7.0
SHORTEST_CUE_S = 1.0
"""What can be read in passing.

Source: Netflix Timed Text Style Guide (42 characters, 2 lines, 5/6 s to 7 s; the first rounded up)."""

PUSHED_CUE_S = 0.5
"""A cue shows at least this long even where others speak at once; the next one then begins later."""

CLAUSE_BONUS = 0.2
"""A cut after a clause, or after a pause of 1 s, may be this part of the text farther from its middle."""

_CLAUSE_MARKS = tuple(",;:.!?…–—、，；：。！？،؛؟")


@frozen
class Cue:
    """One subtitle: who says what during [start_s, end_s).

    Attributes:
        lines: one or two lines without markup, never empty, the first with the prefix; a line is longer than
            LINE_CHARACTERS only where a single word is.
    """

    start_s: float
    end_s: float
    speaker: str
    lines: tuple[str, ...]


def cues(utterances: Sequence[Utterance], prefix: Callable[[str], str]) -> tuple[Cue, ...]:
    """Cut utterances into cues, ordered by start, without overlaps.

    No word is split, and none left out but those without a visible character. Where people talk at once, a
    cue ends as the next begins.

    Args:
        utterances: in any order.
        prefix: what the first line of a speaker's cue begins with, e.g. `SPEAKER_00: `; may be empty.
    """
    found = [cue for utterance in utterances for cue in _of_utterance(utterance, prefix)]
    return tuple(_one_at_a_time(sorted(found, key=lambda cue: cue.start_s)))


def clock(time_s: float, decimal_mark: str) -> str:
    """Write a time as HH:MM:SS and milliseconds; the hours grow beyond two digits where they must."""
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def _of_utterance(utterance: Utterance, prefix: Callable[[str], str]) -> Iterator[Cue]:
    speaker = one_line(utterance.speaker)
    words = [word for word in utterance.words if one_line(word.text)]
    for part in _parts(words, prefix(speaker)) if words else ():
        end_s = max(word.end_s for word in part)
        yield Cue(part[0].start_s, end_s, speaker, _lines(part, prefix(speaker)))


def _parts(words: Sequence[AttributedWord], prefix: str) -> list[Sequence[AttributedWord]]:
    """Halve the words, near clause ends and pauses where possible, until each part fits into a cue."""
    if len(words) == 1 or _fits(words, prefix):
        return [words]
    cut = _best_cut(words)
    return _parts(words[:cut], prefix) + _parts(words[cut:], prefix)


def _fits(words: Sequence[AttributedWord], prefix: str) -> bool:
    return words[-1].end_s - words[0].start_s <= LONGEST_CUE_S and len(_lines(words, prefix)) <= CUE_LINES


def _best_cut(words: Sequence[AttributedWord]) -> int:
    """Return the index of the word that begins the second half."""
    lengths = [len(word.text) + 1 for word in words]
    total = sum(lengths)
    best, least, position = 1, math.inf, 0
    for i in range(1, len(words)):
        position += lengths[i - 1]
        pause_s = max(0.0, words[i].start_s - words[i - 1].end_s)
        clause = words[i - 1].text.endswith(_CLAUSE_MARKS)
        cost = abs(position / total - 0.5) - CLAUSE_BONUS * min(1.0, clause + pause_s)
        if cost < least:
            best, least = i, cost
    return best


def _lines(words: Sequence[AttributedWord], prefix: str) -> tuple[str, ...]:
    text = one_line(" ".join(word.text for word in words))
    wrapped = textwrap.wrap(
        text, LINE_CHARACTERS, initial_indent=prefix, break_long_words=False, break_on_hyphens=False
    )
    return tuple(wrapped)


def _one_at_a_time(ordered: Sequence[Cue]) -> Iterator[Cue]:
    """Give each cue its time on the screen, as far as the next one leaves room."""
    free_s = 0.0
    following = [*(cue.start_s for cue in ordered), math.inf][1:]
    for cue, next_s in zip(ordered, following, strict=True):
        start_s = max(cue.start_s, free_s)
        wanted_s = min(max(cue.end_s, start_s + SHORTEST_CUE_S), start_s + LONGEST_CUE_S)
        free_s = min(wanted_s, max(next_s, start_s + PUSHED_CUE_S))
        yield evolve(cue, start_s=start_s, end_s=free_s)

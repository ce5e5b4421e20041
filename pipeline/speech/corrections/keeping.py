"""A correction that is in conflict, made anew for the words that stand in its place now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from attrs import evolve

from pipeline.speech.corrections.spoken import Spoken, anchored, dissolved
from pipeline.speech.corrections.values import PARAGRAPH, SPEAKER, WORDS, Correction
from pipeline.speech.values import Utterance


def kept(utterances: Sequence[Utterance], one: Correction) -> tuple[Correction, ...]:
    """Return what changes the words at a correction's time as the user wished; empty where none are left to change.

    Words come in the place of those that are heard then, speakers and paragraphs change of those words.
    """
    spoken = dissolved(utterances)
    first, end = _heard(spoken, one.start_s, one.end_s)
    if one.kind == WORDS:
        return (_instead(spoken, first, end, one),)
    if one.kind == PARAGRAPH:
        return (evolve(anchored(spoken, first, first + 1, PARAGRAPH), begins=one.begins),) if first < end else ()
    found, at = [], first
    for speaker, group in groupby(spoken[first:end], key=lambda word: word.word.speaker):
        start, at = at, at + len(list(group))
        if speaker != one.speaker:
            place = anchored(spoken, start, at, SPEAKER)
            found.append(evolve(place, speaker_was=speaker, speaker=one.speaker))
    return tuple(found)


def _instead(spoken: Sequence[Spoken], first: int, end: int, one: Correction) -> Correction:
    """Let the corrected words stand for those that are heard now; where none are, behind the words before."""
    if first < end or not spoken:
        return evolve(anchored(spoken, first, end, WORDS), now=one.now, speaker=one.speaker, time_s=one.start_s)
    before = max((at for at, word in enumerate(spoken) if word.word.end_s <= one.start_s), default=0)
    place = anchored(spoken, before, before + 1, WORDS)
    is_before = spoken[before].word.end_s <= one.start_s
    now = (*place.was, *one.now) if is_before else (*one.now, *place.was)
    return evolve(place, now=now, speaker=one.speaker, time_s=one.start_s)


def _heard(spoken: Sequence[Spoken], start_s: float, end_s: float) -> tuple[int, int]:
    """Return the longest run of words [first, end) that are heard mostly within a time."""
    runs: list[list[int]] = []
    for at, word in enumerate(spoken):
        if start_s <= (word.word.start_s + word.word.end_s) / 2 <= end_s:
            if not runs or runs[-1][-1] != at - 1:
                runs.append([])
            runs[-1].append(at)
    longest = max(runs, key=len, default=[])
    return (longest[0], longest[-1] + 1) if longest else (0, 0)

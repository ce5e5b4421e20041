"""Words that may not have been said: transcribers invent some where nobody speaks, and repeat themselves. Pure.

Such words are marked with a reason and never left out, since people do say "no no no no", and "thank you" at the
end of a talk. docs/quality.md says what each reason means.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from attrs import evolve

from pipeline.speech.alignment import letters
from pipeline.speech.scripts import is_unspaced
from pipeline.speech.times import Span
from pipeline.speech.values import Word

REPEATED = "repeated"
TOO_FAST = "too_fast"
NO_SPEECH = "no_speech"
NO_SPEECH_PROB = "no_speech_prob"
COMPRESSED = "compressed"

REASONS = (REPEATED, TOO_FAST, NO_SPEECH, NO_SPEECH_PROB, COMPRESSED)
"""All reasons, in the order in which a word has them. Part of the JSON format; the last two are an engine's own."""

TIMES = 4
"""The same words so often running are marked; refrains and emphasis are mostly said three times."""

LONGEST_PHRASE = 12.0
"""Words of the longest phrase whose repetition is looked for."""

RUNNING_S = 3.0
"""What is said after a longer pause doesn't run on: listeners say "mhm" again and again."""

CHARACTER_WORDS = 0.5
"""A letter of a script without spaces counts as half a word, about what it is in Chinese; so laughter (哈哈哈哈)
is no phrase that was said four times."""

CHARACTERS_PER_S = 25.0
"""Nobody speaks faster for long: twice the usual speed. A full-width letter is a syllable and counts as two."""

CLOCK_S = 0.4
"""So much longer than the engine says a stretch may have been. Source: measured clock errors of engines."""

FEW_WORDS = 3.0
"""Fewer words than this are not too fast, however long they are."""

NEAR_S = 0.5
"""A word this near to speech is within it: clocks err, and detectors miss the first and last sound."""

_NO_SPEECH_PROB = 0.6
_AVG_LOGPROB = -1.0
_COMPRESSION_RATIO = 2.4
"""Whisper takes a segment for silence, and for a loop, beyond these. Source: openai/whisper, transcribe.py."""


def marked(words: Sequence[Word], speech: Mapping[int | None, Sequence[Span]] | None) -> list[Word]:
    """Return the same words in the same order, those that may be invented with the reasons in `suspect`.

    Args:
        words: sorted by start; times may be missing. Reasons that they have stay.
        speech: where anybody is heard on each channel (None: the mix), disjoint and sorted; None: not known.
    """
    found: list[set[str]] = [set() for _ in words]
    for places in _voices(words):
        voice = [words[place] for place in places]
        units = [_units(word.text) for word in voice]
        for at in _repeated(voice, units):
            found[places[at]].add(REPEATED)
        for at in _too_fast(voice, units):
            found[places[at]].add(TOO_FAST)
    for at, word in enumerate(words):
        if speech is not None and _is_outside(word, speech.get(word.channel, ())):
            found[at].add(NO_SPEECH)
    return [_with(word, reasons) for word, reasons in zip(words, found, strict=True)]


def segment_doubts(flags: Mapping[str, float]) -> tuple[str, ...]:
    """Return why the words of one of Whisper's segments may be invented, by Whisper's own account.

    Args:
        flags: `no_speech_prob`, `avg_logprob` and `compression_ratio`, as far as they are known.
    """
    silent = flags.get("no_speech_prob", 0.0) > _NO_SPEECH_PROB and flags.get("avg_logprob", 0.0) < _AVG_LOGPROB
    looped = flags.get("compression_ratio", 0.0) > _COMPRESSION_RATIO
    return (NO_SPEECH_PROB,) * silent + (COMPRESSED,) * looped


def _voices(words: Sequence[Word]) -> list[list[int]]:
    """Return the places of each channel's words; where the engine tells voices apart, those of each voice."""
    voices: dict[tuple[int | None, str | None], list[int]] = {}
    for place, word in enumerate(words):
        voices.setdefault((word.channel, word.speaker), []).append(place)
    return list(voices.values())


def _with(word: Word, reasons: set[str]) -> Word:
    new = [reason for reason in REASONS if reason in reasons and reason not in word.suspect]
    return evolve(word, suspect=(*word.suspect, *new)) if new else word


_Unit = tuple[str, float]
"""What is compared, and how many words it is: a word, or a letter of a script without spaces."""


def _units(text: str) -> list[_Unit]:
    text = letters(text)
    if not text.isascii() and any(map(is_unspaced, text)):
        return [(char, CHARACTER_WORDS) for char in text]
    return [(text, 1.0)] if text else []


def _repeated(words: Sequence[Word], units: Sequence[Sequence[_Unit]]) -> set[int]:
    """Return the places of words in phrases that are said again and again, without a pause."""
    found: set[int] = set()
    first, until_s = 0, math.inf
    for place, word in enumerate(words):
        start_s, end_s = _time(word.start_s), _time(word.end_s)
        if start_s is not None and start_s - until_s > RUNNING_S:
            found |= _looped(units[first:place], first)
            first = place
        until_s = end_s if end_s is not None else start_s if start_s is not None else until_s
    return found | _looped(units[first:], first)


def _looped(units: Sequence[Sequence[_Unit]], first: int) -> set[int]:
    """Return the places of words in runs of equal phrases, each phrase being of any length up to the longest."""
    flat = [(text, weight, place) for place, some in enumerate(units, first) for text, weight in some]
    texts = [text for text, _, _ in flat]
    lightest = min((weight for _, weight, _ in flat), default=1.0)
    found: set[int] = set()
    for length in range(1, int(min(LONGEST_PHRASE / lightest, len(flat) / TIMES)) + 1):
        same = 0
        for at in range(length, len(flat) + 1):
            if at < len(flat) and texts[at] == texts[at - length]:
                same += 1
                continue
            if same >= (TIMES - 1) * length:
                run = flat[at - length - same : at]
                said, phrase = (sum(weight for _, weight, _ in part) for part in (run, run[:length]))
                found.update(place for _, _, place in run if said >= TIMES and phrase <= LONGEST_PHRASE)
            same = 0
    return found


def _too_fast(words: Sequence[Word], units: Sequence[Sequence[_Unit]]) -> Iterator[int]:
    """Yield the places of words in stretches that are too long for their time, by more than clocks err.

    A stretch goes on as long as its excess grows; it ends at its largest, once that is clearly past.
    """
    timed = [place for place, word in enumerate(words) if None not in (_time(word.start_s), _time(word.end_s))]
    sizes = [0, *accumulate(sum(_size(text) for text, _ in units[place]) for place in timed)]
    counts = [0.0, *accumulate(sum(weight for _, weight in units[place]) for place in timed)]
    slack = CHARACTERS_PER_S * CLOCK_S
    first, last, at, most = 0, 0, 0, 0.0
    while first < len(timed):
        excess = -math.inf
        if at < len(timed):
            length_s = (words[timed[at]].end_s or 0.0) - (words[timed[first]].start_s or 0.0)
            excess = sizes[at + 1] - sizes[first] - CHARACTERS_PER_S * length_s
        if excess > most:
            most, last = excess, at
        if excess > 0 and excess >= most - slack:
            at += 1
            continue
        if most > slack and counts[last + 1] - counts[first] >= FEW_WORDS:
            yield from timed[first : last + 1]
        first = at = last + 1 if most > 0 else first + 1
        most = 0.0


def _size(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _is_outside(word: Word, speech: Sequence[Span]) -> bool:
    """Say whether a word lies wholly outside speech; of one whose segment alone was timed, the segment."""
    start_s, end_s = word.segment or (_time(word.start_s), _time(word.end_s))
    if start_s is None:
        return False
    end_s = start_s if end_s is None else end_s
    at = bisect_left(speech, start_s - NEAR_S, key=lambda span: span[1])
    return at == len(speech) or speech[at][0] > end_s + NEAR_S


def _time(time_s: float | None) -> float | None:
    return time_s if time_s is not None and math.isfinite(time_s) else None

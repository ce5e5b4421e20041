"""The report on a transcript: what of the speech has words, and which words to look at. Pure; JSON values.

It counts what can be seen without a reference; docs/quality.md says what each figure means and what it doesn't.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrs import frozen

from pipeline.speech.coverage import coverage
from pipeline.speech.suspicion import REASONS
from pipeline.speech.times import Span, length_s, spans_of
from pipeline.speech.values import UNKNOWN_SPEAKER, AttributedWord, Gap, Turn, Utterance, Word

LOW_CONFIDENCE = 0.5
"""A word of less is as likely wrong as right, if its engine judges itself well."""

OTHER = "other"
"""What reasons are counted as that are not ours: of engines by others."""

NEIGHBOURS_S = 5.0
"""Suspect words that begin no later than this after one another are one place to look at."""

Report = dict[str, Any]


@frozen
class Place:
    """Suspect words near each other: where to listen, how many they are, and why, in the order of REASONS."""

    start_s: float
    end_s: float
    words: int
    reasons: tuple[str, ...]


def report(
    words: Sequence[Word],
    utterances: Sequence[Utterance],
    turns: Sequence[Turn],
    gaps: Sequence[Gap],
    speech: Sequence[Span],
    duration_s: float,
) -> Report:
    """Return the report on a transcript, as the JSON format writes it.

    Args:
        words: as they were transcribed.
        utterances: what the merge made of them.
        turns: the diarizer's.
        gaps: speech that could not be transcribed.
        speech: where anybody is heard, disjoint and sorted.
        duration_s: of the recording.
    """
    said = _words(utterances)
    # Engines that time nothing may give a few words somewhere in a gap; nobody knows where.
    placed = [word for word in words if not any(_begins_in(word, gap) for gap in gaps)]
    heard = coverage(speech, placed)
    pauses_s = max(0.0, duration_s - heard.speech_s)
    return {
        "coverage": {
            "speech_s": _rounded(heard.speech_s),
            "without_words_s": _rounded(heard.silent_s),
            "share": _rounded(heard.share),
        },
        "gaps": {"count": len(gaps), "seconds": _rounded(length_s(spans_of((g.start_s, g.end_s) for g in gaps)))},
        "suspects": {"words": sum(bool(word.suspect) for word in said), "reasons": _reasons(said)},
        "silence": {"seconds": _rounded(pauses_s), "share": _share(pauses_s, duration_s)},
        "confidence": _confidence([word.confidence for word in said if word.confidence is not None]),
        **about_speakers(utterances, turns),
    }


def about_speakers(utterances: Sequence[Utterance], turns: Sequence[Turn]) -> Report:
    """Return the part of the report that changes when speakers get names, or two of them are one person."""
    said = _words(utterances)
    spans = {
        speaker: spans_of((turn.start_s, turn.end_s) for turn in turns if turn.speaker == speaker)
        for speaker in sorted({turn.speaker for turn in turns})
    }
    talk = {speaker: seconds for speaker, own in spans.items() if (seconds := length_s(own))}
    anybody_s = length_s(spans_of(span for own in spans.values() for span in own))
    at_once_s = _at_once_s([span for own in spans.values() for span in own])
    shares = {speaker: _share(seconds, sum(talk.values())) for speaker, seconds in talk.items()}
    return {
        "overlaps": {
            "words": sum(word.overlapped for word in said),
            "seconds": _rounded(at_once_s),
            "share": _share(at_once_s, anybody_s),
        },
        "speakers": {
            "dominant_share": max(shares.values(), default=None),
            "talk": [{"speaker": speaker, "share": share} for speaker, share in shares.items()],
            "words_unknown_speaker": sum(word.speaker == UNKNOWN_SPEAKER for word in said),
        },
        "methods": dict(sorted(Counter(word.method for word in said).items())),
    }


def numbers(whole: Mapping[str, Any]) -> Report:
    """Return a report without the speakers' labels, which may be people's names; empty where there is none."""
    if not whole:
        return {}
    speakers = {name: value for name, value in whole["speakers"].items() if name != "talk"}
    return {**whole, "speakers": speakers}


def suspect_places(utterances: Sequence[Utterance]) -> list[Place]:
    """Return where the suspect words are, ordered by start."""
    places: list[list[AttributedWord]] = []
    for word in sorted((word for word in _words(utterances) if word.suspect), key=lambda word: word.start_s):
        if places and word.start_s - places[-1][-1].start_s <= NEIGHBOURS_S:
            places[-1].append(word)
        else:
            places.append([word])
    return [
        Place(some[0].start_s, max(word.end_s for word in some), len(some), tuple(_reasons(some)))
        for some in places
    ]


def _words(utterances: Iterable[Utterance]) -> list[AttributedWord]:
    return [word for utterance in utterances for word in utterance.words]


def _begins_in(word: Word, gap: Gap) -> bool:
    return (
        word.start_s is not None and gap.channel in {None, word.channel} and gap.start_s <= word.start_s < gap.end_s
    )


def _reasons(words: Sequence[AttributedWord]) -> dict[str, int]:
    """Return how many words there are of each reason; one of several reasons counts for each."""
    counted = Counter(name for word in words for name in {one if one in REASONS else OTHER for one in word.suspect})
    return {reason: counted[reason] for reason in (*REASONS, OTHER) if counted[reason]}


def _confidence(found: Sequence[float]) -> Report:
    low = sum(confidence < LOW_CONFIDENCE for confidence in found)
    mean = _rounded(sum(found) / len(found)) if found else None
    return {"words": len(found), "mean": mean, "low_share": _share(low, len(found)) if found else None}


def _at_once_s(spans: Sequence[Span]) -> float:
    """Return the seconds in which two speakers or more are heard; spans of one speaker don't overlap."""
    edges = sorted([edge for start, end in spans for edge in ((start, 1), (end, -1))])
    talking, seconds = 0, 0.0
    for (at_s, step), (next_s, _) in pairwise(edges):
        talking += step
        seconds += next_s - at_s if talking > 1 else 0.0
    return seconds


def _share(part: float, whole: float) -> float:
    return _rounded(min(1.0, part / whole)) if whole else 0.0


def _rounded(value: float) -> float:
    return round(float(value), 3)

"""A transcript as tiers, one for each speaker, as programs for annotation show speech. Pure.

Times are whole milliseconds, and the intervals of a tier never overlap: neither Praat nor ELAN opens others.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from pipeline.formats.fields import milliseconds
from pipeline.formats.paragraphs import shown_speaker
from pipeline.speech.scripts import joined
from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import UNKNOWN_SPEAKER, Gap, Utterance

GAPS = "(inaudible)"
"""The tier on which gaps are shown."""


@frozen
class Interval:
    """Text during [start_ms, end_ms), at least a millisecond long; one line, never empty, fit for XML."""

    start_ms: int
    end_ms: int
    text: str


@frozen
class Tier:
    """What one speaker says: intervals ordered by start, without overlaps. No two tiers have the same name."""

    name: str
    intervals: tuple[Interval, ...]


def tiers(transcript: Transcript) -> tuple[Tier, ...]:
    """Return a tier for each speaker, ordered by name, and one for gaps where there are any; at least one.

    Where utterances of one speaker overlap, the later one begins as the earlier ends; one that lies within
    another is joined to it.
    """
    by_name: dict[str, list[Interval]] = {}
    for passage in transcript.passages:
        if (interval := _interval(passage)).text:
            name = GAPS if isinstance(passage, Gap) else shown_speaker(passage.speaker)
            by_name.setdefault(name, []).append(interval)
    found = tuple(Tier(name, _apart(by_name[name])) for name in sorted(by_name))
    return found or (Tier(UNKNOWN_SPEAKER, ()),)


def end_ms(transcript: Transcript, found: Iterable[Tier]) -> int:
    """Return where the recording and all intervals have ended, at least 1."""
    ends = (tier.intervals[-1].end_ms for tier in found if tier.intervals)
    return max(1, milliseconds(transcript.duration_s), *ends)


def _interval(passage: Utterance | Gap) -> Interval:
    text = gap_text(passage) if isinstance(passage, Gap) else one_line(passage.text)
    return Interval(milliseconds(passage.start_s), milliseconds(passage.end_s), text)


def _apart(ordered: Iterable[Interval]) -> tuple[Interval, ...]:
    apart: list[Interval] = []
    for interval in ordered:
        if apart and interval.end_ms <= apart[-1].end_ms:
            apart[-1] = evolve(apart[-1], text=joined((apart[-1].text, interval.text)))
        else:
            start_ms = max(interval.start_ms, apart[-1].end_ms if apart else 0)
            apart.append(Interval(start_ms, max(interval.end_ms, start_ms + 1), interval.text))
    return tuple(apart)

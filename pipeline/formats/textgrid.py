"""TextGrid: a tier for each speaker, for Praat.

Source: Praat manual, "TextGrid file formats" (the long text format).
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.formats.fields import seconds
from pipeline.formats.tiers import Interval, Tier, end_ms, tiers
from pipeline.speech.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Write the transcript as a TextGrid from 0 to the end; the time between utterances is empty intervals."""
    found = tiers(transcript)
    until_ms = end_ms(transcript, found)
    head = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0.000",
        f"xmax = {seconds(until_ms)}",
        "tiers? <exists>",
        f"size = {len(found)}",
        "item []:",
    ]
    body = [line for number, tier in enumerate(found, start=1) for line in _tier(number, tier, until_ms)]
    return "\n".join([*head, *body]) + "\n"


def _tier(number: int, tier: Tier, until_ms: int) -> Iterator[str]:
    intervals = list(_filled(tier, until_ms))
    yield f"    item [{number}]:"
    yield '        class = "IntervalTier"'
    yield f"        name = {_quoted(tier.name)}"
    yield "        xmin = 0.000"
    yield f"        xmax = {seconds(until_ms)}"
    yield f"        intervals: size = {len(intervals)}"
    for index, interval in enumerate(intervals, start=1):
        yield f"        intervals [{index}]:"
        yield f"            xmin = {seconds(interval.start_ms)}"
        yield f"            xmax = {seconds(interval.end_ms)}"
        yield f"            text = {_quoted(interval.text)}"


def _filled(tier: Tier, until_ms: int) -> Iterator[Interval]:
    free_ms = 0
    for interval in tier.intervals:
        if interval.start_ms > free_ms:
            yield Interval(free_ms, interval.start_ms, "")
        yield interval
        free_ms = interval.end_ms
    if free_ms < until_ms:
        yield Interval(free_ms, until_ms, "")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'

"""Subtitle cues: what was said cut to what fits on a screen, with times that never overlap. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from pipeline.formats.breaking import Layout, pieces
from pipeline.formats.profile import READING, Profile
from pipeline.speech.transcript import gap_text, one_line
from pipeline.speech.values import Gap, Utterance


@frozen
class Cue:
    """One subtitle: who says what during [start_s, end_s).

    Attributes:
        speaker: a single line, perhaps empty; None where nobody's words are shown, but that they are missing.
        lines: without markup, never empty, the first with the prefix; a line is longer than the profile allows
            only where a single word is.
    """

    start_s: float
    end_s: float
    speaker: str | None
    lines: tuple[str, ...]


def cues(
    passages: Sequence[Utterance | Gap], prefix: Callable[[str], str], profile: Profile = READING
) -> tuple[Cue, ...]:
    """Cut utterances and gaps into cues, ordered by start, without overlaps.

    No word is split, and none left out but those without a visible character. Where people talk at once, a
    cue ends before the next begins.

    Args:
        passages: in any order.
        prefix: what the first line of a speaker's cue begins with, e.g. `SPEAKER_00: `; may be empty.
        profile: what fits on the screen, and how fast it is read.
    """
    found = [cue for passage in passages for cue in _of_passage(passage, prefix, profile)]
    return tuple(_one_at_a_time(sorted(found, key=lambda cue: cue.start_s), profile))


def clock(time_s: float, decimal_mark: str) -> str:
    """Write a time as HH:MM:SS and milliseconds; the hours grow beyond two digits where they must."""
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def _of_passage(passage: Utterance | Gap, prefix: Callable[[str], str], profile: Profile) -> Iterator[Cue]:
    if isinstance(passage, Gap):
        yield Cue(passage.start_s, passage.end_s, None, (gap_text(passage),))
        return
    speaker = one_line(passage.speaker)
    said = pieces(passage.words, profile)
    layout = Layout(said, prefix(speaker), profile)
    for first, end in layout.cues() if said else ():
        end_s = max(piece.end_s for piece in said[first:end])
        yield Cue(said[first].start_s, end_s, speaker, layout.lines((first, end)))


def _one_at_a_time(ordered: Sequence[Cue], profile: Profile) -> Iterator[Cue]:
    """Give each cue its time on the screen, as far as the next one leaves room."""
    free_s = 0.0
    following = [*(cue.start_s for cue in ordered), math.inf][1:]
    for cue, next_s in zip(ordered, following, strict=True):
        start_s = max(cue.start_s, free_s)
        read_s = start_s + max(profile.shortest_s, profile.reading_s("".join(cue.lines)))
        end_s = min(max(cue.end_s, read_s), start_s + profile.longest_s)
        room_s = max(next_s - profile.gap_s, start_s + profile.pushed_s)
        if end_s > room_s or room_s - end_s <= profile.chained_s - profile.gap_s:
            end_s = min(room_s, start_s + profile.longest_s)
        free_s = end_s + profile.gap_s
        yield evolve(cue, start_s=start_s, end_s=end_s)

"""SubRip subtitles: numbered cues, each with its speaker in front.

SubRip has no comments, so a draft isn't marked here. It has no escapes either: what a player would take for a mark
of its own is written with full-width characters.
"""

from __future__ import annotations

import re

from pipeline.formats.cues import Cue, clock, cues
from pipeline.speech.transcript import Transcript

_MARKS = re.compile(r"<(?=\s*[/!a-zA-Z])|\{|\\(?=[Nnh])")
"""Beginnings of tags, of overrides and of commands: players hide what stands between the marks, words or not."""

_FULL_WIDTH = 0xFEE0
"""How far a full-width character lies behind its like. Source: Unicode, Halfwidth and Fullwidth Forms."""


def render(transcript: Transcript) -> str:
    """Write the transcript as SubRip; a single empty line where there was no speech."""
    found = cues(transcript.passages, lambda speaker: f"{speaker}: ")
    return "\n".join(_block(number, cue) for number, cue in enumerate(found, start=1)) or "\n"


def _block(number: int, cue: Cue) -> str:
    text = "\n".join(_literal(line) for line in cue.lines)
    return f"{number}\n{clock(cue.start_s, ',')} --> {clock(cue.end_s, ',')}\n{text}\n"


def _literal(line: str) -> str:
    # An arrow within the text would look like a line of times.
    return _MARKS.sub(lambda found: chr(ord(found[0]) + _FULL_WIDTH), line.replace("-->", "→"))

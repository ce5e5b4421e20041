"""RTTM: the diarizer's turns, for programs that score or reuse them.

The format knows comments, but common readers stop at them; so there are none here.

Source: NIST, The 2009 Rich Transcription Meeting Recognition Evaluation Plan, appendix A.
"""

from __future__ import annotations

from pathlib import PurePath

from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import Turn


def render(transcript: Transcript) -> str:
    """Write a line per turn, ordered by start; a single empty line where there is none.

    Channels count from 1; a turn of no channel is on 1. Turns shorter than a millisecond are left out.
    """
    name = _field(PurePath(one_line(transcript.name)).stem, transcript.id)
    ordered = sorted(transcript.turns, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))
    return "".join(_line(name, turn) for turn in ordered if _milliseconds(turn) > 0) or "\n"


def _line(name: str, turn: Turn) -> str:
    channel = 1 if turn.channel is None else turn.channel + 1
    speaker = _field(turn.speaker, "UNKNOWN")
    start_s, length_s = round(turn.start_s * 1000) / 1000, _milliseconds(turn) / 1000
    return f"SPEAKER {name} {channel} {start_s:.3f} {length_s:.3f} <NA> <NA> {speaker} <NA> <NA>\n"


def _milliseconds(turn: Turn) -> int:
    """Return the length between borders that are each rounded once, as they are written."""
    return round(turn.end_s * 1000) - round(turn.start_s * 1000)


def _field(text: str, instead: str) -> str:
    """Return text without white space, which separates fields."""
    return "_".join(one_line(text).split()) or instead

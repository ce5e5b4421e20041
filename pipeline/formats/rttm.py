"""RTTM: the diarizer's turns, for programs that score or reuse them.

The format knows comments, but common readers stop at them; so there are none here.

Source: NIST, The 2009 Rich Transcription Meeting Recognition Evaluation Plan, appendix A.
"""

from __future__ import annotations

from pipeline.formats.fields import channel_field, field, file_field, milliseconds, seconds
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import UNKNOWN_SPEAKER, Turn


def render(transcript: Transcript) -> str:
    """Write a line per turn, ordered by start; a single empty line where there is none.

    Channels count from 1; a turn of no channel is on 1. Turns shorter than a millisecond are left out.
    """
    name = file_field(transcript)
    ordered = sorted(transcript.turns, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))
    return "".join(_line(name, turn) for turn in ordered if _length_ms(turn) > 0) or "\n"


def _line(name: str, turn: Turn) -> str:
    start, length = seconds(milliseconds(turn.start_s)), seconds(_length_ms(turn))
    speaker = field(turn.speaker, UNKNOWN_SPEAKER)
    return f"SPEAKER {name} {channel_field(turn.channel)} {start} {length} <NA> <NA> {speaker} <NA> <NA>\n"


def _length_ms(turn: Turn) -> int:
    return milliseconds(turn.end_s) - milliseconds(turn.start_s)

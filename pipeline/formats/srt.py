"""SubRip subtitles: numbered cues, each with its speaker in front.

SubRip has no comments, so a draft isn't marked here.
"""

from __future__ import annotations

from pipeline.formats.cues import Cue, clock, cues
from pipeline.speech.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Write the transcript as SubRip; a single empty line where there was no speech."""
    found = cues(transcript.utterances, lambda speaker: f"{speaker}: ")
    return "\n".join(_block(number, cue) for number, cue in enumerate(found, start=1)) or "\n"


def _block(number: int, cue: Cue) -> str:
    # An arrow within the text would look like a line of times.
    text = "\n".join(line.replace("-->", "→") for line in cue.lines)
    return f"{number}\n{clock(cue.start_s, ',')} --> {clock(cue.end_s, ',')}\n{text}\n"

"""WebVTT subtitles: cues with voice tags.

Source: W3C, WebVTT: The Web Video Text Tracks Format, section 4 (syntax).
"""

from __future__ import annotations

from pipeline.formats.cues import Cue, clock, cues
from pipeline.speech.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Write the transcript as WebVTT; notes come first, as comments."""
    notes = [f"NOTE {_escaped(note)}\n" for note in transcript.notes]
    blocks = [_block(cue) for cue in cues(transcript.passages, lambda speaker: "")]
    return "\n".join(["WEBVTT\n", *notes, *blocks])


def _block(cue: Cue) -> str:
    text = "\n".join(_escaped(line) for line in cue.lines)
    times = f"{clock(cue.start_s, '.')} --> {clock(cue.end_s, '.')}"
    # Neither a gap nor a name without a visible character makes a voice, which may not be empty.
    voice = f"<v {_label(cue.speaker)}>" if cue.speaker else ""
    return f"{times}\n{voice}{text}\n"


def _label(speaker: str) -> str:
    """Escape a speaker's name; with the `>` that ends its tag, two hyphens would read as the arrow of a cue."""
    return _escaped(speaker).replace("--", "-&#45;")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

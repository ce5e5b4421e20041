"""Plain text for people: what must be known first, then one paragraph for each time that somebody speaks."""

from __future__ import annotations

from pipeline.formats.paragraphs import NO_SPEECH, Paragraph, paragraphs
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Write the transcript as paragraphs with an empty line between them."""
    shown = [_paragraph(one) for one in paragraphs(transcript)]
    return "\n\n".join([*transcript.notes, *(shown or [NO_SPEECH])]) + "\n"


def _paragraph(one: Paragraph) -> str:
    return one.text if one.speaker is None else f"[{clock(one.start_s)}] {one.speaker}: {one.text}"

"""Markdown: facts of the recording, notes, and a paragraph for each time that somebody speaks.

Source: CommonMark 0.31.2, sections 2.4 (backslash escapes) and 6.2 (emphasis); GitHub Flavored Markdown, sections
4.10 (tables) and 6.5 (strikethrough).
"""

from __future__ import annotations

import re

from pipeline.formats.paragraphs import NO_SPEECH, Paragraph, facts, paragraphs
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript, one_line

_MARKUP = re.compile(r"[\\`*_\[\]<>&#~|$^=]")
"""Every character that begins or ends markup within a line, also that of GitHub's and other common extensions."""


def render(transcript: Transcript) -> str:
    """Write the transcript as CommonMark; no name and no word of it is markup.

    What comes from outside never begins a line, where other characters than those within a line are markup.
    """
    blocks = [
        f"# {_escaped(one_line(transcript.name)) or 'Transcript'}",
        "\n".join(f"- {label}: {_escaped(value)}" for label, value in facts(transcript)),
        *(f"> **Note:** {_escaped(note)}" for note in transcript.notes),
        *([_paragraph(one) for one in paragraphs(transcript)] or [NO_SPEECH]),
    ]
    return "\n\n".join(blocks) + "\n"


def _paragraph(one: Paragraph) -> str:
    if one.speaker is None:
        return f"*{_escaped(one.text)}*"
    return f"**{_escaped(one.speaker)}** ({clock(one.start_s)}): {_escaped(one.text)}"


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)

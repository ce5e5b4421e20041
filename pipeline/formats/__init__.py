"""One file per output format: a transcript in, a file's content out. Pure.

Every text ends with a newline, also that of a transcript without speech, unless an empty line would be a mistake
in its format; what was said and how a file is named can't break a line of it. A format is imported when it is
first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from pipeline.speech.transcript import Transcript
from projections.graph import FORMATS as FORMAT_NAMES

Render = Callable[[Transcript], str | bytes]
"""Text, which is stored as UTF-8, or for formats that are no text their bytes."""


def _on_use(name: str) -> Render:
    def render(transcript: Transcript) -> str | bytes:
        content: str | bytes = import_module(f"pipeline.formats.{name}").render(transcript)
        return content

    return render


FORMATS: Mapping[str, Render] = {name: _on_use(name) for name in FORMAT_NAMES}
"""How to write each format, by its name."""

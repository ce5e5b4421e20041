"""WebVTT subtitles. Speakers are known where every subtitle has a voice tag, or begins with a name and a colon.

Source: W3C, WebVTT: The Web Video Text Tracks Format, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from attrs import evolve

from pipeline.references.cues import Cue, read_cues
from pipeline.references.text import ReferenceFileError, spoken, with_names
from pipeline.references.values import Accounts, Segment, accounts

_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]*)>")
_NOT_SAID = ("WEBVTT", "NOTE", "STYLE", "REGION")
_TAG = re.compile(r"<[^<>]*>")


def read(text: str) -> Accounts:
    """Read WebVTT.

    Raises:
        ReferenceFileError: it is no WebVTT, or a subtitle has times that can't be.
    """
    if not text.startswith("WEBVTT"):
        raise ReferenceFileError("line 1: a WebVTT file begins with the word WEBVTT.")
    segments = [segment for cue in read_cues(text, _NOT_SAID) for segment in _segments(cue)]
    if all(segment.speaker is None for segment in segments):
        named = with_names([segment.text or "" for segment in segments])
        segments = [
            evolve(segment, speaker=name, text=said) for segment, (name, said) in zip(segments, named, strict=True)
        ]
    return accounts(segments)


def _segments(cue: Cue) -> Iterator[Segment]:
    """Yield what each voice of a cue says; what stands before the first has none."""
    before, *voices = _VOICE.split(" ".join(cue.lines))
    for voice, said in [(None, before), *zip(voices[::2], voices[1::2], strict=True)]:
        plain = spoken(unescape(_TAG.sub("", said)))
        if plain:
            yield Segment(plain, cue.start_s, cue.end_s, unescape(voice).strip() or None if voice else None)

"""The value that every output format is rendered from, and the cleaning of text for people's eyes. Pure."""

from __future__ import annotations

import re

from attrs import frozen

from pipeline.speech.values import Turn, Utterance

DRAFT_NOTE = (
    "Draft: made by the small built-in English engine, good enough to try evt, not to rely on. "
    "`evt doctor` tells how to get a better one."
)
"""What every output of an engine of draft quality says first, where its format has room for it."""

_INVISIBLE = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Bidirectional controls and the byte order mark: they can show a line in another order than it is stored in.
The joiners U+200C and U+200D stay; Persian, Hindi and emoji need them.

Source: Unicode Standard Annex 9, section 2."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
"""C0, DEL and C1: they end lines or drive terminals. The separators U+2028 and U+2029 count as white space."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Bytes of a file name that were not UTF-8 arrive as lone surrogates, which no encoder accepts."""


@frozen
class Engines:
    """The names of the providers that found the speakers and the words."""

    diarizer: str
    transcriber: str


@frozen
class Transcript:
    """A finished recording: who said what when, and what a reader must know of how it came about.

    Attributes:
        id: the pipeline's id.
        name: the recording's file name, for display; any text.
        utterances: ordered by start; empty when no speech was found.
        turns: the diarizer's, in any order; may be empty.
        duration_s: of the recording.
        language: a code such as `en`; None when unknown.
        draft: a provider of draft quality made it.
        engines: the providers' names.
        warnings: sentences for the reader, e.g. about a recording that was cut short.
    """

    id: str
    name: str
    utterances: tuple[Utterance, ...]
    turns: tuple[Turn, ...]
    duration_s: float
    language: str | None
    draft: bool
    engines: Engines
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before the first word: the draft note, then the warnings, a line each."""
        draft = (DRAFT_NOTE,) if self.draft else ()
        return draft + tuple(one_line(warning) for warning in self.warnings)


def one_line(text: str) -> str:
    """Return the text as one line that shows in the order in which it is stored.

    Controls and line separators become spaces, bidirectional controls vanish, lone surrogates become U+FFFD;
    white space is reduced to single spaces, none at the ends. Letters of every script stay as they are.
    """
    visible = _CONTROLS.sub(" ", _INVISIBLE.sub("", text))
    return " ".join(_SURROGATE.sub("\ufffd", visible).split())

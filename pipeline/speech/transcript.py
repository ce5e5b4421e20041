"""The value that every output format is rendered from, and the cleaning of text for people's eyes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from pipeline.speech.times import clock, length_s, spans_of
from pipeline.speech.values import Gap, Turn, Utterance

DRAFT_NOTE = (
    "Draft: made by the small built-in English engine, good enough to try evt, not to rely on. "
    "`evt models get small` gets a better engine's model; `evt doctor` says what else it needs."
)
"""What every output of an engine of draft quality says first, where its format has room for it."""

_INVISIBLE = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Bidirectional controls and the byte order mark: they can show a line in another order than it is stored in.
The joiners U+200C and U+200D stay; Persian, Hindi and emoji need them.

Source: Unicode Standard Annex 9, section 2."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
"""C0, DEL and C1: they end lines or drive terminals. The separators U+2028 and U+2029 count as white space."""

_UNWRITABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Bytes of a file name that were not UTF-8 arrive as lone surrogates, which no encoder accepts. The two
noncharacters are what else no XML document may hold, not even escaped.

Source: Extensible Markup Language 1.0, fifth edition, production 2 (Char)."""


@frozen
class Engines:
    """The names of the providers that found the speakers and the words."""

    diarizer: str
    transcriber: str


@frozen
class Excerpt:
    """What of a recording was transcribed, on its clock; `recording_s`: how long it is, where that is known."""

    start_s: float
    end_s: float
    recording_s: float | None = None


@frozen
class Transcript:
    """A finished recording: who said what when, and what a reader must know of how it came about.

    Attributes:
        id: the pipeline's id.
        name: the recording's file name, for display; any text.
        utterances: ordered by start; empty when no speech was found.
        turns: the diarizer's, in any order; may be empty.
        duration_s: of the recording; where only an excerpt was read and the length isn't known, the end of that.
        language: a code such as `en`; None when unknown.
        draft: a provider of draft quality made it.
        engines: the providers' names.
        warnings: sentences for the reader, e.g. about a recording that was cut short.
        gaps: where speech was heard and could not be transcribed; ordered by start.
        names: what the user calls speakers, by their labels; no two labels have one name.
        excerpt: what of the recording was transcribed; None: all of it.
        quality: the report on the transcript, see `pipeline.speech.quality`; empty where there is none.
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
    gaps: tuple[Gap, ...] = ()
    quality: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    excerpt: Excerpt | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the speakers whom the user named, by these names."""
        return {name: label for label, name in self.names.items()}

    @property
    def passages(self) -> tuple[Utterance | Gap, ...]:
        """The utterances and the gaps between them, ordered by start; what readers are shown."""
        return tuple(sorted((*self.utterances, *self.gaps), key=lambda passage: passage.start_s))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before the first word, a line each: a draft note, warnings, what is missing."""
        draft = (DRAFT_NOTE,) if self.draft else ()
        missing = (gaps_note(self.gaps),) if self.gaps else ()
        excerpt = (excerpt_note(self.excerpt),) if self.excerpt else ()
        return (*draft, *excerpt, *(one_line(warning) for warning in self.warnings), *missing)


@frozen
class Annotated:
    """A transcript with what the user said of it, and notes for the user where that could not be applied."""

    transcript: Transcript
    notes: tuple[str, ...] = ()


def excerpt_note(excerpt: Excerpt) -> str:
    """Return what readers are told of an excerpt."""
    length = "" if excerpt.recording_s is None else f" of {clock(excerpt.recording_s)}"
    return f"Only {clock(excerpt.start_s)} to {clock(excerpt.end_s)}{length} of the recording was transcribed."


def gap_text(gap: Gap) -> str:
    """Return what stands in the place of speech that could not be transcribed: `[inaudible 12:00–17:58]`."""
    return f"[inaudible {_minutes(gap.start_s)}–{_minutes(gap.end_s)}]"


def gaps_note(gaps: Sequence[Gap]) -> str:
    """Return what readers are told of gaps; at least one."""
    seconds = round(length_s(spans_of((gap.start_s, gap.end_s) for gap in gaps)))
    length = f"{seconds // 60} min {seconds % 60:02} s" if seconds >= 60 else f"{seconds} s"
    if len(gaps) == 1:
        return f"{length} of speech have no words here; they are marked {gap_text(gaps[0])}."
    return f"{len(gaps)} stretches of speech, {length} in all, have no words here; they are marked [inaudible …]."


def _minutes(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def one_line(text: str) -> str:
    """Return the text as one line that shows in the order in which it is stored.

    Controls and line separators become spaces, bidirectional controls vanish, lone surrogates become U+FFFD,
    and so do U+FFFE and U+FFFF; white space is reduced to single spaces, none at the ends. Letters of every
    script stay as they are.
    """
    visible = _CONTROLS.sub(" ", _INVISIBLE.sub("", text))
    return " ".join(_UNWRITABLE.sub("\ufffd", visible).split())

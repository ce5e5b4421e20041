"""What a provider is: a few facts and one method. Everything else (calls, events, storage) is the stage's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from projections.engine import Engine

Answer = dict[str, Any]
"""What a provider gives back: a JSON object, stored as it is before anything relies on it.

A diarizer answers {"turns": [{"start_s", "end_s", "speaker", "channel"?}], "exclusive"?: [the same without
overlaps], "metadata": {…numbers and words of ours, no speech…}}; speakers are named SPEAKER_00, SPEAKER_01 … in
the order of their first turn; turns are sorted by start.

A transcriber answers {"language": "en", "words": [{"text", "start_s", "end_s", "confidence"?, "segment"?,
"suspect"?}], "metadata": {…}}; times are seconds from the start of its chunk; words are sorted; a word without
times has null there. `segment` is the [start_s, end_s] of a segment where the engine knows no more than that, and
the word's times are reckoned from it. `suspect` lists why the engine itself doubts that the word was said, see
`pipeline.speech.suspicion`.
"""

Options = Mapping[str, Any]
"""Resolved options by name: speakers, min_speakers, max_speakers (int or None), language (`auto` or a code),
model (str or None), prompt (str or None), keywords (list of str or None)."""


class Work(Protocol):
    """The way from a provider back to the run that it works for."""

    @property
    def attempt(self) -> int:
        """The number of the attempt that is under way, from 1."""

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop; call it between blocks, at least every second."""

    def progress(self, done_s: float, total_s: float) -> None:
        """Report how many seconds of audio are done."""


@frozen
class Audio:
    """A converted recording: 16 kHz, s16, FLAC.

    Attributes:
        mix: one mono mix.
        channels: where channels carry different speech, a mono file of each, in their order; else empty.
        duration_s: of the mix.
    """

    mix: Path
    channels: tuple[Path, ...]
    duration_s: float


@frozen
class Chunk:
    """A part of one of the files of an `Audio`: samples [start, end) at 16 kHz of `path`."""

    path: Path
    start: int
    end: int
    channel: int | None
    unit: str


class Diarizer(Protocol):
    """Finds who speaks when."""

    def engine(self) -> Engine:
        """Say what this provider is and whether it can work here; cheap, imports nothing heavy."""

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return the turns of the whole recording, or raise ProviderError."""


class Transcriber(Protocol):
    """Turns one chunk of speech into words."""

    chunk_s: tuple[float, float]
    """How long a chunk should be: (shortest, longest) seconds between two cuts."""

    def engine(self) -> Engine:
        """Say what this provider is and whether it can work here; cheap, imports nothing heavy."""

    def concurrency(self) -> int:
        """How many chunks may be under way at once."""

    def transcribe(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return the words of one chunk, or raise ProviderError; called from several threads at once."""

    def close(self) -> None:
        """Stop workers at once, whatever they do; a call under way raises StoppedError."""


@runtime_checkable
class Detector(Protocol):
    """A transcriber on this machine that finds out the language of a chunk beforehand.

    Where the user names no language, a few chunks are asked for theirs, and all are then transcribed in one.
    """

    def concurrency(self) -> int:
        """How many chunks may be under way at once."""

    def detect_language(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return {"language": code or None, "probability": from 0 to 1}, or raise ProviderError."""

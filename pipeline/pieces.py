"""Which pieces of a recording a transcriber is given: it is cut at silences, or into a speaker's turns at a time.

The plan prices the same pieces that the stage sends, so both ask here; cutting a recording takes seconds, so the
pieces are kept for as long as the process lives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field, frozen

from pipeline.artifacts import Artifacts
from pipeline.inputs import TURNS, audio_of
from pipeline.providers.base import Audio, Chunk
from pipeline.providers.remote import Sound
from pipeline.speech.cuts import Span, chunks, find_cuts
from pipeline.speech.groups import find_groups
from pipeline.speech.values import Turn
from projections.graph import AUDIO_CONVERSION, DIARIZATION
from projections.plan import StagePlan
from projections.state import Attempt

_RATE_HZ = 16000


@frozen
class Piece:
    """A part of one file of the recording.

    Attributes:
        pcm_sha256: digest of its samples as s16le.
        has_speech: anything in it sounds like speech.
        speaker: who speaks in it, where it was cut from a speaker's turns.
    """

    chunk: Chunk
    pcm_sha256: str
    has_speech: bool
    speaker: str | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.chunk.end - self.chunk.start) / _RATE_HZ

    @property
    def sound(self) -> Sound:
        """The piece as a remote provider takes it."""
        return Sound(self.chunk.path, self.chunk.start, self.chunk.end, self.pcm_sha256)


@define
class Cutter:
    """Cuts recordings, each once."""

    _kept: dict[str, list[Piece]] = field(factory=dict, init=False)

    def pieces(
        self,
        step: StagePlan,
        inputs: Mapping[str, Attempt],
        artifacts: Artifacts,
        chunk_s: tuple[float, float],
        check: Callable[[], None],
    ) -> list[Piece]:
        """Return the pieces of a recording for a transcription.

        Args:
            step: the transcription as planned; its engine and inputs decide.
            inputs: the attempts whose outputs are read.
            artifacts: the files of the pipeline.
            chunk_s: (shortest, longest) seconds between two cuts.
            check: called before each minute of audio; what it raises passes through.
        """
        key = orjson.dumps([str(artifacts.root), dict(step.inputs), chunk_s, step.reads]).decode()
        if key not in self._kept:
            self._kept[key] = _pieces(step, inputs, artifacts, chunk_s, check)
        return self._kept[key]


def sound_of(piece: Piece, start: int, end: int) -> Sound:
    """Return a part of a piece as a sound of its own; `start` and `end` are samples of the file."""
    return _piece(piece.chunk.path, (start, end), piece.chunk.channel, True, None).sound


def halves(piece: Piece) -> list[Piece]:
    """Return a piece in two, cut in its longest silence near the middle, or where it is quietest."""
    from pipeline.audio.silence import find_silences, quietest_sample

    chunk, length = piece.chunk, piece.chunk.end - piece.chunk.start
    window_s = (length * 0.4 / _RATE_HZ, length * 0.6 / _RATE_HZ)
    silences = [(a - chunk.start, b - chunk.start) for a, b in find_silences(chunk.path, chunk.end)]
    inside = [(max(0, a), min(length, b)) for a, b in silences if b > 0 and a < length]

    def quietest(a: int, b: int) -> int:
        return quietest_sample(chunk.path, a + chunk.start, b + chunk.start) - chunk.start

    at = find_cuts(length, inside, window_s, quietest)[0].at + chunk.start
    spans = ((chunk.start, at), (at, chunk.end))
    return [_piece(chunk.path, span, chunk.channel, piece.has_speech, piece.speaker) for span in spans]


def _pieces(
    step: StagePlan,
    inputs: Mapping[str, Attempt],
    artifacts: Artifacts,
    chunk_s: tuple[float, float],
    check: Callable[[], None],
) -> list[Piece]:
    converted = inputs[AUDIO_CONVERSION]
    audio = audio_of(converted, artifacts)
    samples: Mapping[str, int] = converted.metadata["samples"]
    engine = step.engine
    if DIARIZATION in step.reads:
        (turns,) = (ref for ref in inputs[DIARIZATION].outputs if ref.path.endswith(f"/{TURNS}"))
        found = artifacts.read_json(turns)
        return [
            piece
            for channel, path in _files(audio)
            for piece in _by_turns(path, samples[path.stem], channel, found, chunk_s[1], check)
        ]
    whole = engine is not None and engine.speakers
    files = [(None, audio.mix)] if whole else _files(audio)
    return [p for channel, path in files for p in _by_silences(path, samples[path.stem], channel, chunk_s, check)]


def _files(audio: Audio) -> list[tuple[int | None, Path]]:
    return [*enumerate(audio.channels)] if audio.channels else [(None, audio.mix)]


def _by_silences(
    path: Path, total: int, channel: int | None, chunk_s: tuple[float, float], check: Callable[[], None]
) -> list[Piece]:
    from pipeline.audio.silence import find_silences, quietest_sample

    silences = find_silences(path, total, check) if total > chunk_s[1] * _RATE_HZ else []
    cuts = find_cuts(total, silences, chunk_s, lambda start, end: quietest_sample(path, start, end))
    speech = _speech(path, check)
    pieces = []
    for start, end in chunks(total, cuts):
        check()
        has_speech = any(first < end and last > start for first, last in speech)
        pieces.append(_piece(path, (start, end), channel, has_speech, None))
    return pieces


def _by_turns(
    path: Path,
    total: int,
    channel: int | None,
    found: Mapping[str, Any],
    longest_s: float,
    check: Callable[[], None],
) -> list[Piece]:
    from pipeline.audio.silence import find_silences, quietest_sample

    turns, exclusive = (_turns_of(found[name], channel) for name in ("turns", "exclusive"))
    groups = find_groups(
        total,
        turns,
        exclusive,
        speech=_speech(path, check),
        silences=find_silences(path, total, check),
        longest_s=longest_s,
        quietest=lambda start, end: quietest_sample(path, start, end),
    )
    pieces = []
    for group in groups:
        check()
        pieces.append(_piece(path, (group.start, group.end), channel, True, group.speaker))
    return pieces


def _turns_of(stored: Sequence[Mapping[str, Any]], channel: int | None) -> list[Turn]:
    turns = [Turn(**turn) for turn in stored]
    return [turn for turn in turns if channel is None or turn.channel in {None, channel}]


def _speech(path: Path, check: Callable[[], None]) -> list[Span]:
    from pipeline.audio.voice_activity import FRAMES_PER_S, speech_intervals

    per_frame = _RATE_HZ // FRAMES_PER_S
    return [(first * per_frame, last * per_frame) for first, last in speech_intervals(path, check)]


def _piece(path: Path, span: Span, channel: int | None, has_speech: bool, speaker: str | None) -> Piece:
    from pipeline.audio.soundfiles import read_samples

    start, end = span
    pcm = read_samples(path, start, end).astype("<i2").tobytes()
    unit = f"{start / _RATE_HZ:.2f}-{end / _RATE_HZ:.2f}" + ("" if channel is None else f" channel {channel}")
    return Piece(Chunk(path, start, end, channel, unit), hashlib.sha256(pcm).hexdigest(), has_speech, speaker)

"""Which pieces of a recording a transcriber is given: it is cut at silences, or into a speaker's turns at a time.

The plan prices the same pieces that the stage sends, so both ask here; cutting a recording takes seconds, so the
pieces are kept for as long as the process lives.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field, frozen

from pipeline.artifacts import Artifacts
from pipeline.inputs import TURNS, audio_of
from pipeline.providers.base import Audio, Chunk
from pipeline.providers.remote import Sound
from pipeline.speech.cuts import Span, chunks, find_cuts, overlapping
from pipeline.speech.groups import find_groups
from pipeline.speech.timemap import kept_spans, sample_of
from pipeline.speech.values import Turn
from projections.engine import Engine
from projections.graph import AUDIO_CONVERSION, DIARIZATION
from projections.plan import StagePlan
from projections.state import Attempt

_RATE_HZ = 16000

SPOKEN = 3 * _RATE_HZ // 10
"""A piece with less speech than 0.3 s is not transcribed: it holds no word."""

AROUND = _RATE_HZ
"""So much is sent on either side of what is asked for once more."""

MIDDLE = (0.4, 0.6)
"""Where a piece may be cut in two, as shares of what is sent of it."""


@frozen
class Piece:
    """A part of one file of the recording.

    Attributes:
        pcm_sha256: digest of what is sent as s16le.
        speech: where anybody is heard in it, in samples of the file.
        kept: what of it is sent, in samples of the file, where long pauses are left out; empty: all of it.
        speaker: who speaks in it, where it was cut from a speaker's turns.
    """

    chunk: Chunk
    pcm_sha256: str
    speech: tuple[Span, ...]
    kept: tuple[Span, ...] = ()
    speaker: str | None = None

    @property
    def has_speech(self) -> bool:
        """Whether it is worth transcribing: something in it sounds like speech, or is somebody's turn."""
        return self.speaker is not None or sum(end - start for start, end in self.speech) >= SPOKEN

    @property
    def speech_s(self) -> float:
        """For how long anybody is heard in it."""
        return sum(end - start for start, end in self.speech) / _RATE_HZ

    @property
    def span(self) -> Span:
        """The samples of the file that it covers."""
        return self.chunk.start, self.chunk.end

    @property
    def seconds(self) -> float:
        """The length of what is sent."""
        return self.sound.duration_s

    @property
    def sound(self) -> Sound:
        """The piece as a remote provider takes it."""
        return Sound(self.chunk.path, self.chunk.start, self.chunk.end, self.pcm_sha256, self.kept)


@define
class Cutter:
    """Cuts recordings, each once while it is worked on."""

    _kept: dict[str, dict[str, list[Piece]]] = field(factory=dict, init=False)

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
        ways = None if step.engine is None else [_overlaps(step.engine), step.engine.takes_parts]
        key = orjson.dumps([dict(step.inputs), chunk_s, step.reads, ways]).decode()
        kept = self._kept.setdefault(str(artifacts.root), {})
        if key not in kept:
            kept[key] = _pieces(step, inputs, artifacts, chunk_s, check)
        return kept[key]

    def forget(self, artifacts: Artifacts) -> None:
        """Keep nothing of a recording any more, lest a batch keeps the pieces of all of them."""
        self._kept.pop(str(artifacts.root), None)


def sound_of(piece: Piece, start: int, end: int) -> Sound:
    """Return a part of a piece as a sound of its own; `start` and `end` are samples of the file."""
    return _piece(piece.chunk.path, (start, end), piece.chunk.channel, ()).sound


def part_of(piece: Piece, start: int, end: int) -> Piece:
    """Return a part of a piece as a piece of its own, with a second on either side as far as the piece reaches."""
    first, last = max(piece.chunk.start, start - AROUND), min(piece.chunk.end, end + AROUND)
    return _sub(piece, (first, last))


def halves(piece: Piece) -> list[Piece]:
    """Return a piece in two, cut in the longest silence near the middle of what is sent, or where it is quietest.

    A half without speech is left out, as any piece is.
    """
    from pipeline.audio.silence import find_silences, quietest_sample

    chunk, sent = piece.chunk, piece.sound.parts
    length = sum(end - start for start, end in sent)
    first, last = (sample_of(round(length * share), sent) for share in MIDDLE)
    pauses = [(end, start) for (_, end), (start, _) in pairwise(sent) if first <= end and start <= last]
    if pauses:
        _, begin, end = max((end - begin, begin, end) for begin, end in pauses)
        at = (begin + end) // 2
    else:
        silences = [(a - chunk.start, b - chunk.start) for a, b in find_silences(chunk.path, chunk.end)]
        inside = [(max(0, a), min(chunk.end - chunk.start, b)) for a, b in silences if b > 0]

        def quietest(a: int, b: int) -> int:
            return quietest_sample(chunk.path, a + chunk.start, b + chunk.start) - chunk.start

        window_s = ((first - chunk.start) / _RATE_HZ, (last - chunk.start) / _RATE_HZ)
        at = find_cuts(chunk.end - chunk.start, inside, window_s, quietest)[0].at + chunk.start
    both = [_sub(piece, span) for span in ((chunk.start, at), (at, chunk.end))]
    return [half for half in both if half.has_speech] or both


def _sub(piece: Piece, span: Span) -> Piece:
    chunk = piece.chunk
    return _piece(
        chunk.path,
        span,
        chunk.channel,
        piece.speech,
        kept=_within(piece.kept, span),
        speaker=piece.speaker,
    )


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
    return [
        piece
        for channel, path in files
        for piece in _by_silences(
            path,
            samples[path.stem],
            channel,
            chunk_s,
            check,
            overlaps=engine is not None and _overlaps(engine),
            compact=engine is not None and engine.takes_parts,
        )
    ]


def _overlaps(engine: Engine) -> bool:
    """Say whether chunks may overlap: only where the times of words tell which of them both heard."""
    return engine.word_times and not engine.speakers


def _files(audio: Audio) -> list[tuple[int | None, Path]]:
    return [*enumerate(audio.channels)] if audio.channels else [(None, audio.mix)]


def _by_silences(
    path: Path,
    total: int,
    channel: int | None,
    chunk_s: tuple[float, float],
    check: Callable[[], None],
    *,
    overlaps: bool,
    compact: bool,
) -> list[Piece]:
    from pipeline.audio.silence import find_silences, quietest_sample

    silences = find_silences(path, total, check) if total > chunk_s[1] * _RATE_HZ else []
    cuts = find_cuts(total, silences, chunk_s, lambda start, end: quietest_sample(path, start, end))
    speech = _speech(path, check)
    spans = chunks(total, cuts)
    pieces = []
    for span in overlapping(spans, cuts) if overlaps else spans:
        check()
        kept = kept_spans(span, _within(speech, span)) if compact else ()
        pieces.append(_piece(path, span, channel, speech, kept=kept if kept != (span,) else ()))
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
    speech = _speech(path, check)
    groups = find_groups(
        total,
        turns,
        exclusive,
        speech=speech,
        silences=find_silences(path, total, check),
        longest_s=longest_s,
        quietest=lambda start, end: quietest_sample(path, start, end),
    )
    pieces = []
    for group in groups:
        check()
        pieces.append(_piece(path, (group.start, group.end), channel, speech, speaker=group.speaker))
    return pieces


def _turns_of(stored: Sequence[Mapping[str, Any]], channel: int | None) -> list[Turn]:
    turns = [Turn(**turn) for turn in stored]
    return [turn for turn in turns if channel is None or turn.channel in {None, channel}]


def _speech(path: Path, check: Callable[[], None]) -> list[Span]:
    from pipeline.audio.voice_activity import FRAMES_PER_S, speech_intervals

    per_frame = _RATE_HZ // FRAMES_PER_S
    return [(first * per_frame, last * per_frame) for first, last in speech_intervals(path, check)]


def _within(spans: Sequence[Span], span: Span) -> tuple[Span, ...]:
    """Return the parts of sorted, disjoint spans that lie within a span."""
    first = bisect_right(spans, span[0], key=lambda one: one[1])
    last = bisect_left(spans, span[1], key=lambda one: one[0])
    return tuple((max(start, span[0]), min(end, span[1])) for start, end in spans[first:last])


def _piece(
    path: Path,
    span: Span,
    channel: int | None,
    speech: Sequence[Span],
    *,
    kept: tuple[Span, ...] = (),
    speaker: str | None = None,
) -> Piece:
    from pipeline.audio.soundfiles import read_parts

    start, end = span
    pcm = read_parts(path, kept or (span,)).astype("<i2").tobytes()
    unit = f"{start / _RATE_HZ:.2f}-{end / _RATE_HZ:.2f}" + ("" if channel is None else f" channel {channel}")
    chunk = Chunk(path, start, end, channel, unit)
    return Piece(chunk, hashlib.sha256(pcm).hexdigest(), _within(speech, span), kept, speaker)

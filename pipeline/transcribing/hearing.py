"""Asks a transcriber for the pieces of a recording: side by side or in order, in halves where one is too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from pipeline.calls.obtaining import TOO_LONG
from pipeline.calls.requests import Request, remote_request
from pipeline.errors import ProviderError
from pipeline.providers.base import Answer
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Sound, Wish
from pipeline.speech.placing import Place
from pipeline.texts import LEAST_SPEECH_S, told, without_texts
from pipeline.transcribing.pieces import Piece, halves, sound_of
from pipeline.work import StageWork
from projections.engine import Engine
from projections.failures import LOCAL, PAID_UNUSABLE, REJECTED
from projections.plan import StagePlan

_RATE_HZ = 16000

HALVED_MIN_S = 2.0
"""A piece that is shorter is not cut in two, however often it is too long."""

KNOWN_MAX = 4
"""How many speakers an engine can be shown. Source: OpenAI's known_speaker_references."""

KNOWN_S = (2.0, 10.0)
"""How long the sound of a known speaker may be. Source: as above."""

_OF_THE_PIECE = {REJECTED: {"refused", "too_short", *TOO_LONG}, PAID_UNUSABLE: None, LOCAL: None}
"""Failures that concern a single piece, by kind and code (None: any); the others another run may mend."""


@frozen
class Heard:
    """A piece and what was answered; None: the engine failed on it, and the user lets that be a gap."""

    piece: Piece
    answer: Answer | None

    @property
    def place(self) -> Place:
        """Where the piece lies."""
        piece = self.piece
        return Place(piece.span, piece.kept, piece.chunk.channel, piece.speaker)

    @property
    def has_times(self) -> bool:
        """Whether the engine said when words were spoken; without any words it is taken to."""
        words = self.answer["words"] if self.answer else []
        return not words or any(word["start_s"] is not None for word in words)


@define
class Hearing:
    """Asks for pieces and keeps count of what is done.

    Attributes:
        total_s: seconds of all that is to be heard, for the progress.
        options: what the engine is asked with, words of people as references.
    """

    work: StageWork
    providers: Providers
    total_s: float
    options: Mapping[str, Any]
    _done_s: list[float] = field(factory=list, init=False)
    _names: dict[str, str] = field(factory=dict, init=False)
    _known: dict[str, Sound] = field(factory=dict, init=False)
    _failures: list[ProviderError] = field(factory=list, init=False)

    def hear_some(self, pieces: Sequence[Piece]) -> list[Heard]:
        """Return the answers of all pieces, as `hear`.

        Raises:
            ProviderError: as `hear`, or none of the pieces was answered: that is no gap.
        """
        heard = self.hear(pieces)
        if heard and all(one.answer is None for one in heard):
            raise self._failures[0]
        return heard

    def hear(self, pieces: Sequence[Piece]) -> list[Heard]:
        """Return the answers of all pieces, in their order.

        Raises:
            ProviderError: a piece failed, and gaps aren't allowed or another run may mend it.
        """
        engine = self.work.step.engine
        in_order = engine is not None and engine.in_order
        return self._in_order(pieces) if in_order else self._side_by_side(pieces)

    def _side_by_side(self, pieces: Sequence[Piece]) -> list[Heard]:
        requests = [self._request(piece) for piece in pieces]
        answers = self.work.answers_or_errors(
            requests, concurrency_of(self.work.step, self.providers), self._is_let
        )
        heard: list[Heard] = []
        for piece, request, answer in zip(pieces, requests, answers, strict=True):
            if not isinstance(answer, ProviderError):
                heard.append(Heard(piece, answer))
            elif _may_be_halved(request, answer):
                heard += self._side_by_side(self._halves(piece))
            else:
                heard.append(self._failed(piece, answer))
        return heard

    def _in_order(self, pieces: Sequence[Piece]) -> list[Heard]:
        """Ask for one piece after another, each with the voices heard before it."""
        heard: list[Heard] = []
        left = list(pieces)
        while left:
            piece = left.pop(0)
            request = self._request(piece, self._known)
            (answer,) = self.work.answers_or_errors([request], 1, self._is_let)
            if not isinstance(answer, ProviderError):
                answer = self._named(answer)
                heard.append(Heard(piece, answer))
                self._learn(piece, answer)
            elif _may_be_halved(request, answer):
                left = [*self._halves(piece), *left]
            else:
                heard.append(self._failed(piece, answer))
        return heard

    def _is_let(self, error: ProviderError) -> bool:
        """Say whether a failure becomes a gap."""
        codes = _OF_THE_PIECE.get(error.kind, set())
        # A process that died for lack of memory says nothing of the piece.
        passes = error.kind == LOCAL and error.retryable
        return self.work.step.gaps_allowed and not passes and (codes is None or error.code in codes)

    def _failed(self, piece: Piece, error: ProviderError) -> Heard:
        """Leave a piece as a gap, if that is let."""
        if not self._is_let(error):
            raise error
        self._failures.append(error)
        self.work.reporter.stage_note(self.work.step.stage, f"{piece.chunk.unit}: left as a gap: {error}")
        return Heard(piece, None)

    def _request(self, piece: Piece, known: Mapping[str, Sound] | None = None) -> Request:
        work, step = self.work, self.work.step
        engine = step.engine
        assert engine is not None, "the plan names the engine of this stage"

        def done() -> None:
            self._done_s.append(piece.seconds)
            work.progress(sum(self._done_s), max(self.total_s, sum(self._done_s)))

        name, model = step.engine_name, step.options.get("model")
        options = options_for(piece, self.options)
        words = told(options, work.artifacts)
        if engine.network:
            remote = self.providers.remote_transcriber(name, model)
            wish = Wish(options, engine.facts, dict(known or {}))
            divisible = engine.keeps_voices and piece.seconds >= HALVED_MIN_S
            request = remote_request(engine, remote, piece.chunk.unit, piece.sound, wish, words)
            return evolve(request, done=done, divisible=divisible)
        transcriber = self.providers.transcriber(name, model)
        request = local_request(engine, piece, options)
        return request.asking(lambda: transcriber.transcribe(piece.chunk, words, work), done)

    def _halves(self, piece: Piece) -> list[Piece]:
        self.work.reporter.stage_note(
            self.work.step.stage, f"{piece.chunk.unit}: too long for this engine; it is sent in two parts"
        )
        return halves(piece)

    def _named(self, answer: Answer) -> Answer:
        """Give each voice a name of the whole recording; one that the engine was shown keeps its name."""
        here: dict[str, str] = {name: name for name in self._known}

        def name(local: str) -> str:
            if local not in here:
                here[local] = f"SPEAKER_{len(self._names):02d}"
                self._names[here[local]] = local
            return here[local]

        turns = [{**turn, "speaker": name(turn["speaker"])} for turn in answer.get("turns", [])]
        words = [{**word, "speaker": name(word["speaker"])} for word in answer["words"]]
        return {**answer, "turns": turns, "words": words}

    def _learn(self, piece: Piece, answer: Answer) -> None:
        """Keep the longest turn of each new voice, to show it to the engine with the pieces that follow."""
        for turn in sorted(answer["turns"], key=lambda turn: turn["start_s"] - turn["end_s"]):
            length_s = turn["end_s"] - turn["start_s"]
            if turn["speaker"] not in self._known and len(self._known) < KNOWN_MAX and length_s >= KNOWN_S[0]:
                start = piece.chunk.start + round(turn["start_s"] * _RATE_HZ)
                end = start + round(min(length_s, KNOWN_S[1]) * _RATE_HZ)
                self._known[turn["speaker"]] = sound_of(piece, start, end)


def _may_be_halved(request: Request, error: ProviderError) -> bool:
    """Say whether shorter pieces may be answered where this one was refused, or its answer ended early."""
    return request.divisible and error.code in TOO_LONG


def options_for(piece: Piece, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options that a piece is asked for with: words go along only where something is said."""
    return options if piece.speech_s >= LEAST_SPEECH_S else without_texts(options)


def local_request(
    engine: Engine, piece: Piece, options: Mapping[str, Any], operation: str = "transcribe"
) -> Request:
    """Return the request of a piece to a local engine, without the way to make it."""
    content = {**options, "start": piece.chunk.start} if engine.by_position else options
    return Request(
        engine=engine,
        operation=operation,
        unit=piece.chunk.unit,
        content=content,
        pcm_sha256=piece.pcm_sha256,
        seconds=piece.seconds,
    )


def concurrency_of(step: StagePlan, providers: Providers) -> int:
    """Return how many pieces an engine is asked for at once."""
    name, model = step.engine_name, step.options.get("model")
    if step.engine is not None and step.engine.network:
        return providers.remote_transcriber(name, model).concurrency()
    return providers.transcriber(name, model).concurrency()

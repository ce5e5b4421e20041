"""What was said: the recording in pieces, each piece with speech a call of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from pipeline.errors import ProviderError
from pipeline.inputs import WORDS
from pipeline.pieces import Piece, halves, sound_of
from pipeline.providers.base import Answer
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Sound, Wish
from pipeline.requests import Request, remote_request
from pipeline.speech.groups import spread
from pipeline.stages.probe import probe
from pipeline.work import StageResult, StageWork
from projections.plan import StagePlan

_RATE_HZ = 16000

HALVED_MIN_S = 2.0
"""A piece that is shorter is not cut in two, however often it is too long."""

KNOWN_MAX = 4
"""How many speakers an engine can be shown. Source: OpenAI's known_speaker_references."""

KNOWN_S = (2.0, 10.0)
"""How long the sound of a known speaker may be. Source: as above."""


def run(work: StageWork, providers: Providers) -> StageResult:
    """Transcribe every piece that holds speech and put the words back on the recording's clock."""
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    pieces = pieces_of(work.step, work, providers)
    spoken = [piece for piece in pieces if piece.has_speech]
    if engine.unprobed and spoken:
        probe(work, providers, spoken[0])
    heard = _Heard(work, providers, sum(piece.seconds for piece in spoken))
    answered = heard.in_order(spoken) if engine.in_order else heard.side_by_side(spoken)
    return _result(work, pieces, spoken, answered)


def pieces_of(step: StagePlan, work: StageWork, providers: Providers) -> list[Piece]:
    """Return the pieces that the engine of a step is given."""
    return work.cutter.pieces(step, work.inputs, work.artifacts, chunk_s_of(step, providers), work.check)


def chunk_s_of(step: StagePlan, providers: Providers) -> tuple[float, float]:
    """Return how long the engine of a step wants its pieces."""
    name, model = step.engine_name, step.options.get("model")
    if step.engine is not None and step.engine.network:
        return providers.remote_transcriber(name, model).chunk_s
    return providers.transcriber(name, model).chunk_s


def requests_of(step: StagePlan, pieces: Sequence[Piece], providers: Providers) -> list[Request]:
    """Return the requests of a transcription that can be known beforehand; they can be priced, not sent."""
    engine = step.engine
    assert engine is not None, "the plan names the engine of this stage"
    if engine.network:
        remote = providers.remote_transcriber(step.engine_name, step.options.get("model"))
        wish = Wish(step.options, engine.facts)
        return [remote_request(engine, remote, piece.chunk.unit, piece.sound, wish) for piece in pieces]
    return [_local(step, piece) for piece in pieces]


def _local(step: StagePlan, piece: Piece) -> Request:
    engine = step.engine
    assert engine is not None, "the plan names the engine of this stage"
    content = {**step.options, "start": piece.chunk.start} if engine.by_position else step.options
    return Request(
        engine=engine,
        operation="transcribe",
        unit=piece.chunk.unit,
        content=content,
        pcm_sha256=piece.pcm_sha256,
        seconds=piece.seconds,
    )


@define
class _Heard:
    """Asks for pieces and keeps count of what is done."""

    work: StageWork
    providers: Providers
    total_s: float
    _done_s: list[float] = field(factory=list, init=False)
    _names: dict[str, str] = field(factory=dict, init=False)

    def side_by_side(self, pieces: Sequence[Piece]) -> list[tuple[Piece, Answer]]:
        """Return the answers of all pieces; one that is too long for the engine is asked for in halves."""
        requests = [self._request(piece) for piece in pieces]
        answers = self.work.answers_or_too_long(requests, self._concurrency())
        answered: list[tuple[Piece, Answer]] = []
        for piece, request, answer in zip(pieces, requests, answers, strict=True):
            if isinstance(answer, ProviderError):
                answered += self.side_by_side(self._halves(piece, request, answer))
            else:
                answered.append((piece, answer))
        return answered

    def in_order(self, pieces: Sequence[Piece]) -> list[tuple[Piece, Answer]]:
        """Return the answers of pieces asked for one after another, each with the voices heard before it."""
        answered: list[tuple[Piece, Answer]] = []
        known: dict[str, Sound] = {}
        left = list(pieces)
        while left:
            piece = left.pop(0)
            request = self._request(piece, known)
            (answer,) = self.work.answers_or_too_long([request], 1)
            if isinstance(answer, ProviderError):
                left = [*self._halves(piece, request, answer), *left]
                continue
            answer = self._named(answer, known)
            answered.append((piece, answer))
            self._learn(known, piece, answer)
        return answered

    def _request(self, piece: Piece, known: Mapping[str, Sound] | None = None) -> Request:
        work, step = self.work, self.work.step
        engine = step.engine
        assert engine is not None, "the plan names the engine of this stage"

        def done() -> None:
            self._done_s.append(piece.seconds)
            work.progress(sum(self._done_s), self.total_s)

        name, model = step.engine_name, step.options.get("model")
        if engine.network:
            remote = self.providers.remote_transcriber(name, model)
            wish = Wish(step.options, engine.facts, known or {})
            # Parts that are asked for by themselves would each have voices of their own.
            keeps_voices = not engine.speakers or engine.in_order
            divisible = keeps_voices and piece.seconds >= HALVED_MIN_S
            request = remote_request(engine, remote, piece.chunk.unit, piece.sound, wish)
            return evolve(request, done=done, divisible=divisible)
        transcriber = self.providers.transcriber(name, model)
        return _local(step, piece).asking(lambda: transcriber.transcribe(piece.chunk, step.options, work), done)

    def _concurrency(self) -> int:
        step = self.work.step
        name, model = step.engine_name, step.options.get("model")
        if step.engine is not None and step.engine.network:
            return self.providers.remote_transcriber(name, model).concurrency()
        return self.providers.transcriber(name, model).concurrency()

    def _halves(self, piece: Piece, request: Request, error: ProviderError) -> list[Piece]:
        if not request.divisible:
            raise error
        self.work.reporter.stage_note(
            self.work.step.stage, f"{piece.chunk.unit}: too long for this engine; it is sent in two parts"
        )
        return halves(piece)

    def _named(self, answer: Answer, known: Mapping[str, Sound]) -> Answer:
        """Give each voice a name of the whole recording; one that the engine was shown keeps its name."""
        here: dict[str, str] = {name: name for name in known}

        def name(local: str) -> str:
            if local not in here:
                here[local] = f"SPEAKER_{len(self._names):02d}"
                self._names[here[local]] = local
            return here[local]

        turns = [{**turn, "speaker": name(turn["speaker"])} for turn in answer.get("turns", [])]
        words = [{**word, "speaker": name(word["speaker"])} for word in answer["words"]]
        return {**answer, "turns": turns, "words": words}

    def _learn(self, known: dict[str, Sound], piece: Piece, answer: Answer) -> None:
        """Keep the longest turn of each new voice, to show it to the engine with the pieces that follow."""
        for turn in sorted(answer["turns"], key=lambda turn: turn["start_s"] - turn["end_s"]):
            length_s = turn["end_s"] - turn["start_s"]
            if turn["speaker"] not in known and len(known) < KNOWN_MAX and length_s >= KNOWN_S[0]:
                start = piece.chunk.start + round(turn["start_s"] * _RATE_HZ)
                known[turn["speaker"]] = sound_of(piece, start, start + round(min(length_s, KNOWN_S[1]) * _RATE_HZ))


def _result(
    work: StageWork, pieces: Sequence[Piece], spoken: Sequence[Piece], answered: Sequence[tuple[Piece, Answer]]
) -> StageResult:
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    words = [word for piece, answer in answered for word in _words(piece, answer)]
    words.sort(key=lambda word: word["start_s"] if word["start_s"] is not None else 0.0)
    language = next((answer["language"] for _, answer in answered if answer.get("language")), None)
    content: dict[str, Any] = {"language": language, "draft": engine.draft, "words": words}
    if engine.speakers:
        for name in ("turns", "exclusive"):
            content[name] = [turn for piece, answer in answered for turn in _turns(piece, answer.get(name, []))]
    metadata = {
        "provider": engine.name,
        "model": _model(answered) or work.step.options.get("model"),
        "language": language,
        "words": len(words),
        "chunks": len(pieces),
        "chunks_without_speech": len(pieces) - len(spoken),
        "draft": engine.draft,
    }
    return StageResult((work.folder.put_json(WORDS, content),), metadata)


def _words(piece: Piece, answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the words of a piece on the recording's clock, clamped to the piece."""
    start_s, end_s = piece.chunk.start / _RATE_HZ, piece.chunk.end / _RATE_HZ

    def shifted(time_s: float | None) -> float | None:
        return None if time_s is None else round(min(max(start_s + time_s, start_s), end_s), 3)

    words = answer["words"]
    if words and all(word["start_s"] is None and word["end_s"] is None for word in words):
        times = spread([word["text"] for word in words], 0.0, end_s - start_s)
        words = [{**word, "start_s": a, "end_s": b} for word, (a, b) in zip(words, times, strict=True)]
    for word in words:
        found = {
            "text": word["text"],
            "start_s": shifted(word["start_s"]),
            "end_s": shifted(word["end_s"]),
            "confidence": word.get("confidence"),
            "channel": piece.chunk.channel,
        }
        speaker = piece.speaker or word.get("speaker")
        yield {**found, "speaker": speaker} if speaker else found


def _turns(piece: Piece, turns: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    start_s, end_s = piece.chunk.start / _RATE_HZ, piece.chunk.end / _RATE_HZ
    for turn in turns:
        first, last = (round(min(start_s + turn[name], end_s), 3) for name in ("start_s", "end_s"))
        yield {"start_s": first, "end_s": last, "speaker": turn["speaker"]}


def _model(answered: Sequence[tuple[Piece, Answer]]) -> str | None:
    """Return the model that an engine chose by itself, as its answers name it."""
    return next((model for _, answer in answered if (model := answer.get("metadata", {}).get("model"))), None)

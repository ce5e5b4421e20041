"""What was said: the recording in pieces, each piece with speech a call of its own; nothing is silently missing.

Where speech was heard and no words came, that part is asked for once more, cut otherwise. If there are still none,
the stage fails and says where, unless the user allows gaps; then each is marked in every output. Words that may be
invented are marked too, and fail nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.calls.requests import Request, remote_request
from pipeline.errors import MissingSpeechError
from pipeline.inputs import WORDS, begin_of
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Wish
from pipeline.speech.coverage import coverage
from pipeline.speech.suspicion import marked
from pipeline.speech.times import spans_of
from pipeline.speech.values import Gap, Turn, Word, later
from pipeline.stages.probe import probe
from pipeline.transcribing.hearing import Hearing, local_request, options_for
from pipeline.transcribing.languages import AUTO, Detected, detect, shares
from pipeline.transcribing.missing import (
    Found,
    ask_again,
    gaps_of,
    in_order,
    missing_message,
    second_pieces,
    speech_by_channel,
)
from pipeline.transcribing.pieces import Piece
from pipeline.work import StageResult, StageWork
from projections.engine import Engine
from projections.graph import AUDIO_CONVERSION
from projections.plan import StagePlan
from projections.summary import as_json


def run(work: StageWork, providers: Providers) -> StageResult:
    """Transcribe every piece that holds speech and put the words on the recording's clock.

    Raises:
        MissingSpeechError: speech has no words, and gaps aren't allowed. The answers are kept.
    """
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    pieces = pieces_of(work.step, work, providers)
    spoken = [piece for piece in pieces if piece.has_speech]
    if engine.unprobed and spoken:
        probe(work, providers, spoken[0])
    detected = detect(work, providers, spoken)
    options = {**work.step.options, **({"language": detected.language} if detected else {})}
    hearing = Hearing(work, providers, sum(piece.seconds for piece in spoken), options)
    found = [Found.of(heard) for heard in hearing.hear_some(spoken)]
    again = second_pieces(found) if engine.accounts_for_speech and engine.keeps_voices else {}
    if again:
        found = ask_again(found, again, hearing)
    speech = speech_by_channel(found)
    words = marked(in_order(found), speech if engine.accounts_for_speech else None)
    gaps = gaps_of(found, words, accounts_for_speech=engine.accounts_for_speech)
    if gaps and not work.step.gaps_allowed:
        begin_s = begin_of(work.inputs[AUDIO_CONVERSION])
        gaps = [later(gap, begin_s) for gap in gaps]
        raise MissingSpeechError(missing_message(gaps, f"evt run {work.recorder.state.pipeline_id}"))
    spoken_in = shares((one.heard.answer, one.heard.piece.speech_s) for one in found)
    content = _content(engine, found, words, gaps, next(iter(spoken_in), _named_language(work)))
    content["speech"] = [list(span) for span in spans_of(span for spans in speech.values() for span in spans)]
    metadata = _metadata(work, content, found, words)
    metadata |= _language_facts(work, detected, spoken_in)
    metadata |= {
        "chunks": len(pieces),
        "chunks_without_speech": len(pieces) - len(spoken),
        "chunks_asked_again": len(again),
        "gaps": len(gaps),
        "words_suspect": sum(bool(word.suspect) for word in words),
    }
    return StageResult((work.folder.put_json(WORDS, content),), metadata)


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
        wishes = ((piece, Wish(options_for(piece, step.options), engine.facts)) for piece in pieces)
        return [remote_request(engine, remote, piece.chunk.unit, piece.sound, wish) for piece, wish in wishes]
    return [local_request(engine, piece, options_for(piece, step.options)) for piece in pieces]


def _content(
    engine: Engine, found: Sequence[Found], words: Sequence[Word], gaps: Sequence[Gap], language: str | None
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "language": language,
        "draft": engine.draft,
        "words": [_stored(word) for word in words],
        "gaps": [as_json(gap) for gap in gaps],
    }
    if engine.speakers:
        for name in ("turns", "exclusive"):
            content[name] = [_stored_turn(turn) for one in found for turn in one.turns(name)]
    return content


def _metadata(
    work: StageWork, content: dict[str, Any], found: Sequence[Found], words: Sequence[Word]
) -> dict[str, Any]:
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    answers = [one.heard.answer for one in found if one.heard.answer is not None]
    # An engine may choose its model by itself; its answers then name it.
    model = next((name for answer in answers if (name := answer.get("metadata", {}).get("model"))), None)
    heard = coverage([(start_s, end_s) for start_s, end_s in content["speech"]], words)
    return {
        "provider": engine.name,
        "model": model or work.step.options.get("model"),
        "language": content["language"],
        "words": len(words),
        "speech_s": round(heard.speech_s, 2),
        "speech_without_words_s": round(heard.silent_s, 2),
        "draft": engine.draft,
    }


def _named_language(work: StageWork) -> str | None:
    language = work.step.options.get("language")
    return None if language == AUTO else language


def _language_facts(work: StageWork, detected: Detected | None, spoken_in: Mapping[str, float]) -> dict[str, Any]:
    """Return whether the language was found out, how sure that is, the seconds of each where pieces disagree."""
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    is_open = work.step.options.get("language") == AUTO and engine.languages is None
    facts: dict[str, Any] = {"language_detected": True} if is_open and spoken_in else {}
    if detected is not None:
        facts["language_probability"] = detected.probability
    return {**facts, "languages": dict(spoken_in)} if len(spoken_in) > 1 else facts


def _stored(word: Word) -> dict[str, Any]:
    """Return a word as it is kept; what it hasn't is left out, but for its times and confidence."""
    stored: dict[str, Any] = as_json(word)
    return {name: value for name, value in stored.items() if value or name not in {"speaker", "suspect", "segment"}}


def _stored_turn(turn: Turn) -> dict[str, Any]:
    return {"start_s": turn.start_s, "end_s": turn.end_s, "speaker": turn.speaker}

"""Which language a recording is in: found once for all of it where an engine can, else that of most speech."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import frozen

from pipeline.providers.base import Detector
from pipeline.providers.registry import Providers
from pipeline.transcribing.hearing import local_request
from pipeline.transcribing.pieces import Piece
from pipeline.work import StageWork

AUTO = "auto"

PIECES = 3
"""So many pieces are asked for their language, those with most speech: an introduction may be in another one."""


@frozen
class Detected:
    """A language, and how sure the engine is of it, from 0 to 1."""

    language: str
    probability: float


def detect(work: StageWork, providers: Providers, pieces: Sequence[Piece]) -> Detected | None:
    """Return the language of a recording; None where the user named it, or the engine doesn't find it beforehand.

    Each question is a call, so a later attempt has the same answers. Of the languages that come, the one with most
    speech behind it wins, each piece counting as far as the engine is sure of it.
    """
    engine, name = work.step.engine, work.step.engine_name
    assert engine is not None, "the plan names the engine of this stage"
    if engine.network or engine.languages is not None or work.step.options.get("language") != AUTO:
        return None
    transcriber = providers.transcriber(name, work.step.options.get("model"))
    if not isinstance(transcriber, Detector):
        return None
    asked = sorted(pieces, key=lambda piece: -piece.speech_s)[:PIECES]
    options = {name: value for name, value in work.step.options.items() if name == "model"}
    requests = [
        local_request(engine, piece, options, "detect_language").asking(
            partial(transcriber.detect_language, piece.chunk, options, work), lambda: None
        )
        for piece in asked
    ]
    answers = work.answers(requests, transcriber.concurrency())
    return weighed([(answer, piece.speech_s) for answer, piece in zip(answers, asked, strict=True)])


def weighed(answers: Iterable[tuple[Mapping[str, Any], float]]) -> Detected | None:
    """Return the language that answers, each with its seconds of speech, speak for; None where none names one."""
    weights: dict[str, float] = defaultdict(float)
    total_s = 0.0
    for answer, speech_s in answers:
        if answer["language"] is not None:
            weights[answer["language"]] += float(answer["probability"]) * speech_s
            total_s += speech_s
    if not total_s:
        return None
    language = min(weights, key=lambda code: (-weights[code], code))
    return Detected(language, round(weights[language] / total_s, 4))


def shares(answers: Iterable[tuple[Mapping[str, Any] | None, float]]) -> dict[str, float]:
    """Return the seconds of speech in each language that answers name, the most first.

    An answer without words says nothing of a language.
    """
    seconds: dict[str, float] = defaultdict(float)
    for answer, speech_s in answers:
        if answer is not None and answer["words"] and answer.get("language"):
            seconds[answer["language"]] += speech_s
    return {code: round(seconds[code], 2) for code in sorted(seconds, key=lambda code: (-seconds[code], code))}

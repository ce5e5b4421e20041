"""Everything that is known of a transcript, for programs, as docs/transcript-json.md specifies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import AttributedWord, Turn, Utterance

SCHEMA = "evt.transcript"
VERSION = 1
"""Raised when a field changes its meaning or goes; new fields may come without."""

DECIMALS = 3
"""Times are written to the millisecond, shares and confidences as finely."""


def render(transcript: Transcript) -> str:
    """Write the transcript as indented JSON; equal transcripts give equal bytes."""
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "id": transcript.id,
        "name": one_line(transcript.name),
        "language": transcript.language,
        "draft": transcript.draft,
        "duration_s": _rounded(transcript.duration_s),
        "engines": {
            "diarizer": one_line(transcript.engines.diarizer),
            "transcriber": one_line(transcript.engines.transcriber),
        },
        "notes": list(transcript.notes),
        "speakers": _speakers(transcript),
        "utterances": [_utterance(utterance) for utterance in transcript.utterances],
        "turns": [_turn(turn) for turn in transcript.turns],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _speakers(transcript: Transcript) -> list[dict[str, Any]]:
    names = {turn.speaker for turn in transcript.turns} | {u.speaker for u in transcript.utterances}
    return [_speaker(name, transcript) for name in sorted(names)]


def _speaker(name: str, transcript: Transcript) -> dict[str, Any]:
    words = sum(len(utterance.words) for utterance in transcript.utterances if utterance.speaker == name)
    talk_s = _covered_s(turn for turn in transcript.turns if turn.speaker == name)
    label = transcript.labels.get(name, name)
    return {"speaker": one_line(name), "label": one_line(label), "talk_s": _rounded(talk_s), "words": words}


def _covered_s(turns: Iterable[Turn]) -> float:
    """Return the seconds that the turns cover, counting overlaps once."""
    covered_s, until_s = 0.0, 0.0
    for start_s, end_s in sorted((turn.start_s, turn.end_s) for turn in turns):
        covered_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return covered_s


def _utterance(utterance: Utterance) -> dict[str, Any]:
    return {
        "speaker": one_line(utterance.speaker),
        "start_s": _rounded(utterance.start_s),
        "end_s": _rounded(utterance.end_s),
        "text": one_line(utterance.text),
        "words": [_word(word) for word in utterance.words],
    }


def _word(word: AttributedWord) -> dict[str, Any]:
    return {
        "text": one_line(word.text),
        "start_s": _rounded(word.start_s),
        "end_s": _rounded(word.end_s),
        "speaker": one_line(word.speaker),
        "share": _rounded(word.share),
        "method": word.method,
        "confidence": None if word.confidence is None else _rounded(word.confidence),
        "alternatives": [one_line(speaker) for speaker in word.alternatives],
        "overlapped": word.overlapped,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "start_s": _rounded(turn.start_s),
        "end_s": _rounded(turn.end_s),
        "speaker": one_line(turn.speaker),
        "channel": turn.channel,
    }


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)

"""Everything that is known of a transcript, for programs, as docs/transcript-json.md specifies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.formats.paragraphs import Speaker, speakers
from pipeline.speech.transcript import Excerpt, Transcript, one_line
from pipeline.speech.values import AttributedWord, Gap, Turn, Utterance

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
        "duration_s": rounded(transcript.duration_s),
        "engines": {
            "diarizer": one_line(transcript.engines.diarizer),
            "transcriber": one_line(transcript.engines.transcriber),
        },
        "excerpt": None if transcript.excerpt is None else _excerpt(transcript.excerpt),
        "notes": list(transcript.notes),
        "speakers": [_speaker(one) for one in speakers(transcript)],
        "utterances": [_utterance(utterance) for utterance in transcript.utterances],
        "turns": [_turn(turn) for turn in transcript.turns],
        "gaps": [_gap(gap) for gap in transcript.gaps],
        "quality": _tidy(transcript.quality),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _excerpt(one: Excerpt) -> dict[str, Any]:
    length_s = None if one.recording_s is None else rounded(one.recording_s)
    return {"start_s": rounded(one.start_s), "end_s": rounded(one.end_s), "recording_s": length_s}


def _speaker(one: Speaker) -> dict[str, Any]:
    label, name = one_line(one.label), one_line(one.name)
    return {"speaker": name, "label": label, "talk_s": rounded(one.talk_s), "words": one.words}


def _utterance(utterance: Utterance) -> dict[str, Any]:
    return {
        "speaker": one_line(utterance.speaker),
        "start_s": rounded(utterance.start_s),
        "end_s": rounded(utterance.end_s),
        "text": one_line(utterance.text),
        "words": [_word(word) for word in utterance.words],
    }


def _word(word: AttributedWord) -> dict[str, Any]:
    return {
        "text": one_line(word.text),
        "start_s": rounded(word.start_s),
        "end_s": rounded(word.end_s),
        "speaker": one_line(word.speaker),
        "share": rounded(word.share),
        "method": word.method,
        "confidence": None if word.confidence is None else rounded(word.confidence),
        "alternatives": [one_line(speaker) for speaker in word.alternatives],
        "overlapped": word.overlapped,
        "suspect": list(word.suspect),
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "start_s": rounded(turn.start_s),
        "end_s": rounded(turn.end_s),
        "speaker": one_line(turn.speaker),
        "channel": turn.channel,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"start_s": rounded(gap.start_s), "end_s": rounded(gap.end_s), "channel": gap.channel}


def _tidy(value: Any) -> Any:
    """Return a report with its keys in order, since mappings are equal in any order, and texts of one line."""
    if isinstance(value, Mapping):
        return {one_line(name): _tidy(value[name]) for name in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_tidy(item) for item in value]
    return one_line(value) if isinstance(value, str) else value


def rounded(value: float) -> float:
    """Return a time, share or confidence as it is written."""
    return round(float(value), DECIMALS)

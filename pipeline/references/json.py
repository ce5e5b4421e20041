"""The transcript as JSON that evt writes: docs/transcript-json.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.references.text import ReferenceFileError, spoken
from pipeline.references.values import Accounts, Segment, accounts

SCHEMA = "evt.transcript"


def read(text: str) -> Accounts:
    """Read a transcript: its utterances, and the diarizer's turns.

    Raises:
        ReferenceFileError: it is no JSON, or not a transcript of evt.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ReferenceFileError(f"line {error.lineno}: this is no JSON: {error.msg}.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ReferenceFileError(f'this JSON is no transcript of evt: it must have `"schema": "{SCHEMA}"`.')
    try:
        return accounts([*_utterances(document), *_turns(document)], speakers=True)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReferenceFileError(
            f"this transcript is not as evt writes it ({type(error).__name__}: {error}). Export it again."
        ) from error


def _utterances(document: dict[str, Any]) -> Iterator[Segment]:
    for one in document["utterances"]:
        yield Segment(spoken(one["text"]), float(one["start_s"]), float(one["end_s"]), str(one["speaker"]))


def _turns(document: dict[str, Any]) -> Iterator[Segment]:
    for turn in document["turns"]:
        yield Segment(None, float(turn["start_s"]), float(turn["end_s"]), str(turn["speaker"]))

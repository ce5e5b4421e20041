"""JSON Lines: an object for each utterance, with `text`, and where they are known `speaker`, `start_s`, `end_s`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.references.text import ReferenceFileError, numbered_lines, require_order, spoken
from pipeline.references.values import Accounts, Segment, accounts


def read(text: str) -> Accounts:
    """Read JSON Lines; objects whose `gap` is true hold no speech.

    Raises:
        ReferenceFileError: a line is no such object.
    """
    segments = list(_segments(text))
    return accounts(segments, times=all(segment.end_s is not None for segment in segments))


def _segments(text: str) -> Iterator[Segment]:
    for number, line in numbered_lines(text):
        try:
            one = orjson.loads(line)
            if not isinstance(one, dict) or not isinstance(one.get("text", "" if one.get("gap") else None), str):
                raise ReferenceFileError(f"line {number}: this is no object with a `text`. Give JSON Lines.")
            if one.get("gap"):
                continue
            start_s, end_s = _seconds(one.get("start_s")), _seconds(one.get("end_s"))
            segment = Segment(spoken(one["text"]), start_s, end_s, one.get("speaker"))
            require_order(start_s or 0.0, end_s or start_s or 0.0, number)
        except (TypeError, ValueError) as error:
            raise ReferenceFileError(f"line {number}: {error}.") from error
        yield segment


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)

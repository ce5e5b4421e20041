"""Reads results of pyannoteAI, and believes only what can be true. Pure.

Every ValueError here says why an answer is not believed, as the end of a sentence of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson
from attrs import frozen

AFTER_S = 1.0
"""How far a time may lie behind the end of the sound; it is moved to the end. What goes further is wrong."""


@frozen
class Stretch:
    """Somebody speaks, or a word is spoken, during [start_s, end_s); `speaker` is the service's name."""

    start_s: float
    end_s: float
    speaker: str
    text: str = ""


def output_of(body: str) -> Mapping[str, Any]:
    """Return the output of a job that succeeded."""
    try:
        job = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("it is no whole JSON") from None
    if not isinstance(job, dict):
        raise ValueError("it is no JSON object")
    if job.get("status") != "succeeded":
        raise ValueError("it doesn't say that the job succeeded")
    output = job.get("output")
    if not isinstance(output, dict):
        raise ValueError("there is no output in it")
    return output


def stretches(output: Mapping[str, Any], name: str, duration_s: float, *, texts: bool = False) -> list[Stretch]:
    """Return a list of turns or words, in its order.

    Raises:
        ValueError: it is not there, or something in it can't be true.
    """
    items = output.get(name)
    if not isinstance(items, list):
        raise ValueError(f"there is no list {name} in it")
    found = [_stretch(item, f"{name}[{number}]", duration_s, texts=texts) for number, item in enumerate(items)]
    for number, (one, later) in enumerate(pairwise(found), start=1):
        if later.start_s < one.start_s:
            raise ValueError(f"the times of {name}[{number}] go back")
    return found


def _stretch(item: Any, where: str, duration_s: float, *, texts: bool) -> Stretch:
    if not isinstance(item, dict):
        raise ValueError(f"{where} is no object")
    start_s, end_s = (_seconds(item.get(name), f"{name} of {where}") for name in ("start", "end"))
    if end_s < start_s:
        raise ValueError(f"{where} ends before it starts")
    if end_s > duration_s + AFTER_S:
        raise ValueError(f"{where} ends at {end_s:.2f} s, after the end of the sound at {duration_s:.2f} s")
    speaker, text = item.get("speaker"), item.get("text") if texts else ""
    if not isinstance(speaker, str) or not speaker:
        raise ValueError(f"{where} has no speaker")
    if not isinstance(text, str):
        raise ValueError(f"{where} has no text")
    return Stretch(min(start_s, duration_s), min(end_s, duration_s), speaker, text.strip())


def _seconds(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"the {what} is no number")
    if value < 0:
        raise ValueError(f"the {what} is negative")
    return float(value)


def names_of(stretches_by_time: Iterable[Stretch], given: Mapping[str, str]) -> dict[str, str]:
    """Return our name for each speaker: the given one, else SPEAKER_00, SPEAKER_01 … by their first turns."""
    names: dict[str, str] = {}
    for stretch in stretches_by_time:
        if stretch.speaker not in names:
            unnamed = sum(speaker not in given for speaker in names)
            names[stretch.speaker] = given.get(stretch.speaker, f"SPEAKER_{unnamed:02d}")
    return names


def turns(found: Sequence[Stretch], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return turns as a diarizer answers them; those without a length are left out."""
    return [
        {"start_s": _rounded(one.start_s), "end_s": _rounded(one.end_s), "speaker": names[one.speaker]}
        for one in found
        if _rounded(one.end_s) > _rounded(one.start_s)
    ]


def words(found: Sequence[Stretch], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return words as a transcriber answers them; those without text are left out."""
    return [
        {
            "text": one.text,
            "start_s": _rounded(one.start_s),
            "end_s": _rounded(one.end_s),
            "speaker": names[one.speaker],
        }
        for one in found
        if one.text
    ]


def matches(output: Mapping[str, Any], labels: Iterable[str]) -> dict[str, str]:
    """Return the label of each speaker whose voice was recognised.

    Raises:
        ValueError: it names somebody whose voiceprint was not given.
    """
    found = output.get("voiceprints")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("there is no list voiceprints in it")
    pairs = {str(item.get("speaker")): item["match"] for item in found if item.get("match") is not None}
    if not set(pairs.values()) <= set(labels):
        raise ValueError("it names somebody whose voiceprint was not given")
    return pairs


def _rounded(seconds: float) -> float:
    return round(seconds, 3)

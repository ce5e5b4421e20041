"""What NIST's line formats have in common: fields without white space, times in whole milliseconds. Pure."""

from __future__ import annotations

from pathlib import PurePath

from pipeline.speech.transcript import Transcript, one_line


def field(text: str, instead: str) -> str:
    """Return text without white space, which separates fields."""
    return "_".join(one_line(text).split()) or instead


def file_field(transcript: Transcript) -> str:
    """Return the recording's name without its suffix, else the pipeline's id."""
    return field(PurePath(one_line(transcript.name)).stem, transcript.id)


def channel_field(channel: int | None) -> int:
    """Return a channel counted from 1; what is of no channel is on 1."""
    return 1 if channel is None else channel + 1


def milliseconds(time_s: float) -> int:
    """Return a border, rounded once; lengths are differences of such."""
    return round(time_s * 1000)


def seconds(time_ms: int) -> str:
    """Write whole milliseconds as seconds with three decimals."""
    return f"{time_ms // 1000}.{time_ms % 1000:03}"

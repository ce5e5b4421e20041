"""CTM: every word with its time, for programs that score words (sclite, asclite, Kaldi).

The format has no speakers and no gaps, and there are no comments here, at which some readers stop.

Source: NIST, SCTK, ctm format; the order is that of the format: by file, channel and start.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.formats.fields import channel_field, field, file_field, milliseconds, seconds
from pipeline.speech.transcript import Transcript
from pipeline.speech.values import AttributedWord


def render(transcript: Transcript) -> str:
    """Write a line per word; nothing where there is none. White space within a word becomes `_`.

    A word is on its speaker's channel where all turns of that speaker are on one, else on 1. The confidence is
    left out where the transcriber gives none.
    """
    # A line that begins with two semicolons is a comment.
    name = file_field(transcript).lstrip(";") or transcript.id
    channels = _channels(transcript)
    words = [word for utterance in transcript.utterances for word in utterance.words if field(word.text, "")]
    placed = [(channels.get(word.speaker, 1), milliseconds(word.start_s), word) for word in words]
    return "".join(_line(f"{name} {channel}", word) for channel, _, word in sorted(placed, key=lambda one: one[:2]))


def _line(place: str, word: AttributedWord) -> str:
    start_ms = milliseconds(word.start_s)
    length_ms = max(0, milliseconds(word.end_s) - start_ms)
    confidence = "" if word.confidence is None else f" {word.confidence:.3f}"
    return f"{place} {seconds(start_ms)} {seconds(length_ms)} {field(word.text, '')}{confidence}\n"


def _channels(transcript: Transcript) -> Mapping[str, int]:
    """Return the channels of the speakers who have one of their own, counted from 1."""
    heard: dict[str, set[int | None]] = {}
    for turn in transcript.turns:
        heard.setdefault(turn.speaker, set()).add(turn.channel)
    return {speaker: channel_field(*on) for speaker, on in heard.items() if len(on) == 1}

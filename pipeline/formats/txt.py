"""Plain text for people: what must be known first, then one paragraph for each time that somebody speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.formats.cues import clock
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import Utterance

NO_SPEECH = "(no speech found)"

PARAGRAPH_PAUSE_S = 2.0
PARAGRAPH_S = 60.0
"""Within one speaker's speech a paragraph ends with the utterance before such a pause, or after so long."""


def render(transcript: Transcript) -> str:
    """Write the transcript as paragraphs with an empty line between them."""
    spoken = [_paragraph(group) for group in _groups(transcript.utterances)]
    return "\n\n".join([*transcript.notes, *(spoken or [NO_SPEECH])]) + "\n"


def _groups(utterances: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    group: list[Utterance] = []
    for utterance in utterances:
        if not one_line(utterance.text):
            continue
        if group and _begins_paragraph(group, utterance):
            yield group
            group = []
        group.append(utterance)
    if group:
        yield group


def _begins_paragraph(group: Sequence[Utterance], utterance: Utterance) -> bool:
    first, last = group[0], group[-1]
    return (
        utterance.speaker != last.speaker
        or utterance.start_s - last.end_s > PARAGRAPH_PAUSE_S
        or utterance.end_s - first.start_s > PARAGRAPH_S
    )


def _paragraph(group: Sequence[Utterance]) -> str:
    time = clock(int(group[0].start_s), ".").partition(".")[0]
    text = one_line(" ".join(utterance.text for utterance in group))
    return f"[{time}] {one_line(group[0].speaker)}: {text}"

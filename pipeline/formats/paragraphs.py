"""A transcript as paragraphs for people, and the facts that stand above them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from pipeline.speech.scripts import joined
from pipeline.speech.times import clock, length_s, spans_of
from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import UNKNOWN_SPEAKER, Gap, Utterance

NO_SPEECH = "(no speech found)"
"""What stands in the place of paragraphs where there are none."""

PARAGRAPH_PAUSE_S = 2.0
PARAGRAPH_S = 60.0
"""Within one speaker's speech a paragraph ends with the utterance before such a pause, or after so long, and where
the user divided it."""


@frozen
class Paragraph:
    """What somebody says without a long pause, or a gap; its text is one line and never empty.

    Attributes:
        speaker: one line, never empty; None for a gap.
    """

    start_s: float
    speaker: str | None
    text: str


@frozen
class Speaker:
    """How much somebody speaks.

    Attributes:
        name: as in the transcript.
        label: as the diarizer calls the speaker.
        talk_s: seconds of the speaker's turns, overlaps among them counted once.
        words: how many.
    """

    name: str
    label: str
    talk_s: float
    words: int


def paragraphs(transcript: Transcript) -> tuple[Paragraph, ...]:
    """Return the passages as paragraphs, in their order; utterances without visible text are left out."""
    return tuple(
        Paragraph(group.start_s, None, gap_text(group)) if isinstance(group, Gap) else _spoken(group)
        for group in _groups(transcript.passages)
    )


def speakers(transcript: Transcript) -> tuple[Speaker, ...]:
    """Return everyone who has a turn or a word, ordered by name."""
    names = {turn.speaker for turn in transcript.turns} | {one.speaker for one in transcript.utterances}
    return tuple(
        Speaker(
            name,
            transcript.labels.get(name, name),
            length_s(spans_of((turn.start_s, turn.end_s) for turn in transcript.turns if turn.speaker == name)),
            sum(len(utterance.words) for utterance in transcript.utterances if utterance.speaker == name),
        )
        for name in sorted(names)
    )


def facts(transcript: Transcript) -> tuple[tuple[str, str], ...]:
    """Return what a reader may want to know of a recording, as labels and values of one line each."""
    engines = transcript.engines
    return (
        ("Recording", one_line(transcript.name)),
        ("Length", clock(transcript.duration_s)),
        ("Language", one_line(transcript.language or "") or "unknown"),
        *(
            ("Speaker", f"{shown_speaker(one.name)}, {clock(one.talk_s)} of speech, {one.words} words")
            for one in speakers(transcript)
        ),
        ("Engines", f"{one_line(engines.diarizer)} (speakers), {one_line(engines.transcriber)} (words)"),
    )


def shown_speaker(speaker: str) -> str:
    """Return a speaker's name as one line that is not empty."""
    return one_line(speaker) or UNKNOWN_SPEAKER


def _spoken(group: Sequence[Utterance]) -> Paragraph:
    text = joined(one_line(utterance.text) for utterance in group)
    return Paragraph(group[0].start_s, shown_speaker(group[0].speaker), text)


def _groups(passages: Iterable[Utterance | Gap]) -> Iterator[list[Utterance] | Gap]:
    group: list[Utterance] = []
    for passage in passages:
        if isinstance(passage, Utterance) and not one_line(passage.text):
            continue
        if group and (isinstance(passage, Gap) or _begins_paragraph(group, passage)):
            yield group
            group = []
        if isinstance(passage, Gap):
            yield passage
        else:
            group.append(passage)
    if group:
        yield group


def _begins_paragraph(group: Sequence[Utterance], utterance: Utterance) -> bool:
    first, last = group[0], group[-1]
    return (
        utterance.divided
        or utterance.speaker != last.speaker
        or utterance.start_s - last.end_s > PARAGRAPH_PAUSE_S
        or utterance.end_s - first.start_s > PARAGRAPH_S
    )

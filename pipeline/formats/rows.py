"""A transcript as rows: one for each utterance or gap, with its text as readers are shown it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from pipeline.speech.transcript import Transcript, gap_text, one_line
from pipeline.speech.values import Gap

HEADER = ("start_s", "end_s", "speaker", "text")


@frozen
class Row:
    """One utterance or gap; speaker and text are one line. A gap has no speaker."""

    start_s: float
    end_s: float
    speaker: str
    text: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as HEADER names it, times in seconds to the millisecond."""
        return f"{self.start_s:.3f}", f"{self.end_s:.3f}", self.speaker, self.text


def rows(transcript: Transcript) -> Iterator[Row]:
    """Yield a row for each utterance and gap, ordered by start."""
    for passage in transcript.passages:
        speaker, text = ("", gap_text(passage)) if isinstance(passage, Gap) else (passage.speaker, passage.text)
        yield Row(passage.start_s, passage.end_s, one_line(speaker), one_line(text))

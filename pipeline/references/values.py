"""What a reference, or what is judged by it, says of recordings: who said what when, as far as it knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from pipeline.speech.values import Turn


@frozen
class Segment:
    """Something that is said, or somebody's turn; what the file doesn't tell is None.

    Attributes:
        text: the words; None for a turn of which only the time is known.
        start_s, end_s: from the start of the recording.
        speaker: who speaks.
        recording: its name, where a file can hold several; else empty.
    """

    text: str | None
    start_s: float | None = None
    end_s: float | None = None
    speaker: str | None = None
    recording: str = ""


@frozen
class Account:
    """What a file says of one recording.

    Attributes:
        segments: in the file's order.
        words, times, speakers: whether it tells these at all; it may, and still hold none.
    """

    segments: tuple[Segment, ...]
    words: bool
    times: bool
    speakers: bool

    @property
    def said(self) -> tuple[Segment, ...]:
        """What has words, ordered by start; in the file's order where there are no times."""
        said = [segment for segment in self.segments if segment.text is not None]
        return tuple(sorted(said, key=lambda segment: segment.start_s or 0.0) if self.times else said)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Who speaks when: the turns that the file holds as such, else the times of what is said."""
        alone = [segment for segment in self.segments if segment.text is None]
        return tuple(
            Turn(segment.start_s, segment.end_s, segment.speaker)
            for segment in alone or self.segments
            if segment.start_s is not None and segment.end_s is not None and segment.speaker is not None
        )


Accounts = Mapping[str, Account]
"""By the recording's name; the name is empty where the format has none. Never empty."""


def accounts(
    segments: Iterable[Segment], *, words: bool = True, times: bool = True, speakers: bool | None = None
) -> Accounts:
    """Sort segments by recording.

    Args:
        segments: in the file's order.
        words: the format has words.
        times: the format has times.
        speakers: whether the file tells the speakers; None: it does if it tells that of every segment.
    """
    of: dict[str, list[Segment]] = {}
    for segment in segments:
        of.setdefault(segment.recording, []).append(segment)
    if speakers is None:
        speakers = all(segment.speaker is not None for found in of.values() for segment in found)
    return {name: Account(tuple(found), words, times, speakers) for name, found in (of or {"": []}).items()}

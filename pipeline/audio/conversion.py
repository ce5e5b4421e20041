"""What a conversion makes, and which files can be one: light, for those who let another process do it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Protocol

from attrs import frozen

from pipeline.errors import SourceRejectedError


@frozen
class Selection:
    """What of a recording is read.

    Attributes:
        track: the audio track, counted from 1; None: the default one, else the first that can be decoded.
        start_s: where on the recording's clock reading begins.
        end_s: where it ends; None: at the recording's end.
    """

    track: int | None = None
    start_s: float = 0.0
    end_s: float | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Selection:
        """Return what the options of a conversion select."""
        return cls(options.get("track"), options.get("start_s") or 0.0, options.get("end_s"))

    @property
    def is_excerpt(self) -> bool:
        """Only a part of the recording's time is wanted."""
        return bool(self.start_s) or self.end_s is not None

    def seconds_of(self, total_s: float) -> float:
        """Return how much of a recording of this length is wanted."""
        return max(0.0, min(total_s, total_s if self.end_s is None else self.end_s) - self.start_s)


EVERYTHING = Selection()


@frozen
class Track:
    """One file written.

    Attributes:
        name: of the file in the folder.
        channel: of the source, 0-based; None for the mix.
        pcm_sha256: digest of the samples as s16le, mono, 16 kHz.
        samples: how many at 16 kHz.
    """

    name: str
    channel: int | None
    pcm_sha256: str
    samples: int


@frozen
class Conversion:
    """What a conversion made.

    Attributes:
        tracks: the mix, then the channels that carry different speech, if they do.
        metadata: numbers and short words about the source and what was done to it; its keys are listed at
            `pipeline.audio.convert.convert`.
    """

    tracks: tuple[Track, ...]
    metadata: Mapping[str, Any]


class Watcher(Protocol):
    """Who watches a conversion; a `Work` of the providers is one."""

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop."""

    def progress(self, done_s: float, total_s: float) -> None:
        """Take note of how many seconds of sound are done."""


def checked_size(source: Path) -> int:
    """Return the size of a recording in bytes, without opening it.

    Raises:
        SourceRejectedError: missing, empty, or no file.
    """
    name = repr(str(source))
    try:
        stat = source.stat()
    except OSError as error:
        raise SourceRejectedError(f"{name} can't be found or may not be read ({error.strerror}).") from error
    if S_ISDIR(stat.st_mode):
        raise SourceRejectedError(f"{name} is a folder. Name the recordings in it.")
    if not S_ISREG(stat.st_mode):
        raise SourceRejectedError(f"{name} is not a file. Save the recording to a file first.")
    if not stat.st_size:
        raise SourceRejectedError(f"{name} is empty (0 bytes). Copy or download it again.")
    return stat.st_size

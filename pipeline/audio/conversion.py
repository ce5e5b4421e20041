"""What a conversion makes, and which files can be one: light, for those who let another process do it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Protocol

from attrs import frozen

from pipeline.errors import SourceRejectedError


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

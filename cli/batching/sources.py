"""What a user may name as recordings: files, folders, patterns, lists of names. From that to one name for each."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from cli.render import printable
from cli.settings.sidecar import is_settings_file
from eventlog.errors import EvtError
from pipeline.errors import SourceRejectedError
from projections.graph import FORMATS

STDIN = "-"

SUFFIXES = frozenset({
    "3g2", "3ga", "3gp", "aa3", "aac", "ac3", "adts", "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi",
    "caf", "dss", "dts", "eac3", "f4a", "f4v", "flac", "flv", "gsm", "m2ts", "m4a", "m4b", "m4v", "mka",
    "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mpga", "mts", "mxf", "oga", "ogg", "ogm", "ogv",
    "opus", "qt", "ra", "rf64", "rm", "snd", "spx", "tta", "voc", "vob", "w64", "wav", "wave", "weba", "webm",
    "wma", "wmv", "wv",
})  # fmt: skip
"""What looks like a recording in a folder. A file that is named itself may be called anything."""


@frozen
class Refusal:
    """Something that the user named and that can't be worked on."""

    written: str
    error: EvtError


def listed(written: Sequence[str], lists: Sequence[str]) -> Iterator[str]:
    """Yield the names of a command line, then those of each list, a file or `-` for standard input.

    A list holds one name a line, or names that end in NUL where there is a NUL in it; empty lines and lines that
    begin with `#` are passed over.

    Raises:
        SourceRejectedError: a list can't be read.
    """
    for text in written:
        if text == STDIN:
            yield from _names_in(sys.stdin.buffer.read())
        else:
            yield text
    for path in lists:
        try:
            content = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        except OSError as error:
            raise SourceRejectedError(f"The list {printable(path)} can't be read: {error.strerror}.") from error
        yield from _names_in(content)


def expanded(names: Iterable[str], home: Path) -> Iterator[str | Refusal]:
    """Yield a name for each recording: of folders what is in them, of patterns what they match; the rest as it is.

    Nothing is opened. A name that is there literally is no pattern.

    Args:
        names: as the user wrote them.
        home: what lies in there is evt's own, and no recording.
    """
    for text in names:
        try:
            yield from _recordings_of(text, home)
        except EvtError as error:
            yield Refusal(text, error)
        except OSError as error:
            yield unopened(text, error)


def unopened(text: str, error: OSError) -> Refusal:
    """Return the refusal of a name that the system can't open."""
    reason = f"{printable(text[:200])} can't be opened: {error.strerror}. Check the name and the folder."
    return Refusal(text, SourceRejectedError(reason))


def is_pattern(text: str) -> bool:
    """Say whether a name that isn't there can be a pattern such as `*.wav`."""
    return glob.has_magic(text)


def is_there(path: Path) -> bool:
    """Say whether there is something at a path; raises OSError where that can't be found out."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _names_in(content: bytes) -> Iterator[str]:
    if b"\0" in content:
        yield from (os.fsdecode(name) for name in content.split(b"\0") if name)
        return
    for line in content.split(b"\n"):
        name = line.removesuffix(b"\r")
        if name.strip() and not name.startswith(b"#"):
            yield os.fsdecode(name)


def _recordings_of(text: str, home: Path) -> Iterator[str | Refusal]:
    path = Path(text)
    if not text or "\0" in text:
        yield text
    elif is_there(path):
        yield from _in_folder(text, home) if path.is_dir() else (text,)
    elif is_pattern(text):
        matches = [name for name in sorted(glob.iglob(text, recursive=True)) if may_be_recording(Path(name))]
        for found in matches or [text]:
            yield from _in_folder(found, home, matched=True) if Path(found).is_dir() else (found,)
    else:
        yield text


def may_be_recording(path: Path) -> bool:
    """Say whether one of several files may be meant, as in `evt run *`: settings and transcripts are not."""
    return not is_settings_file(path) and path.suffix[1:].lower() not in FORMATS


def _in_folder(folder: str, home: Path, *, matched: bool = False) -> Iterator[str | Refusal]:
    """Yield the recordings in a folder and those below it, in the order of their names."""
    own = identity(home)
    if own is not None and identity(Path(folder)) == own:
        raise SourceRejectedError(f"{printable(folder)} is evt's home. Name the folder of your recordings.")
    trouble: list[Refusal] = []
    is_empty = True
    for here, below, files in os.walk(
        folder, onerror=lambda error: trouble.append(unopened(error.filename, error))
    ):
        shown = (name for name in below if not name.startswith("."))
        below[:] = sorted(name for name in shown if own is None or identity(Path(here, name)) != own)
        for name in sorted(filter(looks_like_a_recording, files)):
            is_empty = False
            yield os.path.join(here, name)
    yield from trouble
    if is_empty and not trouble and not matched:
        raise SourceRejectedError(
            f"The folder {printable(folder)} holds no recordings: no file in it ends in "
            f"{', '.join(_EXAMPLES)} or the like. Name a file itself if it is one."
        )


def looks_like_a_recording(name: str) -> bool:
    """Say whether a file of this name in a folder is taken for a recording."""
    stem, _, suffix = name.rpartition(".")
    return bool(stem) and not name.startswith(".") and suffix.lower() in SUFFIXES


_EXAMPLES = (".wav", ".mp3", ".m4a", ".mp4")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file or folder from all others that are there now; None: it can't be found."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

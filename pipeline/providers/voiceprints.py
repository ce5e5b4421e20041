"""Where voiceprints are kept: one file for each name, private to the user. They are biometric data."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import orjson
from attrs import frozen

from eventlog.folders import make_dirs_durably
from eventlog.storage import PosixStorage, replace_durably
from pipeline.errors import VoiceprintError

_END = ".json"
_NAME_MAX = 100
_NAME_BYTES_MAX = 240
"""File systems take 255 bytes, ends included."""


@frozen
class Voiceprint:
    """A voiceprint that is kept.

    Attributes:
        name: whose voice it is; it never gets into a log.
        text: as the service gave it.
        pipeline: the id of the recording that it was made of.
        created_at: RFC 3339.
    """

    name: str
    text: str
    pipeline: str
    created_at: str

    @property
    def id(self) -> str:
        """What stands for it in logs and on the wire."""
        return voiceprint_id(self.text)


class Voiceprints:
    """The voiceprints of a folder; it need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storage = PosixStorage()

    def names(self) -> list[str]:
        """Return whose voiceprints there are, sorted."""
        return sorted(name.removesuffix(_END) for name in self._storage.names(str(self._folder)) if _is_one(name))

    def all(self) -> list[Voiceprint]:
        """Return every voiceprint, by name; raises VoiceprintError if a file is damaged."""
        return [self._read(name) for name in self.names()]

    def by_id(self, wanted: Iterable[str]) -> dict[str, Voiceprint]:
        """Return the voiceprints of these ids, as far as they are there; of two names the first in order.

        Raises:
            VoiceprintError: a file is damaged.
        """
        ids = set(wanted)
        found: dict[str, Voiceprint] = {}
        for one in self.all() if ids else ():
            if one.id in ids:
                found.setdefault(one.id, one)
        return found

    def load(self, name: str) -> str:
        """Return the voiceprint of that name.

        Raises:
            VoiceprintError: there is none, or its file is damaged.
        """
        return self._read(name).text

    def _read(self, name: str) -> Voiceprint:
        path = self._path(name)
        try:
            content = orjson.loads(path.read_bytes())
            made = (str(content[field]) for field in ("voiceprint", "pipeline", "created_at"))
            return Voiceprint(name, *made)
        except FileNotFoundError:
            raise self._unknown(name) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VoiceprintError(f"The voiceprint in {str(path)!r} can't be read. Make it again.") from error

    def save(self, name: str, voiceprint: str, pipeline_id: str, created_at: str) -> None:
        """Keep a voiceprint, in place of an older one of that name; it is on the disk when this returns.

        Args:
            name: whose voice it is.
            voiceprint: as the service gave it.
            pipeline_id: of the recording that it was made of.
            created_at: RFC 3339.

        Raises:
            VoiceprintError: that can't be a name.
            OSError: the disk is full or refuses.
        """
        path = self._path(name)
        content = {"name": name, "voiceprint": voiceprint, "pipeline": pipeline_id, "created_at": created_at}
        make_dirs_durably(self._storage, str(self._folder.absolute()))
        replace_durably(
            self._storage, str(path.absolute()), orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
        )

    def remove(self, name: str) -> None:
        """Remove a voiceprint; raises VoiceprintError if there is none."""
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            raise self._unknown(name) from None
        self._storage.sync_dir(str(self._folder))

    def _path(self, name: str) -> Path:
        if problem := name_problem(name):
            raise VoiceprintError(f"{name!r} can't be the name of a voiceprint: {problem}.")
        return self._folder / f"{name}{_END}"

    def _unknown(self, name: str) -> VoiceprintError:
        return VoiceprintError(
            f"There is no voiceprint named {name!r}. `evt voiceprint list` shows those there are."
        )


def voiceprint_id(text: str) -> str:
    """Return what stands for a voiceprint where its name must not be: a stored form."""
    return f"vp-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def name_problem(name: str) -> str | None:
    """Return why something can't be the name of a voiceprint; None: it can."""
    if not 1 <= len(name) <= _NAME_MAX or len(name.encode("utf-8", "replace")) > _NAME_BYTES_MAX:
        return f"it must have 1 to {_NAME_MAX} characters, fewer of some scripts"
    if not all(letter.isalnum() or letter in " -_." for letter in name):
        return "only letters, digits, spaces and - _ . may be in it"
    if name != name.strip() or name.startswith(".") or not unicodedata.is_normalized("NFC", name):
        return "it may not begin with a dot, nor begin or end with a space"
    if name.upper().startswith("SPEAKER_"):
        return "SPEAKER_ begins the names of those who are not known"
    return None


def _is_one(file_name: str) -> bool:
    return file_name.endswith(_END) and name_problem(file_name.removesuffix(_END)) is None

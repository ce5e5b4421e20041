"""The form of a bundle: its manifest ↔ one line of JSON, and which files may be in one. docs/bundle.md, normative.

Values in, values out. What a stranger wrote is refused unless it is exactly what evt gives its own files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import frozen

from eventlog.reader import Head
from eventlog.record import is_name
from eventlog.recovery import set_aside_for
from pipeline.errors import BundleError
from projections.graph import STAGES, VOICEPRINT
from projections.ids import base_of, number_of

FORMAT: Final = 1
LOG: Final = "log"
ARTIFACTS: Final = "artifacts/"
BESIDE: Final = "beside/"
"""How the paths of a pipeline's files begin, apart from its log: what a stage made, and what was set aside."""
SALT: Final = "salt"
SALT_BYTES: Final = 33

_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_TEXT = re.compile(r"text/[0-9a-f]{16}/text\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_BASE = re.compile(r"[0-9a-f]{16,64}")
_FOLDERS = frozenset({*STAGES, VOICEPRINT, "annotation"})
_DEEPEST = 5


@frozen
class Limits:
    """What an import takes at most; each can be passed by no real home, and stops what was made to do harm.

    Attributes:
        size_bytes: of all files together.
        files: how many, the logs included.
        pipelines: how many.
        manifest_bytes: of the first line.
        ratio: content is at most so many times as long as the bundle, and `more_bytes` more.
        seconds: for reading and checking it.
    """

    size_bytes: int = 1 << 40
    files: int = 100_000
    pipelines: int = 10_000
    manifest_bytes: int = 32 << 20
    ratio: int = 256
    more_bytes: int = 16 << 20
    seconds: float = 6 * 3600.0


@frozen
class Packed:
    """A file in a bundle."""

    path: str
    sha256: str
    size_bytes: int


@frozen
class Member:
    """A pipeline in a bundle.

    Attributes:
        head: the last record of its log.
        is_copy: it goes on where it was bundled; of a pipeline that isn't finished the log is only read elsewhere.
        files: its log first.
    """

    pipeline: str
    head: Head
    is_copy: bool
    files: tuple[Packed, ...]


@frozen
class Manifest:
    """What a bundle holds, in the order in which it holds it."""

    evt_version: str
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for member in self.members for file in member.files)

    def to_line(self) -> bytes:
        """Return the first line of the bundle."""
        members = [
            {
                "id": member.pipeline,
                "head": {"seq": member.head.seq, "sha256": member.head.sha256},
                "copy": member.is_copy,
                "files": [
                    {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
                    for file in member.files
                ],
            }
            for member in self.members
        ]
        value = {"evt_bundle": FORMAT, "evt_version": self.evt_version, "pipelines": members}
        return orjson.dumps(value) + b"\n"


def manifest_of(line: bytes, limits: Limits) -> Manifest:
    """Return the manifest that a first line holds; fields that this version does not know are passed over.

    Raises:
        BundleError: it is none, or it asks for something that no bundle of evt holds.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _bad("its first line is no manifest") from None
    version = value.get("evt_bundle") if isinstance(value, dict) else None
    _require(_is_count(version), "its first line is no manifest")
    if version != FORMAT:
        raise BundleError(f"The bundle is of format {version}, which a newer evt wrote. Install that version.")
    listed = _list(value, "pipelines")
    _require(
        0 < len(listed) <= limits.pipelines, f"it holds {len(listed)} pipelines, of at most {limits.pipelines}"
    )
    members = tuple(_member(found) for found in listed)
    _require(len({member.pipeline for member in members}) == len(members), "it holds a pipeline twice")
    manifest = Manifest(str(value.get("evt_version")), members)
    files = sum(len(member.files) for member in members)
    _require(files <= limits.files, f"it holds {files} files, of at most {limits.files}")
    most = limits.size_bytes
    _require(manifest.size_bytes <= most, f"it holds {manifest.size_bytes} bytes, of at most {most}")
    return manifest


def is_bundled(path: str) -> bool:
    """Say whether a path below a pipeline's folder is one that evt gives its files; it then leads nowhere else."""
    if path == SALT or _TEXT.fullmatch(path):
        return True
    first, *steps = path.split("/")
    is_numbered = first in _FOLDERS and 2 <= len(steps) < _DEEPEST and _NUMBER.fullmatch(steps[0]) is not None
    return is_numbered and all(map(_STEP.fullmatch, steps[1:]))


def is_pipeline(name: object) -> bool:
    """Say whether evt gives a pipeline such an id: the first digits of a digest, and a variant's number."""
    if not isinstance(name, str) or not is_name(name) or not _BASE.fullmatch(base_of(name)):
        return False
    _, dot, number = name.partition(".")
    return not dot or (_NUMBER.fullmatch(number) is not None and number_of(name) > 1)


def is_token(text: str) -> bool:
    """Say whether a handing over has such a token."""
    return _TOKEN.fullmatch(text) is not None


def _member(value: Any) -> Member:
    _require(isinstance(value, dict), "its list of pipelines is none")
    pipeline, head, is_copy = value.get("id"), value.get("head"), value.get("copy")
    _require(is_pipeline(pipeline), "the name of a pipeline is none")
    _require(isinstance(head, dict), f"{pipeline} has no head")
    seq, sha256 = head.get("seq"), head.get("sha256")
    _require(_is_count(seq) and seq > 0 and _is_sha256(sha256), f"{pipeline} has no head")
    _require(isinstance(is_copy, bool), f"{pipeline} doesn't say whether it is a copy")
    files = tuple(_file(found, pipeline) for found in _list(value, "files"))
    _require(bool(files) and files[0].path == LOG and files[0].size_bytes > 0, f"{pipeline} has no log")
    _require_apart(pipeline, [file.path for file in files])
    return Member(pipeline, Head(seq, sha256), is_copy, files)


def _file(value: Any, pipeline: str) -> Packed:
    _require(isinstance(value, dict), f"a file of {pipeline} is none")
    path, sha256, size_bytes = value.get("path"), value.get("sha256"), value.get("size_bytes")
    _require(isinstance(path, str) and _may_be(path, pipeline, sha256), f"{pipeline} has a file of a foreign name")
    _require(_is_sha256(sha256), f"a file of {pipeline} has no digest")
    _require(_is_count(size_bytes), f"a file of {pipeline} has no size")
    is_salt = path == ARTIFACTS + SALT
    _require(not is_salt or size_bytes == SALT_BYTES, f"the salt of {pipeline} is none")
    return Packed(path, sha256, size_bytes)


def _may_be(path: str, pipeline: str, sha256: object) -> bool:
    if path.startswith(BESIDE):
        found = set_aside_for(path.removeprefix(BESIDE))
        return found is not None and found[0] == pipeline and str(sha256).startswith(found[1])
    return path == LOG or (path.startswith(ARTIFACTS) and is_bundled(path.removeprefix(ARTIFACTS)))


def _require_apart(pipeline: str, paths: Iterable[str]) -> None:
    """Refuse two files that are one on some disk, and a file where another one has a folder."""
    folded = [path.casefold() for path in paths]
    names = set(folded)
    folders = {path[:at] for path in folded for at, char in enumerate(path) if char == "/"}
    _require(len(names) == len(folded) and not names & folders, f"two files of {pipeline} have one name")


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    _require(isinstance(found, list), f"it has no list of {name}")
    return found or []


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**18


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _require(holds: object, problem: str) -> None:
    if not holds:
        raise _bad(problem)


def _bad(problem: str) -> BundleError:
    return BundleError(f"This is no bundle that can be imported: {problem}. Nothing was placed.")

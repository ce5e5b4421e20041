"""What lies in the hub's cache of models: what is whole, what a broken fetch left. Nothing is changed.

The layout is that of Hugging Face's tools. Source: huggingface_hub, "Understand caching".
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from pipeline.models.catalogue import KINDS, TABLE, Choice, Kind
from pipeline.providers.hub import hub_current, hub_folder

BLOBS, SNAPSHOTS, REF, LOCKS, PART = "blobs", "snapshots", "refs/main", ".locks", ".incomplete"


@frozen
class Lying:
    """What is here of a model.

    Attributes:
        folder: of its repository.
        snapshot: the folder of the revision that was fetched last, whole or not; None: there is none.
        kind: of which engine it is a whole model; None: it isn't whole.
        files: sizes in bytes of what the snapshot holds, by name.
        loose: sizes in bytes of contents and parts that no snapshot uses, by name.
    """

    folder: Path
    snapshot: Path | None = None
    kind: Kind | None = None
    files: Mapping[str, int] = field(factory=dict)
    loose: Mapping[str, int] = field(factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of a whole model what it holds, else what there is of it."""
        return sum(self.files.values()) + (0 if self.kind else sum(self.loose.values()))


def look(cache: Path, choice: Choice) -> Lying:
    """Return what is here of a model."""
    folder = hub_folder(cache, choice.repository)
    snapshot = hub_current(cache, choice.repository)
    if snapshot is not None and not snapshot.is_dir():
        snapshot = None
    kinds = KINDS if choice.kind is None else (choice.kind,)
    kind = next((kind for kind in kinds if snapshot and kind.is_whole(snapshot)), None)
    used = {name for links in linked(folder).values() for name in links.values()}
    return Lying(
        folder,
        snapshot,
        kind,
        {name: (snapshot / name).stat().st_size for name in names_in(snapshot)} if snapshot else {},
        {name: size for name, size in blobs(folder).items() if name not in used},
    )


def others(cache: Path) -> Iterator[Choice]:
    """Yield whole models of the cache that aren't in the table."""
    known = {choice.repository for choice in TABLE.values()}
    for folder in sorted(cache.glob("models--*--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/")
        choice = Choice(repository, repository)
        if repository not in known and (kind := look(cache, choice).kind):
            yield Choice(repository, repository, kind)


def linked(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return, by revision, which content stands behind each file that is a link."""
    found: dict[str, dict[str, str]] = {}
    for snapshot in sorted((folder / SNAPSHOTS).glob("*")):
        found[snapshot.name] = {name: to for name in _entries(snapshot) if (to := blob_behind(snapshot / name))}
    return found


def blob_behind(path: Path) -> str | None:
    """Return the name of the content that a link of a snapshot leads to; None: it leads elsewhere, or is none."""
    try:
        target = Path(os.path.normpath(path.parent / os.readlink(path)))
    except OSError:
        return None
    return target.name if target.parent.name == BLOBS else None


def blobs(folder: Path) -> Mapping[str, int]:
    """Return the sizes of all contents and parts of contents."""
    found = {}
    for path in (folder / BLOBS).glob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            found[path.name] = status.st_size
    return found


def digest_of(blob: str) -> str:
    """Return the digest that a content, or a part of one, is named by; `hf` puts a word between the two."""
    return re.split(r"\.", blob, maxsplit=1)[0]


def names_in(snapshot: Path) -> list[str]:
    """Return the files of a snapshot by their paths below it; links that lead nowhere aren't among them."""
    return [name for name in _entries(snapshot) if (snapshot / name).is_file()]


def _entries(snapshot: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(folder, name), snapshot)
        for folder, _, names in os.walk(snapshot)
        for name in names
    )

"""The recordings of an invocation before any is read: which there are, and what their deliveries are called.

Ten thousand recordings are not read before the first is worked on; only those are whose names collide and that may
be the same one under one name, since an id's digits tell deliveries apart there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from attrs import evolve, field, frozen

from cli.batching.sources import Refusal, expanded, is_pattern, is_there, may_be_recording, unopened
from cli.errors import UnknownPipelineError
from cli.lookup import find_pipeline
from cli.render import printable
from cli.settings.sidecar import Sidecar, is_settings_file, sidecar_of, with_sidecar
from eventlog.errors import EvtError
from eventlog.store import Store
from pipeline.delivery import Stems, Target
from pipeline.errors import SourceRejectedError
from pipeline.home import Home
from pipeline.recordings import Recording, identify, joined, name_of, pipeline_id_of, remembered
from projections.events import recorded_input, recorded_parts
from projections.family import base_of, number_of
from projections.options import Named

NAMED_TOGETHER = 4
"""So many files of one recording are not all named where people are told of it."""


@frozen
class Item:
    """One recording of an invocation.

    Attributes:
        written: what the user wrote.
        recording: the file; None where only the pipeline is known.
        target: where its deliveries go.
        sidecar: what the file beside the recording says; None where only the pipeline is known.
        lacking: a sentence on the parts of the recording that aren't where they were; empty: none.
    """

    written: str
    pipeline: str
    name: str
    recording: Recording | None
    target: Target
    sidecar: Sidecar | None = None
    lacking: str = ""

    def wishes(self, named: Named, home: Home) -> Named:
        """Return the wishes of an invocation with those of the file beside this recording.

        Raises:
            SettingsError: there is no voiceprint of a name.
        """
        return with_sidecar(named, self.sidecar, home)


@frozen
class Entry:
    """One recording that the user named.

    Attributes:
        written: what the user wrote, or what was found in a folder that the user named.
        name: the file's own.
        path: the file; None where a pipeline was named.
        pipeline: its id; None where a file was named, which tells it only once it is read.
        join: the files of a recording that is joined of several.
        sha256, last_path: of a pipeline's recording, as its log says.
        parts: of a pipeline whose recording is joined: name, digest, and where each was; None: not known.
    """

    written: str
    name: str
    path: Path | None = None
    pipeline: str | None = None
    join: tuple[Path, ...] = ()
    sha256: str = ""
    last_path: Path | None = None
    parts: tuple[tuple[str, str, Path | None], ...] = ()


class Naming(Protocol):
    """What says how the deliveries of a recording are called; `Stems` is one."""

    def stem(self, name: str, pipeline: str) -> str:
        """Return the stem of a recording of this name and base pipeline."""


@frozen(eq=False)
class Roll:
    """All that the user named in one invocation.

    Attributes:
        entries: in the order in which they were named, each once.
        refusals: what can't be worked on.
        moved_to: where the recording of a pipeline, or parts of it, are now.
        verify: read files even if their digests are remembered.
    """

    store: Store
    home: Home
    output_dir: Path
    entries: list[Entry] = field(factory=list)
    refusals: list[Refusal] = field(factory=list)
    stems: Naming = field(factory=lambda: Stems.of(()))
    moved_to: tuple[Path, ...] = ()
    verify: bool = False

    def item(self, entry: Entry) -> Item:
        """Read a recording, as far as its digest isn't remembered.

        Raises:
            SourceRejectedError: it can't be read, or isn't the one that is meant.
            SettingsError: the file beside it holds something that can't be used.
            OSError: the system refuses.
        """
        lacking = ""
        if entry.path is not None:
            recording: Recording | None = joined([self._identified(path) for path in entry.join or (entry.path,)])
            assert recording is not None, "a file has a digest"
            pipeline = pipeline_id_of(recording, self.store)
            sidecar: Sidecar | None = sidecar_of(entry.path, self.home)
        else:
            assert entry.pipeline is not None, "what is no file is a pipeline"
            pipeline = entry.pipeline
            recording, lacking = self._joined_of(entry) if entry.parts else (self._recording_of(entry), "")
            sidecar = sidecar_of(recording.path, self.home) if recording else None
        target = self._target(entry.name, pipeline)
        return Item(entry.written, pipeline, entry.name, recording, target, sidecar, lacking)

    def _identified(self, path: Path) -> Recording:
        return identify(path, self.home.index, verify=self.verify)

    def _target(self, name: str, pipeline: str) -> Target:
        """Return where deliveries go; those of a variant, `talk.2.txt`, lie beside those of its base."""
        stem, number = self.stems.stem(name, base_of(pipeline)), number_of(pipeline)
        return Target(self.output_dir, f"{stem}.{number}" if number > 1 else stem)

    def _recording_of(self, entry: Entry) -> Recording | None:
        """Return the recording of a known pipeline, if it is still where it was, or where the user says."""
        if self.moved_to:
            *_, path = self.moved_to
            recording = self._identified(path)
            if recording.sha256 != entry.sha256 or len(self.moved_to) > 1:
                raise SourceRejectedError(
                    f"{printable(str(path))} is another recording than that of {entry.pipeline}."
                )
            return recording
        try:
            found = self._identified(entry.last_path) if entry.last_path else None
        except SourceRejectedError:
            return None
        return found if found and found.sha256 == entry.sha256 else None

    def _joined_of(self, entry: Entry) -> tuple[Recording | None, str]:
        """Return the recording of a pipeline that is joined of several files, and which of them aren't there."""
        moved = {found.sha256: found for found in map(self._identified, self.moved_to)}
        if strange := moved.keys() - {sha256 for _, sha256, _ in entry.parts}:
            path, names = moved[strange.pop()].path, ", ".join(printable(name) for name, _, _ in entry.parts)
            raise SourceRejectedError(
                f"{printable(str(path))} is none of the parts of {entry.pipeline}, which are {names}; "
                "or it was changed since."
            )
        found, lacking = [], []
        for number, (name, sha256, last_path) in enumerate(entry.parts, 1):
            try:
                part = moved.get(sha256) or (self._identified(last_path) if last_path else None)
            except SourceRejectedError:
                part = None
            if part is not None and part.sha256 == sha256:
                found.append(part)
            else:
                changed = "isn't" if part is None else "isn't any more what it was,"
                at = f" {changed} at {printable(str(last_path))}" if last_path else " isn't known to be anywhere"
                lacking.append(f"Part {number}, {printable(name)},{at}.")
        return (None, " ".join(lacking)) if lacking else (joined(found), "")

    def in_order(self) -> Iterator[Entry]:
        """Yield the entries, those first of which the home has a log already: they are nearer to done."""
        paths = (entry.path for entry in self.entries if entry.path is not None)
        known = {path for path, sha256 in remembered(paths, self.home.index) if self._has_log(sha256)}
        later = []
        for entry in self.entries:
            if entry.path is None or entry.path in known:
                yield entry
            else:
                later.append(entry)
        yield from later

    def _has_log(self, sha256: str) -> bool:
        try:
            return os.path.lexists(self.store.path(sha256[:16]))
        except EvtError:
            return True  # why it can't be read is said when its turn comes


def enroll(
    written: Iterable[str],
    store: Store,
    home: Home,
    output_dir: Path,
    *,
    moved_to: Sequence[Path] = (),
    verify: bool = False,
    join: bool = False,
) -> Roll:
    """Find out what the user named, and settle what deliveries are called; with `join` it is one recording.

    Settings files and transcripts among the names, as in `evt run *`, are passed over where something else is named
    too.
    """
    roll = Roll(store, home, output_dir, moved_to=tuple(moved_to), verify=verify)
    if join:
        return _joined_roll(list(written), roll)
    seen: set[str] = set()
    entries: list[Entry] = []
    found = list(expanded(written, home.root))
    others = [text for text in found if isinstance(text, Refusal) or may_be_recording(Path(text))]
    for text in others or found:
        if isinstance(text, Refusal):
            roll.refusals.append(text)
            continue
        try:
            entry = _entry(text, roll)
        except EvtError as error:
            roll.refusals.append(Refusal(text, error))
        except OSError as error:
            roll.refusals.append(unopened(text, error))
        else:
            key = entry.pipeline or os.path.abspath(text)
            if key not in seen:
                seen.add(key)
                entries.append(entry)
    return evolve(roll, entries=entries, stems=Stems.of(_names(entries, roll)))


def _joined_roll(written: Sequence[str], roll: Roll) -> Roll:
    try:
        entry = _joined_entry(written, roll)
    except EvtError as error:
        return evolve(roll, refusals=[Refusal(_together(written), error)])
    return evolve(roll, entries=[entry], stems=Stems.of([entry.name]))


def _joined_entry(written: Sequence[str], roll: Roll) -> Entry:
    """Return the entry of files that are one recording, in the order in which they were named."""
    if roll.moved_to:
        raise SourceRejectedError(
            "--input says where parts of a pipeline named by ID are; with --join name all files."
        )
    chosen = [text for text in written if text and may_be_recording(Path(text))] or list(written)
    for text in chosen:
        if Path(text).is_dir():
            raise SourceRejectedError(
                f"{printable(text)} is a folder, of which no order is certain. Name its files, in their order."
            )
        if not text or not is_there(Path(text)):
            raise SourceRejectedError(f"There is no file {printable(text)}. --join takes files; check the name.")
    first, *others = (Path(text) for text in chosen)
    return Entry(_together(chosen), first.name, first, join=(first, *others) if others else ())


def _together(written: Sequence[str]) -> str:
    """Return what the files of one recording are called together."""
    return " + ".join(written) if len(written) < NAMED_TOGETHER else f"{written[0]} + {len(written) - 1} more"


def _entry(written: str, roll: Roll) -> Entry:
    if not written:
        raise SourceRejectedError("An empty name names no recording.")
    path = Path(written)
    if is_there(path):
        if roll.moved_to:
            raise SourceRejectedError(
                "--input says where the recording of a pipeline named by ID is now, but this is a file. "
                "Leave --input out, or name the ID."
            )
        if is_settings_file(path):
            raise SourceRejectedError(f"{printable(path.name)} holds settings. Name the recording itself.")
        return Entry(written, path.name, path)
    try:
        pipeline = find_pipeline(written, roll.store, roll.home)
    except UnknownPipelineError as error:
        if is_pattern(written):
            raise SourceRejectedError(
                f"Nothing is called {printable(written)}, and no file matches it as a pattern. Check the name."
            ) from error
        if "/" in written or "." in written:
            raise SourceRejectedError(f"There is no file {printable(written)}. Check the name.") from error
        raise
    return _known(written, pipeline, roll.store)


def _known(written: str, pipeline: str, store: Store) -> Entry:
    """Return the entry of a pipeline: its recording's digest and name, and where that last was."""
    sha256, name, last_path = "", pipeline, None
    parts: tuple[dict[str, Any], ...] = ()
    paths: list[Path] = []
    for record in store.stream(pipeline):
        if record.type == "pipeline.created":
            known = recorded_input(record.data)
            sha256, parts = str(known.get("sha256")), recorded_parts(known)
            # Only a name: the log may be somebody else's, and what is delivered stays in its folder.
            name = Path(name_of(known.get("name", pipeline)).replace("\0", "")).name
        elif record.type == "run.started" and record.data.get("input_path") is not None:
            last_path = Path(name_of(record.data["input_path"]))
            found = record.data.get("input_paths")
            paths = [Path(name_of(path)) for path in found] if isinstance(found, list) else paths
    known_parts = tuple(
        (name_of(part.get("name")), str(part.get("sha256")), path)
        for part, path in zip_longest(parts, paths[: len(parts)])
    )
    return Entry(written, name or pipeline, None, pipeline, (), sha256, last_path, known_parts)


def _names(entries: Sequence[Entry], roll: Roll) -> Iterator[str]:
    """Yield the name of each recording once; what may be one recording named twice under one name is read."""
    by_name: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_name[entry.name].append(entry)
    for name, group in by_name.items():
        if len(group) > 1:
            yield from [name] * len({_identity(entry, group, roll) for entry in group})
        else:
            yield name


def _identity(entry: Entry, group: Sequence[Entry], roll: Roll) -> str:
    """Return what tells a recording from the others of its name: its id where only that does."""
    if entry.pipeline is not None:
        return base_of(entry.pipeline)
    assert entry.path is not None, "what is no pipeline is a file"
    sizes = [_size(other) for other in group]
    own = _size(entry)
    if None not in sizes and sizes.count(own) == 1:
        return entry.written
    try:
        return pipeline_id_of(identify(entry.path, roll.home.index), roll.store)
    except EvtError:
        return entry.written


def _size(entry: Entry) -> int | None:
    """Return the size of a file; None where it isn't known."""
    try:
        return entry.path.stat().st_size if entry.path is not None else None
    except OSError:
        return None

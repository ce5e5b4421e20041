"""From what the user named to work items: recording, pipeline and target of each, settled before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from cli.errors import UnknownPipelineError
from cli.exit_codes import exit_code_of
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import printable, shown_error
from cli.sidecar import Sidecar, is_settings_file, sidecar_of, with_sidecar
from eventlog.errors import EvtError
from eventlog.store import Store
from pipeline.delivery import Target, delivered_digests, stems_of
from pipeline.errors import SourceRejectedError
from pipeline.home import Home
from pipeline.recordings import Recording, identify, name_of, pipeline_id_of
from projections.events import recorded_input
from projections.family import base_of, number_of
from projections.graph import EXPORT
from projections.options import FILE, Named, Option
from projections.state import PipelineState

Delivered = Callable[[PipelineState, Mapping[str, Option]], frozenset[str] | None]


@frozen
class Item:
    """One recording of an invocation.

    Attributes:
        written: what the user wrote.
        recording: the file; None where only the pipeline is known.
        target: where its deliveries go.
        sidecar: what the file beside the recording says; None where only the pipeline is known.
    """

    written: str
    pipeline: str
    name: str
    recording: Recording | None
    target: Target
    sidecar: Sidecar | None = None

    def wishes(self, named: Named, home: Home) -> Named:
        """Return the wishes of an invocation with those of the file beside this recording.

        Raises:
            SettingsError: there is no voiceprint of a name.
        """
        return with_sidecar(named, self.sidecar, home)


@frozen
class Refusal:
    """Something that the user named and that can't be worked on."""

    written: str
    error: EvtError


def gather(
    written: Sequence[str],
    store: Store,
    home: Home,
    output_dir: Path,
    *,
    moved_to: Path | None = None,
    verify: bool = False,
) -> tuple[list[Item], list[Refusal]]:
    """Return an item for each recording that the user named, and a refusal for what can't be one.

    Settings files among them, as in `evt run *`, are passed over where something else is named too.
    """
    items: list[Item] = []
    refusals: list[Refusal] = []
    names = dict.fromkeys(written)
    for text in [name for name in names if not is_settings_file(Path(name))] or names:
        try:
            items.append(_item(text, store, home, output_dir, moved_to, verify))
        except EvtError as error:
            refusals.append(Refusal(text, error))
        except OSError as error:
            reason = f"{printable(text[:200])} can't be opened: {error.strerror}. Check the name and the folder."
            refusals.append(Refusal(text, SourceRejectedError(reason)))
    return _with_stems(items), refusals


def tell_error(written: str, error: EvtError) -> int:
    """Say on stderr why something can't be worked on; return the exit code for that."""
    say(f"evt: {printable(written)}: {shown_error(error)}", err=True)
    return exit_code_of(error)


def sidecar_note(item: Item, options: Mapping[str, Option]) -> str | None:
    """Return which options the file beside a recording decides; None: it decides none."""
    if item.sidecar is None:
        return None
    decided = [name for name in item.sidecar.options if options[name].source == FILE]
    return f"{' and '.join(decided)} as in {item.sidecar.path.name}" if decided else None


def delivered_to(target: Target | None, only: Iterable[str] | None = None) -> Delivered:
    """Return what tells the plan which exports lie where the user wants them.

    Args:
        target: where; None: nowhere, so that no export is needed.
        only: formats to deliver; the others of an export count as delivered.
    """

    def delivered(state: PipelineState, options: Mapping[str, Option]) -> frozenset[str] | None:
        if target is None:
            return None
        formats = options["formats"].value if only is None else list(only)
        exports = [ref for attempt in state.attempts.get(EXPORT, ()) for ref in attempt.outputs]
        unwanted = {ref.sha256 for ref in exports if ref.path.rpartition(".")[2] not in formats}
        return delivered_digests(target, formats) | unwanted

    return delivered


def _item(written: str, store: Store, home: Home, output_dir: Path, moved_to: Path | None, verify: bool) -> Item:
    if not written:
        raise SourceRejectedError("An empty name names no recording.")
    path = Path(written)
    if _exists(path):
        if moved_to is not None:
            raise SourceRejectedError(
                "--input says where the recording of a pipeline named by ID is now, but this is a file. "
                "Leave --input out, or name the ID."
            )
        if is_settings_file(path):
            raise SourceRejectedError(f"{printable(path.name)} holds settings. Name the recording itself.")
        recording = identify(path, home.index, verify=verify)
        pipeline = pipeline_id_of(recording, store)
        target = Target(output_dir, path.name)
        return Item(written, pipeline, path.name, recording, target, sidecar_of(path, home))
    try:
        pipeline = find_pipeline(written, store, home)
    except UnknownPipelineError as error:
        if "/" in written or "." in written:
            raise SourceRejectedError(f"There is no file {printable(written)}. Check the name.") from error
        raise
    sha256, name, last_path = _created(store, pipeline)
    known = _recording_of(pipeline, sha256, last_path, home, moved_to, verify)
    sidecar = sidecar_of(known.path, home) if known else None
    return Item(written, pipeline, name, known, Target(output_dir, name), sidecar)


def _exists(path: Path) -> bool:
    """Say whether there is something at a path; raises OSError where that can't be found out."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _recording_of(
    pipeline: str, sha256: str, last_path: Path | None, home: Home, moved_to: Path | None, verify: bool
) -> Recording | None:
    """Return the recording of a known pipeline, if it is still where it was, or where the user says."""
    if moved_to is not None:
        recording = identify(moved_to, home.index, verify=verify)
        if recording.sha256 != sha256:
            raise SourceRejectedError(f"{printable(str(moved_to))} is another recording than that of {pipeline}.")
        return recording
    try:
        found = identify(last_path, home.index, verify=verify) if last_path else None
    except SourceRejectedError:
        return None
    return found if found and found.sha256 == sha256 else None


def _created(store: Store, pipeline: str) -> tuple[str, str, Path | None]:
    """Return the digest and name of a pipeline's recording and where it last was."""
    sha256, name, last_path = "", pipeline, None
    for record in store.stream(pipeline):
        if record.type == "pipeline.created":
            known = recorded_input(record.data)
            sha256 = str(known.get("sha256"))
            # Only a name: the log may be somebody else's, and what is delivered stays in its folder.
            name = Path(name_of(known.get("name", pipeline)).replace("\0", "")).name
        elif record.type == "run.started" and record.data.get("input_path") is not None:
            last_path = Path(name_of(record.data["input_path"]))
    return sha256, name or pipeline, last_path


def _with_stems(items: list[Item]) -> list[Item]:
    """Settle what deliveries are called; those of a variant, `talk.2.txt`, lie beside those of its base."""
    stems = stems_of([(base_of(item.pipeline), item.name) for item in items])

    def target(item: Item) -> Target:
        number = number_of(item.pipeline)
        stem = stems[base_of(item.pipeline), item.name]
        return Target(item.target.folder, f"{stem}.{number}" if number > 1 else stem)

    return [evolve(item, target=target(item)) for item in items]

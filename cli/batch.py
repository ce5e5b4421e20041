"""From what the user named to work items: recording, pipeline and target of each, settled before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cli.exit_codes import exit_code_of
from cli.output import say
from cli.render import printable, shown_error
from cli.roll import Item, enroll
from cli.sources import Refusal, unopened
from eventlog.errors import EvtError
from eventlog.store import Store
from pipeline.delivery import Target, delivered_digests
from pipeline.home import Home
from projections.graph import EXPORT
from projections.options import FILE, Option
from projections.state import PipelineState

Delivered = Callable[[PipelineState, Mapping[str, Option]], frozenset[str] | None]


def gather(
    written: Iterable[str],
    store: Store,
    home: Home,
    output_dir: Path,
    *,
    moved_to: Path | None = None,
    verify: bool = False,
) -> tuple[list[Item], list[Refusal]]:
    """Return an item for each recording that the user named, and a refusal for what can't be one; all are read."""
    roll = enroll(written, store, home, output_dir, moved_to=moved_to, verify=verify)
    items, refusals = [], list(roll.refusals)
    for entry in roll.entries:
        try:
            items.append(roll.item(entry))
        except EvtError as error:
            refusals.append(Refusal(entry.written, error))
        except OSError as error:
            refusals.append(unopened(entry.written, error))
    return items, refusals


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

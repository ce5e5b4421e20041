"""From what the user named to work items: recording, pipeline and target of each, settled before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cli.batching.roll import Item, enroll
from cli.batching.sources import Refusal, unopened
from cli.exit_codes import exit_code_of
from cli.output import say
from cli.render import printable, shown_error
from eventlog.errors import EvtError
from eventlog.store import Store
from pipeline.home import Home
from projections.options import FILE, Option


def gather(
    written: Iterable[str],
    store: Store,
    home: Home,
    output_dir: Path,
    *,
    moved_to: Sequence[Path] = (),
    verify: bool = False,
    join: bool = False,
) -> tuple[list[Item], list[Refusal]]:
    """Return an item for each recording that the user named, and a refusal for what can't be one; all are read."""
    roll = enroll(written, store, home, output_dir, moved_to=moved_to, verify=verify, join=join)
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

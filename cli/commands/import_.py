"""`evt import`: the pipelines of a bundle come into this home."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.exit_codes import OK
from cli.holder import naming_the_holder
from cli.home import load_home, require_usable
from cli.output import say
from cli.render import json_line, printable, shown_name
from cli.system import allow_many_files
from cli.wiring import identity, new_run_id, open_store
from pipeline.bundles.form import Limits
from pipeline.bundles.importing import Imported, Importing
from pipeline.bundles.incoming import EXTENDED, NEW, NOTHING

STDIN = "-"

_OUTCOMES = {NEW: "imported", EXTENDED: "brought up to the state in the bundle", NOTHING: "was here already"}


@click.command("import", short_help="Take the pipelines of a bundle into this home.")
@click.argument("bundle", type=click.Path(), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, bundle: str, as_json: bool) -> int:
    """Take the pipelines of a bundle, which `evt bundle` made, into this home: all of them, or none.

    Everything is checked before anything is placed: the chain of each log, and each file against its
    digest. A pipeline that isn't here yet comes in. One that is here, and of which the bundle holds
    more, is brought up to that. If the bundle holds nothing more, nothing happens; and if each of the two holds
    what the other doesn't, the bundle is refused.

    A pipeline that was handed over goes on here: `evt run ID`. Keys, settings and voiceprints are
    never in a bundle; those of this home count.

    \b
    Examples:
      evt import talk.evtbundle
      evt --home /tmp/look import from-anna.evtbundle
    """
    if bundle == STDIN:
        raise click.UsageError("A bundle isn't read from stdin. Put it into a file: evt import talk.evtbundle")
    home, _ = load_home(obj["home"])
    require_usable(home, unsafe_fs=obj["unsafe_fs"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    allow_many_files()
    importing = Importing(home, store, identity().user, new_run_id)
    with naming_the_holder(store):
        done = importing.import_(Path(bundle), Limits(), time.monotonic)
    if as_json:
        say(json_line([_as_json(item) for item in done]))
    else:
        for item in done:
            for line in _lines(item):
                say(printable(line))
    return OK


def _lines(item: Imported) -> Iterator[str]:
    yield f"{item.pipeline}  {shown_name(item.name)}: {_OUTCOMES[item.outcome]}"
    if item.received:
        yield f"  It was handed over, and goes on here: evt run {item.pipeline}"
    if item.is_copy:
        yield "  It is a copy of an unfinished pipeline: it is only read here, and goes on where it came from."


def _as_json(item: Imported) -> dict[str, Any]:
    return {
        "pipeline": item.pipeline,
        "name": shown_name(item.name),
        "outcome": item.outcome,
        "copy": item.is_copy,
        "received": item.received,
    }

"""`evt bundle`: pipelines in one file, to be passed on, or kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cli.exit_codes import OK
from cli.holder import naming_the_holder
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import count, json_line, printable, shown_name, size
from cli.system import allow_many_files
from cli.to_stdout import STDOUT
from cli.wiring import identity, new_run_id, open_store
from eventlog.store import Store
from pipeline.bundles.bundling import COPY, HANDED_OVER, Bundled, Bundling
from projections.ids import base_of, number_of


@click.command("bundle", short_help="Put pipelines into one file, to pass them on or keep them.")
@click.argument("pipelines", nargs=-1, required=True, metavar="ID|NAME|FILE...")
@click.option("-o", "--output", required=True, type=click.Path(), metavar="FILE", help="The bundle; a new file.")
@click.option("--copy", is_flag=True, help="Keep unfinished pipelines here; elsewhere they are only read.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], output: str, copy: bool, as_json: bool) -> int:
    """Put the log and all files of pipelines into one file, which `evt import` takes into another home.

    With a pipeline go its variants; a variant can be named alone. The recording itself isn't in the
    bundle, but its converted audio is, and so is all that was said: keep the file as you keep the recording.

    A finished pipeline is copied. One that isn't finished is handed over, so that nothing is paid twice:
    this home does nothing on it any more, and the home that imports the bundle goes on. Importing it
    here takes it back. With --copy it stays here, and can only be read where the bundle is imported.

    \b
    Examples:
      evt bundle talk.wav -o talk.evtbundle
      evt bundle 4f2a 91c0 -o for-anna.evtbundle --copy
    """
    if output == STDOUT:
        raise click.UsageError("A bundle isn't written to stdout. Name a new file, as in: -o talk.evtbundle")
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    found = [find_pipeline(written, store, home) for written in pipelines]
    chosen = list(dict.fromkeys(member for pipeline in found for member in family(pipeline, store)))
    who = identity()
    allow_many_files()
    bundling = Bundling(home, store, who.user, who.versions.get("evt", ""), new_run_id)
    with naming_the_holder(store):
        done = bundling.bundle(chosen, Path(output), copy=copy)
    if as_json:
        say(json_line({"bundle": output, "pipelines": [_as_json(item) for item in done]}))
    else:
        for line in _lines(done, output):
            say(printable(line))
    return OK


def family(pipeline: str, store: Store) -> list[str]:
    """Return a base with its variants, and a variant alone."""
    if number_of(pipeline) != 1:
        return [pipeline]
    members = [name for name in store.pipelines(of=pipeline) if base_of(name) == pipeline]
    return sorted({pipeline, *members}, key=number_of)


def _lines(done: Sequence[Bundled], output: str) -> Iterator[str]:
    for item in done:
        how = {HANDED_OVER: ", handed over", COPY: ", a copy that is only read elsewhere"}.get(item.kind, "")
        amount = f"{count(item.files, 'file')}, {size(item.size_bytes)}"
        yield f"{item.pipeline}  {shown_name(item.name)}: its log and {amount}{how}"
        for path in item.left_out:
            yield f"  left out: {path}, which is not what the log says"
    yield f"Written: {output}"
    if any(item.kind == HANDED_OVER for item in done):
        yield f"What was handed over goes on where that is imported; `evt import {output}` here takes it back."


def _as_json(item: Bundled) -> dict[str, Any]:
    return {
        "pipeline": item.pipeline,
        "name": shown_name(item.name),
        "kind": item.kind,
        "files": item.files,
        "size_bytes": item.size_bytes,
        "left_out": list(item.left_out),
    }

"""`evt salvage`: set a damaged log aside and go on with what is good of it."""

from __future__ import annotations

import os
from typing import Any

import click

from cli.holder import naming_the_holder
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import count, json_line, printable
from cli.wiring import new_run_id, open_store
from eventlog.record import Record
from pipeline.recorder import Recorder


@click.command("salvage", short_help="Set a damaged log aside; go on with what is good of it.")
@click.argument("pipeline", metavar="ID|NAME")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, as_json: bool) -> None:
    """Set a damaged log aside, whole, and go on with the records before the damage.

    A backup is better: put it in the log's place if you have one. Stages whose results the log no longer
    knows run again; answers that are still on disk are found again. Stages that cost money wait for
    `evt accept`. `evt validate` says what is damaged.
    """
    home, _ = load_home(obj["home"])
    store = open_store(home, unsafe_fs=obj["unsafe_fs"])
    found = find_pipeline(pipeline, store, home)
    run = new_run_id()
    with naming_the_holder(store):
        opened = store.salvage(found, run=run)
    try:
        recorder = Recorder(store, opened, run)
        said = [record for record in opened.records if record.run == run and record.type.startswith("log.")]
        recorder.finish()
    finally:
        opened.writer.close()
    folder = os.path.dirname(store.path(found))
    if as_json:
        say(json_line({"pipeline": found, "records": recorder.state.seq, "set_aside": [_facts(r) for r in said]}))
        return
    for line in _lines(found, folder, opened.records, said):
        say(printable(line))


def _facts(record: Record) -> dict[str, Any]:
    return {"seq": record.seq, "type": record.type, **record.data}


def _lines(found: str, folder: str, records: list[Record], said: list[Record]) -> list[str]:
    kept = len(records) - len(said)
    behind = sum(record.data.get("intact_behind", 0) for record in said)
    more = f"; {count(behind, 'more intact record')} behind the damage are in the file set aside" if behind else ""
    return [
        *(f"Set aside: {os.path.join(folder, r.data['file'])}" for r in said if "file" in r.data),
        f"The log goes on behind {count(kept, 'good record')}{more}.",
        f"`evt run {found}` goes on; stages that cost money wait until you say `evt accept {found}`.",
    ]

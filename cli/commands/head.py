"""`evt head`: one line that names a log up to its last record, to be kept elsewhere."""

from __future__ import annotations

import os
from typing import Any

import click

from cli.batching.items import tell_error
from cli.exit_codes import OK, worst
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.output import say
from cli.render import json_line
from cli.system import is_locked
from eventlog.errors import EvtError
from eventlog.reader import Head, Tail
from eventlog.storage import sync_path
from eventlog.store import Store


@click.command("head", short_help="Print the head of each log, to be kept elsewhere.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], as_json: bool) -> int:
    """Print the head of each log: the number of its last record and the SHA-256 of that line.

    Nothing else shows that the end of a log was cut off. Keep heads where whoever can write the log can't:
    in an e-mail, a ticket, another machine. `evt validate ID --head SEQ:HASH` compares.

    \b
    Examples:
      evt head talk.wav
      evt head > heads-of-today.txt
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    codes, heads = [OK], []
    for written in pipelines or store.pipelines():
        try:
            pipeline = find_pipeline(written, store, home)
            head = _head(store, pipeline)
        except EvtError as error:
            codes.append(tell_error(written, error))
            continue
        if head is None:
            say(f"evt: {pipeline}: nothing of it is sure to be on the disk yet; ask again later.", err=True)
            continue
        heads.append({"pipeline": pipeline, "seq": head.seq, "sha256": head.sha256})
        if not as_json:
            say(f"{pipeline}  {head.seq}:{head.sha256}")
    if as_json:
        say(json_line(heads))
    return worst(codes)


def _head(store: Store, pipeline: str) -> Head | None:
    """Return a head that no crash can take back: of a log that is being written, the one that was kept last.

    Raises:
        LogError: the log is damaged; no head of it may be passed on.
    """
    path = store.path(pipeline)
    verdict = store.stream(pipeline).verdict
    if (error := store.unusable(pipeline, verdict)) is not None:
        raise error
    # Where the system can't tell whether somebody writes, somebody may.
    if verdict.tail is not Tail.CLEAN or is_locked(path) is not False:
        return store.read_head(pipeline)
    # A writer that was killed may have left what it had not synced yet.
    sync_path(path)
    sync_path(os.path.dirname(path))
    return verdict.head

"""`evt tail`: the newest events, one readable line each; -f: as they happen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from cli.home import load_home
from cli.lookup import find_pipeline
from cli.render import event_line
from eventlog.follow import Follower
from eventlog.record import FORMAT_VERSION, Record
from eventlog.store import Store


@click.command("tail", short_help="Show the newest events; -f: as they happen.")
@click.argument("pipelines", nargs=-1, metavar="[ID|NAME|FILE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on showing events as they happen, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="How many at first.")
@click.option("--json", "as_json", is_flag=True, help="The records as they stand, one JSON object a line.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipelines: tuple[str, ...], follow: bool, lines: int, as_json: bool) -> None:
    """Show the newest events of some pipelines, or of all, also of those that begin later.

    With --json each line is the log's record: v, seq, time, type, pipeline, run, data, dur, prev.

    \b
    Examples:
      evt tail
      evt tail -f
      evt tail -n 50 talk.wav
    """
    home, _ = load_home(obj["home"])
    store = Store(str(home.logs))
    chosen = [find_pipeline(written, store, home) for written in pipelines] or None
    follower = Follower(store, chosen, newest=lines)
    found = follower.poll()
    _show(found[len(found) - min(lines, len(found)) :], as_json=as_json)
    if follow:
        from eventlog.watch import changes

        for changed in changes(store.root):
            _show(follower.poll(changed), as_json=as_json)


def _show(records: Iterable[Record], *, as_json: bool) -> None:
    for record in records:
        click.echo(_as_line(record) if as_json else event_line(record))
    sys.stdout.flush()


def _as_line(record: Record) -> str:
    import orjson

    fields = {name: getattr(record, name) for name in ("seq", "time", "type", "pipeline", "run", "data")}
    line = {"v": FORMAT_VERSION, **fields, **record.extra, "dur": record.dur, "prev": record.prev}
    return orjson.dumps(line).decode()

"""`evt path`: where things are."""

from __future__ import annotations

import os
from typing import Any

import click

from cli.home import load_home
from cli.lookup import find_pipeline
from cli.render import json_line
from eventlog.store import Store


@click.command("path", short_help="Print where a pipeline's log and files are.")
@click.argument("pipeline", metavar="[ID|NAME|FILE]", required=False)
@click.option("--artifacts", is_flag=True, help="The folder of its files instead of its log.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str | None, artifacts: bool, as_json: bool) -> None:
    """Print the path of a pipeline's log, or of the home if none is named.

    \b
    Examples:
      tail -f $(evt path talk.wav)
      jq .type $(evt path 4f2a)
    """
    home, origin = load_home(obj["home"])
    if pipeline is None:
        click.echo(json_line({"home": str(home.root), "origin": origin}) if as_json else os.fsencode(home.root))
        return
    store = Store(str(home.logs))
    found = find_pipeline(pipeline, store, home)
    paths = {"log": store.path(found), "artifacts": str(home.artifacts(found))}
    click.echo(json_line(paths) if as_json else os.fsencode(paths["artifacts" if artifacts else "log"]))

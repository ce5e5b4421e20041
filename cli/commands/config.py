"""`evt config`: every setting, its value, and where it comes from."""

from __future__ import annotations

from typing import Any

import click

from cli.render import json_line, option_value, printable, table
from cli.settings import load_settings, trusted_folders
from projections.options import DEFAULT, ENVIRONMENT, Named, resolve_options
from projections.state import PipelineState


@click.command("config", short_help="Show every setting and where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, as_json: bool) -> None:
    """Show every setting that a run without options would use here, and where it comes from.

    Settings are read from the environment (EVT_LANGUAGE, …), from config.toml in the home, and from
    evt.toml in the current folder (see `evt trust --help`).
    """
    settings = load_settings(obj["home"])
    named = Named(environment=settings.environment, files=settings.files)
    options = resolve_options(named, PipelineState(""))
    rows = [("home", str(settings.home.root), settings.home_origin)]
    rows.append(("output_dir", str(settings.output_dir), settings.origins.get("output_dir", DEFAULT)))
    for name, option in options.items():
        origin = settings.origins.get(name, option.source) if option.source != DEFAULT else DEFAULT
        rows.append(
            (name, option_value(option.value), origin if option.source != ENVIRONMENT else f"${origin.lstrip('$')}")
        )
    if as_json:
        report = {
            "settings": [{"name": name, "value": value, "origin": origin} for name, value, origin in rows],
            "ignored": list(settings.ignored),
            "trusted": trusted_folders(settings.home),
        }
        click.echo(json_line(report))
        return
    click.echo(table([tuple(printable(cell) for cell in row) for row in rows], ("SETTING", "VALUE", "FROM")))
    for note in settings.ignored:
        click.echo(f"Note: {printable(note)}", err=True)

"""`evt trust`: whose settings files are believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from cli.errors import SettingsError
from cli.home import load_home, require_usable
from cli.render import json_line, printable
from cli.settings.files import trusted_folders
from eventlog.storage import PosixStorage, replace_durably


@click.command("trust", short_help="Believe the settings file of a folder.")
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path())
@click.option("--remove", is_flag=True, help="Believe it no longer.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, folder: str | None, remove: bool, as_json: bool) -> None:
    """Let the evt.toml of a folder choose engines and limits too; without DIR, list the trusted folders.

    An evt.toml in a folder that is not trusted sets speakers, language and formats only, so that a
    folder of recordings that somebody sent you can't decide who gets the audio. Keys and URLs of
    services, too, are taken from the evt.toml and the .env of trusted folders only.
    """
    home, _ = load_home(obj["home"])
    trusted = trusted_folders(home)
    if remove and folder is None:
        raise click.UsageError("Name the folder that is to be believed no longer.")
    if folder is not None:
        path = Path(folder).resolve()
        if str(path).splitlines() != [str(path)]:
            raise SettingsError(
                f"{printable(str(path))} has a line break in its name, so it can't be trusted. Rename the folder."
            )
        if not path.is_dir() and not remove:
            raise SettingsError(f"{printable(folder)} is no folder.")
        trusted = [name for name in trusted if name != str(path)] + ([] if remove else [str(path)])
        require_usable(home)
        content = os.fsencode("".join(f"{name}\n" for name in trusted))
        replace_durably(PosixStorage(), str(home.trusted), content)
        if not as_json:
            said = "is trusted no longer" if remove else "is trusted; remove that with --remove"
            click.echo(f"{printable(str(path))} {said}.", err=True)
    if as_json:
        click.echo(json_line({"trusted": [printable(name) for name in trusted]}))
    else:
        click.echo("\n".join(printable(name) for name in trusted) or "No folder is trusted.")

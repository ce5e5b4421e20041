"""`evt config`: every setting, its value, and where it comes from; and changes to the home's config.toml."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from cli.errors import SettingsError
from cli.home import load_home, require_usable
from cli.render import json_line, option_value, printable, table
from cli.settings.access import API_KEY, BASE_URL, CONCURRENCY, REQUESTS_PER_MINUTE
from cli.settings.change import checked_text, is_secret, place_of
from cli.settings.configfile import set_value, unset_value
from cli.settings.files import trusted_folders
from cli.settings.limits import shown_limit
from cli.settings.names import OFFLINE, OUTPUT_DIR, PROFILE, RETENTION
from cli.settings.settings import Settings, load_settings
from cli.settings.sidecar import settings_with, sidecar_of
from cli.times import span_words
from pipeline.providers.remote import Access
from projections.options import DEFAULT, Named, resolve_options
from projections.state import PipelineState

_SECRET_BYTES_MAX = 65_536


@click.group(
    "config",
    short_help="Show every setting and where it comes from; set your own.",
    invoke_without_command=True,
    subcommand_metavar="[set|unset|get …]",
)
@click.option("--recording", metavar="FILE", help="As they are for this recording, with the file beside it.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_context
def command(context: click.Context, /, recording: str | None, as_json: bool) -> None:
    """Show every setting that a run without options would use here, and where it comes from.

    Settings are read from the environment (EVT_LANGUAGE, …), from config.toml in the home, and from
    evt.toml in the current folder (see `evt trust --help`). Keys of services are never shown.
    `talk.evt.toml` beside `talk.wav` holds what counts for that recording alone.

    \b
    Examples:
      evt config --recording talk.wav
      evt config set language de
      evt config set transcriber openai --profile cloud
      evt config set openai.api_key
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(context.obj["home"], offline=context.obj["offline"])
    if recording is not None:
        settings = settings_with(settings, sidecar_of(Path(recording), settings.home))
    notes = list(_notes(settings))
    if as_json:
        report = {
            "settings": [
                {"name": name, "value": value, "origin": origin} for name, value, origin in _rows(settings)
            ],
            "providers": [_provider(name, settings) for name in settings.access],
            "notes": notes,
            "ignored": list(settings.ignored),
            "trusted": trusted_folders(settings.home),
        }
        click.echo(json_line(report))
        return
    click.echo(_shown(list(_rows(settings)), ("SETTING", "VALUE", "FROM")))
    click.echo()
    click.echo(
        _shown([_provider_row(name, settings) for name in settings.access], ("PROVIDER", "URL", "FROM", "KEY"))
    )
    for note in (*settings.ignored, *notes):
        click.echo(f"Note: {printable(note)}", err=True)


@command.command("set", short_help="Set a value in the home's config.toml.")
@click.argument("key", metavar="KEY")
@click.argument("value", required=False, metavar="[VALUE]")
@click.option("--profile", metavar="NAME", help="Set it in this profile, which is made if need be.")
@click.pass_obj
def set_(obj: dict[str, Any], /, key: str, value: str | None, profile: str | None) -> None:
    """Set a value in the home's config.toml; comments in it stay.

    The key of a service is never given on the command line, where the process list and the shell's
    history would show it: leave VALUE away, and it is asked for, or read from stdin.

    \b
    Examples:
      evt config set max_cost 5.00
      evt config set openai.base_url http://127.0.0.1:8000/v1
    """
    place = place_of(key, profile)
    if is_secret(place):
        if value is not None:
            raise SettingsError(
                f"A key on the command line stands in the process list and in the shell's history, so it is not "
                f"taken from there; consider this one known. `evt config set {key}` asks for it, or reads it from "
                "stdin."
            )
        value = _read_secret(key)
    elif value is None:
        raise click.UsageError(f"Give the value: evt config set {key} VALUE")
    home, _ = load_home(obj["home"])
    stored = checked_text(home, place, value)
    require_usable(home, unsafe_fs=obj["unsafe_fs"])
    set_value(home.config, place, stored)
    click.echo(f"{printable('.'.join(place))} is set in {printable(str(home.config))}.", err=True)


@command.command("unset", short_help="Remove a value from the home's config.toml.")
@click.argument("key", metavar="KEY")
@click.option("--profile", metavar="NAME", help="Remove it from this profile.")
@click.pass_obj
def unset(obj: dict[str, Any], /, key: str, profile: str | None) -> None:
    """Remove a value from the home's config.toml; what comes after it in rank, or the default, then counts."""
    home, _ = load_home(obj["home"])
    place = place_of(key, profile, any_name=True)
    was_there = unset_value(home.config, place)
    said = "is no longer set" if was_there else "was not set"
    click.echo(f"{printable('.'.join(place))} {said} in {printable(str(home.config))}.", err=True)


@command.command("get", short_help="Print the value that would be used here.")
@click.argument("key", metavar="KEY")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def get(obj: dict[str, Any], /, key: str, as_json: bool) -> None:
    """Print the value of a setting that a run without options would use here.

    Of a service's key it prints only whether there is one.

    \b
    Example:
      evt config get openai.base_url
    """
    settings = load_settings(obj["home"], offline=obj["offline"])
    rows = {name: (value, origin) for name, value, origin in (*_rows(settings), *_provider_rows(settings))}
    if key not in rows:
        place_of(key, None)
        raise SettingsError(f"{key} is not set. There are: {', '.join(rows)}.")
    value, origin = rows[key]
    click.echo(json_line({"name": key, "value": value, "origin": origin}) if as_json else printable(value))


def _rows(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value, origin) of each setting with a single value."""

    def row(name: str, value: str) -> tuple[str, str, str]:
        return name, value, settings.origins.get(name, DEFAULT)

    yield "home", str(settings.home.root), settings.home_origin
    yield row(OUTPUT_DIR, str(settings.output_dir))
    yield row(PROFILE, option_value(settings.profile))
    yield row(RETENTION, "off" if settings.retention is None else span_words(settings.retention))
    yield row(OFFLINE, "true" if settings.offline else "false")
    named = Named(environment=settings.environment, files=settings.files)
    for name, option in resolve_options(named, PipelineState("")).items():
        yield row(name, option_value(option.value))
    for limit in attrs.fields(type(settings.limits)):
        yield row(limit.name, shown_limit(getattr(settings.limits, limit.name)))


def _provider_rows(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value, origin) of each part of each provider's access; never a key."""
    for provider, access in settings.access.items():
        values = {
            BASE_URL: access.url,
            API_KEY: _key_in_words(provider, settings),
            CONCURRENCY: access.concurrency,
            REQUESTS_PER_MINUTE: access.requests_per_minute,
        }
        for part, value in values.items():
            name = f"{provider}.{part}"
            yield name, option_value(value), settings.origins.get(name, DEFAULT)


def _provider(name: str, settings: Settings) -> dict[str, Any]:
    access: Access = settings.access[name]
    return {
        "name": name,
        "url": access.url,
        "url_origin": settings.origins.get(f"{name}.{BASE_URL}"),
        "key_set": access.key is not None,
        "key_origin": settings.origins.get(f"{name}.{API_KEY}"),
        "account": access.account or None,
        "concurrency": access.concurrency,
        "requests_per_minute": access.requests_per_minute,
        "problem": access.problem,
        "note": access.note,
    }


def _provider_row(name: str, settings: Settings) -> tuple[str, ...]:
    url = settings.access[name].url or "the service's own"
    return name, url, settings.origins.get(f"{name}.{BASE_URL}", DEFAULT), _key_in_words(name, settings)


def _key_in_words(provider: str, settings: Settings) -> str:
    origin = settings.origins.get(f"{provider}.{API_KEY}")
    if settings.access[provider].problem:
        return "can't be used"
    return f"set (from {origin})" if origin else "not set"


def _notes(settings: Settings) -> Iterator[str]:
    for name, access in settings.access.items():
        yield from (f"{name}: {text}" for text in (access.problem, access.note) if text)


def _shown(rows: list[tuple[str, ...]], header: tuple[str, ...]) -> str:
    return table([tuple(printable(cell) for cell in row) for row in rows], header)


def _read_secret(key: str) -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        answer: str = click.prompt(key, default="", show_default=False, hide_input=True, err=True)
        return answer
    return sys.stdin.buffer.read(_SECRET_BYTES_MAX).decode("utf-8", "replace").rstrip("\r\n")

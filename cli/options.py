"""The options that change a result, the same on every command that takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.settings import Settings, SettingsError, checked
from projections.graph import DEFAULTS, FORMATS, STAGES
from projections.options import Named

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--speakers", type=click.IntRange(min=1), help="How many people speak, if you know."),
    click.option("--min-speakers", type=click.IntRange(min=1), help="At least so many people speak."),
    click.option("--max-speakers", type=click.IntRange(min=1), help="At most so many people speak."),
    click.option("--language", help="Language spoken, e.g. en, de; auto: let the engine find out."),
    click.option("--diarizer", help="Who finds the speakers: auto, builtin, channels, none, script:FILE."),
    click.option("--transcriber", help="Who finds the words: auto, builtin, whisper, script:FILE."),
    click.option("--model", help="Model of the transcriber: a folder or a name."),
    click.option(
        "--format", "formats", multiple=True, help=f"Output formats: {', '.join(FORMATS)} (comma or repeat)."
    ),
    click.option("--refresh", multiple=True, type=click.Choice(STAGES), help="Run this stage again in any case."),
    click.option("--reset-options", is_flag=True, help="Forget the options of earlier runs of this recording."),
)


def stage_options(command: Command) -> Command:
    """Give a command the options that change a result."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def named_from(flags: dict[str, Any], settings: Settings) -> Named:
    """Return the wishes of this invocation.

    Raises:
        SettingsError: a value can't be used.
    """
    given = {name: value for name in DEFAULTS if (value := flags.get(name)) not in (None, ())}
    if "formats" in given:
        given["formats"] = sorted({part for item in given["formats"] for part in item.split(",") if part})
    for name in ("diarizer", "transcriber"):
        if str(given.get(name, "")).startswith("script:"):
            given[name] = f"script:{Path(given[name].removeprefix('script:')).absolute()}"
    options = {name: checked(name, value, f"--{name.replace('_', '-')}") for name, value in given.items()}
    if (options.get("min_speakers") or 1) > (options.get("max_speakers") or 10**6):
        raise SettingsError("--min-speakers is more than --max-speakers.")
    return Named(
        options=options,
        environment=settings.environment,
        files=settings.files,
        reset=bool(flags.get("reset_options")),
        refresh=frozenset(flags.get("refresh") or ()),
    )

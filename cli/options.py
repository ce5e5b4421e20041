"""The options that change a result, the same on every command that takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.errors import SettingsError
from cli.settings.settings import Settings
from pipeline.recordable import recordable
from pipeline.wishes import checked, contradiction
from projections.graph import DEFAULTS, FORMATS, STAGES, flag_of
from projections.limits import IN_DOUBT
from projections.options import Named

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--track",
        metavar="N",
        callback=lambda context, parameter, value: int(value) if str(value).isdecimal() else value,
        help="The audio track to transcribe, counted from 1; auto: the file's default one.",
    ),
    click.option(
        "--start",
        "start_s",
        metavar="TIME",
        help="Transcribe from here on: seconds, MM:SS or H:MM:SS; 0: from the beginning.",
    ),
    click.option("--end", "end_s", metavar="TIME", help="Transcribe up to here; end: to the end."),
    click.option("--speakers", type=click.IntRange(min=1), help="How many people speak, if you know."),
    click.option("--min-speakers", type=click.IntRange(min=1), help="At least so many people speak."),
    click.option("--max-speakers", type=click.IntRange(min=1), help="At most so many people speak."),
    click.option(
        "--identify",
        multiple=True,
        metavar="NAMES",
        help="Call these people by their names; `evt voiceprint list` has them (comma or repeat).",
    ),
    click.option("--language", help="Language spoken, e.g. en, de; auto: let the engine find out."),
    click.option(
        "--prompt",
        metavar="TEXT",
        help="What is talked about, in your words, for engines that heed it; '' takes it away.",
    ),
    click.option(
        "--keywords",
        multiple=True,
        metavar="WORDS",
        help="Names and terms to expect, e.g. Müller,HbA1c (comma or repeat); '' takes them away.",
    ),
    click.option("--diarizer", help="Who finds the speakers: auto, or a name of `evt providers`, or NAME:MODEL."),
    click.option("--transcriber", help="Who finds the words: auto, or a name of `evt providers`."),
    click.option("--model", help="Model of the transcriber: a folder or a name."),
    click.option(
        "--format", "formats", multiple=True, help=f"Output formats: {', '.join(FORMATS)} (comma or repeat)."
    ),
    click.option(
        "--allow-gaps/--no-allow-gaps",
        default=None,
        help="Mark speech of which no words could be had, instead of failing.",
    ),
    click.option("--refresh", multiple=True, type=click.Choice(STAGES), help="Run this stage again in any case."),
    click.option("--reset-options", is_flag=True, help="Forget the options of earlier runs of this recording."),
)


ENGINE_OPTIONS = ("transcriber", "model", "diarizer")

_ENGINES = (
    click.option("--transcriber", multiple=True, metavar="NAME[:MODEL]", help="Who finds the words; repeat it."),
    click.option(
        "--model", multiple=True, help="Model of the transcriber; repeat it for several of one transcriber."
    ),
    click.option("--diarizer", multiple=True, metavar="NAME[:MODEL]", help="Who finds the speakers; repeat it."),
)


def _stay_offline(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Let the flag behind the command mean the same as before it."""
    if value:
        context.obj["offline"] = True


_LIMIT_OPTIONS = (
    click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_stay_offline,
        help="Nothing leaves this machine, whatever the settings say.",
    ),
    click.option("--profile", metavar="NAME", help="Take the settings of a profile; flags beside it win."),
    click.option("--max-cost", metavar="AMOUNT", help='No recording may cost more, e.g. 2.50 (USD) or "2.50 EUR".'),
    click.option("--max-batch-cost", metavar="AMOUNT", help="All recordings together may not cost more."),
    click.option(
        "--in-doubt",
        metavar="RULE",
        type=click.Choice(IN_DOUBT),
        help="A paid call may or may not have arrived: ask, repeat it, stop; auto: repeat small ones, else ask.",
    ),
    click.option(
        "--grace",
        "grace_s",
        metavar="SECONDS",
        help="After Ctrl-C, wait so long for answers that are being paid (default: 60).",
    ),
)

_BATCH_OPTIONS = (
    click.option(
        "-j",
        "--jobs",
        metavar="N",
        help="So many recordings at once (default: one for each core, more where services are waited for).",
    ),
    click.option(
        "--names",
        multiple=True,
        help="Names for the speakers in the order in which they first speak (comma or repeat); see `evt speakers`.",
    ),
)


def stage_options(command: Command) -> Command:
    """Give a command the options that change a result."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def lasting_options(command: Command) -> Command:
    """Give a command those of the options that change a result which can hold for whatever comes."""
    for option in reversed(_OPTIONS):
        if _name_of(option) not in {"refresh", "reset_options"}:
            command = option(command)
    return command


def variant_options(command: Command) -> Command:
    """Give a command the options of variants: the engines as often as wanted, and what holds for all of them."""
    for option in reversed(_OPTIONS):
        if _name_of(option) not in {*ENGINE_OPTIONS, "formats", "refresh", "reset_options"}:
            command = option(command)
    for option in reversed(_ENGINES):
        command = option(command)
    return command


def _name_of(option: Callable[[Any], Any]) -> str:
    return str(option(lambda: None).__click_params__[0].name)


def batch_options(command: Command) -> Command:
    """Give a command the options of those that work on many recordings."""
    for option in reversed(_BATCH_OPTIONS):
        command = option(command)
    return command


def limit_options(command: Command) -> Command:
    """Give a command the options that say what may be spent; `load_settings` takes them. None is ever recorded."""
    for option in reversed(_LIMIT_OPTIONS):
        command = option(command)
    return command


def named_from(flags: dict[str, Any], settings: Settings) -> Named:
    """Return the wishes of this invocation; those of a profile that a flag chose count as named now.

    Raises:
        SettingsError: a value can't be used.
    """
    given = {name: value for name in DEFAULTS if (value := flags.get(name)) not in (None, ())}
    for listed in {"formats", "identify", "keywords"} & given.keys():
        parts = [part.strip() for item in given[listed] for part in item.split(",") if part.strip()]
        parts = [part.lower() for part in parts] if listed == "formats" else parts
        given[listed] = parts if listed == "keywords" else sorted(set(parts))
    flagged = {name: checked(name, value, flag_of(name)) for name, value in given.items()}
    options = {**settings.named, **flagged}
    if (wrong := contradiction(options, flag_of)) is not None:
        raise SettingsError(wrong)
    return recordable(
        Named(
            options=options,
            environment=settings.environment,
            files=settings.files,
            reset=bool(flags.get("reset_options")),
            refresh=frozenset(flags.get("refresh") or ()),
        ),
        settings.home,
    )

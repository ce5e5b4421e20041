"""`evt models`: which models the engines on this machine can use, and how they come and go."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.errors import SettingsError
from cli.exit_codes import OK, REFUSED
from cli.output import say
from cli.render import json_line, printable, size
from cli.reports.models import (
    Known,
    known_json,
    list_json,
    list_lines,
    offer_json,
    offer_lines,
    removal_lines,
    steps_of,
)
from cli.settings.settings import Settings, load_settings
from pipeline.models.cached import look, others
from pipeline.models.catalogue import TABLE, Choice, choose
from pipeline.models.dropping import drop, other_revisions, survey
from pipeline.models.errors import ModelRefusedError
from pipeline.models.getting import fetch, offer_of
from pipeline.models.hub_client import ENDPOINT, Hub
from pipeline.providers import diarize_pyannote as pyannote
from pipeline.providers import transcribe_whisper as whisper
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.hub import hub_cache
from pipeline.secret import Secret


@click.group(
    "models",
    short_help="List, get and remove the models of engines on this machine.",
    subcommand_metavar="list|get|path|remove …",
)
def command() -> None:
    """List, get and remove the models that whisper and pyannote use on this machine.

    They lie where Hugging Face's tools keep them, so that other programs find them too. Only `get` ever
    uses the network; no other command of evt fetches a model.

    \b
    Examples:
      evt models list
      evt models get small
      evt models remove large-v2
    """


@command.command("list", short_help="List the models that can be used, the best first.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def list_(obj: dict[str, Any], /, as_json: bool) -> None:
    """List the models that the engines can use, the best first: how large, whether here, which languages.

    The network isn't asked. Models of the cache that evt can use are listed too, whoever put them there.

    \b
    Examples:
      evt models list
      evt models list --json | jq '.models[] | select(.state == "here")'
    """
    settings, cache = load_settings(obj["home"], offline=obj["offline"]), hub_cache(os.environ)
    found = _all(settings, cache)
    if as_json:
        click.echo(json_line(list_json(found, str(cache))))
        return
    for line in list_lines(found, str(cache)):
        click.echo(printable(line))


@command.command("get", short_help="Fetch a model from the hub, after asking.")
@click.argument("name")
@click.option("--again", is_flag=True, help="Check a model that is here; fetch what is wrong or newer.")
@click.option("--yes", is_flag=True, help="Fetch without asking.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def get(obj: dict[str, Any], /, name: str, again: bool, yes: bool, as_json: bool) -> int:
    """Fetch the model NAME from the Hugging Face hub: a name of `evt models list`, or OWNER/REPO.

    What it is, how large, under which licence and where it goes is said first. Only the files that the
    engine reads are fetched, and each is checked against the hub's digest before it is placed. A fetch that
    broke off goes on where it was when you repeat the command.

    The hub is $HF_ENDPOINT, else https://huggingface.co. Models with terms to accept need a token of your
    account there in $HF_TOKEN.

    \b
    Examples:
      evt models get small
      evt models get large-v3-turbo --yes
      evt models get someone/faster-whisper-of-their-own
    """
    choice, cache = choose(name), hub_cache(os.environ)
    lying = look(cache, choice)
    if lying.kind and not again:
        return _tell_here(Known(choice, lying), as_json=as_json)
    settings = load_settings(obj["home"], offline=obj["offline"])
    hub = _hub(settings)
    offer = offer_of(hub, cache, choice)
    source = hub.page(choice.repository)
    for line in offer_lines(offer, source) if not as_json else ():
        say(printable(line))
    for note in _notes(offer.kind.engine, choice):
        say(f"Note: {printable(note)}", err=True)
    if not yes and not (agreed := _agreed("Fetch it?", as_json=as_json)):
        if agreed is None:
            say("evt: nothing was fetched, since nobody can be asked; --yes fetches.", err=True)
            return REFUSED
        return OK
    try:
        with steps_of(offer, quiet=obj["quiet"] or as_json) as steps:
            came = fetch(hub, offer, steps)
    except KeyboardInterrupt:
        say("What came stays; the same command goes on from there.", err=True)
        raise
    if as_json:
        say(json_line({**offer_json(offer, source), "fetched_bytes": came, "was_here": False}))
    else:
        say(printable(f"{choice.name} is here: fetched {size(came)}, all {size(offer.size_bytes)} checked."))
    return OK


@command.command("path", short_help="Print the folder of a model, for scripts.")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def path(obj: dict[str, Any], /, name: str | None, as_json: bool) -> None:
    """Print the folder of the model NAME, or of all that are here, one a line.

    \b
    Examples:
      ls -lL "$(evt models path small)"
      evt models path --json
    """
    cache = hub_cache(os.environ)
    choices = [*TABLE.values(), *others(cache)] if name is None else [choose(name)]
    found = [Known(choice, look(cache, choice)) for choice in choices]
    here = [known for known in found if known.state == "here"]
    if name is not None and not here:
        raise ModelRefusedError(_absent(found[0]))
    if as_json:
        click.echo(json_line([{"name": known.choice.name, "folder": str(known.lying.snapshot)} for known in here]))
        return
    for known in here:
        click.echo(os.fsencode(str(known.lying.snapshot)))


@command.command("remove", short_help="Remove a model from the cache, after asking.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def remove(obj: dict[str, Any], /, name: str, yes: bool, as_json: bool) -> int:
    """Remove the files of the model NAME, and what a broken fetch of it left.

    They lie in the cache of Hugging Face's tools, where other programs may use them too. What another
    revision of it uses stays. A removal that was cut short is finished by repeating it.

    \b
    Examples:
      evt models remove large-v2
      evt models remove large-v2 --yes
    """
    choice, cache = choose(name), hub_cache(os.environ)
    known = Known(choice, look(cache, choice))
    going = survey(known.lying)
    if not going.files:
        raise ModelRefusedError(f"The model {choice.name} isn't here; there is nothing to remove.")
    for line in removal_lines(known, going, other_revisions(known.lying)) if not as_json else ():
        say(printable(line))
    if not yes and not (agreed := _agreed("Remove it?", as_json=as_json)):
        if agreed is None:
            say("evt: nothing was removed, since nobody can be asked; --yes removes.", err=True)
            return REFUSED
        return OK
    done = drop(known.lying)
    if as_json:
        say(json_line({"name": choice.name, "removed": {"files": done.files, "size_bytes": done.size_bytes}}))
    else:
        say(f"Removed {size(done.size_bytes)}.")
    return OK


def _all(settings: Settings, cache: Path) -> list[Known]:
    choices: Iterable[Choice] = (*TABLE.values(), *others(cache))
    ordered = sorted(choices, key=lambda choice: choice.kind is not None and choice.kind.engine == pyannote.NAME)
    taken = set(_taken(settings, cache))
    found = ((choice, look(cache, choice)) for choice in ordered)
    return [Known(choice, lying, lying.snapshot is not None and lying.snapshot in taken) for choice, lying in found]


def _taken(settings: Settings, cache: Path) -> Iterator[Path]:
    """Yield the folders of the models that a run without further options would take now."""
    options = {**settings.files, **settings.environment, **settings.named}
    by_whisper = options.get("transcriber") in {None, whisper.NAME} and not whisper.package_problem()
    if by_whisper and (model := whisper.find_model(options.get("model"), cache)):
        yield model.folder
    name, _, of = str(options.get("diarizer") or "").partition(":")
    if name == pyannote.NAME and (found := pyannote.find_model(of or pyannote.DEFAULT_MODEL, cache)):
        yield found.folder


def _hub(settings: Settings) -> Hub:
    """Return the hub of the user's environment.

    Raises:
        SettingsError: it may not be asked, or its address or token can't be used.
    """
    if settings.offline:
        raise SettingsError(f"Nothing is fetched, since nothing may leave this machine ({settings.offline}).")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise SettingsError("Nothing is fetched, since $HF_HUB_OFFLINE forbids it.")
    written = os.environ.get("HF_ENDPOINT") or ENDPOINT
    endpoint = endpoint_of(written)
    if endpoint.problem:
        raise SettingsError(
            f"$HF_ENDPOINT holds no address that can be used. Give one like {ENDPOINT}; http:// only on this "
            "machine or network."
        )
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and not all("!" <= char <= "~" for char in token):
        raise SettingsError("$HF_TOKEN holds what can't be a token. Set it to the token alone, or unset it.")
    return Hub(endpoint.url, Secret(token) if token else None)


def _notes(engine: str, choice: Choice) -> Iterator[str]:
    """Yield what the user should know before a model is fetched."""
    if engine == whisper.NAME and (problem := whisper.package_problem()):
        yield problem
    if engine == pyannote.NAME:
        if problem := pyannote.package_problem():
            yield problem
        if choice.name not in TABLE:
            yield "A model of pyannote.audio can run code when it is loaded: trust whoever made it."


def _agreed(question: str, *, as_json: bool) -> bool | None:
    """Return the user's answer; None: nobody can be asked."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return click.confirm(question, err=True)


def _tell_here(known: Known, *, as_json: bool) -> int:
    if as_json:
        say(json_line({**known_json(known), "fetched_bytes": 0, "was_here": True}))
    else:
        lying = known.lying
        say(printable(f"{known.choice.name} is here, {size(lying.size_bytes)} in {lying.snapshot}."))
        say("Nothing was fetched; --again checks it, and asks the hub whether there is a newer one.")
    return OK


def _absent(known: Known) -> str:
    name, here = known.choice.name, known.lying.size_bytes
    part = f"only {size(here)} of the model {name} are" if here else f"the model {name} isn't"
    return f"{part[0].upper()}{part[1:]} here: `evt models get {name}` gets it."

"""`evt providers`: who can find speakers and words here, what each can do, costs and needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import click

from cli.engines import (
    Offer,
    cost_words,
    ending,
    gives_words,
    languages_words,
    models_of,
    offer_as_json,
    offers,
    where_words,
)
from cli.errors import SettingsError
from cli.exit_codes import OK
from cli.output import say
from cli.render import json_line, printable, table
from cli.settings.settings import load_settings
from cli.wiring import make_providers
from pipeline.providers.foreign import DIARIZER, TRANSCRIBER
from pipeline.providers.services import Services


@click.command("providers", short_help="List who finds speakers and words, and what each can do and costs.")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json_", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, name: str | None, as_json_: bool) -> int:
    """List the diarizers and transcribers: what each gives, where audio goes, what it costs, and if it is ready.

    With NAME, all about that one: what it lacks and how to get it, its models, their prices, and when they end.
    Nothing is asked of any service: prices and dates are those of the file that evt ships, or of services.toml
    in the home. Other packages can bring providers of their own.

    \b
    Examples:
      evt providers
      evt providers openai
    """
    settings = load_settings(obj["home"], offline=obj["offline"])
    providers = make_providers(settings.home, settings.access, settings.offline)
    found = offers(providers, settings.access)
    chosen = [offer for offer in found if name in (None, offer.name)]
    if not chosen:
        known = ", ".join(dict.fromkeys(offer.name for offer in found))
        raise SettingsError(f"There is no provider {name!r}. There are: {known}.")
    if as_json_:
        click.echo(json_line(_report(chosen, providers.services)))
    elif name is None:
        click.echo(_overview(found))
    else:
        today = datetime.now(UTC).date()
        click.echo("\n\n".join("\n".join(_details(offer, providers.services, today)) for offer in chosen))
    for note in providers.shadowed():
        say(f"Note: {printable(note)}", err=True)
    return OK


def _report(chosen: list[Offer], services: Services) -> dict[str, Any]:
    described = [{**offer_as_json(offer), "models": models_of(offer, services)} for offer in chosen]
    for offer in described:
        for model in offer["models"]:
            model["price"] = model.pop("price_of_hour")
            model.pop("hour")
    return {
        "diarizers": [offer for offer in described if offer["kind"] == DIARIZER],
        "transcribers": [offer for offer in described if offer["kind"] == TRANSCRIBER],
        "date": services.date,
    }


def _overview(found: list[Offer]) -> str:
    diarizers: list[tuple[str, ...]] = [
        (*_begin(offer), where_words(offer.engine), cost_words(offer.engine))
        for offer in found
        if offer.kind == DIARIZER
    ]
    transcribers: list[tuple[str, ...]] = [
        (
            *_begin(offer),
            _gives(offer),
            languages_words(offer.engine.languages),
            where_words(offer.engine),
            cost_words(offer.engine),
        )
        for offer in found
        if offer.kind == TRANSCRIBER
    ]
    return "\n".join(
        [
            _printable_table(diarizers, ("DIARIZER", "READY", "AUDIO", "AN HOUR COSTS")),
            "",
            _printable_table(
                transcribers, ("TRANSCRIBER", "READY", "GIVES", "LANGUAGES", "AUDIO", "AN HOUR COSTS")
            ),
            "",
            "`evt providers NAME` says what one needs, and which models it has.",
        ]
    )


def _begin(offer: Offer) -> tuple[str, str]:
    return offer.name, "yes" if offer.engine.lacking is None else "no"


def _gives(offer: Offer) -> str:
    engine = offer.engine
    if engine.version == 0 and engine.lacking is not None:  # it couldn't even say
        return "?"
    guess = " (not tried yet)" if engine.unprobed else ""
    return gives_words({"word_times": engine.word_times, "speakers": engine.speakers}, draft=engine.draft) + guess


def _details(offer: Offer, services: Services, today: date) -> Iterator[str]:
    engine, access = offer.engine, offer.access
    price = engine.price
    facts = [
        ("ready", "yes" if engine.lacking is None else f"no: {engine.lacking}"),
        ("gives", _gives(offer) if offer.kind == TRANSCRIBER else "speakers and their turns"),
        ("languages", ", ".join(engine.languages or ["any"]) if offer.kind == TRANSCRIBER else None),
        ("audio", f"goes to {where_words(engine)}" if engine.network else "stays on this machine"),
        ("model", engine.model),
        ("costs", f"{cost_words(engine)}{' an hour' if price else ''}{f', as of {price.date}' if price else ''}"),
        ("billed as", f"at least {price.minimum_s:g} s a call" if price and price.minimum_s else None),
        ("options", ", ".join(engine.key_options) or "none"),
        ("key", ((access.key and access.source) or "none") if access else None),
        ("ends", ending(offer.name, engine, today) or engine.shutdown_date),
    ]
    yield f"{printable(offer.name)} ({offer.kind})"
    yield from (f"  {label:<10} {printable(value)}" for label, value in facts if value is not None)
    if models := models_of(offer, services):
        yield ""
        yield from (f"  {line}" for line in _models(offer, models).splitlines())


def _models(offer: Offer, models: list[dict[str, Any]]) -> str:
    if offer.kind == DIARIZER:
        rows: list[tuple[str, ...]] = [(m["model"], m["hour"], m.get("shutdown_date", "")) for m in models]
        return _printable_table(rows, ("MODEL", "AN HOUR COSTS", "ENDS"))
    engine = offer.engine
    usual = {"word_times": engine.word_times, "speakers": engine.speakers}
    described: list[tuple[str, ...]] = [
        (
            m["model"],
            gives_words(m if m.keys() & {"formats", "word_times", "speakers"} else usual),
            languages_words(m.get("languages")),
            m["hour"],
            f"{m['max_seconds']} s" if "max_seconds" in m else "",
            m.get("shutdown_date", ""),
        )
        for m in models
    ]
    return _printable_table(described, ("MODEL", "GIVES", "LANGUAGES", "AN HOUR COSTS", "AT ONCE", "ENDS"))


def _printable_table(rows: list[tuple[str, ...]], header: tuple[str, ...]) -> str:
    return table([tuple(printable(str(cell)) for cell in row) for row in rows], header)

"""Engines for people and programs: what each can do, costs and needs, where it sends the audio, when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from attrs import frozen

from cli.render import count
from pipeline.providers.foreign import DIARIZER, TRANSCRIBER
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Access
from pipeline.providers.services import Services
from projections.engine import Engine
from projections.money import Money, Price

ENDS_SOON_DAYS = 180
"""From when on the end of a model is spoken of without being asked."""


@frozen
class Offer:
    """A provider as it can be used here.

    Attributes:
        kind: `diarizer` or `transcriber`.
        name: what the user writes.
        access: of a provider on the network: with which key; None where none was looked for.
    """

    kind: str
    name: str
    engine: Engine
    access: Access | None


def offers(providers: Providers, access: Mapping[str, Access]) -> list[Offer]:
    """Return all providers, those of other packages too: the diarizers, then the transcribers."""
    found = zip((DIARIZER, TRANSCRIBER), providers.every_engine(), strict=True)
    return [
        Offer(kind, name, engine, access.get(name) if engine.network else None)
        for kind, engines in found
        for name, engine in engines.items()
    ]


def offer_as_json(offer: Offer) -> dict[str, Any]:
    """Return all that is known of a provider; of its key only whether there is one, and where it comes from."""
    engine, access = offer.engine, offer.access
    return {
        "kind": offer.kind,
        "name": offer.name,
        "ready": engine.lacking is None,
        "lacking": engine.lacking,
        "draft": engine.draft,
        "word_times": engine.word_times if offer.kind == TRANSCRIBER else None,
        "speakers": engine.speakers if offer.kind == TRANSCRIBER else True,
        "languages": list(engine.languages) if engine.languages else None,
        "network": engine.network,
        "origin": engine.origin or None,
        "model": engine.model,
        "unprobed": engine.unprobed,
        "options": list(engine.key_options),
        "billable": engine.billable,
        "price": price_as_json(engine.price),
        "shutdown_date": engine.shutdown_date,
        "key": {"set": access.key is not None, "origin": access.source or None} if access else None,
    }


def price_as_json(price: Price | None) -> dict[str, Any] | None:
    """Return what an hour costs; amounts are texts of decimal digits."""
    if price is None:
        return None
    return {
        "currency": price.currency,
        "per_hour": _hour(price, price.per_min).as_data()["amount"],
        "at_most_per_hour": _hour(price, max(price.per_min, price.at_most_per_min)).as_data()["amount"],
        "at_most_per_call_besides": str(price.at_most_per_call),
        "minimum_s": price.minimum_s,
        "date": price.date,
    }


def cost_words(engine: Engine) -> str:
    """Return what an hour of audio costs: `free`, `unknown`, `0.27 USD`, `about 0.36 USD` where usage decides."""
    if not engine.billable:
        return "free"
    return price_words(engine.price)


def price_words(price: Price | None) -> str:
    """Return what an hour costs."""
    if price is None:
        return "unknown"
    about = "about " if price.at_most_per_min or price.at_most_per_call else ""
    return f"{about}{_hour(price, price.per_min)}"


def gives_words(facts: Mapping[str, Any], *, draft: bool = False) -> str:
    """Return what a transcriber gives."""
    times = "timed words" if facts.get("word_times") else "timed segments" if facts.get("segment_times") else "text"
    parts = [times, *(["speakers"] if facts.get("speakers") else []), *(["a draft"] if draft else [])]
    return ", ".join(parts)


def where_words(engine: Engine) -> str:
    """Return where the audio goes."""
    return (engine.origin or "the network") if engine.network else "stays here"


def languages_words(languages: Sequence[str] | None) -> str:
    """Return which languages; many are only counted."""
    if languages is None:
        return "any"
    return ", ".join(languages) if len(languages) <= 3 else f"{len(languages)} languages"


def endings(found: Iterable[Offer], today: date) -> list[str]:
    """Say which models end soon, or have ended, of those providers that can be used."""
    ready = (offer for offer in found if offer.engine.lacking is None)
    return [notice for offer in ready if (notice := ending(offer.name, offer.engine, today))]


def ending(name: str, engine: Engine, today: date) -> str | None:
    """Return a sentence where the model of an engine ends within half a year, or has ended; None: it doesn't."""
    try:
        last = date.fromisoformat(engine.shutdown_date or "")
    except ValueError:
        return None
    left = (last - today).days
    if left > ENDS_SOON_DAYS:
        return None
    what = f"The model {engine.model} of {name}" if engine.model else f"{name}'s model"
    when = f"ends on {last}, in {count(left, 'day')}" if left > 0 else f"ended on {last}"
    return f"{what} {when}. Choose another with --model; `evt providers {name}` lists them."


def models_of(offer: Offer, services: Services) -> list[dict[str, Any]]:
    """Return the models that a service has, with what is known of each; empty where none are listed."""
    service = services.service(offer.name)
    named = service.get("transcription_models" if offer.kind == TRANSCRIBER else "models")
    known: Mapping[str, Any] = service.get("models", {}) if named is None else named
    return [{**_model(offer, name, services), **known[name]} for name in known]


def _model(offer: Offer, name: str, services: Services) -> dict[str, Any]:
    """Return a model's name and price; a model that has none of its own costs what the provider's does."""
    price = services.price(offer.name, name) if services.model(offer.name, name) else offer.engine.price
    return {"model": name, "hour": price_words(price), "price_of_hour": price_as_json(price)}


def _hour(price: Price, per_min: Decimal) -> Money:
    return Money(per_min * 60, price.currency)

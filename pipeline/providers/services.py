"""What paid services offer and ask for: `services.toml`, and over it the file of that name in the home."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pipeline.errors import ServicesFileError
from projections.money import Price, Rates

SHIPPED = Path(__file__).with_name("services.toml")


@frozen
class Services:
    """The merged tables. `content` is as in the file; everything of a model that isn't there is unknown."""

    content: Mapping[str, Any] = field(repr=False)

    @property
    def date(self) -> str:
        """When it was looked up, as YYYY-MM-DD."""
        return str(self.content["date"])

    @property
    def rates(self) -> Rates:
        """What currencies are worth."""
        return Rates({name: Decimal(str(value)) for name, value in self.content["rates"].items()}, self.date)

    def service(self, provider: str) -> Mapping[str, Any]:
        """Return the table of a service; empty where it has none."""
        found: Mapping[str, Any] = self.content.get(provider, {})
        return found

    def model(self, provider: str, name: str) -> Mapping[str, Any] | None:
        """Return the facts about a model; None: it isn't known."""
        found: Mapping[str, Any] | None = self.service(provider).get("models", {}).get(name)
        return found

    def price(self, provider: str, name: str, kind: str = "price") -> Price | None:
        """Return what a model costs; None where that isn't known. `kind` is the key that holds it."""
        given = (self.model(provider, name) or {}).get(kind)
        if not given:
            return None
        return Price(
            currency=given["currency"],
            per_min=Decimal(given["per_min"]),
            date=given.get("date", self.date),
            at_most_per_min=Decimal(given.get("at_most_per_min", 0)),
            at_most_per_call=Decimal(given.get("at_most_per_call", 0)),
            minimum_s=float(given.get("minimum_s", 0)),
            step_s=float(given.get("step_s", 1)),
        )


def load_services(override: Path | None = None) -> Services:
    """Return the shipped tables with the user's over them.

    Raises:
        ServicesFileError: the user's file can't be understood.
    """
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))
    if override is None or not override.exists():
        return Services(shipped)
    try:
        services = Services(_merged(shipped, tomllib.loads(override.read_text("utf-8"))))
        _ = services.rates
        for provider, table in services.content.items():
            for model in table.get("models", {}) if isinstance(table, dict) else ():
                for kind in services.model(provider, model) or ():
                    if kind.endswith("price"):
                        services.price(provider, model, kind)
    except (OSError, ValueError, InvalidOperation, KeyError, TypeError, AttributeError) as error:
        raise ServicesFileError(f"The file {override} can't be used ({error}). Mend or remove it.") from error
    return services


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], dict) and isinstance(over[name], dict):
            merged[name] = _merged(under[name], over[name])
    return merged

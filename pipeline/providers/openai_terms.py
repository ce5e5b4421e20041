"""What the services' data say of a model of OpenAI's API: how it is asked, how much at once, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from pipeline.providers.services import Services
from projections.graph import TEXTS
from projections.money import BILLED, ESTIMATED, Money, Price

SERVICE = "openai"

JSON, VERBOSE, DIARIZED = "json", "verbose_json", "diarized_json"

_FLAC_BYTES_PER_S = 32_200
"""Samples that can't be compressed are stored as they are: 16 kHz, two bytes, and the frames' heads."""

_CHUNK_S = (300.0, 480.0)


@frozen
class Terms:
    """A model's terms; everything of one that isn't in the tables is unknown.

    Attributes:
        name: of the model.
        known: it is in the tables.
        facts: its own table.
        service: the table of the service.
    """

    name: str
    known: bool
    price: Price | None
    facts: Mapping[str, Any] = field(repr=False)
    service: Mapping[str, Any] = field(repr=False)

    @property
    def format(self) -> str:
        """The response format that tells most; a guess where the model isn't known."""
        if not self.known:
            return VERBOSE
        if self.speakers:
            return DIARIZED
        return VERBOSE if self.word_times else JSON

    @property
    def word_times(self) -> bool:
        """Whether it times words; a guess where the model isn't known."""
        return bool(self.facts.get("word_times")) or not self.known

    @property
    def speakers(self) -> bool:
        """Whether it says who speaks."""
        return bool(self.facts.get("speakers"))

    @property
    def texts(self) -> tuple[str, ...]:
        """Which words of people it takes; a guess where the model isn't known."""
        return tuple(name for name in TEXTS if self.facts.get(name, name == "prompt" and not self.known))

    @property
    def prompt_tokens(self) -> int | None:
        """How many tokens of a prompt it heeds, the last ones; None: no limit is known."""
        return self.facts.get("prompt_tokens")

    @property
    def is_free(self) -> bool:
        """Whether the user's own tables say that it costs nothing."""
        return bool(self.facts.get("free", self.service.get("free", False)))

    @property
    def max_bytes(self) -> int:
        """How large an upload may be."""
        return int(self.facts.get("max_bytes", self.service.get("max_bytes", 25_000_000)))

    @property
    def max_seconds(self) -> float | None:
        """How long an upload may be; None: no limit is known."""
        longest = self.facts.get("max_seconds", self.service.get("max_seconds"))
        return None if longest is None else float(longest)

    @property
    def max_output_tokens(self) -> int | None:
        """Where the model's text ends, whether or not all was said; None: no limit is known."""
        return self.facts.get("max_output_tokens")

    @property
    def chunk_s(self) -> tuple[float, float]:
        """How long a chunk should be, (shortest, longest), within the limits of the model."""
        shortest, longest = map(float, self.facts.get("chunk_s", self.service.get("chunk_s", _CHUNK_S)))
        limit = min(longest, self.max_bytes / _FLAC_BYTES_PER_S, self.max_seconds or longest)
        return min(shortest, limit * shortest / longest), limit

    def cost(self, usage: Mapping[str, Any] | None, duration_s: float) -> tuple[Money | None, str]:
        """Return what a call cost and the basis of that: what the service counted, else an estimate."""
        if self.price is None:
            return None, ESTIMATED
        counted = _counted(self.price, self.facts.get("tokens"), usage)
        return (counted, BILLED) if counted else (self.price.expected(duration_s), ESTIMATED)


def terms_of(services: Services, model: str | None) -> Terms:
    """Return the terms of a model; None: of the service's own choice."""
    service = services.service(SERVICE)
    name = model or str(service.get("default_model", ""))
    facts = services.model(SERVICE, name)
    return Terms(name, facts is not None, services.price(SERVICE, name), facts or {}, service)


def _counted(price: Price, tokens: Mapping[str, str] | None, usage: Mapping[str, Any] | None) -> Money | None:
    """Return what the counted seconds or tokens come to; None where they don't say it."""
    usage = usage or {}
    if usage.get("type") == "duration" and _is_count(usage.get("seconds")):
        return price.expected(float(usage["seconds"]))
    if usage.get("type") != "tokens" or not tokens:
        return None
    details = usage.get("input_token_details")
    details = details if isinstance(details, Mapping) else {"audio_tokens": usage.get("input_tokens")}
    text_in = details.get("text_tokens") or 0
    counts = (details.get("audio_tokens"), text_in, usage.get("output_tokens"))
    if not all(map(_is_count, counts)):
        return None
    rates = (tokens[name] for name in ("audio_in_per_million", "text_in_per_million", "out_per_million"))
    amounts = [Decimal(str(count)) * Decimal(rate) for count, rate in zip(counts, rates, strict=True)]
    return Money((sum(amounts, Decimal(0)) / 1_000_000).quantize(Decimal("0.000001")), price.currency)


def _is_count(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12

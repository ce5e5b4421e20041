"""What the plan must know of a provider: facts as data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from eventlog.values import Value
from projections.money import Price

Probed = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""What was found out about models of servers: facts by (provider, origin, model); the newest count."""


@frozen(eq=False, repr=False)
class Engine(Value):
    """A provider as the plan sees it.

    Attributes:
        name: what the user writes, e.g. `builtin` or `script:talk.toml`.
        version: raised when the same options would give another result; part of the stage's key.
        key_options: the options that change this provider's output; only these enter the key.
        word_times: a transcriber that times its words needs no turns to begin with.
        speakers: a transcriber that says who speaks; diarization can be taken from its answer.
        languages: the languages it can transcribe; None: any.
        network: audio leaves the machine; such an engine is never chosen by itself.
        billable: its calls cost money, or may.
        origin: where its calls go, e.g. `https://api.openai.com`; empty for local engines.
        account: 8 hex digits that tell accounts apart, and nothing else about them.
        model: the model that is used where the user named none.
        price: what a call costs; None: unknown, or nothing where it isn't billable.
        facts: how this model of this server is spoken to, e.g. {"format": "verbose_json"}.
        unprobed: the facts are a guess until `engine.probed` says more.
        shutdown_date: when the service ends this model, as YYYY-MM-DD.
        draft: its result is good enough to try evt, not to rely on; every output says so.
        by_position: its answers depend on where in the recording a chunk lies, so equal audio is no equal request.
        unit_s: no chunk but the last is shorter; bounds the number of calls before it is known.
        reconciles: a job that may have been accepted can be looked for.
        in_order: a chunk is asked for only when the one before it is answered.
        takes_parts: long pauses are cut out of what it is sent.
        accounts_for_speech: speech without words means that some are missing; not so for a script.
        prompt_tokens: so many tokens of a prompt it heeds, the last ones; None: unknown, or it takes no prompt.
        heavy: it needs so much memory or so many cores that one call of such engines is made at a time.
        lacking: what is missing on this machine, with the remedy; None: ready.
    """

    name: str
    version: int
    key_options: tuple[str, ...] = ()
    word_times: bool = True
    speakers: bool = False
    languages: tuple[str, ...] | None = None
    network: bool = False
    billable: bool = False
    origin: str = ""
    account: str = ""
    model: str | None = None
    price: Price | None = None
    facts: Mapping[str, Any] = {}
    unprobed: bool = False
    shutdown_date: str | None = None
    draft: bool = False
    by_position: bool = False
    unit_s: float = 300.0
    reconciles: bool = False
    in_order: bool = False
    takes_parts: bool = False
    accounts_for_speech: bool = True
    prompt_tokens: int | None = None
    heavy: bool = False
    lacking: str | None = None

    @property
    def keeps_voices(self) -> bool:
        """A part that is asked for by itself has the voices of the whole, or none: parts may be asked for anew."""
        return not self.speakers or self.in_order


def with_probed(engine: Engine, probed: Probed) -> Engine:
    """Return an engine whose guessed facts are replaced by what was found out; any other engine as it is.

    The facts may hold `word_times` and `speakers`, which are then the engine's.
    """
    found = probed.get((engine.name, engine.origin, engine.model or "")) if engine.unprobed else None
    if found is None:
        return engine
    return evolve(
        engine,
        facts={**engine.facts, **found},
        word_times=bool(found.get("word_times", engine.word_times)),
        speakers=bool(found.get("speakers", engine.speakers)),
        unprobed=False,
    )

"""What a cleanup finds and does, in words and as JSON; `evt cleanup` and the setting `retention` share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import frozen

from cli.lookup import known_pipelines
from cli.render import count, printable, shown_name, size, table
from cli.reports.costs import cost_words
from pipeline.upkeep.cleanup import (
    LEFT,
    MAKING,
    Candidate,
    Cleaner,
    Done,
    Offer,
    Spared,
    free_bytes,
    remove_temporary,
    temporary,
)
from projections.cleaning import ANSWERS, AUDIO, EXPORTS, PAID
from projections.cost import Row, Sums, totals

ROWS_MAX = 20
"""So many pipelines are shown one by one; the largest come first."""
_KINDS = {
    AUDIO: "converted audio",
    ANSWERS: "answers of local engines",
    EXPORTS: "replaced transcripts",
    PAID: "answers that were paid for",
    MAKING: "half-done work of dead runs",
    LEFT: "left by a cleanup that was cut short",
}


@frozen
class Survey:
    """What a cleanup could remove.

    Attributes:
        offers: by pipeline, where there is anything.
        spared: the pipelines that are left alone.
        temporary: files of the home that were in the making.
        orphans: pipelines of which files are left and no log.
    """

    offers: tuple[Offer, ...]
    spared: tuple[Spared, ...]
    temporary: tuple[Candidate, ...] = ()
    orphans: tuple[str, ...] = ()

    @property
    def candidates(self) -> list[Candidate]:
        """Everything that could go."""
        return [*(item for offer in self.offers for item in offer.candidates), *self.temporary]

    @property
    def cost(self) -> tuple[Sums, ...]:
        """What that costs to make again, one for each currency."""
        return totals(Row("", sums) for offer in self.offers for sums in offer.cost)

    @property
    def unpriced(self) -> int:
        """How many answers were paid for, and only another pipeline's log says how much."""
        paid = sum(item.kind == PAID for item in self.candidates)
        return paid - sum(sums.calls for sums in self.cost)


def survey(cleaner: Cleaner, named: Sequence[str], now_s: float) -> Survey:
    """Look at the named pipelines, or at the whole home; nothing is changed."""
    logs = cleaner.store.pipelines()
    orphans = [name for name in known_pipelines(cleaner.store, cleaner.home) if name not in {*logs}]
    found = list(cleaner.survey([name for name in named if name in {*logs}] if named else logs))
    return Survey(
        offers=tuple(item for item in found if isinstance(item, Offer) and item.candidates),
        spared=tuple(item for item in found if isinstance(item, Spared)),
        temporary=() if named else tuple(temporary(cleaner.home, now_s)),
        orphans=tuple(name for name in orphans if not named or name in named),
    )


def carry_out(cleaner: Cleaner, found: Survey, is_stopped: Callable[[], bool] = lambda: False) -> list[Done]:
    """Remove all that was found, until somebody wants to stop; what can't be removed stops nothing.

    On a full disk one pipeline may free the room for another one's record, so what failed is tried again.
    """
    more = [remove_temporary(cleaner.home, found.temporary)] if found.temporary else []
    done = {offer.pipeline: cleaner.clean(offer) for offer in found.offers if not is_stopped()}
    if any(item.files for item in (*done.values(), *more)):
        for offer in found.offers:
            if (before := done.get(offer.pipeline)) and before.failures and not before.files and not is_stopped():
                done[offer.pipeline] = cleaner.clean(offer)
    return [*done.values(), *more]


def paragraphs(found: Survey, *, paid: bool) -> Iterator[str]:
    """Yield lines that say what would go, what it costs to make again, and what is left alone."""
    if found.offers:
        yield from _table(found.offers, paid=paid).split("\n")
        yield ""
    yield f"Can be removed: {in_short(found)}." if found.candidates else "There is nothing to remove."
    for kind, label in _KINDS.items():
        some = [item.found for item in found.candidates if item.kind == kind]
        if some:
            yield f"  {label}: {count(sum(item.files for item in some), 'file')}, {size(free_bytes(some))}"
    if any(item.kind == PAID for item in found.candidates):
        more = f", and {count(found.unpriced, 'answer')} of unknown price" if found.unpriced else ""
        cost = cost_words(found.cost) or "an unknown amount"
        yield f"To get answers again that were paid for costs as much as they did: {cost}{more}."
    if any(item.kind == AUDIO for item in found.candidates):
        yield "Audio is converted again if something needs it; keep the recordings for that."
    if alone := sum(not offer.has_recording for offer in found.offers):
        of = count(alone, "pipeline")
        yield f"Of {of} the recording isn't where it was seen: the converted audio may be the only copy."
    for reason, number in sorted(Counter(item.reason for item in found.spared).items()):
        yield f"Left alone: {count(number, 'pipeline')}, {'each ' if number > 1 else ''}because {reason}."
    for name in found.orphans:
        yield f"{name} has files and no log. Restore the log from a backup, or remove the rest of that pipeline."


def in_short(found: Survey) -> str:
    """Return how much could go: `12 files of 3 pipelines, 48.1 MB`."""
    amounts = _amounts(found.candidates)
    of = f" of {count(len(found.offers), 'pipeline')}" if found.offers else ""
    return f"{count(amounts['files'], 'file')}{of}, {size(amounts['size_bytes'])}"


def totals_line(done: Sequence[Done]) -> str:
    """Return what really went."""
    files, freed = sum(item.files for item in done), sum(item.size_bytes for item in done)
    return f"Removed {count(files, 'file')}, {size(freed)}."


def told(done: Sequence[Done], remedy: str = "Mend that; the next `evt cleanup` goes on.") -> Iterator[str]:
    """Yield what didn't go, and why."""
    for item in done:
        if item.spared is not None:
            yield f"{item.pipeline} was left alone, because {item.spared}."
        if item.failures:
            more = f" (and {len(item.failures) - 1} more)" if len(item.failures) > 1 else ""
            yield f"{item.failures[0].rstrip('.')}{more}. {remedy}"


def as_json(found: Survey, done: Sequence[Done]) -> dict[str, Any]:
    """Return all of it for programs."""
    went = {item.pipeline: item for item in done}
    return {
        "pipelines": [_offer(offer, went.get(offer.pipeline)) for offer in found.offers],
        "temporary": _amounts(found.temporary),
        "total": _amounts(found.candidates),
        "cost": costs_as_json(found.cost),
        "unpriced": found.unpriced,
        "removed": {
            "files": sum(item.files for item in done),
            "size_bytes": sum(item.size_bytes for item in done),
        },
        "spared": [{"pipeline": item.pipeline, "reason": item.reason} for item in found.spared],
        "orphans": list(found.orphans),
        "failures": [printable(text) for item in done for text in item.failures],
    }


def _offer(offer: Offer, done: Done | None) -> dict[str, Any]:
    kinds = {item.kind for item in offer.candidates}
    return {
        "pipeline": offer.pipeline,
        "name": shown_name(offer.name),
        **_amounts(offer.candidates),
        "kinds": {kind: _amounts([i for i in offer.candidates if i.kind == kind]) for kind in sorted(kinds)},
        "cost": costs_as_json(offer.cost),
        "removed": {"files": done.files, "size_bytes": done.size_bytes} if done else None,
        "spared": done.spared if done else None,
    }


def _amounts(items: Sequence[Candidate]) -> dict[str, int]:
    found = [item.found for item in items]
    return {"files": sum(item.files for item in found), "size_bytes": free_bytes(found)}


def costs_as_json(cost: Sequence[Sums]) -> list[dict[str, Any]]:
    """Return what something cost, for programs."""
    return [
        {"currency": sums.currency, "amount": str(sums.paid.amount) if sums.paid else None, "calls": sums.calls}
        for sums in cost
    ]


def _table(offers: Sequence[Offer], *, paid: bool) -> str:
    shown = sorted(offers, key=lambda offer: -free_bytes(item.found for item in offer.candidates))
    rows = [_row(offer, paid=paid) for offer in shown[:ROWS_MAX]]
    header = ("ID", "FILES", "SIZE", *(("COST",) if paid else ()), "NAME")
    more = f"\n… and {len(shown) - ROWS_MAX} more pipelines" if len(shown) > ROWS_MAX else ""
    return table(rows, header) + more


def _row(offer: Offer, *, paid: bool) -> tuple[str, ...]:
    amounts = _amounts(offer.candidates)
    cost = (cost_words(offer.cost),) if paid else ()
    return (offer.pipeline, str(amounts["files"]), size(amounts["size_bytes"]), *cost, shown_name(offer.name))

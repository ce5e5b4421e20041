"""`evt cleanup --purge`: what would go, in words and as JSON, and the way from a question to a removal."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from cli.cleaning import costs_as_json, told, totals_line
from cli.commands.bundle import family
from cli.exit_codes import FAILED, OK, REFUSED
from cli.output import say
from cli.render import count, json_line, printable, shown_name, size, table
from cli.reports.costs import cost_words
from cli.system import allow_many_files
from pipeline.upkeep.cleanup import Done, Spared, free_bytes
from pipeline.upkeep.purging import InBundle, Purgeable, Purger
from projections.cost import Row, Sums, totals

ROWS_MAX = 20


@frozen
class Asked:
    """How the user wants a purge; `named` are the pipelines that were named, `bundle` is None for --no-bundle."""

    named: Sequence[str]
    bundle: Path | None
    dry_run: bool
    yes: bool
    as_json: bool


def purge(purger: Purger, asked: Asked) -> int:
    """Say what would go, ask, bundle it, remove it; return the exit code."""
    found = list(purger.survey(_chosen(purger, asked)))
    offers = [item for item in found if isinstance(item, Purgeable)]
    spared = [item for item in found if isinstance(item, Spared)]
    for line in () if asked.as_json else _paragraphs(offers, spared, asked.bundle):
        say(printable(line))
    wanted = bool(offers) and not asked.dry_run
    may_ask = not asked.as_json and sys.stdin.isatty() and sys.stderr.isatty()
    if wanted and not asked.yes and not may_ask:
        say("evt: nothing was purged, since nobody can be asked; --yes purges, --dry-run only says what.", err=True)
        return REFUSED
    agreed = wanted and (asked.yes or click.confirm(_question(asked.bundle), err=True))
    bundle = _bundled(purger, offers, asked) if agreed else None
    done = list(purger.purge(offers, bundle)) if agreed else []
    if asked.as_json:
        say(json_line(_as_json(offers, spared, bundle, done)))
    elif agreed:
        say(totals_line(done))
    return _code(spared, done, asked.named)


def _chosen(purger: Purger, asked: Asked) -> list[str]:
    """Return what the user named, with variants, or all pipelines of the home."""
    if not asked.named:
        return purger.store.pipelines()
    return list(dict.fromkeys(member for name in asked.named for member in family(name, purger.store)))


def _bundled(purger: Purger, offers: Sequence[Purgeable], asked: Asked) -> InBundle | None:
    if asked.bundle is None:
        return None
    allow_many_files()
    bundle = purger.bundle(offers, asked.bundle, time.monotonic)
    if not asked.as_json:
        for text in bundle.left_out:
            say(printable(f"Not in the bundle: {text}, which is not what the log says."))
        say(printable(f"Written, and read back: {asked.bundle}, {size(bundle.kept.size_bytes)}."))
    return bundle


def _question(bundle: Path | None) -> str:
    if bundle is None:
        return "Remove all of this for good, without a bundle?"
    return printable(f"Bundle all of this into {bundle}, then remove it?")


def _paragraphs(offers: Sequence[Purgeable], spared: Sequence[Spared], bundle: Path | None) -> Iterator[str]:
    if offers:
        yield from table(
            [_row(offer) for offer in offers[:ROWS_MAX]], ("ID", "STATUS", "FILES", "SIZE", "COST", "NAME")
        ).split("\n")
        if len(offers) > ROWS_MAX:
            yield f"… and {len(offers) - ROWS_MAX} more pipelines"
        yield ""
        files, size_bytes = _amounts(offers)
        amounts = f"{count(len(offers), 'pipeline')}, {count(files, 'file')}, {size(size_bytes)}"
        yield f"To be purged, logs included: {amounts}."
        cost = cost_words(_cost(offers))
        yield f"To make it again costs as much as it did: {cost}." if cost else "To make it again costs no money."
        yield "Transcripts outside the home stay. `evt run` begins none of it anew before `evt accept`."
        if bundle is None:
            yield "No bundle is made: none of it can be brought back."
    else:
        yield "There is nothing to purge."
    for reason, number in sorted(Counter(item.reason for item in spared).items()):
        yield f"Left alone: {count(number, 'pipeline')}, {'each ' if number > 1 else ''}because {reason}."


def _row(offer: Purgeable) -> tuple[str, ...]:
    amounts = (str(len(offer.found)), size(free_bytes(offer.found)), cost_words(offer.cost) or "-")
    return (offer.pipeline, offer.status.replace("_", " "), *amounts, shown_name(offer.name))


def _amounts(offers: Sequence[Purgeable]) -> tuple[int, int]:
    """Return how many files these are, and the bytes that come free: variants share files with their base."""
    found = [item for offer in offers for item in offer.found]
    return len(found), free_bytes(found)


def _cost(offers: Sequence[Purgeable]) -> tuple[Sums, ...]:
    return totals(Row("", sums) for offer in offers for sums in offer.cost)


def _as_json(
    offers: Sequence[Purgeable], spared: Sequence[Spared], bundle: InBundle | None, done: Sequence[Done]
) -> dict[str, Any]:
    went = {item.pipeline: item for item in done}
    files, size_bytes = _amounts(offers)
    return {
        "pipelines": [_offer_as_json(offer, went.get(offer.pipeline)) for offer in offers],
        "total": {"files": files, "size_bytes": size_bytes},
        "cost": costs_as_json(_cost(offers)),
        "bundle": {
            "path": printable(str(bundle.kept.path)),
            "sha256": bundle.kept.sha256,
            "size_bytes": bundle.kept.size_bytes,
            "left_out": [printable(text) for text in bundle.left_out],
        }
        if bundle
        else None,
        "removed": {
            "files": sum(item.files for item in done),
            "size_bytes": sum(item.size_bytes for item in done),
        },
        "spared": [{"pipeline": item.pipeline, "reason": item.reason} for item in spared],
        "failures": [printable(text) for item in done for text in item.failures],
    }


def _offer_as_json(offer: Purgeable, done: Done | None) -> dict[str, Any]:
    return {
        "pipeline": offer.pipeline,
        "name": shown_name(offer.name),
        "status": offer.status,
        "files": len(offer.found),
        "size_bytes": free_bytes(offer.found),
        "cost": costs_as_json(offer.cost),
        "removed": {"files": done.files, "size_bytes": done.size_bytes} if done else None,
        "spared": done.spared if done else None,
    }


def _code(spared: Sequence[Spared], done: Sequence[Done], named: Sequence[str]) -> int:
    """Say what didn't go, and return the exit code: as for a cleanup."""
    for line in told(done, "Mend that, then repeat the command; what was begun, any next `evt cleanup` finishes."):
        say(f"evt: {printable(line)}", err=True)
    if any(item.failures for item in done):
        return FAILED
    left = {item.pipeline for item in spared} | {item.pipeline for item in done if item.spared}
    return REFUSED if left.intersection(named) else OK

"""Models for people and programs: the list, what would be fetched or removed, how far a fetch is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import frozen

from cli.output import say
from cli.progress import download_bar
from cli.render import count, size, table
from pipeline.models.cached import Lying
from pipeline.models.catalogue import STATED, Choice
from pipeline.models.dropping import Going
from pipeline.models.getting import Offer, Steps

SHARED = "Other programs that use the cache of Hugging Face's tools find these files too."


@frozen
class Known:
    """A model, what is here of it, and whether a run would take it now."""

    choice: Choice
    lying: Lying
    taken: bool = False

    @property
    def engine(self) -> str | None:
        """Which engine it is for."""
        kind = self.lying.kind or self.choice.kind
        return kind.engine if kind else None

    @property
    def state(self) -> str:
        """`here`, `incomplete` or `absent`."""
        return "here" if self.lying.kind else "incomplete" if self.lying.size_bytes else "absent"


def list_lines(found: Sequence[Known], cache: str) -> Iterator[str]:
    """Yield the list for people."""
    rows = [
        (known.choice.name, known.engine or "", _size(known), _here(known), _languages(known), _licence(known))
        for known in found
    ]
    yield from table(rows, ("MODEL", "ENGINE", "SIZE", "HERE", "LANGUAGES", "LICENCE")).split("\n")
    yield ""
    if any(known.state != "here" and known.choice.size_bytes for known in found):
        yield f"Sizes with ~ are reckoned from the number of parameters ({STATED}); `evt models get` asks the hub."
    yield f"Models lie in {cache}. `evt models get NAME` fetches one, after asking."


def list_json(found: Sequence[Known], cache: str) -> dict[str, Any]:
    """Return the list for programs."""
    return {"cache": cache, "stated": STATED, "models": [known_json(known) for known in found]}


def known_json(known: Known) -> dict[str, Any]:
    """Return one model for programs; `size_bytes` is measured where it is here, else reckoned, else null."""
    english = known.choice.english_only
    return {
        "name": known.choice.name,
        "engine": known.engine,
        "repository": known.choice.repository,
        "state": known.state,
        "size_bytes": known.lying.size_bytes if known.state == "here" else known.choice.size_bytes,
        "is_measured": known.state == "here",
        "here_bytes": known.lying.size_bytes,
        "languages": None if english is None else "en" if english else "many",
        "licence": known.choice.licence,
        "taken": known.taken,
        "folder": str(known.lying.snapshot) if known.state == "here" else None,
        "revision": known.lying.snapshot.name if known.state == "here" and known.lying.snapshot else None,
    }


def offer_lines(offer: Offer, source: str) -> Iterator[str]:
    """Yield what would be fetched, from where, and where to."""
    missing = offer.size_bytes - offer.here_bytes
    here = f", of which {size(offer.here_bytes)} are here" if offer.here_bytes else ""
    yield f"{offer.choice.name}, a model for {offer.kind.engine}"
    facts = {
        "source": source,
        "revision": offer.listing.revision,
        "size": f"{count(len(offer.files), 'file')}, {size(offer.size_bytes)}{here}",
        "licence": offer.listing.licence or "not stated",
        "place": str(offer.folder),
        "room": f"{size(offer.free_bytes)} free" + (f", {size(missing)} to fetch" if missing else ""),
    }
    yield from (f"  {label:<9} {value}" for label, value in facts.items())


def offer_json(offer: Offer, source: str) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "name": offer.choice.name,
        "engine": offer.kind.engine,
        "source": source,
        "repository": offer.choice.repository,
        "revision": offer.listing.revision,
        "licence": offer.listing.licence,
        "size_bytes": offer.size_bytes,
        "here_bytes": offer.here_bytes,
        "free_bytes": offer.free_bytes,
        "files": [{"path": one.path, "size_bytes": one.size_bytes, "digest": one.digest} for one in offer.files],
        "folder": str(offer.snapshot),
    }


def removal_lines(known: Known, going: Going, others: int) -> Iterator[str]:
    """Yield what would be removed, and what wouldn't."""
    what = "" if known.state == "here" else ", left of a fetch or a removal that was cut short"
    yield f"To be removed: {known.choice.name}, {size(going.size_bytes)} in {known.lying.folder}{what}."
    yield SHARED
    if others:
        yield f"Left alone: {count(others, 'other revision')} of it, which evt doesn't use."


@contextmanager
def steps_of(offer: Offer, *, quiet: bool) -> Iterator[Steps]:
    """Give what shows a fetch: a bar on a terminal, nothing elsewhere."""

    def waits() -> None:
        say("Another program fetches a file of this model; waiting for it.", err=True)

    if quiet or not sys.stderr.isatty():
        yield Steps(lambda _: None, waits)
        return
    with download_bar(offer.choice.name, offer.size_bytes) as advance:
        yield Steps(advance, waits)


def _size(known: Known) -> str:
    if known.state == "here":
        return size(known.lying.size_bytes)
    return f"~ {size(known.choice.size_bytes)}" if known.choice.size_bytes else ""


def _here(known: Known) -> str:
    words: Mapping[str, str] = {
        "here": "yes, a run takes it" if known.taken else "yes",
        "incomplete": f"{size(known.lying.size_bytes)} of it",
        "absent": "no",
    }
    return words[known.state]


def _languages(known: Known) -> str:
    english = known.choice.english_only
    if known.engine == "pyannote":
        return "any"
    return "" if english is None else "English" if english else "many"


def _licence(known: Known) -> str:
    return known.choice.licence or ""

"""Wishes as a log can hold them: ids in the place of people's names, and words of people wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from pipeline.errors import SettingsError
from pipeline.home import Home
from pipeline.providers.voiceprints import Voiceprints
from pipeline.texts import FreeText
from pipeline.wishes import shortened
from projections.graph import TEXTS
from projections.options import Named


def recordable(named: Named, home: Home) -> Named:
    """Return wishes that a log can't give away: ids in the place of people's names, and words of people wrapped.

    Raises:
        SettingsError: there is no voiceprint of a name.
    """

    def known(options: Mapping[str, Any]) -> Mapping[str, Any]:
        names = options.get("identify")
        ids = {"identify": ids_of(names, home)} if names else {}
        words = {name: FreeText(options[name]) for name in TEXTS if isinstance(options.get(name), str | list)}
        return {**options, **ids, **words}

    return evolve(
        named, options=known(named.options), environment=known(named.environment), files=known(named.files)
    )


def ids_of(names: Iterable[str], home: Home) -> list[str]:
    """Return the ids of voiceprints by their names, sorted; what is an id already stays.

    Raises:
        SettingsError: there is none of that name, or it can't be read; the message lists those there are.
    """
    kept = {one.name: one.id for one in Voiceprints(home.voiceprints).all()}
    known = {**{vp_id: vp_id for vp_id in kept.values()}, **kept}
    for name in names:
        if name not in known:
            there = f"There are: {', '.join(kept)}." if kept else "There are none."
            raise SettingsError(
                f"There is no voiceprint named {shortened(name)}. {there} `evt voiceprint create` makes one."
            )
    return sorted({known[name] for name in names})

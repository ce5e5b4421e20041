"""From the names of people to the ids of their voiceprints."""

from __future__ import annotations

from collections.abc import Iterable

from cli.errors import SettingsError
from cli.render import shortened
from pipeline.home import Home
from pipeline.providers.voiceprints import Voiceprints


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

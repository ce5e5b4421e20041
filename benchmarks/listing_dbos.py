"""Listing ten thousand pipelines beside `DBOS.list_workflows` of ten thousand finished workflows, in turns.

    python -m benchmarks.listing_dbos

`measure` returns ms. The pipelines have twenty events each, the workflows one step.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.listing import SETTLED_S, make_home
from benchmarks.peer import peers
from benchmarks.turns import in_turns, on_disk, timed
from pipeline.listing.listing import Listing

ROUNDS, AT_MOST_S = 15, 30.0


def measure(folder: Path) -> dict[str, float]:
    """Return ms: `listing` in process, with the index there, and `DBOS list_workflows`."""
    (folder / "home").mkdir()
    logs, index = make_home(folder / "home"), folder / "home" / "index.sqlite"

    def listing() -> object:
        return Listing(logs, index, now_s=lambda: time.time() + SETTLED_S).rows

    listing()
    names = {"lists_dbos": "DBOS list_workflows"}
    with peers(folder, list(names)) as running:
        variants = {"listing": timed(listing)}
        variants |= {names[script]: running[script] for script in running}
        found = in_turns(variants, acts=1, rounds=ROUNDS, at_most_s=AT_MOST_S)
    return {name: seconds * 1000 for name, seconds in found.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=on_disk()) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1))

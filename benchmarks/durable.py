"""One event at a time, each on stable storage before the next: ours, the limit and the peers in turns.

    python -m benchmarks.durable

`measure` returns µs an event. What the processor does in it: `python -m benchmarks.append`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.append import ENVELOPE, LARGE, bare, checkpoint, ours, sqlite
from benchmarks.peer import peers
from benchmarks.turns import in_turns, on_disk, timed
from eventlog.record import encode

ACTS, ROUNDS, AT_MOST_S = 20, 80, 45.0
PEERS = {
    "DBOS step": "steps_dbos",
    "LangGraph step": "steps_langgraph",
    "eventsourcing save": "saves_eventsourcing",
}


def measure(folder: Path) -> dict[str, float]:
    """Return µs an event: `write + fdatasync`, `append`, SQLite, a replaced file, and the peers that are here."""
    line, where = encode(data=LARGE, **ENVELOPE), str(folder)
    variants = {
        "write + fdatasync": timed(bare(where, line)),
        "append": timed(ours(where, LARGE)),
        "SQLite, WAL, FULL": timed(sqlite(where, line)),
        "file replaced, folder synced": timed(checkpoint(where, line, sync_folder=True)),
    }
    with peers(folder, list(PEERS.values())) as running:
        variants |= {name: running[script] for name, script in PEERS.items() if script in running}
        found = in_turns(variants, acts=ACTS, rounds=ROUNDS, at_most_s=AT_MOST_S)
    return {name: seconds * 1e6 for name, seconds in found.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=on_disk()) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=1))

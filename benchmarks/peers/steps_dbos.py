"""Steps of a DBOS workflow on SQLite, as it comes: what a step takes within a workflow that has begun."""

from __future__ import annotations

import time

from dbos import DBOS
from serving import EVENT, serve

DBOS(
    config={
        "name": "bench",
        "system_database_url": "sqlite:///dbos.sqlite",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step(number: int) -> dict[str, object]:
    """Return what is to be kept."""
    return {**EVENT, "attempt": number}


@DBOS.workflow()
def steps(count: int) -> float:
    """Take so many steps and return their seconds."""
    begun_s = time.perf_counter()
    for number in range(count):
        step(number)
    return time.perf_counter() - begun_s


DBOS.launch()
serve(steps)
DBOS.destroy()

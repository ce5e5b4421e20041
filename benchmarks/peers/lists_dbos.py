"""`DBOS.list_workflows` of 10,000 finished workflows of one step each, on SQLite, as it comes.

One of them is run; the others are its rows with other ids, since 10,000 real ones would take a minute.
"""

from __future__ import annotations

import sqlite3
import time

from dbos import DBOS
from serving import EVENT, serve

WORKFLOWS = 10_000
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
BASE = "dbos-list.sqlite"

DBOS(
    config={
        "name": "bench",
        "system_database_url": f"sqlite:///{BASE}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step() -> dict[str, object]:
    """Return what is to be kept."""
    return EVENT


@DBOS.workflow()
def work(path: str) -> dict[str, object]:
    return step()


def multiply() -> None:
    """Copy the one workflow's rows."""
    with sqlite3.connect(BASE) as base:
        for table in TABLES:
            columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(
                "printf('%s-%05d', workflow_uuid, n)" if c == "workflow_uuid" else c for c in columns
            )
            base.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, numbers",
                (WORKFLOWS - 1,),
            )


def lists(count: int) -> float:
    """List so many times and return the seconds."""
    begun_s = time.perf_counter()
    for _ in range(count):
        found = DBOS.list_workflows()
    spent_s = time.perf_counter() - begun_s
    assert len(found) == WORKFLOWS
    assert found[-1].output == EVENT
    return spent_s


DBOS.launch()
work("talk.wav")
multiply()
serve(lists)
DBOS.destroy()

"""`Application.save` of one event with `eventsourcing` on SQLite; making the event isn't counted."""

from __future__ import annotations

import time

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from serving import EVENT, serve


class Work(Aggregate):
    """What is worked on."""

    @event("Done")
    def done(self, data: dict[str, object]) -> None:
        """Keep the data."""
        self.data = data


app = Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": "eventsourcing.sqlite"})
work = Work()
app.save(work)


def saves(count: int) -> float:
    """Save so many events, one at a time, and return their seconds."""
    spent_s = 0.0
    for number in range(count):
        work.done(data={**EVENT, "attempt": number})
        begun_s = time.perf_counter()
        app.save(work)
        spent_s += time.perf_counter() - begun_s
    return spent_s


serve(saves)

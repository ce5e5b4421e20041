"""Everything that a run needs from outside: who runs it, where, with which clocks, providers and limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from attrs import Factory, frozen

from eventlog.folders import Folders
from eventlog.storage import PosixStorage
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.calls.ledger import Ledger
from pipeline.calls.pacing import Pace
from pipeline.home import Home
from pipeline.pools import Pools
from pipeline.providers.registry import Providers
from pipeline.transcribing.pieces import Cutter
from projections.graph import VERSIONS

if TYPE_CHECKING:
    from pipeline.recorder import Recorder


@frozen
class Identity:
    """Who runs what, for the log: {user, pid, host, boot_id} and the versions that decide results."""

    user: str
    pid: int
    host: str
    boot_id: str
    versions: Mapping[str, str]


@frozen
class Workshop:
    """Everything that a run needs from outside.

    Attributes:
        clock_s: a monotonic clock in seconds.
        new_run_id: makes the id of an invocation.
        stop: set when the user asks to stop.
        ledger: what this invocation spends, and may.
        pace: how fast services are asked.
        per_minute: how many requests a minute each provider may be sent.
        today: as YYYY-MM-DD, for services that end; empty: unknown.
        chance: spreads waits.
        side_by_side: start stages that don't need one another at the same time.
        cutter: keeps how recordings are cut.
        folders: makes the folders of artifacts, each durable once.
        pools: how much of each kind of work is done at once.
    """

    home: Home
    store: Store
    providers: Providers
    identity: Identity
    clock_s: Callable[[], float]
    new_run_id: Callable[[], str]
    stop: threading.Event
    ledger: Ledger
    pace: Pace
    per_minute: Mapping[str, float] = {}
    today: str = ""
    chance: Random = Factory(Random)
    side_by_side: bool = True
    versions: Mapping[str, int] = VERSIONS
    cutter: Cutter = Factory(Cutter)
    folders: Folders = Factory(lambda: Folders(PosixStorage()))
    pools: Pools = Factory(Pools)

    def artifacts(self, pipeline: str) -> Artifacts:
        """Return the files of one pipeline."""
        return Artifacts(self.home.artifacts(pipeline), self.folders)

    def known_jobs(self, recorder: Recorder) -> frozenset[str]:
        """Return the ids of all jobs that any log of this home names, that of an open one included."""
        jobs = {call.job_id for call in recorder.state.calls.values() if call.job_id}
        for pipeline in self.store.pipelines():
            if pipeline != recorder.state.pipeline_id:
                records = self.store.stream(pipeline)
                jobs |= {record.data["job_id"] for record in records if record.type == "call.accepted"}
        return frozenset(jobs)

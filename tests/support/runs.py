"""Given events, as records: a pipeline's history written down without a disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from eventlog.record import GENESIS_PREV, Record
from projections import events as ev
from projections.engine import Engine
from projections.fold import fold, initial_state
from projections.graph import DEFAULTS, READS, STAGES, VERSIONS
from projections.options import Named, resolve_options
from projections.plan import Plan, Surroundings, make_plan
from projections.state import PipelineState

PIPELINE = "0123456789abcdef"
BUILTIN = Engine("builtin", 1, key_options=("speakers",))
WORDS = Engine("builtin", 1, key_options=("language",))
AROUND = Surroundings(
    diarizers={"builtin": BUILTIN, "channels": Engine("channels", 1)},
    transcribers={"builtin": WORDS, "whisper": Engine("whisper", 1, key_options=("model", "language"))},
    local_transcriber="builtin",
    deliver=False,
)


def as_records(events: Iterable[ev.Event | tuple[str, dict[str, Any]]], first_seq: int = 1) -> list[Record]:
    """Return records of events, a second apart; a run begins at each run.started; a pair is of any type."""
    records: list[Record] = []
    runs = 0
    for seq, event in enumerate(events, first_seq):
        type_, data = event if isinstance(event, tuple) else (event.type, ev.to_data(event))
        runs += type_ == "run.started"
        body = orjson.dumps(data).decode()
        time = f"2026-11-23T14:{seq // 60:02d}:{seq % 60:02d}.000000Z"
        records.append(Record(seq, time, type_, PIPELINE, f"run{runs}", body, seq - 1, GENESIS_PREV, "0" * 64))
    return records


def created() -> ev.Event:
    """Return the first event of a pipeline."""
    return ev.PipelineCreated({"name": "talk.wav", "size_bytes": 10, "sha256": "ab" * 32}, "0.1.0")


def run_started(**named: Any) -> ev.Event:
    """Return the begin of a run in which these options are named."""
    return ev.RunStarted("anna", 1, "host", "boot", {"evt": "0.1.0"}, named, {}, {})


class History:
    """A pipeline's log in the making, kept by the production fold and plan."""

    def __init__(self, around: Surroundings = AROUND) -> None:
        self.around = around
        self.events: list[ev.Event] = [created()]
        self.numbers = dict.fromkeys(STAGES, 0)

    @property
    def state(self) -> PipelineState:
        return fold(initial_state(PIPELINE), as_records(self.events))

    def plan(self, refresh: frozenset[str] = frozenset(), **named: Any) -> Plan:
        options = resolve_options(Named(options=named), self.state)
        return make_plan(self.state, options, self.around, refresh)

    def name(self, **named: Any) -> None:
        """Begin a run in which these options are named."""
        self.events.append(run_started(**named))

    def run(self, *, until: str | None = None, tag: str = "", **named: Any) -> list[str]:
        """Carry out the plan until nothing is left to do or a stage is reached; return the stages that ran."""
        self.name(**named)
        ran: list[str] = []
        while (plan := self.plan()).resume_point:
            stage = plan.resume_point[0]
            if stage == until:
                break
            self.succeed(stage, tag)
            ran.append(stage)
        if until is None and self.plan().is_done:
            self.events.append(ev.RunFinished("completed", 1.0))
        return ran

    def start(self, stage: str) -> int:
        step = self.plan()[stage]
        self.numbers[stage] += 1
        number = self.numbers[stage]
        self.events.append(
            ev.StageStarted(
                stage=stage,
                attempt=number,
                key=step.key or "",
                version=step.version,
                cause=step.cause,
                changes=(),
                options=dict(step.options),
                inputs=dict(step.inputs),
                remakes=step.remakes,
            )
        )
        return number

    def succeed(self, stage: str, tag: str = "") -> None:
        """Let an attempt succeed; its output's digest follows from its key and a tag."""
        key = self.plan()[stage].key or ""
        number = self.start(stage)
        digest = f"{key[:40]}{tag}"
        output = ev.ArtifactRef(f"{stage}/{number}/out", digest, 3)
        self.events.append(ev.StageSucceeded(stage, number, (output,), {"pcm": {"audio": digest}}, 1.0))

    def fail(self, stage: str) -> None:
        number = self.start(stage)
        self.events.append(ev.StageFailed(stage, number, ev.StageError("rate_limited", "rate limit exceeded"), 1.0))


__all__ = ["AROUND", "DEFAULTS", "PIPELINE", "READS", "VERSIONS", "History", "as_records", "created", "run_started"]

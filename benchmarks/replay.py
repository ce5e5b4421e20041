"""What it costs to replay a log into its state, beside `orjson.loads` of each line, in one run.

    python -m benchmarks.replay [EVENTS [KIND]]

The processor's time; EVENTS is 100,000 where none is given, and a million is the goal's. KIND is what the log is
like: `runs`, as of a recording of a day that was run again and again, each run asking a little anew and reusing the
rest, or `calls`, whose every call is made and kept.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import orjson

from eventlog.record import GENESIS_PREV, Record, compose
from eventlog.store import Store
from projections import events as ev
from projections.fold import fold, initial_state
from projections.state import PipelineState

PIPELINE = "4f2a9c1b7d3e0a11"
EVENTS = 100_000
PEER_EVENTS = 5_000
ROUNDS = 3
CHUNKS = 1_000
"""Parts of the recording: a day in pieces of a minute and a half."""
ANEW = {"runs": 10, "calls": CHUNKS}
"""How many of them a run asks for again; the others are reused."""
OPTIONS = {
    **{name: {"value": "openai", "source": "flag"} for name in ("diarizer", "transcriber")},
    **{name: {"value": None, "source": "default"} for name in ("speakers", "min_speakers", "max_speakers")},
    "language": {"value": "de", "source": "flag"},
    "formats": {"value": ["txt", "srt", "vtt", "json", "rttm"], "source": "default"},
}
PLAN = {
    stage: {"decision": "run", "cause": "named", "attempt": 2} for stage in ("transcription", "merge", "export")
}


def digest(*parts: object) -> str:
    """Return a digest as real ones look."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def history(kind: str) -> Iterator[ev.Event]:
    """Yield the events of one pipeline without an end; what is in them is as in real logs, and as long."""
    yield ev.PipelineCreated({"name": "day.flac", "size_bytes": 2_764_800_044, "sha256": digest()}, "0.1.0")
    answers: dict[int, str] = {}
    for run in itertools.count(1):
        named = {"language": "de"}
        yield ev.RunStarted("anna", 4711, "host", digest("boot")[:36], {"evt": "0.1.0"}, named, OPTIONS, PLAN)
        yield from stage("transcription", run, transcription(run, kind, answers))
        yield from stage("merge", run, ())
        yield from stage("export", run, ())
        yield ev.RunFinished("completed", 612.5)


def stage(name: str, number: int, work: Iterator[ev.Event] | tuple[()]) -> Iterator[ev.Event]:
    """Yield an attempt with what happens in it."""
    options = {"provider": "openai", "provider_version": 3, "language": "de"}
    inputs = {"audio": digest("audio"), "turns": digest("turns")}
    yield ev.StageStarted(name, number, digest(name, number), 2, "named", (), options, inputs)
    yield from work
    output = ev.ArtifactRef(f"{name}/{number}/out.json", digest("out", name, number), 81_234)
    metadata = {"words": 10_123, "language": "de", "coverage": 0.98, "warnings": []}
    yield ev.StageSucceeded(name, number, (output,), metadata, 611.25)


def transcription(number: int, kind: str, answers: dict[int, str]) -> Iterator[ev.Event]:
    """Yield what the parts of the recording cost this attempt: answers of before, and a few new ones."""
    for part in range(CHUNKS):
        unit, request = f"{part * 90}.00-{part * 90 + 90}.00", digest("ask", part)
        if part in answers and (part + number) % CHUNKS >= ANEW[kind]:
            yield ev.CallReused("transcription", number, unit, request, answers[part])
            continue
        call = f"transcription.{number}.{part + 1}"
        price = {"amount": "0.009", "currency": "USD"}
        yield ev.CallStarted(
            call, "transcription", number, "openai", "transcribe", unit, request, True,
            origin="https://api.openai.com", account="3f9a0c11", model="gpt-4o-transcribe", expected=price,
            at_most=price, provider_time="2026-11-23T14:02:11Z",
        )  # fmt: skip
        answer = ev.ArtifactRef(f"transcription/{number}/calls/{part}-{request[:16]}.json", digest(call), 5_432)
        cost = {**price, "basis": "billed", "price_date": "2026-11-01"}
        usage = {"type": "duration", "seconds": 90}
        yield ev.CallSucceeded(call, answer, 3.217, usage=usage, cost=cost, request_id=f"req_{digest(call)[:32]}")
        answers[part] = call


def write_log(folder: Path, count: int, kind: str) -> Path:
    """Write a log of so many events, as the store would have, and return its path."""
    path = Path(Store(str(folder)).path(PIPELINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    moment, prev, runs = datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC), GENESIS_PREV, 0
    with path.open("wb") as file:
        for seq, event in enumerate(itertools.islice(history(kind), count), 1):
            runs += isinstance(event, ev.RunStarted)
            moment += timedelta(milliseconds=370, microseconds=seq % 1000)
            record, line = compose(
                seq=seq,
                time=moment.isoformat("T", "microseconds")[:26] + "Z",
                type=event.type,
                pipeline=PIPELINE,
                run=f"run{runs:06}",
                data=ev.to_data(event),
                dur=seq - 1,
                prev=prev,
            )
            prev = record.line_sha256
            file.write(line)
    return path


class Line(msgspec.Struct, gc=False):
    """What a fold needs of a record, from a line whose chain isn't checked; the data stay bytes."""

    seq: int
    time: str
    type: str
    run: str
    body: msgspec.Raw = msgspec.field(name="data")

    @property
    def data(self) -> object:
        """As of a record."""
        return orjson.loads(bytes(self.body))


def bare(path: Path) -> None:
    """The limit: every line parsed, nothing checked."""
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def unchecked(path: Path) -> Iterator[Record]:
    """Return the records of a log that is taken to be right."""
    with path.open("rb") as file:
        yield from map(msgspec.json.Decoder(Line).decode, file)  # type: ignore[misc]  # all that a fold asks for


def decoded(path: Path) -> None:
    """Only make the events."""
    for record in unchecked(path):
        ev.event_of(record)


def folded(path: Path) -> None:
    """Make the events and fold them."""
    checked(fold(initial_state(PIPELINE), unchecked(path)))


def streamed(path: Path) -> None:
    """Only read the log and check all that a reader checks."""
    for _ in store_of(path).stream(PIPELINE):
        pass


def replayed(path: Path) -> None:
    """Read, check, make the events and fold them: what `evt replay` does."""
    checked(fold(initial_state(PIPELINE), store_of(path).stream(PIPELINE)))


def store_of(path: Path) -> Store:
    """Return the store in which a log lies."""
    return Store(str(path.parent.parent))


def checked(state: PipelineState) -> None:
    """Require that all events were folded and made sense."""
    assert not state.findings, state.findings
    assert not state.unknown, state.unknown


def eventsourcing_rebuild(path: Path) -> Callable[[], object]:
    """Return the rebuild of an aggregate of as many events, from memory, by `eventsourcing`."""
    from eventsourcing.application import Application
    from eventsourcing.domain import Aggregate, event

    class Pipeline(Aggregate):
        def __init__(self) -> None:
            self.calls: dict[str, Mapping[str, object]] = {}

        @event("Recorded")
        def record(self, type: str, data: dict[str, object]) -> None:  # noqa: A002 - as in a record
            if type == "call.started":
                self.calls[str(data["call"])] = data

    application: Application = Application()
    pipeline = Pipeline()
    for record in unchecked(path):
        pipeline.record(type=record.type, data=record.data)
    application.save(pipeline)
    return lambda: application.repository.get(pipeline.id)


VARIANTS: dict[str, Callable[[Path], None]] = {
    "orjson_per_line": bare,
    "msgspec_only": decoded,
    "fold_unchecked": folded,
    "stream": streamed,
    "stream_and_fold": replayed,
}


def peak_mb(path: Path, variant: str) -> float:
    """Return the most memory that a process of its own needed for a variant, in MB."""
    program = (
        "import re, sys; from pathlib import Path; from benchmarks import replay; "
        "replay.VARIANTS[sys.argv[1]](Path(sys.argv[2])); "
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    found = subprocess.check_output([sys.executable, "-c", program, variant, str(path)], text=True)
    return int(found) / 1024


def measure(folder: Path, count: int = EVENTS, kind: str = "runs", rounds: int = ROUNDS) -> dict[str, float]:
    """Return µs of processor time for each event by variant, the best of some rounds in turns.

    `orjson_per_line` is the limit. Keys that end in `_mb` are a process's peak of memory in MB; `nothing_mb` is one
    that folds only the first records. `calls` is how many the state keeps; `call_bytes` is what one costs.
    """
    path = write_log(folder, count, kind)
    small = write_log(folder / "small", 1_000, kind)
    variants = {name: functools.partial(act, path) for name, act in VARIANTS.items()}
    with contextlib.suppress(ImportError):
        few = write_log(folder / "few", PEER_EVENTS, kind)
        variants["eventsourcing"] = eventsourcing_rebuild(few)
    best = dict.fromkeys(variants, float("inf"))
    for _ in range(rounds):
        for name, act in variants.items():
            gc.collect()
            begun_ns = time.process_time_ns()
            act()
            events = PEER_EVENTS if name == "eventsourcing" else count
            best[name] = min(best[name], (time.process_time_ns() - begun_ns) / events / 1000)
    kept = len(fold(initial_state(PIPELINE), store_of(path).stream(PIPELINE)).calls)
    memory = {f"{name}_mb": peak_mb(path, name) for name in ("orjson_per_line", "stream", "stream_and_fold")}
    memory["nothing_mb"] = peak_mb(small, "stream_and_fold")
    call_bytes = (memory["stream_and_fold_mb"] - memory["nothing_mb"]) * 2**20 / kept
    return {**best, **memory, "calls": kept, "call_bytes": call_bytes}


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else EVENTS
    kind = sys.argv[2] if sys.argv[2:] else "runs"
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), count, kind, ROUNDS if count <= EVENTS else 1)
    print(f"{count:,} events of kind {kind}: processor, µs an event, and speed, loads = 1")
    for name, value in found.items():
        speed = f"{found['orjson_per_line'] / value:6.2f}" if name in {*VARIANTS, "eventsourcing"} else ""
        print(f"  {value:8.2f}  {name:20}{speed}")


if __name__ == "__main__":
    main()

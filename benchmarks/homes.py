"""Homes of many pipelines, and long logs: the records of one real run, over and over, as if each were another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.runs import ROOT, evt_run, write_script
from benchmarks.truth import Said
from eventlog.record import GENESIS_PREV, Record, compose
from eventlog.store import Store
from pipeline.speech.values import Turn

CALLS = ("call.started", "call.succeeded")


@frozen
class Example:
    """A pipeline that a real `evt run` made, in a home of its own.

    Attributes:
        home: the home, with nothing else in it.
        pipeline: its id.
        records: its log, in order: 21 records.
    """

    home: Path
    pipeline: str
    records: list[Record]


def example(folder: Path) -> Example:
    """Run a sample with a scripted engine.

    Raises:
        RuntimeError: it failed; the message is what evt said last.
    """
    folder = folder.resolve()
    words = [Said(word, at, at + 0.4, "S1") for at, word in enumerate(("ask", "not", "what"))]
    script = write_script(folder / "script.toml", words, [Turn(0.0, 3.0, "S1")])
    engines = ("--diarizer", f"script:{script}", "--transcriber", f"script:{script}")
    made = evt_run(ROOT / "samples" / "jfk.wav", folder, "--allow-gaps", *engines)
    if isinstance(made, str):
        raise RuntimeError(made)
    store = Store(str(folder / "home" / "logs"))
    (pipeline,) = store.pipelines()
    return Example(folder / "home", pipeline, store.read(pipeline).records)


def write_pipelines(home: Path, first: int, last: int, like: Example) -> list[str]:
    """Write the logs of the pipelines from one number up to before another; returns their ids."""
    store = Store(str(home / "logs"))
    made = [hashlib.sha256(str(number).encode()).hexdigest()[:16] for number in range(first, last)]
    for pipeline in made:
        events = ((record.type, record.data) for record in like.records)
        write_log(store, pipeline, events, like.records)
    return made


def write_long(home: Path, like: Example, size: int) -> None:
    """Write the example's log anew with so many records, the others being further calls of its transcription."""
    at = max(n for n, record in enumerate(like.records) if record.type == CALLS[-1]) + 1
    started, succeeded = (next(r for r in reversed(like.records[:at]) if r.type == type_) for type_ in CALLS)
    events = [(record.type, record.data) for record in like.records]
    more = []
    for number in range(2, 2 + (size - len(events) + 1) // 2):
        call = f"{started.data['stage']}.{started.data['attempt']}.{number}"
        request = hashlib.sha256(str(number).encode()).hexdigest()
        more.append((started.type, {**started.data, "call": call, "request": request, "unit": f"{number}.00"}))
        more.append((succeeded.type, {**succeeded.data, "call": call}))
    store = Store(str(home / "logs"))
    write_log(store, like.pipeline, [*events[:at], *more, *events[at:]], like.records)


def write_log(store: Store, pipeline: str, events: Iterator | Sequence, like: Sequence[Record]) -> None:
    """Write a log at once, without a sync and without a head; times go on from record to record."""
    lines, prev = [], GENESIS_PREV
    for seq, (type_, data) in enumerate(events, 1):
        model = like[min(seq, len(like)) - 1]
        record, line = compose(
            seq=seq,
            time=model.time,
            type=type_,
            pipeline=pipeline,
            run=model.run,
            data=data,
            dur=seq - 1,
            prev=prev,
        )
        prev = record.line_sha256
        lines.append(line)
    path = Path(store.path(pipeline))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.with_suffix(".head").unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.writelines(lines)


def evt(home: Path, *arguments: str) -> Callable[[], object]:
    """Return an act: a command of evt within this process, its output thrown away.

    Raises:
        AssertionError: when the act is called and the command fails.
    """
    import contextlib
    import io

    from cli.main import evt as command

    def act() -> None:
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
            code = command.main(["--home", str(home), *arguments], prog_name="evt", standalone_mode=False)
        assert code in (0, None), f"evt {' '.join(arguments)} ended with {code}"

    return act

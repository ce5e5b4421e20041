"""Every command that reads, on a home that holds a hostile log: its exit code, its words, its time, its memory.

The commands run one after another in one process, begun for them, so that memory which any of them keeps adds up.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from eventlog.reader import Tail
from eventlog.store import Store
from proofs.corpus import memory_folder
from proofs.hostile_logs import harmless, logs
from proofs.report import BrokenPromiseError, Tally

GIGABYTE = 1 << 30
GROWTH_BYTES_MAX = 64 << 20
COMMAND_S_MAX = 10.0
HOSTILE, HARMLESS = "4f2a9c1b7d3e0a11", "5e2a9c1b7d3e0a11"
OF_ALL = ("tail", "show talk", "doctor", "cleanup", "archive")
"""Commands that have something to say of other logs, or of none, where one is damaged."""

COMMANDS: dict[str, set[int]] = {
    "show 4f2a": {0},
    "show 4f2a --json": {0},
    "replay 4f2a": {0},
    "replay 4f2a --json": {0},
    "plan 4f2a": {0, 3},
    "list": {0},
    "list --detailed": {0},
    "list --json": {0},
    "validate": {0, 1},
    "tail -n 1000": {0},
    "tail -n 1000 --json": {0},
    "show talk.wav": {0, 3},
    "doctor": {0, 1, 3, 4, 5},
    "cleanup --dry-run": {0, 1, 3, 4},
    "archive --dry-run": {0, 1, 3, 4},
}
"""What each may answer: `validate` 1 for data that make no sense, `plan` 3 as these block it, `show` 3 if both logs
have the name. About a damaged log all but `tail` and the last say 4."""


def commands_in_a_process(first: int = 0, step: int = 1) -> Tally:
    """Run all commands on all hostile logs, or every so many, in a process of their own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run_commands, first, step).result()


def run_commands(first: int, step: int) -> Tally:
    """Run all commands on every so many hostile logs in this process, whose folder and environment change.

    Raises:
        BrokenPromiseError: one ended otherwise than documented, took too long or held too much.
    """
    tally = Tally()
    for name in [name for name in os.environ if name.startswith("EVT_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        os.chdir(folder)
        store = Store(str(Path(folder, "home", "logs")))
        for pipeline in (HOSTILE, HARMLESS):
            log = Path(store.path(pipeline))
            log.parent.mkdir(parents=True)
            log.write_bytes(harmless(pipeline))
        _run_all("a harmless log", store, tally)
        held_bytes = _held_bytes()
        for name in _hostile(Path(store.path(HOSTILE)), first, step):
            _run_all(name, store, tally)
            grown_bytes = _held_bytes() - held_bytes
            if grown_bytes > GROWTH_BYTES_MAX:
                raise BrokenPromiseError(f"I10, {name}: the commands hold {grown_bytes >> 20} MiB more than before")
    return tally


def _hostile(log: Path, first: int, step: int) -> Iterator[str]:
    """Put each hostile log into its place and yield its name."""
    for name, content in itertools.islice(logs(HOSTILE), first, None, step):
        log.write_bytes(content)
        yield name
    log.write_bytes(harmless(HOSTILE))
    os.truncate(log, GIGABYTE)
    yield "a gigabyte without a line's end"


def _run_all(name: str, store: Store, tally: Tally) -> None:
    damaged = store.read(HOSTILE).verdict.tail in {Tail.CORRUPT, Tail.NEWER}
    before = Path(store.path(HOSTILE)).stat()
    for words, codes in COMMANDS.items():
        expected = {4} if damaged and not words.startswith(OF_ALL) else codes
        begun_s = time.monotonic()
        code, said = _run(["--home", "home", *words.split()])
        taken_s = time.monotonic() - begun_s
        what = f"I10, {name}, evt {words}"
        if code not in expected:
            raise BrokenPromiseError(f"{what}: exit code {code} instead of {expected}:\n{said[-2000:]}")
        if "Traceback" in said or "defect" in said:
            raise BrokenPromiseError(f"{what}:\n{said[-2000:]}")
        if "--json" not in words and not all(char.isprintable() or char == "\n" for char in said):
            raise BrokenPromiseError(f"{what}: what it says can drive a terminal: {said[-2000:]!a}")
        if taken_s > COMMAND_S_MAX:
            raise BrokenPromiseError(f"{what}: it took {taken_s:.0f} s")
        tally.add(f"evt {words.split()[0]} on hostile logs: exit code {code}")
    if Path(store.path(HOSTILE)).stat() != before:
        raise BrokenPromiseError(f"I11, {name}: reading changed the log")


def _run(arguments: list[str]) -> tuple[object, str]:
    """Run the command line; return its exit code and all that it says."""
    from cli.main import main

    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    said.seek(0)
    return code, said.read()


def _held_bytes() -> int:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

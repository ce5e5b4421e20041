"""The chain, checked without our reader: `sed -n Np LOG | sha256sum` is the `prev` of the next line."""

from __future__ import annotations

import json
import subprocess

from eventlog.selftest.bench import NAME, RUN, Bench, BrokenPromiseError, Tally, numbered
from eventlog.selftest.sample import event

EVENTS = 12


def prove(bench: Bench, tally: Tally) -> None:
    """Write a log and follow its chain with two programs of the system."""
    sed, sha256sum = bench.machine.sed, bench.machine.sha256sum
    if sed is None or sha256sum is None:
        tally.skip("sed or sha256sum is not on this machine")
        return
    path, head = _written(bench)
    due = "0" * 64
    while line := _said([sed, "-n", f"{tally.counts['records'] + 1}p", path]):
        tally.counts["records"] += 1
        if json.loads(line)["prev"] != due:
            raise BrokenPromiseError(
                f"The prev of record {tally.counts['records']} is not what sha256sum says of the line before."
            )
        due = _said([sha256sum], line)[:64].decode()
        bench.step(numbered(tally.counts["records"], "record"))
    if (tally.counts["records"], due) != head:
        raise BrokenPromiseError(f"The head of the log is {head}, but sha256sum says {due} of its last line.")
    tally.detail = f"sed and sha256sum give the hashes of all {numbered(tally.counts['records'], 'record')}"


def _written(bench: Bench) -> tuple[str, tuple[int, str]]:
    store = bench.open_store(bench.root("chain"))
    writer = store.open_writer(NAME, run=RUN, create=True).writer
    for number in range(EVENTS):
        writer.append([event(bench.seed, number)], run=RUN)
    store.seal(writer, run=RUN)
    writer.close()
    return store.path(NAME), (writer.head.seq, writer.head.sha256)


def _said(command: list[str], given: bytes = b"") -> bytes:
    """Return what a program prints."""
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout

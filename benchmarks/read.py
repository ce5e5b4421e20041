"""What reading a log and checking its chain costs beside `orjson.loads` of each line, in one run.

    python -m benchmarks.read

The processor's time, since the log is read from memory. What no checked reading can do without, a hash of each line
and `loads` of its data, stands beside it.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from benchmarks.append import LARGE, SMALL
from eventlog.reader import Scanner
from eventlog.record import GENESIS_PREV, compose, decode
from eventlog.storage import READ_PIECE_BYTES

LINES = 100_000
ROUNDS = 7
PIPELINE = "4f2a9c1b7d3e0a11"


def make_lines(data: dict[str, Any]) -> list[bytes]:
    """Return a log whose records differ as real ones do: number, time, type, one field, hashes."""
    lines: list[bytes] = []
    moment, prev = datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC), GENESIS_PREV
    types = itertools.cycle(["stage.started", "call.started", "call.succeeded", "stage.succeeded"])
    for seq, type_ in zip(range(1, LINES + 1), types, strict=False):
        moment += timedelta(milliseconds=370, microseconds=seq % 1000)
        record, line = compose(
            seq=seq,
            time=moment.isoformat("T", "microseconds")[:26] + "Z",
            type=type_,
            pipeline=PIPELINE,
            run="01",
            data={**data, "attempt": seq},
            dur=seq - 1,
            prev=prev,
        )
        prev = record.line_sha256
        lines.append(line)
    return lines


def bare(lines: list[bytes]) -> None:
    """The limit: every line parsed, nothing checked."""
    for line in lines:
        orjson.loads(line)


def needed(lines: list[bytes], bodies: list[bytes]) -> None:
    """Hash every line and parse its data."""
    for line, body in zip(lines, bodies, strict=True):
        hashlib.sha256(line).hexdigest()
        orjson.loads(body)


def ours(pieces: list[bytes]) -> None:
    """Read the log as `Store.stream` does."""
    scanner = Scanner(PIPELINE)
    for piece in pieces:
        for _ in scanner.feed(piece):
            pass
    assert scanner.seq == LINES


def alone(lines: list[bytes]) -> None:
    """Decode every line with its own sum."""
    for line in lines:
        decode(line)


def cpu_us(acts: Mapping[str, Callable[[], None]]) -> dict[str, float]:
    """Return for each the best of some rounds in turns, for one line."""
    best = dict.fromkeys(acts, float("inf"))
    for _ in range(ROUNDS):
        for name, act in acts.items():
            gc.collect()
            begun_ns = time.process_time_ns()
            act()
            best[name] = min(best[name], (time.process_time_ns() - begun_ns) / LINES / 1000)
    return best


def main() -> None:
    for data in (SMALL, LARGE):
        lines = make_lines(data)
        whole = b"".join(lines)
        pieces = [whole[at : at + READ_PIECE_BYTES] for at in range(0, len(whole), READ_PIECE_BYTES)]
        bodies = [orjson.dumps(decode(line).data) for line in lines]
        found = cpu_us(
            {
                "orjson.loads": lambda: bare(lines),  # noqa: B023 - called within the loop
                "sha256 of the line, orjson.loads of its data": lambda: needed(lines, bodies),  # noqa: B023
                "for record in scanner.feed(piece)": lambda: ours(pieces),  # noqa: B023
                "decode(line), each with its own sum": lambda: alone(lines),  # noqa: B023
            }
        )
        print(f"{LINES:,} lines of {len(whole) / LINES:.0f} bytes: processor, µs a line, and speed, loads = 1")
        for name, used in found.items():
            print(f"  {used:6.2f}  {found['orjson.loads'] / used:.2f}  {name}")


if __name__ == "__main__":
    main()

"""Reading a large log: every reading command adds less than 64 MB, however long the log is.

    python -m proofs.large --megabytes 1000

The log is made of records that leave a pipeline's state as small as it is, so that what grows is the reading.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from eventlog.record import GENESIS_PREV, encode
from proofs.report import BrokenPromiseError, Tally, command

PIPELINE = "4f2a9c1b7d3e0a11"
ADDED_MB_MAX = 64
ROOT = Path(__file__).resolve().parents[1]
EVT = [sys.executable, "-c", "from cli.main import main; main()"]
READERS = ("validate", "show", "replay", "list", "tail", "head")


def prove(megabytes: int, seed: int, readers: Sequence[str] = READERS) -> Tally:
    """Read a log of so many megabytes with each command, beside one of a few records."""
    tally = Tally()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="evt-large-") as folder:
        small, large = (write_log(Path(folder) / name, mb, chance) for name, mb in (("s", 0), ("l", megabytes)))
        tally.add("records", large)
        tally.add("records of the small log", small)
        for reader in readers:
            base, used = (peak_mb(Path(folder) / name, reader) for name in ("s", "l"))
            tally.add(f"{reader}: megabytes added", round(used - base))
            if used - base >= ADDED_MB_MAX:
                raise BrokenPromiseError(
                    f"evt {reader} took {used:.0f} MB for {megabytes} MB, {base:.0f} MB for none"
                )
    return tally


def write_log(home: Path, megabytes: int, chance: random.Random) -> int:
    """Write a log of at least so many megabytes, without syncs; return how many records it has."""
    folder = home / "logs" / PIPELINE[:2]
    folder.mkdir(parents=True)
    seq, size_bytes, prev = 0, 0, GENESIS_PREV
    with (folder / f"{PIPELINE}.jsonl").open("wb") as file:
        while seq < 3 or size_bytes < megabytes * 1_000_000:
            seq += 1
            line = encode(
                seq=seq,
                time="2026-11-23T14:02:11.532108Z",
                type="note.added" if seq > 1 else "log.created",
                pipeline=PIPELINE,
                run="01",
                data={"format": 1, "n": seq, "text": f"{chance.getrandbits(256):064x}"},
                dur=seq - 1,
                prev=prev,
            )
            prev = hashlib.sha256(line).hexdigest()
            size_bytes += file.write(line)
    return seq


def peak_mb(home: Path, reader: str) -> float:
    """Return the most memory that a command needed."""
    named = () if reader == "list" else (PIPELINE,)
    process = subprocess.Popen(
        [*EVT, "--home", str(home), reader, *named],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise BrokenPromiseError(f"evt {reader} ended with {process.returncode}: {said[-500:]!r}")
    # Kilobytes on Linux, bytes on macOS.
    return usage.ru_maxrss / (1_000_000 if sys.platform == "darwin" else 1_000)


if __name__ == "__main__":
    command("large", prove, {"megabytes": 1000})

"""I10: what must hold whatever the bytes are: one verdict, however they are cut, and records as they stand."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from eventlog.errors import RecordRejectedError
from eventlog.reader import Head, Tail, Verdict, scan
from eventlog.record import Record, decode, encode
from proofs.corpus import PIPELINE
from proofs.report import BrokenPromiseError


def require_verdict(
    content: bytes, cuts: Iterable[int] = (), kept: Head | None = None, what: str = "these bytes"
) -> Verdict:
    """Read any bytes, at once and in pieces, and check what must hold of the result whatever they are."""
    records, verdict = scan([content], PIPELINE, kept)
    ends = sorted({0, *cuts, len(content)})
    again = scan([content[a:b] for a, b in itertools.pairwise(ends)], PIPELINE, kept)
    _require(again == (records, verdict), what, f"the pieces {ends} change what is read")
    good = content[: verdict.offset]
    lines = [line + b"\n" for line in good.split(b"\n")[:-1]]
    _require(verdict.seq == len(records) == len(lines), what, f"{len(records)} records in {len(lines)} good lines")
    _require(scan([good], PIPELINE)[1].tail is Tail.CLEAN, what, "the good records alone are not clean")
    for record, line in zip(records, lines, strict=True):
        _require_round_trip(record, line, what)
    return verdict


def _require_round_trip(record: Record, line: bytes, what: str) -> None:
    """What is written of a record again is its line, or has the same values if that is not as we write them."""
    if record.extra:
        return
    try:
        written = _encoded(record)
    except RecordRejectedError:
        return  # a stranger's data may be larger than a writer's
    _require(decode(line) == record, what, f"record {record.seq} is not what its line says")
    _require(written == line or decode(written).data == record.data, what, f"record {record.seq} is altered")
    _require(_encoded(decode(written)) == written, what, f"record {record.seq} is never written the same")


def _encoded(record: Record) -> bytes:
    names = ("seq", "time", "type", "pipeline", "run", "data", "dur", "prev")
    return encode(**{name: getattr(record, name) for name in names})


def _require(held: bool, what: str, promise: str) -> None:
    if not held:
        raise BrokenPromiseError(f"I10, {what}: {promise}")

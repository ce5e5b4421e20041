"""I6: no damaged byte of a log is silent, none makes a false record, and what opening it does loses nothing.

`python -m proofs.damage --corruptions N --seed S`. The cases are those of proofs/corpus.py.
"""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from eventlog.errors import CorruptLogError
from eventlog.reader import Tail, Verdict, scan
from eventlog.record import Record
from eventlog.store import Store
from proofs.corpus import PIPELINE, Case, corpus, in_processes, memory_folder, store_in
from proofs.report import BrokenPromiseError, Tally, command

REFUSED = "refused"
UNCHANGED = "unchanged"
HARMLESS = "torn behind the last record"
NEWLINE = "lacks the last newline, no record"
LOST_END = "only a head shows it: whole records are gone from the end"
TORN = "only a head shows it: the newest batch reads as torn"
TORN_EARLIER = "only a head shows it: reads as torn, earlier batches with it"
STORE_EVERY = 50
PIECES_EVERY = 10


def prove(*, corruptions: int, processes: int, seed: int) -> Tally:
    """Damage logs in every way and judge each by the real reader, each fiftieth also by the real store."""
    return in_processes(partial(_prove, corruptions=corruptions, seed=seed), processes)


def _prove(first: int, step: int, *, corruptions: int, seed: int) -> Tally:
    numbers = range(first, corruptions, step)
    return judge_all(itertools.islice(corpus(seed, first, step), len(numbers)))


def judge_all(cases: Iterable[Case], store_every: int = STORE_EVERY) -> Tally:
    """Judge each case; count how each kind ended.

    Raises:
        BrokenPromiseError: a promise does not hold; the bytes of the case are kept in a file that it names.
    """
    tally = Tally()
    for number, case in enumerate(cases):
        try:
            verdict = _read(case)
            outcome = _judge(case, verdict)
            if number % PIECES_EVERY == 0:
                _read_in_pieces(case, verdict)
            if number % store_every == 0:
                through_the_store(case, verdict)
                tally.add(f"through the store: {outcome}")
        except BrokenPromiseError:
            raise
        except Exception as error:
            raise _broken(case, f"I10, {error!r}") from error
        tally.add(f"{case.kind}: {outcome}")
    return tally


def keep(content: bytes) -> str:
    """Write the bytes of a broken case where somebody can look at them; return the path."""
    with tempfile.NamedTemporaryFile(prefix="case-", suffix=".jsonl", delete=False) as file:
        file.write(content)
    return file.name


def _broken(case: Case, promise: str) -> BrokenPromiseError:
    return BrokenPromiseError(f"{promise}: {case.label}. Its bytes: {keep(case.content)}")


def _require(held: bool, case: Case, promise: str) -> None:
    if not held:
        raise _broken(case, promise)


def _read(case: Case) -> Verdict:
    """Read a case at once: its records are exactly the true ones before the damage."""
    records, verdict = scan([case.content], PIPELINE, case.head)
    _require_true(case, records)
    intact = _intact(case)
    place, true_place = (len(records), verdict.seq, verdict.offset), (intact, intact, case.log.ends[intact])
    _require(place == true_place, case, f"I6, it is whole up to {true_place}, not {place}")
    return verdict


def _require_true(case: Case, records: list[Record]) -> None:
    hashes = [record.line_sha256 for record in records]
    _require(hashes == case.log.hashes[: len(hashes)], case, "I6, a record is not the one that was written")


def _intact(case: Case) -> int:
    """Return how many records stand at the beginning as they were written."""
    starts = zip(case.log.lines, case.log.ends, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda one: case.content.startswith(*one), starts))


def _read_in_pieces(case: Case, verdict: Verdict) -> None:
    places = random.Random(case.content).choices(range(len(case.content) + 1), k=5)
    ends = sorted({0, *places, len(case.content)})
    records, again = scan((case.content[a:b] for a, b in itertools.pairwise(ends)), PIPELINE, case.head)
    _require_true(case, records)
    _require((len(records), again) == (verdict.seq, verdict), case, f"the pieces {ends} change the verdict")


def _judge(case: Case, verdict: Verdict) -> str:
    """Return how a case ended, once it has proved that the reader may say that."""
    log, content, tail = case.log, case.content, verdict.tail
    if content == log.content:
        _require(tail is Tail.CLEAN, case, "a whole log is not clean")
        return UNCHANGED
    if tail is Tail.CORRUPT:
        _require(not _is_crash(case, verdict), case, "C2, what a crash leaves is taken for damage")
        return REFUSED
    if tail is Tail.TORN:
        _require(_may_be_torn(case, verdict), case, "C5, an acknowledged record would be cut off")
    else:
        missing = {Tail.CLEAN: 0, Tail.UNTERMINATED: 1}.get(tail, -1)
        is_whole = log.content.startswith(content) and len(content) + missing in log.ends
        _require(is_whole, case, f"I6, damage reads as {tail.value}")
    found = verdict.seq + (tail is Tail.UNTERMINATED)
    _require(case.head is None or case.head.seq <= found, case, "C8, the kept head was passed over")
    if found == len(log.lines):
        return HARMLESS if tail is Tail.TORN else NEWLINE
    with_head = scan([content], PIPELINE, log.full_head)[1]
    _require(with_head.tail is Tail.CORRUPT, case, f"C8, with its head it reads as {with_head.tail.value}")
    return LOST_END if tail is not Tail.TORN else TORN if found >= log.durable[-1] else TORN_EARLIER


def _is_crash(case: Case, verdict: Verdict) -> bool:
    """Say whether this is a true log that was cut off, or that ends in NULs, behind all that its head names."""
    kept = case.head.seq if case.head else 0
    rest = case.content[verdict.offset :]
    is_tail = case.log.content.startswith(case.content.rstrip(b"\0"))
    return is_tail and kept <= verdict.seq and (b"\0" not in rest or rest.endswith(b"\0"))


def _may_be_torn(case: Case, verdict: Verdict) -> bool:
    """Say whether nothing tells the first bad line from a write that did not finish.

    That is: it holds a NUL or has no end, and no true line behind says that it was durable.
    """
    rest = case.content[verdict.offset :]
    bad_line, newline, _ = rest.partition(b"\n")
    only_end_changed = b"\0" not in bad_line and bad_line[:-1] + b"\n" in case.log.lines[verdict.seq :][:1]
    looks_unfinished = (b"\0" in bad_line or not newline) and not only_end_changed
    later = (line for line, mark in zip(case.log.lines, case.log.durable, strict=True) if mark > verdict.seq)
    return looks_unfinished and not any(_stands_in(rest + b"\n", line) for line in later)


def _stands_in(rest: bytes, line: bytes) -> bool:
    """Say whether a line stands there whole, behind a line's end or a NUL."""
    place = rest.find(line)
    while place > 0 and rest[place - 1] not in b"\n\0":
        place = rest.find(line, place + 1)
    return place >= 0


def through_the_store(case: Case, verdict: Verdict) -> None:
    """Open a case for writing on a real file system, twice: it is refused and unchanged, or mended and complete."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        store = store_in(folder)
        log = Path(store.path(PIPELINE))
        log.parent.mkdir()
        log.write_bytes(case.content)
        if case.head is not None:
            log.with_suffix(".head").write_bytes(case.head.to_bytes())
        if verdict.tail is Tail.CORRUPT:
            _require_refused(case, verdict, store, log)
        else:
            _require_mended(case, verdict, store, log)


def _require_refused(case: Case, verdict: Verdict, store: Store, log: Path) -> None:
    before = _files(log.parent)
    try:
        store.open_writer(PIPELINE, run="r2")
    except CorruptLogError as error:
        place = (error.seq, error.offset)
        _require(place == (verdict.seq + 1, verdict.offset), case, f"I6, the error names {place}")
        _require(f"record {error.seq} (byte {error.offset})" in str(error), case, f"I6, it says {error}")
    else:
        raise _broken(case, "I6, a damaged log was opened for writing")
    _require(_files(log.parent) == before, case, "I6, a refused log was changed")


def _require_mended(case: Case, verdict: Verdict, store: Store, log: Path) -> None:
    good, cut = case.content[: verdict.offset], case.content[verdict.offset :]
    opened = store.open_writer(PIPELINE, run="r2")
    opened.writer.close()
    after = _files(log.parent)
    _require(after[log.name].startswith(good), case, "I2, the good records were changed")
    _require_true(case, opened.records[: verdict.seq])
    if verdict.tail is Tail.TORN:
        kept = {name: content for name, content in after.items() if ".torn-" in name}
        said = [opened.records[-1].data.get(name) for name in ("file", "offset", "size_bytes")]
        _require(list(kept.values()) == [cut], case, "C5, what was cut off was not kept")
        _require(said == [*kept, verdict.offset, len(cut)], case, f"C5, of the cut the log says {said}")
        _require(opened.records[-1].type == "log.recovered", case, "C5, the log does not say what was cut off")
    elif verdict.seq:
        newline = b"\n" if verdict.tail is Tail.UNTERMINATED else b""
        _require(after[log.name] == case.content + newline, case, "I2, a log without a torn end was changed")
    again = store.open_writer(PIPELINE, run="r3")
    again.writer.close()
    _require(_files(log.parent) == after, case, "I4, opening it again changed something")
    _require(again.records == opened.records, case, "I4, opening it again found something else")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


if __name__ == "__main__":
    command("damage", prove, {"corruptions": 500_000, "processes": os.cpu_count() or 1})

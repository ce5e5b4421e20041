"""Logs as the real writer leaves them, and every way to damage one: a stream of cases that any reader can be given.

Damages that can be listed (surgery, editors, sectors, cuts, bits, bytes), and random ones without end.
The same seed gives the same cases, and a random one depends on its seed and number alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import tempfile
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Any

from attrs import frozen

from eventlog.filesystem import FileSystem
from eventlog.reader import Head
from eventlog.store import Store
from proofs.report import Tally

PIPELINE, STRANGER = "4f2a9c1b7d3e0a11", "another"
SECTOR_BYTES = 512
SEAL = "seal"
"""A step of a script that ends the log and keeps its head; any other step is a batch."""
NULS = (1, 2, 511, 512, 513, 4096, 65536)
RANDOM_EVERY = 10
LOGS_EVERY = 500
"""How many random damages one random log is given."""

Damaged = tuple[str, bytes]
"""Where a log was damaged, and what is left of it."""
Batch = Sequence[dict[str, Any]]


@frozen
class Log:
    """A log that is whole.

    Attributes:
        lines: what was acknowledged.
        head: kept beside it; None if there is none.
        twin: the lines of another log of that name, from which none may get in.
        stranger: the lines of a log of another name.
    """

    name: str
    lines: tuple[bytes, ...]
    head: Head | None = None
    twin: tuple[bytes, ...] = ()
    stranger: tuple[bytes, ...] = ()
    pipeline: str = PIPELINE

    @cached_property
    def content(self) -> bytes:
        """All its bytes."""
        return b"".join(self.lines)

    @cached_property
    def ends(self) -> list[int]:
        """Where each record ends; first the 0 where the first one begins."""
        return [0, *itertools.accumulate(map(len, self.lines))]

    @cached_property
    def hashes(self) -> list[str]:
        """The sha256 of each line."""
        return [hashlib.sha256(line).hexdigest() for line in self.lines]

    @cached_property
    def durable(self) -> list[int]:
        """What each record says was durable before it."""
        return [json.loads(line)["dur"] for line in self.lines]

    @cached_property
    def full_head(self) -> Head:
        """The head that names all of it."""
        return Head(len(self.lines), self.hashes[-1])


@frozen
class Case:
    """A damaged log; its label names the log, the kind of damage and its place."""

    log: Log
    kind: str
    place: str
    content: bytes

    @property
    def label(self) -> str:
        """Say which case this is."""
        return f"log {self.log.name!r}, {self.kind}, {self.place}"

    @property
    def head(self) -> Head | None:
        """The head that lies beside the damaged log."""
        return self.log.head


def memory_folder() -> str | None:
    """Return a folder whose syncs cost nothing; None where there is none but the usual one."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def store_in(folder: str, second: int = 0) -> Store:
    """Return a store whose clock goes on by a millisecond at each look, so that it writes the same bytes again."""
    start = datetime(2026, 11, 23, 14, 2, second, tzinfo=UTC)
    ticks = itertools.count()
    return Store(
        folder,
        clock=lambda: start + timedelta(milliseconds=next(ticks)),
        file_system=lambda _: FileSystem("proof", "disk", safe=True),
    )


def write(
    script: Sequence[Batch | str], pipeline: str = PIPELINE, second: int = 0
) -> tuple[list[bytes], Head | None]:
    """Return what the real writer leaves when it carries out a script: the lines and the kept head."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        store = store_in(folder, second)
        writer = store.open_writer(pipeline, run="r1", create=True).writer
        for step in script:
            if isinstance(step, str):
                store.seal(writer, run="r1")
            else:
                writer.append([("test.happened", data) for data in step], run="r1")
        writer.close()
        with open(store.path(pipeline), "rb") as file:
            return list(file), store.read_head(pipeline)


def written(name: str, *script: Batch | str) -> Log:
    """Return the log of a script, with a twin and a stranger of the same script, written at another time."""
    lines, head = write(script)
    twin, _ = write(script, second=7)
    stranger, _ = write(script, pipeline=STRANGER, second=7)
    return Log(name, tuple(lines), head, tuple(twin), tuple(stranger))


@cache
def logs() -> list[Log]:
    """Return the logs that every kind of damage is done to; the smallest comes first."""
    composed, decomposed = {"text": "größer, Zoë"}, {"text": "gro\u0308ßer", "東京": ["Москва", 1.5, None]}
    unseen = {"text": 'left\u2028right \x9b\u202e ","sum":"0123456789abcdef"}\n'}
    wide = [{"n": n, "text": "x" * 350} for n in range(3)]
    sealed = written("sealed, head kept", [composed], [unseen, decomposed], SEAL)
    return [
        written("small", [{"n": 1}]),
        written("begun"),
        written("unsealed", [composed], [decomposed, unseen, {}], [composed]),
        sealed,
        Log("sealed, no head", sealed.lines, None, sealed.twin, sealed.stranger),
        written("sealed, then more", [composed], SEAL, [decomposed, {}]),
        written("last batch over a sector", [{}], wide),
        written("batch over a sector, one more", wide, [{}]),
    ]


def in_processes(work: Callable[[int, int], Tally], processes: int) -> Tally:
    """Let processes share the cases: each is told with which to begin and how many steps on its next one is."""
    whole = Tally()
    with ProcessPoolExecutor(processes) as pool:
        for tally in pool.map(work, range(processes), itertools.repeat(processes)):
            whole.counts += tally.counts
            whole.skipped = tally.skipped
    return whole


def cuts(log: Log) -> Iterator[Damaged]:
    """Cut the log off at every byte."""
    for size in range(len(log.content)):
        yield f"at byte {size}", log.content[:size]


def flips(log: Log) -> Iterator[Damaged]:
    """Flip every bit."""
    for byte, bit in itertools.product(range(len(log.content)), range(8)):
        changed = bytearray(log.content)
        changed[byte] ^= 1 << bit
        yield f"bit {bit} of byte {byte}", bytes(changed)


def sectors(log: Log) -> Iterator[Damaged]:
    """Zero each sector, or all from it on; swap it with another; let it hold what an earlier one holds."""
    parts = [log.content[start : start + SECTOR_BYTES] for start in range(0, len(log.content), SECTOR_BYTES)]
    for n, part in enumerate(parts):
        before, behind = b"".join(parts[:n]), b"".join(parts[n + 1 :])
        yield f"sector {n} zeroed", before + bytes(len(part)) + behind
        yield f"all from sector {n} zeroed", before + bytes(len(part) + len(behind))
        for m, earlier in enumerate(parts[:n]):
            yield f"sector {n} holds sector {m}", before + earlier[: len(part)] + behind
            yield (
                f"sectors {m} and {n} swapped",
                b"".join([*parts[:m], part, *parts[m + 1 : n], earlier, *parts[n + 1 :]]),
            )


def surgery(log: Log) -> Iterator[Damaged]:
    """Double, delete, swap, move, cut and join lines."""
    lines = log.lines
    for n, line in enumerate(lines):
        before, behind, half = lines[:n], lines[n + 1 :], len(line) // 2
        edits: dict[str, tuple[bytes, ...]] = {
            "doubled": (line, line, *behind),
            "deleted": behind,
            "swapped with the next": (*behind[:1], line, *behind[1:]),
            "moved to the end": (*behind, line),
            "joined with the next": (line[:-1], *behind),
            "cut in the middle": (line[:half], b"\n", *behind),
            "cut in the middle and joined": (line[:half], *behind),
            "without its first half": (line[half:], *behind),
            "parted by a line's end": (line[:half], b"\n", line[half:], *behind),
            "behind an empty line": (b"\n", line, *behind),
        }
        for what, end in edits.items():
            yield f"line {n + 1} {what}", b"".join((*before, *end))


def splices(log: Log) -> Iterator[Damaged]:
    """Put in lines of another log of that name, and of one of another name.

    Not the twin's first line in place of the first: that is a true first record, and only a head tells.
    """
    for whose, others in (("twin", log.twin), ("stranger", log.stranger)):
        yield f"{whose} behind the end", log.content + b"".join(others)
        for n, other in enumerate(others):
            before, behind = log.lines[:n], log.lines[n + 1 :]
            if n or whose == "stranger":
                yield f"line {n + 1} of the {whose} instead", b"".join((*before, other, *behind))
                yield f"line {n + 1} of the {whose} put before", b"".join((*before, other, *log.lines[n:]))
                yield f"the {whose} from line {n + 1} on", b"".join((*before, *others[n:]))
            yield f"line {n + 1} of the {whose} put behind", b"".join((*log.lines[: n + 1], other, *behind))


def nuls(log: Log) -> Iterator[Damaged]:
    """Put NULs behind the end, before each line and in its middle; zero each line and each half of one."""
    content, middles = log.content, [(start + end) // 2 for start, end in itertools.pairwise(log.ends)]
    places = sorted({*log.ends, *middles})
    for place, count in itertools.product(places, NULS):
        yield f"{count} NULs before byte {place}", content[:place] + bytes(count) + content[place:]
    for start, end in itertools.combinations(places, 2):
        yield f"bytes {start} to {end} zeroed", content[:start] + bytes(end - start) + content[end:]


def editors(log: Log) -> Iterator[Damaged]:
    """Save the log as editors, mail programs and JSON tools do."""
    content, text = log.content, log.content.decode()
    records = [json.loads(line) for line in log.lines]
    kinds: dict[str, bytes] = {
        "CRLF": content.replace(b"\n", b"\r\n"),
        "CR": content.replace(b"\n", b"\r"),
        "no last newline": content[:-1],
        "another newline": content + b"\n",
        "a space at each end": content.replace(b"\n", b" \n"),
        "a space at the end": content + b" ",
        "Ctrl-Z at the end": content + b"\x1a",
        "indented by tabs": b"".join(b"\t" + line for line in log.lines),
        "wrapped": "\n".join(textwrap.wrap(text, 80, break_on_hyphens=False)).encode() + b"\n",
        "BOM": b"\xef\xbb\xbf" + content,
        "UTF-16": text.encode("utf-16"),
        "UTF-16 without BOM": text.encode("utf-16-be"),
        "Latin-1": text.encode("latin-1", "replace"),
        "UTF-8 twice": content.decode("latin-1").encode(),
        "NFC": unicodedata.normalize("NFC", text).encode(),
        "NFD": unicodedata.normalize("NFD", text).encode(),
        "a list": b"[" + content.replace(b"\n", b",\n") + b"]",
        "loose": _lines_of(records),
        "sorted": _lines_of(records, separators=(",", ":"), sort_keys=True),
        "indented": _lines_of(records, indent=2),
        "escaped": _lines_of(records, separators=(",", ":")),
        "not escaped": _lines_of(records, separators=(",", ":"), ensure_ascii=False),
    }
    for what, saved in kinds.items():
        if saved != content:
            yield f"saved as: {what}", saved


def _lines_of(records: list[Any], **how: Any) -> bytes:
    return b"".join(json.dumps(record, **how).encode("utf-8", "surrogatepass") + b"\n" for record in records)


LISTED: dict[str, Callable[[Log], Iterator[Damaged]]] = {
    "surgery": surgery,
    "splice": splices,
    "editor": editors,
    "sector": sectors,
    "NULs": nuls,
    "cut": cuts,
    "flip": flips,
}
"""Every kind of damage that can be listed, the rarest first. The other values of bytes are for one log only."""
VALUE, RANDOM = "value", "random"
KINDS = (*LISTED, VALUE, RANDOM)


def damaged(kind: str) -> Iterator[Case]:
    """Yield all cases of a listed kind."""
    for log in logs():
        yield from (Case(log, kind, *one) for one in LISTED[kind](log))


def other_values(seed: int) -> Iterator[Case]:
    """Yield each byte of the smallest log replaced by every other, in random order."""
    log = logs()[0]
    count = 256 * len(log.content)
    for number in random.Random(f"values {seed}").sample(range(count), count):
        byte, value = divmod(number, 256)
        if value != log.content[byte]:
            content = log.content[:byte] + bytes([value]) + log.content[byte + 1 :]
            yield Case(log, VALUE, f"byte {byte} is {value}", content)


def random_case(seed: int, number: int) -> Case:
    """Return a random log with random damages; the seed and the case's number are all that it is made of."""
    rng = random.Random(f"case {number} {seed}")
    log = random_log(seed, number // LOGS_EVERY)
    content = log.content
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        content = rng.choice(_BLOWS)(content, log, rng)
    return Case(log, RANDOM, f"case {number} of seed {seed}", content)


def corpus(seed: int, first: int = 0, step: int = 1) -> Iterator[Case]:
    """Yield all listed cases, with a random one after each few, then random ones for ever.

    With `first` and `step`, only each `step`-th from the `first` one on.
    """
    for case in itertools.islice(_cases_or_numbers(seed), first, None, step):
        yield random_case(seed, case) if isinstance(case, int) else case


def _cases_or_numbers(seed: int) -> Iterator[Case | int]:
    """Yield listed cases and the numbers of random ones, which cost more to make than to pass over."""
    numbers = itertools.count()
    for place, case in enumerate(itertools.chain(*map(damaged, LISTED), other_values(seed)), 1):
        yield case
        if place % RANDOM_EVERY == 0:
            yield next(numbers)
    yield from numbers


@lru_cache(maxsize=2)
def random_log(seed: int, number: int) -> Log:
    """Return a log of any batches, sometimes sealed in between."""
    rng = random.Random(f"log {number} {seed}")
    script: list[Batch | str] = []
    for _ in range(rng.randint(1, 4)):
        script.append([_random_data(rng) for _ in range(rng.choice((1, 1, 2, 4)))])
        if rng.random() < 0.3:
            script.append(SEAL)
    return written(f"random log {number}", *script)


def _random_data(rng: random.Random) -> dict[str, Any]:
    sizes = (0, 3, 20, 20, 600)
    text = "".join(rng.choice('abc é\u0301東\u2028\x00\x7f\\"{},:\n') for _ in range(rng.choice(sizes)))
    return {"n": rng.choice((0, -1, 1.5, 2**63, None, True)), "text": text}


def _flip_some(content: bytes, log: Log, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _put_over(content: bytes, log: Log, rng: random.Random) -> bytes:
    start, end = _run(content, rng)
    return content[:start] + rng.choice((bytes, rng.randbytes))(end - start) + content[end:]


def _take_out(content: bytes, log: Log, rng: random.Random) -> bytes:
    start, end = _run(content, rng)
    return content[:start] + content[end:]


def _put_in(content: bytes, log: Log, rng: random.Random) -> bytes:
    place = rng.randint(0, len(content))
    what = rng.choice((b"\n", b"\0", b"\r\n", b'"}\n', bytes(512), rng.randbytes(rng.randint(1, 40))))
    return content[:place] + what + content[place:]


def _copy_within(content: bytes, log: Log, rng: random.Random) -> bytes:
    (start, end), place = _run(content, rng), rng.randint(0, len(content))
    return content[:place] + content[start:end] + content[place + rng.choice((0, end - start)) :]


def _cut_off(content: bytes, log: Log, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def _zero_sectors(content: bytes, log: Log, rng: random.Random) -> bytes:
    start = rng.randint(0, len(content) // SECTOR_BYTES) * SECTOR_BYTES
    end = min(len(content), start + SECTOR_BYTES * rng.randint(1, 3))
    return content[:start] + bytes(end - start) + content[end:]


def _shuffle_lines(content: bytes, log: Log, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines[: rng.choice((len(lines), len(lines), rng.randint(0, len(lines))))])


def _splice(content: bytes, log: Log, rng: random.Random) -> bytes:
    """Put in a line of the twin, but never its first, which would be a true first record."""
    lines = content.splitlines(keepends=True)
    place = rng.randint(0, len(lines))
    lines[place : place + rng.randint(0, 1)] = [rng.choice(log.twin[1:] + log.stranger)]
    return b"".join(lines)


def _run(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(content))
    return start, min(len(content), start + rng.choice((1, 4, 30, 300, 2000)))


_BLOWS: list[Callable[[bytes, Log, random.Random], bytes]] = [
    _flip_some,
    _put_over,
    _take_out,
    _put_in,
    _copy_within,
    _cut_off,
    _zero_sectors,
    _shuffle_lines,
    _splice,
]

"""One record ⇄ one line of bytes. Pure; the format is docs/format.md and may never change for `v` 1.

A line is hashed as it stands and never serialised again: `prev` chains it to the exact bytes of the line
before it, `sum` lets it be judged alone, `dur` says which records were durable when it was composed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import lt
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from eventlog import decoding
from eventlog.errors import RecordRejectedError

FORMAT_VERSION = 1
GENESIS_PREV = "0" * 64
"""`prev` of the first record: there is no line before it."""
DATA_BYTES_MAX = 64 * 1024
"""Largest encoded `data`; more belongs into a file whose digest the record holds."""
LINE_BYTES_MAX = 128 * 1024
"""No reader looks at a longer line: it leaves room for envelope fields of later versions."""
LINE_BYTES_MIN = len('{"v":2,"sum":"0123456789abcdef"}\n')
"""No shorter line is a record of this version or a later one."""
DEPTH_MAX = 32

_TYPE = r"[a-z][a-z0-9_]*+(?:\.[a-z][a-z0-9_]*+)++(?<![a-z0-9_.]{65})"
_NAME = r"[0-9a-z][0-9a-z._-]{0,63}"
_TIME = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)
_SEQ = r"[1-9][0-9]{0,17}"
_NAMES = {"time": re.compile(_TIME), "type": re.compile(_TYPE)} | dict.fromkeys(
    ("pipeline", "run"), re.compile(_NAME)
)

# What stands before and behind `data`: one pattern for writing and reading, so that the two can't differ.
_START = re.compile(
    (
        rf'\{{"v":1,"seq":({_SEQ}),"time":"({_TIME})","type":"({_TYPE})",'
        rf'"pipeline":"({_NAME})","run":"({_NAME})","data":(?=\{{)'
    ).encode()
)
_END = re.compile(rf',"dur":(0|{_SEQ}),"prev":"([0-9a-f]{{64}})","sum":"[0-9a-f]{{16}}"\}}\n\Z'.encode())
_END_BYTES_MAX = len(',"dur":,"prev":""') + 18 + 64 + 27
# The same between the data of two lines without other fields: the end of the one, the start of the next. `prev`
# needs no form here, since it is compared.
_JOINT = re.compile(
    rf',"dur":(?<=\}},"dur":)(0|{_SEQ}),"prev":"(.{{64}})","sum":"[0-9a-f]{{16}}"\}}\n'
    rf'\{{"v":1,"seq":({_SEQ}),"time":"({_TIME})","type":"({_TYPE})","pipeline":"({_NAME})","run":"({_NAME})",'
    r'"data":(?=\{)'
)
_BEFORE = f'}},"dur":0,"prev":"{GENESIS_PREV}","sum":"{GENESIS_PREV[:16]}"}}\n'
_BEHIND = '{"v":1,"seq":1,"time":"2026-11-23T00:00:00.000000Z","type":"a.b","pipeline":"a","run":"a","data":{'
_CHAIN_LINE_BYTES_MAX = 2048
_SUM = re.compile(rb',"sum":"([0-9a-f]{16})"\}\n')
_SUM_BYTES = 27
_VERSION = re.compile(rb'\{"v":([1-9][0-9]{0,8}),')
# What tells numbers that are large from what stands in strings: digits, exponents, and what follows a number.
_SHAPES = bytes(
    ord("0") if char in b"0123456789." else ord("e") if char in b"eE+" else ord(",") if char in b",]} \t\r" else 0
    for char in range(256)
)
_LARGE_EXPONENT = re.compile(rb"e000+,")
_LONG_NUMBERS = (b"0" * 19 + b",", b"0" * 200)
_PLAIN = frozenset({str, int, bool, type(None)})
_ENVELOPE = frozenset({"v", "seq", "time", "type", "pipeline", "run", "data", "dur", "prev", "sum"})

# Characters that could drive a terminal, reorder its text or hide in it. orjson leaves them raw, and in JSON
# they can only stand inside strings, so that replacing them by their escapes keeps the value.
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class BadLineError(ValueError):
    """The bytes are not a whole record; the message says why. Judging what that means is the reader's."""


class NewerFormatError(BadLineError):
    """An intact record of a later format version; a newer evt is needed to read it."""


_NO_EXTRA: Mapping[str, Any] = MappingProxyType({})


class Record(NamedTuple):
    """One line of a log: an event and its envelope.

    A tuple because reading a log makes one for each line: no other immutable class is made as fast.

    Attributes:
        seq: its number in the log, from 1, without gaps.
        time: UTC, RFC 3339 with microseconds and `Z`.
        body: the data, as JSON text; whole numbers of more than 64 bits are written as a double's.
        dur: highest seq known to be on stable storage when the line was composed.
        prev: sha256 of the line before, its newline included.
        line_sha256: sha256 of this line, its newline included; the next record's `prev`.
        extra: envelope fields that this version does not know.
    """

    seq: int
    time: str
    type: str
    pipeline: str
    run: str
    body: str
    dur: int
    prev: str
    line_sha256: str
    extra: Mapping[str, Any] = _NO_EXTRA

    @property
    def data(self) -> dict[str, Any]:
        """What happened; decoded anew each time that it is asked for."""
        found: dict[str, Any] = orjson.loads(self.body)
        return found


def compose(
    *,
    seq: int,
    time: str,
    type: str,  # noqa: A002 - the envelope's own word
    pipeline: str,
    run: str,
    data: Mapping[str, Any],
    dur: int,
    prev: str,
) -> tuple[Record, bytes]:
    """Return a new record, as `decode` will find it, and its line.

    Raises:
        RecordRejectedError: the event can't be a record; the message names the field.
    """
    start = f'{{"v":1,"seq":{seq},"time":"{time}","type":"{type}","pipeline":"{pipeline}","run":"{run}","data":'
    body = _encode_data(data, type, pipeline)
    head = b'%b%b,"dur":%d,"prev":"%b"' % (start.encode("utf-8", "replace"), body, dur, prev.encode())
    if _START.match(head) is None:
        _reject_names(time=time, type=type, pipeline=pipeline, run=run)
    digest = hashlib.sha256(head)
    end = _end(digest.hexdigest())
    digest.update(end)
    return Record(seq, time, type, pipeline, run, body.decode(), dur, prev, digest.hexdigest(), {}), head + end


def encode(**fields: Any) -> bytes:
    """Return the line of a record; its fields, and what is raised, are those of `compose`."""
    return compose(**fields)[1]


def decode(line: bytes) -> Record:
    """Return the record of a line, which must end in its newline.

    Raises:
        NewerFormatError: it is intact, and of a later version.
        BadLineError: it is not what a writer of this format leaves.
    """
    line_sha256 = _check_sum(line)
    start = _START.match(line)
    if start is None:
        raise _strange_start(line)
    end = _END.search(line, max(start.end(), len(line) - _END_BYTES_MAX))
    if end is None:
        raise BadLineError("its last fields are not those of a record")
    body, extra = _decode_data(line[start.end() : end.start()])
    seq, dur = int(start[1]), int(end[1])
    if dur >= seq:
        raise BadLineError("it says that it was durable before it was written")
    time, type_, pipeline, run = (text.decode() for text in start.group(2, 3, 4, 5))
    return Record(seq, time, type_, pipeline, run, body, dur, end[2].decode(), line_sha256, extra)


def decode_chain(lines: Sequence[bytes], *, pipeline: str, seq: int, prev: str) -> list[Record] | None:
    """Return the records of lines that all follow, each from the one before, on record `seq` with the hash `prev`.

    They are what `decode` gives for each line, in half the time: a line that the next one names by its hash is
    what was written, so that only the last one's `sum` is compared.

    Returns:
        None where anything is unusual or wrong: then `decode` has to judge each line.
    """
    if max(map(len, lines)) > _CHAIN_LINE_BYTES_MAX:
        return None
    try:
        parts = _JOINT.split(f"{_BEFORE}{b''.join(lines).decode()}{_BEHIND}")
        hashes = [hashlib.sha256(line).hexdigest() for line in lines[:-1]]
        hashes.append(_check_sum(lines[-1]))
    except ValueError:
        return None
    count = len(lines)
    if len(parts) != 8 * count + 9 or parts[0] != "}" or parts[-1] != "{":
        return None
    seqs, times, types, pipelines, runs = (parts[i : 8 * count : 8] for i in range(3, 8))
    bodies, marks, prevs = (parts[i::8] for i in range(8, 11))
    bodies.pop()
    durs, numbers = list(map(int, marks)), range(seq + 1, seq + 1 + count)
    together = "".join(bodies)
    has_large = _has_large_number(together)
    if (
        list(map(int, seqs)) != list(numbers)
        or prevs != [prev, *hashes[:-1]]
        or pipelines.count(pipeline) != count
        or not all(map(lt, durs, numbers))
        or (_may_be_deep(together, DEPTH_MAX + count - 1) and any(map(_may_be_deep, bodies)))
        # A skimmer lets numbers pass that are too large.
        or not _are_json(bodies, by_skimming=seq >= decoding.LONG_LOG and not has_large)
    ):
        return None
    if has_large:
        bodies = [_settled(body) for body in bodies]
    rows = zip(numbers, times, types, pipelines, runs, bodies, durs, prevs, hashes, repeat(_NO_EXTRA))
    return list(map(Record._make, rows))


def durable_mark(line: bytes) -> int | None:
    """Return the `dur` of a line that is intact by itself, else None.

    Raises:
        NewerFormatError: it is intact, and of a later version.
    """
    try:
        return decode(line).dur
    except NewerFormatError:
        raise
    except BadLineError:
        return None


def is_name(text: str) -> bool:
    """Say whether a text can name a pipeline or a run: 1–64 of `0-9a-z._-`, the first a digit or letter."""
    return _NAMES["pipeline"].fullmatch(text) is not None


def oddity_of(line: bytes) -> str | None:
    """Return, as a clause, what no writer of ours leaves and a reader lets pass; None if there is nothing.

    A wrong `sum`, which a reader need not check where the next record vouches for the line, and a key that stands
    twice in one object, of which `decode` keeps the last and others may keep the first. It costs more than `decode`
    itself, so only a thorough check asks.
    """
    try:
        _check_sum(line)
        json.loads(line, object_pairs_hook=_unique)
    except BadLineError as error:
        return f"is odd: {error}"
    except _RepeatedKeyError as error:
        return f"has the key {str(error)!r} twice; which one counts is undefined"
    return None


class _RepeatedKeyError(ValueError):
    """Its message is the key."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return fields


def _reject_names(**texts: str) -> None:
    wrong = [f"{text!r} can't be its {name}" for name, text in texts.items() if not _NAMES[name].fullmatch(text)]
    raise RecordRejectedError(f"The event was not written: {'; '.join(wrong)}.", pipeline=texts["pipeline"])


def _encode_data(data: Mapping[str, Any], type_: str, pipeline: str) -> bytes:
    problem = _problem(data, DEPTH_MAX) if isinstance(data, dict) else f"a {type(data).__name__}"
    body = b""
    if problem is None:
        try:
            body = _written(data)
        except TypeError as error:
            problem = str(error)
    if len(body) > DATA_BYTES_MAX:
        problem = f"{len(body)} bytes, of which {DATA_BYTES_MAX} fit"
    if problem is not None:
        raise RecordRejectedError(f"The event was not written: {type_} holds {problem}.", pipeline=pipeline)
    return body


def _written(data: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(data)
    if body.isascii() and b"\x7f" not in body:
        return body
    return _UNPRINTABLE.sub(_escape, body.decode()).encode()


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _problem(value: Any, depth: int) -> str | None:
    """Return what in a dict or list JSON can't hold without loss, in words; None if all is fine.

    Keys that are not text, numbers of more than 64 bits and lone surrogates are left to orjson, which refuses them.
    """
    if depth == 0:
        return f"more than {DEPTH_MAX} levels"
    for item in value.values() if isinstance(value, dict) else value:
        if type(item) in _PLAIN:
            continue
        if isinstance(item, (dict, list, tuple)):
            if (problem := _problem(item, depth - 1)) is not None:
                return problem
        elif not isinstance(item, float):
            return f"a {type(item).__name__}"
        elif not math.isfinite(item):
            return f"the number {item}"
    return None


def _check_sum(line: bytes) -> str:
    """Return the sha256 of a whole line, once its `sum` has proved right."""
    digest = hashlib.sha256(line[:-_SUM_BYTES])
    end = line[-_SUM_BYTES:]
    if end != _end(digest.hexdigest()):
        like_a_record = _SUM.fullmatch(end) is not None
        raise BadLineError("its checksum does not match" if like_a_record else "it does not end like a record")
    digest.update(end)
    return digest.hexdigest()


def _end(head_sha256: str) -> bytes:
    """Return what ends a line whose bytes before have this hash."""
    return b',"sum":"%b"}\n' % head_sha256[:16].encode()


def _strange_start(line: bytes) -> BadLineError:
    version = _VERSION.match(line)
    if version is not None and int(version[1]) > FORMAT_VERSION:
        return NewerFormatError(f"it has format version {int(version[1])}; this evt reads {FORMAT_VERSION}")
    return BadLineError("its first fields are not those of a record")


def _may_be_deep(body: str, most: int = DEPTH_MAX) -> bool:
    return body.count("{") + body.count("[") > most


def _are_json(bodies: list[str], *, by_skimming: bool) -> bool:
    refusals = decoding.refusals() if by_skimming else (orjson.JSONDecodeError,)
    try:
        deque(map(decoding.skimmer() if by_skimming else orjson.loads, bodies), maxlen=0)
    except refusals:
        return False
    return True


def _has_large_number(body: str) -> bool:
    """Say whether there may be a number of more than 64 bits: of those decoders make different things, or none."""
    shape = body.encode().translate(_SHAPES)
    return any(run in shape for run in _LONG_NUMBERS) or _LARGE_EXPONENT.search(shape) is not None


def _settled(body: str) -> str:
    """Return a body so written that every decoder finds the same in it."""
    return _written(orjson.loads(body)).decode() if _has_large_number(body) else body


def _decode_data(body: bytes) -> tuple[str, dict[str, Any]]:
    """Split what stands between `"data":` and `,"dur"` into the data's text and the fields that we don't know."""
    text = body.decode(errors="replace")
    try:
        items: list[Any] = orjson.loads(b"[%b]" % body)
        extra: dict[str, Any] = {}
    except orjson.JSONDecodeError:
        items, extra = _decode_with_others(body)
    # Writers refuse deeper data; whoever shows or checks a record may then recurse.
    if _may_be_deep(text) and (problem := _problem([*items, *extra.values()], DEPTH_MAX + 1)):
        raise BadLineError(f"it holds {problem}")
    if len(items) != 1 or type(items[0]) is not dict:
        raise BadLineError("its fields are not those of a record")
    return _settled(_written(items[0]).decode() if extra else text.strip()), extra


def _decode_with_others(body: bytes) -> tuple[list[Any], dict[str, Any]]:
    try:
        fields = orjson.loads(b'{"data":%b}' % body)
        pairs = json.loads(b'{"data":%b}' % body, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    except orjson.JSONDecodeError as error:
        raise BadLineError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise BadLineError(f"it holds more than {DEPTH_MAX} levels") from error
    if not _ENVELOPE.isdisjoint(name for name, _ in pairs[1:]):
        raise BadLineError("its fields are not those of a record")
    return [fields.pop("data")], fields

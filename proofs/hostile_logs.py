"""Logs made by somebody who knows the format and means harm: sums and chain are right wherever they can be.

They get past the checksums, so that what stands behind those is attacked: the JSON reader, the fold, the commands.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eventlog.record import GENESIS_PREV, LINE_BYTES_MAX

GOLDEN = sorted(Path(__file__).parents[1].glob("tests/golden/*/*.jsonl"))
LONG_BYTES = 4000
"""A value of so many bytes is put into one event only."""
Event = tuple[str, bytes]
TIME = "2026-11-23T14:02:11.532108Z"
_PLACE = "here stands the hostile value"

STRINGS = {
    "invalid UTF-8": b'"\xff\xfe"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "raw lone surrogate": b'"\xed\xa0\x80"',
    "escaped lone surrogate": b'"\\ud800"',
    "surrogate pair the wrong way round": b'"\\udc00\\ud800"',
    "raw NUL": b'"\0"',
    "escaped NUL": b'"\\u0000"',
    "raw controls": b'"\x1b[2J\x07"',
    "escaped controls": b'"\\u001b[2J\\u009b31m\\u0007"',
    "raw CR": b'"\r"',
    "raw U+2028": '"\u2028"'.encode(),
    "raw U+0085": '"\x85"'.encode(),
    "raw bidirectional controls": '"\u202e\u2066\u200b"'.encode(),
    "raw byte order mark": '"\ufeff"'.encode(),
    "false sum": b'"\\",\\"sum\\":\\"0123456789abcdef\\"}"',
    "long text": b'"' + b"x" * 3900 + b'"',
    "path upwards": b'"../../../../../../etc/passwd"',
    "device": b'"/dev/zero"',
    "empty text": b'""',
    "text that is a number": b'"1e999"',
}
NUMBERS = {
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "largest double": b"1.7976931348623157e308",
    "smallest double": b"5e-324",
    "minus zero": b"-0",
    "2^64": b"18446744073709551616",
    "2^64 - 1": b"18446744073709551615",
    "-2^63": b"-9223372036854775808",
    "5,000 digits": b"9" * 5000,
    "5,000 decimals": b"0." + b"1" * 5000,
    "leading zero": b"01",
    "plus sign": b"+1",
    "negative number": b"-1",
}
OTHERS = {
    "null": b"null",
    "true": b"true",
    "list": b"[]",
    "object": b"{}",
    "key twice": b'{"a":1,"a":2}',
    "key that is sum": b'{"a":1,"sum":"0123456789abcdef"}',
    "empty key": b'{"":1}',
    "long key": b'{"' + b"k" * 3900 + b'":1}',
    "key of controls": b'{"\\u001b[2J\\u202e":1}',
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(1000)) + b"}",
    "bytes as hex": b'{"bytes_hex":"ff0a1b"}',
    "bytes as no hex": b'{"bytes_hex":"xyz"}',
    "bytes as a number": b'{"bytes_hex":7}',
    "bytes as nothing": b'{"bytes_hex":null}',
    "20 levels": b"[" * 20 + b"]" * 20,
    "33 levels": b"[" * 32 + b"]" * 32,
    "200 levels": b"[" * 200 + b"]" * 200,
    "900 levels": b"[" * 900 + b"]" * 900,
    "900 levels of objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "100,000 levels": b"[" * 50_000 + b"]" * 50_000,
    "100,000 levels without an end": b"[" * 100_000,
    "comment": b"1/*x*/",
    "trailing comma": b"[1,]",
    "U+2028 outside a string": "[\u2028]".encode(),
    "white space": b"[ \t\r 1 ]",
}
VALUES = {**STRINGS, **NUMBERS, **OTHERS}
EDITS: dict[str, tuple[bytes, bytes]] = {
    "v 0": (b'"v":1', b'"v":0'),
    "v 1.0": (b'"v":1', b'"v":1.0'),
    "v 2": (b'"v":1', b'"v":2'),
    "v 2, and a hole": (b'"v":1', b'"v":2,"x":"\0"'),
    "v of nine digits": (b'"v":1', b'"v":999999999'),
    "v of ten digits": (b'"v":1', b'"v":9999999999'),
    "seq 0": (b'"seq":3', b'"seq":0'),
    "seq negative": (b'"seq":3', b'"seq":-3'),
    "seq with a leading zero": (b'"seq":3', b'"seq":03'),
    "seq with a fraction": (b'"seq":3', b'"seq":3.0'),
    "seq as text": (b'"seq":3', b'"seq":"3"'),
    "seq too small": (b'"seq":3', b'"seq":2'),
    "seq too large": (b'"seq":3', b'"seq":4'),
    "seq of 18 digits": (b'"seq":3', b'"seq":' + b"9" * 18),
    "seq of 19 digits": (b'"seq":3', b'"seq":1' + b"0" * 18),
    "seq of 5,000 digits": (b'"seq":3', b'"seq":' + b"9" * 5000),
    "dur negative": (b'"dur":2', b'"dur":-1'),
    "dur with a leading zero": (b'"dur":2', b'"dur":02'),
    "dur of its own seq": (b'"dur":2', b'"dur":3'),
    "dur of 18 digits": (b'"dur":2', b'"dur":' + b"9" * 18),
    "prev of something else": (b'"prev":"', b'"prev":"' + b"0" * 64 + b'","prev":"'),
    "hour 24": (b"T14:", b"T24:"),
    "month 13": (b"-11-", b"-13-"),
    "year 0": (b"2026-", b"0000-"),
    "February 31": (b"-11-23", b"-02-31"),
    "time with a zone": (b'108Z"', b'108+00:00"'),
    "type of one word": (b"test.happened", b"happened"),
    "type of 65 characters": (b"test.happened", b"a." + b"b" * 63),
    "type in capitals": (b"test.happened", b"Test.happened"),
    "another pipeline": (b'"pipeline":"', b'"pipeline":"x'),
    "pipeline that is a path": (b'"pipeline":"', b'"pipeline":"../../'),
    "empty run": (b'"run":"r1"', b'"run":""'),
    "run with a space": (b'"run":"r1"', b'"run":"r 1"'),
    "unknown field": (b',"dur"', b',"epoch":{"n":3},"dur"'),
    "unknown field twice": (b',"dur"', b',"epoch":1,"epoch":2,"dur"'),
    "unknown field of 900 levels": (b',"dur"', b',"epoch":' + b"[" * 900 + b"]" * 900 + b',"dur"'),
    "data twice": (b',"dur"', b',"data":{"b":2},"dur"'),
    "seq twice": (b',"dur"', b',"seq":3,"dur"'),
    "another sum": (b',"dur"', b',"sum":"0123456789abcdef","dur"'),
    "data as a list": (b'{"a":1}', b"[1]"),
    "data as null": (b'{"a":1}', b"null"),
    "data without an end": (b'{"a":1}', b'{"a":1'),
    "two data": (b'{"a":1}', b'{"a":1}{"a":2}'),
    "line's end in a text": (b'{"a":1}', b'{"a":"\n"}'),
    "space behind a colon": (b'"data":', b'"data": '),
    "space in front": (b'{"v"', b' {"v"'),
    "byte order mark": (b'{"v"', b'\xef\xbb\xbf{"v"'),
    "list around it": (b'{"v"', b'[{"v"'),
    "fields in another order": (b'"v":1,"seq":3', b'"seq":3,"v":1'),
    "field name escaped": (b'"seq"', b'"\\u0073eq"'),
}


def with_sum(start: bytes) -> bytes:
    """Return the line that begins with these bytes and has the right `sum`."""
    return start + b',"sum":"' + hashlib.sha256(start).hexdigest()[:16].encode() + b'"}\n'


def chained(starts: Iterable[bytes]) -> list[bytes]:
    """Return lines that begin with these bytes; whatever those are, `dur`, `prev` and `sum` are right."""
    lines: list[bytes] = []
    prev = GENESIS_PREV
    for start in starts:
        lines.append(with_sum(start + b',"dur":%d,"prev":"%b"' % (len(lines), prev.encode())))
        prev = hashlib.sha256(lines[-1]).hexdigest()
    return lines


def starts(pipeline: str, events: Iterable[Event]) -> Iterator[bytes]:
    """Yield what stands before `dur` in the records of these events; the data are taken as they are."""
    for seq, (type_, data) in enumerate(events, 1):
        start = f'{{"v":1,"seq":{seq},"time":"{TIME}","type":"{type_}","pipeline":"{pipeline}","run":"r1","data":'
        yield start.encode() + data


def logs(pipeline: str) -> Iterator[tuple[str, bytes]]:
    """Yield hostile logs, each with a name of its own."""
    yield from _of_events(pipeline)
    yield from _of_lines(pipeline)
    yield from _of_bytes(pipeline)


def harmless(pipeline: str) -> bytes:
    """Return the log of a run that was completed, under another name."""
    return b"".join(chained(starts(pipeline, ((type_, _json(data)) for type_, data in _real_events()))))


def _of_events(pipeline: str) -> Iterator[tuple[str, bytes]]:
    """Put a hostile value into the place of every value of its kind that the events of a run have."""
    for kind, values in ((str, STRINGS), ((int, float), NUMBERS), (object, OTHERS)):
        for name, value in values.items():
            events = [("test.happened", b'{"a":%b}' % value)]
            if len(value) < LONG_BYTES:
                events += [(type_, _with_values(data, kind, value)) for type_, data in _real_events()]
            yield f"events: {name}", b"".join(chained(starts(pipeline, events)))


def _of_lines(pipeline: str) -> Iterator[tuple[str, bytes]]:
    """Let the third record be hostile: the last one, or one that the fourth follows and vouches for."""
    first, second, third, fourth = starts(pipeline, [("test.happened", b'{"a":1}')] * 4)
    good = chained([first, second, third])
    lines = {name: with_sum(good[2][:-27].replace(*edit, 1)) for name, edit in EDITS.items()}
    for size in (LINE_BYTES_MAX, LINE_BYTES_MAX + 1):
        pad = b',"pad":"%b"' % (b"x" * (size - len(good[2]) - len(b',"pad":""')))
        lines[f"{size} bytes"] = chained([first, second, third + pad])[2]
    lines["right sum in capitals"] = good[2][:-19] + good[2][-19:].upper()
    lines["sum of zeros"] = good[2][:-19] + b"0" * 16 + b'"}\n'
    lines["CR before its end"] = good[2][:-1] + b"\r\n"
    lines["two records in one line"] = good[2][:-1] + good[2]
    text = _json({"a": good[2].decode()})
    lines["record in a text"] = chained([first, second, third.replace(b'{"a":1}', text)])[2]
    lines["record behind a NUL"] = b"\0" + good[2]
    lines["v 2, and a wrong sum"] = lines["v 2"].replace(b'"a":1', b'"a":7')
    for name, line in lines.items():
        prev = hashlib.sha256(line).hexdigest()
        following = with_sum(fourth + b',"dur":3,"prev":"%b"' % prev.encode())
        yield f"last line: {name}", b"".join((*good[:2], line))
        # Readers may leave a `sum` unread where the next record vouches for the line.
        if name != "sum of zeros":
            yield f"last line but one: {name}", b"".join((*good[:2], line, following))
            yield f"first line: {name}", line + following


def _of_bytes(pipeline: str) -> Iterator[tuple[str, bytes]]:
    good = harmless(pipeline)
    noise = random.Random(0).randbytes(10_000)
    yield from {
        "nothing": b"",
        "one line's end": b"\n",
        "many line's ends": b"\n" * 20_000,
        "one NUL": b"\0",
        "a million NULs": bytes(1_000_000),
        "noise": noise,
        "a record's beginning, then noise": good[:100] + noise,
        "a record's beginning, and no end": good[:100] + b"x" * 300_000,
        "a picture": b"\x89PNG\r\n\x1a\n" + noise,
        "a byte order mark": b"\xef\xbb\xbf",
        "UTF-16": good.decode().encode("utf-16"),
        "CR only": good.replace(b"\n", b"\r"),
        "brackets": b"[" * 300_000,
        "a good log, then a line without an end": good + b"x" * 300_000,
        "a good log, then NULs, then a line without an end": good + bytes(300_000) + b"x" * 600_000,
        "a good log, then a line without an end, then NULs": good + b"x" * 200_000 + bytes(300_000),
        "a good log, NULs in an endless line": good + b"x" * 140_000 + bytes(9) + b"x" * 140_000 + b"\n" + good,
        "a good log behind NULs": bytes(300_000) + good,
        "a good log twice": good + good,
        "a good log of another name": harmless("another"),
    }.items()


def _real_events() -> list[tuple[str, Any]]:
    """Return the types and data of a real run's events."""
    records = [json.loads(line) for line in GOLDEN[0].read_bytes().splitlines()]
    return [(record["type"], record["data"]) for record in records]


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _with_values(data: Any, kind: Any, value: bytes) -> bytes:
    return _json(_marked(data, kind)).replace(_json(_PLACE), value)


def _marked(data: Any, kind: Any) -> Any:
    if isinstance(data, dict):
        return {name: _marked(item, kind) for name, item in data.items()}
    if isinstance(data, list):
        return [_marked(item, kind) for item in data]
    return _PLACE if isinstance(data, kind) and not isinstance(data, bool) else data

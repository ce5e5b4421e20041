"""A second verifier of logs, written from docs/format.md alone; it shares no code with the store.

It judges how a log ends, as the table "How a log ends" does, and follows the page to the letter where the
page is read by a reader. Its use is to be compared with the store: where the two differ, one of them or the
page is wrong.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator
from enum import Enum
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple


class Unreadable(Enum):
    """The type of `UNREADABLE`."""

    UNREADABLE = "unreadable"


UNREADABLE: Final = Unreadable.UNREADABLE
"""Stands for a head file that can't be understood."""

Head = tuple[int, str] | Unreadable | None


class Judgement(NamedTuple):
    """How a log ends, the number of its last good record (0: none) and where that one ends."""

    verdict: str
    seq: int
    offset: int


class _Record(NamedTuple):
    seq: int
    pipeline: str
    dur: int
    prev: str
    sha256: str


class _Due(NamedTuple):
    """What the record that would come next has to say, and what the head names (see `_named`)."""

    seq: int
    prev: str
    pipeline: str
    head: tuple[int, str]


_LONGEST_LINE = 131_072
_DEEPEST = 32
_BEYOND_EVERY_SEQ = 10**18
_NO_HASH = "0" * 64
_SUM_FIELD_LENGTH = 27

_NUMBER = rb"[1-9][0-9]{0,17}"
_NAME = rb"[a-z0-9][a-z0-9._-]{0,63}"
_WORD = rb"[a-z][a-z0-9_]*+"
_DATE = rb"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = _DATE + rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
_TYPE = rb'(?=[^"]{3,64}")' + _WORD + rb"(?:\." + _WORD + rb")+"
_START = re.compile(
    rb'\{"v":1,"seq":(%b),"time":"%b","type":"%b","pipeline":"(%b)","run":"%b"(?=,"data":)'
    % (_NUMBER, _TIME, _TYPE, _NAME, _NAME)
)
_END = re.compile(rb',"dur":(0|' + _NUMBER + rb'),"prev":"([0-9a-f]{64})","sum":"[0-9a-f]{16}"\}\n')
_LATER_START = re.compile(rb'\{"v":(?!1,)[1-9][0-9]{0,8},')
_HEAD = re.compile(rb'\{"seq":(' + _NUMBER + rb'),"sha256":"([0-9a-f]{64})"\}\n')

_FIELDS = {"v", "seq", "time", "type", "pipeline", "run", "data", "dur", "prev", "sum"}
_KEY = re.compile(r'[ \t\r]*,[ \t\r]*("(?:[^"\\]|\\.)*+")[ \t\r]*:[ \t\r]*')
_SPACE = re.compile(r"[ \t\r]*")
# The last quote may be missing, since a pattern that failed there would be tried again from every quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?')
_BRACKET = re.compile(r"[{}\[\]]")


def _finite(number: str) -> float:
    """Return the number, whole or not; NaN and the infinities are refused, by name or as what became of it."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


# Objects become tuples of pairs: they differ from lists, and nothing of them is lost where a key stands twice.
_JSON = json.JSONDecoder(parse_float=_finite, parse_int=_finite, parse_constant=_finite, object_pairs_hook=tuple)


def head_of(content: bytes) -> tuple[int, str] | Unreadable:
    """Return the number and hash that a head file names, `UNREADABLE` for anything but its exact form."""
    match = _HEAD.fullmatch(content)
    return (int(match[1]), match[2].decode()) if match else UNREADABLE


def judge(content: bytes, pipeline: str, head: Head) -> Judgement:
    """Return how a log of this content and name ends, given the head that was kept beside it."""
    due, offset = _Due(1, _NO_HASH, pipeline, _named(head)), 0
    while True:
        end = content.find(b"\n", offset, offset + _LONGEST_LINE) + 1
        # Where no line ends in time, `end` is 0 and the slice empty, which is no record.
        record = _record(content[offset:end])
        if record is None or not _is_next(record, due):
            return Judgement(_verdict(content[offset:], due), due.seq - 1, offset)
        due, offset = due._replace(seq=record.seq + 1, prev=record.sha256), end


def main(arguments: list[str]) -> int:
    """Print the verdict on the log `arguments[0]`, with `arguments[1]` as its head; return the exit status."""
    if not 1 <= len(arguments) <= 2:
        print("usage: second_reader.py LOG [HEADFILE]", file=sys.stderr)
        return 1
    log = Path(arguments[0])
    try:
        head = head_of(Path(arguments[1]).read_bytes()) if arguments[1:] else None
        judgement = judge(log.read_bytes(), log.name.removesuffix(".jsonl"), head)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(*judgement)
    return 0 if judgement.verdict in ("clean", "unterminated") else 1


def _named(head: Head) -> tuple[int, str]:
    """Return what the head names: record 0 if there is none, one beyond all if it can't be understood."""
    if head is None:
        return 0, ""
    return (_BEYOND_EVERY_SEQ, "") if isinstance(head, Unreadable) else head


def _is_next(record: _Record, due: _Due) -> bool:
    return (
        record.seq == due.seq
        and record.prev == due.prev
        and record.pipeline == due.pipeline
        and (due.head[0] != due.seq or due.head[1] == record.sha256)
    )


def _record(line: bytes) -> _Record | None:
    """Return what a line says, which holds one line feed at most; None if it is no record by itself."""
    start, end = _START.match(line), _END.fullmatch(line, max(line.rfind(b',"dur":'), 0))
    if start is None or end is None or not _is_summed(line):
        return None
    seq, dur = int(start[1]), int(end[1])
    if dur >= seq or not _is_body(line[start.end() : end.start()]):
        return None
    return _Record(seq, start[2].decode(), dur, end[2].decode(), hashlib.sha256(line).hexdigest())


def _is_later_version(line: bytes) -> bool:
    return _LATER_START.match(line) is not None and _is_summed(line)


def _is_summed(line: bytes) -> bool:
    """Tell whether a line is not too long and ends as one of every version does, with the right sum."""
    if len(line) > _LONGEST_LINE:
        return False
    digits = hashlib.sha256(line[:-_SUM_FIELD_LENGTH]).hexdigest()[:16]
    return line[-_SUM_FIELD_LENGTH:] == b',"sum":"%b"}\n' % digits.encode()


def _is_body(body: bytes) -> bool:
    """Tell whether this is what stands between `run` and `dur`: `data`, an object, and members of other names."""
    try:
        text = body.decode()
        if not _is_shallow(text):
            return False
        members = _members(text)
        if "\\u" in text:
            # A surrogate without its other half is what can't be encoded again.
            json.dumps(members, ensure_ascii=False).encode()
    except ValueError:
        return False
    return isinstance(members[0][1], tuple) and all(key not in _FIELDS for key, _ in members[1:])


def _is_shallow(text: str) -> bool:
    """Tell whether a parser that recurses can read this; where it is no JSON, as far as the parser would come."""
    if text.count("{") + text.count("[") <= _DEEPEST:
        return True
    brackets = _BRACKET.findall(_STRING.sub("", text))
    return max(accumulate((1 if bracket in "{[" else -1 for bracket in brackets), initial=0)) <= _DEEPEST


def _members(text: str) -> list[tuple[str, object]]:
    """Return the key and value of each member, all with a comma before; raise `ValueError` for anything else."""
    members, at = [], 0
    if not text.startswith(',"data":{'):
        raise ValueError(text)
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            raise ValueError(text)
        value, at = _JSON.raw_decode(text, key.end())
        members.append((_JSON.decode(key[1]), value))
        if (space := _SPACE.match(text, at)) is not None and space.end() == len(text):
            at = len(text)
    return members


def _verdict(rest: bytes, due: _Due) -> str:
    """Return the verdict of the first row that fits what stands behind the good records, in the page's order."""
    is_kept = due.head[0] >= due.seq
    if not rest:
        return "corrupt" if is_kept else "clean"
    if any(_is_later_version(line) for line in _lines(rest)):
        return "newer"
    if any(record.dur >= due.seq for line in _lines(rest) if (record := _record(line))):
        return "corrupt"
    record = None if b"\n" in rest else _record(rest + b"\n")
    if record is not None and _is_next(record, due) and due.head[0] <= due.seq:
        return "unterminated"
    return "corrupt" if is_kept or _has_bad_shape(rest) else "torn"


def _lines(rest: bytes) -> Iterator[bytes]:
    """Yield all that may be evidence: each line, the last one as it is looked at, and what is behind their NULs."""
    *whole, last = rest.split(b"\n")
    for line in [*whole, last, last[:-1]]:
        yield line + b"\n"
        if b"\0" in line:
            yield line[line.rfind(b"\0") + 1 :] + b"\n"


def _has_bad_shape(rest: bytes) -> bool:
    bad_line, ending, _ = rest.partition(b"\n")
    if b"\0" in bad_line:
        return False
    if any(byte < 0x20 for byte in bad_line):
        return True
    is_intact = any(_record(line + b"\n") for line in (bad_line, bad_line[:-1]))
    return bool(ending) or len(bad_line) > _LONGEST_LINE or is_intact


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Events decoded straight from text are those that are built from dicts, and what is refused is refused alike."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.decoding import LONG_LOG
from eventlog.reader import scan
from eventlog.record import BadLineError, Record, decode, decode_chain
from projections import events as ev
from projections.fold import fold, initial_state
from tests.support.runs import PIPELINE, History, as_records

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/*.jsonl"))
PREV = "0" * 64

NUMBERS = [
    "0", "-0", "1", "-1", "1.0", "1e2", "1E5", "-0.0", "0.1", "1e-400", "2.5e-5", "123456789012345678",
    "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "-9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "1e308", "1e+308",
    "0.12345678901234567890123", "100000000000000000000.0", "1" + "0" * 300,
]  # fmt: skip
TOO_LARGE = [
    "1e309",
    "-1E+400",
    "1e0400",
    "1e99999999999999999999",
    "1" + "0" * 400,
    "9" * 400 + ".5",
    "9" * 305 + "e9",
]
NO_JSON = [
    "NaN", "Infinity", "01", "1.", ".5", "+1", "tru", '"', '"\\x"', '"\\ud800"', '"\x01"', "[1,]", "[1 2]", "{1:2}",
    '{"a"}', "", "1}", "1]", "1,", '1,"b"', "[" * 900 + "]" * 900, "[" * 40 + "]" * 40,
]  # fmt: skip
scalars = st.sampled_from(
    [*NUMBERS, "true", "false", "null", '""', '"x"', '"\\u00e9\\n"', '"ü:1e999,"', '"[1e999]"']
)
texts = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from(["a", "path", "amount"]), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}" : {value}' for name, value in pairs) + "}"
        ),
    ),
    max_leaves=5,
)


def line_of(type_: str, body: str, seq: int, prev: str) -> bytes:
    """Return a line with these data, whatever they are, and the right sum, as a stranger could write it."""
    start = (
        f'{{"v":1,"seq":{seq},"time":"2026-11-23T14:02:11.532108Z","type":"{type_}","pipeline":"{PIPELINE}",'
        f'"run":"r1","data":{body},"dur":{seq - 1},"prev":"{prev}"'
    ).encode()
    return start + b',"sum":"' + hashlib.sha256(start).hexdigest()[:16].encode() + b'"}\n'


def lines_of(bodies: list[str], first_seq: int) -> list[bytes]:
    lines: list[bytes] = []
    for seq, body in enumerate(bodies, first_seq):
        prev = hashlib.sha256(lines[-1]).hexdigest() if lines else PREV
        lines.append(line_of("test.happened", body, seq, prev))
    return lines


def outcome(type_: str, record: Record | None, data: object = None) -> str:
    """Return what becomes of data, kinds of numbers included: an event, none, or why not."""
    try:
        return repr(ev.event_of(record) if record is not None else ev.from_data(type_, data))  # type: ignore[arg-type]
    except ev.EventDataError as error:
        return str(error)


def assert_same(record: Record) -> None:
    late = record._replace(seq=LONG_LOG + 1)
    assert outcome(record.type, late) == outcome(record.type, None, record.data)


@st.composite
def bodies_of_events(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a type and data for it: each field right, wrong, missing, there twice, or of no event."""
    type_ = draw(st.sampled_from(sorted(ev.EVENTS)))
    pairs = []
    for name, kind in ((field.name, str(field.type)) for field in ev.EVENTS[type_].__attrs_attrs__):
        match draw(st.sampled_from(["right", "right", "right", "any", "none", "twice"])):
            case "right":
                pairs.append((name, draw(right(kind))))
            case "any":
                pairs.append((name, draw(texts)))
            case "twice":
                pairs += [(name, draw(texts | right(kind))), (name, draw(texts | right(kind)))]
    if draw(st.booleans()):
        pairs.append(("later", draw(texts)))
    return type_, "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


def right(kind: str) -> st.SearchStrategy[str]:
    """Return texts of values as an annotation says."""
    if kind.startswith("tuple["):
        return st.lists(right(kind[6:-6]), max_size=2).map(lambda items: f"[{','.join(items)}]")
    first = kind.split(" | ", maxsplit=1)[0]
    ref = '{"path":"a","sha256":"b","size_bytes":3}'
    return {
        "str": st.sampled_from(['"x"', '"ü"', '""']),
        "int": st.sampled_from(NUMBERS[:4]),
        "float": st.sampled_from(NUMBERS),
        "bool": st.sampled_from(["true", "false"]),
        "Json": st.sampled_from(["{}", *(f'{{"a":{number}}}' for number in NUMBERS), '{"a":{"b":[1,{}]}}']),
        "ArtifactRef": st.sampled_from([ref, ref.replace("3", "3.0"), ref[:-1] + ',"later":1}', "{}"]),
        "StageError": st.sampled_from(
            ['{"code":"a","message":"b"}', f'{{"code":"a","message":"b","details":{ref},"retry_after_s":3}}']
        ),
    }[first]


@given(bodies_of_events())
def test_an_event_from_text_is_the_event_from_a_dict(drawn: tuple[str, str]) -> None:
    type_, body = drawn
    assert_same(decode(line_of(type_, body, 7, PREV)))


@pytest.mark.parametrize("log", GOLDEN, ids=lambda log: log.parent.name)
def test_the_events_of_released_logs_come_from_text_as_from_dicts(log: Path) -> None:
    for record in scan([log.read_bytes()], log.stem)[0]:
        assert_same(record)


@pytest.mark.parametrize("number", [*NUMBERS, "true", "null", '"1"'])
@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("run.finished", '{"outcome":"completed","duration_s":%s}'),
        ("stage.interrupted", '{"stage":"merge","attempt":%s}'),
        ("engine.probed", '{"provider":"p","origin":"o","model":"m","facts":{"a":%s,"b":[%s ]}}'),
        ("loss.accepted", '{"losses":[1,%s],"user":"anna","later":%s}'),
    ],
)
def test_a_number_of_any_size_and_kind_is_the_same_from_text(type_: str, body: str, number: str) -> None:
    assert_same(decode(line_of(type_, body.replace("%s", number), 7, PREV)))


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from([0, LONG_LOG + 5]))
def test_lines_of_any_numbers_are_read_together_as_they_are_one_by_one(values: list[str], seq: int) -> None:
    lines = lines_of([f'{{"a":{value}}}' for value in values], seq + 1)
    assert decode_chain(lines, pipeline=PIPELINE, seq=seq, prev=PREV) == [decode(line) for line in lines]


@pytest.mark.parametrize("seq", [0, LONG_LOG + 5])
@pytest.mark.parametrize("value", [*TOO_LARGE, *NO_JSON])
@pytest.mark.parametrize(
    "body", ['{{"a":{}}}', '{{"a":[0,{}]}}', '{{"a":{{"b": {} }}}}', '{{"path":"x","a":{},"b":1}}']
)
def test_what_no_reader_takes_is_not_taken_in_a_chain(body: str, value: str, seq: int) -> None:
    lines = lines_of(["{}", body.format(value), "{}"], seq + 1)
    taken = decode_chain(lines, pipeline=PIPELINE, seq=seq, prev=PREV)
    try:
        expected = [decode(line) for line in lines]
    except BadLineError:
        expected = None
    assert taken == expected


def test_a_short_log_is_read_and_folded_without_msgspec() -> None:
    program = (
        "import sys, pathlib; from eventlog.reader import scan; from projections.fold import fold, initial_state; "
        "log = pathlib.Path(sys.argv[1]); records, _ = scan([log.read_bytes()], log.stem); "
        "assert fold(initial_state(log.stem), records).runs; print('msgspec' in sys.modules)"
    )
    found = subprocess.check_output([sys.executable, "-c", program, str(GOLDEN[0])], text=True)
    assert found == "False\n"


def test_what_was_folded_before_is_not_changed_by_what_comes_after() -> None:
    history = History()
    history.run(until="transcription")
    number = history.start("transcription")
    calls = [
        ev.CallStarted("c", "transcription", number, "p", "o", "u", "r", billable=True),
        ev.CallSucceeded("c", ev.ArtifactRef("a", "b", 1), 0.5),
        ev.CallReused("transcription", number, "u", "r", "c"),
        ev.EngineProbed("p", "o", "m", {}),
        ev.ArtifactMissing("a", "missing"),
        ev.TranscriptCorrected(ev.ArtifactRef("a", "b", 1), "anna"),
        ev.StageInterrupted("transcription", number),
        ev.RunFinished("failed", 1.0),
    ]
    records = as_records([*history.events, *calls, ("log.recovered", {"uncertain": True}), ("a.later", {})])
    states = [fold(initial_state(PIPELINE), records[:number]) for number in range(len(records))]
    before = [repr(state) for state in states]
    ends = {repr(fold(state, records[state.seq :])) for state in states}
    assert [repr(state) for state in states] == before
    assert ends == {repr(fold(initial_state(PIPELINE), records))}

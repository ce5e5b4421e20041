"""One record ⇄ one line: what goes in comes out, and nothing else is taken for a record."""

import hashlib
import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.errors import RecordRejectedError
from eventlog.record import (
    DATA_BYTES_MAX,
    BadLineError,
    NewerFormatError,
    compose,
    decode,
    encode,
    is_name,
    oddity_of,
)
from tests.support.logs import PIPELINE, RUN, TIME, line_of, objects

seqs = st.integers(1, 10**18 - 1)
types = st.from_regex(r"[a-z][a-z0-9_]{0,9}(\.[a-z][a-z0-9_]{0,9}){1,3}", fullmatch=True)
names = st.from_regex(r"[0-9a-z][0-9a-z._-]{0,63}", fullmatch=True)


def sealed(start: bytes) -> bytes:
    """Return these bytes with the right sum behind them, as a stranger could."""
    return start + b',"sum":"' + hashlib.sha256(start).hexdigest()[:16].encode() + b'"}\n'


@given(st.data(), objects)
def test_decoding_an_encoded_record_gives_it_back(draw, data):
    seq, prev = draw.draw(seqs), draw.draw(st.binary(min_size=32, max_size=32))
    mark = draw.draw(st.integers(0, seq - 1))
    fields = {
        "seq": seq,
        "time": TIME,
        "type": draw.draw(types),
        "pipeline": draw.draw(names),
        "run": draw.draw(names),
        "data": data,
    }
    line = encode(**fields, dur=mark, prev=prev.hex())
    record = decode(line)
    assert {key: getattr(record, key) for key in fields} == fields
    assert (record.dur, record.prev, record.extra) == (mark, prev.hex(), {})
    assert record.line_sha256 == hashlib.sha256(line).hexdigest()
    assert json.loads(line)["data"] == data


@given(objects)
def test_a_composed_record_is_what_a_reader_makes_of_its_line(data):
    given_ = {"seq": 7, "time": TIME, "type": "test.happened", "pipeline": PIPELINE, "run": RUN, "dur": 5}
    record, line = compose(**given_, data={**data, "tuple": (1, [data])}, prev="ab" * 32)
    assert record == decode(line)
    assert record.data["tuple"] == [1, [data]]
    assert record.data["tuple"][1][0] is not data


@given(objects)
def test_a_line_is_one_line_that_can_not_drive_a_terminal(data):
    line = line_of(data=data)
    text = line.decode()
    assert text.splitlines(keepends=True) == [text]
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text[:-1])
    assert not set("\u200b\u200e\u200f\u2028\u2029\u202e\u2066\ufeff") & set(text)


def test_letters_of_every_script_stay_readable():
    data = {"name": "Müller Ōsaka Москва 東京 🎙"}
    assert data["name"].encode() in line_of(data=data)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        2**64,
        -(2**63) - 1,
        {1, 2},
        b"bytes",
        object(),
        "a" * DATA_BYTES_MAX,
        "\x9b" * (DATA_BYTES_MAX // 6),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_json_can_not_hold_whole_is_refused(value):
    for data in ({"a": value}, {"a": [{"b": value}]}):
        with pytest.raises(RecordRejectedError, match="not written"):
            line_of(data=data)


def test_the_largest_data_fit_and_one_byte_more_does_not():
    room = DATA_BYTES_MAX - len('{"a":""}')
    assert decode(line_of(data={"a": "x" * room})).data == {"a": "x" * room}
    with pytest.raises(RecordRejectedError, match=str(DATA_BYTES_MAX)):
        line_of(data={"a": "x" * (room + 1)})


def test_too_deep_data_are_refused_even_when_endless():
    endless: dict[str, object] = {}
    endless["self"] = endless
    with pytest.raises(RecordRejectedError, match="levels"):
        line_of(data=endless)


@pytest.mark.parametrize("data", [[], "text", None, [("a", 1)]])
def test_data_are_an_object(data):
    with pytest.raises(RecordRejectedError):
        line_of(data=data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "happened"),
        ("type", "Test.happened"),
        ("type", "test..happened"),
        ("type", "test.happened\n"),
        ("type", "a." + "b" * 63),
        ("type", 'test.x","data":{},"y":"'),
        ("type", "test.\ud800"),
        ("pipeline", ""),
        ("pipeline", "../etc"),
        ("pipeline", "A"),
        ("pipeline", "a" * 65),
        ("run", "a b"),
        ("run", "é"),
        ("time", "2026-11-23T14:02:11Z"),
        ("time", "2026-13-23T14:02:11.532108Z"),
        ("time", "2026-11-23T14:02:11.532108+00:00"),
    ],
)
def test_an_envelope_field_of_another_form_is_refused_by_name(name, value):
    with pytest.raises(RecordRejectedError, match=name):
        line_of(**{name: value})


@pytest.mark.parametrize("type_", ["a.b", "a." + "b" * 62, "b" * 62 + ".a", "a" + ".b1" * 21, "log_2.x_.y"])
def test_a_type_of_words_has_up_to_64_characters(type_):
    assert decode(line_of(type=type_)).type == type_
    with pytest.raises(RecordRejectedError):
        line_of(type=type_ + "b" * (65 - len(type_)))


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "-a", "A", "a\n", "é", "a" * 65])
def test_a_name_can_not_leave_its_folder(text):
    assert not is_name(text)


def test_any_single_changed_bit_is_noticed():
    line = line_of(data={"text": "größer", "n": 1.5})
    for bit in range(len(line) * 8):
        changed = bytearray(line)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadLineError):
            decode(bytes(changed))


@given(st.binary(max_size=600))
def test_other_bytes_are_no_record_and_raise_nothing_else(garbage):
    for line in (garbage, garbage + b"\n", sealed(garbage)):
        with pytest.raises(BadLineError):
            decode(line)


@given(objects, st.data())
def test_a_part_of_a_line_is_no_record(data, draw):
    line = line_of(data=data)
    cut = draw.draw(st.integers(1, len(line) - 1))
    for part in (line[:cut], line[cut + 1 :], line[: cut - 1] + b"\n"):
        with pytest.raises(BadLineError):
            decode(part)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":1', b'"seq":0'),
        (b'"seq":1', b'"seq":01'),
        (b'"seq":1', b'"seq": 1'),
        (b'"seq":1', b'"seq":true'),
        (b'"seq":1', b'"seq":1e0'),
        (b'"v":1', b'"v":0'),
        (b'"v":1', b'"v":1.0'),
        (b'{"v"', b'\xef\xbb\xbf{"v"'),
        (b'{"v"', b'[{"v"'),
        (b'"data":{}', b'"data":[]'),
        (b'"data":{}', b'"data":{"a":NaN}'),
        (b'"data":{}', b'"data":{"a":"\xff"}'),
        (b'"data":{}', b'"data":{"a":"\\ud800"}'),
        (b'"data":{}', b'"data":' + b'{"a":' * 2000 + b"1" + b"}" * 2000),
        (b'"data":{}', b'"data":{},"seq":2'),
        (b'"data":{}', b'"data":{},"sum":"0000000000000000"'),
        (b'"data":{}', b'"data":{}} {'),
        (b'"dur":0', b'"dur":1'),
        (b'"dur":0', b'"dur":-1'),
        (b'"prev":"0', b'"prev":"A'),
        (TIME.encode(), b"2026-11-23T25:02:11.532108Z"),
        (b"test.happened", b"happened"),
        (PIPELINE.encode(), b"../../etc"),
        (b'"run":"' + RUN.encode(), b'"run":"'),
    ],
)
def test_a_line_with_a_right_sum_and_a_wrong_field_is_no_record(old, new):
    start = line_of()[:-27]
    assert old in start
    with pytest.raises(BadLineError):
        decode(sealed(start.replace(old, new, 1)))


def test_a_record_is_equal_by_value_can_not_be_changed_and_shows_its_fields():
    record = decode(line_of(data={"a": 1}))
    assert record == decode(line_of(data={"a": 1}))
    assert record != decode(line_of(data={"a": 2}))
    assert repr(record).startswith(f"Record(seq=1, time={TIME!r}, type='test.happened', ")
    with pytest.raises(AttributeError):
        record.seq = 2
    with pytest.raises(TypeError):
        hash(record)


def test_unknown_fields_between_data_and_dur_are_kept():
    start = line_of(data={"a": 1})[:-27].replace(b',"dur"', b',"epoch":{"n":3},"dur"')
    assert decode(sealed(start)).extra == {"epoch": {"n": 3}}
    assert decode(sealed(start)).data == {"a": 1}


def test_an_intact_line_of_a_later_version_is_told_apart_from_damage():
    later = sealed(b'{"v":2,"anything":["else"]')
    with pytest.raises(NewerFormatError, match="version 2"):
        decode(later)
    with pytest.raises(BadLineError, match="checksum"):
        decode(later.replace(b"else", b"ELSE"))


def test_a_key_that_stands_twice_is_found_at_any_depth():
    twice = sealed(line_of()[:-27].replace(b'"data":{}', b'"data":{"a":[{"b":1,"b":2}]}'))
    assert decode(twice).data == {"a": [{"b": 2}]}
    assert "'b' twice" in oddity_of(twice)
    assert oddity_of(line_of(data={"a": {"a": 1}})) is None


@given(objects)
def test_two_json_readers_agree_on_every_line(data):
    line = line_of(data=data)
    assert orjson.loads(line) == json.loads(line)

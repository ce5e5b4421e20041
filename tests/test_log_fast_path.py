"""Lines that are decoded together: the same records and the same verdict as line by line, whatever is wrong.

The reference is the second verifier, which knows nothing of pieces or short cuts, and `decode` for a line's words.
"""

import hashlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.reader import UNREADABLE_HEAD, Head, Scanner, Tail, scan
from eventlog.record import LINE_BYTES_MAX, decode, decode_chain
from proofs.second_reader import UNREADABLE, judge
from tests.support.logs import GENESIS_PREV, PIPELINE, RUN, chain, line_of, objects


def sealed(start: bytes) -> bytes:
    """Return these bytes with the right sum behind them, as a stranger could."""
    return start + b',"sum":"' + hashlib.sha256(start).hexdigest()[:16].encode() + b'"}\n'


def digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def assert_as_by_reference(content: bytes, cuts: list[int], kept: Head | None) -> None:
    ends = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    records, verdict = scan([content[a:b] for a, b in itertools.pairwise(ends)], PIPELINE, kept)
    named = UNREADABLE if kept is UNREADABLE_HEAD else kept and (kept.seq, kept.sha256)
    expected = judge(content, PIPELINE, named)
    good = [line + b"\n" for line in content[: expected.offset].split(b"\n")[:-1]]
    assert records == [decode(line) for line in good]
    assert (verdict.tail.value, verdict.seq, verdict.offset) == expected
    assert verdict.head == (Head(len(good), digest(good[-1])) if good else None)


def forged(lines: list[bytes], place: int, old: bytes, new: bytes) -> list[bytes]:
    """Return a log with one line changed, and with the right sums and hashes from there on."""
    result = lines[:place]
    prev = digest(lines[place - 1])
    for n, line in enumerate(lines[place:]):
        start = line[:-27].replace(line[-92:-28], prev.encode())
        result.append(sealed(start if n else start.replace(old, new, 1)))
        prev = digest(result[-1])
    return result


DATA = [
    {},
    {"text": "größer"},
    {"type": "x", "data": {"dur": 1}},
    {"list": [1.5, None, {"a": True}]},
    {"n": "x" * 99},
]
LONG = chain([1, 2, 1, 5, 1, 1, 3] * 12, DATA)
assert len(b"".join(LONG)) > 32 * 1024, "it is decoded in more than one lot"
CRAFTED = [
    (b'"seq":80', b'"seq":080'),
    (b'"seq":80', b'"seq":81'),
    (b'"seq":80', b'"seq": 80'),
    (b'{"v":1', b' {"v":1'),
    (b'{"v":1', b'\xef\xbb\xbf{"v":1'),
    (b'"v":1', b'"v":2'),
    (b'"v":1', b'"v":1.0'),
    (b"T14:02", b"T24:02"),
    (b"test.happened", b"happened"),
    (b"test.happened", b"test." + b"a" * 60),
    (PIPELINE.encode(), PIPELINE.encode()[1:]),
    (b'"run":"' + RUN.encode(), b'"run":"_'),
    (b'"data":{', b'"data":{"a":1}{'),
    (b'"data":{', b'"data":[{'),
    (b'"data":{', b'"data":{"a":NaN,'),
    (b'"data":{', b'"data":{"a":"\xff",'),
    (b'"data":{', b'"data": {'),
    (b'"data":{', b'"data":{"a":"\x00",'),
    (b'},"dur"', b'},"epoch":{"n":3},"dur"'),
    (b'},"dur"', b'},"seq":80,"dur"'),
    (b'},"dur"', b'},"data":{},"dur"'),
    (b'},"dur"', b' \r},"dur"'),
    (b'},"dur"', b'} ,"dur"'),
    (b'"dur":', b'"dur":0'),
    (b'"dur":', b'"dur":99'),
    (b'"dur":', b'"dur":-'),
    (b'"prev":"', b'"prev":"0'),
    (b'"prev"', b'"PREV"'),
]

damages = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.integers(0, 600),
        st.sampled_from(
            [
                b"",
                b"\n",
                b"\0",
                b"\0" * 600,
                b"\r",
                b'"',
                b"1",
                b"}",
                b"x" * (LINE_BYTES_MAX + 9),
                b"\0" + b"x" * LINE_BYTES_MAX,
            ]
        )
        | st.sampled_from(LONG)
        | st.binary(max_size=3),
    ),
    max_size=3,
)
heads = st.none() | st.just(UNREADABLE_HEAD) | st.builds(Head, st.integers(1, len(LONG) + 1), st.just("0" * 64))
true_heads = st.integers(0, len(LONG) - 1).map(lambda n: Head(n + 1, digest(LONG[n])))


@given(st.integers(0, len(LONG)), damages, st.lists(st.integers(0, 1 << 20), max_size=3), heads | true_heads)
def test_damage_reads_as_by_the_letter_of_the_format(count, damage, cuts, kept):
    content = b"".join(LONG[:count])
    for place, length, put in damage:
        at = place % (len(content) + 1)
        content = content[:at] + put + content[at + length :]
    assert_as_by_reference(content, cuts, kept)


@pytest.mark.parametrize("place", [1, 79, len(LONG) - 1])
@pytest.mark.parametrize(("old", "new"), CRAFTED)
def test_a_crafted_line_in_a_right_chain_reads_as_by_the_letter_of_the_format(old, new, place):
    old, new = (part.replace(b"80", str(place + 1).encode()) for part in (old, new))
    assert old in LONG[place]
    lines = forged(LONG, place, old, new)
    assert lines != LONG
    for kept in (None, Head(place + 1, digest(lines[place]))):
        assert_as_by_reference(b"".join(lines), [], kept)


@pytest.mark.parametrize("line", [b"x" * LINE_BYTES_MAX * 2, b"\0" + b"x" * LINE_BYTES_MAX * 2])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n" + LONG[1]])
def test_a_long_line_reads_by_all_its_bytes_however_few_are_held(line, end):
    """A NUL at its beginning counts, although the beginning is forgotten."""
    content = LONG[0] + line + end
    for cuts in ([], [len(LONG[0])], list(range(0, len(content), LINE_BYTES_MAX - 7)), [len(content) - 1]):
        assert_as_by_reference(content, cuts, None)


@pytest.mark.slow
def test_random_damage_reads_as_by_the_letter_of_the_format():
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for n in range(1000):
        lines = LONG[: rng.choice([3, 20, 90, len(LONG)])]
        if rng.random() < 0.3:
            lines = forged(lines, rng.randrange(1, len(lines)), *rng.choice(CRAFTED))
        content = bytearray(b"".join(lines))
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(content))
            content[at] ^= 1 << rng.randrange(8)
        kept = rng.choice([None, Head(len(lines), digest(lines[-1]))])
        try:
            assert_as_by_reference(bytes(content), rng.choices(range(1 << 20), k=3), kept)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, case {n}") from error


@given(st.lists(objects, min_size=1, max_size=8))
def test_lines_decoded_together_are_what_they_are_one_by_one(data):
    lines = chain([1] * len(data), data)
    together = decode_chain(lines, pipeline=PIPELINE, seq=0, prev=GENESIS_PREV)
    assert together is not None or max(map(len, lines)) > 2048
    assert together in (None, [decode(line) for line in lines])


def test_a_wrong_sum_is_passed_over_only_where_the_next_line_vouches_for_its_line():
    start = LONG[40][:-27]
    wrong = start + b',"sum":"0000000000000000"}\n'
    vouched = forged([*LONG[:40], wrong, *LONG[41:]], 41, b"", b"")
    assert scan([b"".join(vouched)], PIPELINE)[1].tail is Tail.CLEAN
    for end in (vouched[:41], [*vouched[:41], LONG[41]], [*vouched[:41], b"{}\n"]):
        records, verdict = scan([b"".join(end)], PIPELINE)
        assert (len(records), verdict.tail) == (40, Tail.CORRUPT)
        assert verdict.reason.startswith("its checksum does not match")


def test_at_each_record_a_scanner_tells_how_far_it_has_come():
    scanner = Scanner(PIPELINE)
    offset = 0
    for line, record in zip(LONG, scanner.feed(b"".join(LONG)), strict=True):
        offset += len(line)
        assert (scanner.seq, scanner.offset, scanner.prev) == (record.seq, offset, digest(line))


def test_a_line_changed_behind_a_good_one_takes_no_good_one_with_it():
    """The line before it must not go unyielded because nothing vouches for it any more."""
    for n in (1, 40, len(LONG) - 1):
        changed = LONG[n].replace(b"test.happened", b"test.Happened")
        records, verdict = scan([b"".join([*LONG[:n], changed, *LONG[n + 1 :]])], PIPELINE)
        assert (len(records), verdict.tail) == (n, Tail.CORRUPT)
        assert verdict.reason.startswith("its checksum does not match")


def test_a_chain_that_does_not_follow_on_the_log_is_not_decoded():
    line = line_of()
    assert decode_chain([line], pipeline=PIPELINE, seq=0, prev=GENESIS_PREV) == [decode(line)]
    for wrong in ({"pipeline": "another"}, {"seq": 1}, {"prev": "1" * 64}):
        expected = {"pipeline": PIPELINE, "seq": 0, "prev": GENESIS_PREV, **wrong}
        assert decode_chain([line], **expected) is None

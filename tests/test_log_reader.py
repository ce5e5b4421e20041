"""Bytes → records and a verdict: prefixes, heads, and the decision table row by row. Damage: test_log_damage.py."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.reader import UNREADABLE_HEAD, Head, Scanner, Tail, scan
from eventlog.record import LINE_BYTES_MAX
from tests.support.logs import PIPELINE, chain, line_of

SMALL = chain([1, 1, 3, 1])


def judge(content: bytes, kept: Head | None = None):
    records, verdict = scan([content], PIPELINE, kept)
    return len(records), verdict


def head_of(lines: list[bytes]) -> Head:
    return Head(len(lines), hashlib.sha256(lines[-1]).hexdigest())


@given(st.lists(st.integers(1, 4), max_size=4), st.data())
def test_every_prefix_of_a_log_reads_as_a_prefix_of_its_records(batches, draw):
    lines = chain(batches)
    whole = b"".join(lines)
    cut = draw.draw(st.integers(0, len(whole)))
    records, verdict = scan([whole[:cut]], PIPELINE)
    ends = [len(b"".join(lines[:n])) for n in range(len(lines) + 1)]
    assert [record.line_sha256 for record in records] == [
        hashlib.sha256(line).hexdigest() for line in lines[: sum(end <= cut for end in ends[1:])]
    ]
    assert verdict.offset == max(end for end in ends if end <= cut)
    expected = {True: Tail.CLEAN}.get(cut in ends, Tail.UNTERMINATED if cut + 1 in ends else Tail.TORN)
    assert verdict.tail is expected


LAST = SMALL[-1]
BEFORE = b"".join(SMALL[:-1])
DUE = len(SMALL)
HOLE = b"\0" * 512
LATER = line_of(seq=DUE + 1, dur=DUE, prev="1" * 64)
SAME_BATCH = line_of(seq=DUE + 1, dur=DUE - 1, prev="1" * 64)
V2 = b'{"v":2,"x":1'
V2 += b',"sum":"' + hashlib.sha256(V2).hexdigest()[:16].encode() + b'"}\n'
OTHER_HEAD = Head(DUE, "0" * 64)
ROWS = [
    ("clean", LAST, None, Tail.CLEAN),
    ("clean", LAST, head_of(SMALL[:2]), Tail.CLEAN),
    ("clean", LAST, head_of(SMALL), Tail.CLEAN),
    ("lost end", b"", head_of(SMALL), Tail.CORRUPT),
    ("lost end", LAST, Head(DUE + 1, "0" * 64), Tail.CORRUPT),
    ("lost end", LAST, UNREADABLE_HEAD, Tail.CORRUPT),
    ("replaced", LAST, OTHER_HEAD, Tail.CORRUPT),
    ("replaced", LAST, Head(1, "0" * 64), Tail.CORRUPT),
    ("newer", V2, None, Tail.NEWER),
    ("newer", V2[:-1], None, Tail.NEWER),
    ("newer", V2[:-1] + b"x", None, Tail.NEWER),
    ("newer", V2 + b"\0" * 9 + LATER, None, Tail.NEWER),
    ("vouched", HOLE + LATER, None, Tail.CORRUPT),
    ("vouched", HOLE + b"\n" + LATER, None, Tail.CORRUPT),
    ("vouched", LAST[:99] + HOLE + b"..\n" + LATER, None, Tail.CORRUPT),
    ("vouched", HOLE + b"\n" + SAME_BATCH + LATER, None, Tail.CORRUPT),
    ("vouched", HOLE + LATER[:-1], None, Tail.CORRUPT),
    ("vouched", HOLE * 999 + LATER, None, Tail.CORRUPT),
    ("no newline", LAST[:-1], None, Tail.UNTERMINATED),
    ("no newline", LAST[:-1], head_of(SMALL), Tail.UNTERMINATED),
    ("kept", LAST[:-1], Head(DUE + 1, "0" * 64), Tail.CORRUPT),
    ("kept", LAST[:-1], OTHER_HEAD, Tail.CORRUPT),
    ("kept", LAST[:-1], UNREADABLE_HEAD, Tail.CORRUPT),
    ("kept", LAST[:50], head_of(SMALL), Tail.CORRUPT),
    ("kept", HOLE, head_of(SMALL), Tail.CORRUPT),
    ("kept", LAST[:50], UNREADABLE_HEAD, Tail.CORRUPT),
    ("shape", LAST[:-1] + b"x", None, Tail.CORRUPT),
    ("shape", LAST[:-1] + b"\x0b", None, Tail.CORRUPT),
    ("shape", LAST[:50] + b"\n", None, Tail.CORRUPT),
    ("shape", b"\n", None, Tail.CORRUPT),
    ("shape", LAST[:50] + b"\r" + LAST, None, Tail.CORRUPT),
    ("shape", SAME_BATCH, None, Tail.CORRUPT),
    ("shape", LAST[:50] + b"\n" + HOLE, None, Tail.CORRUPT),
    ("shape", b"x" * (LINE_BYTES_MAX + 1), None, Tail.CORRUPT),
    ("shape", b"x" * (LINE_BYTES_MAX + 1) + b"\n", None, Tail.CORRUPT),
    ("hole", HOLE, None, Tail.TORN),
    ("hole", HOLE * 9999, None, Tail.TORN),
    ("hole", HOLE + b"\n" + SAME_BATCH, None, Tail.TORN),
    ("hole", LAST[:90] + HOLE + SAME_BATCH, None, Tail.TORN),
    ("hole", LAST[:-1] + b"\0", None, Tail.TORN),
    ("hole", b"x" * LINE_BYTES_MAX + HOLE * 999 + b"\n", None, Tail.TORN),
    ("hole", HOLE, head_of(SMALL[:-1]), Tail.TORN),
    ("cut short", LAST[:1], None, Tail.TORN),
    ("cut short", LAST[:-2], None, Tail.TORN),
    ("shape", LAST[:50] + b"\r" + LAST[:-2], None, Tail.CORRUPT),
    ("shape", line_of(seq=DUE + 7)[:-1], None, Tail.CORRUPT),
    ("shape", line_of(seq=DUE + 7)[:-1] + b"x", None, Tail.CORRUPT),
    ("newer", LAST[:50] + b"\n" + V2, None, Tail.NEWER),
    ("newer", HOLE + V2[:-1], None, Tail.NEWER),
    ("vouched", HOLE + b"\n" + LATER[:-1] + b"x", None, Tail.CORRUPT),
    ("cut short", LAST[:-2], head_of(SMALL[:-1]), Tail.TORN),
]


@pytest.mark.parametrize(("row", "end", "kept", "tail"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_each_row_of_the_decision_table(row, end, kept, tail):
    count, verdict = judge(BEFORE + end, kept)
    assert verdict.tail is tail
    assert bool(verdict.reason) == (tail is not Tail.CLEAN)
    if row != "replaced":
        assert count == DUE - (0 if end.startswith(LAST) else 1)
        assert verdict.offset == len(BEFORE) + (len(LAST) if end.startswith(LAST) else 0)


def test_an_empty_log_is_clean_and_has_no_head():
    count, verdict = judge(b"")
    assert (count, verdict.tail, verdict.seq, verdict.offset, verdict.head) == (0, Tail.CLEAN, 0, 0, None)


def test_a_verdict_names_the_last_good_record():
    verdict = judge(BEFORE + LAST[:9])[1]
    assert (verdict.seq, verdict.head) == (DUE - 1, head_of(SMALL[:-1]))


def test_a_scanner_goes_on_where_another_stopped():
    first = Scanner(PIPELINE)
    list(first.feed(BEFORE))
    second = Scanner(PIPELINE, seq=first.seq, offset=first.offset, prev=first.prev)
    assert [record.seq for record in second.feed(LAST)] == [DUE]
    assert second.verdict().tail is Tail.CLEAN


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b'{"seq":0,"sha256":"%064d"}\n' % 0,
        b'{"seq":1,"sha256":"0"}\n',
        b"\xff",
        head_of(SMALL).to_bytes()[:-1],
    ],
)
def test_a_head_file_is_understood_exactly_or_not_at_all(content):
    assert Head.from_bytes(content) is UNREADABLE_HEAD
    assert Head.from_bytes(head_of(SMALL).to_bytes()) == head_of(SMALL)


def test_no_flipped_bit_of_a_head_file_hides_a_lost_end():
    content = head_of(SMALL).to_bytes()
    for bit in range(len(content) * 8):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        assert judge(b"".join(SMALL[:2]), Head.from_bytes(bytes(changed)))[1].tail is Tail.CORRUPT, bit

"""Bytes → records and a verdict: prefixes, changed bytes, and the decision table row by row."""

import hashlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.reader import UNREADABLE_HEAD, Head, Scanner, Tail, scan
from eventlog.record import LINE_BYTES_MAX, decode
from tests.support.logs import PIPELINE, chain, line_of

SMALL = chain([1, 1, 3, 1])
SEALED = [
    *chain([1, 2]),
    line_of(seq=4, type="log.sealed", dur=3, prev=decode(chain([1, 2])[-1]).line_sha256),
]


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


@given(
    st.lists(
        st.sampled_from([*SMALL, b"\0" * 700, b"x", b"\n", SMALL[0][:-1], b"y" * (LINE_BYTES_MAX + 1)]), max_size=8
    ),
    st.lists(st.integers(1, 3 * LINE_BYTES_MAX), max_size=6),
)
def test_how_a_log_is_cut_into_pieces_changes_nothing(parts, cuts):
    whole = b"".join(parts)
    ends = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    pieces = [whole[a:b] for a, b in itertools.pairwise(ends)]
    assert scan(pieces, PIPELINE) == scan([whole], PIPELINE)


@pytest.mark.parametrize("lines", [chain([1, 2]), SEALED], ids=["unsealed", "sealed"])
def test_no_flipped_bit_goes_unnoticed(lines):
    """Every one-bit change reads as damage, with only true records before it.

    Where a flip makes the last batch look unfinished (it wrote a NUL), that is reported as torn, never clean.
    """
    whole = b"".join(lines)
    truth = [hashlib.sha256(line).hexdigest() for line in lines]
    torn = 0
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        records, verdict = scan([bytes(changed)], PIPELINE)
        assert [record.line_sha256 for record in records] == truth[: len(records)], bit
        assert verdict.offset <= bit // 8, bit
        assert verdict.tail in (Tail.CORRUPT, Tail.TORN), bit
        if verdict.tail is Tail.TORN:
            torn += 1
            assert bytes(changed)[bit // 8] == 0, bit
        kept_records, kept_verdict = scan([bytes(changed)], PIPELINE, head_of(lines))
        assert (len(kept_records), kept_verdict.tail) == (len(records), Tail.CORRUPT), bit
    assert torn < 50


@pytest.mark.slow
def test_no_byte_changed_to_any_other_goes_unnoticed():
    whole = b"".join(chain([1, 1]))
    for place in range(len(whole)):
        for value in range(256):
            if value != whole[place]:
                records, verdict = scan([whole[:place] + bytes([value]) + whole[place + 1 :]], PIPELINE)
                assert verdict.tail in (Tail.CORRUPT, Tail.TORN), (place, value)
                assert verdict.tail is Tail.CORRUPT or value == 0, (place, value)
                assert verdict.offset <= place
                assert len(records) <= 1


@pytest.mark.parametrize("end", [b"\r\n", b"\n\n"])
def test_a_log_that_an_editor_saved_again_is_corrupt(end):
    whole = b"".join(SMALL).replace(b"\n", end)
    assert judge(whole)[1].tail is Tail.CORRUPT
    assert judge(b"\xef\xbb\xbf" + b"".join(SMALL))[1].tail is Tail.CORRUPT


def test_deleted_doubled_and_swapped_lines_are_corrupt_but_a_missing_end_needs_a_head():
    for n in range(len(SMALL) - 1):
        without = SMALL[:n] + SMALL[n + 1 :]
        doubled = [*SMALL[: n + 1], *SMALL[n:]]
        swapped = [*SMALL[:n], SMALL[n + 1], SMALL[n], *SMALL[n + 2 :]]
        for lines in (without, doubled, swapped):
            count, verdict = judge(b"".join(lines))
            assert verdict.tail is Tail.CORRUPT
            assert count <= n + 1
    assert judge(b"".join(SMALL[:-1]))[1].tail is Tail.CLEAN
    assert judge(b"".join(SMALL[:-1]), head_of(SMALL))[1].tail is Tail.CORRUPT


def test_a_line_of_the_same_number_from_another_log_is_corrupt():
    other = chain([1, 1, 3, 1], [{"text": "other"}])
    for n in range(1, len(SMALL)):
        assert judge(b"".join([*SMALL[:n], other[n], *SMALL[n + 1 :]]))[1].tail is Tail.CORRUPT
    assert judge(line_of(pipeline="another"))[1].tail is Tail.CORRUPT


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


def test_a_line_of_a_gigabyte_is_never_held():
    scanner = Scanner(PIPELINE)
    piece = b"x" * (1 << 20)
    for _ in range(100):
        assert list(scanner.feed(piece)) == []
        assert len(scanner._rest) <= LINE_BYTES_MAX
    assert scanner.verdict().tail is Tail.CORRUPT


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


@pytest.mark.slow
def test_random_damage_never_gives_a_false_record():
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    truth = [hashlib.sha256(line).hexdigest() for line in SMALL]
    whole = b"".join(SMALL)
    for _ in range(20_000):
        a, b = sorted(rng.randrange(len(whole) + 1) for _ in range(2))
        c, d = sorted(rng.randrange(len(whole) + 1) for _ in range(2))
        damaged = whole[:a] + rng.choice([whole[c:d], bytes(b - a), rng.randbytes(b - a), b""]) + whole[b:]
        records, verdict = scan([damaged], PIPELINE, head_of(SMALL))
        assert [record.line_sha256 for record in records] == truth[: len(records)], f"seed {seed}"
        assert damaged == whole or verdict.tail in (Tail.CORRUPT, Tail.UNTERMINATED), f"seed {seed}"

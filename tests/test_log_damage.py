"""Damaged bytes: every listed damage and some random ones; `python -m proofs.damage` does many more of these."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from eventlog.reader import Tail, scan
from proofs import corpus, damage
from proofs.damage import HARMLESS, LOST_END, NEWLINE, REFUSED, TORN, TORN_EARLIER, UNCHANGED, judge_all

LOGS = corpus.logs()
SEVERAL = [log for log in LOGS if len(log.lines) > 1]


def outcomes(kind: str, store_every: int = 10) -> Counter[str]:
    """Judge every case of a kind; return how many ended in which way."""
    counts = judge_all(corpus.damaged(kind), store_every=store_every).counts
    return Counter({name.removeprefix(f"{kind}: "): n for name, n in counts.items() if name.startswith(kind)})


def test_the_logs_are_of_every_sort() -> None:
    ends = {(log.lines[-1].count(b"log.sealed"), log.head is not None) for log in LOGS}
    assert ends == {(0, False), (0, True), (1, True), (1, False)}
    assert {len(set(log.durable)) == len(log.lines) for log in SEVERAL} == {True, False}
    batches = [
        sum(len(line) for line, mark in zip(log.lines, log.durable, strict=True) if mark == log.durable[-1])
        for log in LOGS
    ]
    assert max(batches) > 2 * corpus.SECTOR_BYTES
    assert min(batches) < corpus.SECTOR_BYTES
    assert any(not log.content.isascii() for log in LOGS)


def test_a_log_cut_off_at_any_byte_reads_as_its_records_before_the_cut() -> None:
    found = outcomes("cut", store_every=100)
    assert found.keys() == {REFUSED, LOST_END, TORN, TORN_EARLIER, NEWLINE}
    assert found[NEWLINE] == len(LOGS)
    assert found.total() == sum(len(log.content) for log in LOGS)


def test_lines_that_are_doubled_deleted_swapped_moved_or_joined_are_refused() -> None:
    found = outcomes("surgery")
    assert found.keys() == {REFUSED, UNCHANGED, NEWLINE, LOST_END, TORN}
    # What else there is concerns the last line alone: it is deleted, cut in the middle, or loses its newline.
    bare = [log for log in LOGS if log.head != log.full_head]
    assert (found[NEWLINE], found[LOST_END], found[TORN]) == (len(LOGS), len(bare), len(bare))


def test_lines_of_another_log_are_refused() -> None:
    assert outcomes("splice").keys() == {REFUSED}


@pytest.mark.parametrize("log", SEVERAL, ids=lambda log: log.name)
def test_another_first_line_is_given_away_by_the_second(log: corpus.Log) -> None:
    records, verdict = scan([log.twin[0], *log.lines[1:]], corpus.PIPELINE, log.head)
    assert [record.line_sha256 for record in records] == [records[0].line_sha256]
    assert verdict.tail is Tail.CORRUPT


def test_a_log_that_an_editor_saved_is_refused_or_set_aside_but_never_believed() -> None:
    found = outcomes("editor")
    assert found.keys() == {REFUSED, NEWLINE, HARMLESS, TORN, TORN_EARLIER}
    assert found[NEWLINE] == len(LOGS)


def test_zeroed_swapped_and_stale_sectors_are_never_believed() -> None:
    assert outcomes("sector").keys() == {REFUSED, TORN, TORN_EARLIER}


def test_nuls_behind_a_log_are_cut_off_and_nuls_within_it_refused_unless_in_the_newest_batch() -> None:
    found = outcomes("NULs")
    assert found.keys() == {REFUSED, TORN, TORN_EARLIER, HARMLESS}
    assert found[HARMLESS] == len(LOGS) * len(corpus.NULS)


@pytest.mark.slow
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.heavy)])
def test_no_flipped_bit_is_silent_or_gives_a_false_record(every: int) -> None:
    """Every fifth bit is one of each byte and each place in it, and others each time."""
    cases = itertools.islice(corpus.damaged("flip"), random.randrange(every), None, every)
    found = judge_all(cases, store_every=500).counts
    flips = {name: n for name, n in found.items() if name.startswith("flip")}
    assert flips.keys() <= {f"flip: {REFUSED}", f"flip: {TORN}"}
    assert sum(flips.values()) * every > 80_000
    assert found[f"flip: {TORN}"] < 10, "only a bit that makes a NUL in the newest batch reads as torn"
    assert every > 1 or len(flips) == 2


@pytest.mark.slow
def test_no_byte_changed_to_any_other_is_silent_or_gives_a_false_record() -> None:
    found = judge_all(
        itertools.islice(corpus.other_values(random.randrange(2**32)), 20_000), store_every=500
    ).counts
    assert {name for name in found if name.startswith(corpus.VALUE)} <= {f"value: {REFUSED}", f"value: {TORN}"}
    # One in 256 is a NUL, about half of them in the newest batch.
    assert 0 < found[f"value: {TORN}"] < 100


@pytest.mark.slow
def test_no_random_damage_of_a_random_log_is_silent_or_gives_a_false_record() -> None:
    seed = random.randrange(2**32)
    assert judge_all(corpus.random_case(seed, number) for number in range(10_000)).counts.total() > 10_000


@pytest.mark.slow
def test_the_proof_shares_its_cases_among_processes_and_counts_each_once() -> None:
    alone, shared = (damage.prove(corruptions=3000, processes=n, seed=1).counts for n in (1, 2))
    assert {name: n for name, n in alone.items() if "store" not in name} == {
        name: n for name, n in shared.items() if "store" not in name
    }

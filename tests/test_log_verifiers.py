"""Verifiers that share no code agree; `python -m proofs.verifiers` asks them far more."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from eventlog.reader import Head, scan
from proofs import verifiers
from proofs.report import BrokenPromiseError

pytestmark = pytest.mark.slow
Answer = tuple[str, int, int]


def ours(content: bytes, pipeline: str, head: tuple[int, str] | None) -> Answer:
    verdict = scan([content], pipeline, Head(*head) if head else None)[1]
    return verdict.tail.value, verdict.seq, verdict.offset


def blind_to_heads(content: bytes, pipeline: str, head: tuple[int, str] | None) -> Answer:
    return ours(content, pipeline, None)


def blind_to_nuls(content: bytes, pipeline: str, head: tuple[int, str] | None) -> Answer:
    return ours(content.rstrip(b"\0"), pipeline, head)


def blind_to_names(content: bytes, pipeline: str, head: tuple[int, str] | None) -> Answer:
    found = re.search(rb'"pipeline":"([a-z0-9]*)"', content)
    return ours(content, found[1].decode() if found else pipeline, head)


def test_the_second_verifier_and_the_shells_agree_with_ours() -> None:
    judge = pytest.importorskip("proofs.second_reader").judge
    counts = verifiers.compare(judge, corruptions=2_000, shells=12, seed=random.randrange(2**32)).counts
    assert {name for name in counts if "shell" not in name} == {
        f"agreed on {verdict}" for verdict in ("clean", "unterminated", "torn", "corrupt", "newer")
    }


@pytest.mark.parametrize(
    "judge",
    [
        blind_to_heads,
        pytest.param(blind_to_nuls, marks=pytest.mark.heavy),
        pytest.param(blind_to_names, marks=pytest.mark.heavy),
    ],
)
def test_a_verifier_that_overlooks_something_is_found_and_the_bytes_are_kept(judge: verifiers.Judge) -> None:
    with pytest.raises(BrokenPromiseError, match="ours says") as broken:
        verifiers.compare(judge, 0, 7, corruptions=7000, shells=0, seed=0)
    kept = re.search(r"Its bytes: (\S+)", str(broken.value))
    assert kept is not None
    assert Path(kept[1]).stat().st_size > 0
    Path(kept[1]).unlink()


def test_the_shells_verifier_is_asked_about_each_kind_of_damage() -> None:
    counts = verifiers.compare(ours, 0, 7, corruptions=7000, shells=7 * 24, seed=0).counts
    assert counts["the shell agreed on a damaged log"] >= 2
    assert counts["the shell agreed on a whole log"] >= 1

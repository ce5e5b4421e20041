"""Logs written by each released format: readable for ever, and folded to what their own release made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eventlog.reader import Tail, scan
from projections.fold import fold, initial_state
from projections.summary import state_as_json

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/*.jsonl"))


@pytest.mark.parametrize("log", GOLDEN, ids=lambda log: log.parent.name)
def test_a_log_of_an_earlier_release_gives_every_value_that_its_own_release_gave(log: Path) -> None:
    """A later release may know more fields, but not other values of those that there were."""
    records, verdict = scan([log.read_bytes()], log.stem)
    assert verdict.tail is Tail.CLEAN
    now = json.loads(json.dumps(state_as_json(fold(initial_state(log.stem), records))))
    require_same(json.loads((log.parent / "state.json").read_text()), now, "state")


def test_there_is_a_log_of_the_first_release() -> None:
    assert GOLDEN


def require_same(then: Any, now: Any, where: str) -> None:
    if isinstance(then, dict):
        for name, value in then.items():
            assert name in now, f"{where}.{name} is gone"
            require_same(value, now[name], f"{where}.{name}")
    elif isinstance(then, list):
        assert len(then) == len(now), where
        for number, (before, after) in enumerate(zip(then, now, strict=True)):
            require_same(before, after, f"{where}[{number}]")
    else:
        assert then == now, where

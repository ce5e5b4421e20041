"""What a list shows of its pipelines, in which order, page by page: beside a naive way of saying the same."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.choosing import FAMILIES, SORTS, Cursor, CursorError, Wanted, page, read_cursor
from pipeline.listing.listing import Row

TIMES = ["", "2026-11-01T00:00:00.000000Z", "2026-11-02T00:00:00.000000Z", "2026-11-03T00:00:00.000000Z"]
NAMES = [None, "Talk.wav", "straße.mp3", "STRASSE 2.mp3", {"bytes_hex": "ff"}]
ORDERS = [FAMILIES, *SORTS, *(f"-{key}" for key in SORTS)]

rows_of_one = st.builds(
    Row,
    pipeline=st.sampled_from([f"{base}{end}" for base in ("aa11", "bb22", "cc33") for end in ("", ".2", ".10")]),
    status=st.sampled_from(["completed", "failed", "new"]),
    completed=st.just(0),
    created_at=st.sampled_from(TIMES),
    updated_at=st.sampled_from(TIMES),
    name=st.sampled_from(NAMES),
    also=st.none() | st.lists(st.sampled_from(NAMES[1:]), min_size=1, max_size=2),
    duration_s=st.none() | st.sampled_from([1.0, 2.5]),
    stages=st.sampled_from(["", "merge", "diarization transcription"]),
    providers=st.sampled_from(["", "builtin", "builtin\nwhisper", "script:Demo"]),
    cost=st.none() | st.sampled_from(["EUR 0000000000001.000000", "USD 0000000000000.500000"]),
    has_people=st.booleans(),
)
ENGINES = {
    "": {},
    "builtin": {"builtin"},
    "builtin\nwhisper": {"builtin", "whisper"},
    "script:Demo": {"script", "script:demo"},
}
"""By which words each is found."""
homes = st.lists(rows_of_one, max_size=9, unique_by=lambda row: row.pipeline)


@given(
    homes,
    st.frozensets(st.sampled_from(["completed", "failed"])),
    st.sampled_from(TIMES),
    st.frozensets(st.sampled_from(["merge", "transcription"])),
    st.frozensets(st.sampled_from(["Whisper", "builtin", "script", "script:demo", "script:", "demo"])),
    st.sampled_from(["", "talk", "strasse", "ß", "\\xff"]),
)
def test_a_pipeline_is_shown_if_all_that_is_asked_for_holds(
    home: list[Row],
    statuses: frozenset[str],
    since: str,
    stages: frozenset[str],
    providers: frozenset[str],
    text: str,
) -> None:
    wanted = Wanted(statuses, since, stages, providers, text)
    for row in home:
        holds = [
            row.status in statuses or not statuses,
            since == "" or TIMES.index(row.updated_at) >= TIMES.index(since),
            not stages or any(stage in row.stages for stage in stages),
            not providers or any(provider.lower() in ENGINES[row.providers] for provider in providers),
            text == "" or any(_has(name, text) for name in [row.name, *(row.also or [])]),
        ]
        assert wanted.holds(row) == all(holds)


def _has(name: Any, text: str) -> bool:
    shown = "\\xff" if isinstance(name, dict) else name or "?"
    return text.replace("ß", "ss") in shown.lower().replace("ß", "ss")


@given(homes, st.sampled_from(ORDERS))
def test_an_order_is_that_of_its_values_with_the_unknown_last_and_equals_by_id(home: list[Row], order: str) -> None:
    """Said pair by pair, as nobody would sort."""
    newest = {
        row.pipeline[:4]: max(r.updated_at for r in home if r.pipeline[:4] == row.pipeline[:4]) for row in home
    }

    def value(row: Row) -> Any:
        if order == FAMILIES:
            return newest[row.pipeline[:4]]
        name = {
            "\\xff": "\\xff",
            "Talk.wav": "talk.wav",
            "straße.mp3": "strasse.mp3",
            "STRASSE 2.mp3": "strasse 2.mp3",
        }
        key = order.removeprefix("-")
        shown = "\\xff" if isinstance(row.name, dict) else row.name
        found = {"created": row.created_at, "updated": row.updated_at, "duration": row.duration_s, "cost": row.cost}
        return ({**found, "name": shown and name[shown]})[key] or None

    def number(row: Row) -> tuple[str, int]:
        return row.pipeline[:4], int(row.pipeline[5:] or 1)

    def compare(one: Row, other: Row) -> int:
        first, second = value(one), value(other)
        if first == second:
            return -1 if number(one) < number(other) else 1
        if first is None or second is None:
            return 1 if first is None else -1
        return -1 if (first < second) != (order == FAMILIES or order[0] == "-") else 1

    assert page(home, order).rows == sorted(home, key=cmp_to_key(compare))


@given(homes, homes, st.sampled_from(ORDERS), st.integers(1, 3))
def test_page_by_page_each_pipeline_is_shown_once_also_when_new_ones_appear(
    home: list[Row], more: list[Row], order: str, limit: int
) -> None:
    """A new family; a new member would make its family newer, and so move it to the beginning."""
    late = [row._replace(pipeline=f"dd{row.pipeline[2:]}") for row in more]
    shown: list[Row] = []
    after: Cursor | None = None
    while True:
        found = page([*home, *(late if after else [])], order, after, limit)
        assert len(found.rows) <= limit
        shown += found.rows
        if found.next is None:
            break
        after = read_cursor(found.next.written())
        assert after == found.next
    assert [row for row in shown if row.pipeline[:2] != "dd"] == page(home, order).rows
    assert len({row.pipeline for row in shown}) == len(shown)


@pytest.mark.parametrize("limit", [3, 4])
def test_the_last_page_has_no_next(limit: int) -> None:
    rows = [Row(f"aa{n}", "new", 0, "", "", None, None, None, "", "", None, False) for n in range(3)]
    assert page(rows, limit=limit).next is None


@given(st.text() | st.binary().map(lambda raw: __import__("base64").urlsafe_b64encode(raw).decode()))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        read_cursor(text)


@pytest.mark.parametrize(
    "values", [("name", 7, "a"), ("size", "x", "a"), ("name", "x", 7), ("name", "x"), (7, "x", "a")]
)
def test_a_cursor_of_wrong_values_is_refused(values: tuple[Any, ...]) -> None:
    import base64

    import orjson

    with pytest.raises(CursorError):
        read_cursor(base64.urlsafe_b64encode(orjson.dumps(values)).decode())

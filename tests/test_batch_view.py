"""The view of a batch: what a recording is doing is seen on any terminal, however long its name is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.batching.view import Row, cells


@given(st.text(min_size=1, max_size=120), st.integers(min_value=40, max_value=100))
def test_a_long_name_is_shortened_and_what_is_done_stays_in_sight(name: str, width: int) -> None:
    row = Row(lambda text, always: None, name)
    row.stages = {"transcription": "transcription 40 %"}
    shown = row.shown(width)
    assert shown.endswith("  transcription 40 %")
    assert cells(shown) <= width
    if cells(row.name) <= width - 20:
        assert shown.startswith(row.name)

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.voices.windows import RUN, windows


@given(st.integers(1, 60), st.integers(RUN, 400))
def test_a_selection_of_a_long_recording_is_even_and_keeps_neighbours_together(minutes: int, most: int) -> None:
    every = windows([(0, minutes * 6000)])
    chosen = every.thinned(most)
    assert len(chosen.steps) <= max(most, RUN)
    if len(every.steps) <= most:
        assert np.array_equal(chosen.steps, every.steps)
        return
    follows = chosen.steps[1:, 0] == chosen.steps[:-1, 1]
    assert follows.mean() > 0.9, "eleven of twelve follow the one before"
    assert (np.diff(chosen.steps[:, 0]) > 0).all()
    if most >= 2 * RUN:
        assert chosen.steps[-1, 1] == every.steps[-1, 1], "the end is looked at too"

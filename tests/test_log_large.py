"""Reading holds a line at a time, however long a log is."""

import pytest

from proofs import large


@pytest.mark.slow
def test_reading_commands_add_little_memory_for_a_log_of_many_records():
    tally = large.prove(megabytes=24, seed=1)
    assert tally.counts["records"] > 50_000

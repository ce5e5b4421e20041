"""Reading holds a line at a time, however long a log is."""

import pytest

from proofs import large


@pytest.mark.slow
@pytest.mark.parametrize("readers", [("validate", "replay"), pytest.param(large.READERS, marks=pytest.mark.heavy)])
def test_reading_commands_add_little_memory_for_a_log_of_many_records(readers):
    """Two of them stand for those that only check a log, and those that fold it."""
    tally = large.prove(megabytes=24, seed=1, readers=readers)
    assert tally.counts["records"] > 50_000

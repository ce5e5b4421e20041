"""What every test shares: Hypothesis profiles, where files are written, and a command line of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from tests.support.cli import Evt
from tests.support.folders import MEMORY

# A shell without job control lets its background ignore Ctrl-C, and the programs that we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
ON_DISK = ("test_log_", "test_cli_salvage", "test_cli_selftest")
"""Files whose tests are about what is durable."""

# No deadlines: how long an example takes says more about the machine than about the code.
settings.register_profile("default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=15)
settings.register_profile("nightly", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own: on the disk, if the disk is what the test is about."""
    if request.node.path.name.startswith(ON_DISK):
        with TemporaryDirectory(prefix="evt-test-") as folder:
            yield Path(folder)
    else:
        yield tmp_path


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    """The real command line, with an empty home."""
    return Evt(tmp_path)

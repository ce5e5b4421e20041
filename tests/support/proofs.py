"""What `make test` leaves to `make proofs`."""

from __future__ import annotations

from typing import Any

import pytest


def rarely(*values: object) -> list[Any]:
    """Return parameters of a test that are tried in `make proofs` alone."""
    return [pytest.param(value, marks=pytest.mark.heavy) for value in values]

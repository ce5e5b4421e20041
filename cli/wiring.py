"""Puts the parts together as the user's settings say; the parts themselves: `pipeline.wiring`."""

from __future__ import annotations

from cli.settings import Settings
from pipeline.wiring import identity, make_providers, new_run_id, open_store, shop_of
from pipeline.workshop import Workshop

__all__ = ["identity", "make_providers", "new_run_id", "open_store", "shop_of", "workshop_of"]


def workshop_of(settings: Settings, *, unsafe_fs: bool = False) -> Workshop:
    """Return everything that a run with these settings needs, for real.

    Raises:
        ServicesFileError: the home's file of prices and models can't be understood.
    """
    return shop_of(settings.home, settings.limits, settings.access, unsafe_fs=unsafe_fs)

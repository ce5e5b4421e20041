"""Puts the parts together as the user's settings say; the parts themselves: `pipeline.wiring`."""

from __future__ import annotations

from collections.abc import Mapping

from cli.diagnostics import hide
from cli.settings.settings import Settings
from pipeline import wiring
from pipeline.home import Home
from pipeline.pools import Pools
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Access
from pipeline.wiring import identity, new_run_id, open_store, settle_home
from pipeline.workshop import Workshop
from projections.limits import Limits

__all__ = ["identity", "make_providers", "new_run_id", "open_store", "settle_home", "shop_of", "workshop_of"]


def workshop_of(settings: Settings, *, unsafe_fs: bool = False) -> Workshop:
    """Return everything that a run with these settings needs, for real.

    Raises:
        ServicesFileError: the home's file of prices and models can't be understood.
    """
    return shop_of(settings.home, settings.limits, settings.access, unsafe_fs=unsafe_fs, offline=settings.offline)


def shop_of(
    home: Home,
    limits: Limits,
    access: Mapping[str, Access],
    *,
    unsafe_fs: bool = False,
    offline: str = "",
    pools: Pools | None = None,
) -> Workshop:
    """Return what `pipeline.wiring.shop_of` does; the keys stay out of the diagnostics."""
    hide(item.key for item in access.values() if item.key)
    return wiring.shop_of(home, limits, access, unsafe_fs=unsafe_fs, offline=offline, pools=pools)


def make_providers(home: Home, access: Mapping[str, Access], offline: str = "") -> Providers:
    """Return what `pipeline.wiring.make_providers` does; the keys stay out of the diagnostics."""
    hide(item.key for item in access.values() if item.key)
    return wiring.make_providers(home, access, offline)

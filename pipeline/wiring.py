"""Puts the parts together: the one place that knows the real clock, disk, user and machine."""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from eventlog.store import Store
from pipeline.calls.ledger import Ledger
from pipeline.calls.pacing import Pace
from pipeline.home import Home
from pipeline.pools import REMOTE_SIZE, Pools
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Access
from pipeline.providers.services import load_services
from pipeline.workshop import Identity, Workshop
from projections.limits import Limits

if TYPE_CHECKING:
    from pipeline.upkeep.cleanup import Done

_DECIDING_PACKAGES = (
    *("av", "ctranslate2", "faster-whisper", "numpy", "pocketsphinx", "pyannote.audio", "pydub"),
    *("soundfile", "soxr", "torch", "webrtcvad-wheels"),
)
"""Packages whose versions may change a result; recorded with each run."""
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def open_store(home: Home, *, unsafe_fs: bool = False) -> Store:
    """Return the logs of a home."""
    return Store(str(home.logs), unsafe_fs=unsafe_fs)


def settle_home(home: Home, store: Store, tell: Callable[[list[Done]], None] = lambda done: None) -> None:
    """Finish, or undo, what was cut short in this home: an import, a purge.

    Args:
        home: the folder.
        store: its logs.
        tell: is told what went of purges.

    Raises:
        LogError: the disk failed; the next command goes on.
    """
    if home.importing.is_dir():
        from pipeline.bundles.importing import Importing

        Importing(home, store, identity().user, new_run_id).settle()
    if home.purging.is_dir():
        from pipeline.upkeep.purging import settle_purges

        tell(settle_purges(home, store))


def shop_of(
    home: Home,
    limits: Limits,
    access: Mapping[str, Access],
    *,
    unsafe_fs: bool = False,
    offline: str = "",
    pools: Pools | None = None,
) -> Workshop:
    """Return everything that a run needs in this home, for real; how much is done at once depends on the limits.

    Raises:
        ServicesFileError: the home's file of prices and models can't be understood.
    """
    providers = make_providers(home, access, offline)
    remote = max(REMOTE_SIZE, limits.jobs or 0, *(item.concurrency or 0 for item in access.values()))
    return Workshop(
        home=home,
        store=open_store(home, unsafe_fs=unsafe_fs),
        providers=providers,
        identity=identity(),
        clock_s=time.monotonic,
        new_run_id=new_run_id,
        stop=threading.Event(),
        ledger=Ledger(limits, providers.services.rates, time.monotonic),
        pace=Pace(home.pace, time.time),
        per_minute={name: item.requests_per_minute for name, item in access.items() if item.requests_per_minute},
        pools=pools or Pools(remote=remote),
        today=datetime.now(UTC).date().isoformat(),
    )


def make_providers(home: Home, access: Mapping[str, Access], offline: str = "") -> Providers:
    """Return the providers as this home has them; `offline` says what forbids the network.

    Raises:
        ServicesFileError: the home's file of prices and models can't be understood.
    """
    services = load_services(home.services)
    return Providers(os.environ, access=access, services=services, voiceprints=home.voiceprints, offline=offline)


def identity() -> Identity:
    """Return who runs evt here, and with what."""
    versions = {"evt": _version("evt-transcribe"), "python": platform.python_version()}
    versions |= {name: found for name in _DECIDING_PACKAGES if (found := _version(name))}
    return Identity(_user(), os.getpid(), platform.node(), _boot_id(), versions)


def new_run_id() -> str:
    """Return an id that sorts by time: 48 bits of milliseconds and 80 random bits, in Crockford's base 32.

    Source: the ULID specification, in lower case.
    """
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

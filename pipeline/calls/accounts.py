"""Names for accounts in logs: they tell keys apart without giving them away."""

from __future__ import annotations

import contextlib
import os

from eventlog.storage import PosixStorage
from pipeline.errors import SettingsError
from pipeline.home import Home
from pipeline.secret import Secret

_KEY_BYTES = 32


def home_key(home: Home, *, make: bool) -> bytes | None:
    """Return the random bytes of a home that name its accounts; None if there are none and `make` is false.

    Raises:
        SettingsError: they can't be read or made.
    """
    try:
        if make and not home.account_key.exists():
            _make(str(home.account_key))
        key = home.account_key.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"The file {home.account_key} can't be used: {error}. Mend that first.") from error
    if len(key) != _KEY_BYTES:
        raise SettingsError(
            f"The file {home.account_key} holds {len(key)} bytes instead of {_KEY_BYTES}. Restore a backup, or "
            "remove it; accounts then get new names, and calls of the old ones are nobody's."
        )
    return key


def account_of(key: bytes, provider: str, secret: Secret) -> str:
    """Return 8 hex digits that name a provider's key. A stored form: other digits are another account."""
    import hmac

    return hmac.digest(key, f"{provider}\0{secret.reveal()}".encode(), "sha256").hex()[:8]


def _make(path: str) -> None:
    """Write under a temporary name → sync → link, which never replaces another process's → sync the directory."""
    import secrets

    storage, temporary = PosixStorage(), f"{path}.{secrets.token_hex(4)}.tmp"
    storage.write_new(temporary, secrets.token_bytes(_KEY_BYTES))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        # A file system without links; there the last of two that make it at once wins.
        storage.rename(temporary, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    storage.sync_dir(os.path.dirname(path))

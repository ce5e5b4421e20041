"""What settings are called, in files and in the environment."""

from __future__ import annotations

import re
from typing import Any, Final

from cli.settings.limits import LIMITS
from projections.graph import DEFAULTS, SELECTION

OUTPUT_DIR, PROFILE, PROFILES, RETENTION = "output_dir", "profile", "profiles", "retention"
OFFLINE = "offline"
PLAIN: Final = (*DEFAULTS, OUTPUT_DIR, *LIMITS)
"""What a profile, too, may set."""

SETTINGS: Final = (*PLAIN, PROFILE, RETENTION, OFFLINE)
"""Every setting with a single value."""

ENVIRONMENT_PREFIX: Final = "EVT_"
IN_ENVIRONMENT: Final = tuple(name for name in SETTINGS if name != OUTPUT_DIR)

FREE_OPTIONS = frozenset(
    {*SELECTION, "speakers", "min_speakers", "max_speakers", "language"}
    | {"prompt", "keywords", "formats", "allow_gaps"}
)
"""What a file that merely lies beside a recording may set: nothing that chooses who gets the audio."""

FREE_SETTINGS = FREE_OPTIONS | {OFFLINE}
"""The same of a file in the current folder. That nothing may leave the machine is believed of anybody."""

_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def is_provider(name: str, value: Any) -> bool:
    """Say whether an entry of a settings file is the table of a provider."""
    return isinstance(value, dict) and is_provider_name(name)


def is_provider_name(name: str) -> bool:
    """Say whether a provider can have this name."""
    return _PROVIDER.fullmatch(name) is not None and name not in {*SETTINGS, PROFILES}


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"

"""The folder where the tools of the Hugging Face hub keep models; only looked into, nothing is ever fetched here.

The only file that imports huggingface_hub, and only to keep it from the network. `pipeline.models` fetches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def is_repository(name: str) -> bool:
    """Say whether a name can be `OWNER/REPO` of the hub.

    Source: huggingface_hub, `validate_repo_id`: neither `--` nor `..`, no dot or dash at an end.
    """
    parts = name.split("/")
    ends = any(part.endswith((".", "-")) for part in parts)
    return _REPOSITORY.fullmatch(name) is not None and not ends and "--" not in name and ".." not in name


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Return where the tools of the Hugging Face hub keep models; the folder may not exist.

    Source: huggingface_hub, "Environment variables".
    """
    if "HF_HUB_CACHE" in environ:
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    caches = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def hub_folder(cache: Path, repository: str) -> Path:
    """Return the folder of a model's repository: `blobs`, `snapshots` and `refs` are in it."""
    return cache / f"models--{repository.replace('/', '--')}"


def hub_snapshot(cache: Path, repository: str, is_complete: Callable[[Path], bool]) -> Path | None:
    """Return the folder of the revision of a repository that was fetched last, or None where it isn't whole."""
    snapshot = hub_current(cache, repository)
    return snapshot if snapshot and is_complete(snapshot) else None


def hub_current(cache: Path, repository: str) -> Path | None:
    """Return the folder of the revision that was fetched last, whole or not; None where none is named."""
    folder = hub_folder(cache, repository)
    try:
        revision = (folder / "refs" / "main").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return folder / "snapshots" / revision if re.fullmatch(r"[\w-]+", revision, re.ASCII) else None


def keep_client_offline() -> None:
    """Let the hub's own client fetch nothing in this process, for libraries that would ask it in passing."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True

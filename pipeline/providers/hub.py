"""The folder where the tools of the Hugging Face hub keep models; only looked into, nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Return where the tools of the Hugging Face hub keep models; the folder may not exist.

    Source: huggingface_hub, "Environment variables".
    """
    if "HF_HUB_CACHE" in environ:
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    caches = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def hub_snapshot(cache: Path, repository: str, is_complete: Callable[[Path], bool]) -> Path | None:
    """Return the folder of the revision of a repository that was fetched last, or None where it isn't whole."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if revision and is_complete(snapshot) else None

"""Bundles as bytes: taken apart, changed, and put together again as anybody could."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backports import zstd

Files = list[tuple[str, bytes]]


def packed(manifest: dict[str, Any] | bytes, content: bytes = b"") -> bytes:
    """Return a bundle of a manifest and the bytes behind it."""
    line = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode() + b"\n"
    options = {zstd.CompressionParameter.checksum_flag: 1, zstd.CompressionParameter.compression_level: 1}
    return zstd.compress(line + content, options=options)


def taken_apart(bundle: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest of a bundle and the bytes behind it."""
    line, _, content = zstd.decompress(bundle.read_bytes()).partition(b"\n")
    return json.loads(line), content


def files_of(bundle: Path) -> dict[str, Files]:
    """Return the files of a bundle, by pipeline."""
    manifest, content = taken_apart(bundle)
    found: dict[str, Files] = {}
    for member in manifest["pipelines"]:
        for file in member["files"]:
            found.setdefault(member["id"], []).append((file["path"], content[: file["size_bytes"]]))
            content = content[file["size_bytes"] :]
    return found


def entry(path: str, content: bytes) -> dict[str, Any]:
    """Return what a manifest says of a file."""
    return {"path": path, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def made_of(pipeline: str, files: Iterable[tuple[str, bytes]], **more: Any) -> bytes:
    """Return a bundle of one pipeline whose files are these, the log first, with a manifest that fits them."""
    files = list(files)
    lines = files[0][1].splitlines(keepends=True)
    head = {"seq": len(lines), "sha256": hashlib.sha256(lines[-1]).hexdigest()}
    member = {"id": pipeline, "head": head, "copy": False, "files": [entry(*file) for file in files], **more}
    manifest = {"evt_bundle": 1, "evt_version": "0", "pipelines": [member]}
    return packed(manifest, b"".join(content for _, content in files))

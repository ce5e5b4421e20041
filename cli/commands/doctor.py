"""`evt doctor`: what works here, what is lacking, what to do."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import click

from cli.exit_codes import OK, REFUSED
from cli.home import load_home
from cli.render import json_line, printable, size
from cli.settings import load_settings
from cli.wiring import identity, make_providers
from eventlog.filesystem import file_system_of
from pipeline.providers.registry import best_local
from projections.engine import Engine


@click.command("doctor", short_help="Say what works here, what is lacking, and what to do.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, as_json: bool) -> int:
    """Say what works on this machine, what is lacking, and what to do about it."""
    report = _report(obj["home"])
    click.echo(json_line(report) if as_json else "\n".join(printable(line) for line in _lines(report)))
    return OK if report["usable"] else REFUSED


def _report(home_flag: str | None) -> dict[str, Any]:
    home, origin = load_home(home_flag)
    existing = next(folder for folder in [home.root, *home.root.parents] if folder.exists())
    system = file_system_of(str(existing))
    writable = os.access(existing, os.W_OK | os.X_OK)
    diarizers, transcribers = make_providers(home, load_settings(home_flag).access).every_engine()
    best = best_local(transcribers)
    return {
        "versions": {**identity().versions, "system": platform.platform()},
        "home": {
            "path": str(home.root),
            "origin": origin,
            "file_system": system.kind,
            "safe": system.safe,
            "survives_power_loss": system.durability == "disk",
            "writable": writable,
            "free_bytes": shutil.disk_usage(existing).free,
            "used_bytes": _used_bytes(home.root),
        },
        "diarizers": [_engine(engine) for engine in diarizers.values()],
        "transcribers": [_engine(engine) for engine in transcribers.values()],
        "best_transcriber": best,
        "usable": writable and system.safe and transcribers[best].lacking is None,
        "advice": _advice(transcribers, best, writable=writable, safe=system.safe),
    }


def _engine(engine: Engine) -> dict[str, Any]:
    return {
        "name": engine.name,
        "ready": engine.lacking is None,
        "lacking": engine.lacking,
        "draft": engine.draft,
        "languages": list(engine.languages) if engine.languages else None,
        "network": engine.network,
    }


def _advice(transcribers: Any, best: str, *, writable: bool, safe: bool) -> list[str]:
    advice = []
    if not writable:
        advice.append("The home can't be written. Choose another with --home or $EVT_HOME.")
    if not safe:
        advice.append("The home is on a network file system. Choose a local one with --home or $EVT_HOME.")
    if transcribers[best].lacking:
        advice.append(f"No transcriber is ready. {transcribers[best].lacking}")
    elif transcribers[best].draft:
        advice.append("Transcripts are drafts by the small built-in English engine; whisper makes better ones.")
        advice.append(str(transcribers["whisper"].lacking))
    return advice or ["Everything is ready."]


def _used_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


def _lines(report: dict[str, Any]) -> list[str]:
    home = report["home"]
    lines = ["Versions"]
    lines += [f"  {name:<18} {version}" for name, version in report["versions"].items()]
    lines += [
        "Home",
        f"  {home['path']} ({home['origin']})",
        f"  {home['file_system']}, {size(home['free_bytes'])} free, {size(home['used_bytes'])} used",
    ]
    for kind in ("diarizers", "transcribers"):
        lines.append(kind.capitalize())
        for engine in report[kind]:
            state = "ready" if engine["ready"] else f"not ready: {engine['lacking']}"
            draft = " (drafts, English only)" if engine["draft"] else ""
            lines.append(f"  {engine['name']:<18} {state}{draft}")
    return [*lines, "Advice", *(f"  {line}" for line in report["advice"])]

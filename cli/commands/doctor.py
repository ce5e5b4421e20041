"""`evt doctor`: what works here, what is lacking, what to do."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from cli.engines import Offer, endings, offer_as_json, offers
from cli.exit_codes import OK, REFUSED
from cli.home import load_home
from cli.render import json_line, printable, size
from cli.settings import load_settings
from cli.wiring import identity, make_providers
from eventlog.filesystem import file_system_of
from pipeline.providers.foreign import DIARIZER, TRANSCRIBER
from pipeline.providers.registry import best_local


@click.command("doctor", short_help="Say what works here, what is lacking, and what to do.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, as_json: bool) -> int:
    """Say what works on this machine, what is lacking, and what to do about it."""
    report = _report(obj["home"], datetime.now(UTC).date())
    click.echo(json_line(report) if as_json else "\n".join(printable(line) for line in _lines(report)))
    return OK if report["usable"] else REFUSED


def _report(home_flag: str | None, today: date) -> dict[str, Any]:
    home, origin = load_home(home_flag)
    existing = next(folder for folder in [home.root, *home.root.parents] if folder.exists())
    system = file_system_of(str(existing))
    writable = os.access(existing, os.W_OK | os.X_OK)
    access = load_settings(home_flag).access
    found = offers(make_providers(home, access), access)
    transcribers = {offer.name: offer.engine for offer in found if offer.kind == TRANSCRIBER}
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
        "diarizers": [offer_as_json(offer) for offer in found if offer.kind == DIARIZER],
        "transcribers": [offer_as_json(offer) for offer in found if offer.kind == TRANSCRIBER],
        "best_transcriber": best,
        "usable": writable and system.safe and transcribers[best].lacking is None,
        "advice": [*_advice(transcribers, best, writable=writable, safe=system.safe), *_of_services(found, today)],
    }


def _of_services(found: Sequence[Offer], today: date) -> list[str]:
    """Say what the user should know of services that can be used: where a key is odd, and what ends soon."""
    notes = [offer.access.note for offer in found if offer.access and offer.access.note]
    return [*dict.fromkeys(notes), *endings(found, today)]


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


def _network(engine: dict[str, Any]) -> str:
    """Return where a service gets the audio and with which key, where it could be used."""
    if not engine["network"] or not engine["ready"]:
        return ""
    key = engine["key"]
    with_key = f"key from {key['origin']}" if key and key["set"] else "no key"
    return f": sends the audio to {engine['origin']}, {with_key}"


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
            lines.append(f"  {engine['name']:<18} {state}{draft}{_network(engine)}")
    return [*lines, "Advice", *(f"  {line}" for line in report["advice"])]

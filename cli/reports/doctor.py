"""The report of `evt doctor` as lines for people; the last ones say what to do, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.render import count, size

HELD_MAX = 10
"""So many logs that are being written are named."""


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines."""
    yield "Versions"
    yield from (f"  {name:<18} {version}" for name, version in report["versions"].items())
    for kind in ("diarizers", "transcribers"):
        yield kind.capitalize()
        yield from (f"  {engine['name']:<18} {_engine(engine)}" for engine in report[kind])
    yield "Keys (never shown)"
    yield from (f"  {name:<18} {_key(key)}" for name, key in report["keys"].items())
    yield from _home(report["home"])
    yield from _pipelines(report["pipelines"])
    if report["findings"]:
        yield "Not in order"
        yield from (f"  {finding['what']}" for finding in report["findings"])
    yield "What to do"
    yield from (f"  {number}. {text}" for number, text in enumerate(_to_do(report), 1))


def _to_do(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps evt from working, then what the findings want, then what would be better."""
    advice = list(report["advice"])
    if not report["usable"]:
        yield from advice
        advice = []
    for finding in report["findings"]:
        of = finding["pipeline"]
        yield f"{of}: {finding['remedy']}" if of and of not in finding["remedy"] else finding["remedy"]
    yield from advice


def _engine(engine: Mapping[str, Any]) -> str:
    state = "ready" if engine["ready"] else f"not ready: {engine['lacking']}"
    draft = " (drafts, English only)" if engine["draft"] else ""
    return f"{state}{draft}{_network(engine)}"


def _network(engine: Mapping[str, Any]) -> str:
    """Return where a service gets the audio and with which key, where it could be used."""
    if not engine["network"] or not engine["ready"]:
        return ""
    key = engine["key"]
    with_key = f"key from {key['origin']}" if key and key["set"] else "no key"
    return f": sends the audio to {engine['origin']}, {with_key}"


def _key(key: Mapping[str, Any]) -> str:
    return f"from {key['origin']}" if key["set"] else "none"


def _home(home: Mapping[str, Any]) -> Iterator[str]:
    used = home["usage"]
    about = "about " if used["is_estimate"] else ""
    kept = "survives a loss of power" if home["survives_power_loss"] else "may be lost with the power"
    promise = kept if home["safe"] else "a log can't keep its promises"
    yield "Home"
    yield f"  {home['path']} ({home['origin']})"
    yield f"  {home['file_system']}: {promise}; {size(home['free_bytes'])} free"
    yield f"  {about}{size(home['used_bytes'])} used; retention: {home['retention']}"
    for kind, amount in used["kinds"].items():
        yield f"    {kind:<18} {size(amount['size_bytes']):>9}  {count(amount['files'], 'file')}"
    if used["is_estimate"]:
        yield f"    (estimated from {used['measured']} of {used['pipelines']} pipelines; --full counts all)"


def _pipelines(pipelines: Mapping[str, Any]) -> Iterator[str]:
    parts = [f"{number} {status.replace('_', ' ')}" for status, number in sorted(pipelines["statuses"].items())]
    yield "Pipelines"
    yield f"  {', '.join(parts) or 'none'}"
    for held in pipelines["held"][:HELD_MAX]:
        yield f"  {held['pipeline']} ({held['name']}) is being written by {held['by']}; the lock ends with it"
    if len(pipelines["held"]) > HELD_MAX:
        yield f"  and {len(pipelines['held']) - HELD_MAX} more are being written"
    if not pipelines["tells_locks"]:
        yield "  this system doesn't tell who holds a log; `evt run` finds out"

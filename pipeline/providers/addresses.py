"""What an address of a service says by itself: its origin, and who can listen on the way. Looks nothing up."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

_HOME = (".localhost", ".local", ".lan", ".internal", ".home.arpa")
"""Ends of names that the world's name servers don't give out. Source: RFC 6761, 6762, 8375; ICANN's .internal."""


def origin_of(url: str) -> str:
    """Return scheme, host and port, as `https://api.pyannote.ai`; never a user's name or password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def address_problem(url: str) -> str | None:
    """Return why a base URL can't be used, with the remedy; None: it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "the base URL is none. Write it like https://host:port"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "the base URL is none. Write it like https://host:port"
    if "@" in parts.netloc:
        return "the base URL holds a user's name. Write it like https://host:port and give the key by itself"
    if parts.scheme == "http" and not _is_private(parts):
        return f"plain http to {parts.hostname} would show the key and the audio to everybody on the way. Use https"
    return None


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    found = _number(host)
    return found.is_loopback if found else host == "localhost" or host.endswith(".localhost")


def _is_private(parts: SplitResult) -> bool:
    """Tell whether a host is of a private network: by its number, or by a name that the world doesn't know."""
    host = parts.hostname or ""
    found = _number(host)
    if found:
        return found.is_loopback or found.is_private
    return "." not in host or host.endswith(_HOME)


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

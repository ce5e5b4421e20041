"""Where a service is: its origin, and whether what it is sent stays on this machine or network. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from attrs import frozen

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa", ".localdomain")
"""Names that only a network of one's own answers. Source: RFC 6762, RFC 8375, ICANN's reservation of .internal."""


@frozen
class Endpoint:
    """The base URL of a service, understood.

    Attributes:
        url: as given, without slashes at its end.
        origin: scheme, host, and the port where it isn't the usual one; all that messages and records show.
        is_loopback: this machine.
        problem: why it can't be used, with the remedy; None: it can.
    """

    url: str
    origin: str
    is_loopback: bool = False
    problem: str | None = None


def endpoint_of(url: str, *, source: str = "") -> Endpoint:
    """Return what a URL says; `source` names for people where it comes from. The URL is never part of a problem."""
    where = f"The URL of the service ({source})" if source else "The URL of the service"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return Endpoint("", "", problem=f"{where} can't be understood. Give one like https://host/v1.")
    if parts.scheme not in _DEFAULT_PORTS or not host or "%" in host:
        return Endpoint("", "", problem=f"{where} can't be understood. Give one like https://host/v1.")
    shown = f"[{host}]" if ":" in host else host
    usual = port is None or port == _DEFAULT_PORTS[parts.scheme]
    origin = f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"
    problem = None
    if parts.username is not None or parts.query or parts.fragment:
        problem = f"{where} holds a user's name, a query or a fragment. Leave it out; a key is given by itself."
    elif parts.scheme == "http" and not _stays_here(host):
        problem = f"{where} sends audio and key unencrypted over the internet. Use https:// instead of http://."
    return Endpoint(url.rstrip("/"), origin, _is_loopback(host), problem)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _stays_here(host: str) -> bool:
    """Say whether a host is on this machine or in a private network; a name without a dot is, as in containers."""
    address = _address(host)
    if address is not None:
        return not address.is_global and not address.is_multicast and not address.is_unspecified
    return _is_loopback(host) or "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

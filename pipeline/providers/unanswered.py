"""Why there was no answer, in words of ours that hold no address and no key, whatever library was asked."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator


def reason_of(error: BaseException) -> str:
    """Say what went wrong in words that hold no address and no key, unlike the library's own."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name can't be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted"
        if isinstance(cause, ssl.SSLError):
            return "no secure connection"
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return "the connection broke off"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__context__, cause.__cause__]

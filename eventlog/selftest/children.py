"""The parent's side of the test processes: start one, hear what it says line by line, kill it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import Self

from eventlog.errors import EvtError, LogStorageError
from eventlog.selftest.bench import Bench, BrokenPromiseError
from eventlog.selftest.child import EXIT_CODES

_ERROR_CHARS_MAX = 600


class Child:
    """A process of ours, dead at the latest when the `with` ends.

    It is in a session of its own, so that Ctrl-C reaches only its parent; it ends by itself as soon as nobody reads
    what it says.
    """

    def __init__(self, bench: Bench, action: str) -> None:
        opener = f"{bench.open_store.__module__}:{bench.open_store.__qualname__}"
        # The modules of this process, not those of the current folder.
        start = f"import sys; sys.path[:] = {sys.path!r}; from eventlog.selftest.child import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", start, action, opener, str(bench.seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._heard = b""
        self._patience_s = bench.patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill it unless it is dead, and release what belonged to it."""
        self._process.kill()
        self._process.communicate()

    def begin(self, root: str) -> Self:
        """Let it do in this folder what it is for; it is ready, so that what follows is soon.

        Raises:
            BrokenPromiseError: it ended by itself.
            LogStorageError: it says nothing.
        """
        self.hear()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(root).encode() + b"\n")
        self._process.stdin.flush()
        return self

    def hear(self) -> str:
        """Return the next line that it says.

        Raises:
            BrokenPromiseError: it ended by itself.
            LogStorageError: it ended since the disk refused, or says nothing.
        """
        give_up_s = time.monotonic() + self._patience_s
        while b"\n" not in self._heard:
            if not select.select([self._out], [], [], max(0.0, give_up_s - time.monotonic()))[0]:
                # A disk may be as slow as that without breaking a promise.
                raise LogStorageError(
                    f"a process that should write a log said nothing for {self._patience_s:.0f} s"
                )
            if not self._receive():
                raise self._ended()
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def kill(self) -> list[str]:
        """SIGKILL it and return what it had said and nobody has heard yet, whole lines only.

        Raises:
            BrokenPromiseError: it had ended by itself.
        """
        self._process.kill()
        while self._receive():
            pass
        if self._process.wait() >= 0:
            raise self._ended()
        *lines, _ = self._heard.decode().split("\n")
        return lines

    @property
    def _out(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _receive(self) -> bool:
        piece = os.read(self._out, 1 << 16)
        self._heard += piece
        return bool(piece)

    def _ended(self) -> EvtError:
        said = " ".join(self._process.communicate()[1].decode("utf-8", "replace").split())
        for kind, code in EXIT_CODES.items():
            if self._process.returncode == code:
                return kind(said)
        return BrokenPromiseError(f"A process that should write a log ended by itself: {said[-_ERROR_CHARS_MAX:]}")

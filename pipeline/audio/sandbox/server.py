"""A process that has the decoders loaded and forks a child for each recording: `python -m … DESCRIPTOR`.

It never touches a recording itself. A request is one byte with a descriptor: the connection on which the child is
told what to do, and answers. When the connection is closed from outside, its child is killed; when the way to the
parent is, all are, and the server ends.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

from attrs import define, field

from pipeline.audio.sandbox import child
from pipeline.audio.sandbox.confine import die_with

NEEDED = (
    *("av", "av.audio.fifo", "av.audio.resampler", "av.subtitles.stream", "av.video.stream"),
    *("concurrent.futures.thread", "soundfile", "soxr", "webrtcvad"),
    *("pipeline.audio.convert", "pipeline.audio.voice_activity"),
)
"""What children import, so that none has to."""

DESCRIPTORS = 4096
"""Open at once in the server: one for each recording that is just read, and a few."""


@define
class Server:
    """Its connections: to the parent, and those of the children at work."""

    control: socket.socket
    lines: dict[int, socket.socket] = field(factory=dict)
    children: dict[int, int] = field(factory=dict)
    _poll: select.poll = field(factory=select.poll)

    def run(self) -> None:
        """Serve until the parent is gone."""
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._poll.register(self.control, select.POLLIN)
        self._poll.register(woken, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == woken.fileno():
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                    self._reap()
                elif descriptor in self.lines:
                    self._hang_up(descriptor)
                elif descriptor == self.control.fileno() and not self._accept():
                    self._end()

    def _accept(self) -> bool:
        """Fork for a request; False: nobody can make any more."""
        passed = socket.recv_fds(self.control, 1, 1)[1]
        if not passed:
            return False
        line = socket.socket(fileno=passed[0])
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_child(line.detach(), server)
        self.lines[line.fileno()] = line
        self.children[pid] = line.fileno()
        self._poll.register(line, 0)  # hangups are always reported
        return True

    def _hang_up(self, descriptor: int) -> None:
        """Nobody waits for this child any more."""
        self._poll.unregister(descriptor)
        for pid, held in self.children.items():
            if held == descriptor:
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Tell how children ended, on the connections that they leave."""
        for pid, descriptor in list(self.children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self.children[pid]
            with suppress(KeyError):
                self._poll.unregister(descriptor)
            with self.lines.pop(descriptor) as line, suppress(OSError):
                ended_by = json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode()
                line.send(b"\n" + ended_by + b"\n", socket.MSG_DONTWAIT)

    def _end(self) -> None:
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _become_child(line: int, server: int) -> None:
    """Do what the connection asks for, in this process, and end it."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(line, 3, inheritable=False) if line != 3 else None
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        die_with(server)
        child.serve(3)
        os._exit(0)
    except BaseException:
        os._exit(70)


def main() -> None:
    """Serve on the descriptor that the command line names."""
    # A child closes each descriptor that it may have; where there may be a billion, that takes minutes.
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now > DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, most))
    for name in NEEDED:
        import_module(name)
    gc.freeze()
    Server(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()

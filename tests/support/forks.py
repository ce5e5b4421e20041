"""`evt` in processes that are forked off one that has imported it: like any other, without the wait for imports."""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen, TimeoutExpired
from tempfile import TemporaryFile
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eventlog", "projections", "pipeline", "cli")
CLIENTS = ("av", "numpy", "soundfile", "soxr", "sqlite3", "platformdirs", "importlib.metadata")
"""What most runs import when they need it."""
READ_AT_THE_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "OPENBLAS_", "OMP_")
"""What Python, the loader and libraries read from the environment only once."""
PROGRAM = "from tests.support.forks import serve, command; serve({}); command()"


def is_enough(environment: Mapping[str, str]) -> bool:
    """Return whether a command in this environment does the same in a fork as in a process of its own."""
    return sys.platform == "linux" and _of_the_start(environment) == _of_the_start(_environment())


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> CompletedProcess[str]:
    """Run a command to its end, as subprocess.run does; its streams are files."""
    line, theirs = socket.socketpair()
    with line, theirs, TemporaryFile() as out, TemporaryFile() as err:
        socket.send_fds(_server(), [b"."], [theirs.fileno()])
        theirs.close()
        socket.send_fds(line, [b"."], [out.fileno(), err.fileno()])
        line.sendall(json.dumps([list(arguments), str(folder), dict(environment)]).encode())
        line.shutdown(socket.SHUT_WR)
        answers = line.makefile()
        pid = int(answers.readline())
        line.settimeout(timeout_s)
        try:
            code = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutExpired(list(arguments), timeout_s) from None
        for file in (out, err):
            file.seek(0)
        return CompletedProcess(list(arguments), code, _text(out.read()), _text(err.read()))


def serve(number: int) -> None:
    """Fork for each request that comes through this descriptor; returns in the forks, which are set up for it."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)
    for client in CLIENTS:
        import_module(client)
    import_module("pipeline.audio.sandbox.client").SERVER.start()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who asked
    requests = socket.socket(fileno=number)
    waiting: set[int] = set()
    while fds := socket.recv_fds(requests, 1, 1)[1]:
        with socket.socket(fileno=fds[0]) as line:
            if (pid := os.fork()) == 0:
                requests.close()
                _become_what_is_asked_for(line)
                return
        waiting = {other for other in waiting if os.waitpid(other, os.WNOHANG)[0] == 0} | {pid}
    for pid in waiting:
        os.waitpid(pid, 0)
    os._exit(0)


def _become_what_is_asked_for(line: socket.socket) -> None:
    """Fork once more: this process waits and tells how the other ends, the other returns."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fds = socket.recv_fds(line, 1, 2)[1]
    arguments, folder, environment = json.load(line.makefile())
    if pid := os.fork():
        line.sendall(b"%d\n" % pid)
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    for fd, stream in zip(fds, (1, 2), strict=True):
        os.dup2(fd, stream)
        os.close(fd)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments


def command() -> NoReturn:
    """Run the command line and end as Python does, but for freeing the memory, which would copy all of it first."""
    from cli.main import main

    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    threading._shutdown()  # type: ignore[attr-defined] # as multiprocessing does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        program = [sys.executable, "-c", PROGRAM.format(theirs.fileno())]
        process = Popen(program, cwd=ROOT, env=_environment(), stdin=DEVNULL, pass_fds=[theirs.fileno()])
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _of_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}


def _text(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")

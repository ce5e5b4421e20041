"""Has recordings read by a child process, so that what hostile or damaged ones do to a decoder ends with it.

One server (`pipeline.audio.sandbox.server`) is started when it is first needed and serves the whole process, also
from several threads; it ends when this process does, however that ends.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from pipeline.audio.conversion import EVERYTHING, Conversion, Selection, Track, Watcher, checked_size
from pipeline.audio.sandbox.limits import Limits
from pipeline.errors import DecoderError, SourceRejectedError

MODULE = "pipeline.audio.sandbox.server"
CHECK_S = 0.1
LINE_MAX = 262_144
"""Bytes of one message; a child that sends more is no longer ours."""

KEPT = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")
"""What the server sees of the environment: no key of a service can be among it."""
CALM = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""No threads of libraries: a process with threads can't fork. Few arenas, which count as memory."""

TRACK = re.compile(r"audio\.flac|channel-\d{1,5}\.flac")
DIGEST = re.compile(r"[0-9a-f]{64}")
SENTENCE_MAX, SENTENCES_MAX = 2000, 32
METADATA_MAX = 49_152
"""Bytes; the rest of what a record may hold is for the names and digests of the files."""


def convert(
    source: Path,
    folder: Path,
    *,
    work: Watcher,
    then: Sequence[Path] = (),
    selection: Selection = EVERYTHING,
    limits: Limits | None = None,
) -> Conversion:
    """Do what `pipeline.audio.convert.convert` does, in a child process.

    Raises:
        SourceRejectedError, OSError: as there.
        DecoderError: the child was ended, by a limit or a crash; the folder holds parts.
        StoppedError: by `work.check`, which is called ten times a second; the child is killed.
    """
    paths = (source, *then)
    for path in paths:
        checked_size(path)
    job = _Job("convert", _absolute(paths), folder.absolute(), limits or Limits(), work, selection)
    done = job.result()
    try:
        return Conversion(_tracks(done["tracks"], folder), _metadata(done["metadata"]))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise job.error(f"its answer makes no sense ({error})") from error


def stated_s(
    source: Path,
    then: Sequence[Path] = (),
    selection: Selection = EVERYTHING,
    limits: Limits | None = None,
) -> float | None:
    """Do what `pipeline.audio.reading.stated_s` does, in a child process."""
    paths = (source, *then)
    try:
        for path in paths:
            checked_size(path)
        job = _Job("stated", _absolute(paths), None, limits or Limits(), _Unwatched(), selection)
        stated = job.result()
    except (SourceRejectedError, DecoderError, OSError):
        return None
    return float(stated) if isinstance(stated, int | float) else None


def pairs(task: str, source: Path, check: Callable[[], None]) -> list[tuple[int, int]]:
    """Return what a search through a converted recording finds, in its order.

    Raises:
        OSError: the file can't be read.
        DecoderError: the child was ended.
    """
    job = _Job(task, _absolute([source]), None, Limits(), _Unwatched(check))
    try:
        return [(int(first), int(end)) for first, end in job.result()]
    except (TypeError, ValueError) as error:
        raise job.error("its answer makes no sense") from error


def _absolute(paths: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(path.absolute() for path in paths)


@frozen
class _Unwatched:
    check: Callable[[], None] = lambda: None

    def progress(self, done_s: float, total_s: float) -> None:
        """Nobody watches it."""


@define
class _Job:
    """One request, and the wait for what comes of it."""

    task: str
    sources: tuple[Path, ...]
    folder: Path | None
    limits: Limits
    work: Watcher
    selection: Selection = EVERYTHING
    number: int = 0
    done_s: float = 0.0
    total_s: float = 0.0

    def result(self) -> Any:
        """Return what the child found."""
        # A server that was killed takes everybody's children with it, so each is asked for once more.
        for _ in range(2):
            for message in self._messages():
                if "done" in message:
                    return message["done"]
                try:
                    self._raise_told(message)
                except (TypeError, ValueError) as error:
                    raise self.error("its answer makes no sense") from error
            if SERVER.exit_code():
                raise DecoderError(
                    "The process that reads recordings can't be started. Reinstall evt, then run again."
                )
        raise self.error("the process that reads recordings is gone")

    def _raise_told(self, message: Mapping[str, Any]) -> None:
        """Raise the error that a message tells of, if it does."""
        if "rejected" in message:
            raise SourceRejectedError(_sentence(message["rejected"]))
        if "refused" in message:
            self._raise_refused(*message["refused"])
        if "failed" in message:
            raise self.error(_FAILURES.get(message["failed"], "it failed"))
        if "defect" in message:
            raise RuntimeError(f"in the process that reads recordings:\n{message['defect']}")
        if "ended" in message:
            raise self.error(_ended(message["ended"]))

    def error(self, reason: str) -> DecoderError:
        """Return the error that says what happened to the child, where, and what to do."""
        name = self.sources[self.number].name
        at = f" after {_clock(self.done_s)} of sound" if self.done_s else ""
        return DecoderError(
            f"{name!r} could not be read: {reason}{at}. The file may be damaged, or made to do harm; "
            "nothing else was touched. If you trust it, save it as WAV with another program and run evt on that."
        )

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """Ask, and yield what is answered, but for progress; ends when the connection does."""
        asked = {
            "task": self.task,
            "sources": [str(source) for source in self.sources],
            "folder": self.folder and str(self.folder),
            "selection": asdict(self.selection),
            "limits": self.limits.as_json(),
        }
        request = json.dumps(asked)
        began = heard = time.monotonic()
        rest = b""
        with SERVER.connect() as line:
            try:
                line.sendall(request.encode() + b"\n")
                line.settimeout(CHECK_S)
                while True:
                    self.work.check()
                    self._require_in_time(began, heard)
                    try:
                        data = line.recv(LINE_MAX)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    heard = time.monotonic()
                    *lines, rest = (rest + data).split(b"\n")
                    for message in filter(None, map(_parsed, lines)):
                        if not self._note_begin(message) and not self._note_progress(message):
                            yield message
                    if len(rest) > LINE_MAX:
                        raise self.error("its answer makes no sense")
            except ConnectionError:
                return

    def _note_begin(self, message: Mapping[str, Any]) -> bool:
        number = message.get("begins")
        if type(number) is not int or not 0 <= number < len(self.sources):
            return False
        self.number = number
        return True

    def _note_progress(self, message: Mapping[str, Any]) -> bool:
        progress = message.get("progress")
        if not (isinstance(progress, list) and len(progress) == 2):
            return False
        try:
            self.done_s, self.total_s = (max(0.0, float(each)) for each in progress)
        except (TypeError, ValueError) as error:
            raise self.error("its answer makes no sense") from error
        self.work.progress(self.done_s, self.total_s)
        return True

    def _require_in_time(self, began: float, heard: float) -> None:
        now = time.monotonic()
        if now - heard > self.limits.stall_s:
            raise self.error(f"nothing came of it for {self.limits.stall_s:g} s")
        if now - began > self.limits.wall_s(max(self.total_s, self.done_s)):
            raise self.error(f"it took more than {now - began:.0f} s")

    def _raise_refused(self, number: int | None, words: str, name: str | None) -> None:
        if number == errno.EFBIG:
            raise self.error("what became of it grew beyond all measure")
        words = _sentence(words)
        raise OSError(number, words, name) if number else OSError(words)


_FAILURES = {
    "too_long": "more sound came out of it than any recording has",
    "no_memory": "it needs more memory than any recording should",
}


def _ended(code: object) -> str:
    """Say what ended a child that had not answered."""
    if not isinstance(code, int) or code >= 0:
        return f"the decoder ended without a result (exit code {code})"
    if -code == signal.SIGXCPU:
        return "it took more computing time than any recording should"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    lacking = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
    return f"the decoder crashed or was ended ({name}{lacking})"


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    """Return a message; None for what a dying child left of one."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _track(given: Mapping[str, Any], folder: Path) -> Track:
    """Return a track as the child tells it, if it is one: an ordinary file of this folder, by one of our names."""
    track = Track(**given)
    if not TRACK.fullmatch(track.name) or not DIGEST.fullmatch(track.pcm_sha256):
        raise ValueError("no track")
    found = (folder / track.name).lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise ValueError("no file")
    if type(track.samples) is not int or track.samples < 0:
        raise ValueError("no number of samples")
    if track.name != ("audio.flac" if track.channel is None else f"channel-{track.channel}.flac"):
        raise ValueError("no channel")
    return track


def _tracks(given: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Track, ...]:
    """Return the tracks, if the mix is among them and each is there once."""
    tracks = tuple(_track(each, folder) for each in given)
    names = [track.name for track in tracks]
    if "audio.flac" not in names or len({*names}) != len(names):
        raise ValueError("no mix, or two of one name")
    return tracks


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata, if it is short enough for a record and nothing but numbers and short texts."""
    if len(json.dumps(given, allow_nan=False)) > METADATA_MAX:
        raise ValueError("too much metadata")
    for value in given.values():
        parts = value if isinstance(value, list) else [value]
        if len(parts) > max(SENTENCES_MAX, 65_536 if all(type(part) in {int, float} for part in parts) else 0):
            raise ValueError("too much metadata")
        for part in parts:
            if isinstance(part, str):
                if len(part) > SENTENCE_MAX or not part.isprintable():
                    raise ValueError("no metadata")
            elif not isinstance(part, int | float):
                raise TypeError("no metadata")
    return dict(given)


def _sentence(text: object) -> str:
    return str(text)[:SENTENCE_MAX]


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@define
class _Server:
    """The server of this process, started when it is first needed, and again where it has died."""

    _lock: threading.RLock = field(factory=threading.RLock)
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _owner: int = 0

    def connect(self) -> socket.socket:
        """Return a connection to a child of its own.

        Raises:
            OSError: no process can be started; close other programs.
        """
        ours, theirs = socket.socketpair()
        # One thread at a time, lest one of two that find the server dead ends the new one of the other.
        with theirs, self._lock:
            for attempt in range(2):
                try:
                    socket.send_fds(self._started(), [b"."], [theirs.fileno()])
                    break
                except (BrokenPipeError, ConnectionResetError):
                    self._drop()
                    if attempt:
                        raise
        return ours

    def start(self) -> None:
        """Start it now, so that what is forked off this process uses the same one."""
        self._started()

    @property
    def pid(self) -> int | None:
        """Return its process id; None before it is started."""
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        """Return how it ended by itself; None: it runs, was killed, or belongs to another process."""
        with self._lock:
            code = self._process.poll() if self._process else None
        return code if code and code > 0 else None

    def _started(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                ours, theirs = socket.socketpair()
                with theirs:
                    command = [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())]
                    self._process = subprocess.Popen(
                        command,
                        env=_environment(),
                        cwd="/",
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        pass_fds=[theirs.fileno()],
                        start_new_session=True,
                    )
                self._control, self._owner = ours, os.getpid()
                atexit.register(self._end, self._owner)
            return self._control

    def _drop(self) -> None:
        with self._lock:
            if self._control is not None:
                self._control.close()
            self._control = None
            if self._process is not None and self._owner == os.getpid():
                self._process.wait()

    def _end(self, owner: int) -> None:
        """Let it end, and wait for that; not in those who were forked off its owner."""
        if os.getpid() == owner:
            self._drop()


def _environment() -> dict[str, str]:
    """Return what the server needs to find our modules and its libraries, and nothing that is anybody's secret."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    places = os.pathsep.join(os.path.abspath(place) for place in sys.path if place)
    return {**kept, **CALM, "PYTHONPATH": places}


SERVER = _Server()
"""Of this process, and of those that are forked off it after `start`."""

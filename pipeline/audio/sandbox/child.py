"""The child of the server that reads one recording: what it is asked, what it tells, and how it ends."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define

from pipeline.audio.conversion import Selection
from pipeline.audio.sandbox.confine import allow_cpu, confine
from pipeline.audio.sandbox.limits import Limits
from pipeline.errors import SourceRejectedError

REQUEST_MAX = 32 * 2**20
"""Bytes; a path has 4,096 at the most, in JSON six times as many, and a recording may have a thousand parts."""

SIGN_OF_LIFE_S = 1.0
TOO_LONG, NO_MEMORY = "too_long", "no_memory"


class TooLongError(Exception):
    """More sound came than any recording may have."""


def serve(line: int) -> None:
    """Read the request from a connection, carry it out, and tell how that went; raises nothing."""
    try:
        asked = json.loads(_request(line))
        answer = _carried_out(asked, Talk(line, Limits(**asked["limits"])))
    except SourceRejectedError as error:
        answer = {"rejected": str(error)}
    except MemoryError:
        answer = {"failed": NO_MEMORY}
    except TooLongError:
        answer = {"failed": TOO_LONG}
    except OSError as error:
        answer = {"refused": [error.errno, error.strerror or str(error), _name(error.filename)]}
    except Exception as error:
        without_memory = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
        answer = {"failed": NO_MEMORY} if without_memory else {"defect": traceback.format_exc()}
    tell(line, answer)


def tell(line: int, message: Mapping[str, Any]) -> None:
    """Write a message, a line of JSON; those who don't listen any more end this process by SIGPIPE or SIGKILL."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(line, data) :]


def code_folders() -> list[Path]:
    """Return the folders of the packages that decode, and of Python's own modules."""
    found = (sys.modules[name].__file__ for name in ("os", "av", "numpy", "soxr", "pipeline"))
    return [Path(file).parent for file in found if file]


def _request(line: int) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < REQUEST_MAX:
        more = os.read(line, 65_536)
        if not more:
            os._exit(1)
        data += more
    return data


def _carried_out(asked: Mapping[str, Any], talk: Talk) -> dict[str, Any]:
    sources = [Path(source) for source in asked["sources"]]
    folder = Path(asked["folder"]) if asked["folder"] else None
    selection = Selection(**asked["selection"])
    layers = confine(talk.limits, sources, folder, code_folders())
    if asked["task"] == "convert":
        assert folder is not None, "the files of a conversion need a folder"
        return {"done": _convert(sources, selection, folder, talk), "layers": layers}
    if asked["task"] == "stated":
        return {"done": _stated(sources, selection), "layers": layers}
    return {"done": _speech(sources[0], talk), "layers": layers}


def _convert(sources: Sequence[Path], selection: Selection, folder: Path, talk: Talk) -> dict[str, Any]:
    from pipeline.audio.convert import convert

    source, *then = sources
    conversion = convert(source, folder, work=talk, then=then, selection=selection, begins=talk.begins)
    return {"tracks": [asdict(track) for track in conversion.tracks], "metadata": dict(conversion.metadata)}


def _stated(sources: Sequence[Path], selection: Selection) -> float | None:
    from pipeline.audio.reading import stated_s

    source, *then = sources
    return stated_s(source, then, selection)


def _speech(source: Path, talk: Talk) -> list[tuple[int, int]]:
    from pipeline.audio.soundfiles import RATE_HZ, sample_count
    from pipeline.audio.voice_activity import find_speech

    total_s = sample_count(source) / RATE_HZ
    return find_speech(source, lambda: talk.still_at_work(total_s))


def _name(filename: object) -> str | None:
    return filename if isinstance(filename, str) else None


@define
class Talk:
    """The watcher of the conversion: tells the parent of progress, and minds the limits."""

    line: int
    limits: Limits
    _allowed_s: int = 0
    _told_s: float = 0.0

    def check(self) -> None:
        """Nobody asks this process to stop: it is killed."""

    def begins(self, number: int) -> None:
        """Tell which file is read next, for the words of an error that nobody here will live to tell."""
        tell(self.line, {"begins": number})

    def progress(self, done_s: float, total_s: float) -> None:
        """Tell how far it is, and allow the CPU time that a recording of this length may take."""
        if done_s > self.limits.sound_s:
            raise TooLongError
        allowed_s = self.limits.cpu_s(total_s)
        if allowed_s > self._allowed_s:
            self._allowed_s = allowed_s
            allow_cpu(allowed_s)
        tell(self.line, {"progress": [done_s, total_s]})
        self._told_s = time.monotonic()

    def still_at_work(self, total_s: float) -> None:
        """Tell now and then that nothing hangs, where how far it is can't be said."""
        if time.monotonic() - self._told_s > SIGN_OF_LIFE_S:
            self.progress(0.0, total_s)

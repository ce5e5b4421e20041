"""The built-in transcriber: pocketsphinx with the small English model of its wheel. The only file that imports it.

A draft engine: it needs nothing but its wheel and gets a third of the words wrong. Its settings are those that
the model was trained with; on five recordings no other gain, language weight, beam or mean was better on all.

pocketsphinx holds the GIL for as long as it decodes, so each chunk is decoded in a worker process, one for each
call that is under way. Workers outlive calls, since loading the model takes half a second, but never their parent.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pipeline.errors import ProviderError, StoppedError
from pipeline.pools import cores
from projections.engine import Engine

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

    from pipeline.providers.base import Answer, Chunk, Options, Work
    from pipeline.providers.context import Context

NAME = "builtin"

RATE = 16000
"""Samples per second that the model was trained on, and of every converted recording."""

FRAMES_PER_S = 100
"""pocketsphinx gives times in frames of 10 ms."""

CHECK_S = 0.2
"""How often a waiting call looks whether the user asked to stop."""

FILLERS = ("<", "[", "++")
"""What begins so is no word but a silence or a noise. Source: the model's noisedict."""

Segment = tuple[str, int, int, float]
"""What the decoder found: word, first frame, last frame, posterior probability."""


def make(context: Context) -> BuiltinTranscriber:
    """Return the provider, as every entry point does."""
    return BuiltinTranscriber()


class BuiltinTranscriber:
    """Transcribes English, offline, in as many processes as there are calls under way.

    Workers begin with the first call and end with `close`, after which the transcriber is of no more use.
    """

    chunk_s = (30.0, 60.0)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def engine(self) -> Engine:
        """Return the facts about this engine; it can't work where there is no wheel of pocketsphinx."""
        return Engine(name=NAME, version=1, languages=("en",), draft=True, lacking=_lacking())

    def concurrency(self) -> int:
        """Return the number of cores that this process may use."""
        return cores()

    def transcribe(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return the words of a chunk; equal samples give equal words, whatever was transcribed before.

        Raises:
            ProviderError: `worker_died` (the system may have ended it for want of memory; try again, with fewer
                calls at once) or `engine_failed` (its message says what pocketsphinx said).
            StoppedError: the user asked to stop, or the transcriber was closed.
        """
        from pipeline.audio.soundfiles import read_samples

        samples = read_samples(chunk.path, chunk.start, chunk.end)
        metadata = {"model": "en-us", "chunk_s": len(samples) / RATE}
        if len(samples) == 0 or samples.min() == samples.max():
            # Without any sound there are no features: the decoder would take the first word of its dictionary.
            return {"language": "en", "words": [], "metadata": metadata}
        segments = self._decode(samples.tobytes(), work)
        words = [_word(segment, len(samples)) for segment in segments if not segment[0].startswith(FILLERS)]
        return {"language": "en", "words": words, "metadata": metadata}

    def close(self) -> None:
        """Kill the workers, whatever they do; a call under way raises StoppedError."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def _decode(self, pcm: bytes, work: Work) -> list[Segment]:
        worker = self._take()
        try:
            segments = worker.decode(pcm, work)
        except BaseException as error:
            # Whatever happened, this worker may still be busy with a chunk that nobody waits for.
            self._discard(worker)
            if self._closed and isinstance(error, ProviderError):
                raise StoppedError("Transcription was stopped.") from error
            raise
        self._put_back(worker)
        return segments

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise StoppedError("Transcription was stopped.")
            self._idle = [worker for worker in self._idle if worker.is_alive()]
            worker = self._idle.pop() if self._idle else _Worker()
            self._busy.append(worker)
            return worker

    def _put_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
            if not self._closed:
                self._idle.append(worker)

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
        worker.kill()


class _Worker:
    """A process that has the model loaded, and the connection to it; used by one call at a time."""

    def __init__(self) -> None:
        from multiprocessing import Pipe

        self._connection, theirs = Pipe()
        hangup, self._alive = Pipe(duplex=False)
        with theirs, hangup:
            self._process = _started(theirs.fileno(), hangup.fileno())

    def decode(self, pcm: bytes, work: Work) -> list[Segment]:
        try:
            self._connection.send_bytes(pcm)
            while not self._connection.poll(CHECK_S):
                work.check()
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise _died() from error
        if isinstance(answer, str):
            raise _failed(answer)
        segments: list[Segment] = answer
        return segments

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _started(calls: int, hangup: int) -> subprocess.Popen[bytes]:
    """Start a worker that has these two descriptors, and never sees Ctrl-C: it inherits this thread's signal mask.

    Not with `multiprocessing`, whose processes begin by running the program's own script once more: a script of
    somebody who calls `pipeline.transcribe` would have to be written for that.
    """
    import subprocess
    import sys

    places = os.pathsep.join(os.path.abspath(place) for place in sys.path if place)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(calls), str(hangup)],
            env={**os.environ, "PYTHONPATH": places},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[calls, hangup],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _lacking() -> str | None:
    if find_spec("pocketsphinx"):
        return None
    return (
        "The built-in transcriber needs the package pocketsphinx, which isn't installed here (there is none for "
        "Python 3.14 and later). Install evt with Python 3.11, 3.12 or 3.13, or use another engine, for example "
        "`--transcriber whisper`."
    )


def _died() -> ProviderError:
    return ProviderError(
        "A worker process of the built-in transcriber ended before its chunk was done; the system may have run "
        "out of memory. Run evt again: it goes on with that chunk. If it happens again, close other programs.",
        provider=NAME,
        code="worker_died",
        retryable=True,
    )


def _failed(reason: str) -> ProviderError:
    return ProviderError(
        f"The built-in transcriber couldn't transcribe a chunk: {reason}. Reinstall evt, or use another engine.",
        provider=NAME,
        code="engine_failed",
    )


def _word(segment: Segment, samples: int) -> dict[str, Any]:
    """Return a word as a transcriber answers it; the decoder's last frame may end past the chunk."""
    text, first, last, posterior = segment
    duration_s = samples / RATE
    return {
        "text": text.partition("(")[0],
        "start_s": min(first / FRAMES_PER_S, duration_s),
        "end_s": min((last + 1) / FRAMES_PER_S, duration_s),
        "confidence": round(min(posterior, 1.0), 4),
    }


def _serve(calls: Connection, hangup: int) -> None:
    """Answer each chunk of PCM with its segments, or with the words of a failure, until the parent is gone."""
    _die_with_parent(hangup)
    with suppress(EOFError, OSError):
        try:
            decoder = _decoder()
        except Exception as error:
            calls.recv_bytes()
            calls.send(f"{type(error).__name__}: {error}")
            return
        while True:
            pcm = calls.recv_bytes()
            try:
                calls.send(_segments(decoder, pcm))
            except RuntimeError as error:
                calls.send(f"{type(error).__name__}: {error}")


def _die_with_parent(hangup: int) -> None:
    """Let the kernel end this process when its parent does, since no Python code runs during a decode.

    The pipe from the parent hangs up when the parent ends, however it ends; a file in asynchronous mode then
    raises SIGIO, which ends a process that doesn't handle it. PR_SET_PDEATHSIG won't do: it fires when the
    *thread* ends that started the worker. Where SIGIO is ignored by default (macOS), the worker ends after
    its chunk, at the closed connection.

    Source: fcntl(2), F_SETOWN and O_ASYNC; signal(7), SIGIO.
    """
    import fcntl

    fcntl.fcntl(hangup, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(hangup, fcntl.F_SETFL, fcntl.fcntl(hangup, fcntl.F_GETFL) | os.O_ASYNC)


def _decoder() -> Any:
    """Load the model, silently: pocketsphinx writes to the terminal unless told not to."""
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL")


def _segments(decoder: Any, pcm: bytes) -> list[Segment]:
    """Decode a chunk as one utterance.

    `reinit_feat` forgets the cepstral mean of the chunk before, without which the words of a chunk would depend
    on it; `full_utt` takes the mean over the whole chunk instead of guessing it as the sound comes in.
    """
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return [(found.word, found.start_frame, found.end_frame, found.prob) for found in decoder.seg() or ()]


def _main() -> None:
    """Be a worker; the command line holds the descriptors of the connection and of the pipe from the parent."""
    import sys
    from multiprocessing.connection import Connection

    calls, hangup = map(int, sys.argv[1:])
    _serve(Connection(calls), hangup)


if __name__ == "__main__":
    _main()

"""What a provider on the network is: it asks once and reads the answer; everything else is `pipeline.calls.asking`.

Retries, limits, events, storage and the question of what was paid are the caller's. So a remote provider never
tries again by itself, never sleeps but between looks at a job, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from pipeline.providers.base import Answer
from pipeline.secret import Secret
from projections.engine import Engine
from projections.money import Money

_RATE_HZ = 16000


@frozen
class Access:
    """Where a provider's calls go, with which key (never one of another source than the URL), and how many.

    Attributes:
        url: the base URL; None: the provider's own.
        key: None where there is none.
        source: where both come from, for people: `$OPENAI_API_KEY`, a file's path; empty where there is neither.
        account: 8 hex digits that name the key without giving it away; empty without a key.
        problem: why this access can't be used, with the remedy; None: it can.
        note: what the user should know of it, with the remedy, e.g. why a key that was found isn't used.
        concurrency: how many calls at once; None: the provider's own number.
        requests_per_minute: None: no limit of ours.
    """

    url: str | None = None
    key: Secret | None = None
    source: str = ""
    account: str = ""
    problem: str | None = None
    note: str | None = None
    concurrency: int | None = None
    requests_per_minute: float | None = None


@frozen
class Sound:
    """Samples of a converted file (mono, 16 kHz, s16, FLAC), and the digest of them as s16le.

    Attributes:
        start, end: the first sample, and the one behind the last.
        kept: what of [start, end) is meant, as sorted, disjoint spans of samples, where long pauses are left out;
            empty: all of it. Only for engines with `takes_parts`.
    """

    path: Path
    start: int
    end: int
    pcm_sha256: str
    kept: tuple[tuple[int, int], ...] = ()

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """The spans of samples that are meant; never empty."""
        return self.kept or ((self.start, self.end),)

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return sum(end - start for start, end in self.parts) / _RATE_HZ


@frozen
class Wish:
    """What is wanted of a provider, besides the sound.

    Attributes:
        options: resolved options by name, see `pipeline.providers.base.Options`.
        facts: how this model of this server is spoken to; the engine's, or what `engine.probed` found.
        known: sounds of speakers of earlier chunks by their names, for engines that take them up.
    """

    options: Mapping[str, Any]
    facts: Mapping[str, Any] = {}
    known: Mapping[str, Sound] = {}


@frozen
class Reply:
    """What came back, as it came; stored before anything relies on it.

    Attributes:
        body: the answer's body, decoded; never parsed in here.
        usage: what the service says it counted, if that could be found in the body; None where not.
        cost: what that comes to, or an estimate where the service doesn't say; None: unknown.
        basis: `billed` where the service counted, else `estimated`.
        price_date: the date of the price that the cost is reckoned with.
        request_id: the service's name for the request.
    """

    body: str
    usage: Mapping[str, Any] | None = None
    cost: Money | None = None
    basis: str = "estimated"
    price_date: str = ""
    request_id: str | None = None


class Line(Protocol):
    """The way from a provider's call back to the run."""

    def check(self) -> None:
        """Raise StoppedError if the user asked to stop; call it between looks at a job, at least every second."""

    def pause(self, seconds: float) -> None:
        """Wait; raises StoppedError as soon as the user asks to stop."""

    def accepted(self, job_id: str, expires_at: str | None = None) -> None:
        """Record, durably, that a job was accepted and until when its result is kept (RFC 3339)."""

    def progress(self, text: str) -> None:
        """Show people what the call is doing, e.g. `uploading`; never recorded."""


class Remote(Protocol):
    """A diarizer or transcriber on the network. Called from several threads at once."""

    operation: str
    """What is asked for: `transcribe`, `diarize` …; part of the request digest."""

    def engine(self) -> Engine:
        """Say what this provider is and whether it can work here; cheap, imports nothing heavy, sends nothing."""

    def concurrency(self) -> int:
        """How many calls may be under way at once."""

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return what reaches the wire and decides the answer, the model included: it enters the request digest.

        A stored form: anything else than the same values for the same wishes is paid again. The wish holds
        references in the place of a prompt and keywords; return them as they are. In `ask` it holds the words.
        """

    def ask(self, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Ask once.

        Raises:
            ProviderError: with the class of failure in `kind`.
            StoppedError: only where nothing is lost by it: before anything was sent, or once a job is accepted.
        """

    def read(self, body: str, sound: Sound, wish: Wish) -> Answer:
        """Return what an answer says, times from the start of the sound.

        Raises:
            ProviderError: of kind `paid_unusable`: it can't be believed; the message says why.
        """


class RemoteTranscriber(Remote, Protocol):
    """A remote provider that turns sound into words; its answers are a transcriber's, see `base.Answer`."""

    chunk_s: tuple[float, float]
    """How long a chunk should be: (shortest, longest) seconds between two cuts."""

    def trials(self) -> Sequence[Mapping[str, Any]]:
        """Return the facts to try with a model or server that isn't known, the best first."""

    def judge(self, body: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what an answer to a trial shows: the facts, with `word_times` and `speakers` as they are."""


@frozen
class Doubt:
    """A call whose submission may or may not have been accepted.

    Attributes:
        since: when it was announced, on the provider's clock (RFC 3339), as `prepare` gave it.
        failed_at: when it ended without an answer, on the provider's clock; None: unknown, the process died.
        known_jobs: ids of all jobs that this home knows of.
    """

    since: str | None
    failed_at: str | None
    known_jobs: frozenset[str]


@frozen
class Finding:
    """What looking for a lost job gave.

    Attributes:
        resolution: `adopted` (with its job), `absent` (it was never accepted), or empty: it can't be told.
        job_id: of the job to adopt.
        evidence: what was seen, as JSON values for the log; no speech.
    """

    resolution: str
    job_id: str | None = None
    evidence: Mapping[str, Any] = {}


@runtime_checkable
class RemoteJobs(Protocol):
    """A remote provider whose answers come from jobs: accepted first, fetched later, also by another process."""

    def prepare(self) -> str:
        """Return the provider's clock (RFC 3339) before a job is announced; an account's submits never overlap."""

    def adopt(self, job_id: str, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Wait for an accepted job and return its result; the same errors as `ask`.

        Raises:
            ProviderError: `under_way` as the kind if it takes too long; code `expired` if the result is gone.
        """

    def find(self, doubt: Doubt, sound: Sound, wish: Wish, line: Line) -> Finding:
        """Look for the job of a call in doubt."""

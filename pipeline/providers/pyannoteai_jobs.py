"""What all jobs of pyannoteAI share: upload, submit, wait, adopt, and what they cost.

A job is accepted first and fetched later, also by another process. Whatever goes wrong once it is accepted leaves
it under way, unless the service says for certain that nothing will come of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import orjson
from attrs import frozen

from pipeline.errors import ProviderError
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.pyannoteai_client import NAME, USUAL_TIMEOUTS, Client, Got, Timeouts, in_utc
from pipeline.providers.remote import Doubt, Finding, Line, Reply, Sound, Wish
from pipeline.secret import Secret
from projections.engine import Engine
from projections.failures import AMBIGUOUS, LOCAL, NOT_SENT, REJECTED, UNDER_WAY
from projections.money import Money, Price

if TYPE_CHECKING:
    from pipeline.providers.remote import Access
    from pipeline.providers.services import Services

T = TypeVar("T")

KEYS = ("PYANNOTEAI_API_TOKEN", "PYANNOTEAI_API_KEY", "PYANNOTE_API_KEY")
"""Where the key may be given; the first is the one that messages name."""

GONE_LOOKS = 3
"""How often in a row a job must be unknown until that is believed: a new one may not be everywhere at once."""

PAGES_MAX = 1000
"""A hundred thousand jobs; a list that goes on longer goes round in circles."""

ENDED = ("succeeded", "failed", "canceled")


@frozen
class Patience:
    """How often to look, and how long to wait, in seconds.

    Attributes:
        first, longest: between two looks at a job; each pause is `growth` times the one before.
        limit: for a job to end, besides the length of its sound.
        silence: without one valid answer.
        settled: on the provider's clock, after which a job that isn't in the list was never accepted.
        timeouts: of single requests.
    """

    first: float = 1.0
    longest: float = 15.0
    growth: float = 1.5
    limit: float = 1800.0
    silence: float = 600.0
    settled: float = 120.0
    timeouts: Timeouts = USUAL_TIMEOUTS

    def pauses(self) -> Iterator[float]:
        """Yield growing pauses without an end."""
        pause = self.first
        while True:
            yield min(pause, self.longest)
            pause *= self.growth


USUAL = Patience()


@frozen
class Job:
    """A job that ended, or not yet.

    Attributes:
        status: one of `ENDED`, or anything else while it goes on.
        output: what it gave; None where there is nothing, or nothing any more.
        body: the answer as it came.
    """

    status: str
    output: Mapping[str, Any] | None
    body: str
    request_id: str | None = None


@frozen
class Listed:
    """The account's list of jobs.

    Attributes:
        jobs: (id, time of creation), the latest first.
        at: the provider's clock when the list was read.
    """

    jobs: tuple[tuple[str, datetime], ...]
    at: datetime


class _Waiting:
    """A time that runs out; a clock that sleeps along with the machine doesn't make it longer than its pauses."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began_s = time.monotonic()
        self._paused_s = 0.0

    def left_s(self) -> float:
        return self._seconds - max(self._paused_s, time.monotonic() - self._began_s)

    def pause(self, seconds: float, line: Line) -> None:
        line.pause(seconds)
        self._paused_s += seconds


@frozen
class _Page:
    """A part of the list, where the next one begins, and the provider's clock."""

    jobs: list[tuple[str, datetime]]
    cursor: str | None
    at: datetime


class PyannoteAIJobs:
    """A `Remote` with `RemoteJobs`, but for what is asked and how the answer is read.

    Args:
        model: of the service; None: its usual one.
        patience: how often to look, and how long to wait.
    """

    operation = ""
    price_kind = "price"

    def __init__(
        self,
        model: str | None,
        *,
        access: Access,
        services: Services,
        patience: Patience = USUAL,
    ) -> None:
        self._service = services.service(NAME)
        self._services = services
        self._model = model or str(self._service["default_model"])
        self._access = access
        self._url = access.url or str(self._service["url"])
        self._patience = patience

    def concurrency(self) -> int:
        """Return how many jobs may be under way at once."""
        return self._access.concurrency or int(self._service["concurrency"])

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return the whole submit but the address of the sound."""
        raise NotImplementedError

    def endpoint(self, wish: Wish) -> str:
        """Return where it is submitted."""
        return "/v1/diarize"

    def spoken(self, job: Job, wish: Wish) -> list[tuple[float, float]] | None:
        """Return when somebody speaks by a result, in seconds; None: it is not the result of such a wish."""
        return None

    def prepare(self) -> str:
        """Return the provider's clock; this also shows whether the key is good. Empty where it tells no time.

        Raises:
            ProviderError: `not_sent`, `throttled`, or why the key is refused.
        """
        return self._client().get("/v1/test").date or ""

    def ask(self, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Upload, submit, wait. See `Remote.ask`."""
        self._require_fitting(sound)
        url = self._uploaded(sound, line)
        line.check()
        line.progress("submitting")
        got = self._client().submit(self.endpoint(wish), {"url": url, **self.wire(wish)})
        job_id = _job_id(got)
        line.accepted(job_id, self._expires(got.date))
        return self.adopt(job_id, sound, wish, line)

    def adopt(self, job_id: str, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Wait for an accepted job and return its result. See `RemoteJobs.adopt`."""
        line.progress("waiting for the result")
        try:
            job = self.ended(job_id, sound.duration_s, line)
        except ProviderError as error:
            raise _under_way(job_id, error) from error
        if job is None or (job.status == "succeeded" and job.output is None):
            raise _expired(job_id)
        if job.status != "succeeded":
            raise _unsuccessful(job_id, job)
        price = self._price()
        return Reply(
            body=job.body,
            cost=self._cost(price, sound.duration_s),
            price_date=price.date if price else "",
            request_id=job.request_id,
        )

    def find(self, doubt: Doubt, sound: Sound, wish: Wish, line: Line) -> Finding:
        """Look for the job of a call in doubt, see `pipeline.providers.pyannoteai_find`."""
        from pipeline.providers.pyannoteai_find import find

        return find(self, doubt, sound, wish, line, self._patience)

    def ended(self, job_id: str, duration_s: float, line: Line) -> Job | None:
        """Return a job once it has ended; None: the service doesn't know it (any more).

        Raises:
            ProviderError: it takes too long, or there is no way to know.
        """
        waiting = _Waiting(self._patience.limit + duration_s)
        gone = 0
        for pause in self._patience.pauses():
            job = self.read_patiently(partial(self._job, job_id, line), line)
            if job and job.status in ENDED:
                return job
            gone = 0 if job else gone + 1
            if gone == GONE_LOOKS:
                return None
            if waiting.left_s() <= 0:
                break
            waiting.pause(pause, line)
        raise _failure("it is still running", "still_running", UNDER_WAY)

    def listed(self, since: datetime, line: Line) -> Listed:
        """Return the account's jobs, at least those created since then.

        Raises:
            ProviderError: the list can't be read, or doesn't say when.
        """
        jobs: list[tuple[str, datetime]] = []
        cursor: str | None = None
        at: datetime | None = None
        for _ in range(PAGES_MAX):
            query = "/v2/jobs?limit=100" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
            page = self.read_patiently(partial(self._page, query, line), line)
            # The clock of the first page: what was created while the others were read may be missing.
            at = at or page.at
            jobs += page.jobs
            cursor = page.cursor
            newest_first = all(later[1] >= earlier[1] for later, earlier in pairwise(jobs))
            if cursor is None or (newest_first and jobs and jobs[-1][1] < since):
                return Listed(tuple(jobs), at)
        raise _unreadable("its list of jobs, which has no end")

    def read_patiently(self, read: Callable[[], T], line: Line) -> T:
        """Read something that costs nothing until there is a valid answer, for as long as that makes sense."""
        waiting = _Waiting(self._patience.silence)
        for pause in self._patience.pauses():
            try:
                return read()
            except ProviderError as error:
                left_s = waiting.left_s()
                if not error.retryable or left_s <= 0:
                    raise
                waiting.pause(min(max(pause, error.retry_after_s or 0.0), left_s), line)
        raise AssertionError("pauses never end")

    @contextmanager
    def file(self, sound: Sound, line: Line) -> Iterator[Path]:
        """Give a sound as a FLAC file.

        Raises:
            ProviderError: `local`: the recording can't be read, or there is no room.
        """
        from pipeline.audio.parts import part_file

        try:
            with part_file(sound.path, sound.start, sound.end, line.check) as path:
                yield path
        except OSError as error:
            raise _failure(f"The converted audio can't be read: {error}", "unreadable", LOCAL) from error

    def _uploaded(self, sound: Sound, line: Line) -> str:
        """Upload a sound under a name that says nothing but its digest, and return that."""
        url = f"media://evt/{sound.pcm_sha256}.flac"
        with self.file(sound, line) as path:
            most = int(self._service["max_bytes"])
            if path.stat().st_size > most:
                raise _too_much(f"{path.stat().st_size:,} bytes of audio", f"{most:,} bytes")
            line.progress("uploading")
            address = self._upload_address(url, line)
            if address is None:
                raise _failure(
                    "pyannoteAI gave no address to upload to. Nothing that costs was sent; it may be tried again.",
                    "no_upload_address",
                    NOT_SENT,
                    retryable=True,
                )
            self._client().put(address, path, line.check)
        return url

    def _upload_address(self, url: str, line: Line) -> Secret | None:
        """Return a presigned address; in a frame of its own, since whoever has it can upload in our name."""
        got = self._client().post("/v1/media/input", {"url": url}, line.check)
        given = _object(got.text).get("url")
        return (
            Secret(given) if isinstance(given, str) and not endpoint_of(given.partition("?")[0]).problem else None
        )

    def _require_fitting(self, sound: Sound) -> None:
        most = float(self._service["max_seconds"])
        if sound.duration_s > most:
            raise _too_much(f"{sound.duration_s:.0f} s of audio", f"{most:.0f} s")

    def _job(self, job_id: str, line: Line) -> Job | None:
        """Look at a job once; None: it is unknown."""
        try:
            got = self._client().get(f"/v1/jobs/{quote(job_id, safe='')}", line.check)
        except ProviderError as error:
            if error.http_status == 404:
                return None
            raise
        content = _object(got.text)
        status = content.get("status")
        if not isinstance(status, str):
            raise _unreadable("a job")
        output = content.get("output")
        return Job(status, output if isinstance(output, dict) else None, got.text, got.request_id)

    def _page(self, query: str, line: Line) -> _Page:
        got = self._client().get(query, line.check)
        content = _object(got.text)
        try:
            cursor = content.get("nextCursor")
            return _Page(
                jobs=[(str(item["id"]), parsed(item["createdAt"])) for item in content["items"]],
                cursor=str(cursor) if cursor else None,
                at=parsed(got.date or ""),
            )
        except (KeyError, TypeError, ValueError):
            raise _unreadable("its list of jobs") from None

    def _client(self) -> Client:
        if self._access.key is None:
            raise _failure(f"There is no key for pyannoteAI. Set {KEYS[0]}.", "key_missing", LOCAL)
        return Client(
            self._url,
            self._access.key,
            source=self._access.source,
            timeouts=self._patience.timeouts,
            bills_server_errors=bool(self._service["bills_server_errors"]),
        )

    def _engine(self, **facts: Any) -> Engine:
        """Return what is the same for all: where calls go, what they cost and what is lacking."""
        endpoint = endpoint_of(self._url, source=self._access.source)
        problem = endpoint.problem
        return Engine(
            version=1,
            network=True,
            billable=not self._is_free,
            reconciles=True,
            origin="" if problem else endpoint.origin,
            account=self._access.account,
            price=self._price(),
            lacking=self._lacking(problem),
            **{"name": NAME, "model": self._model, **facts},
        )

    def _lacking(self, problem: str | None) -> str | None:
        if self._access.problem:
            return self._access.problem
        if self._access.key is None:
            return f"there is no key for pyannoteAI. Set {KEYS[0]}, or `evt config set pyannoteai.api_key`."
        return problem

    @property
    def _is_free(self) -> bool:
        return bool(self._service.get("free", False))

    def _price(self) -> Price | None:
        return None if self._is_free else self._services.price(NAME, self._model, self.price_kind)

    def _cost(self, price: Price | None, seconds: float) -> Money | None:
        if self._is_free:
            return Money(Decimal(0), "EUR")
        return price.expected(seconds) if price else None

    def _expires(self, date: str | None) -> str | None:
        """Return until when the result of a job accepted at that time is kept at least."""
        kept = timedelta(hours=float(self._service["output_kept_h"]))
        return in_utc(parsed(date) + kept) if date else None


def parsed(time_text: str) -> datetime:
    """Return a time of the service; raises ValueError where it is none, or of no known zone."""
    found = datetime.fromisoformat(time_text)
    if found.tzinfo is None:
        raise ValueError(f"{time_text!r} names no zone")
    return found


def _object(text: str) -> Mapping[str, Any]:
    """Return a JSON object; empty where the text is none, such as a page of a proxy or half an answer."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _job_id(got: Got) -> str:
    found = _object(got.text).get("jobId")
    if isinstance(found, str) and 0 < len(found) <= 200:
        return found
    raise ProviderError(
        "pyannoteAI answered a submitted job with something that names no job. It may have been accepted: "
        "`evt run` looks for it before anything is sent again.",
        provider=NAME,
        code="no_job",
        kind=AMBIGUOUS,
        http_status=got.status,
        request_id=got.request_id,
    )


def _failure(
    message: str, code: str, kind: str, *, retryable: bool = False, said: str | None = None
) -> ProviderError:
    return ProviderError(message, provider=NAME, code=code, kind=kind, retryable=retryable, said=said)


def _unreadable(what: str) -> ProviderError:
    message = f"pyannoteAI answered a question about {what} with something that can't be read."
    return _failure(message, "unreadable_answer", NOT_SENT, retryable=True)


def _too_much(given: str, most: str) -> ProviderError:
    message = f"pyannoteAI takes at most {most}, and this is {given}. Split the recording, or use another engine."
    return _failure(message, "too_long", REJECTED)


def _under_way(job_id: str, error: ProviderError) -> ProviderError:
    found = ProviderError(
        f"The job {job_id} was accepted by pyannoteAI and can't be fetched now: {error} "
        "`evt run` asks for it again; nothing is submitted twice.",
        provider=NAME,
        code=error.code,
        kind=UNDER_WAY,
        retryable=True,
        retry_after_s=error.retry_after_s,
        http_status=error.http_status,
        request_id=error.request_id,
    )
    found.said = error.said
    return found


def _expired(job_id: str) -> ProviderError:
    message = (
        f"The result of job {job_id} is gone: pyannoteAI keeps one for 24 hours, and shows it to the account that "
        "submitted it. If that was another account, use its key; else it has to be made, and paid, again."
    )
    return _failure(message, "expired", REJECTED)


def _unsuccessful(job_id: str, job: Job) -> ProviderError:
    if job.status == "canceled":
        message = f"The job {job_id} was canceled at pyannoteAI and costs nothing. Run again to submit it again."
        return _failure(message, "job_canceled", REJECTED)
    said = (job.output or {}).get("error")
    message = (
        f"pyannoteAI could not process the recording (job {job_id} failed); that costs nothing. Its own words are "
        "kept with the failure. Try again later, or use another engine."
    )
    return _failure(message, "job_failed", REJECTED, said=said if isinstance(said, str) else None)

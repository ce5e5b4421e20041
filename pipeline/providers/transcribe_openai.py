"""OpenAI's transcriptions, and servers that speak the same API. The only file that imports openai and httpx2.

A call is one request: the client's own retries and redirects are off, so that what the log announced is what was
sent. What an answer says is in `openai_answers`, what a refusal means in `openai_refusals`, prices and limits in
`openai_terms`; docs/providers.md tells users what is sent where.
"""

from __future__ import annotations

import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.context import Context
from pipeline.providers.endpoints import endpoint_of
from pipeline.providers.openai_answers import Asked, read_body, shape_of, spoken, unusable, usage_in
from pipeline.providers.openai_refusals import Refusal, error_of, request_id_of
from pipeline.providers.openai_terms import DIARIZED, JSON, SERVICE, VERBOSE, Terms, terms_of
from pipeline.providers.remote import Access, Line, Reply, Sound, Wish
from projections.engine import Engine
from projections.failures import AMBIGUOUS, LOCAL, NOT_SENT, REJECTED
from projections.money import ESTIMATED, Money

if TYPE_CHECKING:
    import httpx2
    import openai

    from pipeline.providers.base import Answer
    from pipeline.providers.services import Services

NAME = SERVICE

CONNECT_S = 10.0
ANSWER_BYTES_MAX = 64 << 20
"""A hundred times the largest answer to a chunk; beyond that it is something else, and memory is at stake."""

KNOWN_MAX = 4
KNOWN_S = (2.0, 10.0)
"""How many speakers can be shown, and how long their sounds may be. Source: OpenAI's known_speaker_references."""

NO_KEY = "no-key"
"""Sent to servers that need none: the client doesn't work without."""

_RATE_HZ = 16_000
_LOGGERS = ("openai", "httpx2", "httpcore2")


def usual_timeout_s(duration_s: float) -> float:
    """Return how long to wait for a service to take or give the next bytes, for a sound of so many seconds."""
    return 120.0 + 2.0 * duration_s


def make(context: Context) -> OpenAITranscriber:
    """Return the transcriber; the entry point."""
    return OpenAITranscriber(context.model, access=context.access, services=context.services)


class OpenAITranscriber:
    """Transcribes through a service that speaks OpenAI's API; called from several threads at once.

    Args:
        model: None: the service's default. The option `model` of a call goes before it.
        access: where the calls go, with which key.
        services: the tables of models and prices.
        timeout_s: how long to wait for the next bytes, and for the whole of an answer once it begins, by the
            seconds of sound.
        clock_s: seconds that never go back.
    """

    operation = "transcribe"

    def __init__(
        self,
        model: str | None,
        *,
        access: Access,
        services: Services,
        timeout_s: Callable[[float], float] = usual_timeout_s,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._access = access
        self._services = services
        self._timeout_s = timeout_s
        self._clock_s = clock_s
        self._own = endpoint_of(str(services.service(SERVICE)["url"]), source="services.toml")
        self._endpoint = endpoint_of(access.url, source=access.source) if access.url else self._own
        self.chunk_s = terms_of(services, model).chunk_s
        self._lock = threading.RLock()  # a signal's handler closes, perhaps in the middle of the same
        self._client: openai.OpenAI | None = None
        self._under_way = 0
        self._closed = False

    def engine(self) -> Engine:
        """Return the facts about this engine; imports nothing heavy and sends nothing."""
        terms = terms_of(self._services, self._model)
        is_free = self._is_free(terms)
        return Engine(
            name=NAME,
            version=1,
            key_options=("model", "language", *terms.texts),
            word_times=terms.word_times,
            speakers=terms.speakers,
            network=True,
            billable=not is_free,
            origin=self._endpoint.origin,
            account=self._access.account,
            model=terms.name,
            price=None if is_free else terms.price,
            facts={"format": terms.format},
            unprobed=not terms.known,
            shutdown_date=terms.facts.get("shutdown_date"),
            in_order=terms.speakers,
            takes_parts=terms.word_times and not terms.speakers,
            unit_s=self.chunk_s[0],
            prompt_tokens=terms.prompt_tokens if "prompt" in terms.texts else None,
            lacking=self._lacking(),
        )

    def concurrency(self) -> int:
        """Return how many calls may be under way at once: the user's number, else the service's."""
        return self._access.concurrency or int(self._services.service(SERVICE).get("concurrency", 1))

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return the fields of the request that decide the answer; sounds of known speakers by their digests."""
        known = [{"name": name, "pcm_sha256": sound.pcm_sha256} for name, sound in self._known(wish)]
        return {**self._fields(wish), **({"known_speakers": known} if known else {})}

    def ask(self, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Upload a sound and return the answer's body.

        Raises:
            ProviderError: see `openai_refusals`; `not_ready`, `too_long` and `too_large` before anything is sent.
            StoppedError: the user asked to stop, or the transcriber was closed, before anything was sent.
            OSError: the audio can't be read, see `read_parts`.
        """
        from pipeline.audio.soundfiles import encode_flac, read_parts

        terms = self._terms(wish)
        if problem := self._lacking():
            raise _error(problem, "not_ready", LOCAL)
        line.check()
        upload = encode_flac(read_parts(sound.path, sound.parts))
        _check_size(terms, sound, upload)
        fields: dict[str, Any] = {**self._fields(wish), **_references(self._known(wish))}
        fields["file"] = (f"{sound.pcm_sha256[:16]}.flac", upload, "audio/flac")
        with self._in_use() as client:
            line.progress("uploading and waiting for the answer")
            body, request_id = self._exchange(client, fields, sound.duration_s)
        usage = usage_in(body)
        if self._is_free(terms):
            return Reply(body, usage, Money(Decimal(0), "USD"), ESTIMATED, "", request_id)
        cost, basis = terms.cost(usage, sound.duration_s)
        return Reply(body, usage, cost, basis, terms.price.date if terms.price else "", request_id)

    def read(self, body: str, sound: Sound, wish: Wish) -> Answer:
        """Return what an answer says; see `openai_answers`.

        Raises:
            ProviderError: of kind `paid_unusable`.
        """
        terms = self._terms(wish)
        facts = self._facts(wish)
        asked = Asked(
            format=facts["format"],
            duration_s=sound.duration_s,
            must_time=bool(facts.get("word_times", terms.known)),
            language=_language(wish),
            max_output_tokens=terms.max_output_tokens,
        )
        heard = read_body(body, asked)
        metadata = {"model": terms.name, "format": asked.format, **heard.metadata}
        answer: Answer = {"language": heard.language, "words": [*spoken(heard)], "metadata": metadata}
        if asked.format == DIARIZED:
            answer["turns"] = [{"start_s": start, "end_s": end, "speaker": who} for start, end, who in heard.turns]
        return answer

    def trials(self) -> Sequence[Mapping[str, Any]]:
        """Return the ways to ask a model that isn't known; a server that refuses one says so at no cost."""
        return ({"format": VERBOSE}, {"format": VERBOSE, "granularities": False}, {"format": JSON})

    def judge(self, body: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the facts of a trial with what its answer shows."""
        word_times, speakers = shape_of(body)
        return {**facts, "word_times": word_times, "speakers": speakers and facts.get("format") == DIARIZED}

    def close(self) -> None:
        """Let no other call begin, and let go of the client once those under way have ended."""
        with self._lock:
            self._closed = True
        self._let_go()

    # What is asked

    def _terms(self, wish: Wish) -> Terms:
        return terms_of(self._services, wish.options.get("model") or self._model)

    def _facts(self, wish: Wish) -> Mapping[str, Any]:
        return {"format": self._terms(wish).format, **wish.facts}

    def _fields(self, wish: Wish) -> dict[str, Any]:
        terms, facts, language = self._terms(wish), self._facts(wish), _language(wish)
        fields: dict[str, Any] = {"model": terms.name, "response_format": facts["format"]}
        if facts["format"] == VERBOSE and facts.get("granularities", True):
            # Segments cost no time and say what to do where a server leaves out the words.
            fields["timestamp_granularities"] = ["word", "segment"]
        if facts["format"] == DIARIZED:
            fields["chunking_strategy"] = "auto"
        if language and terms.facts.get("several_languages"):
            fields["languages"] = [language]
        elif language:
            fields["language"] = language
        return fields | {name: said for name in terms.texts if (said := wish.options.get(name))}

    def _known(self, wish: Wish) -> list[tuple[str, Sound]]:
        """Return the speakers that can be shown, in their order."""
        if self._facts(wish)["format"] != DIARIZED:
            return []
        fit = [(name, s) for name, s in wish.known.items() if KNOWN_S[0] <= s.duration_s <= KNOWN_S[1]]
        return fit[:KNOWN_MAX]

    def _is_free(self, terms: Terms) -> bool:
        return terms.is_free or (self._endpoint.is_loopback and not terms.known)

    def _lacking(self) -> str | None:
        """Say in one line what keeps this provider from working, with the remedy; None: nothing."""
        access, endpoint = self._access, self._endpoint
        if access.problem or endpoint.problem:
            return access.problem or endpoint.problem
        if access.key is None and endpoint.origin == self._own.origin:
            return (
                f"{endpoint.origin} needs a key: set the variable OPENAI_API_KEY, or have it asked for with "
                "`evt config set openai.api_key`."
            )
        key = access.key.reveal() if access.key else ""
        if any(not "!" <= char <= "~" for char in key):
            return f"What {access.source or 'the settings'} holds is no key: a key is ASCII without white space."
        return None

    # The way there and back

    @contextmanager
    def _in_use(self) -> Iterator[openai.OpenAI]:
        with self._lock:
            if self._closed:
                raise StoppedError("Transcription was stopped.")
            client = self._client = self._client or self._connected()
            self._under_way += 1
        try:
            yield client
        finally:
            with self._lock:
                self._under_way -= 1
            self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            client = self._client if self._closed and not self._under_way else None
            self._client = None if client else self._client
        if client is not None:
            client.close()

    def _connected(self) -> openai.OpenAI:
        import httpx2
        import openai

        for name in _LOGGERS:  # the variable OPENAI_LOG would have them tell what was asked
            logging.getLogger(name).setLevel(logging.WARNING)
        problem = ""
        try:
            http = httpx2.Client(
                timeout=httpx2.Timeout(CONNECT_S),
                limits=httpx2.Limits(max_keepalive_connections=0),
                follow_redirects=False,
                trust_env=not self._endpoint.is_loopback,
            )
        except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
            problem = type(error).__name__
        if problem:
            how = "Check the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
            raise _error(f"The proxy or the certificates can't be used ({problem}). {how}.", "not_ready", LOCAL)
        key = self._key() or NO_KEY
        return openai.OpenAI(
            api_key=key,
            base_url=self._endpoint.url,
            max_retries=0,
            http_client=http,
            # Else OPENAI_CUSTOM_HEADERS could put another key in the place of this one.
            default_headers={"Authorization": f"Bearer {key}"},
        )

    def _exchange(
        self, client: openai.OpenAI, fields: Mapping[str, Any], duration_s: float
    ) -> tuple[str, str | None]:
        """Send a request and return the body of its answer and the service's name for the request."""
        import httpx2
        import openai

        wait_s = self._timeout_s(duration_s)
        timeout = httpx2.Timeout(wait_s, connect=min(CONNECT_S, wait_s))
        create: Any = client.audio.transcriptions.with_streaming_response.create
        try:
            with create(**fields, timeout=timeout) as response:
                body = self._read_within(response.iter_bytes(), wait_s)
                return body, request_id_of(_lowered(response.headers), self._key())
        except openai.APIStatusError as error:
            failure = self._refused(error.response, str(fields["model"]))
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            failure = self._broken(error, wait_s)
        raise failure  # out here, so that the client's error, which may quote the key, is no part of its chain

    def _read_within(self, blocks: Iterator[bytes], wait_s: float) -> str:
        """Return a body that comes in time and fits in memory; the client's time-outs hold for each block only."""
        begun_s, body = self._clock_s(), bytearray()
        for block in blocks:
            body += block
            if len(body) > ANSWER_BYTES_MAX:
                raise unusable(f"it is longer than {ANSWER_BYTES_MAX} bytes")
            if self._clock_s() - begun_s > wait_s:
                raise self._timed_out(wait_s)
        return body.decode("utf-8", "replace")

    def _refused(self, response: httpx2.Response, model: str) -> ProviderError:
        refusal = Refusal(
            origin=self._endpoint.origin,
            model=model,
            status=response.status_code,
            headers=_lowered(response.headers),
            text=response.text,
            bills_server_errors=bool(self._services.service(SERVICE).get("bills_server_errors", True)),
            source=self._access.source,
        )
        return error_of(refusal, self._key(), time.time())

    def _broken(self, error: Exception, wait_s: float) -> ProviderError:
        """Return what it means that the exchange ended without an answer."""
        import httpx2

        cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__
        before_sending = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        where = self._endpoint.origin
        if isinstance(cause, (*before_sending, httpx2.UnsupportedProtocol)):
            how = "Check the network and the service's URL; nothing was sent"
            return _error(f"{where} can't be reached ({type(cause).__name__}). {how}.", "unreachable", NOT_SENT)
        if isinstance(cause, httpx2.TimeoutException):
            return self._timed_out(wait_s)
        how = "it may have been accepted and billed"
        return _error(
            f"The connection to {where} broke before the answer was there; {how}.", "no_answer", AMBIGUOUS
        )

    def _timed_out(self, wait_s: float) -> ProviderError:
        message = f"{self._endpoint.origin} gave no whole answer within {wait_s:.0f} s; it may have been billed."
        return _error(message, "timed_out", AMBIGUOUS)

    def _key(self) -> str:
        return self._access.key.reveal() if self._access.key else ""


def _language(wish: Wish) -> str | None:
    language = wish.options.get("language")
    return None if language in (None, "", "auto") else str(language)


def _check_size(terms: Terms, sound: Sound, upload: bytes) -> None:
    """Refuse here what the service would refuse after the upload."""
    if terms.max_seconds is not None and sound.duration_s > terms.max_seconds:
        said = f"The model {terms.name} takes {terms.max_seconds:g} s at once, and this is {sound.duration_s:.1f} s"
        raise _error(f"{said}; shorter chunks are the remedy.", "too_long", REJECTED)
    if len(upload) > terms.max_bytes:
        said = f"The service takes {terms.max_bytes} bytes at once, and this is {len(upload)}"
        raise _error(f"{said}; shorter chunks are the remedy.", "too_large", REJECTED)


def _references(known: Sequence[tuple[str, Sound]]) -> dict[str, Any]:
    """Return the sounds of known speakers as the service takes them."""
    from pipeline.audio.soundfiles import encode_flac, read_parts

    if not known:
        return {}
    files = [encode_flac(read_parts(sound.path, sound.parts)) for _, sound in known]
    return {
        "known_speaker_names": [name for name, _ in known],
        "known_speaker_references": [f"data:audio/flac;base64,{b64encode(file).decode()}" for file in files],
    }


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _error(message: str, code: str, kind: str) -> ProviderError:
    again = kind in {NOT_SENT, AMBIGUOUS}
    return ProviderError(message, provider=NAME, code=code, kind=kind, retryable=again)

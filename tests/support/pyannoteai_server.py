"""pyannoteAI's API on loopback: media, jobs that go on by the clock or by looks, their list, and what can go wrong.

Answers follow from the samples alone: equal audio and parameters give equal turns. A job is billed when it
succeeds, by the shipped prices, under the digest of its samples and parameters; failed and canceled jobs are free.
A job that is due ends with the next request, whatever that is, or with `settle`.
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import soundfile
from attrs import define, frozen
from numpy.typing import NDArray

from pipeline.providers.services import load_services
from tests.support.service import Charge, Meter, Request, Response, Service, fingerprint, serve_until_told

RATE = 16_000
DAY_S = 24 * 3600.0

FAILED, CANCELED, ENDLESS, OUTPUT_GONE, UNKNOWN = "failed", "canceled", "endless", "output_gone", "unknown"
"""What may become of a job: two free ends, none, and two in which the result was made, is billed, and is gone."""

Samples = NDArray[np.int16]
Turns = list[tuple[float, float, str]]
"""(start, end, speaker) each, in seconds."""

WORDS = (
    "so",
    "we",
    "said",
    "that",
    "there",
    "was",
    "nothing",
    "left",
    "to",
    "do",
    "but",
    "wait",
    "and",
    "see",
    "what",
)

_COMMON = {"url", "model", "webhook", "webhookStatusOnly"}
_DIARIZE = {"numSpeakers", "minSpeakers", "maxSpeakers", "turnLevelConfidence", "exclusive", "confidence"}
FIELDS = {
    "/v1/diarize": _COMMON | _DIARIZE | {"transcription", "transcriptionConfig"},
    "/v1/identify": _COMMON | _DIARIZE | {"voiceprints", "matching"},
    "/v1/voiceprint": _COMMON,
}
"""What each submit may hold."""


@frozen
class JobFault:
    """A rule: what becomes of the n-th job (from 1) of an endpoint; `nth` None: of every one."""

    kind: str
    nth: int | None = None
    endpoint: str = "/v1/*"


@define
class Job:
    """A job. `is_ours` is false for one of another program that uses the account: it isn't on the meter."""

    id: str
    key: str
    endpoint: str
    content: Mapping[str, Any]
    created_s: float
    media: bytes | None
    fate: str = ""
    is_ours: bool = True
    turns: Turns | None = None
    looks: int = 0
    status: str = "pending"
    output: dict[str, Any] | None = None
    ended_s: float = 0.0


@frozen
class Upload:
    """A presigned address."""

    key: str
    media: str
    until_s: float


class PyannoteAI(Service):
    """The service; its attributes may be changed at any time.

    Attributes:
        speak: samples → turns.
        work_s, looks: a job ends when it is so old, on the clock, and was looked at so often.
        list_lag_s: a job is in the list only after so long.
        upload_valid_s: how long a presigned address holds.
        keys: the keys that are good; None: any.
        has_credit: without it, submits get 402.
        rates: requests a minute of one key: (of each endpoint that submits or uploads, of reads); None: no limits.
        job_faults: the first that applies to a job decides what becomes of it.
        jobs: all jobs by id, in the order of their creation.
    """

    def __init__(
        self,
        *,
        speak: Callable[[Samples], Turns] | None = None,
        work_s: float = 0.0,
        looks: int = 0,
        list_lag_s: float = 0.0,
        upload_valid_s: float = 3600.0,
        keys: set[str] | None = None,
        rates: tuple[int, int] | None = None,
        job_faults: Sequence[JobFault] = (),
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.speak = speak or spoken_turns
        self.work_s, self.looks, self.list_lag_s = work_s, looks, list_lag_s
        self.upload_valid_s, self.keys, self.rates = upload_valid_s, keys, rates
        self.has_credit = True
        self.job_faults = list(job_faults)
        self.jobs: dict[str, Job] = {}
        self._media: dict[tuple[str, str], bytes] = {}
        self._uploads: dict[str, Upload] = {}
        self._times: dict[tuple[str, str], list[float]] = {}
        self._services = load_services()
        self._turn = threading.RLock()

    def add_foreign(self, key: str, sound: Path | None = None, turns: Turns | None = None, **changes: Any) -> Job:
        """Let another program submit a job for the same account, with a sound of its own or with these turns."""
        with self._turn:
            media = sound.read_bytes() if sound else None
            content = {"url": "media://other", "model": "precision-2", "exclusive": True, **changes}
            return self._accept(key, "/v1/diarize", content, media, is_ours=False, turns=turns)

    def settle(self) -> None:
        """Let every job that is due end and be billed; do this before the meter is read."""
        with self._turn:
            for job in self.jobs.values():
                self._move(job)

    def answer(self, request: Request) -> Response:
        """Answer as the API does."""
        with self._turn:
            self.settle()
            if request.path.startswith("/upload/"):
                return self._put(request)
            if not request.key or (self.keys is not None and request.key not in self.keys):
                return Response(401, {"message": "Unauthorized"})
            headers, wait_s = self._rate(request)
            if wait_s:
                body = {"requestId": f"req-{request.number}", "message": "Too many requests"}
                return Response(429, body, {**headers, "Retry-After": str(wait_s)})
            response = self._route(request)
            return Response(response.status, response.body, {**headers, **response.headers})

    def _route(self, request: Request) -> Response:
        if request.endpoint == "GET /v1/test":
            return Response(200, {"status": "OK", "message": "Your API key is valid."})
        if request.endpoint == "POST /v1/media/input":
            return self._presign(request)
        if request.method == "POST" and request.path in FIELDS:
            return self._submit(request)
        if request.endpoint == "GET /v2/jobs":
            return self._list(request)
        if found := re.fullmatch(r"GET /v1/jobs/([\w-]+)", request.endpoint):
            return self._show(found[1], request.key)
        return Response(404, {"message": f"Cannot {request.endpoint}"})

    def _presign(self, request: Request) -> Response:
        media = _json(request.body).get("url")
        if not isinstance(media, str) or not re.fullmatch(r"media://[a-zA-Z0-9\-_./]{1,247}", media):
            return _invalid("url", "must be like media://key")
        token = secrets.token_hex(16)
        self._uploads[token] = Upload(request.key, media, self.clock.now_s() + self.upload_valid_s)
        return Response(201, {"url": f"{self.url}/upload/{token}?X-Amz-Signature={secrets.token_hex(32)}"})

    def _put(self, request: Request) -> Response:
        """Do what the storage behind the presigned addresses does, which is another service: S3."""
        upload = self._uploads.get(request.path.removeprefix("/upload/"))
        if request.method != "PUT" or upload is None:
            return _storage(403, "SignatureDoesNotMatch")
        if "authorization" in request.headers:
            return _storage(400, "InvalidArgument")
        if "content-length" not in request.headers:
            return _storage(411, "MissingContentLength")
        if self.clock.now_s() > upload.until_s:
            return _storage(403, "AccessDenied")
        self._media[upload.key, upload.media] = request.body
        return Response(200)

    def _submit(self, request: Request) -> Response:
        content = _json(request.body)
        if problem := _problem(request.path, content):
            return _invalid(*problem)
        if not self.has_credit:
            return Response(402, {"message": "Subscription required, or the budget is used up."})
        media = self._media.get((request.key, content["url"]))
        job = self._accept(request.key, request.path, content, media)
        request.notes["job"] = job.id
        return Response(200, {"jobId": job.id, "status": "created"})

    def _accept(self, key: str, endpoint: str, content: Mapping[str, Any], media: bytes | None, **more: Any) -> Job:
        job = Job(f"job-{secrets.token_hex(6)}", key, endpoint, content, self.clock.now_s(), media, **more)
        number = sum(other.is_ours and other.endpoint == endpoint for other in self.jobs.values()) + 1
        if job.is_ours:
            meant = (f for f in self.job_faults if fnmatchcase(endpoint, f.endpoint) and f.nth in (None, number))
            job.fate = next((fault.kind for fault in meant), "")
        self.jobs[job.id] = job
        return job

    def _show(self, job_id: str, key: str) -> Response:
        job = self.jobs.get(job_id)
        if job is None or job.key != key:
            return Response(404, {"message": "Job not found"})
        job.looks += 1
        self._move(job)
        if job.fate == UNKNOWN and job.status == "succeeded":
            return Response(404, {"message": "Job not found"})
        shown: dict[str, Any] = {"jobId": job.id, "status": job.status, "createdAt": _iso(job.created_s)}
        shown["updatedAt"] = _iso(job.ended_s or job.created_s)
        if job.ended_s:
            is_gone = job.fate == OUTPUT_GONE or self.clock.now_s() > job.ended_s + DAY_S
            shown["output"] = None if is_gone else job.output
        return Response(200, shown)

    def _list(self, request: Request) -> Response:
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        limit = int(query.get("limit", 10))
        if not 1 <= limit <= 100:
            return _invalid("limit", "must be from 1 to 100")
        now_s = self.clock.now_s()
        mine = [
            job
            for job in reversed(self.jobs.values())
            if job.key == request.key
            and job.created_s + self.list_lag_s <= now_s
            and query.get("status") in (None, job.status)
        ]
        mine.sort(key=lambda job: -job.created_s)
        start = _cursor_place(mine, query.get("cursor"))
        page = mine[start : start + limit]
        more = start + limit < len(mine)
        items = [{"id": job.id, "status": job.status, "createdAt": _iso(job.created_s)} for job in page]
        return Response(200, {"items": items, "nextCursor": _cursor(page[-1]) if more else None})

    def _move(self, job: Job) -> None:
        """Bring a job to where it is by now; it is billed when it succeeds."""
        if job.ended_s or job.fate == ENDLESS:
            job.status = "running" if job.fate == ENDLESS and job.looks > 1 else job.status
            return
        age_s = self.clock.now_s() - job.created_s
        needed = self.looks if job.is_ours else 0
        if age_s < self.work_s or job.looks < needed:
            job.status = "running" if job.looks > 1 or age_s * 2 >= self.work_s > 0 else "pending"
            return
        job.ended_s = self.clock.now_s()
        if job.fate in (FAILED, CANCELED):
            job.status = job.fate
            job.output = {"error": "Could not load audio"} if job.fate == FAILED else None
        else:
            self._succeed(job)
        job.media = None

    def _succeed(self, job: Job) -> None:
        samples = _decoded(job.media) if job.turns is None else np.zeros(0, np.int16)
        if samples is None or (job.endpoint == "/v1/voiceprint" and len(samples) > 30 * RATE):
            job.status, job.output = "failed", {"error": "Could not load audio"}
            return
        job.status = "succeeded"
        job.output = _output(job, samples, job.turns if job.turns is not None else self.speak(samples))
        if job.is_ours:
            self._bill(job, samples)

    def _bill(self, job: Job, samples: Samples) -> None:
        kind = "identification_price" if job.endpoint == "/v1/identify" else "price"
        kind = "transcription_price" if job.content.get("transcription") else kind
        model = str(job.content.get("model", "precision-2"))
        price = self._services.price("pyannoteai", model, kind)
        assert price is not None, f"{model} has a {kind}"
        decides = {name: value for name, value in job.content.items() if name not in ("url", "webhook")}
        of = [job.endpoint, sha256(samples.astype("<i2").tobytes()).hexdigest(), decides]
        request = sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
        seconds = len(samples) / RATE
        cost = price.expected(seconds)
        who = fingerprint(job.key)
        self.meter.charge(
            Charge(request, who, model, seconds, cost.amount, cost.currency, self.clock.now_s(), job.id)
        )

    def _rate(self, request: Request) -> tuple[dict[str, str], int]:
        """Return the headers that tell the rate, and how long to wait where it is used up."""
        is_read = request.method == "GET"
        limit = (self.rates or (100, 300))[is_read]
        times = self._times.setdefault((request.key, "reads" if is_read else request.path), [])
        now_s = self.clock.now_s()
        times[:] = [time_s for time_s in times if time_s > now_s - 60]
        wait_s = 0
        if self.rates and len(times) >= limit:
            wait_s = max(1, round(times[-limit] + 60 - now_s))
        else:
            times.append(now_s)
        left = max(0, limit - len(times))
        reset = str(int(now_s + 60))  # the epoch by one snapshot of the reference, seconds by the other
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": reset,
        }, wait_s


def spoken_turns(samples: Samples) -> Turns:
    """Return a turn for each stretch of sound between pauses; who speaks follows from a hash of its samples."""
    turns: Turns = []
    for first, end in _loud(samples):
        for start in range(first, end, 800):
            stop = min(start + 800, end)
            voice = sha256(samples[start * 160 : stop * 160].astype("<i2").tobytes()).digest()[0] % 2
            turns.append((start / 100, stop / 100, f"SPEAKER_{voice:02d}"))
    return turns


def _loud(samples: Samples) -> list[tuple[int, int]]:
    """Return the stretches, in frames of 10 ms, that are not far below the loud ones; short pauses are none."""
    count = len(samples) // 160
    if not count:
        return []
    levels = np.empty(count, np.float32)
    for at in range(0, count, 6000):
        frames = samples[at * 160 : min(at + 6000, count) * 160].reshape(-1, 160).astype(np.float32)
        levels[at : at + len(frames)] = 10 * np.log10(np.mean(frames * frames, axis=1) + 1)
    loud = levels > max(float(np.percentile(levels, 95)) - 25, 20.0)
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    joined: list[list[int]] = []
    for first, end in edges.tolist():
        if joined and first - joined[-1][1] < 30:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    return [(first, end) for first, end in joined if end - first >= 20]


def _output(job: Job, samples: Samples, turns: Turns) -> dict[str, Any]:
    if job.endpoint == "/v1/voiceprint":
        return {"voiceprint": base64.b64encode(sha256(samples.tobytes()).digest() * 8).decode()}
    content = job.content
    speakers = sorted({speaker for _, _, speaker in turns})
    output: dict[str, Any] = {"diarization": [_turn(turn, speakers, content) for turn in turns]}
    if content.get("exclusive"):
        output["exclusiveDiarization"] = [_turn(turn, speakers, content) for turn in _without_overlaps(turns)]
    if content.get("transcription"):
        words = _words(turns)
        output["wordLevelTranscription"] = words
        output["turnLevelTranscription"] = [
            {"start": start, "end": end, "speaker": who, "text": _text(words, start, end)}
            for start, end, who in turns
        ]
    if job.endpoint == "/v1/identify":
        labels = [item["label"] for item in content["voiceprints"]]
        match = dict(zip(speakers, labels, strict=False))
        output["voiceprints"] = [
            {"speaker": who, "match": match.get(who), "confidence": dict.fromkeys(labels, 60)} for who in speakers
        ]
        output["identification"] = [
            {
                "start": start,
                "end": end,
                "speaker": match.get(who, who),
                "diarizationSpeaker": who,
                "match": match.get(who),
            }
            for start, end, who in turns
        ]
    return output


def _turn(turn: tuple[float, float, str], speakers: list[str], content: Mapping[str, Any]) -> dict[str, Any]:
    start, end, who = turn
    found: dict[str, Any] = {"speaker": who, "start": start, "end": end}
    if content.get("turnLevelConfidence"):
        found["confidence"] = {speaker: 90 if speaker == who else 10 for speaker in speakers}
    return found


def _without_overlaps(turns: Turns) -> Turns:
    found: Turns = []
    for start, end, who in turns:
        begin = max(start, found[-1][1]) if found else start
        if end > begin:
            found.append((begin, end, who))
    return found


def _words(turns: Turns) -> list[dict[str, Any]]:
    """Return words about 0.4 s long; which ones follows from the length of each turn."""
    words = []
    for start, end, who in _without_overlaps(turns):
        count = max(1, round((end - start) / 0.4))
        for number in range(count):
            at, to = (start + (end - start) * n / count for n in (number, number + 1))
            text = WORDS[(round((end - start) * 100) + number) % len(WORDS)]
            words.append({"text": text, "start": round(at, 3), "end": round(to, 3), "speaker": who})
    return words


def _text(words: list[dict[str, Any]], start: float, end: float) -> str:
    return " ".join(word["text"] for word in words if start <= word["start"] < end)


def _problem(endpoint: str, content: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with a submit: (field, message); None: nothing."""
    if not re.fullmatch(r"media://[a-zA-Z0-9\-_./]{1,247}|https://.+", str(content.get("url"))):
        return "url", "must be a URL"
    if unknown := sorted(content.keys() - FIELDS[endpoint]):
        return unknown[0], "property should not exist"
    for name in ("numSpeakers", "minSpeakers", "maxSpeakers"):
        if name in content and (type(content[name]) is not int or content[name] < 1):
            return name, "must be an integer of 1 or more"
    model = content.get("model", "precision-2")
    if model not in ("precision-2", "community-1"):
        return "model", "must be one of precision-2, community-1"
    if model != "precision-2" and (content.get("transcription") or endpoint == "/v1/identify"):
        return "model", "must be precision-2"
    chosen = content.get("transcriptionConfig", {}).get("model", "parakeet-tdt-0.6b-v3")
    if chosen not in ("parakeet-tdt-0.6b-v3", "faster-whisper-large-v3-turbo"):
        return "transcriptionConfig.model", "must be one of two"
    if endpoint == "/v1/identify" and not _are_voiceprints(content.get("voiceprints")):
        return "voiceprints", "must be 1 to 50 voiceprints"
    return None


def _are_voiceprints(given: Any) -> bool:
    return (
        isinstance(given, list)
        and 1 <= len(given) <= 50
        and all(
            0 < len(item["label"]) <= 100
            and not item["label"].startswith("SPEAKER_")
            and len(item["voiceprint"]) <= 20_000
            for item in given
        )
    )


def _decoded(media: bytes | None) -> Samples | None:
    try:
        samples, rate = soundfile.read(io.BytesIO(media or b""), dtype="int16")
    except soundfile.LibsndfileError:
        return None
    return samples if rate == RATE and samples.ndim == 1 else None


def _cursor(job: Job) -> str:
    return base64.b64encode(job.id.encode()).decode()


def _cursor_place(jobs: list[Job], cursor: str | None) -> int:
    return next((place + 1 for place, job in enumerate(jobs) if cursor == _cursor(job)), 0)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _invalid(field: str, message: str) -> Response:
    return Response(400, {"message": "Bad request", "errors": [{"field": field, "message": message}]})


def _storage(status: int, code: str) -> Response:
    signed = "<StringToSign>AWS4-HMAC-SHA256 canary-of-the-signature</StringToSign>"
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message>{signed}</Error>'
    return Response(status, body, {"Content-Type": "application/xml"})


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    serve_until_told(PyannoteAI(meter=Meter(Path(sys.argv[1])) if len(sys.argv) > 1 else None))

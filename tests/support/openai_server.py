"""A loopback server that speaks OpenAI's transcriptions: every model of the services' data, its rules and its bill.

What it hears is made up from the samples alone, so equal sound gives equal words whatever it is part of. Run as a
program it serves until its standard input ends: `python -m tests.support.openai_server --meter charges.jsonl`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from attrs import frozen

from pipeline.providers.services import Services, load_services
from tests.support.service import (
    Charge,
    Clock,
    Fault,
    Meter,
    Request,
    Response,
    Service,
    fingerprint,
    serve_until_told,
)

TRANSCRIBE = "POST /v1/audio/transcriptions"
RATE_HZ = 16_000
BODY_MAX = 26_214_400
BLOCK = RATE_HZ // 2
LOUD = 200
"""A half second whose loudest sample is below this is silence."""

AUDIO_TOKENS_PER_S = 10
SYLLABLES = ("ka", "lo", "mi", "ner", "tu", "sal", "ve", "dor", "pi", "gan", "ru", "hest", "zo", "lim", "fa", "wen")

Spoken = tuple[str, float, float, str]
"""A word, its start and end in seconds, and who says it."""


@frozen
class Form:
    """A decoded multipart body: values by name, in order, and the one file."""

    values: Mapping[str, list[str]]
    file_name: str
    file: bytes

    def one(self, name: str) -> str | None:
        """Return the value of a field; None where it wasn't sent."""
        return next(iter(self.values.get(name, [])), None)

    def many(self, name: str) -> list[str]:
        return list(self.values.get(f"{name}[]", []))


class _RefusedError(Exception):
    """The request breaks a rule; the response says which."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response


def problem(status: int, message: str, *, kind: str = "invalid_request_error", **fields: Any) -> Response:
    """Return an answer as OpenAI refuses: {"error": {message, type, param, code}}."""
    return Response(status, {"error": {"message": message, "type": kind, "param": None, "code": None} | fields})


def speak(pcm: bytes) -> list[Spoken]:
    """Make up one word for each half second that is no silence; who speaks may change after a silence."""
    samples = np.frombuffer(pcm, "<i2")
    words: list[Spoken] = []
    voice, silent = "v0", True
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK]
        if np.abs(block.astype(np.int32)).max(initial=0) < LOUD:
            silent = True
            continue
        digest = sha256(block.tobytes()).digest()
        voice = f"v{digest[0] % 2}" if silent else voice
        word = "".join(SYLLABLES[byte % len(SYLLABLES)] for byte in digest[1 : 2 + digest[0] % 3])
        words.append((word, start / RATE_HZ, (start + len(block)) / RATE_HZ, voice))
        silent = False
    return words


def sentences(words: Sequence[Spoken]) -> list[list[Spoken]]:
    """Cut where the voice changes, at gaps, and after eight words."""
    cut: list[list[Spoken]] = []
    for word in words:
        last = cut[-1][-1] if cut else None
        if last is None or last[3] != word[3] or word[1] - last[2] > 0.01 or len(cut[-1]) == 8:
            cut.append([])
        cut[-1].append(word)
    return cut


def written(sentence: Sequence[Spoken]) -> str:
    """Return a sentence with a capital, a comma after its third word, and a full stop."""
    texts = [word[0] for word in sentence]
    if len(texts) > 3:
        texts[2] += ","
    return " ".join([texts[0].capitalize(), *texts[1:]]) + "."


class OpenAIServer(Service):
    """Stands in for https://api.openai.com; `url` with `/v1` behind it is its base URL, see `base_url`.

    Args:
        services: the tables whose rules and prices hold here.
        models: more models, or other facts about the same, as in those tables; without a price they are free.
        keys: the keys that are taken; None: any that isn't empty.
        hear: what is said in mono, 16 kHz, s16le samples.
        latency_s: between acceptance and answer.
    """

    def __init__(
        self,
        *,
        services: Services | None = None,
        models: Mapping[str, Mapping[str, Any]] | None = None,
        keys: frozenset[str] | None = None,
        hear: Callable[[bytes], list[Spoken]] = speak,
        latency_s: float = 0.0,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        clock: Clock | None = None,
        meter: Meter | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(faults=faults, seed=seed, clock=clock, meter=meter, port=port)
        self._services = services or load_services()
        self._models = {**self._services.service("openai")["models"], **(models or {})}
        self._keys = keys
        self._hear = hear
        self._latency_s = latency_s

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def answer(self, request: Request) -> Response:
        headers = {"x-request-id": f"req_{request.number:06d}"}
        try:
            answered = self._answer(request)
        except _RefusedError as refused:
            answered = refused.response
        return Response(answered.status, answered.body, {**answered.headers, **headers})

    def _answer(self, request: Request) -> Response:
        if not request.key or (self._keys is not None and request.key not in self._keys):
            said = f"Incorrect API key provided: {request.key}. You can find your API key in your account."
            return problem(401, said, code="invalid_api_key")
        if request.endpoint == "GET /v1/models":
            return Response(200, {"object": "list", "data": [self._listed(name) for name in self._models]})
        if request.endpoint != TRANSCRIBE:
            return problem(404, f"Invalid URL ({request.endpoint})")
        if len(request.body) > BODY_MAX:
            said = f"413: Maximum content size limit ({BODY_MAX}) exceeded ({len(request.body)} bytes read)"
            return problem(413, said, kind="server_error")
        return self._transcribe(request, parse_form(request.headers.get("content-type", ""), request.body))

    def _listed(self, name: str) -> dict[str, Any]:
        dated = {key: value for key, value in self._models[name].items() if key == "shutdown_date"}
        return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "openai", **dated}

    def _transcribe(self, request: Request, form: Form) -> Response:
        request.notes |= {"fields": dict(form.values), "file_name": form.file_name}
        name = form.one("model") or ""
        model = self._models.get(name)
        if model is None:
            return problem(404, f"The model `{name}` does not exist", code="model_not_found")
        _check_fields(form, name, model)
        pcm, seconds = decode(form.file)
        known = [decode(_from_data_url(url)) for url in form.many("known_speaker_references")]
        _check_sound(form, name, model, seconds, [length for _, length in known])
        request.notes["seconds"] = seconds
        words = self._hear(pcm)
        usage, kept = _usage(model, seconds, words)
        self._bill(request, name, model, seconds, usage, _digest(pcm, form, [sound for sound, _ in known]))
        if self._latency_s:
            self.closing.wait(self._latency_s)
        voices = dict(zip(form.many("known_speaker_names"), (sound for sound, _ in known), strict=True))
        return self._worded(form, model, kept, seconds, usage, voices)

    def _bill(
        self, request: Request, name: str, model: Mapping[str, Any], seconds: float, usage: Any, digest: str
    ) -> None:
        amount, currency = Decimal(0), "USD"
        if price := Services({**self._services.content, "openai": {"models": self._models}}).price("openai", name):
            amount, currency = price.expected(seconds).amount, price.currency
        if "tokens" in model:
            amount = token_cost(model["tokens"], usage)
        self.meter.charge(
            Charge(digest, fingerprint(request.key), name, seconds, amount, currency, self.clock.now_s())
        )

    def _worded(
        self,
        form: Form,
        model: Mapping[str, Any],
        words: Sequence[Spoken],
        seconds: float,
        usage: Mapping[str, Any],
        voices: Mapping[str, bytes],
    ) -> Response:
        said = sentences(words)
        text = " ".join(written(sentence) for sentence in said)
        match form.one("response_format") or "json":
            case "json":
                languages = {"languages": [{"code": "en"}] if words else []} if "several_languages" in model else {}
                return Response(200, {"text": text, **languages, "usage": usage})
            case "verbose_json":
                return Response(200, _verbose(form, said, text, seconds, usage))
            case "diarized_json":
                names = {_main_voice(self._hear(sound)): name for name, sound in voices.items()}
                return Response(200, _diarized(said, text, seconds, usage, names))
        return Response(200, text, {"Content-Type": "text/plain; charset=utf-8"})


def _verbose(
    form: Form, said: Sequence[Sequence[Spoken]], text: str, seconds: float, usage: Mapping[str, Any]
) -> dict[str, Any]:
    wanted = form.many("timestamp_granularities") or ["segment"]
    body: dict[str, Any] = {"task": "transcribe", "language": "english", "duration": seconds, "text": text}
    if "segment" in wanted:
        body["segments"] = [
            {"id": index, "seek": 0, "start": part[0][1], "end": part[-1][2], "text": f" {written(part)}"}
            | {"tokens": [], "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.2}
            | {"no_speech_prob": 0.01}
            for index, part in enumerate(said)
        ]
    if "word" in wanted:
        texts = [(written(part).translate({44: "", 46: ""}).split(), part) for part in said]
        body["words"] = [
            {"word": text, "start": word[1], "end": word[2]}
            for found, part in texts
            for text, word in zip(found, part, strict=True)
        ]
    return body | {"usage": usage}


def _diarized(
    said: Sequence[Sequence[Spoken]],
    text: str,
    seconds: float,
    usage: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, Any]:
    voices = dict(names)
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    segments = []
    for index, part in enumerate(said):
        if part[0][3] not in voices:
            voices[part[0][3]] = next(letters)
        segments.append(
            {"id": f"seg_{index}", "type": "transcript.text.segment", "start": part[0][1], "end": part[-1][2]}
            | {"text": written(part), "speaker": voices[part[0][3]]}
        )
    return {"task": "transcribe", "duration": seconds, "text": text, "segments": segments, "usage": usage}


def _main_voice(words: Sequence[Spoken]) -> str:
    heard = Counter(word[3] for word in words).most_common(1)
    return heard[0][0] if heard else ""


def _usage(
    model: Mapping[str, Any], seconds: float, words: Sequence[Spoken]
) -> tuple[dict[str, Any], Sequence[Spoken]]:
    """Return what is counted, and the words that are left where the model's output ends, silently."""
    if "tokens" not in model:
        return {"type": "duration", "seconds": math.ceil(seconds)}, words
    kept = words[: int(model.get("max_output_tokens", 10**9))]
    audio = math.ceil(seconds * AUDIO_TOKENS_PER_S)
    counted = {"audio_tokens": audio, "text_tokens": 0}
    usage = {"type": "tokens", "input_tokens": audio, "input_token_details": counted, "output_tokens": len(kept)}
    return {**usage, "total_tokens": audio + len(kept)}, kept


def token_cost(tokens: Mapping[str, str], usage: Mapping[str, Any]) -> Decimal:
    """Return what the counted tokens come to."""
    details = usage["input_token_details"]
    counts = (details["audio_tokens"], details["text_tokens"], usage["output_tokens"])
    rates = (tokens[name] for name in ("audio_in_per_million", "text_in_per_million", "out_per_million"))
    million = Decimal(1_000_000)
    amount = sum((count * Decimal(rate) / million for count, rate in zip(counts, rates, strict=True)), Decimal(0))
    return amount.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def _refuse(message: str, **fields: Any) -> None:
    raise _RefusedError(problem(400, message, **fields))


def _check_fields(form: Form, name: str, model: Mapping[str, Any]) -> None:
    wanted = form.one("response_format") or "json"
    if wanted not in model.get("formats", ["json"]):
        said = f"response_format '{wanted}' is not compatible with model '{name}'. Use 'json' or 'text' instead."
        _refuse(said, code="unsupported_value", param="response_format")
    granularities = form.many("timestamp_granularities")
    if granularities and (wanted != "verbose_json" or not model.get("word_times")):
        said = "timestamp_granularities need response_format verbose_json"
        _refuse(said, code="unsupported_value", param="timestamp_granularities")
    if form.one("language") and form.many("languages"):
        _refuse("`language` and `languages` can't be used together", code="invalid_value", param="languages")
    if form.many("languages") and not model.get("several_languages"):
        _refuse("`languages` is not supported by this model", code="unsupported_parameter", param="languages")
    keywords = form.many("keywords")
    if keywords and not model.get("keywords"):
        _refuse("`keywords` is not supported by this model", code="unsupported_parameter", param="keywords")
    if any(re.search(r"[<>\r\n]", keyword) for keyword in keywords):
        _refuse("Keywords must be single lines without < and >", code="invalid_value", param="keywords")
    if form.one("prompt") and not model.get("prompt"):
        _refuse("`prompt` is not supported by this model", code="unsupported_parameter", param="prompt")


def _check_sound(
    form: Form, name: str, model: Mapping[str, Any], seconds: float, references_s: Sequence[float]
) -> None:
    longest = model.get("max_seconds")
    if longest and seconds > longest:
        said = f"audio duration {seconds:.6f} seconds is longer than {longest} seconds which is the maximum for"
        _refuse(f"{said} this model", code="invalid_value")
    if seconds < 0.1:
        _refuse("Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short")
    if model.get("speakers") and seconds > 30 and not (form.one("chunking_strategy") or _vad(form)):
        _refuse(f"chunking_strategy is required for {name}", code="invalid_value", param="chunking_strategy")
    names = form.many("known_speaker_names")
    if (names or references_s) and not model.get("speakers"):
        _refuse("Known speakers are not supported by this model", param="known_speaker_names")
    if len(names) != len(references_s) or len(names) > 4:
        _refuse("Give a reference for each of up to 4 known speakers", param="known_speaker_references")
    if any(not 2 <= length <= 10 for length in references_s):
        _refuse("References must be between 2 and 10 seconds", param="known_speaker_references")


def _vad(form: Form) -> str | None:
    return form.one("chunking_strategy[type]")


def _digest(pcm: bytes, form: Form, references: Sequence[bytes]) -> str:
    """Return the digest of what decides the answer: the samples and the fields, however they were encoded."""
    fields = {name: values for name, values in form.values.items() if name != "known_speaker_references[]"}
    known = [sha256(sound).hexdigest() for sound in references]
    return sha256(json.dumps([sha256(pcm).hexdigest(), fields, known], sort_keys=True).encode()).hexdigest()


def _from_data_url(url: str) -> bytes:
    head, _, content = url.partition(",")
    if not re.fullmatch(r"data:audio/[\w.+-]+;base64", head):
        _refuse("References must be data URLs", param="known_speaker_references")
    return base64.b64decode(content, validate=True)


def decode(file: bytes) -> tuple[bytes, float]:
    """Return the first channel as s16le, and the length in seconds."""
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(file), dtype="int16", always_2d=True)
    except soundfile.LibsndfileError:
        raise _RefusedError(problem(400, "Audio file might be corrupted or unsupported")) from None
    return samples[:, 0].astype("<i2").tobytes(), len(samples) / rate_hz


def parse_form(content_type: str, body: bytes) -> Form:
    """Take a multipart body apart."""
    found = re.search(r'boundary="?([^";]+)', content_type)
    if not content_type.startswith("multipart/form-data") or not found:
        raise _RefusedError(problem(400, "Expected multipart/form-data"))
    values: dict[str, list[str]] = {}
    file_name, file = "", b""
    for part in body.split(b"--" + found[1].encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        named = re.search(rb'filename="([^"]*)"', head)
        content = content.removesuffix(b"\r\n")
        if named:
            file_name, file = named[1].decode(), content
        elif name:
            values.setdefault(name[1].decode(), []).append(content.decode())
    if not file_name:
        raise _RefusedError(problem(400, "The field `file` is missing", param="file"))
    return Form(values, file_name, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meter", type=Path)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    serve_until_told(OpenAIServer(meter=Meter(given.meter), port=given.port))


if __name__ == "__main__":
    main()

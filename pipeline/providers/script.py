"""A provider that plays what a file says: turns, words, delays and failures. For rehearsals, demos and tests.

The file is TOML; docs/script-provider.md describes it. The same provider diarizes and transcribes; a transcriber
speaks those words of the file that begin within the chunk that it is asked for.
"""

from __future__ import annotations

import hashlib
import threading
import time
import tomllib
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from pipeline.errors import ProviderError
from pipeline.providers.base import Answer, Audio, Chunk, Options, Work
from projections.engine import Engine
from projections.failures import KINDS, LOCAL
from projections.money import Price

_RATE_HZ = 16000
_NAME = "script"


@frozen
class _Script:
    content: dict[str, Any]
    version: int


class ScriptProvider:
    """Plays a script; a Diarizer and a Transcriber."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._asked: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    @property
    def chunk_s(self) -> tuple[float, float]:
        """The script's `chunk_s`, or half a minute to a minute."""
        shortest, longest = self._read().content.get("chunk_s", (30.0, 60.0))
        return float(shortest), float(longest)

    def engine(self) -> Engine:
        """Say what the script is; its results are its version, so a changed script is another engine."""
        try:
            script = self._read()
            wishes = tuple(script.content.get("key_options", ()))
            name = f"{_NAME}:{self._path.stem}"
            billable = bool(script.content.get("billable", False))
            price = Price("USD", Decimal(str(script.content["price_per_min"])), "") if _is_priced(script) else None
            return Engine(
                name,
                script.version,
                key_options=wishes,
                by_position=True,
                billable=billable,
                price=price,
                heavy=bool(script.content.get("heavy", False)),
                accounts_for_speech=bool(script.content.get("accounts_for_speech", False)),
            )
        except (OSError, ValueError, InvalidOperation) as error:
            return Engine(_NAME, 0, lacking=f"the script {self._path} can't be read: {error}")

    def concurrency(self) -> int:
        """Return the script's `concurrency`, or 2."""
        return int(self._read().content.get("concurrency", 2))

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return the script's turns."""
        self._act("diarization", "whole", work)
        turns = [
            {"start_s": start, "end_s": end, "speaker": speaker}
            for start, end, speaker in self._read().content.get("turns", [])
        ]
        return {"turns": turns, "metadata": {"speakers": len({turn["speaker"] for turn in turns})}}

    def transcribe(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return the script's words that begin within the chunk, timed from its start."""
        self._act("transcription", chunk.unit, work)
        from_s, to_s = chunk.start / _RATE_HZ, chunk.end / _RATE_HZ
        words = [
            {"text": text, "start_s": round(start - from_s, 3), "end_s": round(end - from_s, 3), "confidence": 1.0}
            for text, start, end in self._read().content.get("words", [])
            if from_s <= start < to_s
        ]
        return {"language": self._read().content.get("language", "en"), "words": words, "metadata": {}}

    def close(self) -> None:
        """Nothing runs outside the calls themselves."""

    def _read(self) -> _Script:
        """Return the script as the file is now; what was understood of the same bytes is not read again."""
        return _understood(self._path.read_bytes())

    def _act(self, operation: str, unit: str, work: Work) -> None:
        """Wait and fail as the script says for the n-th request of this attempt."""
        with self._lock:
            number = self._asked[operation, work.attempt] = self._asked.get((operation, work.attempt), 0) + 1
        content = self._read().content
        for delay in content.get("delays", []):
            if _applies(delay, operation, work.attempt, number):
                _wait(float(delay["seconds"]), work)
        for failure in content.get("failures", []):
            if _applies(failure, operation, work.attempt, number):
                raise ProviderError(
                    failure.get("message", f"The script says that {operation} of {unit} fails."),
                    provider=_NAME,
                    code=failure.get("code", "scripted"),
                    retryable=failure.get("retryable", True),
                    kind=failure.get("kind", LOCAL),
                )


@lru_cache(maxsize=16)
def _understood(raw: bytes) -> _Script:
    content = tomllib.loads(raw.decode())
    _require_well_formed(content)
    results = {name: content.get(name) for name in ("turns", "words", "language", "chunk_s")}
    digest = hashlib.sha256(orjson.dumps(results, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return _Script(content, int(digest[:8], 16))


def _is_priced(script: _Script) -> bool:
    return "price_per_min" in script.content


def _require_well_formed(content: dict[str, Any]) -> None:
    """Raise ValueError where the script is not as docs/script-provider.md says."""
    for name, example in (("turns", '[0.0, 2.5, "SPEAKER_00"]'), ("words", '["hello", 0.2, 0.6]')):
        for entry in content.get(name, []):
            kinds = sorted(type(part) in (int, float) for part in entry) if isinstance(entry, list) else []
            if kinds != [False, True, True]:
                raise ValueError(f"an entry of {name} looks like {example}, not {entry!r}")
    for name, needs in (("failures", {"operation"}), ("delays", {"operation", "seconds"})):
        for rule in content.get(name, []):
            if lacking := needs - rule.keys():
                raise ValueError(f"a rule of {name} lacks {', '.join(sorted(lacking))}")
            if rule.get("kind", LOCAL) not in KINDS:
                raise ValueError(f"the kind of a failure is one of {', '.join(KINDS)}")


def _applies(rule: dict[str, Any], operation: str, attempt: int, number: int) -> bool:
    return (
        rule["operation"] == operation
        and attempt in rule.get("attempts", [attempt])
        and number in rule.get("calls", [number])
    )


def _wait(seconds: float, work: Work) -> None:
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        work.check()
        time.sleep(min(0.02, left_s))

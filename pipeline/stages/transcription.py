"""What was said: the recording cut at silences, each chunk with speech a call of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from attrs import frozen

from pipeline.providers.base import Answer, Chunk, Transcriber
from pipeline.providers.registry import Providers
from pipeline.speech.cuts import chunks, find_cuts
from pipeline.stages.audio_input import audio_of
from pipeline.work import Request, StageResult, StageWork
from projections.graph import AUDIO_CONVERSION

WORDS = "words.json"
_RATE_HZ = 16000


@frozen
class _Cut:
    """A chunk, the digest of its PCM, and whether anything in it sounds like speech."""

    chunk: Chunk
    pcm_sha256: str
    has_speech: bool


def run(work: StageWork, providers: Providers) -> StageResult:
    """Transcribe every chunk that holds speech and put the words back on the recording's clock."""
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    transcriber = providers.transcriber(work.provider_name, work.step.options.get("model"))
    cuts = _cut(work, transcriber)
    spoken = [cut for cut in cuts if cut.has_speech]
    total_s = sum(_length_s(cut.chunk) for cut in spoken)
    done_s: list[float] = []

    def ask(cut: _Cut) -> Answer:
        answer = transcriber.transcribe(cut.chunk, work.step.options, work)
        done_s.append(_length_s(cut.chunk))
        work.progress(sum(done_s), total_s)
        return answer

    requests = [
        Request(
            provider=engine.name,
            operation="transcribe",
            unit=cut.chunk.unit,
            options={**work.step.options, "start": cut.chunk.start} if engine.by_position else work.step.options,
            pcm_sha256=cut.pcm_sha256,
            ask=lambda cut=cut: ask(cut),  # type: ignore[misc] # mypy can't see the default
        )
        for cut in spoken
    ]
    answers = work.answers(requests, transcriber.concurrency())
    words = [word for cut, answer in zip(spoken, answers, strict=True) for word in _on_the_clock(cut.chunk, answer)]
    words.sort(key=lambda word: word["start_s"] if word["start_s"] is not None else 0.0)
    language = next((answer["language"] for answer in answers if answer.get("language")), None)
    content = {"language": language, "draft": engine.draft, "words": words}
    metadata = {
        "provider": engine.name,
        "model": _model(answers) or work.step.options.get("model"),
        "language": language,
        "words": len(words),
        "chunks": len(cuts),
        "chunks_without_speech": len(cuts) - len(spoken),
        "draft": engine.draft,
    }
    return StageResult((work.folder.put_json(WORDS, content),), metadata)


def _cut(work: StageWork, transcriber: Transcriber) -> list[_Cut]:
    audio = audio_of(work)
    if not audio.channels:
        return _cut_file(work, audio.mix, None, transcriber)
    return [
        cut for channel, path in enumerate(audio.channels) for cut in _cut_file(work, path, channel, transcriber)
    ]


def _cut_file(work: StageWork, path: Path, channel: int | None, transcriber: Transcriber) -> list[_Cut]:
    from pipeline.audio.silence import find_silences, quietest_sample
    from pipeline.audio.soundfiles import read_samples
    from pipeline.audio.voice_activity import FRAMES_PER_S, speech_intervals

    total = work.inputs[AUDIO_CONVERSION].metadata["samples"][path.stem]
    silences = find_silences(path, total, work.check) if total > transcriber.chunk_s[1] * _RATE_HZ else []
    found = find_cuts(total, silences, transcriber.chunk_s, lambda start, end: quietest_sample(path, start, end))
    per_frame = _RATE_HZ // FRAMES_PER_S
    speech = [(first * per_frame, last * per_frame) for first, last in speech_intervals(path, work.check)]
    cuts = []
    for start, end in chunks(total, found):
        work.check()
        pcm = read_samples(path, start, end).astype("<i2").tobytes()
        unit = f"{start / _RATE_HZ:.2f}-{end / _RATE_HZ:.2f}" + ("" if channel is None else f" channel {channel}")
        has_speech = any(first < end and last > start for first, last in speech)
        cuts.append(_Cut(Chunk(path, start, end, channel, unit), hashlib.sha256(pcm).hexdigest(), has_speech))
    return cuts


def _on_the_clock(chunk: Chunk, answer: Answer) -> list[dict[str, Any]]:
    """Return the words of a chunk on the recording's clock, clamped to the chunk."""
    start_s, end_s = chunk.start / _RATE_HZ, chunk.end / _RATE_HZ

    def shifted(time_s: float | None) -> float | None:
        return None if time_s is None else round(min(max(start_s + time_s, start_s), end_s), 3)

    return [
        {
            "text": word["text"],
            "start_s": shifted(word["start_s"]),
            "end_s": shifted(word["end_s"]),
            "confidence": word.get("confidence"),
            "channel": chunk.channel,
        }
        for word in answer["words"]
    ]


def _model(answers: list[Answer]) -> str | None:
    """Return the model that an engine chose by itself, as its answers name it."""
    return next((model for answer in answers if (model := answer.get("metadata", {}).get("model"))), None)


def _length_s(chunk: Chunk) -> float:
    return (chunk.end - chunk.start) / _RATE_HZ

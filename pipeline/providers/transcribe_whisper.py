"""Whisper on this machine, with a model that is already there. The only file that imports faster_whisper.

Models are found here, in a folder or in the cache of the Hugging Face hub, and handed over as folders, complete
with their tokenizer: so nothing is ever looked up on the network.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.hub import hub_cache, hub_snapshot, is_repository
from pipeline.providers.whisper_device import (
    AUTO,
    CUDA,
    Device,
    Machine,
    choose_device,
    look_at_machine,
    without_card,
)
from pipeline.speech.suspicion import segment_doubts
from projections.engine import Engine

if TYPE_CHECKING:
    from pipeline.providers.base import Answer, Chunk, Options, Work
    from pipeline.providers.context import Context

NAME = "whisper"

MODELS: Mapping[str, str] = {
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v1": "Systran/faster-whisper-large-v1",
    "medium": "Systran/faster-whisper-medium",
    "small": "Systran/faster-whisper-small",
    "base": "Systran/faster-whisper-base",
    "tiny": "Systran/faster-whisper-tiny",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "medium.en": "Systran/faster-whisper-medium.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "small.en": "Systran/faster-whisper-small.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "base.en": "Systran/faster-whisper-base.en",
    "tiny.en": "Systran/faster-whisper-tiny.en",
}
"""Names of models and their repositories on the hub, best first; those that know only English come last, since they
turn other languages into nonsense. Source: the table of faster-whisper 1.2.1."""

ALIASES: Mapping[str, str] = {"large": "large-v3", "turbo": "large-v3-turbo"}

SUGGESTED = "small"
"""The model to begin with, also where there is no graphics card."""

NEEDED = ("model.bin", "config.json", "tokenizer.json")
"""Without its tokenizer faster-whisper would fetch one from the network."""

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages that Whisper's word times split by character. Source: faster-whisper 1.2.1, tokenizer.py."""

PROMPT_TOKENS = 223
"""So much of what it is told goes before each half minute. Source: faster-whisper 1.2.1, `get_prompt`; of OpenAI's
Whisper it is 224."""

DETECTED = 4
"""So many half minutes of a chunk's speech are listened to for its language, unless one of them is clear before."""

Result = TypeVar("Result")

Found = dict[str, Any]
"""A word as a transcriber answers it."""


@frozen
class Model:
    """A model on this machine.

    Attributes:
        name: what the user writes; the folder's own name, where it was given as a folder.
        folder: holds the files of the model.
        revision: the hub's commit; None for a folder of the user's.
    """

    name: str
    folder: Path
    revision: str | None = None

    @property
    def english_only(self) -> bool:
        """Whether its name says that it knows no other language; a folder's name may not say it."""
        return is_english_only(self.name)


def is_english_only(name: str) -> bool:
    """Say whether a model's name tells that it knows no language but English."""
    return name.endswith(".en") or name.startswith("distil-")


def make(context: Context) -> WhisperTranscriber:
    """Return the provider, as every entry point does."""
    return WhisperTranscriber(context.model, cache=hub_cache(context.environment))


class WhisperTranscriber:
    """Transcribes any language that its model knows, one chunk at a time.

    What the user says goes before each half minute of a chunk, as `hotwords`: faster-whisper's `initial_prompt`
    would hold for the first one only.

    Settings: temperature 0 without fallbacks, so that equal samples give equal words; no text of the chunk before
    as a prompt, which spreads errors; Silero's voice activity first, so that silence is not made up into words;
    words with times. All others are faster-whisper's own (five beams; segments are dropped as silence where
    `no_speech_prob` > 0.6 and `avg_logprob` < -1).

    Args:
        model: a folder, one of `MODELS`, or a repository on the hub; None: the best that is in the cache. The
            option `model` of a call goes before it.
        cache: the hub's folder of models, see `hub_cache`.
        device: `auto` (the graphics card where there is a usable one), `cpu` or `cuda`.
        machine: what there is to compute on; None: what there really is.
    """

    chunk_s = (225.0, 300.0)

    def __init__(
        self, model: str | None = None, *, cache: Path, device: str = AUTO, machine: Machine | None = None
    ) -> None:
        self._model = model
        self._cache = cache
        self._wanted = device
        self._machine = machine
        self._device: Device | None = None
        self._lock = threading.Lock()
        self._loaded: dict[Path, Any] = {}
        self._closed = False

    def engine(self) -> Engine:
        """Return the facts about this engine; looks for the package and the model, imports neither."""
        model = find_model(self._model, self._cache)
        return Engine(
            name=NAME,
            version=2,
            key_options=("model", "language", "prompt", "keywords"),
            prompt_tokens=PROMPT_TOKENS,
            languages=("en",) if model and model.english_only else None,
            heavy=True,
            lacking=_lacking(self._model, model, self._cache),
        )

    def concurrency(self) -> int:
        """Return 1: a single chunk keeps all cores busy."""
        return 1

    def transcribe(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return the words of a chunk, and in `metadata` how sure Whisper was of each of its segments.

        Whether to stop is asked between segments, which take up to a minute with a large model on a processor.

        Raises:
            ProviderError: `not_ready`, `language_unsupported`, `out_of_memory` or `engine_failed`; each
                message says what to do.
            StoppedError: the user asked to stop, or the transcriber was closed.
        """
        model = self._model_of(options)
        language = options.get("language")
        wanted = None if language in (None, "auto") else language
        try:
            heard, info = self._on_some_device(work, lambda: self._hear(chunk, model, wanted, options, work))
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _failed(error, model) from error
        assert self._device is not None, "what was loaded has its device"
        return _as_answer(heard, info, model, wanted, self._device)

    def detect_language(self, chunk: Chunk, options: Options, work: Work) -> Answer:
        """Return the language of a chunk and how sure Whisper is of it; None where nobody speaks.

        Raises:
            ProviderError, StoppedError: as `transcribe`.
        """
        model = self._model_of(options)
        try:
            language, probability = self._on_some_device(work, lambda: self._detect(chunk, model))
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _failed(error, model) from error
        return {"language": language, "probability": round(probability, 4)}

    def close(self) -> None:
        """Forget the models; a call under way raises StoppedError after its segment."""
        self._closed = True
        with self._lock:
            self._loaded.clear()

    def _model_of(self, options: Options) -> Model:
        name = options.get("model") or self._model
        model = find_model(name, self._cache)
        if problem := _lacking(name, model, self._cache):
            raise _error(problem, "not_ready")
        assert model is not None, "a model that isn't lacking was found"
        return model

    def _on_some_device(self, work: Work, do: Callable[[], Result]) -> Result:
        """Return what comes of it; a card that turns out to be unusable is given up for the processor, for good."""
        self._check(work)
        try:
            return do()
        except RuntimeError as error:
            instead = without_card(error) if self._wanted == AUTO and self._is_on_card() else None
            if instead is None:
                raise
            with self._lock:
                self._device = instead
                self._loaded.clear()
            return do()

    def _detect(self, chunk: Chunk, model: Model) -> tuple[str | None, float]:
        import numpy as np
        from faster_whisper.vad import get_speech_timestamps

        whisper = self._load(model)
        samples = _samples(chunk)
        speech = [samples[part["start"] : part["end"]] for part in get_speech_timestamps(samples)]
        if not speech:
            return None, 0.0
        if not whisper.model.is_multilingual:
            return "en", 1.0
        language, probability, _ = whisper.detect_language(
            np.concatenate(speech), language_detection_segments=DETECTED
        )
        return language, float(probability)

    def _hear(
        self, chunk: Chunk, model: Model, wanted: str | None, options: Options, work: Work
    ) -> tuple[list[Any], Any]:
        whisper = self._load(model)
        if wanted and wanted not in whisper.supported_languages:
            raise _error(
                f"The Whisper model {model.name} doesn't know the language '{wanted}'. Leave out `--language`, or "
                "choose another model with `--model`.",
                "language_unsupported",
            )
        segments, info = whisper.transcribe(
            _samples(chunk),
            language=wanted,
            hotwords=_told(options, whisper.hf_tokenizer),
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=True,
            word_timestamps=True,
        )
        heard = []
        for segment in segments:
            self._check(work)
            heard.append(segment)
        return heard, info

    def _is_on_card(self) -> bool:
        return self._device is not None and self._device.name == CUDA

    def _check(self, work: Work) -> None:
        if self._closed:
            raise StoppedError("Transcription was stopped.")
        work.check()

    def _load(self, model: Model) -> Any:
        with self._lock:
            if model.folder not in self._loaded:
                from faster_whisper import WhisperModel

                if self._device is None:
                    self._device = choose_device(self._wanted, self._machine or look_at_machine())
                self._loaded[model.folder] = WhisperModel(
                    str(model.folder),
                    device=self._device.name,
                    compute_type=self._device.numbers,
                    local_files_only=True,
                )
            return self._loaded[model.folder]


def _samples(chunk: Chunk) -> Any:
    from pipeline.audio.soundfiles import read_samples

    return read_samples(chunk.path, chunk.start, chunk.end).astype("float32") / 32768


def _told(options: Options, tokenizer: Any) -> str | None:
    """Return what goes before each half minute: the keywords, then of the prompt what still fits, its end."""
    keywords = _cut(", ".join(options.get("keywords") or ()), tokenizer, PROMPT_TOKENS // 2, is_end=False)
    begin = f"{keywords}. " if keywords and options.get("prompt") else keywords
    left = PROMPT_TOKENS - len(_ids(begin, tokenizer))
    return begin + _cut(options.get("prompt") or "", tokenizer, left, is_end=True) or None


def _cut(text: str, tokenizer: Any, most: int, *, is_end: bool) -> str:
    ids = _ids(text, tokenizer)
    if len(ids) <= most:
        return text.strip()
    decoded: str = tokenizer.decode(ids[-most:] if is_end else ids[:most])
    return decoded.strip()


def _ids(text: str, tokenizer: Any) -> list[int]:
    return list(tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids) if text.strip() else []


def find_model(name: str | None, cache: Path) -> Model | None:
    """Return a complete model by its name, repository or folder, the best of the cache for None; None if absent.

    A name of `MODELS` is never taken for a folder, whatever lies in the current one.
    """
    if name is None:
        return next((model for known in MODELS if (model := find_model(known, cache))), None)
    repository = MODELS.get(ALIASES.get(name, name))
    if repository is None and is_complete(Path(name).expanduser()):
        folder = Path(name).expanduser().resolve()
        return Model(folder.name, folder)
    snapshot = hub_snapshot(cache, repository or name, is_complete)
    return Model(ALIASES.get(name, name), snapshot, snapshot.name) if snapshot else None


def is_complete(folder: Path) -> bool:
    """Say whether a folder holds all that a model can't do without."""
    return all((folder / name).is_file() for name in NEEDED)


def package_problem() -> str | None:
    """Say how to install the package that this engine needs; None: it is installed."""
    if find_spec("faster_whisper"):
        return None
    return (
        "The whisper transcriber needs the package faster-whisper, which isn't installed; install it with "
        f"`{sys.executable} -m pip install 'faster-whisper>=1.2.1' 'av<19'`."
    )


def _lacking(name: str | None, model: Model | None, cache: Path) -> str | None:
    """Say in one line what is missing and how to get it; None: nothing."""
    wanted = name if name in {*MODELS, *ALIASES} or is_repository(name or "") else SUGGESTED
    if problem := package_problem():
        return problem if model else f"{problem} Then get a model: `evt models get {wanted}`."
    if model:
        return None
    sought = "no Whisper model is" if name is None else f"the whole Whisper model '{name}' isn't"
    return (
        f"On this machine {sought} in {cache}: `evt models get {wanted}` gets one there, or name with `--model` "
        f"a folder that holds one ({', '.join(NEEDED)})."
    )


def _error(message: str, code: str) -> ProviderError:
    return ProviderError(message, provider=NAME, code=code)


def _failed(error: Exception, model: Model) -> ProviderError:
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return _error(
            f"There isn't enough memory for the Whisper model {model.name}. Close other programs, or choose a "
            "smaller model with `--model`; if it is the graphics card's that is too small, set "
            'CUDA_VISIBLE_DEVICES="" to use the processor instead.',
            "out_of_memory",
        )
    again = f" (`evt models get {model.name} --again`)" if model.revision else ""
    return _error(
        f"Whisper failed with the model {model.name} in {model.folder}: {error}. Get the model again{again}, or "
        "choose another one with `--model`.",
        "engine_failed",
    )


def _as_answer(segments: list[Any], info: Any, model: Model, wanted: str | None, device: Device) -> Answer:
    """Return the answer; where nobody speaks there is no language to detect, and it stays None."""
    words = [word for segment in segments for word in _words(segment, info.language not in UNSPACED)]
    metadata = {
        "model": model.name,
        "revision": model.revision,
        "device": device.name,
        "compute_type": device.numbers,
        **({"note": device.note} if device.note else {}),
        "language_probability": None if wanted else float(info.language_probability),
        "speech_s": float(info.duration_after_vad),
        "segments": [_sureness(segment) for segment in segments],
    }
    return {
        "language": wanted or (info.language if words else None),
        "words": _in_order(words),
        "metadata": metadata,
    }


def _sureness(segment: Any) -> dict[str, float]:
    """Return what tells invented segments from real ones, see `pipeline.speech.suspicion`."""
    return {
        "start_s": float(segment.start),
        "end_s": float(segment.end),
        "no_speech_prob": float(segment.no_speech_prob),
        "avg_logprob": float(segment.avg_logprob),
        "compression_ratio": float(segment.compression_ratio),
    }


def _words(segment: Any, spaced: bool) -> list[Found]:
    """Return the words of a segment; what follows without a space, the "-five" of "twenty-five", is no word.

    Those of a segment that Whisper itself doubts say why.
    """
    words: list[Found] = []
    for token in segment.words or ():
        if not token.word.strip():
            continue
        if words and spaced and not token.word.startswith(" "):
            words[-1] = _joined(words[-1], token)
        else:
            words.append(_word(token))
    doubts = segment_doubts(_sureness(segment))
    return [{**word, "suspect": [*doubts]} for word in words] if doubts else words


def _word(token: Any) -> Found:
    return {
        "text": token.word.strip(),
        "start_s": float(token.start),
        "end_s": float(token.end),
        "confidence": round(float(token.probability), 4),
    }


def _joined(word: Found, token: Any) -> Found:
    rest = _word(token)
    confidence = min(word["confidence"], rest["confidence"])
    return {**word, "text": word["text"] + rest["text"], "end_s": rest["end_s"], "confidence": confidence}


def _in_order(words: list[Found]) -> list[Found]:
    """Return the words as they were said; where two times contradict that order, the later one gives way."""
    latest_s = 0.0
    ordered = []
    for word in words:
        latest_s = max(latest_s, word["start_s"])
        ordered.append({**word, "start_s": latest_s, "end_s": max(latest_s, word["end_s"])})
    return ordered

"""pyannote.audio on this machine, with a model that is already there. The only file that imports it, or torch.

Models are found here, in a folder or in the cache of the Hugging Face hub, and handed over as folders; what their
configuration refers to is looked for beforehand, and the hub's client is told to stay offline. A model is code as
well as numbers: loading one from a folder trusts whoever made it.

Determinism: equal samples and options give equal turns with the same packages, device and number of threads. The
clustering is seeded by pyannote.audio itself, and it switches off TensorFloat-32 on graphics cards; between a
processor and a card, or two kinds of either, the last digits of floats differ, and a turn's edge may move by them.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.hub import hub_cache, hub_snapshot, is_repository, keep_client_offline
from projections.engine import Engine

if TYPE_CHECKING:
    from pipeline.providers.base import Answer, Audio, Options, Work
    from pipeline.providers.context import Context

NAME = "pyannote"
PACKAGE, REQUIREMENT, MAJOR = "pyannote.audio", "pyannote.audio>=4,<5", "4"

DEFAULT_MODEL = "pyannote/speaker-diarization-community-1"
"""Also where pyannote.audio looks for the parts that a configuration doesn't name. Source: pyannote.audio 4.0.7."""

CONFIG = "config.yaml"
PARTS = ("segmentation", "embedding", "plda")
"""What a model consists of. Source: pyannote.audio 4.0.7, pipelines/speaker_diarization.py."""

BATCH_ON_PROCESSOR = 4
"""At most so many pieces of audio at once on a processor, lest a stop be noticed only after many seconds.

Measured on two cores with an embedding of the default model's size: a second of processor time for a piece of 10 s,
in batches of 4, 16 or 32; half as much again in batches of 1."""

SEGMENTATION_SHARE = 0.2
"""How much of the progress is the first step; the other, one embedding for each voice and piece, takes longer."""

_RATE_HZ = 16000


@frozen
class Model:
    """A model on this machine.

    Attributes:
        name: what the user writes; the folder's own name, where it was given as a folder.
        folder: holds its config.yaml.
        revision: the hub's commit; None for a folder of the user's.
    """

    name: str
    folder: Path
    revision: str | None = None

    @property
    def config(self) -> str:
        """The text of its configuration."""
        return (self.folder / CONFIG).read_text("utf-8", "replace")


def make(context: Context) -> PyannoteDiarizer:
    """Return the provider, as every entry point does."""
    return PyannoteDiarizer(context.model, cache=hub_cache(context.environment))


class PyannoteDiarizer:
    """Finds who speaks when, overlaps included, with a model of pyannote.audio.

    The whole recording is held in memory as floats, 230 MB for an hour, and what the model made of it besides.

    Args:
        model: a folder (`./…`, `/…` or `~/…`) or a repository on the hub; None: `DEFAULT_MODEL`.
        cache: the hub's folder of models, see `hub_cache`.
        device: `auto` (the graphics card where there is a usable one), `cpu` or `cuda`.
    """

    def __init__(self, model: str | None = None, *, cache: Path, device: str = "auto") -> None:
        self._model = model or DEFAULT_MODEL
        self._cache = cache
        self._device = device
        self._lock = threading.Lock()
        self._loaded: tuple[Any, str] | None = None
        self._closed = False

    def engine(self) -> Engine:
        """Return the facts about this engine; looks for the package and the model, imports neither."""
        model = find_model(self._model, self._cache)
        return Engine(
            name=NAME if self._model == DEFAULT_MODEL else f"{NAME}:{model.name if model else self._model}",
            version=_version(model),
            key_options=("speakers", "min_speakers", "max_speakers"),
            model=self._model,
            heavy=True,
            lacking=_lacking(self._model, model, self._cache),
        )

    def diarize(self, audio: Audio, options: Options, work: Work) -> Answer:
        """Return the turns of the mix, and the same without overlaps where the model gives them.

        Whether to stop is asked between batches; the clustering at the end is not interrupted.

        Raises:
            ProviderError: `not_ready`, `out_of_memory` or `engine_failed`; each message says what to do.
            StoppedError: the user asked to stop, or the diarizer was closed.
        """
        model = find_model(self._model, self._cache)
        if problem := _lacking(self._model, model, self._cache):
            raise ProviderError(problem, provider=NAME, code="not_ready")
        assert model is not None, "a model that isn't lacking was found"
        self._check(work)
        with self._lock:  # a pipeline of pyannote.audio holds the state of the file that it works on
            try:
                found, device = self._ask(model, audio, options, work)
            except StoppedError:
                raise
            except Exception as error:  # a model's files can raise anything; the runner gets one kind
                raise _failed(error, model) from error
        return _as_answer(found, audio.duration_s, options, model, device)

    def close(self) -> None:
        """Forget the model; a call under way raises StoppedError after its batch."""
        self._closed = True

    def _ask(self, model: Model, audio: Audio, options: Options, work: Work) -> tuple[Any, str]:
        import torch

        from pipeline.audio.soundfiles import read_samples

        if self._loaded is None:
            self._loaded = _load(model, self._cache, self._device)
        pipeline, device = self._loaded
        samples = read_samples(audio.mix, 0, int((audio.duration_s + 1) * _RATE_HZ))
        waveform = torch.from_numpy(samples.astype("float32") / 32768)[None]

        def hook(step: str, *_: Any, completed: int | None = None, total: int | None = None, **__: Any) -> None:
            self._check(work)
            if completed is not None and total:
                work.progress(_share(step, completed / total) * audio.duration_s, audio.duration_s)

        _be_quiet()
        file = {"waveform": waveform, "sample_rate": _RATE_HZ, "uri": "audio"}
        return pipeline(file, hook=hook, **_bounds(options)), device

    def _check(self, work: Work) -> None:
        if self._closed:
            raise StoppedError("Diarization was stopped.")
        work.check()


def find_model(name: str, cache: Path) -> Model | None:
    """Return a model by its repository or folder; None if it is absent or not whole.

    Only what looks like a path is taken for a folder: otherwise a folder of that name beside the recordings could
    take the place of a model, and run its code.
    """
    if name.startswith(("/", "./", "../", "~")):
        folder = Path(name).expanduser().resolve()
        return Model(folder.name, folder) if is_whole(folder) else None
    snapshot = hub_snapshot(cache, name, is_whole)
    return Model(name, snapshot, snapshot.name) if snapshot else None


def is_whole(folder: Path) -> bool:
    """Say whether a model's configuration is there, and every folder of it that the configuration names."""
    try:
        config = (folder / CONFIG).read_text("utf-8", "replace")
    except OSError:
        return False
    own = [folder / part.removeprefix("$model/") for part in _parts(config).values() if part.startswith("$model/")]
    return all(part.is_dir() and any(part.iterdir()) for part in own)


def _parts(config: str) -> Mapping[str, str]:
    """Return where a configuration says that its parts are; what it doesn't name comes from the default model."""
    named = {}
    for part in PARTS:
        found = re.search(rf"^[ \t]*{part}:[ \t]*['\"]?([^\s'\"#]+)", config, re.MULTILINE)
        named[part] = found[1] if found else DEFAULT_MODEL
    return named


def _missing_parts(model: Model, cache: Path) -> Iterator[str]:
    """Yield the repositories that a model refers to and that aren't here; nothing is looked up elsewhere."""
    for part in _parts(model.config).values():
        is_here = part.startswith("$model/") or Path(part).is_absolute()
        if not is_here and hub_snapshot(cache, part.partition("@")[0], Path.is_dir) is None:
            yield part.partition("@")[0]


def package_problem() -> str | None:
    """Say how to install the package that this engine needs; None: it is installed."""
    install = f"`{sys.executable} -m pip install '{REQUIREMENT}'`"
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        return f"The pyannote diarizer needs the package {PACKAGE}, which isn't there. Install it: {install}."
    if found.partition(".")[0] != MAJOR:
        return f"The pyannote diarizer needs {PACKAGE} {MAJOR}, not {found}. Install it: {install}."
    return None


def _lacking(name: str, model: Model | None, cache: Path) -> str | None:
    """Say in one line what is missing and how to get it; None: nothing."""
    if problem := package_problem():
        return problem
    if model is None:
        return (
            f"On this machine the whole model '{name}' isn't in {cache}: "
            f"`evt models get {name if is_repository(name) else DEFAULT_MODEL}` gets it there and says which terms "
            "to accept; or name with `--diarizer pyannote:./FOLDER` a folder that holds one."
        )
    if "pyannoteai" in model.config:
        return (
            f"The model {model.name} sends the audio to pyannoteAI. Use `--diarizer pyannoteai` if you want that."
        )
    if missing := list(dict.fromkeys(_missing_parts(model, cache))):
        commands = " and ".join(f"`evt models get {repository}`" for repository in missing)
        return f"The model {model.name} refers to others that aren't in {cache}: get them there with {commands}."
    return None


def _version(model: Model | None) -> int:
    """Return 1; for a folder of the user's, what changes with its settings."""
    if model is None or model.revision is not None:
        return 1
    return int(hashlib.sha256(model.config.encode()).hexdigest()[:8], 16)


def _load(model: Model, cache: Path, wanted: str) -> tuple[Any, str]:
    """Return the loaded pipeline and the device that it computes on.

    pyannote.audio reports every use to its makers unless told not to. Its only switch is a variable of the process
    that it sets itself when it is imported, and reads each time; so that variable stays set, to `false`.
    """
    import torch

    _be_quiet()
    keep_client_offline()
    from pyannote.audio import Pipeline
    from pyannote.audio.telemetry import set_telemetry_metrics

    set_telemetry_metrics(False)
    pipeline = Pipeline.from_pretrained(model.folder, cache_dir=cache)
    device = choose_device(wanted, has_cuda=torch.cuda.is_available())
    pipeline.to(torch.device(device))
    if device == "cpu":
        for size in ("segmentation_batch_size", "embedding_batch_size"):
            setattr(pipeline, size, min(getattr(pipeline, size, 1), BATCH_ON_PROCESSOR))
    return pipeline, device


def choose_device(wanted: str, *, has_cuda: bool) -> str:
    """Return what to compute on."""
    return ("cuda" if has_cuda else "cpu") if wanted == "auto" else wanted


def _be_quiet() -> None:
    """Hide warnings of pyannote.audio and what it uses: about a decoder that isn't used, and about training."""
    import warnings

    for module in ("pyannote", "torch", "torchaudio", "torchcodec", "lightning", "pytorch_lightning", "sklearn"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")


def _bounds(options: Options) -> dict[str, int]:
    names = {"speakers": "num_speakers", "min_speakers": "min_speakers", "max_speakers": "max_speakers"}
    if options.get("speakers"):
        names = {"speakers": "num_speakers"}
    return {theirs: options[ours] for ours, theirs in names.items() if options.get(ours)}


def _share(step: str, done: float) -> float:
    """Return the progress of the whole; the last batch of a step counts as a full one, and so goes past its end."""
    done = min(float(done), 1.0)
    if step == "segmentation":
        return SEGMENTATION_SHARE * done
    return SEGMENTATION_SHARE + (1 - SEGMENTATION_SHARE) * done


def _as_answer(found: Any, duration_s: float, options: Options, model: Model, device: str) -> Answer:
    """Return the answer; a model may be set to give plain turns only, and then there are none without overlaps."""
    names: dict[str, str] = {}
    turns = _turns(getattr(found, "speaker_diarization", found), duration_s, names)
    exclusive = getattr(found, "exclusive_speaker_diarization", None)
    answer: Answer = {"turns": turns}
    if exclusive is not None:
        answer["exclusive"] = _turns(exclusive, duration_s, names)
    answer["metadata"] = {
        "speakers": len({turn["speaker"] for turn in turns}),
        "segments": len(turns),
        "count_method": "given" if options.get("speakers") else "automatic",
        "model": model.name,
        "revision": model.revision,
        "device": device,
    }
    return answer


def _turns(annotation: Any, duration_s: float, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the turns within the recording; its last piece was filled up with silence. Fills in the names."""
    turns = []
    for segment, _, label in annotation.itertracks(yield_label=True):
        start_s, end_s = round(max(segment.start, 0.0), 3), round(min(segment.end, duration_s), 3)
        if start_s < end_s:
            turns.append({"start_s": start_s, "end_s": end_s, "speaker": label})
    turns.sort(key=lambda turn: (turn["start_s"], turn["end_s"], turn["speaker"]))
    for turn in turns:
        turn["speaker"] = names.setdefault(turn["speaker"], f"SPEAKER_{len(names):02d}")
    return turns


def _failed(error: Exception, model: Model) -> ProviderError:
    if isinstance(error, MemoryError) or re.search("out of memory|not enough memory|allocate memory", str(error)):
        return ProviderError(
            f"There isn't enough memory for the pyannote model {model.name}. Close other programs; if it is the "
            'graphics card\'s that is too small, set CUDA_VISIBLE_DEVICES="" to use the processor instead.',
            provider=NAME,
            code="out_of_memory",
            said=str(error),
        )
    return ProviderError(
        f"pyannote.audio failed with the model {model.name} in {model.folder} ({type(error).__name__}). Get the "
        "model again, or choose another one with `--diarizer pyannote:MODEL`.",
        provider=NAME,
        code="engine_failed",
        said=str(error),
    )

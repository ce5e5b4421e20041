"""pyannote on this machine: finding models without the network, and the real library with a tiny random model."""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.base import Audio
from pipeline.providers.diarize_pyannote import (
    DEFAULT_MODEL,
    PyannoteDiarizer,
    _as_answer,
    _bounds,
    _failed,
    choose_device,
    find_model,
)
from pipeline.providers.diarize_pyannote import Model as Found
from tests.support import tiny_pyannote

ROOT = Path(__file__).parent.parent
JFK = Audio(mix=ROOT / "samples" / "jfk.wav", channels=(), duration_s=11.0)

installed = (
    importlib.util.find_spec("pyannote") is not None and importlib.util.find_spec("pyannote.audio") is not None
)
with_pyannote = pytest.mark.skipif(
    not installed,
    reason="NOT RUN: pyannote.audio isn't installed (extra `pyannote`, brings torch): `make pyannote`",
)
slow = pytest.mark.slow

LEGACY = """pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    segmentation: pyannote/segmentation-3.0
params:
  segmentation:
    min_duration_off: 0.0
"""


class Work(SimpleNamespace):
    """A run that is stopped at the given check; None: never."""

    def __init__(self, stop_at=None):
        super().__init__(checks=0, stop_at=stop_at, done=[])

    def check(self):
        self.checks += 1
        if self.checks == self.stop_at:
            raise StoppedError("The user asked to stop.")

    def progress(self, done_s, total_s):
        self.done.append(done_s / total_s)


class Annotation:
    """Turns as pyannote.core gives them."""

    def __init__(self, *turns):
        self.turns = turns

    def itertracks(self, yield_label):
        assert yield_label
        for start, end, label in self.turns:
            yield SimpleNamespace(start=start, end=end), "track", label


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_pyannote.build(tmp_path_factory.mktemp("models") / "tiny-random")


def laid(folder, config=tiny_pyannote.CONFIG, parts=("segmentation", "embedding", "plda")):
    """Lay the files of a model into a folder; they are empty."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    for part in parts:
        (folder / part).mkdir()
        (folder / part / "file").touch()
    return folder


def cached(cache, name, **files):
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    return laid(repository / "snapshots" / "abc", **files)


def test_it_says_what_it_is_and_imports_no_library_for_that(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline.providers.diarize_pyannote import *;"
        f"e = PyannoteDiarizer(cache=Path({str(tmp_path)!r})).engine();"
        "print(e.name, e.version, e.network, e.billable, e.key_options);"
        "print({'pyannote.audio', 'torch', 'huggingface_hub', 'numpy'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "pyannote 1 False False ('speakers', 'min_speakers', 'max_speakers')\nset()\n"


def test_without_a_model_or_the_package_it_says_in_one_line_how_to_get_it(tmp_path):
    lacking = PyannoteDiarizer(cache=tmp_path).engine().lacking
    assert (f"evt models get {DEFAULT_MODEL}" if installed else "pip install 'pyannote.audio>=4,<5'") in lacking
    assert "\n" not in lacking


def test_a_model_is_found_by_its_repository_and_its_folder(tmp_path):
    assert find_model(DEFAULT_MODEL, tmp_path) is None
    snapshot = cached(tmp_path, DEFAULT_MODEL)
    assert find_model(DEFAULT_MODEL, tmp_path) == Found(DEFAULT_MODEL, snapshot, "abc")
    assert find_model(str(snapshot), tmp_path / "other") == Found("abc", snapshot.resolve())


@pytest.mark.parametrize("missing", ["segmentation", "embedding", "plda"])
def test_a_model_that_is_not_whole_is_not_found(tmp_path, missing):
    parts = [part for part in ("segmentation", "embedding", "plda") if part != missing]
    assert find_model(DEFAULT_MODEL, tmp_path) is None
    assert find_model(str(laid(tmp_path / "m", parts=parts)), tmp_path) is None


def test_a_folder_that_lies_beside_the_recordings_is_never_taken_for_a_model(tmp_path, monkeypatch):
    """A model is code: only what is written as a path may name a folder."""
    laid(tmp_path / DEFAULT_MODEL)
    laid(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_model(DEFAULT_MODEL, tmp_path / "cache") is None
    assert find_model("mine", tmp_path / "cache") is None
    assert find_model("./mine", tmp_path / "cache").folder == tmp_path / "mine"


def test_models_have_names_of_their_own_and_a_folder_another_version_when_its_settings_change(tmp_path):
    """Both are part of the stage's key, so what another model found is never taken for this one's."""
    folder = laid(tmp_path / "mine")
    engine = PyannoteDiarizer(str(folder), cache=tmp_path).engine()
    assert engine.name == "pyannote:mine"
    (folder / "config.yaml").write_text(tiny_pyannote.CONFIG.replace("0.6", "0.7"))
    assert PyannoteDiarizer(str(folder), cache=tmp_path).engine().version != engine.version
    assert PyannoteDiarizer("pyannote/other", cache=tmp_path).engine().name == "pyannote:pyannote/other"


@with_pyannote
def test_a_model_that_refers_to_others_says_which_of_them_are_not_here(tmp_path):
    """Left to itself, pyannote.audio would fetch them; and the default model for what is not named at all."""
    cached(tmp_path, "pyannote/speaker-diarization-3.1", config=LEGACY, parts=())
    cached(tmp_path, "pyannote/segmentation-3.0", config="", parts=())
    lacking = PyannoteDiarizer("pyannote/speaker-diarization-3.1", cache=tmp_path).engine().lacking
    get = "`evt models get "
    assert f"{get}pyannote/wespeaker-voxceleb-resnet34-LM` and {get}{DEFAULT_MODEL}`" in lacking
    assert "segmentation-3.0" not in lacking


@with_pyannote
def test_a_model_that_would_send_the_audio_away_is_refused(tmp_path):
    config = "pipeline:\n  name: pyannote.audio.pipelines.pyannoteai.sdk.SDK\n"
    for name in ("segmentation", "embedding", "plda"):
        config += f"  {name}: $model/{name}\n"
    folder = laid(tmp_path / "cloud", config=config)
    assert "sends the audio to pyannoteAI" in PyannoteDiarizer(str(folder), cache=tmp_path).engine().lacking


def test_a_missing_model_fails_the_call_with_the_same_line_as_the_engine(tmp_path):
    diarizer = PyannoteDiarizer("./nowhere", cache=tmp_path)
    with pytest.raises(ProviderError) as raised:
        diarizer.diarize(JFK, {}, Work())
    assert str(raised.value) == diarizer.engine().lacking
    assert raised.value.code == "not_ready"


def test_the_graphics_card_is_taken_where_there_is_one_and_nobody_said_otherwise():
    assert [choose_device("auto", has_cuda=has) for has in (True, False)] == ["cuda", "cpu"]
    assert choose_device("cpu", has_cuda=True) == "cpu"


def test_a_speaker_count_goes_before_bounds_and_only_what_is_set_is_passed():
    assert _bounds({"speakers": 3, "min_speakers": 2, "max_speakers": 5}) == {"num_speakers": 3}
    assert _bounds({"speakers": None, "min_speakers": 2, "max_speakers": None}) == {"min_speakers": 2}
    assert _bounds({}) == {}


def test_speakers_are_named_by_their_first_turn_and_turns_end_with_the_recording():
    plain = Annotation((3.0, 99.0, "A"), (-0.1, 2.0, "B"), (1.0, 1.0002, "A"), (50.0, 60.0, "A"))
    found = SimpleNamespace(speaker_diarization=plain, exclusive_speaker_diarization=Annotation((4.0, 5.0, "A")))
    answer = _as_answer(found, 11.0, {"speakers": 2}, Found("m", Path("m")), "cpu")
    assert answer["turns"] == [
        {"start_s": 0.0, "end_s": 2.0, "speaker": "SPEAKER_00"},
        {"start_s": 3.0, "end_s": 11.0, "speaker": "SPEAKER_01"},
    ]
    assert answer["exclusive"] == [{"start_s": 4.0, "end_s": 5.0, "speaker": "SPEAKER_01"}]
    assert (answer["metadata"]["speakers"], answer["metadata"]["count_method"]) == (2, "given")


def test_a_model_that_gives_plain_turns_only_has_no_exclusive_ones():
    answer = _as_answer(Annotation((0.0, 1.0, "A")), 11.0, {}, Found("m", Path("m")), "cpu")
    assert "exclusive" not in answer
    assert answer["turns"][0]["speaker"] == "SPEAKER_00"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), "out_of_memory"),
        (RuntimeError("size mismatch"), "engine_failed"),
        (EOFError("Ran out of input"), "engine_failed"),
    ],
)
def test_errors_of_the_library_become_ours_with_a_remedy(error, code):
    failed = _failed(error, Found("m", Path("/models/m")))
    assert (failed.code, failed.retryable, failed.said) == (code, False, str(error))
    assert ("Close other programs" if code == "out_of_memory" else "Get the model again") in str(failed)
    assert not str(error) or str(error) not in str(failed)


@slow
@with_pyannote
def test_turns_of_the_real_library_are_sorted_named_and_within_the_recording(tiny):
    answer = PyannoteDiarizer(str(tiny), cache=tiny.parent).diarize(JFK, {}, work := Work())
    starts = [turn["start_s"] for turn in answer["turns"]]
    assert starts == sorted(starts)
    assert len(starts) > 3
    assert all(0 <= turn["start_s"] < turn["end_s"] <= 11.0 for turn in answer["turns"] + answer["exclusive"])
    assert answer["turns"][0]["speaker"] == "SPEAKER_00"
    exclusive = answer["exclusive"]
    assert all(one["end_s"] <= other["start_s"] for one, other in itertools.pairwise(exclusive))
    assert work.done == sorted(work.done)
    assert work.done[-1] == 1.0
    assert answer["metadata"]["model"] == "tiny-random"


@slow
@with_pyannote
def test_equal_samples_have_equal_turns_also_after_another_recording(tiny):
    diarizer = PyannoteDiarizer(str(tiny), cache=tiny.parent)
    first = diarizer.diarize(JFK, {}, Work())
    diarizer.diarize(Audio(ROOT / "samples" / "quilter.wav", (), 5.9), {}, Work())
    assert diarizer.diarize(JFK, {}, Work()) == first
    assert PyannoteDiarizer(str(tiny), cache=tiny.parent).diarize(JFK, {}, Work()) == first


@slow
@with_pyannote
def test_as_many_speakers_are_found_as_the_user_says(tiny):
    diarizer = PyannoteDiarizer(str(tiny), cache=tiny.parent)
    for wanted in (1, 2, 3):
        assert diarizer.diarize(JFK, {"speakers": wanted}, Work())["metadata"]["speakers"] == wanted
    assert diarizer.diarize(JFK, {"min_speakers": 3}, Work())["metadata"]["speakers"] == 3


@slow
@with_pyannote
def test_it_stops_between_batches_and_a_closed_one_does_not_begin(tiny):
    diarizer = PyannoteDiarizer(str(tiny), cache=tiny.parent)
    with pytest.raises(StoppedError):
        diarizer.diarize(JFK, {}, work := Work(stop_at=3))
    assert work.checks == 3
    diarizer.close()
    with pytest.raises(StoppedError):
        diarizer.diarize(JFK, {}, Work())


@slow
@with_pyannote
def test_a_damaged_model_is_named_with_a_remedy(tmp_path):
    folder = laid(tmp_path / "damaged")
    (folder / "segmentation" / "pytorch_model.bin").write_bytes(b"cut off")
    with pytest.raises(ProviderError, match="Get the model again") as raised:
        PyannoteDiarizer(str(folder), cache=tmp_path).diarize(JFK, {}, Work())
    assert raised.value.code == "engine_failed"


@slow
@with_pyannote
def test_nothing_is_sent_or_looked_up_anywhere(tiny, tmp_path):
    """Neither use nor load is reported to pyannote's makers, also where the environment says that it may be."""
    program = f"""
import sys, threading, time
sent = []
asking = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: sent.append(args) if event in asking else None)
from pathlib import Path
from pipeline.providers.diarize_pyannote import PyannoteDiarizer
from tests.test_diarize_pyannote import JFK, Work
PyannoteDiarizer({str(tiny)!r}, cache=Path({str(tmp_path)!r})).diarize(JFK, {{}}, Work())
from pyannote.audio.telemetry import metrics
metrics.provider.force_flush(5000)
print(sent)
"""
    environment = {**os.environ, "PYANNOTE_METRICS_ENABLED": "true", "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert (printed.stdout, printed.stderr) == ("[]\n", "")

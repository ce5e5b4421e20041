"""Whisper: finding models without the network, and the real library with a tiny model of random weights."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.audio.soundfiles import FlacWriter
from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.base import Chunk, Detector
from pipeline.providers.hub import hub_cache
from pipeline.providers.transcribe_whisper import MODELS, NEEDED, WhisperTranscriber, find_model
from pipeline.providers.whisper_device import (
    CPU,
    CUDA,
    Device,
    Machine,
    choose_device,
    look_at_machine,
    needed_libraries,
    note_of,
    without_card,
)
from tests.support import tiny_whisper

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
JFK = Chunk(path=ROOT / "samples" / "jfk.wav", start=0, end=11 * 16000, channel=None, unit="chunk 1")

installed = importlib.util.find_spec("faster_whisper") is not None
with_whisper = pytest.mark.skipif(not installed, reason="faster-whisper isn't installed: extra `whisper`")
slow = pytest.mark.slow


class Work(SimpleNamespace):
    """A run that is stopped at the given check; None: never."""

    def __init__(self, stop_at=None):
        super().__init__(checks=0, stop_at=stop_at)

    def check(self):
        self.checks += 1
        if self.checks == self.stop_at:
            raise StoppedError("The user asked to stop.")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_whisper.build(tmp_path_factory.mktemp("models") / "tiny-random")


def cached(cache, name, *, revision="abc", files=NEEDED):
    """Lay a model into a hub's cache, as its tools do."""
    repository = cache / f"models--{MODELS.get(name, name).replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for file in files:
        (snapshot / file).touch()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return snapshot


def test_it_says_what_it_is_and_imports_no_library_for_that(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline.providers.transcribe_whisper import *;"
        f"e = WhisperTranscriber(cache=Path({str(tmp_path)!r})).engine();"
        "print(e.name, e.version, e.languages, e.draft, e.network, e.key_options);"
        "print({'faster_whisper', 'huggingface_hub', 'ctranslate2', 'numpy', 'av'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "whisper 2 None False False ('model', 'language', 'prompt', 'keywords')\nset()\n"


def test_without_a_model_or_the_package_it_says_in_one_line_how_to_get_it(tmp_path):
    lacking = WhisperTranscriber(cache=tmp_path).engine().lacking
    remedy = "evt models get small" if installed else "-m pip install 'faster-whisper"
    assert remedy in lacking
    assert "\n" not in lacking


@with_whisper
def test_the_remedy_names_the_model_that_was_asked_for(tmp_path):
    lacking = WhisperTranscriber("turbo", cache=tmp_path).engine().lacking
    assert "'turbo'" in lacking
    assert "evt models get turbo" in lacking


def test_the_best_model_of_the_cache_is_taken_and_english_ones_last(tmp_path):
    assert find_model(None, tmp_path) is None
    for name in ("medium.en", "tiny", "small"):
        cached(tmp_path, name)
        assert find_model(None, tmp_path).name == name


def test_a_model_is_found_by_its_name_its_repository_and_its_folder(tmp_path):
    small, other = cached(tmp_path, "small", revision="f00"), cached(tmp_path, "someone/whisper-ct2")
    assert find_model("small", tmp_path).folder == small
    assert find_model("small", tmp_path).revision == "f00"
    assert find_model("someone/whisper-ct2", tmp_path).folder == other
    assert find_model(str(other), Path("/nowhere")).folder == other.resolve()
    assert find_model("large", tmp_path) is None
    cached(tmp_path, "large-v3")
    assert find_model("large", tmp_path).name == "large-v3"


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_a_model_that_is_not_whole_is_not_found(tmp_path, missing):
    """A download that broke off; and without its tokenizer the library would go to the network."""
    folder = cached(tmp_path, "small", files=[file for file in NEEDED if file != missing])
    assert find_model("small", tmp_path) is None
    assert find_model(str(folder), tmp_path) is None


def test_a_known_name_is_never_taken_for_a_folder_that_lies_here(tmp_path, monkeypatch):
    here = cached(tmp_path, "small").rename(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    assert find_model("tiny", tmp_path) is None
    assert find_model("./tiny", tmp_path).folder == here


def test_an_english_only_model_refuses_other_languages_beforehand(tmp_path):
    cached(tmp_path, "base.en")
    assert WhisperTranscriber(cache=tmp_path).engine().languages == ("en",)


def test_models_are_sought_where_the_tools_of_the_hub_keep_them():
    assert hub_cache({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}) == Path("/b/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache({}) == Path.home() / ".cache/huggingface/hub"


@slow
@with_whisper
def test_words_have_times_confidences_and_no_spaces(tiny):
    answer = WhisperTranscriber(cache=tiny.parent).transcribe(JFK, {"model": str(tiny), "language": "auto"}, Work())
    times = [word["start_s"] for word in answer["words"]]
    assert answer["language"] == "en"
    assert times == sorted(times)
    assert times
    for word in answer["words"]:
        assert word["text"] in tiny_whisper.WORDS
        assert 0 <= word["start_s"] <= word["end_s"] <= 11.5
        assert 0 <= word["confidence"] <= 1


@slow
@with_whisper
def test_how_sure_whisper_was_is_kept_by_segment_and_is_json(tiny):
    import orjson

    answer = WhisperTranscriber(str(tiny), cache=tiny.parent).transcribe(JFK, {}, Work())
    assert orjson.loads(orjson.dumps(answer)) == answer
    assert answer["metadata"]["model"] == "tiny-random"
    assert 0 < answer["metadata"]["speech_s"] <= 11
    flags = {"start_s", "end_s", "no_speech_prob", "avg_logprob", "compression_ratio"}
    assert answer["metadata"]["segments"]
    assert all(set(segment) == flags for segment in answer["metadata"]["segments"])


@slow
@with_whisper
def test_words_of_segments_that_whisper_itself_doubts_say_why(tiny):
    """The words of a model of random weights repeat themselves so much that Whisper takes them for a loop."""
    answer = WhisperTranscriber(str(tiny), cache=tiny.parent).transcribe(JFK, {}, Work())
    (ratio,) = {segment["compression_ratio"] for segment in answer["metadata"]["segments"]}
    assert ratio > 2.4
    assert {tuple(word["suspect"]) for word in answer["words"]} == {("compressed",)}


@slow
@with_whisper
def test_equal_chunks_have_equal_answers(tiny):
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent)
    assert transcriber.transcribe(JFK, {}, Work()) == transcriber.transcribe(JFK, {}, Work())


@pytest.mark.heavy
@with_whisper
def test_what_it_is_told_goes_before_every_half_minute_and_only_the_end_of_a_long_prompt_counts(tiny):
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent)

    def words(**options):
        return [word["text"] for word in transcriber.transcribe(JFK, options, Work())["words"]]

    assert words() == words(prompt=None, keywords=None)
    told = words(prompt="seven eight nine")
    assert told != words()
    assert words(keywords=["seven eight nine"]) == told, "both are told in the same way"
    assert words(prompt="one two " * 300 + "three " * 300) == words(prompt="three " * 300)
    assert words(prompt="four " * 300, keywords=["five"] * 300), "both together are not too much"


@slow
@with_whisper
def test_the_language_of_a_chunk_is_found_without_transcribing_it(tiny, tmp_path):
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent)
    assert isinstance(transcriber, Detector)
    assert transcriber.detect_language(JFK, {}, Work()) == {"language": "en", "probability": 1.0}
    writer = FlacWriter(tmp_path / "silence.flac")
    writer.write(np.zeros(160000, "int16"))
    writer.close()
    silence = Chunk(path=tmp_path / "silence.flac", start=0, end=160000, channel=None, unit="chunk 1")
    assert transcriber.detect_language(silence, {}, Work()) == {"language": None, "probability": 0.0}
    with pytest.raises(StoppedError):
        transcriber.detect_language(JFK, {}, Work(stop_at=1))


class Multilingual:
    """Stands before ctranslate2's model, as one that knows many languages; a tiny one can't be."""

    is_multilingual = True

    def __init__(self, model, *heard):
        self.model = model
        self.heard = list(heard)

    def __getattr__(self, name):
        return getattr(self.model, name)

    def detect_language(self, encoded):
        return [self.heard.pop(0)]


@slow
@with_whisper
def test_a_model_of_many_languages_is_asked_for_up_to_four_half_minutes_until_one_is_clear(tiny, tmp_path):
    from pipeline.audio.soundfiles import read_samples

    samples = read_samples(JFK.path, 0, JFK.end)
    writer = FlacWriter(tmp_path / "long.flac")
    for _ in range(15):
        writer.write(samples)
    writer.close()
    chunk = Chunk(tmp_path / "long.flac", 0, 15 * len(samples), None, "chunk 1")
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent)
    whisper = transcriber._load(find_model(str(tiny), tiny.parent))
    unsure, german = [("<|nl|>", 0.4), ("<|de|>", 0.3)], [("<|de|>", 0.91), ("<|nl|>", 0.05)]
    whisper.model = Multilingual(whisper.model, unsure, german, unsure)
    assert transcriber.detect_language(chunk, {}, Work()) == {"language": "de", "probability": 0.91}
    assert whisper.model.heard == [unsure]
    whisper.model = Multilingual(whisper.model.model, *[unsure] * 5)
    assert transcriber.detect_language(chunk, {}, Work()) == {"language": "nl", "probability": 0.4}
    assert whisper.model.heard == [unsure]


@slow
@with_whisper
def test_silence_has_no_words_and_no_language(tiny, tmp_path):
    writer = FlacWriter(tmp_path / "silence.flac")
    writer.write(np.zeros(160000, "int16"))
    writer.close()
    chunk = Chunk(path=tmp_path / "silence.flac", start=0, end=160000, channel=None, unit="chunk 1")
    answer = WhisperTranscriber(str(tiny), cache=tiny.parent).transcribe(chunk, {"language": "auto"}, Work())
    assert (answer["words"], answer["language"]) == ([], None)


@slow
@with_whisper
def test_it_stops_between_segments(tiny):
    work = Work(stop_at=2)
    with pytest.raises(StoppedError):
        WhisperTranscriber(str(tiny), cache=tiny.parent).transcribe(JFK, {}, work)
    assert work.checks == 2


@slow
@with_whisper
def test_a_closed_transcriber_does_not_begin(tiny):
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent)
    transcriber.close()
    with pytest.raises(StoppedError):
        transcriber.transcribe(JFK, {}, Work())


@slow
@with_whisper
def test_a_language_that_the_model_does_not_know_is_refused(tiny):
    with pytest.raises(ProviderError, match="doesn't know the language 'de'") as raised:
        WhisperTranscriber(str(tiny), cache=tiny.parent).transcribe(JFK, {"language": "de"}, Work())
    assert raised.value.code == "language_unsupported"


@slow
@with_whisper
def test_a_damaged_model_is_named_with_a_remedy(tmp_path):
    cached(tmp_path, "small")
    with pytest.raises(ProviderError, match="Get the model again") as raised:
        WhisperTranscriber("small", cache=tmp_path).transcribe(JFK, {}, Work())
    assert (raised.value.code, raised.value.retryable) == ("engine_failed", False)


ALL = {"float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16"}


@pytest.mark.parametrize(
    ("wanted", "machine", "chosen"),
    [
        ("auto", Machine(), Device(CPU, "int8")),
        ("auto", Machine(cards=2, card_types=ALL), Device(CUDA, "float16")),
        ("auto", Machine(cards=1, card_types=ALL - {"float16", "int8_float16"}), Device(CUDA, "int8_float32")),
        ("auto", Machine(cards=1, card_types={"float32"}), Device(CUDA, "float32")),
        ("auto", Machine(cards=1, card_types=()), Device(CUDA, "float32")),
        ("cpu", Machine(cards=1, card_types=ALL), Device(CPU, "int8")),
        ("cuda", Machine(), Device(CUDA, "float32")),
        ("cuda", Machine(1, ALL, missing="libcudnn_ops.so.9"), Device(CUDA, "float16")),
        (
            "auto",
            Machine(1, ALL, missing="libcudnn_ops.so.9"),
            Device(CPU, "int8", note_of("the library libcudnn_ops.so.9 is missing")),
        ),
    ],
)
def test_the_card_is_taken_where_it_can_be_used_with_numbers_that_it_is_good_at(wanted, machine, chosen):
    assert choose_device(wanted, machine) == chosen


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("Library libcublas.so.12 is not found or cannot be loaded", "the library libcublas.so.12 is missing"),
        ("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version", "its driver"),
        ("CUDA failed with error no kernel image is available for execution on the device", "its driver"),
        ("CUDA failed with error out of memory", None),
        ("Invalid input features shape", None),
    ],
)
def test_only_an_error_of_the_card_itself_gives_it_up_for_the_processor(said, note):
    found = without_card(RuntimeError(said))
    assert (found is None) == (note is None)
    assert found is None or (found.name == CPU and note in found.note)


def test_libraries_without_which_the_process_would_be_aborted_are_looked_for_beforehand():
    shipped = ["libgomp-e985bcbb.so.1.0.0", "libctranslate2-bc15bf3f.so.4.6.0"]
    assert needed_libraries(shipped) == ()
    assert needed_libraries([*shipped, "libcudnn-74a4c495.so.9.1.0"]) == ("libcudnn_ops.so.9", "libcudnn_cnn.so.9")


@slow
@with_whisper
def test_the_machine_is_looked_at_without_harm_where_there_is_no_card():
    assert look_at_machine() == Machine() or look_at_machine().cards > 0


@slow
@with_whisper
def test_a_card_that_fails_is_given_up_for_the_processor_and_the_answer_says_so(tiny):
    """The failure is the library's own: on a machine without a driver it refuses to use the card."""
    if look_at_machine().cards > 0:
        pytest.skip("NOT RUN: there is a graphics card here, so it doesn't fail")
    machine = Machine(cards=1, card_types=ALL)
    transcriber = WhisperTranscriber(str(tiny), cache=tiny.parent, machine=machine)
    answer = transcriber.transcribe(JFK, {}, Work())
    usual = WhisperTranscriber(str(tiny), cache=tiny.parent, machine=Machine()).transcribe(JFK, {}, Work())
    assert answer["words"] == usual["words"]
    assert (usual["metadata"]["device"], usual["metadata"]["compute_type"]) == ("cpu", "int8")
    assert "note" not in usual["metadata"]
    assert answer["metadata"] == {**usual["metadata"], "note": note_of("its driver doesn't fit")}
    assert transcriber.transcribe(JFK, {}, Work()) == answer
    with pytest.raises(ProviderError, match="CUDA driver"):
        WhisperTranscriber(str(tiny), cache=tiny.parent, device="cuda").transcribe(JFK, {}, Work())


def test_a_missing_model_fails_the_call_with_the_same_line_as_the_engine(tmp_path):
    transcriber = WhisperTranscriber("small", cache=tmp_path)
    with pytest.raises(ProviderError) as raised:
        transcriber.transcribe(JFK, {}, Work())
    assert str(raised.value) == transcriber.engine().lacking
    assert raised.value.code == "not_ready"

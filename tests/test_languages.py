"""The language of a recording: found once by engines that can, else that of most speech, and said to the user."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.outcomes import Outcome
from cli.progress import language_words
from pipeline.providers.base import Detector
from pipeline.transcribing.languages import Detected, shares, weighed
from projections.graph import TRANSCRIPTION
from tests.support import packages
from tests.support.cli import Evt
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import Paid
from tests.support.service import EDIT, Fault

EARS = """
import json, os
from projections.engine import Engine

def make(context):
    return Ears()

class Ears:
    chunk_s = (2.0, 3.0)

    def engine(self):
        return Engine("ears", 1, key_options=("model", "language"))

    def concurrency(self):
        return 2

    def detect_language(self, chunk, options, work):
        note("detect", chunk, options)
        code = "en" if chunk.start == 0 else "de"
        return {"language": code, "probability": 0.6 if code == "en" else 0.98}

    def transcribe(self, chunk, options, work):
        note("transcribe", chunk, options)
        words = [{"text": "so", "start_s": 0.1, "end_s": (chunk.end - chunk.start) / 16000}]
        return {"language": options["language"], "words": words, "metadata": {}}

    def close(self):
        pass

def note(what, chunk, options):
    with open(os.environ["EARS"], "a") as file:
        file.write(json.dumps([what, options.get("language")]) + "\\n")
"""


def test_the_language_with_most_speech_behind_it_wins_as_far_as_the_engine_is_sure() -> None:
    def answer(code: str | None, probability: float) -> dict[str, Any]:
        return {"language": code, "probability": probability}

    assert weighed([(answer("de", 0.98), 100.0)]) == Detected("de", 0.98)
    assert weighed([(answer("en", 0.9), 20.0), (answer("de", 0.8), 60.0)]) == Detected("de", 0.6)
    assert weighed([(answer("en", 0.9), 60.0), (answer("de", 0.2), 61.0)]).language == "en"  # type: ignore[union-attr]
    assert weighed([(answer("it", 0.5), 10.0), (answer("es", 0.5), 10.0)]).language == "es"  # type: ignore[union-attr]
    assert weighed([(answer(None, 0.0), 10.0)]) is None
    assert weighed([]) is None


def test_pieces_count_by_their_speech_and_those_without_words_not_at_all() -> None:
    word = [{"text": "so"}]
    said = [
        ({"language": "en", "words": word}, 10.0),
        ({"language": "de", "words": word}, 30.5),
        ({"language": "en", "words": word}, 5.0),
        ({"language": "fr", "words": []}, 300.0),
        ({"language": None, "words": word}, 300.0),
        (None, 300.0),
    ]
    assert list(shares(said).items()) == [("de", 30.5), ("en", 15.0)]


def test_what_was_found_out_is_said_with_how_sure_it_is() -> None:
    assert language_words({"language": "de", "language_probability": 0.984}) == "de (detected, 98 %)"
    assert language_words({"language": "de"}) == "de (detected)"


@pytest.mark.heavy
def test_it_is_found_once_for_all_pieces_and_recorded_and_a_flag_overrides_it(evt: Evt, tmp_path: Path) -> None:
    points = "[evt.transcribers]\nears = evt_ears:make\n"
    folder = packages.install(tmp_path / "site", "evt-ears", points, {"evt_ears.py": EARS})
    heard = tmp_path / "heard"
    more = {"PYTHONPATH": f"{evt.environment()['PYTHONPATH']}:{folder}", "EARS": str(heard)}
    evt.speech("talk.wav", 11.0)
    engines = ("--diarizer", "none", "--transcriber", "ears")
    done = evt("run", "talk.wav", *engines, **more)
    asked = heard.read_text().splitlines()
    assert asked[:3] == ['["detect", null]'] * 3
    assert set(asked[3:]) == {'["transcribe", "de"]'}
    assert len(asked) > 5
    assert "language: de (detected, " in done.stderr
    assert "language: de (detected, " in evt("show", "talk.wav").stdout
    operations = [r["data"]["operation"] for r in evt.records() if r["type"] == "call.started"]
    assert operations.count("detect_language") == 3
    metadata = [r["data"]["metadata"] for r in evt.records() if r["type"] == "stage.succeeded"][-3]
    assert (metadata["language"], metadata["language_detected"]) == ("de", True)
    assert 0.3 < metadata["language_probability"] < 0.98

    evt("run", "talk.wav", "--refresh", "transcription", **more)
    assert heard.read_text().splitlines()[len(asked) :].count('["detect", null]') == 3, "asked anew, as all else"
    heard.unlink()
    named = evt("run", "talk.wav", "--language", "de", **more)
    assert not heard.exists(), "the same language was asked for before: nothing is done twice"
    assert "detected" not in named.stderr
    evt("run", "talk.wav", "--language", "fr", **more)
    assert set(heard.read_text().splitlines()) == {'["transcribe", "fr"]'}


@pytest.mark.slow
def test_where_a_service_takes_parts_for_other_languages_most_speech_decides_and_a_note_says_so(
    tmp_path: Path,
) -> None:
    def french(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "language": "french"}

    with Paid(tmp_path, 12.0) as paid:
        paid.openai.faults.script(Fault(EDIT, TRANSCRIBE, nth=1, edit=french))
        shop = paid.shop()
        result = paid.run(shop, {"diarizer": "none", "transcriber": "openai", "model": "whisper-1"})
        assert result is not None
        metadata = result.state.checkpoints[TRANSCRIPTION].metadata
        assert metadata["language"] == "en"
        assert list(metadata["languages"]) == ["en", "fr"]
        assert metadata["languages"]["en"] > metadata["languages"]["fr"] > 0
        outcome = Outcome("talk.wav")
        outcome.take_plan(result.plan)
        (note,) = outcome.notes
        assert note.startswith("parts were taken for different languages, en for ")
        assert note.endswith("; --language en names one")


def test_an_engine_that_finds_languages_is_known_by_its_method() -> None:
    both = SimpleNamespace(concurrency=lambda: 1, detect_language=lambda *_: {})
    assert isinstance(both, Detector)
    assert not isinstance(SimpleNamespace(concurrency=lambda: 1), Detector)

"""Prompts and keywords: they reach the engine, the log holds references, and equal words are never paid twice."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline import forks
from pipeline.artifacts import Artifacts
from pipeline.calls.requests import remote_request
from pipeline.look import Look, look
from pipeline.providers.base import Chunk
from pipeline.providers.remote import Sound, Wish
from pipeline.recordings import identify, pipeline_id_of
from pipeline.texts import FreeText, about_tokens, keep, length_note, referred, told
from pipeline.transcribing.hearing import options_for
from pipeline.transcribing.pieces import Piece
from projections.decisions import REUSE, RUN
from projections.graph import TRANSCRIPTION
from projections.options import Named
from tests.support.openai_server import TRANSCRIBE
from tests.support.paid import Paid
from tests.support.service import status
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech

PROMPT = "Ein Gespräch über den Quastenflosser"
KEYWORDS = ["Latimeria", "Courtenay-Latimer"]
ENGINES = {"diarizer": "none", "transcriber": "openai", "model": "gpt-transcribe"}
WISHES: dict[str, Any] = {**ENGINES, "prompt": FreeText(PROMPT), "keywords": FreeText(KEYWORDS)}


pytestmark = pytest.mark.slow


@pytest.fixture
def paid(tmp_path: Path) -> Any:
    with Paid(tmp_path, 9.0) as both:
        yield both


def fields_sent(paid: Paid) -> list[dict[str, list[str]]]:
    return [request.notes["fields"] for request in paid.openai.requests if "fields" in request.notes]


def seen(paid: Paid, shop: Any, options: dict[str, Any]) -> Look:
    found = identify(paid.recording, shop.home.index)
    return look(shop, pipeline_id_of(found, shop.store), found, Named(options=options), lambda *_: None)


def log_bytes(paid: Paid) -> bytes:
    return b"".join(path.read_bytes() for path in paid.folder.glob("home/logs/*/*"))


def test_words_reach_the_service_and_no_line_of_the_log(paid: Paid) -> None:
    shop = paid.shop()
    result = paid.run(shop, WISHES)
    assert result is not None
    assert result.outcome == "completed"
    assert fields_sent(paid)
    for fields in fields_sent(paid):
        assert fields["prompt"] == [PROMPT]
        assert fields["keywords[]"] == KEYWORDS
    log = log_bytes(paid)
    assert b"text:" in log
    for word in ("Quastenflosser", "Latimeria", "Courtenay"):
        assert word.encode() not in log
    held = [path for path in paid.folder.glob("home/**/*") if path.is_file() and b"Quasten" in path.read_bytes()]
    assert [path.name for path in held] == ["text.json"], "and no artifact of a stage"


def test_a_plan_writes_nothing_and_prices_the_requests_that_are_then_sent(paid: Paid) -> None:
    shop = paid.shop()
    paid.run(shop, ENGINES)
    sent = paid.openai.count(TRANSCRIBE)
    before = sorted(paid.folder.glob("home/artifacts/**/*")), log_bytes(paid)
    plain = seen(paid, shop, ENGINES).plan[TRANSCRIPTION]
    assert not {"prompt", "keywords"} & plain.options.keys(), "the key is what it was without such options"
    step = seen(paid, shop, WISHES).plan[TRANSCRIPTION]
    assert (sorted(paid.folder.glob("home/artifacts/**/*")), log_bytes(paid)) == before
    assert (step.decision, step.reason) == (
        RUN,
        "keywords: not set → set, named by you; prompt: not set → set, named by you",
    )
    assert step.price is not None
    paid.run(shop, WISHES)
    assert paid.openai.count(TRANSCRIBE) - sent == step.price.calls


def test_equal_words_pay_nothing_again_and_going_back_finds_the_old_words(paid: Paid) -> None:
    shop = paid.shop()
    paid.run(shop, WISHES)
    sent = paid.openai.count(TRANSCRIBE)
    paid.run(shop, {**WISHES, "prompt": FreeText(PROMPT)})
    assert paid.openai.count(TRANSCRIBE) == sent
    step = seen(paid, shop, {**WISHES, "prompt": FreeText("Something else")}).plan[TRANSCRIPTION]
    assert (step.decision, step.reason) == (RUN, "prompt: set → another, named by you")
    paid.run(shop, {**WISHES, "prompt": FreeText("Something else")})
    more = paid.openai.count(TRANSCRIBE)
    assert more == 2 * sent
    assert seen(paid, shop, WISHES).plan[TRANSCRIPTION].decision == REUSE
    assert max(paid.charged().values()) == 1


def test_a_run_that_was_cut_short_goes_on_with_the_words_of_before(paid: Paid) -> None:
    paid.openai.faults.script(status(401, {"error": {"message": PROMPT}}, endpoint=TRANSCRIBE))
    shop = paid.shop()
    first = paid.run(shop, WISHES)
    assert first is not None
    assert first.outcome == "failed"
    paid.heal()
    second = paid.run(paid.shop(), {})
    assert second is not None
    assert second.outcome == "completed"
    assert {tuple(fields["prompt"]) for fields in fields_sent(paid)} == {(PROMPT,)}
    assert b"Quastenflosser" not in log_bytes(paid)


def test_words_that_are_lost_are_asked_for_with_the_remedy(paid: Paid) -> None:
    paid.openai.faults.script(status(401, {"error": {"message": "no"}}, endpoint=TRANSCRIBE))
    shop = paid.shop()
    paid.run(shop, WISHES)
    paid.heal()
    for path in paid.folder.glob("home/artifacts/*/*/text/*/text.json"):
        path.write_text(path.read_text().replace("Quasten", "Quarten"))
    lost = paid.run(paid.shop(), {})
    assert lost is not None
    assert "Say it again with --prompt" in lost.failures[TRANSCRIPTION].message
    mended = paid.run(paid.shop(), {"prompt": FreeText(PROMPT)})
    assert mended is not None
    assert mended.outcome == "completed"


def test_a_stage_that_was_begun_without_words_goes_on_without_those_of_the_environment(paid: Paid) -> None:
    paid.openai.faults.script(status(401, {"error": {"message": "no"}}, endpoint=TRANSCRIBE, nth=2))
    shop = paid.shop()
    paid.run(shop, ENGINES)
    paid.heal()
    paid.run(paid.shop(), {}, environment={"prompt": FreeText(PROMPT)})
    assert all("prompt" not in fields for fields in fields_sent(paid))
    assert max(paid.charged().values()) == 1


def test_a_model_is_sent_only_the_words_that_it_takes(paid: Paid) -> None:
    shop = paid.shop()
    options = {**WISHES, "model": "whisper-1"}
    notes = seen(paid, shop, options).plan.notes
    assert [note for note in notes if note.startswith("--keywords has no effect")]
    assert not [note for note in notes if note.startswith("--prompt")]
    paid.run(shop, options)
    assert {(*fields["prompt"], *fields.get("keywords[]", ())) for fields in fields_sent(paid)} == {(PROMPT,)}


def test_words_go_along_only_where_somebody_speaks_for_a_second() -> None:
    options = {"model": "m", "prompt": "text:0123456789abcdef", "keywords": "text:0123456789abcdef"}

    def piece(*speech: tuple[int, int]) -> Piece:
        return Piece(Chunk(Path("x"), 0, 480_000, None, "x"), "00", speech, speaker="SPEAKER_00")

    assert options_for(piece((0, 8_000), (9_000, 17_000)), options) == options
    assert options_for(piece((0, 8_000), (9_000, 16_999)), options) == {"model": "m"}
    assert options_for(piece(), options) == {"model": "m"}


def test_nothing_shows_words_on_their_way() -> None:
    text = FreeText(PROMPT)
    assert PROMPT not in f"{text} {text!r} {Named(options={'prompt': text}).options}"
    for write in (orjson.dumps, pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write({"prompt": text})


def test_references_differ_between_pipelines_and_before_there_is_a_salt_can_not_be_guessed(tmp_path: Path) -> None:
    one, other, new = (Artifacts(tmp_path / name) for name in ("one", "other", "new"))
    named = Named(options={"prompt": FreeText(PROMPT)}, files={"keywords": FreeText(KEYWORDS)})
    kept = [keep(named, artifacts) for artifacts in (one, other)]
    assert kept[0].options["prompt"] != kept[1].options["prompt"]
    assert referred(named, one) == kept[0] == keep(named, one)
    assert told({**kept[0].files, **kept[0].options}, one) == {"prompt": PROMPT, "keywords": KEYWORDS}
    assert referred(named, new).options["prompt"] not in {
        FreeText(PROMPT).reference(""),
        kept[0].options["prompt"],
    }
    assert not new.root.exists()


def test_a_variant_has_the_words_that_it_was_begun_with(tmp_path: Path) -> None:
    shop_root = tmp_path / "home"
    shop = make_shop(shop_root)
    script = write_script(tmp_path / "a.toml", words=[("one", 0.2, 0.6)], key_options='["prompt"]')
    recording = write_speech(tmp_path / "talk.wav", 4.0)
    run_once(shop, recording, tmp_path, Named(options=scripted(script)))
    found = identify(recording, shop.home.index)
    base = pipeline_id_of(found, shop.store)
    named = Named(options={"prompt": FreeText(PROMPT)})
    variant = forks.begin(shop, forks.asked_of(shop, base, found, named), found, named)
    options = look(shop, variant, found, Named(), lambda *_: None).options
    assert told({"prompt": options["prompt"].value}, Artifacts(shop.home.artifacts(variant)))["prompt"] == PROMPT
    assert forks.find(shop, forks.asked_of(shop, base, found, named), found, named) == variant
    assert PROMPT.encode() not in b"".join(path.read_bytes() for path in shop_root.glob("logs/*/*"))


def test_a_prompt_that_is_longer_than_an_engine_heeds_is_noted() -> None:
    assert about_tokens("four") == 1
    assert about_tokens("日本語") == 3
    long = Named(options={"prompt": FreeText("word " * 200)})
    assert length_note(long, 224) == "the prompt has about 250 tokens, of which this engine heeds only the last 224"
    assert length_note(long, None) is None
    assert length_note(Named(options={"prompt": FreeText("short")}), 224) is None


def test_the_digest_of_a_request_holds_the_reference_and_what_is_sent_holds_the_words(paid: Paid) -> None:
    """Without the pipeline's salt nobody can try words against a log."""
    provider = paid.shop().providers.remote_transcriber("openai", "gpt-transcribe")
    sound = Sound(Path("x"), 0, 16_000, "00" * 32)
    wish = Wish({"prompt": "text:0123456789abcdef"})
    priced = remote_request(provider.engine(), provider, "x", sound, wish)
    sent = remote_request(provider.engine(), provider, "x", sound, wish, {"prompt": PROMPT})
    assert sent.digest == priced.digest
    assert sent.content["prompt"] == "text:0123456789abcdef"
    assert sent.remote is not None
    assert provider.wire(sent.remote.wish)["prompt"] == PROMPT

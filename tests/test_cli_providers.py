"""`evt providers` and what `evt doctor` says of services: facts, prices, keys that are never shown, and endings."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from cli.engines import ENDS_SOON_DAYS, cost_words, ending, price_as_json, where_words
from pipeline.providers.registry import OURS
from pipeline.providers.services import load_services
from projections.engine import Engine
from projections.money import Price
from tests.support import packages
from tests.support.cli import ROOT, Evt

KEY = "sk-canary-0123456789"
TODAY = date(2026, 11, 27)
PAID = Engine(
    "openai",
    1,
    network=True,
    billable=True,
    origin="https://api.openai.com",
    model="m",
    price=Price("USD", Decimal("0.0045"), "2026-11-01"),
)

BROKEN = "import nothing_of_that_name\n"


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


def override(evt: Evt, text: str) -> None:
    evt.home.mkdir(exist_ok=True)
    (evt.home / "services.toml").write_text(text)


def test_each_provider_has_one_row_with_where_the_audio_goes_and_what_that_costs(evt: Evt) -> None:
    lines = evt("providers").stdout.splitlines()
    for kind, names in OURS.items():
        table = lines[next(i for i, line in enumerate(lines) if line.startswith(kind.upper())) + 1 :]
        assert [line.split()[0] for line in table[: len(names)]] == list(names)
    (openai,) = (line for line in lines if line.startswith("openai"))
    assert openai.split() == ["openai", "no", "text", "any", "https://api.openai.com", "0.27", "USD"]
    (pyannote,) = (line for line in lines if line.startswith("pyannote "))
    assert pyannote.endswith("stays here               free")


def test_the_details_of_a_service_list_its_models_with_prices_and_ends(evt: Evt) -> None:
    said = evt("providers", "openai").stdout
    for model, facts in load_services().service("openai")["models"].items():
        (line,) = (line for line in said.splitlines() if line.split()[:1] == [model])
        assert facts.get("shutdown_date", "USD") in line
    assert "as of 2026-11-01" in said
    assert "needs a key" in said


def test_a_provider_of_both_kinds_is_described_twice(evt: Evt) -> None:
    report = evt.json("providers", "pyannoteai")
    assert [found["kind"] for found in report["diarizers"] + report["transcribers"]] == ["diarizer", "transcriber"]
    assert report["diarizers"][0]["price"]["per_hour"] == "0.112000"
    assert report["transcribers"][0]["price"]["per_hour"] == "0.168000"
    assert {model["model"] for model in report["diarizers"][0]["models"]} == {"precision-2", "community-1"}


@pytest.mark.parametrize("command", [("providers",), ("providers", "openai"), ("doctor",), ("--debug", "doctor")])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_key_is_said_to_be_there_and_from_where_and_never_shown(evt: Evt, command, form) -> None:
    done = evt(*command, *form, OPENAI_API_KEY=KEY)
    assert KEY not in done.stdout + done.stderr
    assert ("$OPENAI_API_KEY" in done.stdout) == (command != ("providers",) or form == ("--json",))
    report = evt("providers", "openai", "--json", OPENAI_API_KEY=KEY).stdout
    assert '"set": true' in report
    assert '"ready": true' in report


def test_a_name_that_nobody_brings_is_refused_with_those_there_are(evt: Evt) -> None:
    said = evt("providers", "whispr", code=3).stderr
    assert (
        "There is no provider 'whispr'. There are: builtin, channels, none, pyannote, pyannoteai, whisper" in said
    )


def test_prices_of_the_home_go_before_those_that_evt_ships(evt: Evt) -> None:
    price = '{ currency = "USD", per_min = "0.01", date = "2026-12-24" }'
    override(evt, f"[openai.models.gpt-transcribe]\nprice = {price}\n")
    assert "0.60 USD an hour, as of 2026-12-24" in evt("providers", "openai").stdout
    override(evt, "[openai")
    assert "services.toml can't be used" in evt("providers", code=3).stderr


def test_providers_of_other_packages_are_listed_also_broken_and_passed_over_ones(evt: Evt, tmp_path: Path) -> None:
    points = "[evt.transcribers]\nbroken = broken_one:make\nbuiltin = broken_one:make\n"
    folder = packages.install(tmp_path / "site", "broken-one", points, {"broken_one.py": BROKEN})
    path = f"{ROOT}:{folder}"
    (row,) = (line for line in evt("providers", PYTHONPATH=path).stdout.splitlines() if line.startswith("broken"))
    assert row.split()[1:3] == ["no", "?"]
    done = evt("providers", "broken", PYTHONPATH=path)
    assert "The package broken-one 1.0 brings a transcriber 'broken' that can't be used here (Module" in done.stdout
    assert "The transcriber 'builtin' of another package is passed over" in done.stderr
    assert "broken-one 1.0" in evt("doctor", PYTHONPATH=path).stdout


def test_doctor_says_that_a_model_ends_where_it_could_be_used(evt: Evt) -> None:
    override(evt, '[openai.models.gpt-transcribe]\nshutdown_date = "2020-01-31"\n')
    said = "The model gpt-transcribe of openai ended on 2020-01-31. Choose another with --model"
    assert said in evt("doctor", OPENAI_API_KEY=KEY).stdout
    assert said not in evt("doctor").stdout
    assert said in evt("providers", "openai").stdout


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (ENDS_SOON_DAYS + 1, None),
        (ENDS_SOON_DAYS, "ends on 2027-05-26, in 180 days"),
        (1, "ends on 2026-11-28, in 1 day."),
        (0, "ended on 2026-11-27"),
        (-400, "ended on 2025-10-23"),
    ],
)
def test_the_end_of_a_model_is_spoken_of_half_a_year_before(days, words) -> None:
    engine = evolve(PAID, shutdown_date=(TODAY + timedelta(days)).isoformat())
    said = ending("openai", engine, TODAY)
    assert said is None if words is None else words in str(said)


@pytest.mark.parametrize("shutdown_date", [None, "", "soon", "2027-02-30"])
def test_a_model_without_a_date_has_no_end(shutdown_date) -> None:
    assert ending("openai", evolve(PAID, shutdown_date=shutdown_date), TODAY) is None


def test_costs_in_words_are_of_an_hour_and_say_where_usage_decides() -> None:
    assert cost_words(Engine("builtin", 1)) == "free"
    assert cost_words(evolve(PAID, price=None)) == "unknown"
    assert cost_words(PAID) == "0.27 USD"
    tokens = Price("USD", Decimal("0.006"), "d", at_most_per_min=Decimal("0.008"), at_most_per_call=Decimal("0.02"))
    assert cost_words(evolve(PAID, price=tokens)) == "about 0.36 USD"
    assert price_as_json(tokens) == {
        "currency": "USD",
        "per_hour": "0.360000",
        "at_most_per_hour": "0.480000",
        "at_most_per_call_besides": "0.02",
        "minimum_s": 0.0,
        "date": "d",
    }


def test_where_the_audio_goes_is_never_left_open() -> None:
    assert where_words(Engine("builtin", 1)) == "stays here"
    assert where_words(PAID) == "https://api.openai.com"
    assert where_words(Engine("other", 1, network=True)) == "the network"


def test_what_is_lacking_is_told_in_one_sentence_with_one_full_stop(evt):
    refused = evt("run", evt.speech(), "--transcriber", "openai", code=3)
    assert "OPENAI_API_KEY" in refused.stderr
    assert ".." not in refused.stderr.replace("...", "")

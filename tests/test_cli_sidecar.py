"""The file beside a recording: what it may set, whom it wins over, and that it is no recording itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from cli.batching.items import gather
from cli.errors import SettingsError
from cli.options import named_from
from cli.settings.settings import load_settings
from cli.settings.sidecar import settings_with, sidecar_of, with_sidecar
from eventlog.store import Store
from pipeline.home import Home
from projections.graph import FORMATS
from projections.options import FILE, FLAG, LOG, resolve_options
from projections.state import PipelineState
from tests.support.cli import Evt
from tests.support.shop import write_speech


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_speech(tmp_path / "talk.wav", 1.0)


def write(talk: Path, content: str) -> Path:
    path = talk.with_name("talk.evt.toml")
    path.write_text(content)
    return path


def test_it_is_named_after_the_recording_without_its_suffix(talk: Path, home: Home) -> None:
    write(talk, 'language = "de"\nspeakers = 2\nprompt = "Fische"\nkeywords = ["Latimeria"]\nformats = ["txt"]')
    assert sidecar_of(talk, home).options == {
        "language": "de", "speakers": 2, "prompt": "Fische", "keywords": ["Latimeria"], "formats": ["txt"],
    }  # fmt: skip
    assert sidecar_of(talk.with_name("talk.mp3"), home).options["language"] == "de"
    assert sidecar_of(talk.with_name("other.wav"), home).options == {}


def test_it_wins_over_other_files_and_loses_to_the_environment_the_log_and_flags(
    talk: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(talk.parent)
    home.config.write_text('language = "en"\nspeakers = 5\nallow_gaps = true')
    (talk.parent / "evt.toml").write_text('language = "fr"\nspeakers = 4')
    sidecar_path = write(talk, 'language = "de"\nspeakers = 3')
    sidecar = sidecar_of(talk, home)
    settings = load_settings(str(home.root), environment={"EVT_SPEAKERS": "2"})
    named = with_sidecar(named_from({}, settings), sidecar, home)
    options = resolve_options(named, PipelineState(""))
    assert (options["language"].value, options["language"].source) == ("de", FILE)
    assert options["speakers"].value == 2
    assert options["allow_gaps"].value is True
    recorded = resolve_options(named, evolve(PipelineState(""), named={"language": "it"}))
    assert (recorded["language"].value, recorded["language"].source) == ("it", LOG)
    flagged = with_sidecar(named_from({"language": "es"}, settings), sidecar, home)
    assert resolve_options(flagged, PipelineState(""))["language"].source == FLAG
    shown = settings_with(settings, sidecar)
    assert shown.origins["language"] == str(sidecar_path)
    assert shown.origins["speakers"] == "$EVT_SPEAKERS"


def test_who_gets_the_audio_is_taken_from_it_only_in_a_trusted_folder(talk: Path, home: Home) -> None:
    path = write(talk, 'transcriber = "openai"\nlanguage = "de"')
    sidecar = sidecar_of(talk, home)
    assert sidecar.options == {"language": "de"}
    assert sidecar.ignored == (
        f"{path} sets transcriber, which is taken only from a trusted folder: evt trust {talk.parent}",
    )
    home.trusted.write_text(f"{talk.parent.resolve()}\n")
    assert sidecar_of(talk, home).options == {"transcriber": "openai", "language": "de"}


@pytest.mark.parametrize(
    "line",
    [
        'max_cost = "1"',
        'profile = "p"',
        'output_dir = "x"',
        "[openai]\nbase_url = 'http://x'",
        "[profiles.p]",
        "langage = 1",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_limits_keys_and_what_is_no_option_never_stand_in_it(
    talk: Path, home: Home, line: str, trusted: bool
) -> None:
    write(talk, line)
    home.trusted.write_text(f"{talk.parent.resolve()}\n" if trusted else "")
    with pytest.raises(SettingsError, match=r"talk\.evt\.toml sets '\w+', which is nothing that a file beside"):
        sidecar_of(talk, home)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("language = 5", r"talk\.evt\.toml: language can't be 5"),
        ('speakers = "two"', r"talk\.evt\.toml: speakers can't be 'two'"),
        ('keywords = ["a<b"]', r"talk\.evt\.toml: keywords can't be \['a<b'\]; it is a list of words"),
        ("prompt = 1", r"talk\.evt\.toml: prompt can't be 1"),
        ("speakers = 1\nmin_speakers = 2", r"talk\.evt\.toml: speakers, min_speakers and max_speakers contradict"),
        ("speakers = ", r"talk\.evt\.toml can't be read"),
    ],
)
def test_an_error_names_the_file_and_the_key(talk: Path, home: Home, line: str, said: str) -> None:
    write(talk, line)
    with pytest.raises(SettingsError, match=said):
        sidecar_of(talk, home)


def test_one_that_is_wrong_refuses_its_own_recording_only(talk: Path, home: Home) -> None:
    write(talk, "language = 5")
    other = write_speech(talk.with_name("other.wav"), 1.0, seed=1)
    items, refusals = gather([str(talk), str(other)], Store(str(home.logs)), home, talk.parent)
    assert [item.name for item in items] == ["other.wav"]
    assert [refusal.written for refusal in refusals] == [str(talk)]


def test_settings_files_that_a_pattern_names_are_no_recordings(talk: Path, home: Home) -> None:
    beside = write(talk, 'language = "de"')
    (talk.parent / "evt.toml").write_text("")
    named = [str(talk.parent / "evt.toml"), str(beside), str(talk)]
    items, refusals = gather(named, Store(str(home.logs)), home, talk.parent)
    assert [item.name for item in items] == ["talk.wav"]
    assert refusals == []
    _, refusals = gather(named[1:2], Store(str(home.logs)), home, talk.parent)
    assert "Name the recording itself" in str(refusals[0].error)


def test_an_empty_prompt_takes_away_that_of_another_file(talk: Path, home: Home) -> None:
    home.config.write_text('prompt = "Vögel"\nkeywords = ["Amsel"]')
    write(talk, 'prompt = ""\nkeywords = []')
    named = with_sidecar(
        named_from({}, load_settings(str(home.root), environment={})), sidecar_of(talk, home), home
    )
    options = resolve_options(named, PipelineState(""))
    assert (options["prompt"].value, options["keywords"].value) == (None, None)


@pytest.mark.slow
def test_recordings_of_one_invocation_have_each_its_own(evt: Evt) -> None:
    evt.script.write_text(evt.script.read_text() + '\nkey_options = ["language", "prompt"]')
    evt.speech("talk.wav", 4.0)
    evt.speech("other.wav", 4.0, seed=1)
    (evt.work / "talk.evt.toml").write_text('language = "de"\nprompt = "Quastenflosser"\nmodel = "m"')
    shown = evt.json("plan", "talk.wav", *evt.engines)
    assert "language and prompt as in talk.evt.toml" in shown[0]["notes"]
    rows = evt.json("config", "--recording", "talk.wav")
    origins = {row["name"]: (row["value"], row["origin"]) for row in rows["settings"]}
    assert origins["language"] == ("de", "talk.evt.toml")
    assert origins["prompt"] == ("Quastenflosser", "talk.evt.toml")
    assert any("sets model" in note for note in rows["ignored"])
    done = evt.run("talk.evt.toml", "talk.wav", "other.wav")
    assert "language and prompt as in talk.evt.toml" in done.stderr
    logs = [path.read_text() for path in evt.home.glob("logs/*/*.jsonl")]
    found = {}
    for log in logs:
        assert "Quastenflosser" not in log
        records = [json.loads(line) for line in log.splitlines()]
        (started,) = [r["data"]["options"] for r in records if r["type"] == "run.started"]
        name = next(r["data"]["input"]["name"] for r in records if r["type"] == "pipeline.created")
        found[name] = started["language"], started["prompt"]["value"] is not None
    assert found == {
        "talk.wav": ({"value": "de", "source": "file"}, True),
        "other.wav": ({"value": "auto", "source": "default"}, False),
    }
    assert "nothing to do" in evt.run("talk.wav").stdout
    evt.run("other.wav", "--prompt", "Vögel")
    assert "prompt Vögel" in evt("show", "other.wav").stdout


def test_every_format_may_be_wished_for(talk: Path, home: Home) -> None:
    write(talk, f"formats = {json.dumps(list(FORMATS))}")
    assert sidecar_of(talk, home).options["formats"] == list(FORMATS)

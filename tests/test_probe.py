"""A model that evt doesn't know, at a server it doesn't know: asked once what it can do, and remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.calls.probed import BELIEVED_DAYS, recalled, remember
from projections.engine import Engine
from projections.events import EngineProbed
from projections.plan import Plan, StagePlan
from projections.state import PipelineState
from tests.support.cli import Evt
from tests.support.openai_server import TRANSCRIBE, OpenAIServer, Spoken, speak
from tests.support.service import EDIT, HTML, Fault, Request, Response, status

MODEL = "house-model"
VERBOSE, PLAIN = {"formats": ["json", "verbose_json"], "word_times": True}, {"formats": ["json"]}


class Vague(OpenAIServer):
    """Refuses formats without a word that says what it dislikes."""

    def answer(self, request: Request) -> Response:
        answered = super().answer(request)
        if answered.status == 400:
            return Response(422, {"detail": [{"msg": "Input should be 'a' or 'b'", "loc": ["body", "fmt"]}]})
        return answered


def without(*names: str) -> Callable[[Any], Any]:
    return lambda body: {name: value for name, value in body.items() if name not in names}


SERVERS = {
    "times words": (OpenAIServer, VERBOSE, (), 1, "verbose_json", True),
    "no granularities": (OpenAIServer, {"formats": ["json", "verbose_json"]}, (), 2, "verbose_json", False),
    "json only": (OpenAIServer, PLAIN, (), 3, "json", False),
    "json only, says not why": (Vague, PLAIN, (), 3, "json", False),
    "verbose with text only": (
        OpenAIServer,
        VERBOSE,
        (Fault(EDIT, edit=without("words", "segments")),),
        1,
        "verbose_json",
        False,
    ),
    "segments only": (OpenAIServer, VERBOSE, (Fault(EDIT, edit=without("words")),), 1, "verbose_json", False),
}


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


QUICK = {"times words", "json only, says not why"}


@pytest.fixture(params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SERVERS])
def case(request: pytest.FixtureRequest) -> Iterator[tuple[OpenAIServer, int, str, bool]]:
    kind, model, faults, probes, form, times = SERVERS[request.param]
    with kind(models={MODEL: model}, faults=faults, hear=hello) as server:
        yield server, probes, form, times


def run(evt: Evt, server: OpenAIServer, name: str, *more: str, code: int = 0, **environment: str) -> str:
    evt.home.mkdir(mode=0o700, exist_ok=True)
    (evt.home / "config.toml").write_text(f'[openai]\nbase_url = "{server.base_url}"\n')
    engines = ("--diarizer", f"script:{evt.script}", "--transcriber", "openai", "--model", MODEL)
    return evt("run", name, *engines, *more, code=code, **environment).stderr


def logs(evt: Evt) -> list[list[dict[str, Any]]]:
    paths = sorted(evt.home.glob("logs/*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [[json.loads(line) for line in path.read_bytes().splitlines()] for path in paths]


def of_type(log: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in log if record["type"] == name]


def spoken(evt: Evt, name: str) -> set[str]:
    lines = (evt.work / name).with_suffix(".txt").read_text().splitlines()
    words = " ".join(line.partition(": ")[2] for line in lines).lower().split()
    return {word.strip(".,") for word in words}


def hello(pcm: bytes) -> list[Spoken]:
    return [("hello", start, end, voice) for _, start, end, voice in speak(pcm)]


def test_what_a_server_can_do_is_found_out_recorded_and_worked_around(
    evt: Evt, case: tuple[OpenAIServer, int, str, bool]
) -> None:
    server, probes, form, times = case
    first = evt.speech()
    said = run(evt, server, first.name)
    assert "interrupted" not in said
    (log,) = logs(evt)
    calls = of_type(log, "call.started")
    assert [call["data"]["unit"] for call in calls].count("probe") == probes
    (found,) = of_type(log, "engine.probed")
    assert found["data"]["facts"]["format"] == form
    assert found["data"]["facts"]["word_times"] is times
    assert not any(call["data"]["billable"] for call in calls), "a loopback server's own model costs nothing"
    assert spoken(evt, first.name) == {"hello"}
    assert "Nothing was paid." in evt("cost").stdout


def test_a_web_page_is_no_finding_and_the_next_run_asks_again(evt: Evt) -> None:
    speech = evt.speech()
    with OpenAIServer(models={MODEL: VERBOSE}, faults=[Fault(HTML)]) as server:
        assert "web page" in run(evt, server, speech.name, code=1)
        assert not of_type(logs(evt)[0], "engine.probed")
        assert not (evt.home / "probed.json").exists()
        server.faults.script()
        run(evt, server, speech.name)
    (found,) = of_type(logs(evt)[0], "engine.probed")
    assert found["data"]["facts"]["word_times"] is True


def test_the_next_recording_is_not_probed_and_its_plan_and_log_say_so_first(evt: Evt) -> None:
    first, second = evt.speech("a.wav", seed=1), evt.speech("b.wav", seed=2)
    with OpenAIServer(models={MODEL: PLAIN}) as server:
        run(evt, server, first.name)
        asked = server.count()
        words = ("--transcriber", "openai", "--model", MODEL)
        (seen,) = evt.json("plan", second.name, *words)
        assert server.count() == asked
        assert any("known from an earlier run" in note for note in seen["notes"])
        assert len(logs(evt)) == 1, "a plan changes nothing"
        run(evt, server, second.name)
    log = logs(evt)[-1]
    types = [record["type"] for record in log]
    assert "probe" not in [call["data"]["unit"] for call in of_type(log, "call.started")]
    assert types.index("engine.probed") < types.index("run.started"), "recorded before a plan uses it"


@pytest.mark.slow
def test_a_server_that_refuses_what_it_took_before_is_asked_again_for_the_next_recording(evt: Evt) -> None:
    names = [evt.speech(f"{seed}.wav", seed=seed).name for seed in (1, 2, 3)]
    refusal = {"error": {"message": "response_format 'verbose_json' is not compatible with this model"}}
    with OpenAIServer(models={MODEL: VERBOSE}) as server:
        run(evt, server, names[0])
        server.faults.script(status(400, refusal, endpoint=TRANSCRIBE, nth=1))
        run(evt, server, names[1], code=1)
        assert "[]" in (evt.home / "probed.json").read_text()
        server.faults.script()
        run(evt, server, names[2])
    assert [call["data"]["unit"] for call in of_type(logs(evt)[-1], "call.started")].count("probe") == 1


@pytest.mark.parametrize(
    "damage", ["", "{}", "[1, {}]", "nonsense", '[{"provider": "p", "origin": "o", "model": "m", "date": "x"}]']
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "probed.json"
    file.write_text(damage)
    assert recalled(file, "2026-11-27", plan_of("p"), PipelineState("x")) == ()
    remember(file, "2026-11-27", EngineProbed("p", "o", "m", {"format": "json"}))
    assert len(recalled(file, "2026-11-27", plan_of("p"), PipelineState("x"))) == 1


def test_a_finding_is_believed_for_a_month_for_that_model_and_never_over_the_log(tmp_path: Path) -> None:
    file, day = tmp_path / "probed.json", datetime(2026, 11, 1, tzinfo=UTC)
    found = EngineProbed("p", "o", "m", {"format": "json"})
    remember(file, day.date().isoformat(), found)

    def believed(days: int, state: PipelineState | None = None, name: str = "p") -> bool:
        today = (day + timedelta(days=days)).date().isoformat()
        return bool(recalled(file, today, plan_of(name), state or PipelineState("x")))

    assert believed(0)
    assert believed(BELIEVED_DAYS)
    assert not believed(BELIEVED_DAYS + 1)
    assert not believed(-1)
    assert not believed(0, name="q")
    assert not believed(0, PipelineState("x", probed=(found,)))


def plan_of(name: str) -> Plan:
    engine = Engine(name, 1, origin="o", model="m", unprobed=True)
    return Plan((StagePlan("transcription", "run", "not done yet", engine=engine),))

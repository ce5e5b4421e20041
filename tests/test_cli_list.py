"""`evt list` over many pipelines: filters, pages, and the engines that stand. How it chooses: test_choosing."""

from __future__ import annotations

import json

import pytest

from projections import events as ev
from projections.fold import fold, initial_state
from projections.summary import as_json, summarize, summary_as_json
from tests.support.cli import Evt
from tests.support.homes import head_of, lines_of, place
from tests.support.runs import PIPELINE, History, as_records

IDS = [f"{number:02x}{number:014x}" for number in range(1, 8)]


@pytest.fixture
def many(evt: Evt) -> Evt:
    """Seven pipelines, each of its month; the second and the third failed."""
    for number, pipeline in enumerate(IDS, 1):
        made = History()
        if number in {2, 3}:
            made.name()
            made.fail("audio_conversion")
            made.events.append(ev.RunFinished("failed", 1.0))
        else:
            made.run()
        made.events[0] = ev.PipelineCreated(
            {"name": f"Talk {number}.wav", "size_bytes": 10, "sha256": pipeline * 4}, "0.1.0"
        )
        lines = lines_of(pipeline, made.events, month=number)
        place(evt.home / "logs", f"{pipeline}.jsonl", b"".join(lines))
        place(evt.home / "logs", f"{pipeline}.head", head_of(lines[-1]))
    return evt


def ids(evt: Evt, *arguments: str) -> list[str]:
    return [summary["pipeline_id"] for summary in evt.json("list", *arguments)]


def test_filters_hold_together(many: Evt) -> None:
    assert ids(many) == IDS[::-1]
    assert ids(many, "--status", "failed,New") == [IDS[2], IDS[1]]
    assert ids(many, "--status", "failed", "--status", "completed", "--since", "2026-05-01") == IDS[:3:-1]
    assert ids(many, "--stage", "audio_conversion", "--text", "TALK 2") == [IDS[1]]
    assert ids(many, "--provider", "builtin", "--sort", "created") == [*IDS[:1], *IDS[3:]]
    assert ids(many, "--provider", "whisper") == []
    assert many("list", "--text", "nobody").stdout == "No such pipelines.\n"


@pytest.mark.parametrize(
    "wrong", [["--status", "done"], ["--stage", "all"], ["--sort", "size"], ["--after", "x"], ["--limit", "0"]]
)
def test_what_cannot_be_asked_for_is_a_usage_error(evt: Evt, wrong: list[str]) -> None:
    assert wrong[0] in evt("list", *wrong, code=2).stderr


def test_pages_follow_one_another_as_they_say_themselves(many: Evt) -> None:
    first = many("list", "--limit", "3", "--text", "talk")
    hint = first.stderr.split()[-1]
    second = many.json("list", "--limit", "3", "--after", hint, "--text", "talk")
    last = many.json("list", "--limit", "3", "--after", second["next"])
    shown = [line.split()[0] for line in first.stdout.splitlines()[1:]]
    shown += [summary["pipeline_id"] for report in (second, last) for summary in report["pipelines"]]
    assert shown == IDS[::-1]
    assert last["next"] is None
    assert "--sort" in many("list", "--after", hint, "--sort", "name", code=2).stderr


def test_a_name_is_looked_up_wherever_the_index_is(many: Evt) -> None:
    assert many("path", "Talk 5.wav").stdout == many("path", IDS[4]).stdout
    (many.home / "index.sqlite").write_bytes(b"damaged" * 1000)
    assert many("path", "Talk 5.wav").stdout == many("path", IDS[4]).stdout


@pytest.mark.slow
def test_people_are_found_by_the_names_that_they_were_given(evt: Evt) -> None:
    evt.speech()
    evt.speech("other.wav", 6.0, 1)
    evt.run("talk.wav", "other.wav")
    speaker = evt.json("speakers", "talk.wav")["speakers"][0]["label"]
    evt("speakers", "talk.wav", "--name", f"{speaker}=Anna Müller")
    (found,) = evt.json("list", "--speaker", "müller")
    assert found["name"] == "talk.wav"
    assert ids(evt, "--speaker", "Bernd") == []
    assert b"ller" not in (evt.home / "index.sqlite").read_bytes()
    next(evt.home.glob("artifacts/*/*/annotation/1/names.json")).unlink()
    missing = evt("list", "--speaker", "müller", "--json")
    assert json.loads(missing.stdout) == []
    assert "can't be told" in missing.stderr


def test_the_engine_that_is_shown_is_the_one_whose_success_is_reused() -> None:
    """Builtin, then whisper, then back: the plan of the last run reuses the first attempt."""
    made = History()
    made.run()
    made.run(transcriber="whisper")
    assert _engine(made) == "whisper"
    again = {"transcription": {"decision": "reuse", "attempt": 1}}
    made.events.append(ev.RunStarted("anna", 1, "host", "boot", {}, {"transcriber": "builtin"}, {}, again))
    assert _engine(made) == "builtin"


def test_an_attempt_that_failed_hides_no_success_that_is_reused() -> None:
    made = History()
    made.run()
    made.name(transcriber="whisper")
    made.fail("transcription")
    assert _engine(made) == "builtin"
    assert summarize(made.state).failed_stage == "transcription"
    again = {"transcription": {"decision": "stale", "attempt": 1}}
    made.events.append(ev.RunStarted("anna", 1, "host", "boot", {}, {}, {}, again))
    summary = summarize(made.state)
    assert (summary.failed_stage, summary.error) == (None, None)
    assert "transcription" in summary.completed_stages


@pytest.mark.parametrize("plan", [{}, {"transcription": 7}, {"transcription": {"decision": "reuse", "attempt": 9}}])
def test_a_plan_that_reuses_nothing_leaves_the_last_success(plan: dict[str, object]) -> None:
    made = History()
    made.run()
    made.run(transcriber="whisper")
    made.events.append(ev.RunStarted("anna", 1, "host", "boot", {}, {}, {}, plan))
    assert _engine(made) == "whisper"


def test_a_summary_is_written_as_any_other_value() -> None:
    made = History()
    for summary in (summarize(made.state), summarize((made.run(), made.state)[1])):
        assert summary_as_json(summary) == as_json(summary)


def _engine(made: History) -> str:
    return summarize(fold(initial_state(PIPELINE), as_records(made.events))).engines["transcription"]


def test_show_describes_the_attempt_that_is_reused(evt: Evt) -> None:
    made = History()
    made.run(until="merge")
    made.name(transcriber="whisper")
    made.fail("transcription")
    again = {"transcription": {"decision": "reuse", "attempt": 1}}
    made.events.append(ev.RunStarted("anna", 1, "host", "boot", {}, {"transcriber": "builtin"}, {}, again))
    place(evt.home / "logs", f"{IDS[0]}.jsonl", b"".join(lines_of(IDS[0], made.events)))
    (line,) = (line for line in evt("show", IDS[0]).stdout.splitlines() if line.strip().startswith("transcription"))
    assert "(attempt 1)" in line
    assert "rate limit" not in line

"""`-o -`: one transcript on stdout and nothing else; `--log-file`: what evt did, without secrets; `evt path`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from cli.diagnostics import LOGGER, hide, write_to
from pipeline.secret import Secret
from tests.support.cli import Evt
from tests.support.openai_server import OpenAIServer

KEY = "sk-canary-0123456789"


@pytest.mark.parametrize("form", ["txt", "json", "srt"])
def test_run_prints_the_transcript_and_nothing_else_and_writes_no_file(evt: Evt, form: str) -> None:
    evt.speech()
    done = evt.run("talk.wav", "--format", form, "-o", "-")
    assert sorted(path.name for path in evt.work.iterdir()) == ["talk.wav"]
    evt("export", "talk.wav", "--format", form)
    assert done.stdout == (evt.work / f"talk.{form}").read_text()
    again = evt("export", "talk.wav", "--format", form, "-o", "-")
    assert again.stdout == done.stdout
    assert evt("run", "talk.wav", "--format", form, "-o", "-").stdout == done.stdout


@pytest.mark.parametrize("command", ["run", "export"])
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["talk.wav", "-o", "-"], "name it, as in: --format txt -o -"),
        (["talk.wav", "--format", "txt,srt", "-o", "-"], "writes one format"),
        (["talk.wav", "--format", "txt", "-o", "-", "--json"], "both want stdout"),
        (["talk.wav", "other.wav", "--format", "txt", "-o", "-"], "here are 2"),
    ],
)
def test_what_stdout_cannot_hold_is_refused_before_anything_is_done(
    evt: Evt, command: str, arguments: list[str], why: str
) -> None:
    evt.speech()
    evt.speech("other.wav", seed=1)
    done = evt(command, *arguments, code=2)
    assert why in done.stderr
    assert done.stdout == ""
    assert not list(evt.home.glob("logs/*/*"))


def test_a_run_that_fails_prints_nothing_on_stdout(evt: Evt) -> None:
    (evt.work / "talk.wav").write_text("no sound")
    done = evt.run("talk.wav", "--format", "txt", "-o", "-", code=None)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "talk.wav" in done.stderr


def test_a_log_file_says_what_happened_and_without_one_nothing_is_written(evt: Evt) -> None:
    evt.speech()
    quiet = evt.run("talk.wav").stderr
    assert "evt.recorder" not in quiet
    evt("--log-file", "evt.log", "run", "talk.wav", "--refresh", "merge", *evt.engines)
    said = (evt.work / "evt.log").read_text()
    assert "evt.recorder" in said
    assert "stage.succeeded stage=merge" in said
    assert (evt.work / "evt.log").stat().st_mode & 0o777 == 0o600


def test_a_log_file_holds_no_key_no_word_of_the_user_and_no_speech(evt: Evt) -> None:
    evt.speech()
    with OpenAIServer() as server:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "EVT_ATTEMPTS": "1"}
        chosen = ["--transcriber", "openai", "--diarizer", "none", "--prompt", "a secret meeting"]
        evt("--log-file", "evt.log", "run", "talk.wav", *chosen, code=None, **more)
    evt("--log-file", "evt.log", "config", "set", "openai.api_key", KEY, code=3)
    said = (evt.work / "evt.log").read_text()
    assert "call.started" in said
    assert KEY not in said
    assert "secret meeting" not in said


def test_what_an_error_quotes_is_scrubbed_in_its_traceback_too(tmp_path: Path) -> None:
    write_to(tmp_path / "log")
    logger = logging.getLogger(LOGGER)
    try:
        hide([Secret(KEY)])
        try:
            raise ValueError(f"Authorization: Bearer {KEY}")
        except ValueError as error:
            logger.debug("it said %s", KEY, exc_info=error)
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
    said = (tmp_path / "log").read_text()
    assert "ValueError" in said
    assert KEY not in said


def test_an_error_leaves_its_traceback_in_the_log_file_only(evt: Evt) -> None:
    evt("--log-file", "evt.log", "show", "nobody", code=3)
    assert "Traceback" in (evt.work / "evt.log").read_text()


def test_a_log_file_that_cannot_be_written_is_refused(evt: Evt) -> None:
    assert "--log-file" in evt("--log-file", "no/such/folder.log", "list", code=3).stderr


def test_path_without_an_id_is_the_home_that_would_be_used(evt: Evt, tmp_path: Path) -> None:
    assert evt("path").stdout.rstrip("\n") == str(evt.home)
    assert evt("--home", tmp_path / "h", "path").stdout.rstrip("\n") == str(tmp_path / "h")
    assert json.loads(evt("path", "--json").stdout) == {"home": str(evt.home), "origin": "$EVT_HOME"}

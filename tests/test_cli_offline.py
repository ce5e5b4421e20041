"""`--offline`: whatever the settings say, nobody outside this machine is asked for anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.settings.settings import load_settings
from pipeline.errors import ProviderError
from pipeline.providers.offline import Kept, leaves
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Access
from pipeline.secret import Secret
from projections.engine import Engine
from tests.support.cli import Evt
from tests.support.openai_server import OpenAIServer

KEY = "sk-canary-0123456789"


@contextmanager
def listener() -> Iterator[tuple[str, socket.socket]]:
    """A server that is not on the loopback, as far as its address tells; nobody may connect to it."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        server.setblocking(False)
        yield f"http://0.0.0.0:{server.getsockname()[1]}/v1", server


def was_asked(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_a_service_that_is_chosen_is_not_asked_and_the_plan_says_why(evt: Evt) -> None:
    evt.speech()
    chosen = ["talk.wav", "--transcriber", "openai", "--diarizer", "none"]
    with listener() as (url, server):
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}
        said = evt("--offline", "run", *chosen, code=None, **more)
        assert said.returncode == 3
        assert "nothing may leave this machine (--offline)" in said.stderr
        for flags in (["--offline", "plan", *chosen], ["plan", *chosen, "--offline"]):
            assert "blocked" in evt(*flags, code=3, **more).stdout
        assert "(--offline)" in evt("run", *chosen, "--offline", code=3, **more).stderr
        assert not was_asked(server)
    assert KEY not in said.stdout + said.stderr


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_it_can_be_said_by_a_flag_the_environment_and_a_file(evt: Evt, where: str) -> None:
    evt.home.mkdir()
    if where == "file":
        evt("config", "set", "offline", "true")
    flags = ["--offline"] if where == "flag" else []
    more = {"EVT_OFFLINE": "true"} if where == "environment" else {}
    engines = evt(*flags, "doctor", OPENAI_API_KEY=KEY, **more).stdout
    why = {"flag": "--offline", "environment": "$EVT_OFFLINE", "file": str(evt.home / "config.toml")}[where]
    assert f"nothing may leave this machine ({why})" in engines


def test_no_other_source_takes_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    home = str(tmp_path / "home")
    (tmp_path / "home" / "config.toml").write_text("offline = true")
    (tmp_path / "evt.toml").write_text("offline = false")
    assert load_settings(home, environment={"EVT_OFFLINE": "false"}).offline
    (tmp_path / "home" / "config.toml").write_text("")
    (tmp_path / "evt.toml").write_text("offline = true")
    assert load_settings(home, environment={}).offline, "that is believed of a folder nobody trusts"
    (tmp_path / "evt.toml").unlink()
    assert not load_settings(home, environment={"EVT_OFFLINE": "false"}).offline


def test_a_server_on_this_machine_is_this_machine(evt: Evt) -> None:
    evt.speech()
    with OpenAIServer() as server:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        chosen = ["talk.wav", "--transcriber", "openai", "--diarizer", "none", "--model", "gpt-4o-transcribe"]
        evt("--offline", "run", *chosen, **more)


class Chatty:
    """A provider that would tell everybody."""

    asked = 0

    def __init__(self, origin: str, *, network: bool = True) -> None:
        self._engine = Engine("chatty", 1, network=network, origin=origin)

    def engine(self) -> Engine:
        return self._engine

    def ask(self, *_: Any) -> str:
        self.asked += 1
        return "heard"

    prepare = adopt = find = ask


@pytest.mark.parametrize("method", ["ask", "prepare", "adopt", "find"])
def test_a_provider_that_is_called_in_spite_of_the_plan_asks_nobody(method: str) -> None:
    chatty = Chatty("https://example.com")
    kept = Kept(chatty, "--offline")
    with pytest.raises(ProviderError, match="nothing may leave"):
        getattr(kept, method)()
    assert chatty.asked == 0
    assert getattr(Kept(Chatty("http://127.0.0.1:9"), "--offline"), method)() == "heard"


@pytest.mark.parametrize(
    ("origin", "out"),
    [
        ("https://api.openai.com", True),
        ("http://192.168.1.2:8000", True),
        ("http://nas.local", True),
        ("", True),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost", False),
    ],
)
def test_only_the_loopback_is_this_machine(origin: str, out: bool) -> None:
    assert leaves(Engine("x", 1, network=True, origin=origin)) == out
    assert not leaves(Engine("x", 1, origin=origin))


def test_every_provider_of_ours_on_the_network_lacks_the_leave_and_keeps_its_facts() -> None:
    access = {name: Access(key=Secret(KEY)) for name in ("openai", "pyannoteai")}
    free, kept = Providers({}, access=access), Providers({}, access=access, offline="--offline")
    for before, after in zip(free.every_engine(), kept.every_engine(), strict=True):
        for name, engine in before.items():
            assert after[name].origin == engine.origin
            assert ("nothing may leave" in str(after[name].lacking)) == engine.network
    assert "nothing may leave" in str(kept.voiceprinter().engine().lacking)


def test_a_transcript_that_was_made_by_a_service_is_still_there_offline(evt: Evt) -> None:
    evt.speech()
    chosen = ["talk.wav", "--transcriber", "openai", "--diarizer", "none", "--model", "gpt-4o-transcribe"]
    with OpenAIServer() as server:
        evt("run", *chosen, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    (evt.work / "talk.txt").unlink()
    evt("--offline", "export", "talk.wav", "--format", "txt")
    assert (evt.work / "talk.txt").exists()

"""`evt config` and what it may change; and a folder of recordings that wants the keys and the audio."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.errors import SettingsError
from cli.settings.change import checked_text, place_of
from cli.settings.configfile import set_value, unset_value
from pipeline.home import Home
from tests.support.cli import START, Evt

pytestmark = pytest.mark.slow

CANARY = "sk-canary-1234"


def content(evt: Evt) -> dict[str, Any]:
    return tomllib.loads((evt.home / "config.toml").read_text())


def given(evt: Evt, *arguments: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a command that reads from a pipe."""
    command = [*START, *arguments]
    return subprocess.run(
        command, cwd=evt.work, env=evt.environment(), input=text, capture_output=True, timeout=60, check=False
    )


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_values_are_set_got_and_unset(evt: Evt) -> None:
    for key, value in (
        ("language", "de"), ("formats", "txt,srt"), ("max_cost", "2.50 eur"), ("grace_s", "30"),
        ("openai.base_url", "http://127.0.0.1:8000/v1"), ("openai.concurrency", "8"),
    ):  # fmt: skip
        evt("config", "set", key, value)
    assert content(evt) == {
        "language": "de",
        "formats": ["txt", "srt"],
        "max_cost": "2.50 EUR",
        "grace_s": 30,
        "openai": {"base_url": "http://127.0.0.1:8000/v1", "concurrency": 8},
    }
    assert (evt.home / "config.toml").stat().st_mode & 0o777 == 0o600
    assert evt("config", "get", "max_cost").stdout == "2.50 EUR\n"
    assert evt("config", "get", "openai.base_url").stdout == "http://127.0.0.1:8000/v1\n"
    assert evt.json("config", "get", "language")["origin"] == str(evt.home / "config.toml")
    evt("config", "unset", "language")
    assert "was not set" in evt("config", "unset", "language").stderr
    assert evt("config", "get", "language").stdout == "auto\n"


def test_a_profile_is_made_and_chosen(evt: Evt) -> None:
    evt.speech()
    evt("config", "set", "transcriber", f"script:{evt.script}", "--profile", "mine")
    evt("config", "set", "in_doubt", "stop", "--profile", "mine")
    assert "no profile" in evt("config", "set", "profile", "other", code=3).stderr
    planned = evt.json("plan", "talk.wav", "--profile", "mine")[0]["stages"]
    assert next(row["engine"] for row in planned if row["stage"] == "transcription") == f"script:{evt.script}"
    assert "There are: mine" in evt("run", "talk.wav", "--profile", "other", code=3).stderr
    evt("config", "set", "profile", "mine")
    assert evt("config", "get", "transcriber").stdout == f"script:{evt.script}\n"
    evt("config", "unset", "in_doubt", "--profile", "mine")
    assert content(evt)["profiles"] == {"mine": {"transcriber": f"script:{evt.script}"}}


def test_what_a_flag_s_profile_says_is_recorded_as_named_and_no_limit_is(evt: Evt) -> None:
    evt.speech()
    evt("config", "set", "language", "en", "--profile", "mine")
    limits = ["--max-cost", "1.5073", "--max-batch-cost", "9.5073", "--in-doubt", "ask", "--grace", "5.073"]
    evt.run("talk.wav", "--profile", "mine", "--format", "txt", *limits)
    started = next(record for record in evt.records() if record["type"] == "run.started")
    assert started["data"]["named"].keys() == {"diarizer", "transcriber", "language", "formats"}
    assert started["data"]["named"]["language"] == "en"
    log = evt.log().read_text()
    assert not any(text in log for text in ("_cost", "doubt", "grace", '"profile"', '"5.073'))
    before = evt.log().read_bytes()
    evt("run", "talk.wav", "--max-cost", "2")
    assert evt.log().read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["language", ""],
        ["speakers", "none"],
        ["formats", "txt,pdf"],
        ["max_cost", "much"],
        ["max_cost", "2 GBP"],
        ["in_doubt", "maybe"],
        ["openai.concurrency", "0"],
        ["openai.base_url", "https://anna:pw@host/"],
        ["openai.base_url", ""],
        ["openai.model", "x"],
        ["home", "/x"],
        ["nonsense", "x"],
    ],
)
def test_an_invalid_value_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    key, text = arguments
    with pytest.raises(SettingsError):
        checked_text(Home(tmp_path), place_of(key, None), text)


@pytest.mark.parametrize(
    ("key", "profile"), [("openai.base_url", "p"), ("language", "a b"), ("language", ""), ("profile", "p")]
)
def test_what_no_profile_can_hold_is_refused(key: str, profile: str) -> None:
    with pytest.raises(SettingsError):
        place_of(key, profile)


def test_what_is_refused_is_refused_before_anything_is_written(evt: Evt) -> None:
    assert "0 to 86400" in evt("config", "set", "grace_s", "soon", code=3).stderr
    assert "VALUE" in evt("config", "set", "grace_s", code=2).stderr
    assert not evt.home.exists()


def test_a_key_is_read_from_a_pipe_and_never_shown(evt: Evt) -> None:
    done = given(evt, "config", "set", "openai.api_key", text=CANARY.encode() + b"\n")
    assert done.returncode == 0
    assert content(evt) == {"openai": {"api_key": CANARY}}
    shown = [done.stdout.decode(), done.stderr.decode()]
    for arguments in (["config"], ["config", "--json"], ["config", "get", "openai.api_key"], ["doctor"]):
        said = evt(*arguments)
        shown += [said.stdout, said.stderr]
    assert not any("canary" in text for text in shown)
    assert f"set (from {evt.home / 'config.toml'})" in shown[2]
    (evt.home / "config.toml").chmod(0o644)
    assert "chmod 600" in evt("config").stderr


@pytest.mark.parametrize("text", [b"", b"\n", b"two words\n", b"two\nlines\n", b"\xff\xfe"])
def test_what_cannot_be_a_key_is_not_taken_from_a_pipe(evt: Evt, text: bytes) -> None:
    done = given(evt, "config", "set", "openai.api_key", text=text)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert not evt.home.exists()


def test_a_key_is_asked_for_on_a_terminal_without_being_echoed(evt: Evt) -> None:
    ours, theirs = pty.openpty()
    command = [*START, "config", "set", "openai.api_key"]
    pipes = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, cwd=evt.work, env=evt.environment(), start_new_session=True, **pipes)
    os.close(theirs)
    shown = b""
    while b"openai.api_key" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, CANARY.encode() + b"\n")
    try:
        while piece := os.read(ours, 1000):
            shown += piece
    except OSError:
        # Linux says EIO when the other end is closed.
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=30) == 0
    assert b"canary" not in shown
    assert content(evt) == {"openai": {"api_key": CANARY}}


@pytest.mark.parametrize(
    "arguments", [["openai.api_key", CANARY], [f"openai.api_key={CANARY}"], ["openai.api-key", CANARY]]
)
def test_a_key_on_the_command_line_is_refused_without_being_repeated(evt: Evt, arguments: list[str]) -> None:
    done = evt("config", "set", *arguments, code=3)
    assert "canary" not in done.stdout + done.stderr
    assert not evt.home.exists()


def test_the_refusal_of_a_key_on_the_command_line_says_why_and_what_to_do(evt: Evt) -> None:
    said = evt("config", "set", "openai.api_key", CANARY, code=3).stderr
    for words in ("process list", "history", "evt config set openai.api_key", "stdin"):
        assert words in said


WRITTEN = """\
# my settings
language = "de"  # as at home
formats = [
  "txt",  # always
]

[openai] # paid
# the key of the project
base_url = "http://127.0.0.1:1"

[profiles.cloud]
# expensive
transcriber = "openai"
"""


def test_comments_and_order_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    set_value(path, ("language",), "fr")
    set_value(path, ("openai", "base_url"), "http://127.0.0.1:2")
    assert path.read_text() == WRITTEN.replace('"de"', '"fr"').replace(":1", ":2")
    for keys, value in (
        (("speakers",), 2),
        (("openai", "concurrency"), 4),
        (("profiles", "new", "language"), "en"),
    ):
        set_value(path, keys, value)
        assert unset_value(path, keys)
    for line in WRITTEN.replace('"de"', '"fr"').replace(":1", ":2").splitlines():
        assert line in path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "", "openai.concurrency = 1\n", "openai = {concurrency = 1}\n", "[openai]\nconcurrency = 1\n[x]\n",
        "[x]\n[openai]\n[profiles.a]\n[y]\n[profiles.b]\n", "a = 1\r\n[openai]\r\n", "# only a comment",
    ],
)  # fmt: skip
def test_a_value_is_set_in_any_form_of_toml_or_nothing_is_changed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode())
    before = tomllib.loads(path.read_text())
    for keys in (("language",), ("openai", "concurrency"), ("profiles", "b", "language")):
        expected = tomllib.loads(path.read_text())
        inner = expected
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = 7
        set_value(path, keys, 7)
        assert tomllib.loads(path.read_text()) == expected
    for keys in (("language",), ("profiles", "b", "language")):
        assert unset_value(path, keys)
    assert tomllib.loads(path.read_text()).keys() == before.keys() | {"openai", "profiles"}


def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for text in ("language = ", "openai = 7"):
        path.write_text(text)
        with pytest.raises(SettingsError):
            set_value(path, ("openai", "concurrency"), 1)
        assert path.read_text() == text
    path.write_text("[openai]\n")
    with pytest.raises(SettingsError, match="is a table"):
        unset_value(path, ("openai",))


def test_a_link_stays_a_link_and_what_a_crash_left_is_not_reused(tmp_path: Path) -> None:
    """The left file may be readable by everybody, and may be a link to elsewhere."""
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "elsewhere").write_text("as it was")
    (tmp_path / "config.toml").symlink_to("real.toml")
    (tmp_path / "real.toml.tmp").symlink_to("elsewhere")
    set_value(tmp_path / "config.toml", ("language",), "de")
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text() == 'language = "de"\n'
    assert (tmp_path / "real.toml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").read_text() == "as it was"


def test_a_wrong_entry_of_the_file_can_be_removed_with_the_command(evt: Evt) -> None:
    evt.home.mkdir()
    (evt.home / "config.toml").write_text('langauge = "de"\n')
    assert "langauge" in evt("config", code=3).stderr
    evt("config", "unset", "langauge")
    evt("config")


class Listener:
    """A socket that somebody wants to have the audio and the key."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.socket.setblocking(False)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"

    def connections(self) -> int:
        """Return how many came since the last look."""
        found = 0
        while True:
            try:
                self.socket.accept()[0].close()
            except BlockingIOError:
                return found
            found += 1


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    with made.socket:
        yield made


def hostile(evt: Evt, url: str) -> None:
    """Put into the folder of recordings all that could send the audio or a key to a URL."""
    (evt.work / ".env").write_text(
        f"OPENAI_BASE_URL={url}\nOPENAI_API_KEY=theirs\nPYANNOTEAI_BASE_URL={url}\nPYANNOTEAI_API_TOKEN=theirs\n"
        f"EVT_TRANSCRIBER=openai\nEVT_DIARIZER=pyannoteai\nEVT_HOME={evt.work}/h\nEVT_PROFILE=p\nHTTPS_PROXY={url}\n"
        f"HTTP_PROXY={url}\nALL_PROXY={url}\n"
    )
    (evt.work / "evt.toml").write_text(
        f'home = "h"\noutput_dir = "h"\nprofile = "p"\ntranscriber = "openai"\ndiarizer = "pyannoteai"\n'
        f'model = "m"\nmax_cost = "1000"\nmax_batch_cost = "1000"\nin_doubt = "repeat"\nattempts = 100\n'
        f'[openai]\nbase_url = "{url}"\napi_key = "theirs"\n[pyannoteai]\nbase_url = "{url}"\napi_key = "theirs"\n'
        f'[profiles.p]\ntranscriber = "openai"\n'
    )


KEYS = {"OPENAI_API_KEY": CANARY, "PYANNOTEAI_API_TOKEN": CANARY}


def test_a_hostile_folder_gets_neither_key_nor_audio(evt: Evt, listener: Listener) -> None:
    evt.speech(seconds=3.0)
    hostile(evt, listener.url)
    done = evt("run", "talk.wav", "--format", "txt", **KEYS)
    assert listener.connections() == 0
    assert "Nothing left this machine." in done.stderr
    for name in ("home", "transcriber", "diarizer", "max_cost", "openai", "pyannoteai", "profile", "output_dir"):
        assert f"evt.toml sets '{name}'" in done.stderr
    assert (evt.work / "talk.txt").exists()
    assert not (evt.work / "h").exists()
    started = next(record["data"] for record in evt.records() if record["type"] == "run.started")
    assert started["named"] == {"formats": ["txt"]}
    engines = {record["data"]["provider"] for record in evt.records() if record["type"] == "call.started"}
    assert engines
    assert engines <= {"builtin", "channels", "whisper"}
    left = everything_in(evt.home) + done.stdout.encode() + done.stderr.encode()
    assert CANARY.encode() not in left
    assert b"theirs" not in left
    assert listener.url.encode() not in left


def test_who_chooses_a_service_himself_uses_no_url_and_key_of_a_hostile_folder(
    evt: Evt, listener: Listener
) -> None:
    hostile(evt, listener.url)
    evt("config", "set", "transcriber", "openai", "--profile", "cloud")
    evt("config", "set", "profile", "cloud")
    report = json.loads(evt("config", "--json", **KEYS).stdout)
    rows = {row["name"]: row["value"] for row in report["settings"]}
    assert (rows["transcriber"], rows["diarizer"], rows["max_cost"]) == ("openai", "auto", "not set")
    for provider in report["providers"]:
        assert (provider["url"], provider["url_origin"], provider["key_set"]) == (None, None, True)
        assert provider["key_origin"] in {"$OPENAI_API_KEY", "$PYANNOTEAI_API_TOKEN"}
    assert listener.connections() == 0


def test_audio_for_a_service_goes_to_the_url_of_the_user_and_not_to_that_of_a_hostile_folder(
    evt: Evt, listener: Listener
) -> None:
    evt.speech(seconds=3.0)
    hostile(evt, listener.url)
    with socket.create_server(("127.0.0.1", 0)) as mine:
        mine.settimeout(60)
        url = f"http://127.0.0.1:{mine.getsockname()[1]}/v1"
        process = subprocess.Popen(
            [*START, "run", "talk.wav", "--transcriber", "openai", "--model", "whisper-1"],
            cwd=evt.work,
            env=evt.environment(**KEYS, OPENAI_BASE_URL=url, EVT_ATTEMPTS="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        connection, _ = mine.accept()
        with connection:
            head = connection.recv(4096)
        mine.close()
        said, _ = process.communicate(timeout=60)
    assert process.returncode not in {0, None}
    assert f"Authorization: Bearer {CANARY}".lower() in head.decode("latin-1").lower()
    assert listener.connections() == 0
    assert CANARY.encode() not in said + everything_in(evt.home)


def test_the_same_folder_is_believed_once_it_is_trusted(evt: Evt, listener: Listener) -> None:
    """So the two tests above could fail."""
    hostile(evt, listener.url)
    (evt.work / "evt.toml").write_text((evt.work / "evt.toml").read_text().replace('home = "h"\n', ""))
    evt("trust", ".")
    report = json.loads(evt("config", "--json").stdout)
    rows = {row["name"]: row["value"] for row in report["settings"]}
    assert (rows["transcriber"], rows["max_cost"], rows["profile"]) == ("openai", "1000 USD", "p")
    assert [provider["url"] for provider in report["providers"]] == [listener.url, listener.url]
    assert report["providers"][0]["key_origin"] == f"$OPENAI_API_KEY in {evt.work / '.env'}"


def test_a_key_in_the_environment_alone_chooses_nothing(evt: Evt) -> None:
    evt.speech()
    without = evt.json("plan", "talk.wav")
    with_keys = json.loads(evt("plan", "talk.wav", "--json", **KEYS).stdout)
    assert with_keys == without
    assert {row["engine"] for row in with_keys[0]["stages"]} <= {None, "builtin", "channels", "whisper"}
    rows = {row["name"]: row["value"] for row in json.loads(evt("config", "--json", **KEYS).stdout)["settings"]}
    assert (rows["diarizer"], rows["transcriber"]) == ("auto", "auto")
    assert not (evt.home / "account-key").exists()

"""docs/third-party-providers.md: the package on that page, installed as it stands there, really transcribes."""

import json
import re
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import packages
from tests.support.cli import ROOT, Evt

PAGE = (ROOT / "docs" / "third-party-providers.md").read_text()
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
KEY = "murmur-canary-0123456789"
WORDS = [
    {"text": text, "start": at + 0.5, "end": at + 1.0}
    for at, text in enumerate(["hello", "world", "and", "all", "who", "live", "in"])
]


class Service(ThreadingHTTPServer):
    """The service of the page; `answers` are given one after the other, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], int]] = []
        self.answers: list[tuple[int, str]] = [(200, json.dumps({"words": WORDS}))]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), len(body)))
        status, text = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def evt(tmp_path: Path) -> Evt:
    return Evt(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Install the package of the page into a folder, and return the search path."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    points = "\n".join(
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in names.items())
        for group, names in project["entry-points"].items()
    )
    modules = {name: content for name, content in FILES.items() if name.endswith(".py")}
    folder = packages.install(tmp_path / "site", project["name"], points, modules, project["version"])
    return f"{ROOT}:{folder}"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def use(evt: Evt, service: Service) -> None:
    evt.home.mkdir(mode=0o700, exist_ok=True)
    config = evt.home / "config.toml"
    config.write_text(f'[murmur]\nbase_url = "{service.url}"\napi_key = "{KEY}"\n')
    config.chmod(0o600)


def test_the_package_of_the_page_is_whole() -> None:
    modules = tomllib.loads(FILES["pyproject.toml"])["tool"]["setuptools"]["py-modules"]
    assert {f"{name}.py" for name in modules} == set(FILES) - {"pyproject.toml"}


def test_its_local_transcriber_is_listed_and_transcribes(evt: Evt, path: str) -> None:
    (row,) = (line for line in evt("providers", PYTHONPATH=path).stdout.splitlines() if line.startswith("loudness"))
    assert row.split()[1] == "yes"
    evt.speech()
    evt("run", "talk.wav", "--diarizer", "none", "--transcriber", "loudness", PYTHONPATH=path)
    said = (evt.work / "talk.txt").read_text().partition("SPEAKER_00: ")[2].split()
    assert len(said) == 8
    assert set(said) == {"loud", "quiet"}
    again = evt("run", "talk.wav", PYTHONPATH=path)
    assert "nothing to do" in again.stdout + again.stderr


def test_without_the_package_its_name_is_unknown_and_what_it_made_is_still_there(evt: Evt, path: str) -> None:
    evt.speech()
    evt("run", "talk.wav", "--diarizer", "none", "--transcriber", "loudness", PYTHONPATH=path)
    assert (
        "there is no transcription engine 'loudness'"
        in evt("plan", "talk.wav", "--refresh", "transcription", code=3).stdout
    )
    evt("export", "talk.wav", "-o", evt.folder / "again")
    assert (evt.folder / "again" / "talk.txt").read_text() == (evt.work / "talk.txt").read_text()


def test_its_remote_transcriber_is_asked_once_with_the_key_and_the_cost_is_known(
    evt: Evt, path: str, service: Service
) -> None:
    use(evt, service)
    evt.speech()
    run = ("run", "talk.wav", "--diarizer", "none", "--transcriber", "murmur")
    done = evt(*run, PYTHONPATH=path)
    assert "hello world" in (evt.work / "talk.txt").read_text()
    ((place, headers, size),) = service.asked
    assert (place, headers["Authorization"], size) == ("/v1/words", f"Bearer {KEY}", 8 * 16000 * 2)
    evt(*run, PYTHONPATH=path)
    assert len(service.asked) == 1
    assert '"amount": "0.000267"' in evt("cost", "--json").stdout
    left = b"".join(
        file.read_bytes() for file in evt.home.rglob("*") if file.is_file() and file.name != "config.toml"
    )
    assert KEY.encode() not in left + (done.stdout + done.stderr).encode()


def test_without_a_key_it_lacks_one_and_nothing_is_sent(evt: Evt, path: str, service: Service) -> None:
    evt.speech()
    said = evt("run", "talk.wav", "--transcriber", "murmur", PYTHONPATH=path, code=3)
    assert "murmur needs a key" in said.stdout + said.stderr
    assert service.asked == []


def test_what_it_refuses_or_can_not_be_believed_fails_the_stage(evt: Evt, path: str, service: Service) -> None:
    use(evt, service)
    evt.speech()
    service.answers = [(400, "no")]
    run = ("run", "talk.wav", "--diarizer", "none", "--transcriber", "murmur")
    refused = evt(*run, PYTHONPATH=path, code=1)
    assert "The service refused the request (HTTP 400)" in refused.stdout + refused.stderr
    kinds = [record["data"]["kind"] for record in evt.records() if record["type"] == "call.failed"]
    assert kinds == ["rejected"]

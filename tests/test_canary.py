"""Secrets and names as canaries: runs that fail in every way, and a search through everything that they leave.

The services repeat our key in every answer, in each way in which it can be written, and so do the jobs with the
presigned address. Every form is searched for raw, in URLs, as hex digits, reversed, and in base64 at each place.
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import define, evolve, field

from tests.support.cli import Evt
from tests.support.openai_server import TRANSCRIBE, OpenAIServer
from tests.support.pyannoteai_server import PyannoteAI
from tests.support.service import (
    CUT_JSON,
    EDIT,
    EMPTY_OBJECT,
    HANG,
    RESET_AFTER_ACCEPTANCE,
    RESET_BEFORE_BODY,
    Fault,
    Request,
    Response,
    status,
)

OPENAI_KEY = f"sk-{secrets.token_hex(12)}/+={secrets.token_hex(8)}&x"
PYANNOTE_KEY = f"pk_{secrets.token_hex(12)}/+={secrets.token_hex(8)}&y"
NAME = f"interview-{secrets.token_hex(8)}"
FOLDER = f"clinic-{secrets.token_hex(8)}"


def forms(secret: str) -> Iterator[str]:
    """Yield all that a secret may look like; of base64, what of it doesn't depend on its neighbours."""
    yield from (secret, secret[::-1], quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1])
    yield from (secret.encode().hex(), secret.encode().hex().upper())
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"x" * before + secret.encode() + b"x").decode()
            yield whole[-(-before * 4 // 3) : (before + len(secret)) * 4 // 3]


def echo(key: str, *more: str) -> str:
    """Return what a careless service says: the key as it came, and in every form that services use."""
    encoded = [base64.b64encode(f"{before}{key}".encode()).decode() for before in ("", ":", "u:", "Bearer ")]
    said = [f"Authorization: Bearer {key}", quote(key), quote(key, safe=""), key.encode().hex(), *encoded, *more]
    return " | ".join(said)


@define
class Watch:
    """Looks at evt and its children while they run, as `ps` does: command lines, and environments of children."""

    process: subprocess.Popen[str]
    seen: set[bytes] = field(factory=set)
    environments: set[bytes] = field(factory=set)

    def look(self) -> None:
        waiting = [str(self.process.pid)]
        while waiting:
            pid = waiting.pop()
            proc = Path("/proc") / pid
            with suppress(OSError):
                self.seen.add((proc / "cmdline").read_bytes())
                if pid != str(self.process.pid):
                    self.environments.add((proc / "environ").read_bytes())
                for task in (proc / "task").iterdir():
                    waiting += (task / "children").read_text().split()


class Ears(OpenAIServer):
    """Keeps what it was sent."""

    heard: bytes = b""

    def answer(self, request: Request) -> Response:
        self.heard += f"{request.endpoint}?{request.query} {request.headers}".encode() + request.body
        return super().answer(request)


class Jobs(PyannoteAI):
    """Keeps what it was sent, and the addresses it gave."""

    heard: bytes = b""

    def answer(self, request: Request) -> Response:
        self.heard += f"{request.endpoint}?{request.query} {request.headers}".encode() + request.body
        response = super().answer(request)
        if request.path == "/v1/media/input":
            self.signed.append(str(response.body["url"]))
        return response

    @property
    def signed(self) -> list[str]:
        return self.__dict__.setdefault("_signed", [])


class Canaries(Evt):
    """Runs evt with the keys, one in the environment and one in a file, and keeps all that it printed."""

    def __init__(self, folder: Path, openai: Ears, jobs: Jobs) -> None:
        super().__init__(folder)
        self.openai, self.jobs = openai, jobs
        self.printed: list[str] = []
        self.processes: set[bytes] = set()
        self.environments: set[bytes] = set()
        (folder / "tmp").mkdir()
        (self.work / FOLDER).mkdir()
        self.home.mkdir(mode=0o700)
        config = self.home / "config.toml"
        config.write_text(f'[pyannoteai]\nbase_url = "{jobs.url}"\napi_key = "{PYANNOTE_KEY}"\n')
        config.chmod(0o600)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {"OPENAI_API_KEY": OPENAI_KEY, "OPENAI_BASE_URL": self.openai.base_url, "OPENAI_LOG": "debug"}
        few = {"EVT_ATTEMPTS": "1", "EVT_RETRY_WAIT_S": "0.01", "TMPDIR": str(self.folder / "tmp")}
        return super().environment(**ours, **few, **more)

    def recording(self, number: int, seconds: float = 3.0) -> str:
        self.speech(f"{FOLDER}/{NAME}-{number}.wav", seconds, seed=number)
        return f"{FOLDER}/{NAME}-{number}.wav"

    def watched(self, *arguments: str) -> int:
        """Run a command to its end, watched, and return its exit code."""
        with (self.folder / "out").open("w+") as out:
            process = self.start(*arguments, stdout=out, stderr=out)
            watch = Watch(process)
            while process.poll() is None:
                watch.look()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
            out.seek(0)
            self.printed.append(out.read())
        self.processes |= watch.seen
        self.environments |= watch.environments
        return process.returncode

    def asked_afterwards(self, *more: tuple[str, ...]) -> None:
        """Let every command say what it knows."""
        commands = [("list", "--json"), ("config",), ("config", "--json"), ("providers",), ("doctor",), ("cost",)]
        commands += [("cost", "--json"), ("tail", "-n", "1000"), *more]
        for command in commands:
            done = self(*command, code=None)
            self.printed += [done.stdout, done.stderr]

    def left(self) -> Mapping[str, bytes]:
        """Return everything that is left, but for the file in which the user wrote a key himself."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "config.toml"]
        found = {str(path): path.read_bytes() for path in files}
        found |= {f"name of {path}": str(path).encode() for path in files}
        found |= {f"print {n}": text.encode() for n, text in enumerate(self.printed)}
        return found | {f"process {n}": text for n, text in enumerate(self.processes)}

    def require_none_of(self, *canaries: str) -> None:
        left = self.left()
        hits = {
            f"{canary[:8]}… as {form[:24]} in {where}"
            for canary in canaries
            for form in forms(canary)
            for where, content in left.items()
            if form.encode() in content
        }
        assert not hits


@pytest.fixture
def canaries(tmp_path: Path) -> Iterator[Canaries]:
    with Ears() as openai, Jobs() as jobs:
        yield Canaries(tmp_path, openai, jobs)


def openai_faults() -> list[Fault]:
    """Return a fault for each recording; each says the key in its answer."""
    said = echo(OPENAI_KEY)
    page = f"<html><body><pre>{said}</pre></body></html>"
    html = {"Content-Type": "text/html", "x-request-id": OPENAI_KEY}
    problem = {"error": {"message": said, "type": said, "code": said}}
    money = {"error": {"message": said, "type": "insufficient_quota", "code": "insufficient_quota"}}
    answers = [
        status(401, problem, headers={"x-request-id": OPENAI_KEY}),
        status(403, problem),
        status(413, page, headers=html),
        status(429, money),
        status(500, page, headers=html),
        status(302, said, headers={"Location": f"http://127.0.0.1:1/{quote(OPENAI_KEY)}"}),
        status(200, page, headers=html),
        status(200, {"text": said, "words": [], "segments": [], "usage": {said: said}, "language": said}),
        status(200, said[: len(said) // 2]),
    ]
    broken = [Fault(kind) for kind in (RESET_BEFORE_BODY, RESET_AFTER_ACCEPTANCE, CUT_JSON, EMPTY_OBJECT)]
    return [_of(fault, TRANSCRIBE, n) for n, fault in enumerate([*answers, *broken], start=1)]


def _of(fault: Fault, endpoint: str, nth: int | None) -> Fault:
    return evolve(fault, endpoint=endpoint, nth=nth)


CHATTY = ("-v", "--debug", "--max-cost", "9", "--in-doubt", "stop")


@pytest.mark.slow
def test_no_failure_of_a_transcriber_leaves_its_key_anywhere(canaries: Canaries) -> None:
    faults = openai_faults()
    canaries.openai.faults.script(*faults)
    recordings = [canaries.recording(number) for number in range(len(faults))]
    engines = ("--diarizer", "none", "--transcriber", "openai", "--model", "whisper-1")
    assert canaries.watched("run", *recordings, *engines, *CHATTY) != 0
    assert sum(canaries.openai.faults.hits.values()) == len(faults), "each of them happened"
    pipelines = [path.stem for path in canaries.home.glob("logs/*/*.jsonl")]
    assert len(pipelines) == len(faults)
    shown = [(command, pipelines[0], *more) for command, *more in (["show"], ["show", "--json"], ["validate"])]
    canaries.asked_afterwards(*shown, ("replay", pipelines[0], "--json"), ("plan", recordings[0], *engines))
    assert b"[removed]" in b"".join(canaries.left().values()), "their words are kept"
    canaries.require_none_of(OPENAI_KEY)
    sent = canaries.openai.heard
    assert OPENAI_KEY.encode() in sent, "the search would find something"
    assert [name for name in (NAME, FOLDER) for form in forms(name) if form.encode() in sent] == []


@pytest.mark.slow
def test_no_failure_of_a_diarizer_leaves_its_key_or_an_upload_s_address_anywhere(canaries: Canaries) -> None:
    jobs = canaries.jobs

    def failed(job: dict[str, Any]) -> dict[str, Any]:
        address = jobs.signed[-1]
        escaped = address.replace("/", "\\/")
        said = echo(PYANNOTE_KEY, address, escaped, quote(address, safe=""), address.partition("?")[2])
        return {**job, "status": "failed", "output": {"error": said}}

    def unusable(job: dict[str, Any]) -> dict[str, Any]:
        return {**failed(job), "status": "succeeded"}

    said = {"message": echo(PYANNOTE_KEY), "requestId": PYANNOTE_KEY.replace("/", "").replace("+", "")}
    header = {"X-Request-Id": PYANNOTE_KEY}
    numbered = [
        *(
            status(code, said, headers=header, endpoint="POST /v1/diarize", nth=n)
            for n, code in ((1, 400), (2, 402))
        ),
        status(500, f"<html>{echo(PYANNOTE_KEY)}</html>", headers=header, endpoint="POST /v1/diarize", nth=3),
        Fault(RESET_AFTER_ACCEPTANCE, "POST /v1/diarize", nth=4),
        Fault(EDIT, "GET /v1/jobs/*", nth=1, edit=failed),
        Fault(EDIT, "GET /v1/jobs/*", nth=2, edit=unusable),
        status(403, said, headers=header, endpoint="GET /v1/test", nth=7),
        status(403, "<StringToSign>x</StringToSign>", endpoint="PUT *", nth=7),
    ]
    jobs.faults.script(*numbered)
    recordings = [canaries.recording(number) for number in range(8)]
    engines = ("--diarizer", "pyannoteai", "--transcriber")
    assert canaries.watched("run", *recordings, *engines, f"script:{canaries.script}", *CHATTY) != 0
    assert canaries.watched("run", canaries.recording(9), *engines, "builtin", *CHATTY) == 0
    assert sum(jobs.faults.hits.values()) == len(numbered), jobs.faults.hits
    canaries.asked_afterwards()
    canaries.require_none_of(PYANNOTE_KEY)
    assert jobs.signed
    for address in jobs.signed:
        path, _, query = address.partition("?X-Amz-Signature=")
        canaries.require_none_of(path.rpartition("/")[2], query)
    assert canaries.environments, "the transcriber's processes were looked at"
    inherited = b"".join(canaries.environments)
    assert [form for form in forms(PYANNOTE_KEY) if form.encode() in inherited] == [], "a file's key is passed on"
    assert PYANNOTE_KEY.encode() in jobs.heard
    assert [name for name in (NAME, FOLDER) for form in forms(name) if form.encode() in jobs.heard] == []


def test_a_process_that_is_killed_in_the_middle_of_a_call_leaves_no_key(canaries: Canaries) -> None:
    begun = threading.Event()
    canaries.openai.faults.script(Fault(HANG, TRANSCRIBE, on_hit=begun.set))
    arguments = ("--diarizer", "none", "--transcriber", "openai", "--model", "whisper-1")
    process = canaries.start("run", canaries.recording(1), *arguments, *CHATTY)
    watch = Watch(process)
    assert begun.wait(30)
    watch.look()
    process.send_signal(signal.SIGKILL)
    canaries.printed += process.communicate()
    canaries.processes |= watch.seen
    canaries.asked_afterwards()
    canaries.require_none_of(OPENAI_KEY, PYANNOTE_KEY)


def test_what_people_tell_an_engine_is_in_no_line_of_a_log(evt: Evt) -> None:
    """From a flag, the environment, a profile, a settings file, the one beside a recording; also in a failure."""
    said = {name: f"{name}-{secrets.token_hex(8)}" for name in ("flag", "variable", "file", "beside", "profile")}
    config = f'keywords = ["{said["file"]}"]\n[profiles.p]\nprompt = "{said["profile"]}"\n'
    with Ears() as openai:
        said_again = {"error": {"message": " ".join(said.values()), "type": " ".join(said.values())}}
        openai.faults.script(_of(status(400, said_again), TRANSCRIBE, 2))
        evt.home.mkdir(mode=0o700)
        (evt.home / "config.toml").write_text(config)
        names = [evt.speech(f"{number}.wav", 3.0, seed=number).name for number in range(4)]
        (evt.work / "2.evt.toml").write_text(f'prompt = "{said["beside"]}"')
        keys = {"OPENAI_API_KEY": OPENAI_KEY, "OPENAI_BASE_URL": openai.base_url}
        engines = ("--diarizer", "builtin", "--transcriber", "openai", "--speakers", "1")
        evt("run", names[0], *engines, "--prompt", said["flag"], "-v", code=None, **keys)
        evt("run", *names[1:3], *engines, "-j", "1", "-v", code=None, EVT_KEYWORDS=said["variable"], **keys)
        evt("run", names[3], *engines, "--profile", "p", code=None, **keys)
        evt("run", names[3], "--prompt", "", "--keywords", "", code=None, **keys)
        assert all(word.encode() in openai.heard for word in said.values()), "the search would find something"
    logs = [path for path in evt.home.glob("logs/*/*") if path.suffix == ".jsonl"]
    assert len(logs) == 4
    left = {str(path): path.read_bytes() for path in evt.home.rglob("*") if path.is_file()}
    hits = {
        (name, where)
        for name, word in said.items()
        for form in forms(word)
        for where, content in left.items()
        if form.encode() in content and not where.endswith(("/text.json", "/config.toml"))
    }
    assert {where for _, where in hits if "/logs/" in where} == set()
    assert all(where.endswith("-failure.json") for _, where in hits), "only what the service said is kept too"

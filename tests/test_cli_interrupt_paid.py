"""Ctrl-C and SIGTERM while calls that cost are under way: what is paid is kept, or its doubt is written down."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli import Evt
from tests.support.openai_server import TRANSCRIBE, OpenAIServer
from tests.support.pyannoteai_server import PyannoteAI
from tests.support.service import Request, Response

ENGINES = ("--diarizer", "none", "--transcriber", "openai", "--model", "whisper-1")


class Slow(OpenAIServer):
    """Accepts and bills at once, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted = threading.Semaphore(0)
        self.told = threading.Event()

    def answer(self, request: Request) -> Response:
        response = super().answer(request)
        self.accepted.release()
        while not self.told.wait(0.02) and not self.closing.is_set():
            pass
        return response


class Interrupted(Evt):
    """Runs evt in a process that can be sent signals, and reads what it says meanwhile."""

    def __init__(self, folder: Path, openai: Slow, jobs: PyannoteAI) -> None:
        super().__init__(folder)
        self.openai, self.jobs = openai, jobs

    def environment(self, **more: str) -> dict[str, str]:
        ours = {"OPENAI_API_KEY": "sk-0123456789", "OPENAI_BASE_URL": self.openai.base_url}
        theirs = {"PYANNOTEAI_API_TOKEN": "pk-0123456789", "PYANNOTEAI_BASE_URL": self.jobs.url}
        return super().environment(**ours, **theirs, **more)

    def begin(self, *arguments: str | Path, calls: int = 1) -> Running:
        """Start a run and return it once so many calls are accepted."""
        with (self.folder / "said").open("w") as said:
            process = self.start("run", *arguments, stdout=said, stderr=said)
        for _ in range(calls):
            assert self.openai.accepted.acquire(timeout=60)
        return Running(process, self.folder / "said")


class Running:
    """A run that is under way."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self.process, self._said = process, said

    @property
    def said(self) -> str:
        return self._said.read_text()

    def signal(self, number: int, until: str) -> None:
        """Send a signal and wait until the run has said something."""
        self.process.send_signal(number)
        self.wait_for(lambda: until in self.said, until)

    def wait_for(self, is_so: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < end_s, f"{what!r} not in: {self.said}"
            time.sleep(0.02)

    def ends(self, within_s: float = 30.0) -> int:
        code = self.process.wait(within_s)
        assert "Traceback" not in self.said
        return code


@pytest.fixture
def evt(tmp_path: Path) -> Iterator[Interrupted]:
    with Slow() as openai, PyannoteAI() as jobs:
        yield Interrupted(tmp_path, openai, jobs)


def test_the_first_ctrl_c_waits_for_what_is_paid_begins_nothing_new_and_keeps_the_answer(evt: Interrupted) -> None:
    recordings = [evt.speech("one.wav", seed=1), evt.speech("two.wav", seed=2)]
    run = evt.begin(*recordings, *ENGINES, "-j1")
    run.signal(signal.SIGINT, "waiting up to 60 s for a paid call under way, up to 0.0")
    assert "USD" in run.said.partition("waiting up to")[2].partition("(")[0]
    assert run.process.poll() is None
    evt.openai.told.set()
    assert run.ends() == 130
    assert evt.openai.count(TRANSCRIBE) == 1, "the other recording was not begun"
    answered = [record["data"]["call"] for record in evt.records() if record["type"] == "call.succeeded"]
    assert "transcription.1.1" in answered
    assert evt.types()[-1] == "run.finished"
    evt("run", recordings[0], *ENGINES)
    assert evt.openai.count(TRANSCRIBE) == 1, "paid once, and used"
    assert len(evt.openai.meter.charges) == 1


def test_a_call_that_isn_t_answered_within_the_grace_is_in_doubt_and_the_run_ends_by_itself(
    evt: Interrupted,
) -> None:
    recording = evt.speech()
    run = evt.begin(recording, *ENGINES, "--grace", "1")
    run.signal(signal.SIGINT, "waiting up to 1 s")
    assert run.ends() == 130
    (failed,) = [record["data"] for record in evt.records() if record["type"] == "call.failed"]
    assert failed["kind"] == "ambiguous"
    assert "Perhaps paid: in doubt" in evt("cost").stdout
    evt.openai.told.set()
    asked = evt("run", recording, *ENGINES, "--in-doubt", "stop", code=None)
    assert asked.returncode == 5, asked.stderr
    assert len(evt.openai.meter.charges) == 1
    evt("run", recording, *ENGINES, "--in-doubt", "repeat")
    assert len(evt.openai.meter.charges) == 2
    resolved = [record["data"]["resolution"] for record in evt.records() if record["type"] == "call.resolved"]
    assert resolved == ["repeated"]


def test_after_sigterm_the_wait_is_short_and_a_second_one_ends_it_naming_what_is_in_doubt(evt: Interrupted) -> None:
    run = evt.begin(evt.speech(), *ENGINES, "--grace", "600")
    run.signal(signal.SIGTERM, "waiting up to 8 s for a paid call under way")
    run.process.send_signal(signal.SIGTERM)
    assert run.ends(5) == 143
    assert f"Left in doubt, perhaps paid: transcription.1.1 of {evt.log().stem}." in run.said
    assert "A run ended before all answers came" in evt("cost").stdout


@pytest.mark.slow
@pytest.mark.heavy
def test_after_sigterm_the_run_ends_by_itself_within_eight_seconds(evt: Interrupted) -> None:
    run = evt.begin(evt.speech(), *ENGINES, "--grace", "600")
    run.signal(signal.SIGTERM, "waiting up to 8 s")
    begun_s = time.monotonic()
    assert run.ends() == 143
    assert 6 < time.monotonic() - begun_s < 10, "supervisors kill after ten"
    assert [record["data"]["kind"] for record in evt.records() if record["type"] == "call.failed"] == ["ambiguous"]


def test_a_plan_foresees_the_doubt_that_a_killed_run_left_and_not_while_the_run_lives(evt: Interrupted) -> None:
    wishes = (evt.speech(), *ENGINES, "--in-doubt", "stop")
    run = evt.begin(*wishes)
    evt("plan", *wishes)
    run.process.kill()
    run.process.wait()
    before = evt.log().read_bytes()
    (planned,) = json.loads(evt("plan", *wishes, "--json", code=5).stdout)
    assert [step["decision"] for step in planned["stages"] if step["stage"] == "transcription"] == ["ask"]
    assert evt.log().read_bytes() == before, "a plan changes nothing"
    evt("run", *wishes, code=5)
    assert len(evt.openai.meter.charges) == 1


def test_the_second_ctrl_c_leaves_at_once_and_the_next_run_knows_of_the_doubt(evt: Interrupted) -> None:
    recording = evt.speech()
    run = evt.begin(recording, *ENGINES)
    run.signal(signal.SIGINT, "Ctrl-C again")
    run.process.send_signal(signal.SIGINT)
    assert run.ends(5) == 130
    assert "Left in doubt, perhaps paid: transcription.1.1" in run.said
    asked = evt("run", recording, *ENGINES, "--in-doubt", "ask", code=None)
    assert asked.returncode == 5, asked.stderr
    assert len(evt.openai.meter.charges) == 1


def test_an_accepted_job_is_left_to_be_adopted_by_the_next_run(evt: Interrupted) -> None:
    evt.jobs.work_s = 3600.0
    engines = ("--diarizer", "pyannoteai", "--transcriber", f"script:{evt.script}")
    recording = evt.speech()
    run = evt.begin(recording, *engines, calls=0)
    run.wait_for(lambda: any(job.looks for job in evt.jobs.jobs.values()), "a look at the job")
    run.signal(signal.SIGINT, "a job that was accepted is fetched by the next run (Ctrl-C again")
    assert run.ends(10) == 130
    assert "in doubt" not in evt("cost").stdout
    evt.jobs.work_s = 0.0
    evt("run", recording, *engines)
    assert (len(evt.jobs.jobs), len(evt.jobs.meter.charges)) == (1, 1)

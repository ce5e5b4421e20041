"""`kill -9` of `evt run` with paid services, and faults of these: no cent is paid that the log doesn't explain.

    python -m proofs.money --kills 500 --seed 1

Real processes ask two services on loopback, which bill what they accept and outlive every kill. After each death
the log is held against their meters, see `proofs.bills`; in the end the transcript is an undisturbed run's.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field, frozen

from proofs.bills import Bill, Charges, read_bill, require_equal, require_honest, require_reported
from proofs.report import BrokenPromiseError, Tally, command
from tests.support import service as faulty
from tests.support.openai_server import TRANSCRIBE, OpenAIServer, problem
from tests.support.pyannoteai_server import CANCELED, ENDLESS, FAILED, OUTPUT_GONE, UNKNOWN, JobFault, PyannoteAI
from tests.support.service import Clock, Fault, status

ROOT = Path(__file__).resolve().parents[1]
EVT = [sys.executable, "-c", "from cli.main import main; main()"]
ENGINES = {
    "whisper-1, in chunks": ["--transcriber", "openai", "--model", "whisper-1"],
    "gpt-transcribe, by turns": ["--transcriber", "openai", "--model", "gpt-transcribe"],
    "pyannoteai for both": ["--transcriber", "pyannoteai"],
}
RECORDINGS = 3
AT_ONCE = 8
"""Most of a pipeline's time is waiting: two processors are enough for so many."""
LIVES_MAX, CALM_LIVES_MAX = 8, 6
"""A pipeline is disturbed in so many lives at most, and has to end in so many more."""
LONGEST_LIFE_S = 30.0
"""A disturbed life that waits for longer, e.g. for a job that never ends, is killed."""
CLOCK_SPEED, WORK_S = 20.0, 4.0
"""evt waits 120 seconds of pyannoteAI's clock before it believes that a job was never accepted."""
LATENCY_S = 0.15
SETTINGS = {"EVT_RETRY_WAIT_S": "0.05", "EVT_ATTEMPTS": "4"}


@define
class Services:
    """The two services of a pipeline."""

    openai: OpenAIServer
    pyannoteai: PyannoteAI

    def charges(self) -> Charges:
        """Return what both want to be paid for, now."""
        self.pyannoteai.settle()
        return {"openai": self.openai.meter.charges, "pyannoteai": self.pyannoteai.meter.charges}

    def disturb(self, chance: random.Random, pid: PidBox) -> None:
        """Draw what goes wrong in the next life."""
        self.openai.faults.script(*_faults(chance, TRANSCRIBE, pid))
        endpoint = chance.choice(PYANNOTEAI_ENDPOINTS)
        self.pyannoteai.faults.script(*_faults(chance, endpoint, pid))
        self.pyannoteai.job_faults = _job_faults(chance)
        self.pyannoteai.list_lag_s = chance.choice((0.0, 0.0, 20.0))

    def calm(self) -> None:
        """Let nothing go wrong any more; jobs without an end go on."""
        self.openai.faults.script()
        self.pyannoteai.faults.script()
        self.pyannoteai.job_faults = []
        for job in list(self.pyannoteai.jobs.values()):
            job.fate = "" if job.fate == ENDLESS else job.fate


@define
class PidBox:
    """Lets a service kill the process that asks it, at a request."""

    process: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        """Kill it, if it was started."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)


@frozen
class Wanted:
    """A recording, the options of its runs, and what an undisturbed one gave and took."""

    engine: str
    recording: Path
    options: list[str]
    expected: Mapping[str, bytes]
    length_s: float


@define
class Totals:
    """The tally, which several pipelines fill at once."""

    wanted: int
    tally: Tally = field(factory=Tally)
    _lock: threading.Lock = field(factory=threading.Lock)

    def add(self, kind: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.tally.add(kind, number)

    def stop(self) -> None:
        """Let no other pipeline begin."""
        with self._lock:
            self.wanted = 0

    @property
    def is_enough(self) -> bool:
        """Whether so many runs were killed as were wanted."""
        with self._lock:
            return self.tally.counts["kills"] >= self.wanted


PYANNOTEAI_ENDPOINTS = (
    "POST /v1/diarize",
    "POST /v1/diarize",
    "GET /v1/jobs/*",
    "GET /v1/test",
    "GET /v2/jobs*",
    "POST /v1/media/input",
    "PUT /upload/*",
    "*",
)


def prove(*, kills: int, seed: int) -> Tally:
    """Kill `evt run` with paid services: every charge is explained, and the transcript is the same."""
    folder = Path(tempfile.mkdtemp(prefix="evt-money-"))
    totals = Totals(kills)
    chance = random.Random(seed)
    recordings = [_make_recording(folder / f"talk{number}.wav", chance) for number in range(RECORDINGS)]
    undisturbed = Undisturbed(folder)
    numbers = iter(range(1_000_000))
    lock = threading.Lock()

    def work() -> None:
        while not totals.is_enough:
            with lock:
                number = next(numbers)
            try:
                mine = random.Random(f"{seed} {number}")
                wanted = undisturbed.wanted(mine.choice(list(ENGINES)), mine.choice(recordings))
                _live(folder / str(number), wanted, mine, totals)
            except BaseException:
                totals.stop()
                raise

    with ThreadPoolExecutor(min(AT_ONCE, 1 + kills // 8)) as pool:
        workers = [pool.submit(work) for _ in range(min(AT_ONCE, 1 + kills // 8))]
    for worker in workers:
        worker.result()
    shutil.rmtree(folder)
    return totals.tally


@define
class Undisturbed:
    """Runs that nothing disturbs, each made when it is first wanted."""

    folder: Path
    _made: dict[tuple[str, Path], Wanted] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def wanted(self, engine: str, recording: Path) -> Wanted:
        """Return what such a run gives and takes."""
        with self._lock:
            if (engine, recording) not in self._made:
                self._made[engine, recording] = _undisturbed(self.folder, engine, recording)
            return self._made[engine, recording]


def _undisturbed(folder: Path, engine: str, recording: Path) -> Wanted:
    """Run once with services that do what they should, and hold that against their meters too."""
    home = folder / f"undisturbed {engine} {recording.stem}"
    options = ["--diarizer", "pyannoteai", *ENGINES[engine]]
    with _services() as services:
        begun_s = time.monotonic()
        life = _Life(home, Wanted(engine, recording, options, {}, 0.0), services)
        process = life.start()
        _, errors = process.communicate()
        if process.returncode:
            raise BrokenPromiseError(f"exit code {process.returncode} in {home}: {errors[-500:]}")
        bill, charges = read_bill(home / "home"), services.charges()
        require_honest(bill, charges)
        require_equal(bill, charges)
    return Wanted(engine, recording, options, life.transcripts(), time.monotonic() - begun_s)


def _live(folder: Path, chosen: Wanted, chance: random.Random, totals: Totals) -> None:
    """Kill the runs of one pipeline, then let it end.

    Raises:
        BrokenPromiseError: it names the pipeline's folder, which is kept.
    """
    with _services() as services:
        life = _Life(folder, chosen, services, in_doubt=chance.choice(("auto", "repeat", "repeat")))
        try:
            for _ in range(chance.randrange(1, LIVES_MAX + 1)):
                if life.disturbed(chance, totals) == "exit code 0":
                    break
            life.ends(totals)
        except BrokenPromiseError as broken:
            raise BrokenPromiseError(f"{broken} in {folder} ({chosen.engine})") from broken
        for kind, number in (services.openai.faults.hits + services.pyannoteai.faults.hits).items():
            totals.add(f"fault {kind}", number)
        for job in services.pyannoteai.jobs.values():
            totals.add(f"job {job.fate or 'as it should be'}")
    shutil.rmtree(folder)


@define
class _Life:
    """The runs of one pipeline."""

    folder: Path
    wanted: Wanted
    services: Services
    in_doubt: str = "auto"

    def start(self, in_doubt: str | None = None) -> subprocess.Popen[str]:
        """Start a run; always the same command line, as a user would repeat it."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (home / "services.toml").write_text("[openai]\nchunk_s = [4, 6]\n")
        arguments = ["run", str(self.wanted.recording), "-o", str(self.folder / "out"), *self.wanted.options]
        return self._evt(*arguments, "--in-doubt", in_doubt or self.in_doubt)

    def _evt(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*EVT, "--home", str(self.folder / "home"), *arguments],
            cwd=self.folder,
            env=_environment(self.services),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def disturbed(self, chance: random.Random, totals: Totals) -> str:
        """Run with faults, and mostly a kill; check; return how it ended."""
        pid = PidBox()
        self.services.disturb(chance, pid)
        ended = self._ended(self._moment(chance), pid, totals)
        self.services.openai.faults.script()
        bill = self._check(totals)
        totals.add(f"a disturbed run ended: {ended}")
        if ended == "killed":
            totals.add("kills")
            totals.add(f"killed after {bill.types[-1] if bill.types else 'nothing'}")
        return ended

    def _moment(self, chance: random.Random) -> float:
        """Draw when it is killed, from its first record on: mostly early, sometimes only if it hangs."""
        kind = chance.random()
        if kind < 0.8:
            return chance.uniform(0, self.wanted.length_s)
        return chance.uniform(1, 25) if kind < 0.87 else LONGEST_LIFE_S

    def _ended(self, after_s: float, pid: PidBox, totals: Totals) -> str:
        before = self._log_bytes()
        pid.process = process = self.start()
        while after_s < LONGEST_LIFE_S and self._log_bytes() == before and process.poll() is None:
            time.sleep(0.01)
        try:
            _, errors = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
            if after_s == LONGEST_LIFE_S:
                totals.add("kills of a run that waited for too long")
        if "Traceback" in errors:
            raise BrokenPromiseError(f"I10 no traceback, but {errors[-2000:]}")
        if process.returncode not in (0, 1, 5, -signal.SIGKILL):
            raise BrokenPromiseError(f"I10 exit code {process.returncode}: {errors[-500:]}")
        return "killed" if process.returncode < 0 else f"exit code {process.returncode}"

    def _log_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("home/logs/*/*.jsonl"))

    def _check(self, totals: Totals) -> Bill:
        bill = read_bill(self.folder / "home")
        require_honest(bill, self.services.charges())
        totals.add("checks of a log against the meters")
        return bill

    def ends(self, totals: Totals) -> None:
        """Run without a disturbance until it is done, and check what came of it."""
        self.services.calm()
        for number in range(CALM_LIVES_MAX):
            process = self.start("repeat" if number else None)
            _, errors = process.communicate()
            bill = self._check(totals)
            totals.add(f"an undisturbed run after it ended: exit code {process.returncode}")
            if process.returncode == 0:
                break
        else:
            raise BrokenPromiseError(f"exit code {process.returncode} again and again: {errors[-500:]}")
        self._require_done(bill, totals)

    def _require_done(self, bill: Bill, totals: Totals) -> None:
        if self.transcripts() != self.wanted.expected:
            raise BrokenPromiseError("I1: another transcript")
        report, _ = self._evt("cost", "--json").communicate()
        require_reported(report, bill)
        if bill.is_certain:
            require_equal(bill, self.services.charges())
            totals.add("pipelines paid to the cent")
        else:
            totals.add("pipelines with something in doubt or perhaps paid twice")
        for state, number in bill.states().items():
            totals.add(f"call {state}", number)
        for call in bill.calls:
            if call.resolution:
                totals.add(f"call resolved as {call.resolution}")
            if call.kind:
                totals.add(f"call failed as {call.kind}")
        totals.add(f"pipelines with {self.wanted.engine}")

    def transcripts(self) -> dict[str, bytes]:
        """Return what was delivered."""
        return {path.name: path.read_bytes() for path in sorted((self.folder / "out").iterdir())}


class _services:  # noqa: N801 - used as a function
    """Run both services for as long as the context lasts."""

    def __enter__(self) -> Services:
        self._openai = OpenAIServer(latency_s=LATENCY_S)
        self._pyannoteai = PyannoteAI(clock=Clock(speed=CLOCK_SPEED), work_s=WORK_S)
        return Services(self._openai.__enter__(), self._pyannoteai.__enter__())

    def __exit__(self, *about: Any) -> None:
        self._openai.__exit__(*about)
        self._pyannoteai.__exit__(*about)


def _environment(services: Services) -> dict[str, str]:
    ours = ("EVT_", "OPENAI_", "PYANNOTE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    keys = {"OPENAI_API_KEY": "sk-proof", "PYANNOTEAI_API_TOKEN": "pk-proof"}
    urls = {"OPENAI_BASE_URL": services.openai.base_url, "PYANNOTEAI_BASE_URL": services.pyannoteai.url}
    return {**kept, **keys, **urls, **SETTINGS, "PYTHONPATH": str(ROOT)}


def _faults(chance: random.Random, endpoint: str, pid: PidBox) -> list[Fault]:
    """Draw up to three rules."""
    rules = []
    for _ in range(chance.choice((0, 1, 2, 3))):
        rule: dict[str, Any] = {"endpoint": endpoint, "probability": chance.choice((0.1, 0.4, 1.0))}
        rule["times"] = chance.choice((1, 1, 3))
        if chance.random() < 0.2:
            kind = chance.choice((faulty.RESET_BEFORE_ACCEPTANCE, faulty.RESET_AFTER_ACCEPTANCE, faulty.TRICKLE))
            rules.append(Fault(kind, on_hit=pid.kill, **rule))
        else:
            rules.append(chance.choice((_spoiling, _refusing))(chance, rule))
    return rules


def _spoiling(chance: random.Random, rule: Mapping[str, Any]) -> Fault:
    kinds = (*faulty.UNCHARGED, *faulty.CHARGED, faulty.TRICKLE, faulty.HANG, faulty.EDIT)
    return Fault(chance.choice(kinds), edit=_cut, **rule)


def _cut(answer: Any) -> Any:
    """Leave half of an object's fields."""
    return dict(list(answer.items())[: len(answer) // 2]) if isinstance(answer, dict) else answer


def _refusing(chance: random.Random, rule: Mapping[str, Any]) -> Fault:
    """Draw a status but 404 and 413: they say for certain that a job is gone, and that chunks must be shorter."""
    kind = chance.choice(("server", "server, charged", "throttled", "no money", "rejected"))
    if kind == "throttled":
        return status(429, headers=chance.choice(list(faulty.RETRY_AFTER.values())), **rule)
    if kind == "no money":
        quota = problem(429, "You exceeded your current quota.", kind="insufficient_quota").body
        return status(*chance.choice(((429, quota), (402, b"{}"))), **rule)
    if kind == "rejected":
        return status(chance.choice((400, 401, 403)), b"{}", **rule)
    return status(chance.choice((500, 502, 503)), charged=kind.endswith("charged"), **rule)


def _job_faults(chance: random.Random) -> list[JobFault]:
    if chance.random() < 0.7:
        return []
    return [JobFault(chance.choice((FAILED, CANCELED, ENDLESS, OUTPUT_GONE, UNKNOWN)))]


def _make_recording(path: Path, chance: random.Random) -> Path:
    """Write some 24 to 36 seconds of speech: pieces of the sample, some alike and some a little softer."""
    with wave.open(str(ROOT / "samples" / "jfk.wav")) as sample:
        speech = np.frombuffer(sample.readframes(sample.getnframes()), "<i2")
    pause = np.zeros(16000, "<i2")
    softer = [(speech * gain).astype("<i2") for gain in (1.0, chance.uniform(0.7, 0.95))]
    pieces = [part for _ in range(chance.choice((2, 3))) for part in (chance.choice(softer), pause)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.concatenate(pieces).tobytes())
    return path


def main() -> None:
    """See `prove`."""
    command("money", prove, {"kills": 500})


if __name__ == "__main__":
    main()

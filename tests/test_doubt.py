"""Whether what may be paid already is sent once more; and how long a service is left alone."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from pipeline.calls.pacing import BELIEVED_S, Pace
from projections.doubt import may_repeat
from projections.engine import Engine
from projections.events import CallStarted
from projections.failures import AMBIGUOUS, EXPIRED, PAID_UNUSABLE, REPEATED
from projections.limits import ASK, REPEAT, STOP, Limits
from projections.money import Money, Rates
from projections.state import FAILED, Call

RATES = Rates({"USD": Decimal(1), "EUR": Decimal("1.16")}, "2026-11-01")
ENGINE = Engine("openai", 1, origin="https://api.openai.com", account="0a0a0a0a")


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def doubtful(number: int, at_most: Money | None, **changes: object) -> Call:
    data = at_most.as_data() if at_most else None
    started = CallStarted(f"transcription.1.{number}", "transcription", 1, "openai", "transcribe", "u", "d", True)
    call = Call(evolve(started, at_most=data), "2026-11-23T14:00:00.000000Z", status=FAILED, kind=AMBIGUOUS)
    return evolve(call, **changes)  # type: ignore[no-any-return] # attrs knows the class


@pytest.mark.parametrize(
    ("earlier", "this", "expected", "may"),
    [
        ([], usd("0.05"), None, True),
        ([], usd("0.25"), None, True),
        ([], usd("0.251"), None, False),
        ([usd("0.20")], usd("0.05"), None, True),
        ([usd("0.20")], usd("0.051"), None, False),
        ([], usd("1.00"), usd("20.00"), True),
        ([], usd("1.01"), usd("20.00"), False),
        ([], Money(Decimal("0.21"), "EUR"), None, True),
        ([], Money(Decimal("0.22"), "EUR"), None, False),
        ([], None, usd("20.00"), False),
        ([None], usd("0.01"), None, False),
        ([], Money(Decimal("0.01"), "XYZ"), None, False),
    ],
)
def test_a_call_is_repeated_while_little_is_at_stake(earlier, this, expected, may):
    calls = [doubtful(number, amount, resolution=REPEATED) for number, amount in enumerate(earlier, 2)]
    assert may_repeat(doubtful(1, this), calls, Limits(), RATES, expected).may_repeat is may


@pytest.mark.parametrize(("policy", "may"), [(REPEAT, True), (ASK, False), (STOP, False)])
def test_the_users_word_goes_before_all_sums(policy, may):
    for stake in (usd("0.01"), usd("100"), None):
        assert may_repeat(doubtful(1, stake), [], Limits(in_doubt=policy), RATES, None).may_repeat is may


def test_an_invocation_may_repeat_ten_times_as_much_as_a_recording():
    spent = [usd("0.25")] * 9
    assert may_repeat(doubtful(1, usd("0.25")), [], Limits(), RATES, None, spent).may_repeat
    assert not may_repeat(doubtful(1, usd("0.25")), [], Limits(), RATES, None, [*spent, usd("0.01")]).may_repeat


def test_a_job_whose_result_is_gone_is_never_repeated_without_asking():
    gone = doubtful(1, usd("0.01"), kind=PAID_UNUSABLE, resolution=EXPIRED)
    assert not may_repeat(gone, [], Limits(), RATES, None).may_repeat


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_holds_for_other_processes_and_is_believed_for_a_quarter_of_an_hour(tmp_path: Path):
    clock = Clock()
    Pace(tmp_path, clock).cool_down(ENGINE, 10 * BELIEVED_S)
    other = Pace(tmp_path, clock)
    assert other.wait_s(ENGINE) == BELIEVED_S
    assert other.wait_s(evolve(ENGINE, account="another")) == 0
    clock.now += BELIEVED_S - 1
    assert other.wait_s(ENGINE) == 1
    clock.now += 1
    assert other.wait_s(ENGINE) == 0


def test_a_wait_written_by_a_clock_that_was_set_back_since_is_not_believed(tmp_path: Path):
    clock = Clock()
    pace = Pace(tmp_path, clock)
    pace.cool_down(ENGINE, 60)
    clock.now -= 3600
    assert pace.wait_s(ENGINE) == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"until": "x", "written": 1}', b"null", b"\xff"])
def test_a_damaged_wait_is_none(tmp_path: Path, content: bytes):
    pace = Pace(tmp_path, Clock())
    pace.cool_down(ENGINE, 60)
    (file,) = tmp_path.glob("*.wait")
    file.write_bytes(content)
    assert pace.wait_s(ENGINE) == 0


def test_calls_that_are_told_to_wait_at_the_same_moment_all_wait_for_the_longest(tmp_path: Path):
    pace, count = Pace(tmp_path, Clock()), 8
    together = threading.Barrier(count)

    def refused(seconds: float) -> None:
        together.wait()
        pace.cool_down(ENGINE, seconds)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(refused, range(1, count + 1)))
    assert pace.wait_s(ENGINE) == count
    assert [path.suffix for path in tmp_path.iterdir()] == [".wait"]


class Line:
    """A line on which a pause is the sign that somebody else is at it."""

    def __init__(self) -> None:
        self.waits = threading.Event()

    def check(self) -> None: ...

    def pause(self, seconds: float) -> None:
        self.waits.set()
        threading.Event().wait(0.01)

    def accepted(self, job_id: str, expires_at: str | None = None) -> None: ...

    def progress(self, text: str) -> None: ...


HOLD = """
import sys
from pathlib import Path
from tests.test_doubt import ENGINE, Clock, Line, Pace
with Pace(Path(sys.argv[1]), Clock()).alone(ENGINE, Line()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_one_process_of_a_home_submits_at_a_time(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        line, got = Line(), threading.Event()

        def submit() -> None:
            with Pace(tmp_path, Clock()).alone(ENGINE, line):
                got.set()

        thread = threading.Thread(target=submit)
        thread.start()
        assert line.waits.wait(30)
        assert not got.is_set()
        process.communicate("")
        thread.join(30)
        assert got.is_set()


class Waiting(Line):
    """A line that waits in no time, and remembers for how long."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.paused: list[float] = []

    def pause(self, seconds: float) -> None:
        self.paused.append(round(seconds, 6))
        self.clock.now += seconds


def test_no_more_requests_a_minute_are_sent_than_the_user_allows(tmp_path: Path):
    clock = Clock()
    pace, line = Pace(tmp_path, clock), Waiting(clock)
    for _ in range(3):
        pace.take_turn(ENGINE, 30, line)
    assert line.paused == [2.0, 2.0]
    pace.take_turn(evolve(ENGINE, account="another"), 30, line)
    pace.take_turn(ENGINE, None, line)
    assert line.paused == [2.0, 2.0]

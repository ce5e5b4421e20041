"""Many recordings in one command, as a user meets it: the real program, killed, interrupted, and beside itself."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.batching.crew import WORTH_IT
from pipeline import recordings
from pipeline.artifacts import file_sha256
from tests.support.batches import records_of, slow_down, successes, transcripts, wait_until
from tests.support.cli import Evt

pytestmark = pytest.mark.slow

COUNT = 6


def write_all(evt: Evt, count: int = COUNT) -> Path:
    folder = evt.work / "in"
    folder.mkdir()
    for number in range(count):
        evt.speech(f"in/r{number}.wav", seconds=2.0, seed=number + 1)
    return folder


ALL = {f"r{number}.txt" for number in range(COUNT)}


def test_a_folder_is_transcribed_and_again_there_is_nothing_to_do(evt: Evt) -> None:
    write_all(evt)
    done = evt.run("in", "-j3")
    assert transcripts(evt) == ALL
    assert len(done.stdout.splitlines()) == COUNT
    assert f"Of {COUNT} recordings: {COUNT} done; took" in done.stderr
    before = records_of(evt)
    again = evt.run("in", "-j3")
    assert f"0 done, {COUNT} with nothing to do" in again.stderr
    assert records_of(evt) == before


def test_a_damaged_recording_stops_no_other_and_the_summary_says_why(evt: Evt) -> None:
    folder = write_all(evt)
    (folder / "bad1.wav").write_bytes(b"RIFF, but no sound")
    (folder / "bad2.wav").write_bytes(b"RIFF, but no sound at all")
    (folder / "empty.wav").write_bytes(b"")
    done = evt.run("in", "gone.wav", code=3)
    assert transcripts(evt) == ALL
    assert f"{COUNT} done, 4 failed" in done.stderr
    summary = done.stderr[done.stderr.index("Of ") :]
    assert re.search(r"2 × audio_conversion: .*\n +in/bad[12].wav, in/bad[12].wav", summary)
    assert "1 × FILE is empty." in summary


def test_a_folder_of_logs_that_cannot_be_read_fails_its_recordings_and_stops_no_other(evt: Evt) -> None:
    write_all(evt)
    evt.run("in", "-j3")
    shard = sorted(evt.home.glob("logs/*"))[0]
    lost = len(list(shard.glob("*.jsonl")))
    for path in (evt.work / "in").iterdir():
        # As of files that have lain there for a while.
        recordings._remember(evt.home / "index.sqlite", recordings._signature(path), file_sha256(path), 2e9 * 2)
    shard.rename(evt.home / "elsewhere")
    shard.write_bytes(b"")
    done = evt.run("in", "-j3", code=1)
    assert f"{COUNT - lost} with nothing to do, {lost} failed" in done.stderr
    assert "can't be read" in done.stderr


def test_the_report_is_an_array_in_the_order_in_which_recordings_were_named(evt: Evt) -> None:
    write_all(evt)
    done = evt("run", "in/r2.wav", "gone.wav", "in", "-j4", "--json", *evt.engines, code=3)
    reports = json.loads(done.stdout)
    assert [report["input"] for report in reports] == [
        "gone.wav", "in/r2.wav", "in/r0.wav", "in/r1.wav", *(f"in/r{n}.wav" for n in range(3, COUNT)),
    ]  # fmt: skip
    assert [report["exit_code"] for report in reports] == [3, *[0] * COUNT]


def test_two_copies_of_one_recording_are_worked_on_once_and_each_gets_its_transcript(evt: Evt) -> None:
    folder = write_all(evt, 1)
    for name in ("copy1.wav", "copy2.wav"):
        (folder / name).write_bytes((folder / "r0.wav").read_bytes())
    evt.run("in", "-j3")
    assert transcripts(evt) == {"r0.txt", "copy1.txt", "copy2.txt"}
    assert set(successes(evt).values()) == {1}


def test_after_a_kill_the_same_command_goes_on_and_does_nothing_twice(evt: Evt) -> None:
    write_all(evt)
    slow_down(evt, 0.3)
    process = evt.start("run", "in", "-j2", *evt.engines)
    wait_until(lambda: len(transcripts(evt)) >= 2)
    process.kill()
    process.communicate()
    finished = {key: count for key, count in successes(evt).items() if count}
    assert len(transcripts(evt)) < COUNT
    evt.run("in", "-j2")
    assert transcripts(evt) == ALL
    assert set(successes(evt).values()) == {1}
    assert finished.items() <= successes(evt).items()


def test_ctrl_c_begins_nothing_new_keeps_what_is_finished_and_leaves_every_log_closed(evt: Evt) -> None:
    write_all(evt)
    slow_down(evt, 0.3)
    process = evt.start("run", "in", "-j2", *evt.engines)
    wait_until(lambda: len(transcripts(evt)) >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping" in err
    assert "not finished" in err
    assert 2 <= len(records_of(evt)) <= COUNT
    assert all(records[-1]["type"] in {"run.finished", "log.sealed"} for records in records_of(evt).values())
    evt.run("in")
    assert transcripts(evt) == ALL
    assert set(successes(evt).values()) == {1}


def test_two_at_once_share_a_folder_and_no_work_is_done_twice(evt: Evt) -> None:
    write_all(evt)
    slow_down(evt, 1.5)
    first = evt.start("run", "in", "-j3", *evt.engines)
    wait_until(lambda: len(records_of(evt)) >= 3)
    second = evt.start("run", "in", "-j2", *evt.engines)
    _, second_err = second.communicate(timeout=60)
    _, first_err = first.communicate(timeout=60)
    assert {first.returncode, second.returncode} <= {0, 3}
    assert f"pid {first.pid}" in second_err
    assert "Traceback" not in first_err + second_err
    assert set(successes(evt).values()) == {1}
    evt.run("in")
    assert transcripts(evt) == ALL


def test_names_on_standard_input_may_hold_anything(evt: Evt) -> None:
    write_all(evt, 2)
    (evt.work / "in" / "r1.wav").rename(evt.work / "in" / "a\nb.wav")
    process = evt.start("run", "-", *evt.engines, stdin=-1)
    process.communicate("in/r0.wav\0in/a\nb.wav\0", timeout=60)
    assert process.returncode == 0
    assert transcripts(evt) == {"r0.txt", "a\nb.txt"}


def test_without_a_name_the_command_says_what_to_name(evt: Evt) -> None:
    assert "Name a recording" in evt("run", code=2).stderr


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_with_workers_is_gone_on_with_after_it_was_ended(evt: Evt, number: signal.Signals) -> None:
    """The workers of a batch that was killed end too, so that nothing holds the logs."""
    folder = evt.work / "in"
    folder.mkdir()
    for seed in range(WORTH_IT):
        evt.speech(f"in/r{seed}.wav", seconds=1.0, seed=seed + 1)
    process = evt.start("--log-file", "evt.log", "run", "in", "-j2", *evt.engines)
    wait_until(lambda: len(transcripts(evt)) >= 2)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[number]
    workers = {
        record["data"]["pid"]
        for records in records_of(evt).values()
        for record in records[1:4]
        if "pid" in record["data"]
    }
    assert workers
    assert process.pid not in workers
    assert workers <= {int(line.split()[3]) for line in (evt.work / "evt.log").read_text().splitlines()}
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)
    assert len(transcripts(evt)) < WORTH_IT
    evt.run("in")
    assert len(transcripts(evt)) == WORTH_IT
    assert set(successes(evt).values()) == {1}


# On a terminal


class Terminal:
    """A pseudo terminal with a program in it; what it shows is worked out from what the program writes."""

    def __init__(self, evt: Evt, *arguments: str, columns: int) -> None:
        self.parent, child = pty.openpty()
        self.resize(columns)
        environment = {**evt.environment(), "TERM": "xterm"}
        self.process = evt.start(*arguments, stdout=child, stderr=child, env=environment)
        os.close(child)
        self.screen = Screen(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.parent, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def frames(self) -> Iterator[list[str]]:
        """Yield what is on the screen after each write."""
        while True:
            ready, _, _ = select.select([self.parent], [], [], 60)
            assert ready, "nothing more was written"
            try:
                text = os.read(self.parent, 65536).decode()
            except OSError:  # the program has ended
                break
            self.screen.feed(text)
            yield self.screen.lines
        os.close(self.parent)
        self.process.wait(timeout=60)


class Screen:
    """A terminal without a bottom that knows what the view uses: lines, carriage returns, up, erase below."""

    def __init__(self, columns: int) -> None:
        self.columns, self.rows, self.row, self.column = columns, [""], 0, 0

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows]

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\d*[A-Z]|.", text, re.DOTALL):
            if part.endswith("A") and part.startswith("\x1b"):
                self.row -= int(part[2:-1])
            elif part == "\x1b[J":
                self.rows = [*self.rows[: self.row], self.rows[self.row][: self.column]]
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self._down()
            else:
                assert not part.startswith("\x1b"), part
                self._put(part)

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def _put(self, char: str) -> None:
        if self.column == self.columns:
            self._down()
            self.column = 0
        line = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1


@pytest.mark.parametrize("columns", [100, 30])
def test_a_terminal_shows_one_view_of_all_and_is_clean_afterwards(evt: Evt, columns: int) -> None:
    write_all(evt)
    slow_down(evt, 0.2)
    (evt.work / "in" / "bad.wav").write_bytes(b"RIFF, but no sound")
    terminal = Terminal(evt, "run", "in", "-j2", *evt.engines, columns=columns)
    most = 0
    for lines in terminal.frames():
        views = [line for line in lines if re.match(rf"\d of {COUNT + 1} done", line)]
        assert len(views) <= 1, lines
        most = max(most, sum("  transcription" in line for line in lines))
    assert most >= 1
    shown = "".join(terminal.screen.lines)
    assert "transcription" not in shown
    assert f"Of {COUNT + 1} recordings: {COUNT} done" in shown
    assert all(f"r{number}.txt" in shown for number in range(COUNT))
    assert "bad.wav: audio_conversion" in shown
    assert terminal.process.returncode == 3

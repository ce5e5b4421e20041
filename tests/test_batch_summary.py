"""The summary of a batch: equal reasons are one, and nothing but a recording's own names is taken out of them."""

from __future__ import annotations

import pytest

from cli.batching.summary import Summary
from cli.batching.view import Totals
from cli.outcomes import Outcome
from eventlog.errors import LogLockedError
from pipeline.errors import SourceRejectedError


def summary_of(*outcomes: Outcome) -> list[str]:
    summary = Summary(Totals(len(outcomes), 0.0))
    for outcome in outcomes:
        summary.add(outcome)
    return summary.lines(1.0, "")[1:]


def refused(written: str, message: str) -> Outcome:
    outcome = Outcome(written)
    outcome.refuse(SourceRejectedError(message))
    return outcome


@pytest.mark.parametrize("name", ["a", "e", "name", "Check", "x/a", "FILE", "talk.wav", "there is"])
def test_a_short_name_is_taken_out_of_a_reason_once_and_out_of_no_other_word(name: str) -> None:
    told = summary_of(refused(name, f"Nothing is called {name}; see elsewhere."))
    assert told == [f"  1 × Nothing is called FILE; see elsewhere.\n      {name}"]


def test_a_reason_that_names_the_logs_own_paths_is_one_for_all() -> None:
    outcomes = []
    for number in range(3):
        pipeline = f"{number:02x}{7:014x}"
        outcome = refused(f"{number}.wav", f"The log /h/logs/{pipeline[:2]}/{pipeline}.jsonl can't be opened.")
        outcome.pipeline = pipeline
        outcomes.append(outcome)
    assert summary_of(*outcomes)[0].startswith("  3 × The log /h/logs/ID.jsonl can't be opened.")


def test_logs_that_one_process_holds_since_different_times_are_one_reason() -> None:
    outcomes = []
    for number in range(3):
        outcome = Outcome(f"talk{number}.wav", pipeline=f"{number:016x}")
        error = LogLockedError(f"Another process writes {outcome.pipeline}. It is pid 7, since 12:00:0{number}.")
        error.__cause__ = LogLockedError(f"Another process writes {outcome.pipeline}.")
        outcome.refuse(error)
        assert "since" in str(outcome.error)
        outcomes.append(outcome)
    names = "talk0.wav, talk1.wav, talk2.wav"
    assert summary_of(*outcomes) == [f"  3 × Another process writes ID.\n      {names}"]

"""Nothing is silently missing: speech without words is asked for again, fails the stage, or is marked as a gap."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from projections.graph import FORMATS, SUFFIXES, TRANSCRIPTION
from projections.limits import STOP, Limits
from projections.options import Named
from tests.support.openai_server import RATE_HZ, TRANSCRIBE, Spoken, speak
from tests.support.paid import Paid
from tests.support.service import Fault, status
from tests.support.shop import make_shop, run_once, scripted, write_script, write_speech

pytestmark = pytest.mark.slow

WORDS = {"diarizer": "none", "transcriber": "openai", "model": "whisper-1"}
TURNS = {"diarizer": "builtin", "transcriber": "openai", "model": "gpt-transcribe", "speakers": 1}


def deaf_to(is_lost: Callable[[float], bool]) -> Callable[[bytes], list[Spoken]]:
    """Hear nothing in sounds of some lengths, in seconds."""

    def hear(pcm: bytes) -> list[Spoken]:
        return [] if is_lost(len(pcm) / 2 / RATE_HZ) else speak(pcm)

    return hear


def forgetful(*parts_s: tuple[float, float]) -> Callable[[bytes], list[Spoken]]:
    """Leave out what is said in parts of a long sound."""

    def hear(pcm: bytes) -> list[Spoken]:
        lost = parts_s if len(pcm) / 2 / RATE_HZ > 43 else ()
        return [word for word in speak(pcm) if not any(start <= word[1] < end for start, end in lost)]

    return hear


def transcript(paid: Paid) -> dict[str, object]:
    found: dict[str, object] = json.loads(paid.text())
    return found


def test_a_part_of_a_chunk_that_was_left_out_is_asked_for_once_more_and_its_words_are_put_in(
    tmp_path: Path,
) -> None:
    with Paid(tmp_path, 44.0, hear=forgetful((4, 18), (24, 40)), chunk_s=[40, 50]) as paid:
        shop = paid.shop()
        result = paid.run(shop, WORDS)
        assert result is not None
        assert result.outcome == "completed"
        point = result.state.checkpoints[TRANSCRIPTION]
        assert point.metadata["chunks_asked_again"] == 1
        assert point.metadata["gaps"] == 0
        assert paid.openai.count(TRANSCRIBE) == 2
        starts = [word["start_s"] for one in transcript(paid)["utterances"] for word in one["words"]]  # type: ignore[attr-defined]
        assert sum(5 < start < 17 for start in starts) > 15
        assert sum(25 < start < 39 for start in starts) > 15
        assert starts == sorted(set(starts)), "what was heard between them stands there once"
        paid.require_balanced(result.state)


def test_what_is_lost_twice_fails_the_stage_and_says_where_and_nothing_is_paid_again(tmp_path: Path) -> None:
    with Paid(tmp_path, 44.0, hear=deaf_to(lambda seconds: seconds > 3), chunk_s=[40, 50]) as paid:
        result = paid.run(paid.shop(), WORDS)
        assert result is not None
        assert result.outcome == "failed"
        error = result.failures[TRANSCRIPTION]
        assert error.code == "missing_speech"
        assert "00:0" in error.message
        assert "--allow-gaps" in error.message
        asked = paid.openai.count(TRANSCRIBE)
        again = paid.run(paid.shop(), {})
        assert again is not None
        assert again.outcome == "failed"
        assert paid.openai.count(TRANSCRIBE) == asked


def test_a_gap_that_is_allowed_is_marked_in_every_output(tmp_path: Path) -> None:
    with Paid(tmp_path, 44.0, hear=deaf_to(lambda seconds: seconds > 3), chunk_s=[40, 50]) as paid:
        paid.run(paid.shop(), WORDS)
        asked = paid.openai.count(TRANSCRIBE)
        result = paid.run(paid.shop(), {"allow_gaps": True, "formats": list(FORMATS)})
        assert result is not None
        assert result.outcome == "completed"
        assert paid.openai.count(TRANSCRIBE) == asked
        assert result.state.checkpoints[TRANSCRIPTION].metadata["gaps"] == 1
        for name in set(FORMATS) - {"rttm", "ctm"}:
            assert b"inaudible 00:0" in rendered(paid, name) or name in {"json", "docx"}, name
        assert json.loads(rendered(paid, "json"))["gaps"]


def rendered(paid: Paid, name: str) -> bytes:
    return (paid.folder / "home-out" / f"talk.{SUFFIXES.get(name, name)}").read_bytes()


def test_a_success_with_gaps_is_none_for_a_plan_that_allows_none(tmp_path: Path) -> None:
    with Paid(tmp_path, 44.0, hear=deaf_to(lambda seconds: seconds > 3), chunk_s=[40, 50]) as paid:
        assert paid.run(paid.shop(), {**WORDS, "allow_gaps": True}) is not None
        assert paid.run(paid.shop(), {}) is None
        result = paid.run(paid.shop(), {"allow_gaps": False})
        assert result is not None
        assert result.failures[TRANSCRIPTION].code == "missing_speech"


def test_a_chunk_that_the_service_refuses_becomes_a_gap_where_gaps_are_allowed(tmp_path: Path) -> None:
    with Paid(tmp_path, 20.0, concurrency=1) as paid:
        paid.openai.faults.script(status(400, {}, endpoint=TRANSCRIBE, nth=2))
        result = paid.run(paid.shop(), {**WORDS, "allow_gaps": True})
        assert result is not None
        assert result.outcome == "completed"
        assert result.state.checkpoints[TRANSCRIPTION].metadata["gaps"] == 1


def test_a_chunk_that_was_paid_twice_without_use_becomes_a_gap_and_is_not_paid_a_third_time(tmp_path: Path) -> None:
    with Paid(tmp_path, 20.0, concurrency=1) as paid:
        paid.openai.faults.script(*[Fault("empty_object", endpoint=TRANSCRIBE, nth=nth) for nth in (2, 3)])
        failed = paid.run(paid.shop(), WORDS)
        assert failed is not None
        assert failed.outcome == "failed"
        asked = paid.openai.count(TRANSCRIBE)
        result = paid.run(paid.shop(limits=Limits(in_doubt=STOP)), {"allow_gaps": True})
        assert result is not None
        assert result.outcome == "completed"
        assert result.state.checkpoints[TRANSCRIPTION].metadata["gaps"] == 1
        assert paid.openai.count(TRANSCRIBE) == asked
        paid.require_balanced(result.state)


def test_a_gap_stays_one_so_that_what_was_asked_after_it_keeps_its_answers(tmp_path: Path) -> None:
    """The engine is shown voices of earlier chunks: another answer now would change every later request."""
    with Paid(tmp_path, 30.0, chunk_s=[4, 6]) as paid:
        options = {"transcriber": "openai", "model": "gpt-4o-transcribe-diarize", "allow_gaps": True}
        quota = status(429, {"error": {"code": "insufficient_quota"}}, endpoint=TRANSCRIBE, nth=4)
        paid.openai.faults.script(status(400, {}, endpoint=TRANSCRIBE, nth=1), quota)
        stopped = paid.run(paid.shop(), options)
        assert stopped is not None
        assert stopped.outcome == "needs_decision"
        paid.heal()
        result = paid.run(paid.shop(), {})
        assert result is not None
        assert result.outcome == "completed"
        point = result.state.checkpoints[TRANSCRIPTION]
        assert point.metadata["gaps"] == 1
        assert set(paid.charged().values()) == {1}
        assert len(paid.charged()) == paid.openai.count(TRANSCRIBE) - 2, "beside what was refused: once each"


def test_chunks_that_all_fail_are_no_gaps_but_a_failure(tmp_path: Path) -> None:
    with Paid(tmp_path, 12.0, concurrency=1) as paid:
        paid.openai.faults.script(*[status(400, {}, endpoint=TRANSCRIBE)] * 20)
        result = paid.run(paid.shop(), {**WORDS, "allow_gaps": True})
        assert result is not None
        assert result.failures[TRANSCRIPTION].code == "refused"


def test_a_long_pause_is_neither_sent_nor_paid_and_times_stay_right(tmp_path: Path) -> None:
    with Paid(tmp_path, 11.0, chunk_s=[40, 60]) as paid:
        with_pause(paid.recording, at_s=4.0, pause_s=20.0)
        result = paid.run(paid.shop(), WORDS)
        assert result is not None
        assert result.outcome == "completed"
        (request,) = [request for request in paid.openai.requests if request.endpoint == TRANSCRIBE]
        assert request.notes["seconds"] < 13
        starts = [word["start_s"] for one in transcript(paid)["utterances"] for word in one["words"]]  # type: ignore[attr-defined]
        assert not [start for start in starts if 5 < start < 23]
        assert [start for start in starts if start > 24]


def test_chunks_overlap_where_a_cut_may_go_through_a_word(tmp_path: Path) -> None:
    with Paid(tmp_path, 9.0, chunk_s=[2.0, 2.05]) as paid:
        result = paid.run(paid.shop(), WORDS)
        assert result is not None
        assert result.outcome == "completed"
        sent_s = [request.notes["seconds"] for request in paid.openai.requests if request.endpoint == TRANSCRIBE]
        assert max(sent_s) > 2.9, "a second more than the longest chunk"
        starts = [word["start_s"] for one in transcript(paid)["utterances"] for word in one["words"]]  # type: ignore[attr-defined]
        assert starts == sorted(set(starts))
        assert len(starts) < sum(math.ceil(2 * seconds) for seconds in sent_s) - 3, (
            "what two chunks heard stands there once"
        )


def with_pause(path: Path, at_s: float, pause_s: float) -> None:
    """Put digital silence into a recording."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="int16")
    at = int(at_s * rate)
    samples = np.concatenate([samples[:at], np.zeros(int(pause_s * rate), np.int16), samples[at:]])
    soundfile.write(path, samples, rate)


def test_second_requests_are_part_of_what_the_plan_says_a_run_costs_at_most(tmp_path: Path) -> None:
    """With nothing else allowed beyond the price, a run whose every word is lost once stays within it."""
    with Paid(tmp_path, 44.0, hear=deaf_to(lambda seconds: seconds > 30), chunk_s=[40, 50]) as paid:
        result = paid.run(paid.shop(limits=Limits(in_doubt=STOP, retry_wait_s=0.01)), WORDS)
        assert result is not None
        assert result.outcome == "completed"
        started = result.state.attempts[TRANSCRIPTION][0].started
        assert started.price is not None
        expected, at_most = (Decimal(started.price[name]["amount"]) for name in ("expected", "at_most"))
        assert expected < paid.openai.meter.total("USD").amount <= at_most < 3 * expected


def test_a_part_that_is_asked_for_once_more_is_cut_in_what_was_sent_and_not_in_a_pause_that_wasn_t(
    tmp_path: Path,
) -> None:
    with Paid(tmp_path, 44.0, hear=deaf_to(lambda seconds: seconds > 30), chunk_s=[150, 200]) as paid:
        with_pause(paid.recording, at_s=43.9, pause_s=90.0)
        result = paid.run(paid.shop(limits=Limits(in_doubt=STOP, retry_wait_s=0.01)), WORDS)
        assert result is not None
        assert result.outcome == "completed"
        sent_s = [request.notes["seconds"] for request in paid.openai.requests if request.endpoint == TRANSCRIBE]
        assert len(sent_s) == 3
        assert sum(sent_s[1:]) <= sent_s[0] + 0.1


def test_a_text_that_ended_early_is_asked_for_in_parts_also_where_gaps_are_allowed(tmp_path: Path) -> None:
    few = {'models."gpt-4o-mini-transcribe".max_output_tokens': 40}
    with Paid(tmp_path, 30.0, chunk_s=[40, 50], **few) as paid:
        result = paid.run(paid.shop(), {**TURNS, "model": "gpt-4o-mini-transcribe", "allow_gaps": True})
        assert result is not None
        assert result.outcome == "completed"
        assert paid.openai.count(TRANSCRIBE) == 3
        assert result.state.checkpoints[TRANSCRIPTION].metadata["gaps"] == 0


def test_each_engine_gets_its_own_pieces_also_of_a_recording_that_was_cut_for_another(tmp_path: Path) -> None:
    with Paid(tmp_path, 11.0, chunk_s=[40, 60]) as paid:
        with_pause(paid.recording, at_s=4.0, pause_s=20.0)
        shop = paid.shop()
        for model, least_s, most_s in (("gpt-4o-transcribe-diarize", 30, 32), ("whisper-1", 0, 13)):
            assert paid.run(shop, {**WORDS, "model": model}) is not None
            last = [request for request in paid.openai.requests if request.endpoint == TRANSCRIBE][-1]
            assert least_s < last.notes["seconds"] < most_s


def test_speech_that_came_with_a_second_answer_is_somebody_s_turn_too(tmp_path: Path) -> None:
    with Paid(tmp_path, 44.0, hear=forgetful((4, 40)), chunk_s=[40, 50]) as paid:
        result = paid.run(paid.shop(), {"transcriber": "openai", "model": "gpt-4o-transcribe-diarize"})
        assert result is not None
        assert result.outcome == "completed"
        assert result.state.checkpoints[TRANSCRIPTION].metadata["chunks_asked_again"] == 1
        turns = [line.split() for line in rendered(paid, "rttm").decode().splitlines()]
        assert sum(float(turn[4]) for turn in turns if 4 <= float(turn[3]) < 40) > 20


def test_what_a_microphone_hears_of_its_neighbour_is_not_paid_for_again(tmp_path: Path) -> None:
    import soundfile

    def hear(pcm: bytes) -> list[Spoken]:
        return speak(pcm) if np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() > 8000 else []

    with Paid(tmp_path, 44.0, hear=hear, chunk_s=[40, 60]) as paid:
        samples, rate = soundfile.read(paid.recording, dtype="float32")
        loud = 0.9 * samples / np.abs(samples).max()
        soundfile.write(paid.recording, np.stack([loud, np.roll(loud, 3 * rate) / 8], axis=1), rate)
        result = paid.run(paid.shop(), WORDS)
        assert result is not None
        assert result.outcome == "completed"
        assert result.state.checkpoints[TRANSCRIPTION].metadata["chunks"] == 2
        assert paid.openai.count(TRANSCRIBE) == 2


@pytest.mark.parametrize("passes", [True, False])
def test_a_failure_that_another_run_may_mend_is_no_gap(tmp_path: Path, *, passes: bool) -> None:
    recording, again = write_speech(tmp_path / "talk.wav", 8.0), str(passes).lower()
    extra = f'[[failures]]\noperation = "transcription"\ncalls = [2]\nretryable = {again}'
    script = write_script(tmp_path / "a.toml", words=[("one", 0.2, 0.6)], extra=extra, chunk_s="[2.0, 3.0]")
    named = Named(options=scripted(script, allow_gaps=True))
    result, _ = run_once(make_shop(tmp_path / "home"), recording, tmp_path, named)
    assert result is not None
    assert result.outcome == ("failed" if passes else "completed")

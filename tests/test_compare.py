"""`evt compare` without a terminal: what is compared, what it costs, what one failure does, what is shown."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from cli.batching.items import gather
from cli.comparing import Comparing, wanted_engines
from cli.errors import SettingsError
from cli.exit_codes import DECISION, FAILED, OK, REFUSED
from cli.progress import PlainReporter
from cli.reports.comparison import Side, difference_lines, report, sides_of, summary_table, taken_over_lines
from cli.reports.comparison_page import render_page
from pipeline.calls.ledger import Ledger
from pipeline.recordings import identify
from projections.limits import Limits
from projections.money import Money
from projections.options import Named
from tests.support.shop import make_shop, write_script, write_speech

WORDS = [("one", 0.2, 0.6), ("two", 1.5, 1.9), ("three", 3.2, 3.6), ("four", 4.4, 4.8), ("five", 6.1, 6.5)]
NAMES = {"transcriber": (), "model": (), "diarizer": ()}


class Bench:
    """A recording, scripts that transcribe it, and comparisons of them."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.recording = write_speech(folder / "talk.wav", 8.0)
        self.shop = make_shop(folder / "home", limits=Limits(**limits))

    def script(self, name: str, words: Any = WORDS, extra: str = "", **fields: Any) -> str:
        path = self.folder / f"{name}.toml"
        return f"script:{write_script(path, words=words, extra=extra, chunk_s='[2.0, 3.0]', **fields)}"

    def seated(self, *transcribers: str, diarizers: tuple[str, ...] = ("none",), **options: Any) -> Comparing:
        # As in a new invocation: what it spends is counted anew.
        self.shop = evolve(
            self.shop, ledger=Ledger(self.shop.ledger.limits, self.shop.ledger.rates, self.shop.clock_s)
        )
        items, _ = gather([str(self.recording)], self.shop.store, self.shop.home, self.folder)
        comparing = Comparing(self.shop, items[0], Named(), PlainReporter(quiet=True), debug=False)
        engines = wanted_engines({**NAMES, "transcriber": transcribers, "diarizer": diarizers})
        comparing.seat([Named(options={**options, **variant}) for variant in engines])
        return comparing

    def compare(self, *transcribers: str, **more: Any) -> tuple[list[int], list[Side]]:
        comparing = self.seated(*transcribers, **more)
        comparing.carry_out()
        return [outcome.code for outcome in comparing.outcomes], sides_of(self.shop, comparing.done())

    @property
    def recording_id(self) -> str:
        return identify(self.recording, self.shop.home.index).sha256[:16]

    def files(self) -> dict[str, bytes]:
        paths = [path for path in (self.folder / "home").rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in paths if path.name != "index.sqlite"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_transcriber_is_tried_with_every_diarizer() -> None:
    found = wanted_engines({**NAMES, "transcriber": ("a", "b:m"), "diarizer": ("x", "y")})
    assert found == [
        {"transcriber": "a", "diarizer": "x"},
        {"transcriber": "a", "diarizer": "y"},
        {"transcriber": "b", "model": "m", "diarizer": "x"},
        {"transcriber": "b", "model": "m", "diarizer": "y"},
    ]


def test_a_script_s_name_holds_no_model_and_several_models_need_one_transcriber() -> None:
    assert wanted_engines({**NAMES, "transcriber": ("script:a:b.toml",)}) == [{"transcriber": "script:a:b.toml"}]
    assert wanted_engines({**NAMES, "model": ("m", "n")}) == [{"model": "m"}, {"model": "n"}]
    assert wanted_engines(NAMES) == []
    with pytest.raises(SettingsError, match="NAME:MODEL"):
        wanted_engines({**NAMES, "transcriber": ("a", "b"), "model": ("m", "n")})


def test_a_plan_begins_nothing(bench: Bench) -> None:
    lines = list(bench.seated(bench.script("a"), bench.script("b")).plan_lines())
    assert bench.files() == {}
    assert [line for line in lines if line[0].isdecimal()] == [
        f"1: talk.wav ({bench.recording_id})",
        "2: talk.wav (a new variant)",
    ]


def test_two_engines_give_two_transcripts_and_the_same_again_changes_no_byte(bench: Bench) -> None:
    scripts = bench.script("a"), bench.script("b", words=WORDS[:3])
    codes, sides = bench.compare(*scripts)
    before = bench.files()
    again, same = bench.compare(*scripts)
    assert codes == again == [OK, OK]
    assert [len(side.aligned.words) for side in sides] == [5, 3]
    assert sides[1].pipeline == f"{sides[0].pipeline}.2"
    assert sides[1].taken_over == dict.fromkeys(("audio_conversion", "diarization"), sides[0].pipeline)
    assert bench.files() == before
    assert render_page("talk.wav", same) == render_page("talk.wav", sides)


def test_one_engine_is_compared_with_the_transcript_that_is_there_and_none_with_all(bench: Bench) -> None:
    one, two, three = (
        bench.script(name, words=WORDS[:length]) for name, length in zip("abc", (5, 4, 3), strict=True)
    )
    bench.compare(one, two)
    _, sides = bench.compare(three)
    assert [len(side.aligned.words) for side in sides] == [5, 3]
    _, sides = bench.compare(diarizers=())
    assert [len(side.aligned.words) for side in sides] == [5, 4, 3]


def test_what_is_one_and_the_same_is_nothing_to_compare(bench: Bench) -> None:
    script = bench.script("a")
    with pytest.raises(SettingsError, match="nothing to compare"):
        bench.seated(script)
    with pytest.raises(SettingsError, match="nothing to compare"):
        bench.seated(script, script)
    bench.compare(script, bench.script("b"))
    with pytest.raises(SettingsError, match="nothing to compare"):
        bench.seated(script)


def test_a_failure_of_one_stops_no_other(bench: Bench) -> None:
    failing = bench.script("bad", extra='[[failures]]\noperation = "transcription"')
    codes, sides = bench.compare(failing, "nobody", bench.script("a"))
    assert codes == [FAILED, REFUSED, OK]
    assert [side.engines["transcription"] for side in sides] == ["script:a"]
    assert len(bench.shop.store.pipelines()) == 2  # of an engine that isn't there nothing is begun


def test_a_variant_that_failed_is_gone_on_with(bench: Bench) -> None:
    once = bench.script("once", extra='[[failures]]\noperation = "transcription"\nattempts = [1]')
    assert bench.compare(bench.script("a"), once)[0] == [OK, FAILED]
    codes, sides = bench.compare(bench.script("a"), once)
    assert codes == [OK, OK]
    assert sides[1].pipeline == f"{sides[0].pipeline}.2"


# Money

PAID = {"billable": "true", "price_per_min": 0.6}


def test_what_two_variants_share_is_paid_once_and_planned_once(bench: Bench) -> None:
    paid = bench.script("paid", **PAID)
    wanted = {"diarizers": ("none", "builtin")}
    lines = list(bench.seated(paid, **wanted).plan_lines())
    assert sum("expected 0.08 USD" in line for line in lines if "transcription" in line) == 2
    assert any("paid once" in line for line in lines)
    assert lines[-1].startswith("All together: expected 0.08 USD")
    codes, sides = bench.compare(paid, **wanted)
    assert codes == [OK, OK]
    assert [bool(side.cost) for side in sides] == [True, False]
    assert list(taken_over_lines(sides)) == [f"2 took over transcription from {sides[0].pipeline}."]


def test_a_limit_holds_for_all_variants_together(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_batch_cost=Money(Decimal("0.12"), "USD"))
    codes, sides = bench.compare(bench.script("a", **PAID), bench.script("b", **PAID))
    assert codes == [OK, DECISION]
    assert len(sides) == 1


# What is shown


def test_the_table_and_the_report_say_what_each_variant_is_and_how_far_apart(bench: Bench) -> None:
    other = [("won", 0.2, 0.6), *WORDS[1:]]
    comparing = bench.seated(bench.script("a"), bench.script("b", words=other))
    comparing.carry_out()
    sides = sides_of(bench.shop, comparing.done())
    assert re.search(
        r"script:b +1 +5 +[\d.]+ s +- +100.0 % +0 +0 +20.0 % +100.0 % +1$", summary_table(sides), re.MULTILINE
    )
    assert list(difference_lines(sides, None)) == ["2 differs from 1 in 1 place:", "  00:00:00  one → won"]
    found = report(sides, comparing.outcomes, None)["variants"][1]
    assert found["agreement"]["words_apart"] == 0.2
    assert found["agreement"]["differences"][0]["here"] == "won"
    assert found["outcome"] == "completed"

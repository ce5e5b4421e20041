"""Hostile bytes, most of them with right sums: a verdict and a documented exit code, whatever they are."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.batching.items import gather
from cli.lookup import find_known
from eventlog.reader import Head, Tail, scan
from eventlog.record import DEPTH_MAX, BadLineError, decode
from eventlog.store import Store
from pipeline.home import Home
from pipeline.recordings import Recording, pipeline_id_of
from proofs import hostile
from proofs.corpus import PIPELINE
from proofs.hostile_commands import COMMANDS, HARMLESS, commands_in_a_process
from proofs.hostile_logs import VALUES, chained, harmless, logs, starts, with_sum
from proofs.hostile_verdict import require_verdict
from tests.support.cli import Evt
from tests.support.logs import line_of, objects


def log_of(*data: bytes, type_: str = "test.happened", pipeline: str = PIPELINE) -> bytes:
    """Return a log of events with these data, sums and chain right."""
    return b"".join(chained(starts(pipeline, [(type_, one) for one in data])))


FIRST = log_of(b'{"a":1}')
short_values = sorted(b'{"a":%b}' % value for value in VALUES.values() if len(value) < 5000)
hostile_data = (
    st.binary(max_size=60).map(lambda some: b'{"a":%b}' % some)
    | st.sampled_from(short_values)
    | objects.map(lambda some: line_of(data=some).partition(b'"data":')[2].rpartition(b',"dur"')[0])
)
hostile_lines = st.binary(max_size=200) | st.just(FIRST.rpartition(b',"dur"')[0])
parts = (
    st.binary(max_size=300)
    | st.lists(hostile_lines, max_size=4).map(lambda some: b"".join(chained(some)))
    | st.lists(hostile_data, max_size=4).map(lambda some: log_of(*some))
    | st.sampled_from([FIRST, FIRST[:-1], b"\n", b"\0" * 700, b"x" * 140_000, with_sum(b'{"v":2,"a":1')])
)
heads = st.none() | st.builds(Head, st.integers(1, 4), st.binary(min_size=32, max_size=32).map(bytes.hex))


@given(st.lists(parts, max_size=4).map(b"".join), st.lists(st.integers(0, 300_000), max_size=5), heads)
def test_any_bytes_in_any_pieces_give_one_verdict_and_no_exception(
    content: bytes, cuts: list[int], kept: Head | None
) -> None:
    require_verdict(content, [cut % (len(content) + 1) for cut in cuts], kept)


def test_every_hostile_log_gives_one_verdict_however_it_is_cut() -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    found = set()
    for name, content in logs(PIPELINE):
        cuts = [*(rng.randint(0, len(content)) for _ in range(4)), *range(0, len(content), 50_000)]
        found.add(require_verdict(content, cuts, what=f"{name} (seed {seed})").tail)
    assert found == {Tail.CLEAN, Tail.CORRUPT, Tail.TORN, Tail.NEWER}


@pytest.mark.slow
@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.heavy)])
def test_reading_commands_answer_any_hostile_log_with_a_documented_code_in_bounded_time_and_memory(
    step: int,
) -> None:
    counts = commands_in_a_process(random.randrange(step), step).counts
    assert {name.split()[1] for name in counts} == {words.split()[0] for words in COMMANDS}
    assert counts["evt show on hostile logs: exit code 4"] * step > 100


@pytest.mark.slow
@pytest.mark.parametrize("content", [log_of(b'{"a":1}', b"[1]"), b"\xff" * 9000 + b"\n"], ids=["bad data", "noise"])
def test_the_command_line_itself_says_where_a_hostile_log_is_damaged(evt: Evt, content: bytes) -> None:
    log = Path(Store(str(evt.home / "logs")).path(PIPELINE))
    log.parent.mkdir(parents=True)
    log.write_bytes(content)
    seq, offset = (2, len(log_of(b'{"a":1}'))) if content.startswith(b"{") else (1, 0)
    for command in ("replay", "plan"):
        assert f"record {seq} (byte {offset})" in evt(command, PIPELINE, code=4).stderr
    assert f"record {seq} at byte {offset}" in evt("validate", code=4).stdout
    assert log.read_bytes() == content


def test_data_of_more_levels_than_a_writer_takes_are_no_record() -> None:
    """Whoever shows or checks a record recurses; 1,000 levels made `validate` and `tail` fail."""
    for levels, is_record in ((DEPTH_MAX, True), (DEPTH_MAX + 1, False), (900, False)):
        inner = b"[" * (levels - 1) + b"]" * (levels - 1)
        start = next(starts(PIPELINE, [("test.happened", b'{"a":%b}' % inner)]))
        flat = next(starts(PIPELINE, [("test.happened", b"{}")]))
        for line in chained([start]) + chained([flat + b',"more":[' + inner + b"]"]):
            if is_record:
                decode(line)
            else:
                with pytest.raises(BadLineError, match="levels"):
                    decode(line)
    wide = b'{"a":[' + b",".join([b"{}"] * 100) + b"]}"
    assert scan([log_of(wide)], PIPELINE)[1].tail is Tail.CLEAN


def home_of(folder: Path, **contents: bytes) -> tuple[Store, Home]:
    home = Home(folder / "home")
    store = Store(str(home.logs))
    for pipeline, content in contents.items():
        log = Path(store.path(pipeline))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(content)
    return store, home


@pytest.mark.parametrize(
    "value", ["null", "7", "[]", '"x"', '{"name":{"bytes_hex":"xyz"}}', '{"name":{"bytes_hex":7}}']
)
def test_a_log_whose_recording_makes_no_sense_hides_no_other_one(tmp_path: Path, value: str) -> None:
    odd = log_of(b'{"input":%b}' % value.encode(), type_="pipeline.created")
    store, home = home_of(tmp_path, **{PIPELINE: odd, HARMLESS: harmless(HARMLESS)})
    assert find_known("talk.wav", store, home) == HARMLESS
    assert gather([HARMLESS, PIPELINE], store, home, tmp_path)[1] == []
    # Its id is taken; the recording whose digest begins like that gets a longer one.
    assert pipeline_id_of(Recording(tmp_path, PIPELINE + "b" * 48, 1, ()), store) == PIPELINE + "bbbb"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\0/passwd"])
def test_a_log_can_not_name_a_recording_outside_of_the_folder_of_transcripts(tmp_path: Path, name: str) -> None:
    def created(pipeline: str) -> bytes:
        data: dict[str, Any] = {"input": {"name": name, "size_bytes": 1, "sha256": "0" * 64}, "evt_version": "1"}
        return log_of(json.dumps(data).encode(), type_="pipeline.created", pipeline=pipeline)

    store, home = home_of(tmp_path, a=created("a"), b=created("b"))
    items, refusals = gather(["a", "b"], store, home, tmp_path / "out")
    assert refusals == []
    # Of two recordings of one name the whole name becomes part of the path.
    stems = {item.target.stem for item in items}
    assert stems == {"passwd.a", "passwd.b"}


@pytest.mark.slow
def test_the_fuzz_begins_with_seeds_of_every_kind() -> None:
    with tempfile.TemporaryDirectory() as folder:
        hostile._plant(Path(folder))
        seeds = [path.read_bytes() for path in Path(folder, "seeds").iterdir()]
        assert {seed[:1] for seed in seeds} == {hostile.LOG, hostile.LINES, hostile.DATA}

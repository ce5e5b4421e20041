"""docs/format.md and docs/eventlog.md say what the code does: their examples are run."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from backports.zstd import get_frame_info

from eventlog import record
from eventlog.packing import pack
from eventlog.reader import Head, Tail, scan
from tests.test_log_reader import ROWS

DICTIONARIES = Path(record.__file__).parent / "dictionaries"
DOCS = Path(__file__).parent.parent / "docs"
FORMAT = (DOCS / "format.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


EXAMPLE = blocks(FORMAT, "jsonl")[0].encode()


def test_the_example_of_the_format_is_a_log_and_its_head():
    records, verdict = scan([EXAMPLE], "4f2a9c1b7d3e0a11")
    assert verdict.tail is Tail.CLEAN
    assert [(r.seq, r.type, r.dur) for r in records] == [
        (1, "log.created", 0),
        (2, "order.placed", 1),
        (3, "order.noted", 1),
        (4, "log.sealed", 3),
    ]
    assert records[2].data == {"text": "left\u2028right \x9b"}
    assert verdict.head == Head.from_bytes(blocks(FORMAT, "json")[0].encode())


def test_the_example_is_what_encoding_its_records_gives():
    for line in EXAMPLE.splitlines(keepends=True):
        r = record.decode(line)
        fields = {
            name: getattr(r, name) for name in ("seq", "time", "type", "pipeline", "run", "data", "dur", "prev")
        }
        assert record.encode(**fields) == line


def test_the_limits_of_the_format_are_those_of_the_code():
    for number in (record.DATA_BYTES_MAX, record.LINE_BYTES_MAX, record.DEPTH_MAX):
        assert f" {number:,}" in FORMAT


def test_every_row_of_the_decision_table_is_tested():
    table = FORMAT.split("## How a log ends")[1].split("## What is promised")[0]
    rows = re.findall(r"^\| ([a-z ]+) \| .* \| ([A-Z]+) \|$", table, re.MULTILINE)
    tested = {(row[0], row[3].name) for row in ROWS if row[0] != "replaced"}
    assert set(rows) == tested


UNARCHIVE = next(block for block in blocks(FORMAT, "sh") if "unarchive.sh" in block)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@pytest.mark.parametrize("damage", [False, True])
def test_the_shell_gets_a_log_out_of_its_archive(tmp_path, damage):
    archive = tmp_path / "log.jsonl.zst"
    log = EXAMPLE
    archive.write_bytes(pack(log, Head.from_bytes(blocks(FORMAT, "json")[0].encode())))
    dictionary = DICTIONARIES / f"{get_frame_info(archive.read_bytes()).dictionary_id}.zdict"
    if damage:
        archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    script = tmp_path / "unarchive.sh"
    script.write_text(UNARCHIVE)
    done = subprocess.run(["sh", script, archive, dictionary], capture_output=True, check=False)
    assert (done.stdout == log) or damage
    assert bool(done.stderr) == damage


@pytest.fixture
def check(tmp_path):
    (tmp_path / "check.sh").write_text(blocks(FORMAT, "sh")[0])

    def run(content: bytes) -> tuple[int, str]:
        (tmp_path / "log").write_bytes(content)
        done = subprocess.run(["sh", "check.sh", "log"], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


def test_the_shell_loop_accepts_the_example_and_prints_its_head(check):
    assert check(EXAMPLE) == (
        0,
        f"4 records, the last one has {hashlib.sha256(EXAMPLE.splitlines(True)[-1]).hexdigest()}\n",
    )


@pytest.mark.parametrize("place", [0, 9, 300, 700, 1000, len(EXAMPLE) - 1])
@pytest.mark.parametrize("byte", [b"", b"x", b"\0", b"7\0"])
def test_the_shell_loop_refuses_a_changed_byte(check, place, byte):
    changed = EXAMPLE[:place] + byte + EXAMPLE[place + 1 :]
    code, said = check(changed)
    assert code == 1
    assert re.search("changed|NUL|not whole", said)


def test_sed_and_sha256sum_give_the_prev_of_the_next_line(tmp_path):
    (tmp_path / "log").write_bytes(EXAMPLE)
    shell = subprocess.check_output(["sh", "-c", "sed -n 2p log | sha256sum"], cwd=tmp_path, text=True)
    assert shell.split()[0] == record.decode(EXAMPLE.splitlines(True)[2]).prev


def test_the_library_examples_run_and_print_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "eventlog.md").read_text()
    first, second = blocks(text, "python")
    assert len([line for line in first.splitlines() if line]) <= 11
    names: dict[str, object] = {}
    exec(first, names)
    said, expected = capsys.readouterr().out.splitlines(), blocks(text, "text")[0].splitlines()
    assert said[1:] == expected[1:]
    assert said[0].startswith("1 log.created {'format': 1,")
    exec(second, names)
    assert capsys.readouterr().out == "order-17 3 order.paid\n"

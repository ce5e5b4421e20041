"""I10: whatever the bytes, a reader gives a verdict, a command a documented exit code, in bounded time and memory.

`python -m proofs.hostile --seconds N --seed S`: the logs of proofs/hostile_logs.py and a gigabyte without a line's
end, through the reader and the commands that read; then N seconds of coverage-guided fuzzing, if atheris is there.
"""

from __future__ import annotations

import importlib.util
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from proofs.corpus import PIPELINE, memory_folder
from proofs.hostile_fuzz import DATA, LINES, LOG
from proofs.hostile_logs import VALUES, harmless, logs
from proofs.hostile_verdict import require_verdict
from proofs.report import BrokenPromiseError, Tally, command

SEED_BYTES_MAX = 8000
ROOT = Path(__file__).resolve().parents[1]


def prove(*, seconds: int, seed: int) -> Tally:
    """Read hostile logs in every way, then fuzz the reader for so many seconds."""
    from proofs.hostile_commands import commands_in_a_process

    tally = Tally()
    rng = random.Random(seed)
    for name, content in logs(PIPELINE):
        cuts = [*(rng.randint(0, len(content)) for _ in range(5)), *range(0, len(content), 50_000)]
        verdict = require_verdict(content, cuts, what=name)
        tally.add(f"hostile logs that read as {verdict.tail.value}")
    tally.counts += commands_in_a_process().counts
    if importlib.util.find_spec("atheris") is None:
        tally.skipped.append("the fuzz, as atheris is not there; `pip install -e '.[fuzz]'` brings it")
    else:
        tally.add("inputs of the fuzz", fuzz(seconds, seed))
    return tally


def fuzz(seconds: int, seed: int) -> int:
    """Let atheris look for bytes that break `require_verdict`, in a process of its own; return how many it tried.

    Raises:
        BrokenPromiseError: it found some; the message names the file that holds them.
    """
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        _plant(Path(folder))
        options = [f"-max_total_time={seconds}", f"-seed={seed or 1}", f"-dict={folder}/words", "-timeout=10"]
        options += [
            f"-max_len={SEED_BYTES_MAX}",
            f"-artifact_prefix={tempfile.gettempdir()}/",
            "-print_final_stats=1",
        ]
        program = [sys.executable, "-m", "proofs.hostile_fuzz", *options, f"{folder}/seeds"]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise BrokenPromiseError(f"I10, the fuzz found something:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return int(re.findall(r"number_of_executed_units: *(\d+)", done.stderr)[-1])


def _plant(folder: Path) -> None:
    """Give the fuzzer what to begin with: hostile logs, the beginnings of true lines, data, and words to put in."""
    lines = harmless(PIPELINE).splitlines()
    whole = [content for _, content in logs(PIPELINE) if len(content) < SEED_BYTES_MAX]
    beginnings = [line.rpartition(b',"dur":')[0] for line in lines]
    data = [b'{"a":%b}' % value for value in VALUES.values() if len(value) < SEED_BYTES_MAX]
    data += [start.partition(b',"data":')[2] for start in beginnings]
    seeds = [LOG + content for content in whole] + [DATA + one for one in data]
    seeds += [DATA + b"\n".join(data[:8]), DATA + b"\n".join(data[-8:])]
    seeds += [LINES + b"\n".join(beginnings[:n]) for n in (1, 2, 4)]
    (folder / "seeds").mkdir()
    for number, seed in enumerate(seeds):
        (folder / "seeds" / str(number)).write_bytes(seed)
    words = [
        *beginnings[0].split(b","),
        *(value for value in VALUES.values() if len(value) < 100),
        b',"a":1',
        b'"":',
    ]
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in escaped))


if __name__ == "__main__":
    command("hostile", prove, {"seconds": 60})

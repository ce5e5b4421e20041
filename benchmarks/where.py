"""Where the time of a real `evt run` goes: every millisecond each thread is looked at, and its part of evt counted.

    python -m benchmarks.where [--minutes 60] [--files 50]

Two runs with scripted engines: one long recording, and many of eleven seconds. The moments at which several
threads work are shared among them; those at which all wait for each other are waiting. Parts that aren't the user's
own work and take more than a tenth are marked, with the functions in which they spend most.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
Found = dict[str, Counter[str]]
"""Seconds by part, and in it by function."""
EVERY_S = 0.001
TENTH = 0.1
HELPERS = ("<frozen importlib", "<frozen zipimport")
FILES = {"pipeline/artifacts.py", "pipeline/delivery.py"}
SYNCS = {"sync_fd", "sync_path", "sync", "sync_dir"}
WAITS = ("threading.py", "queue.py", "selectors.py", "concurrent/futures/thread.py", "concurrent/futures/_base.py")
PARTS = (
    ("pipeline/audio/silence.py", "cutting into chunks"),
    ("pipeline/audio/voice_activity.py", "cutting into chunks"),
    ("pipeline/audio/parts.py", "cutting into chunks"),
    ("pipeline/audio/", "conversion"),
    ("pipeline/stages/audio_conversion.py", "conversion"),
    ("pipeline/stages/probe.py", "conversion"),
    ("pipeline/providers/", "engines"),
    ("pipeline/transcribing/hearing.py", "cutting into chunks"),
    ("pipeline/transcribing/pieces.py", "cutting into chunks"),
    ("pipeline/stages/", "merge, export"),
    ("pipeline/speech/", "merge, export"),
    ("pipeline/formats/", "merge, export"),
    ("pipeline/recordings.py", "digest of the recording"),
    ("pipeline/artifacts.py", "files, but syncs"),
    ("pipeline/delivery.py", "files, but syncs"),
    ("eventlog/", "log, but syncs"),
    ("projections/", "plan and fold"),
    ("pipeline/look.py", "plan and fold"),
    ("pipeline/", "runs and calls"),
    ("cli/", "command line"),
)
"""The part that a file belongs to: the first row that its path begins with."""
USERS_OWN = {"conversion", "cutting into chunks", "engines", "merge, export", "digest of the recording"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="length of the long recording")
    parser.add_argument("--files", type=int, default=50, help="how many short ones")
    named = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for title, recordings, script in scenes(Path(scratch), named.minutes, named.files):
            print_shares(title, looked_at(recordings, script))


def scenes(folder: Path, minutes: int, files: int) -> Iterator[tuple[str, list[Path], Path]]:
    """Yield both runs: what to call it, its recordings, and the script of its engines."""
    from benchmarks.runs import write_repeated, write_script
    from benchmarks.truth import Said
    from pipeline.speech.values import Turn

    sample = ROOT / "samples" / "jfk.wav"
    for title, count, times in (
        (f"one recording of {minutes} minutes", 1, round(minutes * 60 / 11)),
        (f"{files} recordings of eleven seconds", files, 1),
    ):
        own = folder / title.replace(" ", "-")
        own.mkdir()
        recordings = [own / f"{number}.wav" for number in range(count)]
        for number, path in enumerate(recordings):
            write_repeated(path, sample, times)
            with path.open("ab") as file:
                file.write(bytes([number % 256, number // 256]))
        words = [Said("word", at / 2, at / 2 + 0.4, "S1") for at in range(times * 22)]
        turns = [Turn(at, at + 5.0, f"S{at // 5 % 3}") for at in range(0, times * 11, 5)]
        yield title, recordings, write_script(own / "script.toml", words, turns, "chunk_s = [60.0, 120.0]")


def looked_at(recordings: list[Path], script: Path) -> dict[str, dict[str, float]]:
    """Run `evt run` in a process that looks at itself; returns the seconds of each part, by function."""
    folder = script.parent
    shares = folder / "shares.json"
    engines = ["--diarizer", f"script:{script}", "--transcriber", f"script:{script}", "--allow-gaps"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EVT_", "OPENAI_"))}
    program = "import sys, benchmarks.where as where; where.child()"
    begun_s = time.time()
    subprocess.run(
        [sys.executable, "-c", program, "-q", "run", *map(str, recordings), "-o", str(folder / "out"), *engines],
        env={
            **environment,
            "PYTHONPATH": str(ROOT),
            "EVT_HOME": str(folder / "home"),
            "WHERE": f"{begun_s} {shares}",
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return json.loads(shares.read_text())


def child() -> None:
    """Look at this process while it is evt, and write what was seen when it ends."""
    begun_s, shares = os.environ.pop("WHERE").split(" ", 1)
    found: Found = defaultdict(Counter)
    found["start of Python"][""] = time.time() - float(begun_s)
    over = threading.Event()
    # Otherwise Python code runs five milliseconds before it lets itself be looked at.
    sys.setswitchinterval(EVERY_S / 2)
    looking = threading.Thread(target=look, args=(found, over), daemon=True)
    looking.start()

    def end() -> None:
        over.set()
        looking.join()
        Path(shares).write_text(json.dumps(found))

    atexit.register(end)
    from cli.main import main

    main()


def look(found: Found, over: threading.Event) -> None:
    """Add the time since the last look to the parts at which the threads are now."""
    me, last_s = threading.get_ident(), time.perf_counter()
    while not over.wait(EVERY_S):
        now_s = time.perf_counter()
        parts = [part(frame) for thread, frame in sys._current_frames().items() if thread != me]
        busy = [each for each in parts if each is not None] or [("waiting", "")]
        for name, place in busy:
            found[name][place] += (now_s - last_s) / len(busy)
        last_s = now_s


def part(frame: FrameType | None) -> tuple[str, str] | None:
    """Return the part of evt that a thread is in, and the function; None while it waits for another thread."""
    inner = frame.f_code.co_filename if frame else ""
    ours: list[tuple[str, str]] = []
    is_import = is_sync = False
    while frame is not None:
        name, function = frame.f_code.co_filename, frame.f_code.co_name
        is_import = is_import or name.startswith(HELPERS)
        is_sync = is_sync or (function in SYNCS and name.endswith("eventlog/storage.py"))
        if name.startswith(str(ROOT)) and "/benchmarks/" not in name and ".venv" not in name:
            ours.append((name[len(str(ROOT)) + 1 :], function))
        frame = frame.f_back
    place = next((":".join(each) for each in ours if each[1] not in SYNCS), "")
    if is_import:
        return "imports", place
    if is_sync:
        return "log syncs" if all(path not in FILES for path, _ in ours) else "file syncs", place
    if inner.endswith(WAITS):
        return None
    return next((part for path, part in PARTS if place.startswith(path)), "other"), place


def print_shares(title: str, found: dict[str, dict[str, float]]) -> None:
    """Print the parts, the largest first."""
    totals = {name: sum(places.values()) for name, places in found.items()}
    whole_s = sum(totals.values())
    print(f"{title}: {whole_s:.2f} s")
    for name, seconds in sorted(totals.items(), key=lambda item: -item[1]):
        is_much = seconds > TENTH * whole_s and name not in USERS_OWN
        print(f"  {seconds / whole_s:6.1%}  {seconds:7.2f} s  {name}{'  more than a tenth' if is_much else ''}")
        for place, spent_s in Counter(found[name]).most_common(5) if is_much else ():
            print(f"         {spent_s:7.2f} s    {place}")


if __name__ == "__main__":
    main()

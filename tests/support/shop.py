"""A workshop for tests: the real store, disk, stages and script engine, one thread, and a disk that can die."""

from __future__ import annotations

import itertools
import threading
import time
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eventlog.storage import LogFile, PosixStorage
from eventlog.store import Store
from pipeline import runner
from pipeline.artifacts import Artifacts
from pipeline.calls.ledger import Ledger
from pipeline.calls.pacing import Pace
from pipeline.delivery import Delivery, Target, deliver, delivered_to
from pipeline.home import Home
from pipeline.look import look
from pipeline.providers.registry import Providers
from pipeline.providers.services import load_services
from pipeline.recordings import identify, pipeline_id_of
from pipeline.workshop import Identity, Workshop
from projections.limits import NO_LIMITS
from projections.options import Named
from projections.plan import StagePlan
from projections.state import Attempt

_RUNS = itertools.count(1)


class Crash(BaseException):
    """The process dies here; nothing of ours may catch it."""


class DyingStorage(PosixStorage):
    """A disk whose log dies at the n-th append: before it, in the middle of it, or right after it."""

    def __init__(self, at: int | None = None, mode: str = "before") -> None:
        self.left = at
        self.mode = mode

    def open_log(self, path: str, *, create: bool) -> LogFile:
        file = super().open_log(path, create=create)
        append = file.append

        def dying(data: bytes) -> int:
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    if self.mode != "before":
                        append(data if self.mode == "after" else data[: len(data) // 2])
                    raise Crash
            return append(data)

        file.append = dying  # type: ignore[method-assign] # the wrapped file is this one's own
        return file


class Quiet:
    """A reporter that remembers which stages began."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        self.started.append(step.stage)

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        pass

    def stage_doing(self, stage: str, text: str) -> None:
        pass

    def stage_note(self, stage: str, text: str) -> None:
        pass

    def stage_ended(self, attempt: Attempt) -> None:
        pass


def make_shop(root: Path, storage: PosixStorage | None = None, **changes: Any) -> Workshop:
    limits = changes.pop("limits", NO_LIMITS)
    home = Home(root)
    return Workshop(
        home=home,
        store=Store(str(root / "logs"), storage=storage or PosixStorage()),
        providers=Providers({}),
        identity=Identity("anna", 1, "host", "boot", {"evt": "0.1.0"}),
        clock_s=time.monotonic,
        new_run_id=lambda: f"run{next(_RUNS):06d}",
        stop=threading.Event(),
        ledger=Ledger(limits, load_services().rates, time.monotonic),
        pace=Pace(home.pace, time.time),
        side_by_side=False,
        **changes,
    )


def run_once(
    shop: Workshop, recording: Path, output_dir: Path, named: Named | None = None
) -> tuple[runner.RunResult | None, list[Delivery]]:
    """Do what `evt run` does with one file; None: there was nothing to do."""
    named = named or Named()
    found = identify(recording, shop.home.index)
    target = Target(output_dir, recording.stem)
    pipeline = pipeline_id_of(found, shop.store)
    seen = look(shop, pipeline, found, named, delivered_to(target))
    plan, state, result = seen.plan, seen.state, None
    if not seen.is_settled:
        result = runner.run(shop, seen, found, named, delivered_to(target), Quiet())
        plan, state = result.plan, result.state
    formats = seen.options["formats"].value
    artifacts = Artifacts(shop.home.artifacts(pipeline))
    return result, deliver(target, plan, state, artifacts, formats) if plan.is_done else []


def write_script(path: Path, *, words: Sequence[tuple[str, float, float]], extra: str = "", **fields: Any) -> Path:
    """Write a script of one speaker who says these words."""
    spoken = ", ".join(f'["{text}", {start}, {end}]' for text, start, end in words)
    lines = [f"{name} = {value}" for name, value in {"concurrency": 1, **fields}.items()]
    turns = 'turns = [[0.0, 3.0, "SPEAKER_00"], [3.0, 9.0, "SPEAKER_01"]]'
    path.write_text("\n".join([*lines, turns, f"words = [{spoken}]", extra]))
    return path


def scripted(path: Path, **more: Any) -> Mapping[str, Any]:
    return {"diarizer": f"script:{path}", "transcriber": f"script:{path}", **more}


def write_speech(path: Path, seconds: float, seed: int = 0) -> Path:
    """Write something that sounds enough like speech: the shipped sample, over and over, with a mark of its own."""
    with wave.open(str(Path(__file__).parents[2] / "samples" / "jfk.wav")) as sample:
        speech = np.frombuffer(sample.readframes(sample.getnframes()), "<i2")
    samples = np.resize(speech, int(seconds * 16000)).copy()
    samples[:8] = seed
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())
    return path

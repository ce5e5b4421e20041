"""An import that is killed at every change of the disk, one after the other, and what the next one makes of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.bundles.bundling import Bundling
from pipeline.bundles.form import Limits
from pipeline.bundles.importing import Importing
from pipeline.home import Home
from pipeline.recorder import Recorder
from projections.events import ArtifactRef, PipelineCreated, RunFinished, RunStarted, SpeakersNamed
from tests.support.dying import is_killed
from tests.support.proofs import rarely

PIPELINE = "0123456789abcdef"


def make(root: Path, contents: list[bytes], *, finished: bool = False) -> None:
    """Let a pipeline grow: an annotation of each content, and perhaps an end."""
    home = Home(root)
    store, artifacts = Store(str(home.logs)), Artifacts(home.artifacts(PIPELINE))
    log = store.open_writer(PIPELINE, run="run1", create=True)
    recorder = Recorder(store, log, "run1")
    artifacts.ensure_salt()
    if not recorder.state.input:
        recorder.record(PipelineCreated({"name": "talk.wav", "size_bytes": 1, "sha256": PIPELINE * 4}, "0"))
    for content in contents:
        number = len(recorder.state.annotations) + 1
        ref: ArtifactRef = artifacts.attempt("annotation", number).put_bytes("names.json", content)
        artifacts.attempt("annotation", number).close()
        recorder.record(SpeakersNamed(ref, "anna"))
    if finished:
        recorder.record(RunStarted("anna", 1, "host", "boot", {}, {}, {}, {}), RunFinished("completed", 1.0))
    recorder.finish()
    log.writer.close()


def bundle(root: Path, name: str, *, copy: bool = False) -> Path:
    home = Home(root)
    made = Bundling(home, Store(str(home.logs)), "anna", "0", lambda: "run2")
    made.bundle([PIPELINE], root.parent / name, copy=copy)
    return root.parent / name


def importing(root: Path) -> Importing:
    root.mkdir(exist_ok=True)
    return Importing(Home(root), Store(str(Home(root).logs)), "anna", lambda: "run3")


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def killed(step: int, root: Path, file: Path) -> bool:
    """Import in a fork that dies at its n-th change of the disk; False: it did not come so far."""
    return is_killed(step, lambda: importing(root).import_(file, Limits(), time.monotonic))


@pytest.mark.parametrize("before", ["a beginning", *rarely("nothing", "files without a log")])
@pytest.mark.parametrize("kind", ["handed over", *rarely("copy")])
def test_an_import_that_is_killed_anywhere_is_finished_or_undone(tmp_path: Path, before: str, kind: str) -> None:
    """Whatever lies there after that is whole, and the next import gives what an undisturbed one does."""
    source = tmp_path / "source"
    make(source, [b"one"])
    old = bundle(source, "old", copy=True)
    make(source, [b"two", b"three"])
    file = bundle(source, "new", copy=kind == "copy")
    start = tmp_path / "start"
    importing(start)
    if before != "nothing":
        importing(start).import_(old, Limits(), time.monotonic)
    if before == "files without a log":
        shutil.rmtree(start / "logs")
    first = content(start)
    for step in range(1, 200):
        home = tmp_path / f"home{step}"
        shutil.copytree(start, home)
        was_killed = killed(step, home, file)
        importing(home).settle()
        assert not (home / "importing").exists()
        found = content(home)
        is_undone = found == first
        log = home / "logs" / "01" / f"{PIPELINE}.jsonl"
        assert is_undone or content(source).items() <= {**found, **_as_in(source, found)}.items()
        importing(home).import_(file, Limits(), time.monotonic)
        assert log.read_bytes().startswith((source / "logs" / "01" / f"{PIPELINE}.jsonl").read_bytes())
        state = importing(home)._state(PIPELINE)
        assert state.handed_over is None
        assert all(Artifacts(Home(home).artifacts(PIPELINE)).is_whole(ref) for ref in state.artifacts)
        assert Store(str(home / "logs")).is_copy(PIPELINE) is (kind == "copy")
        shutil.rmtree(home)
        if not was_killed:
            assert step > 20
            return
    raise AssertionError("it was killed each time")


def _as_in(source: Path, found: dict[str, bytes]) -> dict[str, bytes]:
    """Return the log and head of the source, if the log that was found goes on from there: it was received."""
    name = f"logs/01/{PIPELINE}"
    log = (source / f"{name}.jsonl").read_bytes()
    whole = found.get(f"{name}.jsonl", b"").startswith(log)
    return {f"{name}.jsonl": log, f"{name}.head": (source / f"{name}.head").read_bytes()} if whole else {}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(contents=st.lists(st.binary(max_size=3000), max_size=5))
def test_what_was_bundled_comes_into_an_empty_home_byte_for_byte(tmp_path: Path, contents: list[bytes]) -> None:
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    make(root / "source", contents, finished=True)
    before = content(root / "source")
    file = bundle(root / "source", "b", copy=True)
    importing(root / "other").import_(file, Limits(), time.monotonic)
    found = content(root / "other")
    assert {name: found[name] for name in before} == before
    assert set(found) - set(before) <= {f"logs/01/{PIPELINE}.copy"}

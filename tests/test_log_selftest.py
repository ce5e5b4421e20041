"""The self-test would notice: each broken promise is found by its test, on real files and in real processes."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from eventlog.errors import LogStorageError
from eventlog.filesystem import FileSystem
from eventlog.selftest import chain, disk, flips, kill, limit, lock
from eventlog.selftest.bench import Bench, BrokenPromiseError, Machine, Tally
from eventlog.selftest.suite import FAILED, OK, SKIPPED, TRIALS, Trial, require_usable, selftest
from eventlog.store import Store
from tests.support import broken_logs as broken

pytestmark = pytest.mark.slow


def tried(prove: Any, folder: Path, open_store: Any = Store, *, seconds: float = 0.0, **parts: Any) -> Tally:
    """Carry out one test; without time it does everything once."""
    tally = Tally(until_s=time.monotonic() + seconds)
    prove(Bench(str(folder), random.randrange(2**32), open_store, **parts), tally)
    return tally


def rough(**changed: Any) -> Machine:
    """Return a machine that lacks something."""
    return evolve(Machine.here(), **changed)


@pytest.mark.parametrize(
    ("prove", "open_store", "words"),
    [
        (kill.prove, broken.BufferingStore, "is gone after a kill"),
        (kill.prove, broken.LateStore, "is gone after a kill"),
        (kill.prove, broken.ForgetfulStore, "acknowledged|Damaged after a kill"),
        (kill.prove, broken.SparingStore, "other records than there are in the file"),
        (kill.prove, broken.GarblingStore, "does not hold what was submitted"),
        (kill.prove, broken.TwiceStore, "were submitted|not hold what was submitted"),
        (kill.prove, broken.SpoilingStore, "acknowledged|Damaged after a kill"),
        (kill.prove, broken.RewritingStore, "acknowledged|Damaged after a kill"),
        (lock.prove, broken.OpenDoorStore, "A second process could write"),
        (lock.prove, broken.StaleLockStore, "stayed locked"),
        (lock.prove, broken.SlowRefusalStore, "refused only after 1"),
        (lock.prove, broken.ForkBlindStore, "A forked process could write"),
        (limit.prove, broken.ClaimingStore, "was acknowledged"),
        (limit.prove, broken.SilentStore, "was acknowledged"),
        (limit.prove, broken.ForkBlindStore, "went on after a write had failed"),
        (limit.prove, broken.KeepingStore, "that was refused .* was found in the log"),
        (limit.prove, broken.GreedyStore, "changed what was there before"),
        (limit.prove, broken.ForgetfulStore, "acknowledged records were not found"),
        (flips.prove, broken.ShortStore, "not read as it was written"),
        (flips.prove, broken.TrustingStore, "a record was read that nobody wrote"),
        (flips.prove, broken.CuttingStore, "the log read as clean"),
        (flips.prove, broken.LenientStore, "could be opened for writing"),
        (flips.prove, broken.MendingStore, "changed the file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_promise_is_noticed(tmp_path, prove, open_store, words):
    with pytest.raises(BrokenPromiseError, match=words):
        tried(prove, tmp_path, open_store, seconds=0 if prove is lock.prove else 10)


def test_a_child_that_fails_or_gets_stuck_is_noticed(tmp_path):
    with pytest.raises(LogStorageError, match="said nothing"):
        tried(lock.prove, tmp_path, broken.StuckStore, patience_s=0.5)
    with pytest.raises(BrokenPromiseError, match=r"ended by itself: .*NotImplementedError"):
        tried(lock.prove, tmp_path, broken.RaisingStore)
    with pytest.raises(LogStorageError, match="no space"):
        tried(kill.prove, tmp_path, broken.RefusingStore)


def test_a_wrong_hash_is_noticed(tmp_path):
    """Here the store is right and the other program is wrong; they differ all the same."""
    liar = tmp_path / "sha256sum"
    liar.write_text("#!/bin/sh\necho 23ce815f2e4726e72d117ab86625bbc262a8df1d10c6a56da984bbac7f01ac07\n")
    liar.chmod(0o700)
    with pytest.raises(BrokenPromiseError, match="prev of record 2"):
        tried(chain.prove, tmp_path, machine=rough(sha256sum=str(liar)))


def test_a_lost_end_of_the_chain_is_noticed(tmp_path):
    with pytest.raises(BrokenPromiseError, match="The head of the log"):
        tried(chain.prove, tmp_path, broken.LosingSealStore)


def test_a_sync_that_is_faster_than_a_disk_gives_a_hint(tmp_path):
    storage = broken.BrokenStorage(broken.SyncLessFile)
    assert "faster than a disk can" in hint(tmp_path / "disk", storage, "disk")
    assert "not surely the machine" in hint(tmp_path / "memory", storage, "process")


def hint(folder: Path, storage: broken.BrokenStorage, durability: str) -> str:
    system = FileSystem("some", durability, safe=True)
    (found,) = tried(disk.prove, folder, storage=storage, file_system=lambda _: system).hints
    return found


def test_what_is_lacking_is_skipped_and_said(tmp_path):
    machine = rough(fork=False, limits=False, sha256sum=None)
    results = {
        result.name: result
        for result in selftest(Bench(str(tmp_path), 1, machine=machine), seconds=0.1, trials=TRIALS[2:])
    }
    assert {name: result.outcome for name, result in results.items()} == {
        "lock": OK,
        "size limit": SKIPPED,
        "flips": OK,
        "chain": SKIPPED,
    }
    assert all(result.skipped for result in results.values())
    assert "fork" in results["lock"].skipped[0]
    assert "the time was up" in results["flips"].skipped[0]


def test_a_failure_says_what_it_means_and_the_others_go_on(tmp_path):
    """Only a broken promise is called one; a disk that refuses is another matter."""
    full, spoilt, good = selftest(
        Bench(str(tmp_path), 1),
        seconds=1,
        trials=(
            Trial("full", refuse, 0, "It means this."),
            Trial("spoilt", spoil, 0, "That."),
            Trial("good", lambda bench, tally: None, 0, ""),
        ),
    )
    assert (full.outcome, full.detail) == (FAILED, "It could not be tried to its end: No room.")
    assert (spoilt.outcome, spoilt.detail) == (FAILED, "Something is gone. That.")
    assert good.outcome == OK


def refuse(bench: Bench, tally: Tally) -> None:
    raise LogStorageError("No room.")


def spoil(bench: Bench, tally: Tally) -> None:
    raise BrokenPromiseError("Something is gone.")


def test_a_refusing_disk_is_found_before_the_tests_begin(tmp_path):
    with pytest.raises(LogStorageError):
        require_usable(Bench(str(tmp_path), 1, broken.RefusingStore))


def test_what_is_raised_between_two_steps_ends_a_test_and_its_processes(tmp_path):
    """So a signal can be obeyed at any step without leaving a process behind."""

    def stop(text: str) -> None:
        raise KeyboardInterrupt

    for prove in (kill.prove, lock.prove, limit.prove):
        with pytest.raises(KeyboardInterrupt):
            tried(prove, tmp_path / prove.__module__, step=stop)
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if is_readable(path)]
    assert [command for command in commands if bytes(tmp_path) in command] == []


def is_readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False

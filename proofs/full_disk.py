"""No room: a batch is acknowledged whole or refused, nothing acknowledged is lost, and with room the log goes on.

    python -m proofs.full_disk --limits 500 --pages 40 --seed 1

`--limits` runs meet a limit on the size of files, each at another byte: the system then takes a part of what is
written, as a full disk may. `--pages` runs find a small tmpfs filled up to its last pages; that needs a mount, made
in a namespace of its own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, TypeVar

from proofs.account import Account, case, require
from proofs.processes import Nursery, nursery, scratch
from proofs.report import Tally, command
from proofs.starts import Start, starts

LIFE: list[list[Any]] = [["open"], ["append", 2, 10], ["head"], ["append", 1, 10], ["head"], ["close"]]
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
DISK_PAGES, LEFT_PAGES_MAX = 64, 8
TEXTS_BYTES = range(0, 6_000, 97)
"""Lengths of what is written to a disk that is full by the page, so that batches end anywhere in one."""

Case = TypeVar("Case")


def prove(*, limits: int, pages: int, seed: int) -> Tally:
    """Let the room end at every byte: each batch is acknowledged whole or refused, and nothing is lost."""
    chance, tally = random.Random(seed), Tally()
    with scratch() as folders, nursery() as nest:
        beginnings = list(starts(nest, folders[-1]))
        root = os.path.join(folders[-1], "log")
        ends = [(start, end) for start in beginnings for end in range(_size_with_room(nest, start, root) + 1)]
        for start, end in _drawn(ends, limits, chance):
            with case(f"{start.name}, files of at most {end} bytes"):
                account = start.begin(root)
                _live_without_room(nest, account, LIFE, tally, file_bytes_max=end)
                _go_on(nest, account)
            tally.add("runs with a limit on the size of files")
        if pages:
            _fill_small_disk(beginnings, pages, chance, tally)
    return tally


def _drawn(cases: Sequence[Case], number: int, chance: random.Random) -> list[Case]:
    return chance.sample(cases, min(number, len(cases)))


def _size_with_room(nest: Nursery, start: Start, root: str) -> int:
    """Return the size of the largest file that a life leaves which has all the room."""
    account = start.begin(root)
    account.live(nest, LIFE)
    folder = os.path.dirname(account.path)
    return max(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def _live_without_room(
    nest: Nursery, account: Account, steps: list[list[Any]], tally: Tally, **limits: int
) -> None:
    """Live where there may be no room; what is refused must be said to be the disk's fault."""
    refused = account.live(nest, steps, **limits)
    told = {text.split(": ")[1] for text in refused}
    require(told <= {"LogStorageError", "WriterDeadError"}, "I10", f"no room was told as {refused}")
    for text in refused:
        tally.add(f"refused, {text}")


def _go_on(nest: Nursery, account: Account) -> None:
    """With room again the same command goes on."""
    refused = account.live(nest, LIFE)
    require(not refused, "I10", f"there is room again, and yet: {refused}")
    account.settle(nest)


def _fill_small_disk(beginnings: list[Start], runs: int, chance: random.Random, tally: Tally) -> None:
    """Do the same on a tmpfs that has only so many pages left."""
    with scratch() as (folder, *_):
        mount = f'mount -t tmpfs -o size={DISK_PAGES * PAGE_BYTES} tmpfs "$0" && exec "$@"'
        behind = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, folder]
        if (reason := _why_not(behind)) is not None:
            tally.skipped.append(f"a small tmpfs: {reason}")
            return
        ends = [(s, left, text) for s in beginnings for left in range(LEFT_PAGES_MAX) for text in TEXTS_BYTES]
        with nursery(*behind) as nest:
            for start, left, text in _drawn(ends, runs, chance):
                with case(f"{start.name}, {left} pages left, texts of {text} bytes"):
                    _fill_and_free(nest, start, folder, left, text, tally)
                tally.add("runs on a tmpfs with some pages left")


def _why_not(behind: list[str]) -> str | None:
    """Return why nothing can be mounted here; None if it can."""
    if shutil.which(behind[0]) is None:
        return f"{behind[0]} is not installed; util-linux brings it"
    tried = subprocess.run([*behind, "true"], capture_output=True, text=True, check=False)
    return f"{tried.stderr.strip()}; it takes root, or user namespaces" if tried.returncode else None


def _fill_and_free(nest: Nursery, start: Start, folder: str, left: int, text: int, tally: Tally) -> None:
    seen_from = f"/proc/{nest.pid}/root"
    account = start.begin(os.path.join(folder, "log"), seen_from)
    filler = f"{seen_from}{folder}/filler"
    _leave(filler, left)
    work: list[list[Any]] = [["append", 3, text], ["append", 1, 0], ["head"]]
    _live_without_room(nest, account, [["open"], *work * 4, ["close"]], tally)
    os.unlink(filler)
    _go_on(nest, account)


def _leave(filler: str, pages: int) -> None:
    """Fill the disk with zeros, up to so many pages."""
    disk = os.statvfs(os.path.dirname(filler))
    assert disk.f_blocks == DISK_PAGES, "this is not the small disk"
    with open(filler, "wb") as file:
        file.write(bytes(max(0, disk.f_bfree - pages) * PAGE_BYTES))


def main() -> None:
    """See `prove`."""
    command("full_disk", prove, {"limits": 4_000, "pages": 1_000})


if __name__ == "__main__":
    main()

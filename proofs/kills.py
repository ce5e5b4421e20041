"""`kill -9`, at random moments, of a process that works with a log; the log is then held against what it had said.

python -m proofs.kills --kills 1000 --seed 1
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from typing import Any

from eventlog.reader import Tail
from proofs.account import Account, content
from proofs.processes import Ear, Nursery, Word, nursery, require_named_end, scratch
from proofs.report import Tally, command
from proofs.writer_process import Said

LIVES_MAX, LOG_BYTES_MAX = 20, 1 << 21
"""A log is left for a new one after so many lives, or at this size, so that beginnings are killed too."""
LIFE_S, OPENING_S = 0.025, 0.004
"""A third of the kills are drawn over this time from a life's begin; the others strike right at a write."""
BATCHES = ((1, 0), (3, 30), (1, 200), (10, 400), (2, 4_000), (3, 40_000), (30, 60_000))
"""Batches as number of events and bytes of text, ascending: from one short line to 1.8 MB."""


def prove(*, kills: int, seed: int) -> Tally:
    """Kill a writer at random moments: what it acknowledged is there, and what is there it submitted."""
    chance, tally = random.Random(seed), Tally()
    with scratch() as folders, nursery() as nest:
        for number, folder in enumerate(itertools.cycle(folders)):
            if tally.counts["kills"] >= kills:
                return tally
            account = Account(os.path.join(folder, str(number)))
            tail = Tail.CLEAN
            for _ in range(min(LIVES_MAX, kills - tally.counts["kills"])):
                # What is left torn is soon killed again, while it is recovered.
                tail = _kill_once(nest, account, LIFE_S if tail is Tail.CLEAN else OPENING_S, chance, tally)
                if len(content(account.path)) > LOG_BYTES_MAX:
                    break
            account.settle(nest)
            tally.add("logs that were killed again and again, then opened")
    return tally


def _kill_once(nest: Nursery, account: Account, within_s: float, chance: random.Random, tally: Tally) -> Tail:
    """Begin a life on a log, kill it at a drawn moment, check what is left, and return how it ends."""
    is_large = within_s == LIFE_S and chance.random() < 0.3
    first: list[list[Any]] = [["open"], ["append", *BATCHES[-1]]] if is_large else []
    with Ear() as ear:
        pid = nest.begin(account.order([*first, *_steps(chance)]), ear)
        if is_large:
            said = _listen_until_write(ear, 1, 1 << 20, chance)
        elif within_s < LIFE_S or chance.random() < 0.5:
            said = _listen_for(ear, chance.uniform(0, within_s))
        else:
            said = _listen_until_write(ear, chance.randrange(1, 12), 1, chance)
        nest.signal(pid, signal.SIGKILL)
        said += ear.until_over()
    require_named_end(nest.bury(pid), said)
    account.hear(said)
    account.is_dying(pid)
    tally.add("kills")
    tally.add(f"kills {_place(said)}")
    tail = account.check()
    if tail is not Tail.CLEAN:
        tally.add(f"kills that left the log {tail.value}")
    return tail


def _steps(chance: random.Random) -> list[list[Any]]:
    """Draw more steps than a life can take."""
    steps: list[list[Any]] = []
    batches = BATCHES[: chance.randrange(2, len(BATCHES) + 1)]
    for _ in range(20):
        work = [["append", *chance.choice(batches)] for _ in range(chance.randrange(8))]
        steps += [["open"], *work, *chance.choice(([], [["head"]], [["seal"]])), ["close"]]
    return steps


def _listen_for(ear: Ear, seconds: float) -> list[Word]:
    """Listen so long."""
    said: list[Word] = []
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0 and not ear.is_over:
        said += ear.listen(left_s)
    return said


def _listen_until_write(ear: Ear, writes: int, bytes_min: int, chance: random.Random) -> list[Word]:
    """Listen until so many writes of such a size have been announced, and then no longer, or a moment."""
    said: list[Word] = []
    while writes > 0 and not ear.is_over:
        heard = ear.listen(LIFE_S)
        writes -= sum(word.what is Said.SUBMITTED and len(word.payload) >= bytes_min for word in heard)
        said += heard
    return said + _listen_for(ear, chance.choice((0, 0, chance.uniform(0, 0.0005))))


def _place(said: list[Word]) -> str:
    """Say where a kill fell, by the last word that was heard."""
    if not said:
        return "before the first word"
    last = said[-1]
    return f"after step {last.text}" if last.what is Said.STEP else f"after word {last.what.name.lower()}"


def main() -> None:
    """See `prove`."""
    command("kills", prove, {"kills": 1000})


if __name__ == "__main__":
    main()

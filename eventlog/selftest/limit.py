"""No room in the midst of a batch: it is refused as a whole, nothing is lost, and later the log goes on.

The system's limit on the size of files plays the full disk, in a child of its own.
"""

from __future__ import annotations

from eventlog.selftest.bench import Bench, Tally
from eventlog.selftest.child import LIMITS
from eventlog.selftest.children import Child


def prove(bench: Bench, tally: Tally) -> None:
    """Let a child meet the limit at many bytes of a batch; it checks, and ends by itself if something is wrong."""
    if not bench.machine.limits:
        tally.skip("the size of files can't be limited here")
        return
    with Child(bench, "limit") as child:
        child.begin(bench.root("limit"))
        while (not tally.counts["limits"] or tally.in_time) and child.hear() != "done":
            tally.counts["limits"] += 1
            bench.step(f"{tally.counts['limits']} of {LIMITS} bytes")
    done = tally.counts["limits"]
    tally.detail = f"a batch cut off at {done} of its bytes: each time refused as a whole, then the log went on"
    if done < LIMITS:
        tally.skipped.append(f"{LIMITS - done} of {LIMITS} bytes: the time was up.")

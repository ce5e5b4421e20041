"""How soon a follower shows a new record, and what waiting costs.

python benchmarks/follow.py [FOLDER]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

from eventlog.follow import Follower
from eventlog.store import Store
from eventlog.watch import changes

WRITE = """
import sys, time
from eventlog.store import Store
writer = Store(sys.argv[1]).open_writer("bench", run="01", create=True).writer
for n in range(100):
    time.sleep(0.037)
    writer.append([("test.happened", {"at": time.monotonic()})], run="01")
"""


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as root:
        follower, steps = Follower(Store(root)), changes(root)
        delays_ms: list[float] = []
        with subprocess.Popen([sys.executable, "-c", WRITE, root]):
            while len(delays_ms) < 100:
                next(steps)
                records, now = follower.poll(), time.monotonic()
                delays_ms += [(now - record.data["at"]) * 1000 for record in records if record.seq > 1]
        begun = time.process_time()
        for _ in range(5):
            next(steps)
        idle_s = time.process_time() - begun
    print(f"shown after {statistics.median(delays_ms):.0f} ms median, {max(delays_ms):.0f} ms at most")
    print(f"waiting costs {idle_s / 5 * 100:.2f} % of a core")


if __name__ == "__main__":
    main()

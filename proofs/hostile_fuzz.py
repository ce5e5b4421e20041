"""The target of the coverage-guided fuzz; `proofs.hostile` starts it with the options of libFuzzer.

The first byte of an input says what the rest is: a log, what stands before `dur` in each of its lines, or the data
of each. What is lacking is added, so that sums and chain are right; no fuzzer could find those.
"""

from __future__ import annotations

import sys
from importlib import import_module

LOG, LINES, DATA = b"\0", b"\1", b"\2"


def main() -> None:
    """Fuzz until an option of libFuzzer ends it."""
    atheris = import_module("atheris")
    # Instrumented while they are imported, so nothing of ours may be imported before.
    with atheris.instrument_imports(include=["eventlog.record", "eventlog.reader"]):
        from proofs.corpus import PIPELINE
        from proofs.hostile_logs import chained, starts
        from proofs.hostile_verdict import require_verdict

    def one(data: bytes) -> None:
        kind, cut, content = data[:1], sum(data[:20]), data[1:]
        if kind == LINES:
            content = b"".join(chained(content.split(b"\n")))
        elif kind == DATA:
            content = b"".join(chained(starts(PIPELINE, (("test.happened", one) for one in content.split(b"\n")))))
        require_verdict(content, cuts=[min(cut, len(content))])

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

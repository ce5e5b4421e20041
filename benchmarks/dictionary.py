"""Makes a dictionary for archives: what logs have in common, so that small ones become small too.

    python -m benchmarks.dictionary OUT_FOLDER LOG...

Prints the id of the dictionary that it writes, `<id>.zdict`. A new one goes into `eventlog/dictionaries` beside the
old ones, which stay for ever, and its id becomes `DICTIONARY` in `eventlog/compression.py`. The logs should be of
many kinds, and nobody's: what they say of users, machines and paths is replaced, and digests are left out, since
they are never the same again. The one that evt has was made of the logs that its own tests leave:

    python -m pytest -o tmp_path_retention_policy=all --basetemp=FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

SIZE_BYTES = 16 * 1024
"""Source: measured on logs of 23 to 781 records; with 8 KiB they are a fortieth larger, with 64 KiB the same."""
_LEFT_OUT = re.compile(rb',"prev":"[0-9a-f]{64}"|(?<=,"sum":")[0-9a-f]{16}')
_REPLACED = (
    (re.compile(rb"[0-9a-f]{64}"), b""),
    (re.compile(rb'"user":"[^"]*"'), b'"user":"user"'),
    (re.compile(rb'"boot_id":"[^"]*"'), b'"boot_id":""'),
    (re.compile(rb'"host":"[^"]*"'), b'"host":"host"'),
    (re.compile(rb'/(?:tmp|home|root|work|var)/[^" ]*/'), b"/home/user/"),
)


def train(logs: Iterable[bytes]) -> bytes:
    """Return a dictionary for logs like these."""
    from backports.zstd import train_dict

    return train_dict([_common(log) for log in logs], SIZE_BYTES).dict_content


def _common(log: bytes) -> bytes:
    log = _LEFT_OUT.sub(b"", log)
    for pattern, other in _REPLACED:
        log = pattern.sub(other, log)
    return log


def main() -> None:
    """Write a dictionary and print its id."""
    folder, *names = sys.argv[1:]
    content = train(Path(name).read_bytes() for name in names)
    number = int.from_bytes(content[4:8], "little")
    (Path(folder) / f"{number}.zdict").write_bytes(content)
    print(number)


if __name__ == "__main__":
    main()

"""The seeded bugs of `proofs.mutants`: mistakes that a log's code can make, and that its tests must notice.

Each replaces a piece of source that stands exactly once in its file. When the code changes, the piece here changes
with it; a test says so.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Mutation:
    """A bug: in which file, what stands there, and what stands there instead."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Put the bug into a tree.

        Raises:
            ValueError: the piece does not stand there exactly once.
        """
        path = root / self.file
        source = path.read_text()
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: its piece stands {source.count(self.old)} times in {self.file}")
        path.write_text(source.replace(self.old, self.new))


WRITER, READER, RECORD = "eventlog/writer.py", "eventlog/reader.py", "eventlog/record.py"
STORAGE, FOLDERS = "eventlog/storage.py", "eventlog/folders.py"
OPENING, RECOVERY = "eventlog/opening.py", "eventlog/recovery.py"
LOCKING = "eventlog/locking.py"
PLACE, STORE = "eventlog/place.py", "eventlog/store.py"

ACKNOWLEDGING = (
    Mutation("no-sync", WRITER, "            self._file.sync()\n", ""),
    Mutation(
        "sync-before-the-write",
        WRITER,
        """            written = self._file.append(data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes could be written; the disk may be full")
            self._file.sync()
""",
        """            self._file.sync()
            written = self._file.append(data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes could be written; the disk may be full")
""",
    ),
    Mutation(
        "retry-after-a-failed-sync",
        WRITER,
        "            self._file.sync()\n",
        """            try:
                self._file.sync()
            except OSError:
                self._file.sync()
""",
    ),
    Mutation("short-write-accepted", WRITER, "if written != len(data):", "if written == 0:"),
    Mutation(
        "writer-lives-after-an-error",
        WRITER,
        "            self._death = str(error)\n",
        "            self._death = None\n",
    ),
    Mutation(
        "file-not-looked-for-after-the-sync",
        WRITER,
        "            _require_size(self._file.size_bytes(), self._size_bytes + written)\n",
        "",
    ),
    Mutation(
        "foreign-bytes-not-looked-for",
        WRITER,
        "            _require_size(self._file.end_bytes(), self._size_bytes)\n",
        "",
    ),
    Mutation(
        "cut-back-takes-foreign-bytes",
        WRITER,
        "if written and self._file.size_bytes() == self._size_bytes + written:",
        "if written:",
    ),
    Mutation("expected-seq-ignored", WRITER, "        if expected != self.seq:\n", "        if False:\n"),
    Mutation(
        "mark-claims-the-own-batch", WRITER, "                dur=self.seq,\n", "                dur=seq - 1,\n"
    ),
    Mutation(
        "fork-may-write",
        WRITER,
        "        if os.getpid() != self._owner_pid:\n            self._death",
        "        if False:\n            self._death",
    ),
    Mutation("dead-writer-keeps-a-head", STORE, "        writer.require_alive()\n", ""),
)
OPENING_ONES = (
    Mutation(
        "folder-not-synced-at-opening",
        OPENING,
        "        file.sync()\n        self.storage.sync_dir(self.place.folder)\n",
        "        file.sync()\n",
    ),
    Mutation(
        "trusted-before-synced",
        OPENING,
        "        file.sync()\n        self.storage.sync_dir",
        "        self.storage.sync_dir",
    ),
    Mutation("cache-trusted-after-a-failed-sync", OPENING, "        file.drop_cache()\n", ""),
    Mutation("parents-not-synced", FOLDERS, "            self.storage.sync_dir(parent)\n", "            pass\n"),
    Mutation(
        "folder-of-others-believed-durable",
        FOLDERS,
        "        if known is None:\n            return False\n",
        "        if known is None:\n            return self.storage.signature(path) is not None\n",
    ),
    Mutation(
        "inode-not-compared-after-locking",
        LOCKING,
        "if file.try_lock() and file.size_bytes() is not None:",
        "if file.try_lock():",
    ),
    Mutation(
        "lock-file-instead-of-inode",
        STORAGE,
        "            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        '            self._other = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)\n'
        "            fcntl.flock(self._other, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
    ),
    Mutation(
        "no-lock",
        STORAGE,
        "            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
    ),
    Mutation(
        "symbolic-links-followed",
        STORAGE,
        "flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK",
        "flags | os.O_CLOEXEC | os.O_NONBLOCK",
    ),
    Mutation("gone-log-begun-anew", OPENING, "        if traces or not create:\n", "        if not create:\n"),
    Mutation(
        "emptied-log-begun-anew",
        OPENING,
        "if (traces or kept is not None) and verdict.seq == 0",
        "if False and verdict.seq == 0",
    ),
    Mutation(
        "head-ignored-at-opening",
        OPENING,
        "self._opened(file, self._kept_head(), traces=traces)",
        "self._opened(file, None, traces=traces)",
    ),
)
RECOVERING = (
    Mutation(
        "newline-not-healed",
        OPENING,
        "            records, verdict = recovery.complete_last_line(file, self.place, kept)\n",
        "            pass\n",
    ),
    Mutation(
        "healed-newline-not-synced",
        RECOVERY,
        '    file.append(b"\\n")\n    file.sync()\n',
        '    file.append(b"\\n")\n',
    ),
    Mutation(
        "torn-tail-not-cut",
        OPENING,
        "            recovery.cut_torn_tail(self.storage, file, verdict, self.place)\n",
        "            pass\n",
    ),
    Mutation(
        "torn-tail-thrown-away",
        RECOVERY,
        "    replace_durably(storage, _aside_path(place, _TORN, verdict.offset, cut), cut)\n",
        "",
    ),
    Mutation("set-aside-without-syncing-its-name", STORAGE, "    storage.sync_dir(os.path.dirname(path))\n", ""),
    Mutation(
        "cut-not-recorded",
        OPENING,
        "        return begun + recovery.unrecorded(self.storage, self.place, records)\n",
        "        return begun\n",
    ),
    Mutation("uncertain-cut-called-certain", RECOVERY, 'b"\\0" in cut or b"\\n" in cut or', "False or"),
    Mutation(
        "cut-not-synced",
        RECOVERY,
        """    replace_durably(storage, _aside_path(place, _TORN, verdict.offset, cut), cut)
    file.truncate(verdict.offset)
    file.sync()
""",
        """    replace_durably(storage, _aside_path(place, _TORN, verdict.offset, cut), cut)
    file.truncate(verdict.offset)
""",
    ),
    Mutation(
        "damaged-log-not-kept",
        RECOVERY,
        "    replace_durably(storage, _aside_path(place, _DAMAGED, verdict.offset, whole), whole)\n",
        "",
    ),
    Mutation(
        "head-dropped-before-the-cut",
        OPENING,
        "            if verdict.tail is Tail.CORRUPT and not verdict.is_short:\n",
        """            self._drop_head(kept, verdict)
            kept = None
            if verdict.tail is Tail.CORRUPT and not verdict.is_short:
""",
    ),
)
JUDGING = (
    Mutation(
        "cut-at-the-first-bad-line",
        READER,
        "            return (Tail.TORN if self._has_nul else Tail.CORRUPT), problem  # hole, shape\n",
        "            return Tail.TORN, problem\n",
    ),
    Mutation(
        "hole-is-corrupt",
        READER,
        "            return (Tail.TORN if self._has_nul else Tail.CORRUPT), problem  # hole, shape\n",
        "            return Tail.CORRUPT, problem\n",
    ),
    Mutation("no-watermark", READER, "        if self._mark_max >= due:\n", "        if False:\n"),
    Mutation("no-chain", READER, "        if record.prev != self.prev:\n", "        if False:\n"),
    Mutation("no-chain-in-lots", RECORD, "        or prevs != [prev, *hashes[:-1]]\n", ""),
    Mutation("no-numbers", READER, "        if record.seq != self.seq + 1:\n", "        if False:\n"),
    Mutation(
        "no-sum", RECORD, "    if end != _end(digest.hexdigest()):\n", "    if _SUM.fullmatch(end) is None:\n"
    ),
    Mutation(
        "other-logs-records-taken", READER, "        if record.pipeline != self.pipeline:\n", "        if False:\n"
    ),
    Mutation("head-not-compared", READER, "        if self._is_replaced(record):\n", "        if False:\n"),
    Mutation(
        "head-not-compared-in-lots",
        READER,
        "        if records and 0 <= named < len(records) and self._is_replaced(records[named]):\n",
        "        if False:\n",
    ),
    Mutation("lost-end-unnoticed", READER, "        if self._kept_seq() > self.seq:\n", "        if False:\n"),
    Mutation(
        "changed-newline-is-torn",
        READER,
        "        if any(durable_mark(line) is not None for line in _with_newline(rest)):\n",
        "        if False:\n",
    ),
    Mutation("newer-records-cut", READER, "        if self._newer:\n", "        if False:\n"),
    Mutation("damage-seen-once", STORE, " or self._again()._first_verdict.tail is Tail.CORRUPT:", ":"),
)
MUTATIONS = (*ACKNOWLEDGING, *OPENING_ONES, *RECOVERING, *JUDGING)

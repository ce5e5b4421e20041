"""What is not as it should be in a home, each with what to do about it: the findings of `evt doctor`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import field, frozen

from cli.exit_codes import DAMAGED, DECISION, FAILED, OK
from cli.lookup import look_at_all
from cli.render import count, moment, shown_name
from cli.system import held_locks, lock_name, process_of
from eventlog.errors import LogError, NewerLogError
from eventlog.reader import Tail
from eventlog.scan import HEAD, LOG, FileStat, Folder, folders
from eventlog.store import Store
from pipeline.home import Home
from pipeline.listing.listing import DAMAGED_LOG, GONE, UNREADABLE, Row
from pipeline.upkeep.copies import FORKED, LONGER, OLDER, SAME, Compared, Copy, compared, copies
from pipeline.workshop import Identity
from projections.fold import fold, initial_state
from projections.state import Run

SHOWN_MAX = 10
"""So many pipelines of a kind are looked at closely and named; the others are counted."""

NEWER, SHORT, COPY, DECIDE, FILES = "newer", "short", "copy", "decision", "files"
STOPPED, INTERRUPTED, FAILURE, HEAD_OLD = "stopped", "interrupted", "failed", "head"
RANKS = (GONE, DAMAGED_LOG, SHORT, UNREADABLE, NEWER, COPY, DECIDE, FILES, STOPPED, INTERRUPTED, FAILURE, HEAD_OLD)
"""Kinds of findings; the first are the most urgent."""

_OPEN = frozenset({"needs_decision", "waiting", "unfinished", "interrupted", "failed"})
"""Statuses that want something of somebody; of a copy, which goes on where it came from, nothing is wanted here."""

_CODES = {
    **dict.fromkeys((GONE, DAMAGED_LOG, SHORT, NEWER), DAMAGED),
    UNREADABLE: FAILED,
    DECIDE: DECISION,
}


@frozen
class Finding:
    """Something that somebody should know or do.

    Attributes:
        kind: one of RANKS.
        what: a sentence.
        remedy: a sentence with the command, if there is one.
        pipeline: which one it is about; None: several, or none.
    """

    kind: str
    what: str
    remedy: str
    pipeline: str | None = None

    @property
    def code(self) -> int:
        """The exit code that this alone gives."""
        return _CODES.get(self.kind, OK)


@frozen
class Held:
    """A log whose lock is held, and by whom as far as the system tells."""

    pipeline: str
    name: str
    who: str


@frozen
class Checkup:
    """What was found in a home.

    Attributes:
        statuses: how many pipelines have each status.
        held: the logs that are being written.
        tells_locks: whether the system says who holds a lock.
        findings: the most urgent first.
    """

    folders: list[Folder] = field(factory=list)
    statuses: dict[str, int] = field(factory=dict)
    held: list[Held] = field(factory=list)
    tells_locks: bool = True
    findings: list[Finding] = field(factory=list)


def check_up(home: Home, store: Store, who: Identity) -> Checkup:
    """Look at every pipeline, by the index where that still holds; closely at those that are not in order.

    Raises:
        LogStorageError: the logs can't be listed.
    """
    found = list(folders(str(home.logs)))
    copied = list(copies(str(home.logs), found))
    strangers = {Path(copy.path).name.removesuffix(LOG) for copy in copied}
    rows = [row for row in look_at_all(home, remembers=False).rows if row.pipeline not in strangers]
    holders = _holders(home, found)
    open_ = [row for row in rows if row.status in _OPEN and not store.is_copy(row.pipeline)]
    findings = [
        *_bad_logs(rows, store),
        *_newer({row.pipeline: row.newer for row in rows if row.newer is not None}),
        *_copies(copied, store),
        *_undecided(open_),
        *_without_files(rows, home),
        *_dead(open_, holders, store, who),
        *_stopped(holders),
        *_failed(open_),
        *_old_heads(rows, found, store),
    ]
    statuses = [row.status for row in rows]
    names = {row.pipeline: shown_name(row.name) for row in rows}
    return Checkup(
        folders=found,
        statuses={status: statuses.count(status) for status in dict.fromkeys(statuses)},
        held=[Held(pipeline, names.get(pipeline, "?"), _who(pids)) for pipeline, pids in (holders or {}).items()],
        tells_locks=holders is not None,
        findings=sorted(findings, key=lambda finding: RANKS.index(finding.kind)),
    )


def _holders(home: Home, found: Sequence[Folder]) -> dict[str, list[int]] | None:
    """Return which logs are locked, and by which processes; None where the system can't tell."""
    table = held_locks()
    if not table:
        return None if table is None else {}
    held: dict[str, list[int]] = {}
    for folder in found:
        device = os.stat(home.logs / folder.name).st_dev if folder.files else 0
        for file in map(FileStat._make, folder.files):
            if file.name.endswith(LOG) and (pids := table.get(lock_name(device, file.inode))):
                held[file.name.removesuffix(LOG)] = pids
    return held


def _who(pids: Iterable[int]) -> str:
    """Return who holds a lock; of a process of another container or machine the system gives no number."""
    known = [pid for pid in pids if pid > 0]
    if not known:
        return "a process of another container or machine"
    process = process_of(known[0])
    return f"{process[0] if process else 'process'}, pid {known[0]}"


def _shown(rows: Iterable[Row], kind: str, finding: Callable[[Row], Finding], remedy: str) -> Iterator[Finding]:
    """Yield a finding for each of the first pipelines, and one that counts the others."""
    rows = list(rows)
    yield from map(finding, rows[:SHOWN_MAX])
    if len(rows) > SHOWN_MAX:
        yield Finding(kind, f"{count(len(rows) - SHOWN_MAX, 'more pipeline')} like these.", remedy)


def _bad_logs(rows: Sequence[Row], store: Store) -> Iterator[Finding]:
    bad = [row for row in rows if row.status in {DAMAGED_LOG, UNREADABLE, GONE}]
    more = "`evt list --status damaged,unreadable,gone` shows them; `evt validate ID` says what is wrong."
    yield from _shown(bad, DAMAGED_LOG, lambda row: _bad_log(row, store), more)


def _bad_log(row: Row, store: Store) -> Finding:
    error = _error_of(row.pipeline, store)
    if row.status == GONE:
        what = f"The log of {row.pipeline} is gone, and its files are still there."
        remedy = f"Restore {store.path(row.pipeline)} from a backup, or remove the rest: docs/files.md, *Removing*."
        return Finding(GONE, what, remedy, row.pipeline)
    if isinstance(error, NewerLogError):
        return Finding(NEWER, str(error), "Install that version: pip install --upgrade.", row.pipeline)
    text = str(error) if error else f"The log of {row.pipeline} could not be read a moment ago."
    if row.status == UNREADABLE:
        return Finding(UNREADABLE, text, "Mend that, then look again.", row.pipeline)
    kind = SHORT if _is_short(row.pipeline, store) else DAMAGED_LOG
    if kind == SHORT:
        text += (
            " So it looks where an older copy was put back in the place of the log, by a backup or by a program "
            "that syncs folders, or where its end was cut off."
        )
    command = "accept" if kind == SHORT else "salvage"
    return Finding(kind, text, f"Restore it from a backup, or: `evt {command} {row.pipeline}`.", row.pipeline)


def _error_of(pipeline: str, store: Store) -> LogError | None:
    try:
        return store.unusable(pipeline, store.read(pipeline).verdict)
    except LogError as error:
        return error


def _is_short(pipeline: str, store: Store) -> bool:
    try:
        verdict = store.read(pipeline).verdict
        return verdict.tail is Tail.CORRUPT and verdict.is_short
    except LogError:
        return False


def _newer(newer: dict[str, str]) -> Iterator[Finding]:
    for pipeline, version in islice(newer.items(), SHOWN_MAX):
        by = f"evt {version}, which is newer" if version else "a newer evt"
        what = f"The log of {pipeline} holds events that this evt doesn't know. It was written by {by}."
        yield Finding(NEWER, what, "Install that version; until then the pipeline can be read only.", pipeline)
    if len(newer) > SHOWN_MAX:
        yield Finding(NEWER, f"{count(len(newer) - SHOWN_MAX, 'more log')} like these.", "Install that version.")


def _copies(copied: Sequence[Copy], store: Store) -> Iterator[Finding]:
    for copy in copied[:SHOWN_MAX]:
        try:
            yield _copy(copy, compared(store, copy), store)
        except OSError as error:
            yield Finding(
                COPY, f"{copy.path} can't be read: {error}.", "Mend that, then look again.", copy.pipeline
            )
    if len(copied) > SHOWN_MAX:
        what = f"{len(copied) - SHOWN_MAX} more copies of logs lie in {store.root}."
        yield Finding(COPY, what, "Settle those above; then look again.")


def _copy(copy: Copy, found: Compared, store: Store) -> Finding:
    what = f"{copy.path} is a copy of the log of {copy.pipeline}, named as by {copy.maker}. evt doesn't use it."
    said = {
        SAME: (" It is the same as the log.", f"{copy.path} can be removed."),
        OLDER: (
            f" The log holds all of it, and {count(found.log - found.copy, 'record')} more.",
            f"{copy.path} can be removed.",
        ),
        LONGER: (
            f" It holds all of the log, and {count(found.copy - found.log, 'record')} more: it is the newer one.",
            f"While no evt runs, put {copy.path} in the place of {store.path(copy.pipeline)}; then `evt validate "
            f"{copy.pipeline}`.",
        ),
        FORKED: (
            f" Both go on after record {found.common}, the log by {found.log - found.common} and the copy by "
            f"{found.copy - found.common}: two machines worked on it at once. What the copy says was paid is not "
            "in the log.",
            f"Keep {copy.path} or the log, whichever you believe, and move the other out of the folder. Let one "
            "machine alone use a home that is synced.",
        ),
    }
    explained, remedy = said.get(
        found.relation, (" It is no log of this pipeline.", f"Look at {copy.path}, and move it away.")
    )
    return Finding(COPY, what + explained, remedy, copy.pipeline)


def _undecided(rows: Sequence[Row]) -> Iterator[Finding]:
    waiting = [row for row in rows if row.status in {"needs_decision", "waiting"}]

    def finding(row: Row) -> Finding:
        what = f"{row.pipeline} ({shown_name(row.name)}) waits for a decision or money of yours."
        return Finding(
            DECIDE, what, f"`evt plan {row.pipeline}` says which; `evt run {row.pipeline}` asks.", row.pipeline
        )

    yield from _shown(waiting, DECIDE, finding, "`evt list --status needs_decision,waiting` shows them.")


def _without_files(rows: Sequence[Row], home: Home) -> Iterator[Finding]:
    """Yield finished pipelines of which no file is left: nothing but a loss, or half of a backup, does that."""
    there = set(home.pipelines_with_files())
    lost = [row for row in rows if row.status == "completed" and row.pipeline not in there]

    def finding(row: Row) -> Finding:
        what = f"{row.pipeline} ({shown_name(row.name)}) is completed, and none of its files is there."
        remedy = (
            f"Restore {home.artifacts(row.pipeline)} from the backup that the log is from; otherwise `evt run "
            f"{row.pipeline}` makes again what something needs, which costs what it cost."
        )
        return Finding(FILES, what, remedy, row.pipeline)

    more = "Restore the folder `artifacts` from the backup that the folder `logs` is from."
    yield from _shown(lost, FILES, finding, more)


def _dead(
    rows: Sequence[Row], holders: dict[str, list[int]] | None, store: Store, who: Identity
) -> Iterator[Finding]:
    """Yield pipelines whose run ended without a word, and those that were interrupted."""
    open_ = [row for row in rows if row.status == "unfinished" and row.pipeline not in (holders or {})]
    open_ += [row for row in rows if row.status == "interrupted"]
    if holders is None:
        open_ = [row for row in open_ if row.status == "interrupted"]

    def finding(row: Row) -> Finding:
        what = f"{row.pipeline} ({shown_name(row.name)}) was interrupted."
        if row.status == "unfinished":
            what = f"{row.pipeline} ({shown_name(row.name)}) looks as if it were under way, and is not. "
            what += _end_of(_last_run(row.pipeline, store), who)
        return Finding(INTERRUPTED, what, f"`evt run {row.pipeline}` goes on from there.", row.pipeline)

    yield from _shown(open_, INTERRUPTED, finding, "`evt list --status unfinished,interrupted` shows them.")


def _last_run(pipeline: str, store: Store) -> Run | None:
    with contextlib.suppress(LogError):
        return fold(initial_state(pipeline), store.stream(pipeline)).last_run
    return None


def _end_of(run: Run | None, who: Identity) -> str:
    """Return what became of the process of a run that nobody carries on any more."""
    if run is None:
        return "Nothing holds its log."
    begun = run.started
    process = f"Its process (pid {begun.pid} on {begun.host}, since {moment(run.started_at)} UTC)"
    if begun.host != who.host:
        return f"{process} was on another machine; here nothing holds its log."
    if begun.boot_id and who.boot_id and begun.boot_id != who.boot_id:
        return f"{process} ended with the machine, which was started again since."
    if process_of(begun.pid) is not None:
        return f"{process} doesn't hold its log any more; that number is another process's by now."
    return f"{process} is dead: killed, or crashed. Its lock went with it, so there is nothing to remove."


def _stopped(holders: dict[str, list[int]] | None) -> Iterator[Finding]:
    for pipeline, pids in islice((holders or {}).items(), SHOWN_MAX):
        for pid in pids:
            process = process_of(pid) if pid > 0 else None
            if process and process[1]:
                what = f"{process[0]} (pid {pid}) holds the log of {pipeline} and is stopped, as by Ctrl-Z."
                yield Finding(STOPPED, what, f"`kill -CONT {pid}` lets it go on, `kill {pid}` ends it.", pipeline)


def _failed(rows: Sequence[Row]) -> Iterator[Finding]:
    failed = sum(row.status == "failed" for row in rows)
    if failed:
        what = f"{count(failed, 'pipeline')} failed." if failed > 1 else "A pipeline failed."
        yield Finding(FAILURE, what, "`evt list --status failed --detailed` says why; `evt run ID` tries again.")


def _old_heads(rows: Sequence[Row], found: Sequence[Folder], store: Store) -> Iterator[Finding]:
    """Yield heads that are older than their finished logs: only restoring a part of a backup leaves one."""
    times = {str(file[0]): int(file[4]) for folder in found for file in folder.files}
    finished = (row.pipeline for row in rows if row.status == "completed")
    suspect = (name for name in finished if times.get(name + HEAD, 0) < times.get(name + LOG, -1))
    for name in islice(suspect, SHOWN_MAX):
        with contextlib.suppress(LogError):
            head, last = store.read_head(name), store.read(name).verdict.head
            if head is not None and last is not None and head.seq < last.seq:
                what = f"The head of {name} names record {head.seq}, and the log has {last.seq}: the head is older."
                remedy = "Nothing is lost; restore the head of the same backup as the log, if there is one."
                yield Finding(HEAD_OLD, what, remedy, name)


def as_json(finding: Finding) -> dict[str, Any]:
    """Return a finding for programs."""
    return {
        "kind": finding.kind,
        "pipeline": finding.pipeline,
        "what": finding.what,
        "remedy": finding.remedy,
        "exit_code": finding.code,
    }

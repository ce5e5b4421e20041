"""Looks at folders for recordings that come, and waits in between: told by the system, else by looking again.

What the system tells is only a reason to look: what counts is what is there then.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, field

from cli.batching.sources import identity, looks_like_a_recording
from cli.render import printable
from cli.watching.arrivals import Arrivals
from eventlog.filesystem import file_system_of
from eventlog.inotify import Change, Inotify

_STEP_S = 0.1
"""How often it is asked whether to stop."""
_CHECK_S = 1.0
"""How often it is asked whether the folders are those that they were."""
_RESCAN_S = 60.0
"""How often everything is looked at in spite of being told: of a drive that is mounted below nobody tells."""
_LOOK_COST_MAX = 0.1
"""The part of the time that may go into looking at everything."""
_UNFINISHED_FOLDERS = (".crdownload", ".download")
"""Safari keeps a download in a folder until it is whole."""
_UNFINISHED = frozenset({"crdownload", "download", "filepart", "part", "partial", "temp", "tmp"})


def is_unfinished(name: str) -> bool:
    """Say whether a name says that the file isn't finished: `talk.wav.part`, `talk.temp.mp4`, `~talk.wav`.

    Of those that end otherwise than a recording nobody asks.
    """
    return name.startswith((".", "~")) or bool(_UNFINISHED & {*name.lower().split(".")[1:]})


@define
class _Root:
    """A folder that the user named.

    Attributes:
        seen: which one it was when it was last looked at; None: it isn't there.
        is_told: the system tells of what changes in it.
        next_s: when it is looked at as a whole.
    """

    path: str
    seen: tuple[int, int] | None
    is_told: bool
    next_s: float = 0.0


@define
class FolderWatch:
    """The recordings that come into folders, as they are whole.

    Args:
        folders: as the user wrote them; they exist, none lies in another.
        home: evt's own; what lies in there is no recording.
        arrivals: keeps which files have come.
        look_s: how often folders are looked at of which the system tells nothing.
        note: takes a sentence for the user.
        is_over: says whether to stop.
        poll: don't let the system tell.
        once: end when what is there has been handed out, but for what isn't whole by then.
    """

    folders: list[str]
    home: Path
    arrivals: Arrivals
    look_s: float
    note: Callable[[str], None]
    is_over: Callable[[], bool]
    poll: bool = False
    once: bool = False
    _told: Inotify | None = field(default=None, init=False)
    _said: set[str] = field(factory=set, init=False)
    _checked_s: float = field(default=0.0, init=False)

    def paths(self) -> Iterator[str]:
        """Yield each recording when it is whole; blocks in between. What is wrong is noted, never raised."""
        roots = [_Root(folder, identity(Path(folder)), self._is_told(folder)) for folder in self.folders]
        try:
            for root in roots:
                self._scan_root(root)
            end_s = time.monotonic() + self.arrivals.settle_s if self.once else float("inf")
            while not self.is_over():
                if (path := self._next()) is not None:
                    yield path
                elif time.monotonic() >= end_s or (self.once and not self.arrivals.coming()):
                    return
                else:
                    self._wait(roots)
        finally:
            if self._told is not None:
                self._told.close()

    def _next(self) -> str | None:
        while (path := self.arrivals.next()) is not None:
            if not is_unfinished(os.path.basename(path)):
                return path
            self.arrivals.ended(path)
            self._say(f"{path} is passed over: its name says that it isn't finished.")
        return None

    def _is_told(self, folder: str) -> bool:
        """Say whether the system tells of changes in a folder."""
        if self.poll or not sys.platform.startswith("linux") or not file_system_of(folder).safe:
            return False
        try:
            self._told = self._told or Inotify(only_closed=True)
        except OSError:
            return False
        return True

    def _wait(self, roots: list[_Root]) -> None:
        """Wait for a moment, and look at what the system tells of, or at what it is time for."""
        now_s = time.monotonic()
        next_s = min((root.next_s for root in roots if root.seen is not None), default=float("inf"))
        wait_s = max(0.0, min(_STEP_S, self.arrivals.due_s() - now_s, next_s - now_s))
        for change in self._changes(wait_s):
            self._take(change, roots)
        now_s = time.monotonic()
        if now_s >= self._checked_s + _CHECK_S:
            self._checked_s = now_s
            for root in roots:
                self._check(root)
        for root in roots:
            if root.seen is not None and root.next_s <= now_s:
                self._scan_root(root)

    def _changes(self, wait_s: float) -> list[Change]:
        if self._told is None:
            time.sleep(wait_s)
            return []
        try:
            return self._told.wait(wait_s)
        except OSError:  # what was told is lost
            return [Change("", "", is_new_folder=False)]

    def _take(self, change: Change, roots: list[_Root]) -> None:
        path = os.path.join(change.folder, change.name)
        if not change.folder:
            for root in roots:
                root.next_s = 0.0
        elif not change.name:
            self._checked_s = 0.0
        elif change.is_folder:
            if change.is_new_folder and self._is_watched(change.name, path):
                self._scan(path, set(), is_told=True)
            elif not os.path.lexists(path):
                self.arrivals.forget_below(path)
        elif looks_like_a_recording(change.name):
            self.arrivals.look(path)

    def _check(self, root: _Root) -> None:
        """See whether a folder is still there, and the one that it was."""
        found = identity(Path(root.path))
        if found is None and root.seen is not None:
            self.note(f"{printable(root.path)} is gone; evt waits for it to come back.")
        elif found is not None and root.seen is None:
            self.note(f"{printable(root.path)} is there again.")
        if found is not None and found != root.seen:
            root.seen, root.is_told = found, self._is_told(root.path)
            # What is not there now may come back with its drive, and then is known still.
            self._scan_root(root, forgets=False)
        root.seen = found

    def _scan_root(self, root: _Root, *, forgets: bool = True) -> None:
        begun_s = time.monotonic()
        files: set[str] = set()
        if self._scan(root.path, files, is_told=root.is_told) and forgets:
            self.arrivals.forget_below(root.path, files)
        now_s = time.monotonic()
        root.next_s = now_s + max(_RESCAN_S if root.is_told else self.look_s, (now_s - begun_s) / _LOOK_COST_MAX)

    def _scan(self, folder: str, files: set[str], *, is_told: bool) -> bool:
        """Look at a folder and those below it, and be told of them from now on; say whether all could be seen."""
        is_whole, waiting = True, [folder]
        while waiting:
            here = waiting.pop()
            try:
                if is_told:
                    self._be_told(here)
                with os.scandir(here) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                is_whole = False
                continue
            except OSError as error:
                self._say(f"{here} can't be looked into: {error.strerror}.")
                is_whole = False
                continue
            below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            waiting += [entry.path for entry in reversed(below) if self._is_watched(entry.name, entry.path)]
            for entry in entries:
                if looks_like_a_recording(entry.name):
                    files.add(entry.path)
                    self.arrivals.look(entry.path, is_local=is_told)
        return is_whole

    def _be_told(self, folder: str) -> None:
        assert self._told is not None, "somebody tells"
        try:
            self._told.watch(folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            raise
        except OSError as error:
            self._say(
                f"The system can't tell of changes in all folders ({error.strerror}; see the kernel's setting "
                f"fs.inotify.max_user_watches): {folder} is looked at once a minute instead."
            )

    def _is_watched(self, name: str, path: str) -> bool:
        """Say whether a folder below a watched one is looked into."""
        own = identity(self.home)
        if own is not None and identity(Path(path)) == own:
            self._say(f"{path} is evt's home; it is passed over.")
            return False
        return not name.startswith(".") and not name.endswith(_UNFINISHED_FOLDERS)

    def _say(self, text: str) -> None:
        """Note something once."""
        if text not in self._said:
            self._said.add(text)
            self.note(printable(text))

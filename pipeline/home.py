"""Where everything is kept: logs, artifacts, the digest cache and the user's configuration, in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from eventlog.values import Value
from projections.ids import base_of


@frozen(eq=False, repr=False)
class Home(Value):
    """The folder of one user's pipelines; private to that user. docs/files.md describes it."""

    root: Path

    @property
    def logs(self) -> Path:
        """One log per pipeline, in folders by the first two digits of its id."""
        return self.root / "logs"

    @property
    def index(self) -> Path:
        """Disposable: digests of recordings by what the file system says of them."""
        return self.root / "index.sqlite"

    @property
    def config(self) -> Path:
        """The user's own settings."""
        return self.root / "config.toml"

    @property
    def trusted(self) -> Path:
        """The folders whose settings files are believed, one path a line."""
        return self.root / "trusted"

    @property
    def services(self) -> Path:
        """What the user knows better about services: prices, models, limits; may not exist."""
        return self.root / "services.toml"

    @property
    def pace(self) -> Path:
        """Waits that services asked for, and who submits to them just now; disposable when nothing runs."""
        return self.root / "pace"

    @property
    def probed(self) -> Path:
        """Disposable: what was found out about models of servers, with the day; believed for a month."""
        return self.root / "probed.json"

    @property
    def voiceprints(self) -> Path:
        """Voices that the user lets be recognised; may not exist."""
        return self.root / "voiceprints"

    @property
    def watched(self) -> Path:
        """One file for each folder that was ever watched, locked while it is; disposable when nothing runs."""
        return self.root / "watched"

    @property
    def account_key(self) -> Path:
        """32 random bytes with which accounts are named in logs; `pipeline.calls.accounts` makes them."""
        return self.root / "account-key"

    @property
    def importing(self) -> Path:
        """Bundles on their way in; only there while one is, or after an import that was killed."""
        return self.root / "importing"

    @property
    def purging(self) -> Path:
        """Notes of what is being purged; only there while something is, or after a purge that was killed."""
        return self.root / "purging"

    def artifacts(self, pipeline: str) -> Path:
        """The files of one pipeline, in folders by the first two digits of its id as its log is.

        Older versions put each pipeline's folder into `artifacts` itself. What lies there stays there, and
        so do the variants of a base that lies there: a family is in one place.
        """
        folder = self.root / "artifacts"
        own, shared = folder / pipeline, folder / pipeline[:2] / pipeline
        if own.is_dir() or (not shared.is_dir() and (folder / base_of(pipeline)).is_dir()):
            return own
        return shared

    def pipelines_with_files(self) -> Iterator[str]:
        """Yield the name of each pipeline's folder of files, in no order; names that no pipeline has too."""
        for entry in _folders(str(self.root / "artifacts")):
            if len(entry.name) > 2:
                yield entry.name
            else:
                yield from (inner.name for inner in _folders(entry.path) if inner.name[:2] == entry.name)


def default_root() -> Path:
    """Return the folder of the home where nobody says otherwise: the user's folder of data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("evt", appauthor=False))


def _folders(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []

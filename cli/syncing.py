"""Whether a folder is one that a program copies to other machines: a log there can get a twin."""

from __future__ import annotations

from pathlib import Path

_NAMES = {
    "dropbox": "Dropbox",
    "onedrive": "OneDrive",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "mobile documents": "iCloud Drive",
    "nextcloud": "Nextcloud",
    "owncloud": "ownCloud",
    "syncthing": "Syncthing",
}
_MARKS = {".stfolder": "Syncthing", ".dropbox.cache": "Dropbox", ".owncloudsync.log": "Nextcloud or ownCloud"}


def synced_by(folder: Path) -> str | None:
    """Return whose folder a path lies in, by the names of its parents and what lies in them; None: nobody's."""
    for parent in (folder, *folder.parents):
        named = next((who for name, who in _NAMES.items() if parent.name.lower().startswith(name)), None)
        if named:
            return named
        for mark, who in _MARKS.items():
            if (parent / mark).exists():
                return who
    return None

"""Packages of other people: a module and a .dist-info with entry points, as pip leaves them in a folder."""

from pathlib import Path


def install(folder: Path, name: str, entry_points: str, files: dict[str, str], version: str = "1.0") -> Path:
    """Lay a package into a folder that is, or will be, on the search path, and return the folder."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    for file, content in files.items():
        (folder / file).write_text(content)
    return folder

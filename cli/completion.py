"""What a shell offers for a pipeline while a command is typed: ids, names, files. Imported only to complete.

A key was pressed, so no log is read and nothing is written: ids are the names of the logs, names are what the index
remembers, right or not; the command itself looks again. Commands that take pipelines are answered for without being
imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class
from click.types import StringParamType

from cli.home import load_home

RECORDINGS = frozenset({"run", "plan", "compare"})
"""Commands that take a recording in the first place, or a pipeline."""
PIPELINES = RECORDINGS | {
    *("accept", "archive", "bundle", "cleanup", "cost", "edit", "erase", "export", "head", "path"),
    *("replay", "salvage", "score", "show", "speakers", "tail", "validate"),
}
"""Commands whose arguments are pipelines; a test compares this with the commands themselves."""

OFFERED_MAX = 100
"""A longer list helps nobody; the newest come first."""
_SPECIAL = frozenset(" \t\"'\\$`!&;|<>()[]{}*?#~")


class Pipeline(StringParamType):
    """Something that a pipeline answers to."""

    name = "pipeline"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return ids and names that begin so; files where a recording is meant, or nothing else begins so."""
        wants_file = ctx.info_name in RECORDINGS and not incomplete
        found = [] if wants_file else offered(ctx.find_root().params.get("home"), incomplete)
        return [CompletionItem(text) for text in found] or [CompletionItem(incomplete, type="file")]


class Bash(BashComplete):
    """Bash puts words into the line as they are, so names are quoted."""

    def format_completion(self, item: CompletionItem) -> str:
        """Return an item as the script for bash expects it."""
        if item.type != "plain":
            return f"{item.type},{item.value}"
        quoted = "".join(f"\\{char}" if char in _SPECIAL else char for char in item.value)
        # The script's `read` takes one of two backslashes away.
        return f"plain,{quoted}".replace("\\", "\\\\")


def completed(name: str, imported: Callable[[str], click.Command], environment: Mapping[str, str]) -> click.Command:
    """Return what completes a command: a stand-in where only pipelines are typed, else the command itself.

    Args:
        name: the command's.
        imported: gives the command itself, which takes time.
        environment: what the shell says of the line.
    """
    if name in PIPELINES and " -" not in environment.get("COMP_WORDS", ""):
        return click.Command(name, params=[click.Argument(["pipelines"], nargs=-1, type=Pipeline())])
    command = imported(name)
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and name in PIPELINES:
            parameter.type = Pipeline()
    return command


def prepare() -> None:
    """Let bash be answered as it needs it."""
    add_completion_class(Bash, "bash")


def offered(home_flag: str | None, incomplete: str) -> list[str]:
    """Return what begins so of names and ids, the newest first; files of the current folder that do, too."""
    from pipeline.listing.listing import kept_folders

    home, _ = load_home(home_flag)
    rows = [row for folder in kept_folders(home.index).values() for row in folder.rows]
    rows.sort(key=lambda row: row.updated_at, reverse=True)
    names = (name for row in rows for name in row.names if isinstance(name, str) and name.isprintable())
    ids = (row.pipeline for row in rows)
    others = _ids(str(home.logs), incomplete)
    found = dict.fromkeys(
        text for text in (*_files(incomplete), *names, *ids, *others) if text.startswith(incomplete)
    )
    return list(found)[:OFFERED_MAX]


def _ids(logs: str, incomplete: str) -> Iterator[str]:
    """Yield the ids of logs that begin so, as far as one folder tells."""
    if len(incomplete) >= 2:
        for name in _names(os.path.join(logs, incomplete[:2])):
            pipeline = name.removesuffix(".zst").removesuffix(".jsonl")
            if pipeline != name and name.startswith(incomplete):
                yield pipeline


def _files(incomplete: str) -> Iterator[str]:
    if incomplete and os.sep not in incomplete:
        yield from (name for name in _names(".") if name.startswith(incomplete) and name.isprintable())


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []

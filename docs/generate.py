"""Write docs/cli.md, docs/events.md and the man page from the program itself: `make docs`.

A test fails when they are stale.
"""

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import click

from cli import exit_codes as codes
from cli import main as cli
from projections import events

DOCS = Path(__file__).resolve().parent
MAN = "man/evt.1"
MAN_FILES = (
    *(".TP", ".I ~/.local/share/evt", "Logs and artifacts, on Linux."),
    *(".TP", ".I ~/Library/Application Support/evt", "The same, on macOS."),
)

EXIT_CODES = {
    codes.OK: "Done, or there was nothing to do.",
    codes.FAILED: "Something failed; what is done is kept, and `evt run` goes on from there. "
    "`evt validate`: a file is missing or changed. `evt selftest`: this machine breaks a promise.",
    codes.USAGE: "The command line can't be understood.",
    codes.REFUSED: "Refused before anything was done: the recording, a setting or a folder can't be used, another "
    "run holds the log, or nothing answers to that ID.",
    codes.DAMAGED: "A log is damaged, gone, or written by a newer version. Nothing was changed.",
    codes.DECISION: "A decision of yours is needed before the run can go on; the message says which.",
    codes.INTERRUPTED: "Interrupted with Ctrl-C.",
    codes.TERMINATED: "Ended by SIGTERM.",
}

CLI_HEAD = """# Command line

`evt COMMAND --help` shows the same. Results go to stdout, progress and notes to stderr. Commands that report take
`--json`. What an option's value is when you don't give it: [settings.md](settings.md).

Where an **ID** is asked for, the first that fits counts: an exact id; a file that exists, whose content is looked
up; the first digits of an id; a recording's name. A variant is meant only by its id, or by digits and its number as
in `4f2a.2`. If several pipelines fit, evt lists them and stops with exit code 3.
"""

CLI_TAIL = """## Exit codes

| code | means |
|---|---|
{rows}

Of several recordings the worst counts: 130 and 143 before all, then 4, 5, 1, 3, 0.
"""

EVENTS_HEAD = """# Events

Each line of a pipeline's log is one event: something that happened, in the past tense. [format.md](format.md)
describes the line's envelope (`seq`, `time`, `pipeline`, `run`, the hashes) and the store's own records, whose type
begins with `log.`; this page says what stands in `data`. A field that is *optional* may be absent. Later versions
may add types and optional fields; what is below keeps its meaning.
"""

FIELDS = {
    "attempt": "number of the try of this stage, from 1",
    "billable": "whether it may cost money; false for everything that runs on this machine",
    "boot_id": "tells whether `pid` can still be that process",
    "call": "the call's id",
    "code": "a word for programs, e.g. `rate_limited`",
    "details": "what the provider said",
    "duration_s": "how long it took, in seconds",
    "error": "why",
    "evt_version": "the evt that created the pipeline",
    "host": "the machine's name",
    "http_status": "of the provider's answer",
    "input_path": "where the recording was, if it was at hand",
    "kind": "the class of failure; `local`: our own side",
    "latency_s": "how long the answer took, in seconds",
    "message": "for people",
    "metadata": "facts about the result: numbers and names, no speech",
    "operation": "`diarize` or `transcribe`",
    "outputs": "the files; later stages are keyed by the first",
    "path": "below the pipeline's folder of files",
    "pid": "the process",
    "provider": "who is asked, or failed",
    "request": "digest of everything that decides the answer",
    "request_id": "the provider's own name for the request",
    "response": "the stored answer",
    "retry_after_s": "how long the provider asked to wait, in seconds",
    "retryable": "whether the same request may succeed later",
    "sha256": "of the file's content",
    "size_bytes": "of the file",
    "stage": "`audio_conversion`, `diarization`, `transcription`, `merge` or `export`",
    "unit": "which part of the recording, for people",
    "user": "the account",
    "versions": "of evt, Python and the packages that may change a result",
}
"""Fields that mean the same wherever they stand; a class may explain its own in its `Attributes:`."""

FORMS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Json": "object",
    "ArtifactRef": "[file](#file)",
    "StageError": "[error](#error)",
}


_VALUES: dict[type, str] = {click.IntRange: "N", click.Path: "PATH", click.Choice: "STAGE"}


def pages() -> dict[str, str]:
    """Return the generated pages by their path below docs."""
    return {"cli.md": _cli_page(), "events.md": _events_page(), MAN: _man_page()}


def _man_page() -> str:
    """Return evt(1) in the macros of man(7): what `--help` says of every command, and the exit codes."""
    context = click.Context(cli.evt, info_name="evt")
    commands = {name: cli.evt.get_command(context, name) for name in cli.COMMANDS}
    lines = [
        '.\\" Made by docs/generate.py; change the help texts of the commands instead.',
        '.TH EVT 1 "" evt "User Commands"',
        *(".SH NAME", "evt \\- recordings to transcripts that say who said what, on an append-only log"),
        *(".SH SYNOPSIS", ".B evt", "[OPTIONS] COMMAND [ARGUMENTS]"),
        *(".SH DESCRIPTION", _roff(inspect.cleandoc(cli.evt.help or ""))),
        *(".SH OPTIONS", *_man_options(cli.evt)),
        ".SH COMMANDS",
        *(line for name, command in commands.items() if command for line in _man_command(name, command, context)),
        ".SH EXIT STATUS",
        *(line for code, text in EXIT_CODES.items() for line in (".TP", f".B {code}", _roff(text))),
        *(".SH FILES", *MAN_FILES),
        *(".SH SEE ALSO", r"The pages of the folder docs, above all cli.md, settings.md and files.md."),
    ]
    return "\n".join(lines) + "\n"


def _man_command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_roff(context.command_path)}"
    yield f".B {_roff(context.command_path)}"
    yield _roff(pieces)
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        title, _, example = paragraph.removeprefix("\b\n").partition("\n")
        if paragraph.startswith("\b"):
            yield from (".PP", _roff(title), ".PP", ".nf", _roff(inspect.cleandoc(example)), ".fi")
        else:
            yield from (".PP", _roff(paragraph))
    yield from _man_options(command)
    for inner, sub in (command.commands if isinstance(command, click.Group) else {}).items():
        yield from _man_command(inner, sub, context)


def _man_options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names, means = (cell.replace("`", "").replace("\\|", "|") for cell in _option(parameter))
            yield from (".TP", f".B {_roff(names)}", _roff(means))


def _roff(text: str) -> str:
    """Return text that man(7) prints as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    lines = [line.strip() for line in escaped.splitlines()]
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in lines)


def _cli_page() -> str:
    context = click.Context(cli.evt, info_name="evt")
    commands = {name: cli.evt.get_command(context, name) for name in cli.COMMANDS}
    parts = [
        CLI_HEAD,
        "Options before the command:\n",
        _options(cli.evt),
        _table(
            ("command", "does"),
            ((f"[`evt {name}`](#evt-{name})", _cell(text)) for name, text in cli.COMMANDS.items()),
        ),
        *(_command(name, command, context) for name, command in commands.items() if command is not None),
        CLI_TAIL.format(rows="\n".join(f"| {code} | {text} |" for code, text in EXIT_CODES.items())),
    ]
    return "\n".join(parts)


def _command(name: str, command: click.Command, parent: click.Context, level: str = "##") -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    inner = command.commands if isinstance(command, click.Group) else {}
    return "\n".join(
        [
            f"{level} {context.command_path}\n",
            f"```text\n{usage}\n```\n",
            *_help(command.help or ""),
            _options(command),
            *(_command(name, command, context, f"{level}#") for name, command in inner.items()),
        ]
    )


def _help(text: str) -> Iterator[str]:
    """Yield a help text's paragraphs; one that click prints as it stands becomes a block of code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        title, _, lines = paragraph.removeprefix("\b\n").partition("\n")
        if paragraph.startswith("\b"):
            yield f"{title}\n\n```sh\n{inspect.cleandoc(lines)}\n```\n"
        else:
            yield f"{paragraph}\n"


def _options(command: click.Command) -> str:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return _table(("option", "means"), (_option(option) for option in options))


def _option(option: click.Option) -> tuple[str, str]:
    value = "" if option.is_flag else f" {option.metavar or _VALUES.get(type(option.type), 'TEXT')}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    notes = [option.help or ""]
    if isinstance(option.type, click.Choice):
        notes.append(f"One of {', '.join(f'`{choice}`' for choice in option.type.choices)}.")
    if option.show_default:
        notes.append(f"Default: {option.default}.")
    if option.multiple and "repeat" not in notes[0]:
        notes.append("Can be repeated.")
    return _cell(names), _cell(" ".join(notes))


def _events_page() -> str:
    index = "\n".join(f"- [`{name}`](#{name.replace('.', '')})" for name in events.EVENTS)
    described = [_described(f"## `{event.type}`", event) for event in events.EVENTS.values()]
    values = [_described("### file", events.ArtifactRef), _described("### error", events.StageError)]
    return "\n".join([EVENTS_HEAD, index, "", *described, "## Values within events\n", *values])


def _described(title: str, cls: type) -> str:
    text, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    means = {**FIELDS, **dict(_attributes(attributes))}
    rows = [
        (f"`{field.name}`", _form(field), _cell(means.get(field.name, "see above"))) for field in attrs.fields(cls)
    ]
    return "\n".join([f"{title}\n", f"{text.strip()}\n", _table(("field", "form", "means"), rows)])


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, meaning) from an `Attributes:` section; what is indented further goes on with the one before."""
    entries: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line)
    for entry in entries:
        names, _, meaning = entry.partition(": ")
        for name in names.split(", "):
            yield name, meaning.rstrip(".")


def _form(field: "attrs.Attribute[object]") -> str:
    """Return a field's annotation in words."""
    kind = str(field.type)
    if kind.startswith("tuple["):
        items = kind.removesuffix(" | None")[6:-6].split(" | ")
        words = f"list of {' or '.join(f'{FORMS[item]}s' for item in items)}"
    else:
        words = " or ".join(FORMS[part] for part in kind.split(" | ") if part != "None")
    return words if field.default is attrs.NOTHING else f"{words}, optional"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:], ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the pages and say which of them changed."""
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

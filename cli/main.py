"""The entry point: finds the command, and is the one place that turns errors into exit codes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from cli.exit_codes import FAILED, INTERRUPTED, OK, REFUSED, USAGE, exit_code_of
from cli.output import prepare_streams, say

COMMANDS = {
    "run": "Transcribe recordings, or go on where a run stopped.",
    "watch": "Transcribe recordings as they come into folders.",
    "plan": "Say what `run` would do, and why, without doing it.",
    "list": "List the pipelines of this home.",
    "show": "Show one pipeline: stages, transcript, log.",
    "speakers": "List the speakers of a transcript, and give them names.",
    "edit": "Correct a transcript in your text editor.",
    "cost": "Sum what was paid, and what may have been.",
    "export": "Write a finished transcript in other formats or places.",
    "score": "Measure a transcript against a reference.",
    "compare": "Try other engines on a recording; see the transcripts side by side.",
    "tail": "Show the newest events; -f: as they happen.",
    "replay": "Rebuild a pipeline's state from its log alone.",
    "validate": "Check logs and artifacts against their digests.",
    "head": "Print the head of each log, to be kept elsewhere.",
    "salvage": "Set a damaged log aside; go on with what is good of it.",
    "accept": "Go on with a log of which records are lost, or may be.",
    "cleanup": "Free room: remove what can be made again.",
    "bundle": "Put pipelines into one file, to pass them on or keep them.",
    "import": "Take the pipelines of a bundle into this home.",
    "erase": "Remove all that was said in a recording, for good.",
    "archive": "Compress the logs of finished pipelines; all commands still read them.",
    "path": "Print where a pipeline's log and files are.",
    "providers": "List who finds speakers and words, and what each can do and costs.",
    "models": "List, get and remove the models of engines on this machine.",
    "voiceprint": "Let people be recognised by their voices.",
    "doctor": "Say what works here, what is lacking, and what to do.",
    "selftest": "Try on this disk and Python what the log promises.",
    "config": "Show every setting and where it comes from; set your own.",
    "trust": "Believe the settings file of a folder.",
    "completion": "Print what makes a shell complete commands, ids and names.",
    "help": "Show the help of a command, or a page on a topic.",
}


COMPLETES = "_EVT_COMPLETE"
"""The variable that a shell sets when it asks what could be typed. Source: click, of a program called evt."""

_FILES = {"import": "import_"}
"""Where a command's file can't have its name."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Import without looking for garbage: what is imported stays, and is never looked through again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


class LazyGroup(click.Group):
    """A group that imports a command's file when the command is called; its help texts are above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        if COMPLETES in os.environ:
            from cli.completion import completed

            return completed(cmd_name, _imported, os.environ)
        return _imported(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _imported(name: str) -> click.Command:
    with _no_collection():
        command: click.Command = import_module(f"cli.commands.{_FILES.get(name, name)}").command
    return command


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with:  evt run talk.wav   (then: evt list, evt show ID; evt help privacy, money, settings, …)",
)
@click.option(
    "--home", type=click.Path(), help="Folder of logs and artifacts (else $EVT_HOME, else your data folder)."
)
@click.option("--unsafe-fs", is_flag=True, help="Allow a home on a network file system, where a log can't be safe.")
@click.option("--offline", is_flag=True, help="Nothing leaves this machine, whatever the settings say.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--log-file", type=click.Path(dir_okay=False), help="Append to this file what evt does, for reports of defects."
)
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.option("-v", "--verbose", is_flag=True, help="More about what happens.")
@click.version_option(None, "-V", "--version", package_name="evt-transcribe", prog_name="evt")
@click.pass_context
def evt(context: click.Context, /, **options: Any) -> None:
    """From recordings to speaker-attributed transcripts, with a log that survives crashes and can be checked."""
    context.obj = options
    if options["log_file"] is not None:
        from cli.diagnostics import begin

        begin(options["log_file"], context.invoked_subcommand or "")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with a documented code."""
    prepare_streams()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    if sys.platform == "win32":
        say("evt: Windows itself is not supported; run it in WSL (the Windows Subsystem for Linux).", err=True)
        return REFUSED
    if COMPLETES in os.environ:
        from cli.completion import prepare

        prepare()
    try:
        result = evt.main(args=arguments, prog_name="evt", complete_var=COMPLETES, standalone_mode=False)
        return result if isinstance(result, int) else OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        say("evt: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        if COMPLETES in os.environ:
            return FAILED  # a message would stand in the line that is being typed
        return _explain(error, debug="--debug" in arguments)


def _note(error: Exception) -> None:
    """Let a file of diagnostics have the traceback, if there is one."""
    import logging

    logging.getLogger("evt.cli").debug("ended by an error", exc_info=error)


def _explain(error: Exception, *, debug: bool) -> int:
    from cli.render import printable, shown_error
    from eventlog.errors import EvtError

    _note(error)
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, EvtError):
        say(f"evt: {shown_error(error)}", err=True)
        return exit_code_of(error)
    if isinstance(error, OSError):
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        say(f"evt: {where}{error.strerror or error}. Mend that, then repeat the command.", err=True)
        return FAILED
    say(
        f"evt: this is a defect of evt ({type(error).__name__}: {printable(str(error))}). What was recorded is "
        "safe; please report it with the output of the same command with --debug.",
        err=True,
    )
    return FAILED

"""`evt edit`: correct a finished transcript in a text editor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from cli.annotating import Subject, record, subject_of
from cli.batching.items import gather, tell_error
from cli.corrections import correction_as_json, corrections_table, made_lines, summary_of
from cli.editor import editor_of, let_edit, written_down
from cli.exit_codes import OK
from cli.home import require_usable
from cli.outcomes import Outcome, tell
from cli.output import say
from cli.render import json_line, printable
from cli.settings.settings import load_settings
from cli.wiring import workshop_of
from pipeline.annotations.annotations import Annotate
from pipeline.annotations.edits import Standing, correcting, keeping, standing, undoing, withdrawing
from pipeline.delivery import require_writable
from pipeline.errors import EditError
from pipeline.speech.corrections.differences import corrections_of
from pipeline.speech.corrections.editable import EditedTextError, mark_of, paragraphs_of, text_of
from pipeline.speech.transcript import Transcript
from projections.state import PipelineState

_LAST = "the last"
_ALL = "all"
_KEEP, _DROP = "keep", "drop"


@frozen
class _Wish:
    """What is to be done with corrections that there are."""

    undo: str | None
    resolve: tuple[str, str] | None
    because: str | None


@click.command("edit", short_help="Correct a transcript in your text editor.")
@click.argument("pipeline", metavar="ID|NAME|FILE")
@click.option("--from", "source", metavar="FILE", help="Take the edited text from a file (-: stdin).")
@click.option("--print", "prints", is_flag=True, help="Print the text that can be edited, and change nothing.")
@click.option("--list", "lists", is_flag=True, help="List the corrections that hold, and those in conflict.")
@click.option(
    "--undo",
    is_flag=False,
    flag_value=_LAST,
    metavar="[N]",
    help="Take back correction N; without N, what was done last.",
)
@click.option(
    "--resolve",
    nargs=2,
    metavar="N keep|drop",
    help="End a conflict: keep puts the correction in the place of what stands there now, drop forgets it. "
    "N can be all.",
)
@click.option("--because", metavar="TEXT", help="Why, for whoever looks later; it is kept with the change.")
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the transcripts (default: this folder).")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, as_json: bool, **flags: Any) -> int:
    """Correct a finished transcript in your text editor ($VISUAL, $EDITOR).

    Change, add or delete words, change who speaks, divide or join paragraphs; then save and close. The
    transcripts are written again; nothing is transcribed or paid again. Corrections stay when the recording
    is transcribed again. Where other words stand then, they are in conflict: nothing is changed, and you
    are told.

    \b
    Examples:
      evt edit talk.wav
      evt edit talk.wav --print > talk.edit, then: evt edit talk.wav --from talk.edit
      evt edit talk.wav --list
      evt edit talk.wav --undo
      evt edit talk.wav --resolve 3 keep
    """
    wish = _Wish(flags["undo"], flags["resolve"], flags["because"])
    _require_one(wish, flags)
    settings = load_settings(obj["home"], flags["output_dir"], offline=obj["offline"])
    is_change = not (flags["prints"] or flags["lists"])
    if is_change:
        require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
        require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    items, refusals = gather([pipeline], shop.store, settings.home, settings.output_dir)
    for refusal in refusals:
        return tell_error(refusal.written, refusal.error)
    subject = subject_of(shop, items[0], settings, to_change="correct it" if is_change else "")
    if flags["prints"]:
        say(text_of(subject.read()[0]).rstrip("\n"))
        return OK
    if flags["lists"]:
        return _list(subject, as_json=as_json)
    if wish.undo is not None or wish.resolve is not None:
        outcome, state = record(subject, _intent(subject, wish), obj)
        return _tell(subject, outcome, state, 0, as_json=as_json)
    return _edit(subject, flags["source"], wish.because, obj, as_json=as_json)


def _require_one(wish: _Wish, flags: dict[str, Any]) -> None:
    chosen = [flags["source"], flags["prints"], flags["lists"], wish.undo, wish.resolve]
    if sum(map(bool, chosen)) > 1:
        raise click.UsageError("--from, --print, --list, --undo and --resolve exclude one another.")
    if wish.because and (flags["prints"] or flags["lists"] or wish.undo == _LAST):
        raise click.UsageError("--because says why something is corrected; here nothing is.")
    if wish.undo is not None and wish.undo != _LAST:
        _number(wish.undo, "--undo")
    if wish.resolve is not None:
        number, how = wish.resolve
        if how not in {_KEEP, _DROP}:
            raise click.UsageError(f"--resolve {number} is followed by keep or drop.")
        if number != _ALL:
            _number(number, "--resolve")


def _number(text: str, option: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        shown = printable(text)
        raise click.UsageError(f"{option} wants the number of a correction, as --list shows it; not {shown}.")
    return int(text)


def _intent(subject: Subject, wish: _Wish) -> Annotate:
    """Return what takes back or resolves corrections."""
    user = subject.shop.identity.user
    if wish.undo == _LAST:
        return undoing(user)
    if wish.undo is not None:
        return withdrawing([int(wish.undo)], wish.because, user)
    assert wish.resolve is not None, "one of both is wished"
    number, how = wish.resolve
    conflicts = [one.number for one in _standing(subject, subject.seen.state) if one.is_conflict]
    numbers = conflicts if number == _ALL else [int(number)]
    if not set(numbers) <= set(conflicts) or not numbers:
        which = "None is" if number == _ALL else f"Correction {number} is not"
        raise EditError(f"{which} in conflict. `evt edit {subject.item.pipeline} --list` shows all corrections.")
    if how == _DROP:
        return withdrawing(numbers, wish.because, user)
    return keeping(subject.merge, subject.conversion, numbers, wish.because, user)


def _edit(subject: Subject, source: str | None, because: str | None, obj: dict[str, Any], *, as_json: bool) -> int:
    """Let the user edit, and record what was changed; the edited text is removed only once that is recorded."""
    transcript, _ = subject.read()
    if source is not None:
        return _take(subject, transcript, lambda: _read(source), because, obj, as_json=as_json)
    editor, text = editor_of(os.environ, terminal=sys.stdin.isatty()), text_of(transcript)
    path = written_down(text, f"evt-edit-{subject.item.pipeline[:8]}")
    try:
        let_edit(editor, path)
        code = _take(subject, transcript, lambda: _read(str(path)), because, obj, as_json=as_json)
    except BaseException:
        _leave(path, text, subject.item.pipeline)
        raise
    path.unlink(missing_ok=True)
    return code


def _leave(path: Path, before: str, pipeline: str) -> None:
    """Keep a text that was edited and could not be taken, and say where it is."""
    if path.exists() and path.read_bytes() == before.encode():
        path.unlink()
        return
    where = printable(str(path))
    say(f"evt: your text is kept in {where}; `evt edit {pipeline} --from {where}` takes it from there.", err=True)


def _read(source: str) -> str:
    """Return an edited text.

    Raises:
        EditError: it can't be read.
    """
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise EditError(f"{printable(source)} can't be read: {error.strerror}. Check the name.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise EditError(f"{printable(source)}, line {line}: this is no UTF-8. Save the text as UTF-8.") from error


def _take(
    subject: Subject,
    transcript: Transcript,
    read: Callable[[], str],
    because: str | None,
    obj: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """Record what was changed in a text, if anything was."""
    text = read()
    transcript = _basis(subject, transcript, text)
    try:
        paragraphs = paragraphs_of(text, transcript)
    except EditedTextError as error:
        raise EditError(
            f"Line {error.line} of the text can't be understood: {error}. Nothing was changed."
        ) from error
    found = corrections_of(transcript.utterances, paragraphs)
    if not found:
        say(json_line({"pipeline": subject.item.pipeline, "made": []}) if as_json else "Nothing changed.")
        return OK
    annotate = correcting(transcript, found, because, subject.shop.identity.user)
    outcome, state = record(subject, annotate, obj)
    return _tell(subject, outcome, state, len(found), as_json=as_json)


def _basis(subject: Subject, transcript: Transcript, text: str) -> Transcript:
    """Return the transcript that a text was made of: an older one, where something was said of it since.

    Raises:
        EditError: it isn't known any more.
    """
    mark = mark_of(text)
    if mark in {None, mark_of(text_of(transcript))}:
        return transcript
    for until in reversed(range(len(subject.seen.state.annotations))):
        older = subject.read(until=until)[0]
        if mark == mark_of(text_of(older)):
            return older
    raise EditError(
        "This text was made of another transcript than there is now: it was transcribed again since, or something "
        "was taken back. Print it again and make your changes there. (Without its line `# As of …` it is taken as "
        "it stands, and what differs from it is changed.)"
    )


def _standing(subject: Subject, state: PipelineState) -> tuple[Standing, ...]:
    return standing(state, subject.merge, subject.conversion, subject.artifacts)


def _list(subject: Subject, *, as_json: bool) -> int:
    held = _standing(subject, subject.seen.state)
    if as_json:
        say(
            json_line({"pipeline": subject.item.pipeline, "corrections": [correction_as_json(one) for one in held]})
        )
    else:
        say(corrections_table(held))
    return OK


def _tell(subject: Subject, outcome: Outcome, state: PipelineState, made: int, *, as_json: bool) -> int:
    """Say what was recorded, and what came of the transcripts."""
    held = _standing(subject, state)
    new = sorted(held, key=lambda one: one.number)[len(held) - made :]
    if as_json:
        report = {"made": [one.number for one in new], "corrections": [correction_as_json(one) for one in held]}
        say(json_line({**outcome.as_json(), **report}))
    else:
        for line in [*made_lines(new), summary_of(held)]:
            say(line)
    tell(outcome, as_json=as_json, quiet=False)
    return outcome.code

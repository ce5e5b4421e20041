"""`evt speakers`: who speaks in a finished transcript, and how they are called."""

from __future__ import annotations

from typing import Any

import click
from attrs import frozen

from cli.annotating import Subject, record, subject_of
from cli.batching.items import gather, tell_error
from cli.batching.roll import Item
from cli.exit_codes import OK
from cli.home import require_usable
from cli.outcomes import Outcome, tell
from cli.output import say
from cli.render import json_line, printable, seconds, table
from cli.settings.settings import load_settings
from cli.wiring import workshop_of
from pipeline.annotations.annotations import Annotate
from pipeline.annotations.speakers import differences, naming, naming_of, split_name, undoing
from pipeline.delivery import require_writable
from pipeline.errors import ArtifactMissingError
from pipeline.speech.naming import apply, as_content
from pipeline.speech.speakers import Speaker, speakers_of
from pipeline.speech.times import clock
from pipeline.speech.transcript import Transcript


@frozen
class _Wish:
    """What is to be changed."""

    names: tuple[str, ...]
    same: tuple[tuple[str, str], ...]
    undo: bool
    because: str | None

    @property
    def is_any(self) -> bool:
        return bool(self.names or self.same or self.undo)


@click.command("speakers", short_help="List the speakers of a transcript, and give them names.")
@click.argument("pipeline", metavar="ID|NAME|FILE")
@click.option("--name", "names", multiple=True, metavar="SPEAKER=NAME", help="Call a speaker so. Can be repeated.")
@click.option(
    "--same",
    multiple=True,
    nargs=2,
    metavar="SPEAKER SPEAKER",
    help="Both are one person; the second becomes the first. Can be repeated.",
)
@click.option("--undo", is_flag=True, help="Take back the last change; once more, the one before it.")
@click.option("--because", metavar="TEXT", help="Why, for whoever looks later; it is kept with the change.")
@click.option("-o", "--output-dir", type=click.Path(), help="Folder for the transcripts (default: this folder).")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, pipeline: str, as_json: bool, **flags: Any) -> int:
    """List the speakers of a finished transcript, and give them names.

    A speaker is written as its label, or as the name that it has. After a change the transcripts are written
    again; nothing is transcribed or paid again, and the recording isn't needed. Names stay when the recording
    is transcribed again, and go to whoever speaks at the same times when its speakers are found again.

    \b
    Examples:
      evt speakers talk.wav
      evt speakers talk.wav --name SPEAKER_00="Anna Müller" --name SPEAKER_01=Ben
      evt speakers talk.wav --same SPEAKER_00 SPEAKER_02
      evt speakers talk.wav --undo
    """
    wish = _Wish(flags["names"], flags["same"], flags["undo"], flags["because"])
    if wish.undo and (wish.names or wish.same or wish.because):
        raise click.UsageError("--undo stands alone; it takes back the last change.")
    if wish.because is not None and not wish.is_any:
        raise click.UsageError("--because says why something is changed; name what, with --name or --same.")
    settings = load_settings(obj["home"], flags["output_dir"], offline=obj["offline"])
    if wish.is_any:
        require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
        require_writable(settings.output_dir)
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    items, refusals = gather([pipeline], shop.store, settings.home, settings.output_dir)
    for refusal in refusals:
        return tell_error(refusal.written, refusal.error)
    (item,) = items
    subject = subject_of(shop, item, settings, to_change="name its speakers" if wish.is_any else "")
    if not wish.is_any:
        _show(item, *subject.read(), as_json=as_json)
        return OK
    before, annotate = _intent(subject, wish)
    outcome, state = record(subject, annotate, obj)
    _tell(item, outcome, before, subject.read(state), changed=annotate is not None, as_json=as_json)
    return outcome.code


def _intent(subject: Subject, wish: _Wish) -> tuple[Transcript | None, Annotate | None]:
    """Return the transcript of before, and what records the wish; None where it is fulfilled already."""
    user = subject.shop.identity.user
    if wish.undo:
        try:
            return subject.read()[0], undoing(user)
        except ArtifactMissingError:
            return None, undoing(user)  # perhaps it is just that file which is lost
    before, _ = subject.read()
    pairs = [split_name(before, written) for written in wish.names]
    wanted = naming_of(before, pairs, wish.same, wish.because)
    if apply(before, as_content(wanted)).transcript == before:
        return before, None
    return before, naming(subject.merge, subject.conversion, pairs, wish.same, wish.because, user)


def _tell(
    item: Item,
    outcome: Outcome,
    before: Transcript | None,
    after: tuple[Transcript, tuple[str, ...]],
    *,
    changed: bool,
    as_json: bool,
) -> None:
    transcript, notes = after
    said = differences(before, transcript) if before is not None else ("The last change was taken back.",)
    if as_json:
        report = {**_as_json(item, transcript, notes), "changes": list(said), **outcome.as_json()}
        say(json_line({**report, "notes": [*notes, *outcome.notes]}))
    else:
        for line in said or ["Nothing changed." if changed else "Nothing is to be changed; it is so already."]:
            say(printable(line))
    tell(outcome, as_json=as_json, quiet=False)


def _show(item: Item, transcript: Transcript, notes: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        say(json_line(_as_json(item, transcript, notes)))
        return
    found = speakers_of(transcript)
    rows = [_row(speaker) for speaker in found]
    say(table(rows, ("LABEL", "NAME", "TALK", "SHARE", "WORDS", "SAYS")) if rows else "Nobody was heard to speak.")
    for note in notes:
        say(f"Note: {printable(note)}", err=True)


def _row(speaker: Speaker) -> tuple[str, ...]:
    sample = speaker.sample
    said = f"[{clock(sample.start_s)}] {sample.text}" if sample else ""
    cells = (speaker.label, speaker.name or "", seconds(speaker.talk_s), f"{speaker.share:.0%}", str(speaker.words))
    return tuple(printable(cell) for cell in (*cells, said))


def _as_json(item: Item, transcript: Transcript, notes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "pipeline": item.pipeline,
        "speakers": [
            {
                "label": speaker.label,
                "name": speaker.name,
                "talk_s": round(speaker.talk_s, 3),
                "share": round(speaker.share, 3),
                "words": speaker.words,
                "sample": {"text": speaker.sample.text, "start_s": round(speaker.sample.start_s, 3)}
                if speaker.sample
                else None,
            }
            for speaker in speakers_of(transcript)
        ],
        "notes": list(notes),
    }

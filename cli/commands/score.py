"""`evt score`: how far a transcript is from a reference."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import click
from attrs import asdict, frozen

from cli.errors import NotFinishedError
from cli.exit_codes import OK
from cli.home import load_home
from cli.lookup import find_pipeline
from cli.render import json_line, printable, shown_name
from cli.reports.score import report_lines
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.errors import SourceRejectedError
from pipeline.home import Home
from pipeline.references import READERS, read
from pipeline.references.text import ReferenceFileError
from pipeline.references.values import Accounts
from pipeline.scoring import NotPossible, Settings, paired, score
from pipeline.speech.metrics import BASIC, NORMALISERS
from projections.fold import fold, initial_state
from projections.graph import EXPORT, FORMATS
from projections.state import SUCCEEDED, PipelineState

_SIZE_MAX_BYTES = 1 << 28
"""More than any transcript: what is larger was hardly meant, and would fill the memory."""

_COLLAR_MAX_S = 60.0


@click.command("score", short_help="Measure a transcript against a reference.")
@click.argument("transcript", metavar="ID|NAME|FILE")
@click.option(
    "-r",
    "--reference",
    required=True,
    type=click.Path(),
    help=f"The truth, a file: {', '.join(f'.{name}' for name in READERS)}.",
)
@click.option(
    "--collar",
    type=float,
    callback=lambda context, option, value: _collar_s(value),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="So near to the start or end of a true turn, on either side, turns aren't judged.",
)
@click.option("--no-overlap", is_flag=True, help="Don't judge turns where several people truly speak at once.")
@click.option(
    "--normalise",
    type=click.Choice(tuple(NORMALISERS)),
    default=BASIC,
    show_default=True,
    metavar="none|basic",
    help="How words are made alike before they are compared: `basic` passes over case and punctuation.",
)
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def command(obj: dict[str, Any], /, transcript: str, reference: str, as_json: bool, **flags: Any) -> int:
    """Say how many words are wrong or at the wrong speaker, and how much speech was missed or given to another.

    The transcript is a finished pipeline, or a file of one of the formats that a reference can have. What a
    reference doesn't tell can't be measured: without times there is no DER, without speakers no cpWER.
    docs/scoring.md explains the figures.

    \b
    Examples:
      evt score talk.wav --reference talk.stm
      evt score 4f2a --reference talk.rttm --collar 0.25 --no-overlap
      evt score other-program.srt --reference talk.txt --json
    """
    judged = _judged(transcript, obj["home"])
    truth = _read(reference)
    pairs, notes = paired(truth, judged.accounts, judged.recording)
    settings = Settings(flags["normalise"], flags["collar"], not flags["no_overlap"])
    results = score(pairs, settings)
    if as_json:
        metrics = {
            name.lower(): {"not_possible": result.reason}
            if isinstance(result, NotPossible)
            else {"rate": result.rate, **asdict(result)}
            for name, result in results.items()
        }
        what = {"transcript": judged.name, "pipeline": judged.pipeline, "reference": printable(reference)}
        click.echo(
            json_line({**what, "settings": asdict(settings), "recordings": len(pairs), "notes": notes, **metrics})
        )
        return OK
    lines = [f"{judged.name} against {reference}", "", *report_lines(results, settings, notes)]
    click.echo("\n".join(printable(line) for line in lines))
    return OK


def _collar_s(value: float) -> float:
    # The ranges of click let `nan` pass.
    if not 0.0 <= value <= _COLLAR_MAX_S:
        raise click.BadParameter(f"{value} is not a number of seconds from 0 to {_COLLAR_MAX_S:g}.")
    return value


@frozen
class _Judged:
    """What is measured.

    Attributes:
        name: for people.
        pipeline: its id; None for a file.
        recording: what a reference of several recordings would call it.
    """

    name: str
    pipeline: str | None
    recording: str
    accounts: Accounts


def _judged(written: str, home_option: str | None) -> _Judged:
    """Read the file, or the newest export of the pipeline, that is meant."""
    suffix = PurePath(written).suffix
    if suffix.lower().removeprefix(".") in READERS and os.path.lexists(written):
        return _Judged(printable(written), None, PurePath(written).stem, _read(written))
    if os.path.isfile(written) and suffix.lower().removeprefix(".") in FORMATS:
        raise SourceRejectedError(
            f"{printable(written)} can't be measured: of transcripts in files, {', '.join(READERS)} can be read. "
            "Name the recording or its ID instead."
        )
    home, _ = load_home(home_option)
    store = Store(str(home.logs))
    pipeline = find_pipeline(written, store, home)
    state = fold(initial_state(pipeline), store.stream(pipeline))
    name = shown_name(state.input_file)
    return _Judged(f"{name} ({pipeline})", pipeline, PurePath(name).stem, _exported(state, home))


def _exported(state: PipelineState, home: Home) -> Accounts:
    done = [attempt for attempt in state.attempts.get(EXPORT, ()) if attempt.status == SUCCEEDED]
    if not done:
        raise NotFinishedError(
            f"The transcript of {state.pipeline_id} is not finished. `evt run {state.pipeline_id}` goes on with it."
        )
    ref = next((ref for ref in done[-1].outputs if ref.path.endswith(".json")), None)
    if ref is None:
        raise NotFinishedError(
            f"The transcript of {state.pipeline_id} was not exported as JSON, which is what is measured. "
            f"`evt export {state.pipeline_id} --format json` does that."
        )
    return read(Artifacts(home.artifacts(state.pipeline_id)).open(ref).read_bytes(), "json")


def _read(written: str) -> Accounts:
    """Read a reference, or a file that is judged; an error names the file."""
    path = Path(written)
    if not path.is_file():
        raise SourceRejectedError(f"{printable(written)} is not there, or not a file. Give a file to read.")
    if path.stat().st_size > _SIZE_MAX_BYTES:
        raise SourceRejectedError(f"{printable(written)} is larger than any transcript. Give another file.")
    try:
        return read(path.read_bytes(), path.suffix)
    except ReferenceFileError as error:
        raise ReferenceFileError(f"{printable(written)}: {error}") from error

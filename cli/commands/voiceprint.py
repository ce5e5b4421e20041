"""`evt voiceprint`: voices that may be recognised by name."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from cli.errors import BlockedError, DecisionNeededError, SettingsError
from cli.exit_codes import DECISION, FAILED, INTERRUPTED, OK, REFUSED, TERMINATED
from cli.holder import naming_the_holder
from cli.home import load_home, require_usable
from cli.options import limit_options
from cli.output import say
from cli.progress import make_reporter
from cli.render import json_line, moment, printable, table
from cli.settings.settings import load_settings
from cli.signals import stop_on_signals
from cli.wiring import workshop_of
from eventlog.errors import EvtError
from pipeline import runner, voiceprint_run
from pipeline.look import Look, look
from pipeline.providers.diarize_pyannoteai import VOICEPRINT_S
from pipeline.providers.voiceprints import Voiceprint, Voiceprints, name_problem, voiceprint_id
from pipeline.recordings import Recording, identify, pipeline_id_of
from pipeline.runner import RunResult
from pipeline.stages.voiceprint import require_short
from pipeline.workshop import Workshop
from projections.graph import VOICEPRINT
from projections.money import Money
from projections.options import Named
from projections.plan import Plan


@click.group(
    "voiceprint", short_help="Let people be recognised by their voices.", subcommand_metavar="create|list|delete …"
)
def command() -> None:
    """Let people be recognised by their voices, with their consent.

    A voiceprint is made by pyannoteAI, of up to 30 seconds in which only that person speaks. It is kept in
    the home, and sent only where --identify names it.

    \b
    Examples:
      evt voiceprint create Anna anna.wav
      evt run talk.wav --diarizer pyannoteai --identify Anna,Ben
    """


@frozen
class _Job:
    """What is to be made."""

    name: str
    recording: Recording
    seen: Look
    plan: Plan


@command.command("create", short_help="Make the voiceprint of a person (paid).")
@click.argument("name")
@click.argument("recording", metavar="FILE", type=click.Path())
@click.option("--yes", is_flag=True, help="Make it without asking: it may cost that much, and the person consents.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def create(obj: dict[str, Any], /, name: str, recording: str, yes: bool, as_json: bool, **flags: Any) -> int:
    """Make the voiceprint of the person NAME of a FILE in which only that person speaks, 30 seconds at most.

    The sound goes to pyannoteAI, which costs money; what it will cost is said before. The log of the
    recording takes note of the call as of any other, and never of the name.
    """
    if problem := name_problem(name):
        raise SettingsError(f"{printable(name)} can't be the name of a voiceprint: {problem}.")
    settings = load_settings(obj["home"], flags=flags, offline=obj["offline"])
    require_usable(settings.home, unsafe_fs=obj["unsafe_fs"])
    settings = settings.with_accounts()
    shop = workshop_of(settings, unsafe_fs=obj["unsafe_fs"])
    job = _job(shop, name, identify(Path(recording), settings.home.index))
    _require_unblocked(job, recording)
    for line in _terms(shop, job):
        say(line, err=True)
    if not yes and not (not as_json and _is_asked_and_said("Make it, with that person's consent?")):
        say("evt: nothing was sent and nothing was changed; --yes makes it.", err=True)
        return DECISION
    reporter = make_reporter(quiet=obj["quiet"], verbose=obj["verbose"])
    received = stop_on_signals(shop)
    try:
        with naming_the_holder(shop.store):
            result = voiceprint_run.make(shop, job.seen, job.recording, reporter)
    finally:
        reporter.close()
        shop.providers.close()
    if received:
        return TERMINATED if received[0] == signal.SIGTERM else INTERRUPTED
    if result.outcome != runner.COMPLETED:
        return _tell_failure(result, name, recording)
    _keep(shop, job, result, as_json=as_json)
    return OK


@command.command("list", short_help="List the voiceprints that there are.")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout as JSON.")
@click.pass_obj
def list_(obj: dict[str, Any], /, as_json: bool) -> None:
    """List whose voiceprints there are: name, id, when each was made and of which recording."""
    home, _ = load_home(obj["home"])
    kept = Voiceprints(home.voiceprints).all()
    if as_json:
        click.echo(json_line([_as_json(one) for one in kept]))
    elif not kept:
        click.echo("There are no voiceprints; `evt voiceprint create NAME FILE` makes one.")
    else:
        rows = [(printable(one.name), one.id, moment(one.created_at), printable(one.pipeline)) for one in kept]
        click.echo(table(rows, ("NAME", "ID", "MADE (UTC)", "OF")))


@command.command("delete", short_help="Remove the voiceprint of a person.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Remove it without asking.")
@click.pass_obj
def delete(obj: dict[str, Any], /, name: str, yes: bool) -> int:
    """Remove the voiceprint of NAME; nobody is recognised by it any more. Transcripts keep the name."""
    home, _ = load_home(obj["home"])
    kept = Voiceprints(home.voiceprints)
    made_of = next((one.pipeline for one in kept.all() if one.name == name), None)
    if made_of is not None and not yes and not _is_asked_and_said(f"Remove the voiceprint of {printable(name)}?"):
        say("evt: nothing was removed; --yes removes it.", err=True)
        return DECISION
    kept.remove(name)
    answers = home.artifacts(str(made_of)) / VOICEPRINT
    say(f"Removed. The service's answer is still in {printable(str(answers))}, with the recording.", err=True)
    return OK


def _job(shop: Workshop, name: str, recording: Recording) -> _Job:
    pipeline = pipeline_id_of(recording, shop.store)
    seen = look(shop, pipeline, recording, Named(once={"diarizer": "builtin", "transcriber": "builtin"}), _nowhere)
    return _Job(name, recording, seen, voiceprint_run.plan_of(shop, seen.state, recording, frozenset()))


def _stated_s(job: _Job) -> float | None:
    """Return how long the recording says it is."""
    from pipeline.audio.sandbox.client import stated_s

    return stated_s(job.recording.path)


def _nowhere(*_: Any) -> None:
    """Nothing is delivered."""


def _require_unblocked(job: _Job, written: str) -> None:
    if (stated := _stated_s(job)) is not None:
        require_short(stated)
    if job.plan.blocked:
        raise BlockedError(f"Nothing was begun: {job.plan.blocked[0].reason}.")
    if job.plan.asks:
        raise DecisionNeededError(_in_doubt(job.plan, job.name, written))


def _in_doubt(plan: Plan, name: str, written: str) -> str:
    """Return the question; `--in-doubt` belongs to this command here, not to `evt run`."""
    asks = "; ".join(step.reason.partition("; `evt run")[0] for step in plan.asks)
    return f"{asks}. `evt voiceprint create {name} {written} --in-doubt repeat` sends it once more."


def _terms(shop: Workshop, job: _Job) -> list[str]:
    """Return what must be known before it is made."""
    step = job.plan.stages[1]
    engine = shop.providers.voiceprinter().engine()
    if step.reused is not None:
        cost = "It was made of this recording before, so nothing is sent and it costs nothing."
    else:
        seconds = _stated_s(job) or VOICEPRINT_S
        price = step.price.expected if step.price else engine.price.expected(seconds) if engine.price else None
        costs = "nothing, as it is a server of yours" if not engine.billable else _amount(price)
        cost = f"The sound goes to pyannoteAI ({printable(engine.origin)}), which costs {costs}."
    lines = [cost, "A voiceprint is biometric data: it needs the consent of that person."]
    if job.name in Voiceprints(shop.home.voiceprints).names():
        lines.append(f"It takes the place of the voiceprint of {printable(job.name)} that is there.")
    return lines


def _amount(price: Money | None) -> str:
    return f"about {price}" if price else "an unknown amount"


def _is_asked_and_said(question: str) -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and click.confirm(question, err=True)


def _tell_failure(result: RunResult, name: str, written: str) -> int:
    errors = list(result.failures.values())
    rejected = bool(errors) and all(error.code == "source_rejected" for error in errors)
    said = "; ".join(error.message for error in errors) or "; ".join(step.reason for step in result.plan.blocked)
    if result.plan.asks:
        said = _in_doubt(result.plan, name, written)
    again = "" if rejected else " The same command goes on from there; nothing is paid twice."
    say(f"evt: {printable(written)}: {printable(said)}{again}", err=True)
    return DECISION if result.outcome == runner.NEEDS_DECISION else REFUSED if rejected else FAILED


def _keep(shop: Workshop, job: _Job, result: RunResult, *, as_json: bool) -> None:
    text, kept = voiceprint_run.result_of(shop, result), Voiceprints(shop.home.voiceprints)
    made_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        kept.save(job.name, text, result.pipeline, made_at)
    except OSError as error:
        raise EvtError(
            f"The voiceprint is made, but {shop.home.voiceprints} can't be written: {error.strerror}. Mend that "
            "and repeat the command; it costs nothing again."
        ) from error
    made = Voiceprint(job.name, text, result.pipeline, made_at)
    if as_json:
        say(json_line(_as_json(made)))
    else:
        name = printable(job.name)
        say(f"{name}: {voiceprint_id(text)}; `--identify {name}` recognises that voice.")


def _as_json(one: Voiceprint) -> dict[str, Any]:
    return {"name": one.name, "id": one.id, "created_at": one.created_at, "pipeline": one.pipeline}

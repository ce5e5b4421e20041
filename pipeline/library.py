"""evt for other programs: one function with the guarantees of `evt run`. docs/library.md is its manual.

It reads no settings file and no variable of evt's, installs no signal handler and prints nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

import orjson
from attrs import evolve, frozen

from pipeline import runner
from pipeline.annotations.speakers import newest, read_transcript
from pipeline.artifacts import Artifacts
from pipeline.calls.accounts import account_of, home_key
from pipeline.delivery import Delivery, Target, deliver, delivered_to, require_writable, stems_of
from pipeline.endings import causes, decisions, is_of_the_recording, require_unblocked, what_is_kept
from pipeline.errors import (
    DecisionNeededError,
    RunFailedError,
    SettingsError,
    SourceRejectedError,
    StoppedError,
)
from pipeline.forks import take_over
from pipeline.formats import FORMATS
from pipeline.home import Home, default_root
from pipeline.look import Look, look
from pipeline.providers.remote import Access
from pipeline.recordable import recordable
from pipeline.recordings import identify, joined, pipeline_id_of
from pipeline.secret import Secret
from pipeline.speech.naming import with_names
from pipeline.speech.transcript import Transcript
from pipeline.wiring import settle_home, shop_of
from pipeline.wishes import checked, contradiction
from pipeline.work import Reporter
from pipeline.workshop import Workshop
from projections.limits import NO_LIMITS, Limits
from projections.options import Named
from projections.plan import Plan, StagePlan
from projections.state import Attempt, PipelineState

WHERE = "transcribe()"
"""What messages call the place where an option was given."""


class Wishes(TypedDict, total=False):
    """The options that can change a result, as docs/settings.md describes them. Each that is given is recorded."""

    track: int | None
    start_s: float | str | None
    end_s: float | str | None
    speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    identify: list[str] | None
    language: str
    prompt: str | None
    keywords: list[str] | None
    allow_gaps: bool
    diarizer: str
    transcriber: str
    model: str | None
    formats: list[str]


@frozen
class Result:
    """A finished recording.

    Attributes:
        pipeline: its id, for `evt show` and the other commands.
        transcript: who said what when, with the names that the user gave.
        files: the delivered transcripts by format; empty where no folder was named.
        ran: the stages that ran; empty where everything was there already.
        notes: what the plan had to say, as sentences.
    """

    pipeline: str
    transcript: Transcript
    files: Mapping[str, Path]
    ran: tuple[str, ...]
    notes: tuple[str, ...]

    def render(self, format_name: str) -> str | bytes:
        """Return the transcript in a format of docs/formats.md; KeyError if there is none of that name."""
        return FORMATS[format_name](self.transcript)

    def as_json(self) -> dict[str, Any]:
        """Return what docs/transcript-json.md describes."""
        document: dict[str, Any] = orjson.loads(self.render("json"))
        return document


def transcribe(
    path: str | Path | Sequence[str | Path],
    *,
    home: str | Path | None = None,
    output_dir: str | Path | None = None,
    keys: Mapping[str, str] | None = None,
    urls: Mapping[str, str] | None = None,
    offline: bool = False,
    limits: Limits = NO_LIMITS,
    reporter: Reporter | None = None,
    stop: threading.Event | None = None,
    **options: Unpack[Wishes],
) -> Result:
    """Transcribe a recording, or go on where an earlier call, or `evt run`, stopped; return the transcript.

    What is done is done once: a second call returns what the first one made. A killed process costs at most the
    calls that were under way.

    Args:
        path: the recording; several are parts of one, in their order.
        home: the folder of logs and artifacts; None: the user's own, as for `evt`.
        output_dir: where transcripts are delivered; None: nowhere.
        keys: keys of services, by the provider's name. None is ever logged.
        urls: base URLs of services, by the provider's name.
        offline: nothing leaves this machine, whatever else is asked for.
        limits: what may be spent, repeated and waited for.
        reporter: is told how it goes, from several threads.
        stop: set it from another thread to end early.
        options: as in docs/settings.md, among them track, start_s and end_s (seconds, or text as `1:30`).

    Raises:
        SettingsError: an option or the home can't be used; nothing was begun.
        SourceRejectedError: the recording can't be used.
        BlockedError: the plan can't be carried out as wished; nothing was begun.
        DecisionNeededError: money or a decision is needed; what is done is kept.
        RunFailedError: a stage failed; what is done is kept.
        StoppedError: `stop` was set; what is done is kept.
        LogError: the log is locked, damaged or gone, or the disk failed.
    """
    place = _home(home)
    named = recordable(Named(options=_checked(options)), place)
    forbids = "offline" if offline else ""
    with _shop(place, limits, keys or {}, urls or {}, forbids, stop) as shop:
        paths = [Path(path)] if isinstance(path, str | Path) else [Path(part) for part in path]
        return _transcribe(shop, paths, named, output_dir, reporter or _Quiet())


def _transcribe(
    shop: Workshop, paths: Sequence[Path], named: Named, output_dir: str | Path | None, reporter: Reporter
) -> Result:
    if not paths:
        raise SourceRejectedError(f"{WHERE}: there is no recording without a file.")
    recording = joined([identify(path, shop.home.index) for path in paths])
    pipeline = pipeline_id_of(recording, shop.store)
    target = None
    if output_dir is not None:
        require_writable(Path(output_dir))
        name = paths[0].name
        target = Target(Path(output_dir), stems_of([(pipeline, name)])[pipeline, name])
    delivered = delivered_to(target)
    take_over(shop, pipeline, recording, named)
    seen = look(shop, pipeline, recording, named, delivered)
    plan, state = seen.plan, seen.state
    ran: tuple[str, ...] = ()
    if not seen.is_settled:
        require_unblocked(seen)
        result = runner.run(shop, seen, recording, named, delivered, reporter)
        _require_completed(result)
        plan, state, ran = result.plan, result.state, result.ran
    deliveries = _delivered(shop, seen, target, plan, state)
    return Result(pipeline, _transcript(shop, state), {one.format: one.path for one in deliveries}, ran, plan.notes)


def _delivered(
    shop: Workshop, seen: Look, target: Target | None, plan: Plan, state: PipelineState
) -> list[Delivery]:
    if target is None:
        return []
    artifacts = Artifacts(shop.home.artifacts(seen.pipeline))
    return deliver(target, plan, state, artifacts, seen.options["formats"].value)


def _transcript(shop: Workshop, state: PipelineState) -> Transcript:
    made = newest(state)
    assert made is not None, "a completed pipeline has a transcript"
    transcript, _ = read_transcript(state, *made, Artifacts(shop.home.artifacts(state.pipeline_id)))
    return with_names(transcript)


def _require_completed(result: runner.RunResult) -> None:
    """Raise what a run's ending means to the caller, in the words of `evt run`."""
    if result.outcome == runner.COMPLETED:
        return
    if result.outcome == runner.NEEDS_DECISION:
        raise DecisionNeededError(decisions(result))
    if result.outcome == runner.FAILED:
        if is_of_the_recording(result):
            raise SourceRejectedError(causes(result))
        message = f"{causes(result)} {what_is_kept(result)}"
        error = RunFailedError(message, pipeline=result.pipeline, failures=result.failures)
        raise error from (result.bugs[0] if result.bugs else None)
    raise StoppedError(
        f"The run was stopped. What is done is kept; `evt run {result.pipeline}` goes on from there."
    )


def _checked(options: Wishes) -> dict[str, Any]:
    values = {name: checked(name, value, WHERE) for name, value in options.items()}
    if (wrong := contradiction(values)) is not None:
        raise SettingsError(f"{WHERE}: {wrong}")
    return values


def _home(home: str | Path | None) -> Home:
    found = Home(default_root() if home is None else Path(home).absolute())
    try:
        found.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The home {found.root} can't be made: {error.strerror}. Choose another.") from error
    return found


@contextmanager
def _shop(
    home: Home,
    limits: Limits,
    keys: Mapping[str, str],
    urls: Mapping[str, str],
    forbids: str,
    stop: threading.Event | None,
) -> Iterator[Workshop]:
    """Return the real parts; what providers keep running is ended with the call."""
    name_key = home_key(home, make=True) if keys else None
    access = {name: _access(name, keys.get(name), urls.get(name), name_key) for name in {*keys, *urls}}
    shop = shop_of(home, limits, access, offline=forbids)
    settle_home(home, shop.store)
    try:
        yield shop if stop is None else evolve(shop, stop=stop)
    finally:
        shop.providers.close()


def _access(name: str, key: str | None, url: str | None, name_key: bytes | None) -> Access:
    if not key:
        return Access(url=url, source=WHERE)
    secret = Secret(key)
    return Access(url, secret, WHERE, account_of(name_key, name, secret) if name_key else "")


class _Quiet:
    """Tells nobody anything."""

    def stage_started(self, step: StagePlan, attempt: int) -> None:
        """An attempt began."""

    def stage_progress(self, stage: str, done_s: float, total_s: float) -> None:
        """So many seconds of audio are done."""

    def stage_doing(self, stage: str, text: str) -> None:
        """A call is doing something just now."""

    def stage_note(self, stage: str, text: str) -> None:
        """Something happened."""

    def stage_ended(self, attempt: Attempt) -> None:
        """An attempt ended."""

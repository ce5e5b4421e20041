"""Finding out, once, what a model or server that isn't known can do: by asking it about a few seconds of speech."""

from __future__ import annotations

from attrs import evolve

from pipeline.calls.requests import Request, remote_request
from pipeline.errors import ProviderError, ReplanError
from pipeline.providers.registry import Providers
from pipeline.providers.remote import Wish
from pipeline.texts import without_texts
from pipeline.transcribing.pieces import Piece, sound_of
from pipeline.work import StageWork
from projections.events import EngineProbed
from projections.failures import PAID_UNUSABLE, REJECTED

PROBE_S = 5.0
"""Long enough for a few words, short enough to cost next to nothing."""

_RATE_HZ = 16000


def probe(work: StageWork, providers: Providers, piece: Piece) -> None:
    """Ask in each way that there is, the best first, until one is taken; record what was found out.

    Raises:
        ReplanError: always, once it is recorded: the plan relies on it.
        ProviderError: no way was taken, or something else went wrong.
    """
    engine = work.step.engine
    assert engine is not None, "the plan names the engine of this stage"
    remote = providers.remote_transcriber(work.step.engine_name, work.step.options.get("model"))
    # Where somebody is heard: a chunk may begin with a pause that isn't sent at all.
    start = piece.speech[0][0] if piece.speech else piece.chunk.start
    sound = sound_of(piece, start, min(piece.chunk.end, start + round(PROBE_S * _RATE_HZ)))
    refused = ProviderError("It takes no kind of request that evt knows.", provider=engine.name, code="unsupported")
    ways = []
    for facts in remote.trials():
        request = remote_request(engine, remote, "probe", sound, Wish(without_texts(work.step.options), facts))
        ways.append((facts, evolve(request, only_once=True)))
    # Where all were refused something else was wrong, such as a page to sign in; each run tries them again.
    for facts, request in [way for way in ways if not _is_refused(work, way[1])] or ways:
        try:
            work.answers([request], concurrency=1)
        except ProviderError as error:
            if not _means_another_way(error):
                raise
            refused = error
            continue
        judged = dict(remote.judge(_body(work, request), facts))
        found = EngineProbed(engine.name, engine.origin, engine.model or "", judged)
        work.recorder.record(found)
        gives = "words with times" if judged.get("word_times") else "text whose words have no times of their own"
        work.reporter.stage_note(work.step.stage, f"tried {engine.model} at {engine.origin}: it gives {gives}")
        raise ReplanError(found)
    raise refused


def _means_another_way(error: ProviderError) -> bool:
    """Say whether a server may well take another kind of request; some don't say what they dislike in one."""
    return error.kind == PAID_UNUSABLE or (error.kind == REJECTED and error.code in {"unsupported", "refused"})


def _is_refused(work: StageWork, request: Request) -> bool:
    """Say whether an earlier attempt was told that this way is not taken."""
    calls = [call for call in work.recorder.state.calls.values() if call.request == request.digest]
    return bool(calls) and calls[-1].kind in {PAID_UNUSABLE, REJECTED}


def _body(work: StageWork, request: Request) -> str:
    """Return the answer to a request as it came."""
    calls = (
        call for call in work.recorder.state.calls.values() if call.request == request.digest and call.response
    )
    response = next(call.response for call in calls)
    assert response is not None, "only answered calls are looked at"
    body: str = work.artifacts.read_json(response)["reply"]["body"]
    return body

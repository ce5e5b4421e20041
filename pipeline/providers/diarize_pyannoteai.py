"""pyannoteAI's engines: who speaks when, also by name; that and the words in one job; the print of one voice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pipeline.errors import ProviderError, VoiceprintError
from pipeline.providers import pyannoteai_answers as answers
from pipeline.providers.pyannoteai_client import NAME
from pipeline.providers.pyannoteai_jobs import USUAL, PyannoteAIJobs
from pipeline.providers.voiceprints import Voiceprints
from projections.failures import LOCAL, PAID_UNUSABLE, REJECTED

if TYPE_CHECKING:
    from pipeline.providers.base import Answer
    from pipeline.providers.context import Context
    from pipeline.providers.pyannoteai_jobs import Job, Patience
    from pipeline.providers.remote import Access, Line, Reply, Sound, Wish
    from pipeline.providers.services import Services
    from projections.engine import Engine

COUNTS = ("speakers", "min_speakers", "max_speakers")

VOICEPRINT_S = 30.0
"""The longest sound that a voiceprint is made of. Source: pyannoteAI's reference, POST /v1/voiceprint."""

VOICEPRINTS_MAX = 50
VOICEPRINT_CHARACTERS_MAX = 20_000
"""Source: pyannoteAI's reference, POST /v1/identify."""


def make_diarizer(context: Context) -> PyannoteAIDiarizer:
    """Return the diarizer; the entry point."""
    kept, problem = Voiceprints(context.home_voiceprints), None
    try:
        known = kept.by_id(context.identify)
    except VoiceprintError as error:
        known, problem = {}, str(error)
    return PyannoteAIDiarizer(
        context.model,
        access=context.access,
        services=context.services,
        identify=context.identify,
        voiceprints={vp_id: one.text for vp_id, one in known.items()},
        names={vp_id: one.name for vp_id, one in known.items()},
        problem=problem,
    )


def make_transcriber(context: Context) -> PyannoteAITranscriber:
    """Return the transcriber; the entry point."""
    return PyannoteAITranscriber(context.model, access=context.access, services=context.services)


def make_voiceprinter(context: Context) -> PyannoteAIVoiceprinter:
    """Return what makes voiceprints."""
    return PyannoteAIVoiceprinter(None, access=context.access, services=context.services)


class PyannoteAIDiarizer(PyannoteAIJobs):
    """Finds who speaks when; with voiceprints, also by name.

    Args:
        model: None: the service's usual one.
        voiceprints: those that may be asked for by the option `identify`, by id; give none where nobody is to be
            identified, since that costs more.
        identify: the ids that are asked for; one that is not among the voiceprints is lacking.
        names: whose voiceprint it is, by id; an id without a name stays one.
        problem: why the voiceprints can't be read, with the remedy; None: they can.
    """

    def __init__(
        self,
        model: str | None,
        *,
        access: Access,
        services: Services,
        voiceprints: Mapping[str, str] | None = None,
        identify: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        problem: str | None = None,
        patience: Patience = USUAL,
    ) -> None:
        super().__init__(model, access=access, services=services, patience=patience)
        self._voiceprints = dict(voiceprints or {})
        self._identify, self._names, self._problem = tuple(identify), dict(names or {}), problem
        identifies = bool(self._voiceprints or self._identify)
        self.operation = "identify" if identifies else "diarize"
        self.price_kind = "identification_price" if identifies else "price"

    def engine(self) -> Engine:
        """Return the facts about this engine; sends nothing."""
        usual = self._service["default_model"]
        name = NAME if self._model == usual else f"{NAME}:{self._model}"
        engine = self._engine(name=name, key_options=(*COUNTS, "identify"))
        return engine if engine.lacking else evolve(engine, lacking=self._lacks(usual))

    def _lacks(self, usual: str) -> str | None:
        if self._services.model(NAME, self._model) is None:
            return f"pyannoteAI has no model {self._model!r} for turns; the usual one is {usual}"
        if not self._identify:
            return None
        if self._model != usual:
            return f"{self._model} can't identify anybody; {usual} can, or leave --identify out"
        missing = [label for label in self._identify if label not in self._voiceprints]
        if self._problem or not missing:
            return self._problem
        return (
            f"the voiceprint {missing[0]} is not there any more. Make it again with `evt voiceprint create`, or "
            "say with --identify who is to be identified"
        )

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return the submit but the address of the sound: what decides the answer.

        Raises:
            ProviderError: `local`: a voiceprint that is asked for isn't there.
        """
        asked = {"model": self._model, "exclusive": True, "turnLevelConfidence": True, **_counts(wish)}
        labels = _labels(wish)
        if not labels:
            return asked
        if missing := [label for label in labels if label not in self._voiceprints]:
            raise _local(
                f"There is no voiceprint named {missing[0]!r}. `evt voiceprint list` shows those there are."
            )
        if len(labels) > VOICEPRINTS_MAX:
            raise _local(f"pyannoteAI compares with at most {VOICEPRINTS_MAX} voiceprints; name fewer.")
        prints = [{"label": label, "voiceprint": self._voiceprints[label]} for label in labels]
        return {**asked, "voiceprints": prints, "matching": {"exclusive": True, "threshold": 0}}

    def endpoint(self, wish: Wish) -> str:
        """Return where it is submitted."""
        return "/v1/identify" if _labels(wish) else "/v1/diarize"

    def spoken(self, job: Job, wish: Wish) -> list[tuple[float, float]] | None:
        """Return when somebody speaks by a result; None: it is not the result of such a wish."""
        output = job.output or {}
        is_identified = isinstance(output.get("identification"), list)
        if is_identified != bool(_labels(wish)) or output.get("wordLevelTranscription"):
            return None
        return _spoken(output)

    def read(self, body: str, sound: Sound, wish: Wish) -> Answer:
        """Return the turns of an answer, and the same without overlaps.

        Raises:
            ProviderError: of kind `paid_unusable`: it can't be believed; the message says why.
        """
        try:
            output = answers.output_of(body)
            found = answers.stretches(output, "diarization", sound.duration_s)
            labels = _labels(wish)
            matched = answers.matches(output, labels) if labels else {}
            given = {speaker: self._names.get(label, label) for speaker, label in matched.items()}
            exclusive = _exclusive(output, sound)
        except ValueError as error:
            raise _unusable(error) from None
        names = answers.names_of([*found, *exclusive], given)
        return {
            "turns": answers.turns(found, names),
            "exclusive": answers.turns(exclusive, names),
            "metadata": {
                "model": self._model,
                "speakers": len(set(names.values())),
                **({"identified": len(given.keys() & names.keys())} if labels else {}),
            },
        }


class PyannoteAITranscriber(PyannoteAIJobs):
    """Finds who says what when, in one job about the whole recording.

    Args:
        model: of the transcription; the option `model` of a call goes before it; None: the service's usual one.
    """

    operation = "diarize+transcribe"
    price_kind = "transcription_price"
    chunk_s = (86_400.0, 86_400.0)

    def __init__(
        self,
        model: str | None,
        *,
        access: Access,
        services: Services,
        patience: Patience = USUAL,
    ) -> None:
        super().__init__(None, access=access, services=services, patience=patience)
        self._words_model = model or str(self._service["default_transcription_model"])

    def engine(self) -> Engine:
        """Return the facts about this engine; sends nothing."""
        known: Mapping[str, Any] = self._service.get("transcription_models", {})
        engine = self._engine(
            key_options=("model", *COUNTS),
            word_times=True,
            speakers=True,
            model=self._words_model,
            languages=_languages(known.get(self._words_model, {})),
        )
        if engine.lacking or self._words_model in known or self._services.model(NAME, self._words_model) is None:
            return engine
        return evolve(
            engine,
            lacking=f"{self._words_model} is a model for turns, not for words. Name one of {', '.join(known)}",
        )

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return the submit but the address of the sound: what decides the answer."""
        return {
            "model": self._model,
            "exclusive": True,
            "turnLevelConfidence": True,
            **_counts(wish),
            "transcription": True,
            "transcriptionConfig": {"model": self._model_of(wish)},
        }

    def spoken(self, job: Job, wish: Wish) -> list[tuple[float, float]] | None:
        """Return when somebody speaks by a result; None: it is not the result of such a wish."""
        output = job.output or {}
        return _spoken(output) if isinstance(output.get("wordLevelTranscription"), list) else None

    def read(self, body: str, sound: Sound, wish: Wish) -> Answer:
        """Return the words of an answer with their speakers, and the turns with and without overlaps.

        Raises:
            ProviderError: of kind `paid_unusable`: it can't be believed; the message says why.
        """
        try:
            output = answers.output_of(body)
            found = answers.stretches(output, "diarization", sound.duration_s)
            spoken = answers.stretches(output, "wordLevelTranscription", sound.duration_s, texts=True)
            exclusive = _exclusive(output, sound)
        except ValueError as error:
            raise _unusable(error) from None
        names = answers.names_of([*found, *exclusive, *spoken], {})
        language = wish.options.get("language")
        return {
            "language": None if language == "auto" else language,
            "words": answers.words(spoken, names),
            "turns": answers.turns(found, names),
            "exclusive": answers.turns(exclusive, names),
            "metadata": {"model": self._model_of(wish), "speakers": len(names)},
        }

    def trials(self) -> Sequence[Mapping[str, Any]]:
        """Return no facts: there is one way to speak to this service."""
        return [{}]

    def judge(self, body: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return that it times its words and says who speaks."""
        return {**facts, "word_times": True, "speakers": True}

    def _model_of(self, wish: Wish) -> str:
        return str(wish.options.get("model") or self._words_model)


class PyannoteAIVoiceprinter(PyannoteAIJobs):
    """Makes the print of one voice out of a sound of up to 30 s in which nobody else speaks."""

    operation = "voiceprint"

    def engine(self) -> Engine:
        """Return the facts about this engine; sends nothing."""
        return self._engine()

    def wire(self, wish: Wish) -> Mapping[str, Any]:
        """Return the submit but the address of the sound."""
        return {"model": self._model}

    def endpoint(self, wish: Wish) -> str:
        """Return where it is submitted."""
        return "/v1/voiceprint"

    def ask(self, sound: Sound, wish: Wish, line: Line) -> Reply:
        """Ask once, see `Remote.ask`; refuses what the service would refuse before anything is sent."""
        if sound.duration_s > VOICEPRINT_S:
            message = (
                f"A voiceprint is made of at most {VOICEPRINT_S:.0f} s, and this is {sound.duration_s:.0f} s. "
            )
            raise ProviderError(
                f"{message}Cut out a part in which only that person speaks.",
                provider=NAME,
                code="too_long",
                kind=REJECTED,
            )
        return super().ask(sound, wish, line)

    def read(self, body: str, sound: Sound, wish: Wish) -> Answer:
        """Return {"voiceprint": text}.

        Raises:
            ProviderError: of kind `paid_unusable`: it can't be believed; the message says why.
        """
        try:
            found = answers.output_of(body).get("voiceprint")
        except ValueError as error:
            raise _unusable(error) from None
        if not isinstance(found, str) or not re.fullmatch(r"[A-Za-z0-9+/_=-]+", found):
            raise _unusable("there is no voiceprint in it")
        if len(found) > VOICEPRINT_CHARACTERS_MAX:
            raise _unusable("its voiceprint is longer than the service takes back")
        return {"voiceprint": found}


def _counts(wish: Wish) -> dict[str, int]:
    """Return how many speakers there are, where the user said so; null is never sent."""
    options = wish.options
    if options.get("speakers"):
        return {"numSpeakers": options["speakers"]}
    bounds = {"minSpeakers": options.get("min_speakers"), "maxSpeakers": options.get("max_speakers")}
    return {name: value for name, value in bounds.items() if value}


def _labels(wish: Wish) -> list[str]:
    """Return whom to identify, in a stable order, since it enters the request's digest."""
    return sorted(set(wish.options.get("identify") or ()))


def _exclusive(output: Mapping[str, Any], sound: Sound) -> list[answers.Stretch]:
    """Return the turns without overlaps; the service leaves them out where it has none to give."""
    if output.get("exclusiveDiarization") is None:
        return []
    return answers.stretches(output, "exclusiveDiarization", sound.duration_s)


def _spoken(output: Mapping[str, Any]) -> list[tuple[float, float]] | None:
    try:
        found = answers.stretches(output, "diarization", float("inf"))
    except ValueError:
        return None
    return [(one.start_s, one.end_s) for one in found]


def _languages(facts: Mapping[str, Any]) -> tuple[str, ...] | None:
    return tuple(facts["languages"]) if "languages" in facts else None


def _local(message: str) -> ProviderError:
    return ProviderError(message, provider=NAME, code="voiceprint_missing", kind=LOCAL)


def _unusable(why: object) -> ProviderError:
    return ProviderError(
        f"pyannoteAI's answer can't be used: {why}. It is kept, and counts as paid; run again to ask once more.",
        provider=NAME,
        code="unusable_answer",
        kind=PAID_UNUSABLE,
        retryable=True,
    )

"""From what a user says of speakers to an annotation: names and labels are checked, and nothing else is kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from pipeline.annotations.annotations import Annotate, annotated, content_of, store, undo_last
from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMismatchError, ArtifactMissingError, NamingError
from pipeline.speech.naming import Naming, as_content, from_content, settled, speaking_order, speech_of
from pipeline.speech.times import common_s
from pipeline.speech.transcript import Transcript, one_line
from pipeline.speech.values import UNKNOWN_SPEAKER
from pipeline.stages.export import transcript_of
from pipeline.stages.merge import TRANSCRIPT
from projections.events import Event, SpeakersNamed
from projections.graph import AUDIO_CONVERSION, MERGE
from projections.state import SUCCEEDED, Annotation, Attempt, PipelineState

NAME_CHARACTERS = 200
FILE = "names.json"

_LABEL = re.compile(rf"SPEAKER_\d+|{UNKNOWN_SPEAKER}", re.IGNORECASE)
"""What a later diarization may call somebody; as a name, it would be taken for that."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Persian, Hindi and emoji need them."""

_BECAUSE_CHARACTERS = 1000


def clean_name(text: str) -> str:
    """Return a name as it is kept: white space reduced, letters composed as Unicode's NFC.

    Raises:
        NamingError: it can't be a name; the message says why.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name.strip(_JOINERS):
        raise NamingError("A name can't be empty. To take a name away, call the speaker by its label again.")
    if any(unicodedata.category(char) in _INVISIBLE and char not in _JOINERS for char in name):
        raise NamingError(
            "A name can't hold control characters, or others that hide or turn text around, or bytes that are not "
            "UTF-8. Write it without them."
        )
    if len(name) > NAME_CHARACTERS:
        raise NamingError(f"A name of {len(name)} characters is too long; {NAME_CHARACTERS} are possible.")
    return name


def naming_of(
    transcript: Transcript,
    names: Iterable[tuple[str, str]],
    same: Iterable[tuple[str, str]],
    because: str | None = None,
) -> Naming:
    """Return what a user says as a naming of the labels of now.

    Args:
        transcript: as what was said before left it, speakers with their labels.
        names: (speaker, new name); speakers by label or present name.
        same: (speaker, another speaker who is the same person).
        because: why, in the user's words.

    Raises:
        NamingError: a speaker isn't there, or a name can't be given.
    """
    speech = speech_of(transcript)
    kept: dict[str, str] = {}
    pairs = []
    for one, other in same:
        first, second = (_root(find(transcript, written), kept) for written in (one, other))
        if first == second:
            raise NamingError(f"{one} and {other} are one speaker already.")
        pairs.append((first, second))
        kept[second] = first
    chosen: dict[str, str] = {}
    for written, name in names:
        label = _root(find(transcript, written), kept)
        cleaned = clean_name(name)
        if chosen.get(label, cleaned) != cleaned:
            raise NamingError(f"{written} is given two names: {chosen[label]} and {cleaned}.")
        chosen[label] = cleaned
    _require_different(transcript, chosen, kept, speech)
    return Naming(names=chosen, same=tuple(pairs), spans=speech, because=clean_reason(because))


def find(transcript: Transcript, written: str) -> str:
    """Return the label of a speaker that is written as label or name, in any case where that is clear.

    Raises:
        NamingError: there is no such speaker, or several; the message lists those that there are.
    """
    text = unicodedata.normalize("NFC", written.strip())
    labels = speech_of(transcript)
    known = {**{name: label for label, name in transcript.names.items()}, **{label: label for label in labels}}
    if text in known:
        return known[text]
    alike = {label for name, label in known.items() if name.casefold() == text.casefold()}
    if len(alike) == 1:
        return alike.pop()
    there = ", ".join(
        f"{label} ({transcript.names[label]})" if label in transcript.names else label for label in labels
    )
    raise NamingError(f"There is no speaker {one_line(written)[:NAME_CHARACTERS]!r}. There are: {there or 'none'}.")


def naming(
    merge: Attempt,
    conversion: Attempt,
    names: Sequence[tuple[str, str]],
    same: Sequence[tuple[str, str]],
    because: str | None,
    user: str,
) -> Annotate:
    """Return what gives names to speakers of a merged transcript, or says who are one person; see `naming_of`."""

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        transcript, _ = read_transcript(state, merge, conversion, artifacts)
        content = as_content(naming_of(transcript, names, same, because))
        return [SpeakersNamed(store(state, artifacts, FILE, content), user)]

    return annotate


def ordering(names: Sequence[str], user: str) -> Annotate:
    """Return what gives names in the order in which people first speak, unless just that was said before."""

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        if is_ordered_so(state, artifacts, names):
            return []
        content = as_content(Naming(in_order=tuple(names)))
        return [SpeakersNamed(store(state, artifacts, FILE, content), user)]

    return annotate


def settle_order(state: PipelineState, merge: Attempt, conversion: Attempt, artifacts: Artifacts) -> list[Event]:
    """Return what keeps, for names in order, when their speakers speak: known once there is a transcript.

    From then on the names go with the voices, also where another transcription lets somebody else begin. Where a
    file is gone nothing is settled; the export tells why it can't go on.
    """
    for place, said in enumerate(state.annotations):
        with suppress(ArtifactMissingError):
            naming = from_content(content_of(said, artifacts)) if said.type == SpeakersNamed.type else Naming()
            if not naming.in_order or naming.spans:
                continue
            transcript, _ = read_transcript(state, merge, conversion, artifacts, until=place)
            if speaking_order(transcript):
                ref = store(state, artifacts, FILE, as_content(settled(transcript, naming)))
                return [SpeakersNamed(ref, said.user, replaces=said.seq)]
    return []


def undoing(user: str) -> Annotate:
    """Return what takes back the last that was said of speakers.

    Raises:
        NamingError: when it is called, where nothing holds.
    """

    def annotate(state: PipelineState, artifacts: Artifacts) -> Sequence[Event]:
        event = undo_last(state, SpeakersNamed.type, user)
        if event is None:
            raise NamingError("Nothing that was said of these speakers is left to be taken back.")
        return [event]

    return annotate


def is_ordered_so(state: PipelineState, artifacts: Artifacts, names: Sequence[str]) -> bool:
    """Say whether the last names by order of speaking that hold are these; later corrections of them then stay."""
    for said in reversed(state.annotations):
        if said.type == SpeakersNamed.type and (order := _order_of(said, artifacts)):
            return order == tuple(names)
    return False


def order_from(written: Iterable[str]) -> tuple[str, ...]:
    """Return the names of `--names`, separated by commas.

    Raises:
        NamingError: one of them can't be a name, or stands twice.
    """
    names = tuple(clean_name(part) for text in written for part in text.split(","))
    for name in names:
        if _LABEL.fullmatch(name):
            raise NamingError(f"{name} can't be a name, since it is what diarizers call speakers.")
        if names.count(name) > 1:
            raise NamingError(f"{name} stands twice among the names; two speakers can't have one name.")
    return names


def _order_of(said: Annotation, artifacts: Artifacts) -> tuple[str, ...]:
    try:
        return from_content(content_of(said, artifacts)).in_order
    except ArtifactMissingError:
        return ()


def clean_reason(because: str | None) -> str | None:
    """Return why something is said, on one line.

    Raises:
        NamingError: it is too long.
    """
    if because is None or not (reason := one_line(because)):
        return None
    if len(reason) > _BECAUSE_CHARACTERS:
        raise NamingError(f"The reason is too long; {_BECAUSE_CHARACTERS} characters are possible.")
    return reason


def _root(label: str, kept: Mapping[str, str]) -> str:
    """Follow labels to the one that keeps them."""
    while label in kept:
        label = kept[label]
    return label


def _require_different(
    transcript: Transcript, chosen: Mapping[str, str], kept: Mapping[str, str], labels: Collection[str]
) -> None:
    names = dict(transcript.names)
    for other, one in kept.items():
        if other in names:
            names.setdefault(one, names.pop(other))
    names |= chosen
    for label, name in chosen.items():
        if name == label:
            continue
        if name in labels or _LABEL.fullmatch(name):
            raise NamingError(
                f"{name} can't be the name of {label}, since it is what the diarizer calls a speaker. If both are "
                f"one person, say so: --same {name} {label}."
            )
        twin = next((other for other, theirs in names.items() if other != label and theirs == name), None)
        if twin is not None:
            raise NamingError(
                f"{name} is the name of {twin} already. If {twin} and {label} are one person, say so: "
                f"--same {twin} {label}. Otherwise choose another name."
            )


def read_transcript(
    state: PipelineState,
    merge: Attempt,
    conversion: Attempt,
    artifacts: Artifacts,
    until: int | None = None,
) -> tuple[Transcript, tuple[str, ...]]:
    """Return a merged transcript with what was said of it, speakers with their labels, and notes.

    Args:
        state: of the pipeline.
        merge: the attempt that merged it.
        conversion: the attempt that converted the recording.
        artifacts: of the pipeline.
        until: how many annotations are applied; None: all.

    Raises:
        ArtifactMissingError: a file of it is gone or was changed; the message says what to do.
    """
    (ref,) = (ref for ref in merge.outputs if ref.path.endswith(f"/{TRANSCRIPT}"))
    try:
        merged = artifacts.read_json(ref)
    except (ArtifactMissingError, ArtifactMismatchError) as error:
        raise ArtifactMissingError(
            f"The transcript {artifacts.path(ref)} is gone or was changed. "
            f"`evt run {state.pipeline_id} --refresh merge` makes it again; that costs nothing."
        ) from error
    said = state.annotations[:until]
    found = annotated(transcript_of(state, conversion, merged), said, artifacts)
    return found.transcript, found.notes


def newest(state: PipelineState) -> tuple[Attempt, Attempt] | None:
    """Return the last attempts that merged and that converted; None where there is no transcript yet."""
    done = [
        [attempt for attempt in state.attempts.get(stage, ()) if attempt.status == SUCCEEDED]
        for stage in (MERGE, AUDIO_CONVERSION)
    ]
    return (done[0][-1], done[1][-1]) if all(done) else None


def differences(before: Transcript, after: Transcript) -> tuple[str, ...]:
    """Return, a sentence each, how the speakers of a transcript changed by what was said or taken back."""
    were, are = speech_of(before), speech_of(after)
    said = []
    for label in were:
        if label not in are:
            other = max(are, key=lambda one: common_s(were[label], are[one]))
            said.append(f"{label} and {other} are one person now, {other}.")
        elif before.names.get(label) != (name := after.names.get(label)):
            said.append(f"{label} is {name} now." if name else f"{label} has no name any more.")
    for label in are.keys() - were.keys():
        name = after.names.get(label)
        said.append(f"{label} is a speaker of its own again{f', {name}' if name else ''}.")
    return tuple(said)


def split_name(transcript: Transcript, written: str) -> tuple[str, str]:
    """Return speaker and name of `SPEAKER=NAME`; both may hold more of these signs.

    Raises:
        NamingError: no speaker stands before any of them.
    """
    at = [place for place, char in enumerate(written) if char == "="]
    if not at:
        raise NamingError('It is written SPEAKER=NAME, for example SPEAKER_00="Anna Müller".')
    for place in at[:-1]:
        with suppress(NamingError):
            return find(transcript, written[:place]), written[place + 1 :]
    return find(transcript, written[: at[-1]]), written[at[-1] + 1 :]

"""Which models the engines of evt can use: their names, repositories, and what is known of them without asking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

from attrs import frozen

from pipeline.models.errors import ModelRefusedError
from pipeline.providers import diarize_pyannote as pyannote
from pipeline.providers import transcribe_whisper as whisper
from pipeline.providers.hub import is_repository

STATED = "2026-11"
"""When the table of sizes and licences below was made."""

_PARAMETERS = {
    "large": 1550e6, "large-v3-turbo": 809e6, "medium": 769e6, "small": 244e6, "base": 74e6, "tiny": 39e6,
    "distil-large": 756e6, "distil-medium": 394e6, "distil-small": 166e6,
}  # fmt: skip
"""Sources: the model cards of OpenAI's Whisper and of Distil-Whisper."""
_BYTES = 2
"""Of a parameter: the repositories of the table hold 16-bit floats."""

_LICENCES = {whisper.NAME: "mit", pyannote.NAME: "cc-by-4.0"}
"""Source: the model cards on the hub, of those in the table."""


@frozen
class Kind:
    """What models of an engine consist of.

    Attributes:
        engine: its name.
        needed: the files without which a repository holds no such model.
        patterns: of the files that the engine reads.
        is_whole: says of a folder whether the engine would take it.
    """

    engine: str
    needed: tuple[str, ...]
    patterns: tuple[str, ...]
    is_whole: Callable[[Path], bool]

    def wants(self, path: str) -> bool:
        """Say whether the engine reads a file of a repository."""
        return any(fnmatch(path, pattern) for pattern in self.patterns) and not path.endswith(".md")


WHISPER = Kind(
    whisper.NAME,
    whisper.NEEDED,
    (*whisper.NEEDED, "preprocessor_config.json", "vocabulary.*"),
    whisper.is_complete,
)
PYANNOTE = Kind(
    pyannote.NAME,
    (pyannote.CONFIG,),
    (pyannote.CONFIG, "pytorch_model.bin", *(f"{part}/*" for part in pyannote.PARTS)),
    pyannote.is_whole,
)
KINDS = (WHISPER, PYANNOTE)
"""Sources of the patterns: faster-whisper 1.2.1, `download_model`; pyannote.audio 4.0.7, `Pipeline` and `Model`."""


@frozen
class Choice:
    """A model that can be had.

    Attributes:
        name: what the user writes.
        repository: `OWNER/REPO` on the hub.
        kind: of which engine; None: only a look at its files tells.
        size_bytes: about how large it is; None: unknown.
    """

    name: str
    repository: str
    kind: Kind | None = None
    size_bytes: int | None = None
    licence: str | None = None

    @property
    def english_only(self) -> bool | None:
        """Whether it knows no other language; None where nobody knows."""
        return whisper.is_english_only(self.name) if self.name in whisper.MODELS else None


def _parameters(name: str) -> float | None:
    stem = name.removesuffix(".en")
    fitting = [known for known in _PARAMETERS if stem == known or stem.startswith(f"{known}-v")]
    return _PARAMETERS[max(fitting, key=len)] if fitting else None


def _whisper(name: str, repository: str) -> Choice:
    number = _parameters(name)
    size = None if number is None else int(number * _BYTES)
    return Choice(name, repository, WHISPER, size, _LICENCES[WHISPER.engine])


TABLE: Mapping[str, Choice] = {
    **{name: _whisper(name, repository) for name, repository in whisper.MODELS.items()},
    pyannote.DEFAULT_MODEL: Choice(
        pyannote.DEFAULT_MODEL, pyannote.DEFAULT_MODEL, PYANNOTE, licence=_LICENCES[PYANNOTE.engine]
    ),
}
"""By name; of each engine the best first."""


def choose(written: str) -> Choice:
    """Return the model that is meant: of the table, by an alias, or by its repository.

    Raises:
        ModelRefusedError: no model has that name; the candidates stand behind the message.
    """
    name = whisper.ALIASES.get(written, written)
    known = TABLE.get(name) or next((choice for choice in TABLE.values() if choice.repository == name), None)
    if known is not None:
        return known
    if is_repository(name):
        return Choice(name, name)
    names, said = [*TABLE, *whisper.ALIASES], written.lower()
    close = [name for name in names if len(said) > 2 and said in name] or get_close_matches(said, names, 5, 0.5)
    raise ModelRefusedError(
        f"No model is called {written[:80]!r}. `evt models list` shows all, and OWNER/REPO names any other of the "
        "hub. Do you mean:",
        *(close or names),
    )


def kind_of(paths: Collection[str]) -> Kind | None:
    """Return of which engine a repository with these files holds a model; None: of none."""
    return next((kind for kind in KINDS if set(kind.needed) <= {*paths}), None)

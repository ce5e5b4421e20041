"""Words of people for an engine: kept beside a pipeline's files, while logs and keys hold references to them.

A reference is made with the pipeline's salt, so that it can't be guessed; equal words of one pipeline have equal
references. The file is there before the log names it, so every later run finds the words again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import orjson
from attrs import evolve

from pipeline.artifacts import Artifacts
from pipeline.errors import ArtifactMissingError
from projections.graph import TEXTS
from projections.options import Named

FOLDER: Final = "text"
FILE: Final = "text.json"
"""Where they lie, beside the folders of the stages: `text/<digits of the reference>/text.json`."""

LEAST_SPEECH_S: Final = 1.0
"""Words go along only with pieces that hold so much speech: models repeat them where next to nothing is said.

Source: reports of gpt-4o-transcribe that answers silence with its prompt."""

_REFERENCE = re.compile(r"text:[0-9a-f]{16}")
_PROVISIONAL = secrets.token_hex(16)
"""Stands for the salt of a pipeline that has none yet, whose log names nothing."""


class FreeText:
    """Words of people on their way to an engine; `repr`, `str` and JSON don't show them, so no log can.

    Args:
        value: a text, or several.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Iterable[str]) -> None:
        self._value = value if isinstance(value, str) else tuple(value)

    def reveal(self) -> str | list[str]:
        """Return the words."""
        return self._value if isinstance(self._value, str) else list(self._value)

    def reference(self, salt: str) -> str:
        """Return what stands for the words in logs and keys; a stored form: another one is paid again."""
        digest = hmac.new(salt.encode(), orjson.dumps(self.reveal()), hashlib.sha256)
        return f"text:{digest.hexdigest()[:16]}"

    def __repr__(self) -> str:
        return "FreeText(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeText) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("FreeText", self._value))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("words of people are never pickled")


def referred(named: Named, artifacts: Artifacts) -> Named:
    """Return wishes with references in the place of words; nothing is written."""
    return _referred(named, artifacts.known_salt() or _PROVISIONAL)


def keep(named: Named, artifacts: Artifacts) -> Named:
    """Keep the words of wishes and return the wishes with references; only the holder of the log's lock may."""
    found = [text for options in _groups(named) for text in options.values() if isinstance(text, FreeText)]
    if not found:
        return named
    artifacts.ensure_salt()
    salt = artifacts.salt()
    for text in dict.fromkeys(found):
        if _read(text.reference(salt), artifacts) is None:
            folder = artifacts.folder(FOLDER, _digits(text.reference(salt)))
            folder.put_json(FILE, {"text": text.reveal()})
            folder.close()
    return _referred(named, salt)


def take(options: Mapping[str, Any], here: Artifacts, there: Artifacts) -> None:
    """Have the words that options of another pipeline refer to; both have the same salt."""
    for reference in _references(options).values():
        if (value := _read(reference, there)) is not None and _read(reference, here) is None:
            folder = here.folder(FOLDER, _digits(reference))
            folder.put_json(FILE, {"text": value})
            folder.close()


def told(options: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    """Return options with the words in the place of references.

    Raises:
        ArtifactMissingError: the file is gone or was changed; the message says what to do.
    """
    words = {}
    for name, reference in _references(options).items():
        words[name] = _read(reference, artifacts)
        if words[name] is None:
            raise ArtifactMissingError(
                f"What --{name} said is gone: {artifacts.root / FOLDER / _digits(reference) / FILE} isn't there "
                f"or was changed. Say it again with --{name}, or go on without it: --{name} ''."
            )
    return {**options, **words}


def without_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without words for the engine."""
    return {name: value for name, value in options.items() if name not in TEXTS}


def length_note(named: Named, tokens_max: int | None) -> str | None:
    """Return a note where a prompt that is given now is longer than an engine heeds; None: it fits."""
    prompts = (options["prompt"] for options in _groups(named) if options.get("prompt") is not None)
    prompt = next(prompts, None)
    said = prompt.reveal() if isinstance(prompt, FreeText) else ""
    tokens = about_tokens(said) if isinstance(said, str) else 0
    if tokens_max is None or tokens <= tokens_max:
        return None
    return f"the prompt has about {tokens} tokens, of which this engine heeds only the last {tokens_max}"


def about_tokens(text: str) -> int:
    """Return about how many tokens a text has; Latin letters come in fours, others by themselves.

    Source: OpenAI's rule of thumb of four characters of English a token.
    """
    plain = sum(char.isascii() for char in text)
    return -(-plain // 4) + len(text) - plain


def _referred(named: Named, salt: str) -> Named:
    def refer(options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            name: value.reference(salt) if isinstance(value, FreeText) else value for name, value in options.items()
        }

    options, once, environment, files = map(refer, _groups(named))
    return evolve(named, options=options, once=once, environment=environment, files=files)


def _groups(named: Named) -> tuple[Mapping[str, Any], ...]:
    return named.options, named.once, named.environment, named.files


def _references(options: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: options[name]
        for name in TEXTS
        if isinstance(options.get(name), str) and _REFERENCE.fullmatch(options[name])
    }


def _digits(reference: str) -> str:
    return reference.removeprefix("text:")


def _read(reference: str, artifacts: Artifacts) -> str | list[str] | None:
    """Return the words of a reference; None where the file is gone, or holds others."""
    try:
        content = orjson.loads((artifacts.root / FOLDER / _digits(reference) / FILE).read_bytes())
        value = content["text"]
        is_right = FreeText(value).reference(content["salt"]) == reference
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return value if is_right else None

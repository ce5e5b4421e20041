"""What the plan must know of a provider: facts as data, no behaviour."""

from __future__ import annotations

from attrs import frozen

from eventlog.values import Value


@frozen(eq=False, repr=False)
class Engine(Value):
    """A provider as the plan sees it.

    Attributes:
        name: what the user writes, e.g. `builtin` or `script:talk.toml`.
        version: raised when the same options would give another result; part of the stage's key.
        key_options: the options that change this provider's output; only these enter the key.
        word_times: a transcriber that times its words needs no turns to begin with.
        languages: the languages it can transcribe; None: any.
        network: audio leaves the machine; such an engine is never chosen by itself.
        billable: its calls cost money; while records may be lost they wait for the user's word.
        draft: its result is good enough to try evt, not to rely on; every output says so.
        by_position: its answers depend on where in the recording a chunk lies, so equal audio is no equal request.
        lacking: what is missing on this machine, with the remedy; None: ready.
    """

    name: str
    version: int
    key_options: tuple[str, ...] = ()
    word_times: bool = True
    languages: tuple[str, ...] | None = None
    network: bool = False
    billable: bool = False
    draft: bool = False
    by_position: bool = False
    lacking: str | None = None

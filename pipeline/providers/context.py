"""What a provider is made with, ours and those of other packages alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from pipeline.providers.remote import Access
from pipeline.providers.services import Services


@frozen
class Context:
    """What an entry point of `evt.diarizers` or `evt.transcribers` is called with; it returns the provider.

    A public form: fields may be added, none goes away. Making a provider is cheap: it imports nothing heavy, reads
    no model and sends nothing.

    Attributes:
        model: the model that the user named; None: the provider's own choice.
        environment: the variables of the process, to look up where other tools keep things; keys are in `access`.
        access: where the calls of a provider on the network go, and with which key; empty for all others.
        services: what paid services offer and ask for.
        home_voiceprints: the folder of the user's voiceprints; it may not exist.
        identify: ids of the voiceprints that are to be recognised; for diarizers that can.
    """

    model: str | None
    environment: Mapping[str, str] = field(repr=False)
    access: Access
    services: Services
    home_voiceprints: Path
    identify: tuple[str, ...] = ()

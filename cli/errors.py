"""The errors of the command line itself; `cli.exit_codes` says which code each gives."""

from __future__ import annotations

from eventlog.errors import EvtError


class SettingsError(EvtError):
    """A setting can't be used; the message names it and where it comes from."""


class UnknownPipelineError(EvtError):
    """No pipeline, or several, answer to what was written; behind the message come the candidates, line by line."""

    def __str__(self) -> str:
        """Return the message and the candidates."""
        return "\n  ".join(self.args)


class BlockedError(EvtError):
    """The plan can't be carried out as wished; nothing was begun."""


class DecisionNeededError(EvtError):
    """Nothing can go on before the user decides; the message says what."""


class WatchedError(EvtError):
    """A folder can't be watched; the message says why, and what to do."""


class PageRefusedError(EvtError):
    """The page can't have that name, because something of somebody else has it."""


class NotFinishedError(EvtError):
    """There is no finished transcript to export. Run the pipeline first."""

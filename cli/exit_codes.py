"""The documented exit codes, and which error gives which; docs/cli.md lists them."""

from __future__ import annotations

OK, FAILED, USAGE, REFUSED, DAMAGED, DECISION, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 130, 143

_EXIT_CODES = {
    "CorruptLogError": DAMAGED,
    "LogGoneError": DAMAGED,
    "NewerLogError": DAMAGED,
    "LogWholeError": REFUSED,
    "LogLockedError": REFUSED,
    "LogNotFoundError": REFUSED,
    "NotArchivedError": REFUSED,
    "UnsafeFileSystemError": REFUSED,
    "SourceRejectedError": REFUSED,
    "SettingsError": REFUSED,
    "ServicesFileError": REFUSED,
    "DeliveryError": REFUSED,
    "UnknownPipelineError": REFUSED,
    "BlockedError": REFUSED,
    "ClosedError": REFUSED,
    "BundleError": REFUSED,
    "ReadOnlyLogError": REFUSED,
    "DecisionNeededError": DECISION,
    "LogPurgedError": DECISION,
    "PurgedError": DECISION,
    "UnsettledError": DECISION,
    "NotFinishedError": REFUSED,
    "PageRefusedError": REFUSED,
    "VoiceprintError": REFUSED,
    "NamingError": REFUSED,
    "RecordingsError": REFUSED,
    "ReferenceFileError": REFUSED,
    "EditError": REFUSED,
    "WatchedError": REFUSED,
    "ModelRefusedError": REFUSED,
}
"""By class name, so that no error class need be imported before there is an error. Every other error of ours: 1."""


def exit_code_of(error: Exception) -> int:
    """Return the documented exit code of an error of ours."""
    return next((_EXIT_CODES[c.__name__] for c in type(error).__mro__ if c.__name__ in _EXIT_CODES), FAILED)


def worst(codes: list[int]) -> int:
    """Return the exit code of a batch: 4, 5, 1, 3, 0 in this order; an interrupt before all."""
    order = (INTERRUPTED, TERMINATED, DAMAGED, DECISION, FAILED, REFUSED, OK)
    return next(code for code in order if code in {*codes, OK})

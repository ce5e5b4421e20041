"""What the ids of a family of pipelines say: `ID` is a base, `ID.2` and `ID.3` are variants of it. Pure."""

from __future__ import annotations


def base_of(pipeline: str) -> str:
    """Return the id of the pipeline that a variant varies; any other id as it is."""
    return pipeline.partition(".")[0]


def number_of(pipeline: str) -> int:
    """Return a pipeline's number in its family: 1 for a base, 0 for a name that evt gives to no pipeline."""
    _, dot, number = pipeline.partition(".")
    if not dot:
        return 1
    return int(number) if number.isdecimal() and str(int(number)) == number and int(number) > 1 else 0


def variant_id(base: str, number: int) -> str:
    """Return the id of a variant; its number is 2 or more."""
    return f"{base}.{number}"

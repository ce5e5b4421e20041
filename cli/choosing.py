"""Which pipelines a list shows, in which order, and from where on. Pure.

A page goes on behind the place of the last pipeline that was shown, not behind a number of them: what is new since
then moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cli.render import shown_name
from pipeline.listing.listing import Row
from projections.ids import base_of, number_of

FAMILIES = "families"
"""The usual order: newest first, and variants below their base, wherever that makes the family stand."""


class Wanted(NamedTuple):
    """What a pipeline must be to be shown; what is empty asks for nothing.

    Attributes:
        statuses, stages: one of them; a stage counts that failed or is under way.
        providers: one of them, in any case, with or without what stands behind a colon (a model, a script).
        since: last updated then or later; a time as records write it.
        text: stands in one of its names, in any case.
    """

    statuses: frozenset[str] = frozenset()
    since: str = ""
    stages: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    text: str = ""

    def holds(self, row: Row) -> bool:
        """Say whether a pipeline is wanted."""
        return (
            (not self.statuses or row.status in self.statuses)
            and row.updated_at >= self.since
            and (not self.stages or not self.stages.isdisjoint(row.stages.split()))
            and (not self.providers or any(map(self._names, row.providers.splitlines())))
            and (not self.text or any(self.text.casefold() in shown_name(name).casefold() for name in row.names))
        )

    def _names(self, engine: str) -> bool:
        known = {engine.casefold(), engine.casefold().partition(":")[0]}
        return any(provider.casefold() in known for provider in self.providers)


class Cursor(NamedTuple):
    """The place of a pipeline in an order: what it is sorted by (None: not known), and its id."""

    order: str
    value: Any
    pipeline: str

    def written(self) -> str:
        """Return it as a word of the command line."""
        import base64

        import orjson

        return base64.urlsafe_b64encode(orjson.dumps(tuple(self))).decode().rstrip("=")


class CursorError(ValueError):
    """It is no cursor."""


def read_cursor(written: str) -> Cursor:
    """Return the cursor that is written so; raises CursorError."""
    import base64

    import orjson

    try:
        cursor = Cursor(*orjson.loads(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))))
    except (ValueError, TypeError) as error:
        raise CursorError(written) from error
    if not isinstance(cursor.pipeline, str) or not isinstance(cursor.order, str) or not is_order(cursor.order):
        raise CursorError(written)
    type_ = str if cursor.order == FAMILIES else _SORTS[cursor.order.removeprefix("-")][1]
    if not isinstance(cursor.value, (type_, type(None))):
        raise CursorError(written)
    return cursor


class Page(NamedTuple):
    """The pipelines of a page, and where the next begins; None: this is the last."""

    rows: list[Row]
    next: Cursor | None


def page(rows: Iterable[Row], order: str = FAMILIES, after: Cursor | None = None, limit: int | None = None) -> Page:
    """Return so many pipelines, in an order, behind a place.

    Args:
        rows: those that are wanted.
        order: one of `SORTS`, with `-` before it for the reverse; or FAMILIES.
        after: of the same order.
        limit: None: all that are left.
    """
    found = _ordered(rows, order)
    if after is not None:
        found = [pair for pair in found if _is_behind(pair, after)]
    shown = found if limit is None else found[:limit]
    last = shown[-1] if len(shown) < len(found) else None
    return Page([row for _, row in shown], last and Cursor(order, last[0], last[1].pipeline))


def _ordered(rows: Iterable[Row], order: str) -> list[tuple[Any, Row]]:
    """Return each pipeline with what it is sorted by. What isn't known stands last; equals stand by their ids."""
    found = sorted(rows, key=lambda row: _place(row.pipeline))
    value_of = _newest(found) if order == FAMILIES else _SORTS[order.removeprefix("-")][0]
    pairs = [(value_of(row), row) for row in found]
    known = [pair for pair in pairs if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=_is_backwards(order))
    return known + [pair for pair in pairs if pair[0] is None]


def _is_behind(pair: tuple[Any, Row], after: Cursor) -> bool:
    value, row = pair
    if value == after.value:
        return _place(row.pipeline) > _place(after.pipeline)
    if value is None or after.value is None:
        return value is None
    return bool(value < after.value if _is_backwards(after.order) else value > after.value)


def _place(pipeline: str) -> tuple[str, int, str]:
    return base_of(pipeline), number_of(pipeline), pipeline


def _newest(rows: Iterable[Row]) -> Callable[[Row], str]:
    newest: dict[str, str] = {}
    for row in rows:
        base = base_of(row.pipeline)
        newest[base] = max(newest.get(base, ""), row.updated_at)
    return lambda row: newest[base_of(row.pipeline)]


def _is_backwards(order: str) -> bool:
    return order == FAMILIES or order.startswith("-")


def is_order(order: str) -> bool:
    """Say whether pipelines can be sorted so."""
    return order == FAMILIES or order.removeprefix("-") in _SORTS


_SORTS: dict[str, tuple[Callable[[Row], Any], type]] = {
    "created": (lambda row: row.created_at or None, str),
    "updated": (lambda row: row.updated_at or None, str),
    "name": (lambda row: None if row.name is None else shown_name(row.name).casefold(), str),
    "duration": (lambda row: row.duration_s, float),
    "cost": (lambda row: row.cost, str),
}
SORTS = tuple(_SORTS)
"""By what pipelines can be sorted. Amounts of several currencies aren't compared: each stands by itself."""

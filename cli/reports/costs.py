"""What was paid, for people: a line about one pipeline, and a table with what its columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from cli.render import count, printable
from projections.cost import COLUMNS, IN_DOUBT, REPEATED_CALL, UNDER_WAY, Row, Sums
from projections.money import BILLED, ESTIMATED
from projections.prices import StagePrice

_HEADINGS: Final = {
    BILLED: ("", "PAID"),
    ESTIMATED: ("PAID,", "ESTIMATED"),
    IN_DOUBT: ("PERHAPS", "PAID"),
    REPEATED_CALL: ("PERHAPS", "TWICE"),
    UNDER_WAY: ("UNDER", "WAY"),
}
_WORDS: Final = {IN_DOUBT: "perhaps paid", REPEATED_CALL: "perhaps paid twice", UNDER_WAY: "under way"}
_MEANINGS: Final = {
    ESTIMATED: "Estimated: paid too; the service doesn't say how much, so this is reckoned from its prices.",
    IN_DOUBT: "Perhaps paid: in doubt; no answer came, and nobody knows whether it was billed. At most so much.",
    REPEATED_CALL: "Perhaps twice: in doubt, and sent once more. At most so much was paid a second time.",
    UNDER_WAY: "Under way: there is no answer yet. At most so much.",
}
_UNKNOWN = "Unknown: calls without a known price are only counted; the service's own bill says what they cost."
_PLACES = (2, 4, 6)


def cost_words(found: Iterable[Sums]) -> str:
    """Return what a pipeline cost, in a line: `0.48 USD paid (estimated), 0.12 USD perhaps paid`."""
    return printable("; ".join(", ".join(_parts(sums)) for sums in found))


def price_words(price: StagePrice) -> str:
    """Return what something will cost, in words."""
    if price.expected is None:
        return "its price is unknown"
    if price.at_most is None:
        return f"expected {price.expected}; at most: not known yet"
    if price.at_most.amount == 0:
        return "nothing more to pay"
    return f"expected {price.expected}, at most {price.at_most}"


def _parts(sums: Sums) -> Iterator[str]:
    if sums.currency is None:
        yield f"{count(sums.calls, 'call')} of unknown cost"
        return
    if sums.billed.calls or sums.estimated.calls:
        basis = f" ({sums.money(ESTIMATED)} of it estimated)" if sums.billed.calls else " (estimated)"
        yield f"{sums.paid} paid{basis if sums.estimated.calls else ''}"
    for column, words in _WORDS.items():
        if sums.columns[column].calls:
            yield f"up to {sums.money(column)} {words}"


def cost_table(rows: Sequence[Row], found: Sequence[Sums], by: str, names: dict[str, str]) -> str:
    """Return the sums as a table with a total for each currency; columns in which nothing stands are left out.

    Args:
        rows: at least one.
        found: their totals.
        by: what a row is about.
        names: of pipelines by id; empty where rows are about something else.
    """
    shown = [column for column in COLUMNS if any(sums.columns[column].calls for sums in found)]
    places = _places(rows)
    lines = [(row.group or "(not named)", row.sums, names.get(row.group, "")) for row in rows]
    totals = [("Total", sums, "") for sums in found]
    head = _head(by, shown, "NAME" if names else "")
    body, foot = ([_line(*line, shown, places) for line in some] for some in (lines, totals))
    return _aligned([*head, *body, ("",) * len(head[0]), *foot])


def _head(by: str, shown: Sequence[str], name: str) -> list[tuple[str, ...]]:
    columns = [_HEADINGS[column] for column in shown]
    heads = [("", by.upper()), ("", "CALLS"), *columns, ("", "CURRENCY"), ("", name)]
    return [line for line in zip(*heads, strict=True) if any(line)]


def _line(group: str, sums: Sums, name: str, shown: Sequence[str], places: int) -> tuple[str, ...]:
    amounts = (_cell(sums, column, places) for column in shown)
    return printable(group), str(sums.calls), *amounts, printable(sums.currency or "unknown"), name


def meanings(found: Sequence[Sums]) -> Iterator[str]:
    """Yield a sentence on each column of a table that may need one."""
    for column, sentence in _MEANINGS.items():
        if any(sums.columns[column].calls for sums in found):
            yield sentence
    if any(sums.currency is None for sums in found):
        yield _UNKNOWN


def _cell(sums: Sums, column: str, places: int) -> str:
    calls, amount = sums.columns[column].calls, sums.columns[column].amount
    if not calls:
        return "-"
    return _digits(amount, places) if amount is not None else count(calls, "call")


def _digits(amount: Decimal, places: int) -> str:
    return format(amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN), "f")


def _places(rows: Iterable[Row]) -> int:
    """Return how many places show two digits of the smallest amount; all have as many, so that points align."""
    amounts = [column.amount for row in rows for column in row.sums.columns.values() if column.amount]
    least = min(amounts, default=Decimal(1))
    return next((places for places in _PLACES if least >= Decimal(1).scaleb(1 - places)), _PLACES[-1])


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as columns: the first and the last two begin at the left, numbers end at the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    texts = {0, len(widths) - 2, len(widths) - 1}
    lines = (
        "  ".join(row[i].ljust(width) if i in texts else row[i].rjust(width) for i, width in enumerate(widths))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)

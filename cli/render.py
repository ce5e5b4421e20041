"""Values as people read them: names without surprises, sizes, times, one line for each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventlog.record import Record

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""Return text that can't drive a terminal: what is invisible or broken stands as \uXXXX or \xXX."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    import unicodedata

    if char.isprintable() or unicodedata.category(char) not in _INVISIBLE:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_error(error: Exception) -> str:
    """Return an error's message; each of its parts is safe to print and stands on a line of its own."""
    return "\n  ".join(printable(str(part)) for part in error.args) or type(error).__name__


def shown_name(name: Any) -> str:
    """Return a recorded file name for display."""
    if isinstance(name, dict):
        try:
            name = bytes.fromhex(name.get("bytes_hex", "")).decode("utf-8", "backslashreplace")
        except (TypeError, ValueError):
            return printable(str(name))
    return printable(str(name)) if name is not None else "?"


def seconds(value: float | None) -> str:
    """Return a duration: `0.4 s`, `3 min 12 s`, `2 h 05 min`."""
    if value is None:
        return "?"
    if value < 9.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(size_bytes: float) -> str:
    """Return a size: `312 B`, `4.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def moment(time: str | None) -> str:
    """Return a record's time without its fraction."""
    return "?" if time is None else time[:19].replace("T", " ")


def count(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clause(sentence: str) -> str:
    """Return a sentence as it stands within another."""
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def option_value(value: Any) -> str:
    """Return the value of an option."""
    return "not set" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """Return rows as aligned columns; the last column is not padded."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header) - 1)]
    lines = (
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in [header, *rows]
    )
    return "\n".join(line.rstrip() for line in lines)


def json_line(value: Any, *, indented: bool = True) -> str:
    """Return a value as JSON for programs: keys in our order; broken characters as text, escaped."""
    import orjson

    option = orjson.OPT_INDENT_2 if indented else None
    try:
        return orjson.dumps(value, option=option).decode()
    except TypeError:
        return orjson.dumps(_encodable(value), option=option).decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, (list, tuple)) else value


def event_line(record: Record) -> str:
    """Return an event as one readable line."""
    columns = (
        moment(record.time),
        record.pipeline,
        f"{record.seq:>4}",
        printable(record.type),
        event_words(record),
    )
    return "  ".join(columns).rstrip()


def event_words(record: Record) -> str:
    """Return what an event says, in a few words; any record can be shown, also one of an unknown type."""
    data = record.data
    words = _WORDS.get(record.type)
    try:
        text = words(data) if words else " ".join(f"{name}={value}" for name, value in data.items())
    except (KeyError, TypeError, AttributeError, IndexError):
        text = str(data)
    return printable(text)


def _stage(data: dict[str, Any]) -> str:
    return f"{data['stage']} #{data['attempt']}"


def _outcome(data: dict[str, Any]) -> str:
    found = data["metadata"]
    facts = [count(found[f"{noun}s"], noun) for noun in _COUNTED if f"{noun}s" in found]
    return f"{_stage(data)}: {', '.join([*facts, seconds(data['duration_s'])])}"


def _lost_head(data: dict[str, Any]) -> str:
    head = data["head"]
    return f"record {head['seq']}, which the kept head named, is lost" if head else "the kept head was unreadable"


_CAUSES = {
    "first": "for the first time",
    "named": "as you wish now",
    "upstream": "on new input",
    "refresh": "as asked",
    "remade": "to make lost files again",
}


def money(data: Mapping[str, Any] | None) -> str:
    """Return an amount of a record for people."""
    from projections.money import money_from

    found = money_from(data)
    return "unknown" if found is None else str(found)


def _cost(data: dict[str, Any]) -> str:
    return f", {money(data['cost'])}" if data.get("cost") else ""


def _replaced(data: dict[str, Any]) -> str:
    return f", in place of record {data['replaces']}" if data.get("replaces") else ""


_COUNTED = ("segment", "speaker", "word", "chunk", "utterance")
_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "log.created": lambda d: f"format {d['format']} on {d['file_system']}",
    "log.recovered": lambda d: f"{d['size_bytes']} unfinished bytes set aside as {d['file']}",
    "log.salvaged": lambda d: f"the damaged log was set aside as {d['file']}",
    "log.restored": lambda d: f"{_lost_head(d)}; that head was set aside as {d['file']}",
    "log.sealed": lambda d: "",
    "pipeline.created": lambda d: f"{shown_name(d['input']['name'])}, {size(d['input']['size_bytes'])}",
    "pipeline.forked": lambda d: f"a variant of {d['of']} as of record {d['head']['seq']}",
    "input.seen": lambda d: f"also named {shown_name(d['name'])}",
    "run.started": lambda d: f"{d['user']}@{d['host']}, pid {d['pid']}",
    "run.finished": lambda d: f"{d['outcome']} after {seconds(d['duration_s'])}",
    "stage.started": lambda d: f"{_stage(d)} begins ({_CAUSES.get(d['cause'], d['cause'])})",
    "stage.succeeded": _outcome,
    "stage.taken_over": lambda d: (
        f"{_stage(d)}, made as #{d['provided_by']['attempt']} of {d['provided_by']['pipeline']}"
    ),
    "stage.failed": lambda d: f"{_stage(d)}: {d['error']['message']}",
    "stage.interrupted": _stage,
    "call.started": lambda d: f"{d['call']}: {d['provider']} {d['operation']} {d['unit']}",
    "call.accepted": lambda d: f"{d['call']}: job {d['job_id']}",
    "call.succeeded": lambda d: (
        f"{d['call']}: {seconds(d['latency_s'])}{_cost(d)}" + (" (found on disk)" if d.get("found") else "")
    ),
    "call.reused": lambda d: f"{d['unit']}: answered before, by {d['of']}",
    "call.taken_over": lambda d: (
        f"{d['unit']}: answered for {d['provided_by']['pipeline']}, {d['provided_by']['call']}"
    ),
    "call.failed": lambda d: f"{d['call']} ({d['kind']}): {d['error']['message']}{_cost(d)}",
    "call.resolved": lambda d: f"{d['call']}: {d['resolution']}, by {d['by']}",
    "engine.probed": lambda d: f"{d['provider']} {d['model']} at {d['origin']}",
    "budget.exceeded": lambda d: f"{d['stage']} {d['unit']}: {d['limit']} of {money(d['amount'])}",
    "speakers.named": lambda d: f"by {d['user']}, see {d['content']['path']}{_replaced(d)}",
    "transcript.corrected": lambda d: f"by {d['user']}, see {d['content']['path']}",
    "annotation.undone": lambda d: f"what record {d['annotation']} says, by {d['user']}",
    "loss.accepted": lambda d: f"{d['user']} goes on although records may be lost",
    "pipeline.handed_over": lambda d: f"in {shown_name(d['bundle'])}, by {d['user']}",
    "pipeline.received": lambda d: f"by {d['user']}",
    "pipeline.erased": lambda d: f"by {d['user']}",
    "pipeline.unerased": lambda d: f"by {d['user']}",
    "artifact.missing": lambda d: f"{d['path']} is {d['found']}",
    "artifact.erased": lambda d: (
        f"{count(len(d['paths']), 'file')}, {size(d['size_bytes'])}, by {d['user']} ({d['reason']})"
    ),
}

"""Documents as MongoDB's extended JSON writes them, canonical and relaxed: their members become a row's columns.

The forms are those of MongoDB's Extended JSON specification, version 2, and of its version 1 for dates and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headrace.change import Value
from headrace.envelopes import bad
from headrace.envelopes.drafts import Cells
from headrace.envelopes.raw import Cell, Members, Raw, cell, decoded, is_object, is_text, members, number, shown, text
from headrace.envelopes.times import timestamp_text


def is_document(raw: Raw | None) -> bool:
    """Whether a side of an envelope is a document: JSON inside a text."""
    return is_text(raw) and text(raw or b"").lstrip().startswith("{")


def document_cells(raw: Raw) -> Cells:
    """A document's members as columns; nested ones stay their text. Raises BadInput."""
    inner = text(raw).strip().encode() if is_text(raw) else raw
    return {name: _cell(value) for name, value in members(inner, "a document").items()}


def key_cells(raw: Raw) -> Cells:
    """`_id` of a message's key, whose `id` is extended JSON inside a text. Raises BadInput."""
    found = members(raw, "a key with `id`") if is_object(raw) else {}
    if "id" not in found:
        raise bad("a key with `id`", shown(raw))
    held = found["id"]
    return {"_id": _cell(text(held).encode() if is_text(held) else held)}


def _cell(raw: Raw) -> Cell:
    if not is_object(raw):
        return cell(raw)
    parts = members(raw, "a value")
    for name, (kind, read) in _FORMS.items():
        if name in parts:
            return kind, read(parts)
    return cell(raw)


def _digits(name: str) -> Callable[[Members], Value]:
    def read(parts: Members) -> Value:
        found = text(parts[name]) if is_text(parts[name]) else parts[name].decode()
        return number(found)[1] if found.lstrip("-").isdigit() else found

    return read


def _double(parts: Members) -> Value:
    found = parts["$numberDouble"]
    written = text(found) if is_text(found) else found.decode()
    return written if written in ("NaN", "Infinity", "-Infinity") else float(written)


def _word(name: str) -> Callable[[Members], Value]:
    return lambda parts: text(parts[name])


def _date(parts: Members) -> Value:
    """Milliseconds, as a number or in `$numberLong`; relaxed: ISO 8601."""
    found = parts["$date"]
    if is_text(found):
        return text(found)
    count = _digits("$numberLong")(members(found, "a date")) if is_object(found) else number(found.decode())[1]
    if not isinstance(count, int):
        raise bad("a date's milliseconds", shown(found))
    return timestamp_text(count, 1000) + "+00"


def _binary(parts: Members) -> Value:
    found = parts["$binary"]
    if is_object(found):
        found = members(found, "binary data").get("base64", b'""')
    return decoded(text(found))


_FORMS: Mapping[str, tuple[str, Callable[[Members], Value]]] = {
    "$oid": ("objectid", _word("$oid")),
    "$numberLong": ("int8", _digits("$numberLong")),
    "$numberInt": ("int4", _digits("$numberInt")),
    "$numberDouble": ("float8", _double),
    "$numberDecimal": ("numeric", _word("$numberDecimal")),
    "$date": ("timestamptz", _date),
    "$binary": ("bytea", _binary),
    "$uuid": ("uuid", _word("$uuid")),
    "$symbol": ("text", _word("$symbol")),
}

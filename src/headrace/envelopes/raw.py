"""JSON without losing a digit: objects whose values stay the text that came, until somebody knows their type."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

import msgspec

from headrace.change import Value
from headrace.envelopes import bad

Raw = bytes
"""The JSON text of one value."""
Members = Mapping[str, Raw]
Cell = tuple[str, Value]
"""A column's type and value."""

NULL = b"null"
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()


def members(raw: Raw, what: str) -> dict[str, Raw]:
    """An object's members. Raises BadInput."""
    try:
        return {name: bytes(value) for name, value in _object.decode(raw).items()}
    except msgspec.ValidationError:
        raise bad(what, shown(raw)) from None
    except (ValueError, RecursionError) as problem:
        raise bad("JSON", _why(problem)) from None


def elements(raw: Raw) -> list[Raw]:
    """An array's elements. Raises BadInput."""
    try:
        return [bytes(value) for value in _array.decode(raw)]
    except (ValueError, RecursionError) as problem:
        raise bad("a JSON array", _why(problem)) from None


def anything(raw: Raw) -> object:
    """The value as Python has it: for what is no row. Raises BadInput."""
    try:
        return cast("object", _any.decode(raw))
    except (ValueError, RecursionError) as problem:
        raise bad("JSON", _why(problem)) from None


def anything_of(found: Members, name: str) -> object:
    return anything(found[name]) if name in found else None


def is_null(raw: Raw | None) -> bool:
    return raw is None or raw == NULL


def is_object(raw: Raw | None) -> bool:
    return raw is not None and raw.startswith(b"{")


def is_text(raw: Raw | None) -> bool:
    return raw is not None and raw.startswith(b'"')


def text(raw: Raw) -> str:
    """A JSON string. Raises BadInput."""
    try:
        return _text.decode(raw)
    except ValueError as problem:
        raise bad("text", f"{shown(raw)}: {_why(problem)}") from None


def decoded(encoded: str) -> bytes:
    """Base64. Raises BadInput."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise bad("bytes as base64", f"{encoded[:60]!r}: {problem}") from None


def whole(raw: Raw) -> int | None:
    """A whole number of 64 bits; None for anything else."""
    found = cell(raw)[1]
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def cell(raw: Raw) -> Cell:
    """A value with the type that JSON shows."""
    first = raw[:1]
    if first == b'"':
        return "text", text(raw)
    if first in b"{[":
        return "json", raw.decode()
    if first == b"n":
        return "text", None
    if first in b"tf":
        return "bool", first == b"t"
    return number(raw.decode())


def number(literal: str) -> Cell:
    """A number as int or float where these write it the same way, else as text to the digit."""
    if literal.lstrip("-").isdigit():
        if len(literal) <= 20 and _LOWEST <= (whole := int(literal)) <= _HIGHEST:
            return "int8", whole
        return "numeric", literal
    found = float(literal)
    same = repr(found)
    if same == literal or ("e" in literal.lower() and _equal(same, literal)):
        return "float8", found
    return "numeric", literal


def _equal(same: str, literal: str) -> bool:
    return same not in ("inf", "-inf") and Decimal(same) == Decimal(literal)


def shown(raw: Raw, length: int = 120) -> str:
    """The start of a JSON text, for an error."""
    told = raw[: length + 1].decode("utf-8", "replace")
    return told if len(told) <= length else told[:length] + "…"


def _why(problem: BaseException) -> str:
    return "nested too deeply" if isinstance(problem, RecursionError) else str(problem)[:200]

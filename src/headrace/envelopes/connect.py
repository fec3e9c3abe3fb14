"""Kafka Connect's schemas beside JSON payloads: what type a field has, and how its value is read.

Logical types are those of Connect itself and of Debezium (io.debezium.time, io.debezium.data), by the names that their
documentations give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from math import isfinite
from types import MappingProxyType
from typing import cast

import msgspec

from headrace.change import Value
from headrace.envelopes import bad
from headrace.envelopes.geometry import geometry, point
from headrace.envelopes.raw import (
    NULL,
    Cell,
    Raw,
    anything,
    cell,
    decoded,
    elements,
    is_object,
    is_text,
    members,
    shown,
    text,
    whole,
)
from headrace.envelopes.times import date_text, time_text, timestamp_text
from headrace.errors import BadInput

Json = Mapping[str, object]
Reader = Callable[[Raw], Value]


@dataclass(frozen=True, slots=True)
class Field:
    """A column's type and how its values are read."""

    type: str
    read: Reader

    def cell(self, raw: Raw) -> Cell:
        """Raises BadInput, naming nothing: the caller knows the column."""
        return self.type, None if raw == NULL else self.read(raw)


Fields = Mapping[str, Field]
NO_FIELDS: Fields = MappingProxyType({})


@lru_cache(maxsize=512)
def row_fields(schema: bytes) -> Fields:
    """The fields of a row by name, of the schema of an envelope (its `after` or `before`) or of a row itself.

    A stream repeats its few schemas with every record. Raises BadInput.
    """
    found = _fields(anything(schema))
    for side in ("after", "before"):
        for field in found:
            if field.get("field") == side:
                return _readers(_fields(field))
    return _readers(found)


@lru_cache(maxsize=512)
def own_field(column_type: str, *, held: bool = False) -> Field:
    """A column of an envelope that names its types itself, as Headrace's do. `held`: it holds bytes."""
    if held or column_type == "bytea":
        return Field(column_type, _bytes)
    if column_type in ("float4", "float8"):
        return Field(column_type, _float)
    return Field(column_type, _own)


def _fields(schema: object) -> list[Json]:
    found = cast("Json", schema).get("fields") if isinstance(schema, dict) else None
    return [f for f in cast("list[Json]", found) if isinstance(f, dict)] if isinstance(found, list) else []


def _readers(fields: list[Json]) -> Fields:
    return {str(f.get("field")): _field(f) for f in fields}


def _field(field: Json) -> Field:
    name = str(field.get("name") or "")
    if name in _LOGICAL:
        kind, make = _LOGICAL[name]
        parameters: object = field.get("parameters") or cast("object", {})
        if not isinstance(parameters, dict):
            raise bad("a schema whose parameters are an object", repr(parameters)[:60])
        return Field(kind, make(cast("Json", parameters)))
    if field.get("type") == "array" and isinstance(items := field.get("items"), dict):
        return _list(_field(cast("Json", items)))
    return _PHYSICAL.get(str(field.get("type")), _JSON)


def _list(item: Field) -> Field:
    """JSON, of what its elements are: a date is no count of days there either. Plain ones stay as they came."""
    if item is _JSON or item.read is _plain:
        return _JSON

    def read(raw: Raw) -> Value:
        return text(raw) if is_text(raw) else f"[{', '.join(_element(item, e) for e in elements(raw))}]"

    return Field("json", read)


def _element(item: Field, raw: Raw) -> str:
    kind, value = item.cell(raw)
    if kind == "numeric" and isinstance(value, str) and Decimal(value).is_finite():
        return value
    if kind == "json" and isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()  # bytes as base64 again


# ---- values ----------------------------------------------------------------------------------------------------------


def _plain(raw: Raw) -> Value:
    return cell(raw)[1]


def _own(raw: Raw) -> Value:
    """A number is one here: what is text to the digit was written as text."""
    if len(raw) <= 20 and raw.lstrip(b"-").isdigit() and (whole := int(raw)) < 2**64:
        return whole if whole >= -(2**63) else raw.decode()
    return cell(raw)[1]


def _float(raw: Raw) -> Value:
    if is_text(raw):
        return text(raw)  # NaN and the infinities
    found = float(raw)
    return found if isfinite(found) else raw.decode()


def _bytes(raw: Raw) -> Value:
    return decoded(text(raw))


def _json_text(raw: Raw) -> Value:
    return text(raw) if is_text(raw) else raw.decode()


def _counted(form: Callable[[int], str], raw: Raw) -> Value:
    """A count of time units; where the sender writes text instead, that text."""
    count = whole(raw)
    return _plain(raw) if count is None else form(count)


def _scaled(scale: int, raw: Raw) -> Value:
    """Decimal's unscaled value: two's complement, highest byte first. Numbers and text stay what they say."""
    if not is_text(raw):
        return raw.decode()
    encoded = text(raw)
    try:
        data = decoded(encoded)
    except BadInput:
        return _number_text(encoded)
    if abs(scale) > _MOST_SCALE or len(data) > _MOST_DECIMAL:
        raise bad("a decimal of a size that databases have", f"{len(data)} bytes, scale {scale}")
    # By way of Decimal: as text Python gives integers of no more than 4300 digits.
    sign, digits, _ = Decimal(int.from_bytes(data, "big", signed=True)).as_tuple()
    return f"{Decimal((sign, digits, -scale)):f}"


def _number_text(found: str) -> str:
    try:
        Decimal(found)
    except ArithmeticError:
        raise bad("a decimal as base64 or as digits", repr(found[:60])) from None
    return found


def _decimal(parameters: Json) -> Reader:
    return partial(_scaled, _parameter(parameters, "scale"))


def _variable(_: Json) -> Reader:
    def read(raw: Raw) -> Value:
        if not is_object(raw):
            return _scaled(0, raw) if not is_text(raw) else _number_text(text(raw))
        parts = members(raw, "a decimal with its scale")
        if "value" not in parts:
            raise bad("a decimal with `value` and `scale`", shown(raw))
        return _scaled(whole(parts.get("scale", b"0")) or 0, parts["value"])

    return read


def _bits(parameters: Json) -> Reader:
    length = _parameter(parameters, "length")

    def read(raw: Raw) -> Value:
        data = decoded(text(raw))
        # Of a length without limit the schema says the largest number that there is.
        return f"{int.from_bytes(data, 'little'):0{min(length, max(_LONGEST_WORD, 8 * len(data)))}b}"

    return read


def _parameter(parameters: Json, name: str) -> int:
    found = str(parameters.get(name, "0"))
    if not found.lstrip("-").isdigit():
        raise bad(f"a schema whose {name} is a whole number", repr(found[:60]))
    return int(found)


def _as(reader: Reader) -> Callable[[Json], Reader]:
    return lambda _: reader


def _count(form: Callable[..., str], *unit: int) -> Callable[[Json], Reader]:
    return _as(partial(_counted, (lambda n: form(n, *unit)) if unit else form))


_MOST_SCALE, _MOST_DECIMAL = 20_000, 65_536
"""PostgreSQL has the largest: 131,072 digits before the point and 16,383 behind it; the second is in bytes."""
_LONGEST_WORD = 64
_MILLI, _MICRO, _NANO = 1000, 1_000_000, 1_000_000_000
_JSON = Field("json", _json_text)
_PHYSICAL: Mapping[str, Field] = {
    "int8": Field("int2", _plain),
    "int16": Field("int2", _plain),
    "int32": Field("int4", _plain),
    "int64": Field("int8", _plain),
    "float": Field("float4", _float),
    "float32": Field("float4", _float),
    "double": Field("float8", _float),
    "float64": Field("float8", _float),
    "boolean": Field("bool", _plain),
    "string": Field("text", _plain),
    "bytes": Field("bytea", _bytes),
}
_D, _T = "io.debezium.data.", "io.debezium.time."
_C = "org.apache.kafka.connect.data."
_LOGICAL: Mapping[str, tuple[str, Callable[[Json], Reader]]] = {
    f"{_C}Decimal": ("numeric", _decimal),
    f"{_C}Date": ("date", _count(date_text)),
    f"{_C}Time": ("time", _count(time_text, _MILLI)),
    f"{_C}Timestamp": ("timestamp", _count(timestamp_text, _MILLI)),
    f"{_D}VariableScaleDecimal": ("numeric", _variable),
    f"{_D}Json": ("jsonb", _as(_json_text)),
    f"{_D}Uuid": ("uuid", _as(_plain)),
    f"{_D}Xml": ("xml", _as(_plain)),
    f"{_D}Enum": ("enum", _as(_plain)),
    f"{_D}EnumSet": ("set", _as(_plain)),
    f"{_D}Ltree": ("ltree", _as(_plain)),
    f"{_D}TsVector": ("tsvector", _as(_plain)),
    f"{_D}Bits": ("bit", _bits),
    f"{_D}geometry.Geometry": ("geometry", _as(geometry)),
    f"{_D}geometry.Geography": ("geography", _as(geometry)),
    f"{_D}geometry.Point": ("point", _as(point)),
    f"{_T}Date": ("date", _count(date_text)),
    f"{_T}Time": ("time", _count(time_text, _MILLI)),
    f"{_T}MicroTime": ("time", _count(time_text, _MICRO)),
    f"{_T}NanoTime": ("time", _count(time_text, _NANO)),
    f"{_T}Timestamp": ("timestamp", _count(timestamp_text, _MILLI)),
    f"{_T}MicroTimestamp": ("timestamp", _count(timestamp_text, _MICRO)),
    f"{_T}NanoTimestamp": ("timestamp", _count(timestamp_text, _NANO)),
    f"{_T}ZonedTimestamp": ("timestamptz", _as(_plain)),
    f"{_T}ZonedTime": ("timetz", _as(_plain)),
    f"{_T}IsoDate": ("date", _as(_plain)),
    f"{_T}IsoTime": ("time", _as(_plain)),
    f"{_T}IsoTimestamp": ("timestamp", _as(_plain)),
    f"{_T}Year": ("int4", _as(_plain)),
    f"{_T}MicroDuration": ("interval", _count(time_text, _MICRO)),
    f"{_T}NanoDuration": ("interval", _count(time_text, _NANO)),
    f"{_T}Interval": ("interval", _as(_plain)),
}

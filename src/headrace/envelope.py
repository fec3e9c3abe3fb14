"""A change as a Debezium-compatible JSON envelope, and back. Pure.

Ours carry two members more than Debezium's: `columns` (name to type, in order) and `key`, so that reading one again
gives the same change, types included. Bytes are base64, as there. Of Debezium's own, with or without schema, the
types are Connect's where a schema is there, otherwise what JSON shows; its placeholder for a value that it did not
get stays as it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from itertools import zip_longest
from typing import cast

import msgspec

from headrace.change import Change, Column, Op, Position, Row, Schema, Value
from headrace.errors import BadInput

Json = Mapping[str, object]

_VERSION = version("headrace")
_OPS = {op.value: op for op in Op}
_NO_CHANGE = frozenset({"m"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONNECT = {
    "int8": "int2",
    "int16": "int2",
    "int32": "int4",
    "int64": "int8",
    "float": "float4",
    "float32": "float4",
    "double": "float8",
    "float64": "float8",
    "boolean": "bool",
    "string": "text",
    "bytes": "bytea",
}


def encode_envelope(change: Change) -> bytes:
    """One line of JSON, without a line break."""
    schema, position = change.schema, change.position
    namespace, _, table = schema.table.rpartition(".")
    at_ms = change.committed_at // 1000
    return _encode(
        {
            "before": _record(schema, change.before),
            "after": _record(schema, change.after),
            "source": {
                "version": _VERSION,
                "connector": "postgresql" if schema.table else "file",
                "name": schema.source,
                "ts_ms": at_ms,
                "ts_us": change.committed_at,
                "snapshot": "true" if change.op is Op.READ else "false",
                "db": "",
                "schema": namespace,
                "table": table,
                "txId": change.transaction,
                "lsn": position.major,
                "sequence": f'["{position.major}","{position.minor}"]',
            },
            "op": change.op.value,
            "ts_ms": at_ms,
            "key": {name: _plain(value) for name, value in zip_longest(schema.key, change.key)},
            "columns": _columns(schema),
        }
    )


_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=4096)
def _columns(schema: Schema) -> dict[str, str]:
    return {c.name: c.type for c in schema.columns}


def _plain(value: Value) -> bool | int | float | str | None:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _record(schema: Schema, row: Row | None) -> dict[str, bool | int | float | str | None] | None:
    if row is None:
        return None
    return {c.name: _plain(v) for c, v in zip(schema.columns, row, strict=True)}


def decode_envelope(value: bytes | None, key: bytes | None = None) -> Change | None:
    """A change of an envelope; `key` is the message's key, where it travels apart.

    None for what changes no row: a tombstone, a logical message. Raises BadInput.
    """
    if value is None or not value.strip() or value.strip() == b"null":
        return None
    whole = _object(_json(value), "an envelope")
    payload, fields = _unwrap(whole)
    op = payload.get("op")
    if op in _NO_CHANGE:
        return None
    if not isinstance(op, str) or op not in _OPS:
        raise _bad("op of c, u, d, r or t", repr(op)[:60])
    identified = _key(payload, key)
    try:
        return _change(payload, _OPS[op], fields, identified)
    except (ValueError, TypeError, OverflowError, binascii.Error) as problem:
        raise _bad("values as their types say", str(problem)[:200]) from None


def _json(data: bytes) -> object:
    try:
        return cast("object", msgspec.json.decode(data))
    except msgspec.DecodeError as problem:
        raise _bad("JSON", str(problem)) from None


def _object(found: object, what: str) -> Json:
    if not isinstance(found, dict):
        raise _bad(what, type(found).__name__)
    return cast("Json", found)


def _unwrap(whole: Json) -> tuple[Json, dict[str, Json]]:
    """The payload and, with a schema beside it, its row's fields by name."""
    if "payload" not in whole:
        return whole, {}
    return _object(whole["payload"], "a payload"), _fields(whole.get("schema"))


def _fields(schema: object) -> dict[str, Json]:
    for member in ("after", "before"):
        for field in _members(schema):
            if field.get("field") == member:
                return {str(f.get("field")): f for f in _members(field)}
    return {}


def _members(schema: object) -> list[Json]:
    found = cast("Json", schema).get("fields") if isinstance(schema, dict) else None
    return cast("list[Json]", found) if isinstance(found, list) else []


def _key(payload: Json, key: bytes | None) -> Json | None:
    found = payload.get("key") if key is None else _json(key)
    if not isinstance(found, dict):
        return None
    named = cast("Json", found)
    inner = named.get("payload") if "schema" in named else named
    return cast("Json", inner) if isinstance(inner, dict) else None


def _change(payload: Json, op: Op, fields: dict[str, Json], key: Json | None) -> Change:
    source = _object(payload.get("source"), "a source")
    before, after = (
        None if payload.get(side) is None else _object(payload[side], "a row") for side in ("before", "after")
    )
    row = after if after is not None else before
    types = _types(payload.get("columns"), fields, row or key or {})
    names = tuple(types)
    key_names = names if key is None else tuple(key)
    schema = Schema(str(source.get("name")), _table(source), tuple(Column(n, t) for n, t in types.items()), key_names)
    readers = {name: _reader(types.get(name, ""), fields.get(name)) for name in {*names, *key_names}}
    identity = key if key is not None else (row or {})
    return Change(
        schema,
        op,
        _position(source, ours="columns" in payload),
        _committed_at(source),
        _integer(source.get("txId")),
        () if op is Op.TRUNCATE else tuple(readers[name](identity.get(name)) for name in key_names),
        _row(names, readers, before),
        _row(names, readers, after),
    )


def _row(names: tuple[str, ...], readers: Mapping[str, Callable[[object], Value]], record: Json | None) -> Row | None:
    return None if record is None else tuple(readers[name](record.get(name)) for name in names)


def _table(source: Json) -> str:
    namespace, table = source.get("schema") or source.get("db") or "", source.get("table") or ""
    return f"{namespace}.{table}" if namespace and table else str(table)


def _position(source: Json, *, ours: bool) -> Position:
    """(commit LSN, sequence) of our own; of Debezium's (LSN of the event, 0), both of which grow with the stream."""
    lsn = source.get("lsn")
    major = _integer(lsn if lsn is not None else source.get("pos"))
    sequence = source.get("sequence")
    if not ours or not isinstance(sequence, str):
        return Position(major)
    found = cast("object", msgspec.json.decode(sequence))
    numbers = cast("list[object]", found) if isinstance(found, list) else []
    return Position(major, _integer(numbers[1]) if len(numbers) == 2 else 0)


def _committed_at(source: Json) -> int:
    us = source.get("ts_us")
    return _integer(us) if us is not None else 1000 * _integer(source.get("ts_ms"))


def _integer(found: object) -> int:
    if found is None:
        return 0
    if isinstance(found, int | str):
        return int(found)
    raise TypeError(f"a whole number was expected, not {type(found).__name__}")


def _types(columns: object, fields: dict[str, Json], row: Json) -> dict[str, str]:
    if isinstance(columns, dict):
        return {str(n): str(t) for n, t in cast("dict[object, object]", columns).items()}
    return {name: _connect_type(fields[name]) if name in fields else _seen_type(v) for name, v in row.items()}


def _seen_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int8"
    if isinstance(value, float):
        return "float8"
    return "json" if isinstance(value, dict | list) else "text"


_LOGICAL = {
    "org.apache.kafka.connect.data.Decimal": "numeric",
    "io.debezium.data.VariableScaleDecimal": "numeric",
    "io.debezium.data.Json": "jsonb",
    "io.debezium.data.Uuid": "uuid",
    "io.debezium.data.Xml": "xml",
    "io.debezium.time.Date": "date",
    "org.apache.kafka.connect.data.Date": "date",
    "io.debezium.time.Timestamp": "timestamp",
    "org.apache.kafka.connect.data.Timestamp": "timestamp",
    "io.debezium.time.MicroTimestamp": "timestamp",
    "io.debezium.time.ZonedTimestamp": "timestamptz",
}


def _connect_type(field: Json) -> str:
    logical = _LOGICAL.get(str(field.get("name")))
    return logical or _CONNECT.get(str(field.get("type")), "json")


def _reader(column_type: str, field: Json | None) -> Callable[[object], Value]:
    name = str(field.get("name")) if field else ""
    if field and name == "org.apache.kafka.connect.data.Decimal":
        parameters = _object(field.get("parameters") or {}, "parameters")
        scale = _integer(parameters.get("scale"))
        return lambda v: _decimal(v, scale)
    if name == "io.debezium.data.VariableScaleDecimal":
        return _variable_decimal
    if name.endswith(".Date"):
        return lambda v: _moment(v, timedelta(days=1), "%Y-%m-%d")
    if name.endswith((".MicroTimestamp", ".Timestamp")):
        unit = timedelta(microseconds=1) if "Micro" in name else timedelta(milliseconds=1)
        return lambda v: _moment(v, unit, "%Y-%m-%d %H:%M:%S.%f")
    if column_type == "bytea":
        return lambda v: base64.b64decode(v, validate=True) if isinstance(v, str) else _value(v)
    if column_type in ("float4", "float8"):
        return lambda v: float(v) if isinstance(v, int) and not isinstance(v, bool) else _value(v)
    return _value


def _value(found: object) -> Value:
    if found is None or isinstance(found, bool | int | float | str):
        return found
    return msgspec.json.encode(found).decode()


def _decimal(found: object, scale: int) -> Value:
    if not isinstance(found, str):
        return _value(found)
    unscaled = int.from_bytes(base64.b64decode(found, validate=True), "big", signed=True)
    return f"{Decimal((0 if unscaled >= 0 else 1, tuple(int(d) for d in str(abs(unscaled))), -scale)):f}"


def _variable_decimal(found: object) -> Value:
    if not isinstance(found, dict):
        return _value(found)
    parts = cast("Json", found)
    return _decimal(parts.get("value"), _integer(parts.get("scale")))


def _moment(found: object, unit: timedelta, form: str) -> Value:
    """A count of units since the epoch as PostgreSQL writes it; one outside of Python's years stays a number."""
    if not isinstance(found, int):
        return _value(found)
    try:
        return (_EPOCH + found * unit).strftime(form).removesuffix(".000000")
    except OverflowError:
        return found


def _bad(expected: str, got: str) -> BadInput:
    return BadInput(
        step="read a change envelope",
        expected=expected,
        got=got,
        remedy="Send Debezium's envelope: before, after, source, op; as JSON, with or without its schema.",
    )

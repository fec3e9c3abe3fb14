"""CloudEvents 1.0 in JSON: the event's attributes, and in its data a record of any other format.

Debezium's own converter puts what its envelope has beside the rows into extension attributes (`iodebezium…`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headrace.envelopes import bad
from headrace.envelopes.raw import (
    Members,
    Raw,
    anything,
    anything_of,
    decoded,
    elements,
    is_null,
    is_object,
    is_text,
    members,
    text,
)

_PREFIX = "iodebezium"
_SOURCE = {
    "version": "version", "connector": "connector", "name": "name", "db": "db", "schema": "schema", "table": "table",
    "collection": "collection", "keyspace": "keyspace", "lsn": "lsn", "txid": "txId", "sequence": "sequence",
    "file": "file", "pos": "pos", "tsms": "ts_ms", "tsus": "ts_us", "tsns": "ts_ns", "snapshot": "snapshot",
}  # fmt: skip
_REQUIRED = ("id", "source", "type")


def is_event(found: Members) -> bool:
    return "specversion" in found


def identity(found: Members) -> str:
    """What tells an event from every other: `source` and `id`. Raises BadInput."""
    version = anything_of(found, "specversion")
    if version != "1.0":
        raise bad("a CloudEvent of specversion 1.0", repr(version)[:60])
    said = [anything_of(found, name) for name in _REQUIRED]
    for name, value in zip(_REQUIRED, said, strict=True):
        if not isinstance(value, str) or not value:
            raise bad(f"a CloudEvent with `{name}`", repr(value)[:60])
    return f"{said[1]}\0{said[0]}"


def data(found: Members) -> Raw:
    """The event's data as JSON; for Debezium's converter a whole envelope. Raises BadInput."""
    inner = _data(found)
    letter = anything_of(found, _PREFIX + "op")
    if letter is None or not is_object(inner):
        return inner
    return _envelope(found, letter, inner)


def time(found: Members) -> object:
    """The event's time as it states it."""
    return anything_of(found, "time")


def batch(raw: Raw) -> list[Raw]:
    """The events of a batch. Raises BadInput."""
    return elements(raw)


def from_headers(headers: Mapping[str, str], body: bytes) -> Raw:
    """An event in binary mode (attributes in `ce-…` headers) as a structured one."""
    attributes: dict[str, object] = {n.removeprefix("ce-"): v for n, v in headers.items() if n.startswith("ce-")}
    attributes["datacontenttype"] = headers.get("content-type", "application/json")
    if body.strip():
        attributes["data"] = msgspec.Raw(body)
    return msgspec.json.encode(attributes)


def _data(found: Members) -> Raw:
    kind = str(anything_of(found, "datacontenttype") or "application/json").partition(";")[0].strip().lower()
    if not (kind in ("application/json", "text/json") or kind.endswith("+json")):
        raise bad("data of application/json", kind[:60], "Let the sender write JSON: Avro needs a registry's schema.")
    if not is_null(found.get("data_base64")):
        return decoded(text(found["data_base64"]))
    inner = found.get("data", b"null")
    return text(inner).encode() if is_text(inner) else inner


def _envelope(found: Members, letter: object, inner: Raw) -> Raw:
    """Debezium's envelope again: rows of the data, the rest of the attributes."""
    source = {
        name: anything(value)
        for attribute, name in _SOURCE.items()
        if not is_null(value := found.get(_PREFIX + attribute, b"null"))
    }
    rows = members(inner, "data with before and after")
    schema = rows.get("schema")
    if "payload" in rows:
        rows = members(rows["payload"], "a payload")
    envelope = {"op": letter, "source": source, **{n: msgspec.Raw(v) for n, v in rows.items() if n != "op"}}
    if schema is None or schema == b"null":
        return msgspec.json.encode(envelope)
    return msgspec.json.encode({"schema": msgspec.Raw(schema), "payload": envelope})

"""A change as a Debezium-compatible JSON envelope; `headrace.envelopes.debezium` reads it again. Pure.

Ours carry members more than Debezium's: `columns` (name to type, in order), `key`, and `bytes` where columns of another
type than bytea hold bytes, so that reading one again gives the same change, types included. Bytes are base64, as there.

`source` has what Debezium's connector of that kind puts there, as far as the log knows it: for PostgreSQL `db`,
`schema`, `lsn`, `txId`; for MySQL and MariaDB `db`, `file`, `pos` (of the transaction, not of the event) and `row` (of
the transaction). `sequence` is the position's two numbers for all of them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import zip_longest

import msgspec

from headrace.change import BINLOG_FIRST, BINLOG_OFFSET_BITS, Change, Op, Position, Row, Schema, Style, Value

_VERSION = version("headrace")
BYTES = "bytea"

Plain = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """What envelopes say of a change's source: its kind as Debezium's connectors are named (`file` and `push` are
    ours), `database` where all of its tables are in one, `log` the name of a binary log's files without their numbers.
    """

    connector: str
    style: Style
    database: str = ""
    log: str = ""


def encode_envelope(change: Change, origin: Origin) -> bytes:
    """One line of JSON, without a line break."""
    schema = change.schema
    at_ms = change.committed_at // 1000
    envelope = {
        "before": _record(schema, change.before),
        "after": _record(schema, change.after),
        "source": _source(change, origin, at_ms),
        "op": change.op.value,
        "ts_ms": at_ms,
        "key": {name: _plain(value) for name, value in zip_longest(schema.key, change.key)},
        "columns": _columns(schema),
    }
    held = _bytes(change)
    return _encode({**envelope, "bytes": held} if held else envelope)


_encode = msgspec.json.Encoder().encode


def _source(change: Change, origin: Origin, at_ms: int) -> dict[str, Plain]:
    position, (namespace, _, table) = change.position, change.schema.table.rpartition(".")
    source: dict[str, Plain] = {
        "version": _VERSION,
        "connector": origin.connector,
        "name": change.schema.source,
        "ts_ms": at_ms,
        "ts_us": change.committed_at,
        "snapshot": "true" if change.op is Op.READ else "false",
    }
    if origin.style is Style.BINLOG:
        source |= {"db": namespace, "table": table, **_binlog(position, origin.log or "binlog")}
    else:
        source |= {"db": origin.database, "schema": namespace, "table": table}
    if origin.style is Style.LSN:
        source["lsn"] = position.major
    source["txId"] = change.transaction
    source["sequence"] = f'["{position.major}","{position.minor}"]'
    return source


def _binlog(position: Position, log: str) -> dict[str, Plain]:
    file, offset = position.major >> BINLOG_OFFSET_BITS, position.major & (1 << BINLOG_OFFSET_BITS) - 1
    return {"file": f"{log}.{file:06d}", "pos": offset, "row": max(0, position.minor - BINLOG_FIRST - 1)}


@lru_cache(maxsize=4096)
def _columns(schema: Schema) -> dict[str, str]:
    return {c.name: c.type for c in schema.columns}


def _bytes(change: Change) -> list[str]:
    """Columns with bytes that their type does not tell: other systems have other names for it."""
    columns = change.schema.columns
    held = {n for n, v in zip(change.schema.key, change.key, strict=False) if isinstance(v, bytes)}
    for row in (change.before, change.after):
        if row is not None:
            held |= {c.name for c, v in zip(columns, row, strict=True) if isinstance(v, bytes) and c.type != BYTES}
    return [c.name for c in columns if c.name in held and c.type != BYTES] if held else []


def _plain(value: Value) -> Plain:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _record(schema: Schema, row: Row | None) -> dict[str, Plain] | None:
    if row is None:
        return None
    return {c.name: _plain(v) for c, v in zip(schema.columns, row, strict=True)}

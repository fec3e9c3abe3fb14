"""A change as a Debezium-compatible JSON envelope; `headrace.envelopes.debezium` reads it again. Pure.

Ours carry two members more than Debezium's: `columns` (name to type, in order) and `key`, so that reading one again
gives the same change, types included. Bytes are base64, as there.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from importlib.metadata import version
from itertools import zip_longest

import msgspec

from headrace.change import Change, Op, Row, Schema, Value

_VERSION = version("headrace")


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

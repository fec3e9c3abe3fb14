"""How changes stand in the log: a batch of one topic-partition as MessagePack, its schemas named once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from headrace.change import Change, Column, Op, Position, Schema, runs

_SchemaRecord = tuple[str, str, tuple[tuple[str, str], ...], tuple[str, ...]]
# MessagePack itself tells text from bytes; msgspec has no type for "either".
_Values = tuple[Any, ...]
_RowRecord = tuple[int, str, int, int, int, int, _Values, _Values | None, _Values | None]


class _Batch(msgspec.Struct, array_like=True, gc=False):
    schemas: list[_SchemaRecord]
    rows: list[_RowRecord]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)
_OPS = {op.value: op for op in Op}


def encode(changes: Sequence[Change]) -> bytes:
    """Changes of one topic-partition, in order."""
    schemas: dict[Schema, int] = {}
    rows: list[_RowRecord] = []
    for schema, run in runs(changes):
        n = schemas.setdefault(schema, len(schemas))
        rows += [
            (n, c.op, c.position[0], c.position[1], c.committed_at, c.transaction, c.key, c.before, c.after)
            for c in run
        ]
    return _encoder.encode(_Batch([_schema_record(s) for s in schemas], rows))


def decode(payload: bytes) -> list[Change]:
    """The inverse of `encode`. Raises msgspec.DecodeError for what was not written by it."""
    batch = _decoder.decode(payload)
    schemas = [_schema(s) for s in batch.schemas]
    return [
        Change(schemas[n], _OPS[op], Position(major, minor), at, tx, key, before, after)
        for n, op, major, minor, at, tx, key, before, after in batch.rows
    ]


@lru_cache(maxsize=4096)
def _schema_record(schema: Schema) -> _SchemaRecord:
    return (schema.source, schema.table, tuple((c.name, c.type) for c in schema.columns), schema.key)


@lru_cache(maxsize=4096)
def _schema(record: _SchemaRecord) -> Schema:
    source, table, columns, key = record
    return Schema(source, table, tuple(Column(n, t) for n, t in columns), key)

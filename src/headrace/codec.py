"""How changes stand in the log: a batch of one topic-partition as MessagePack, its schemas named once."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from headrace.change import Change, Column, Op, Schema, position_of, runs

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

_SMALL = 2000
"""Bytes from which on packing is worth it."""
_SAMPLE = 64 * 1024
_WORTH_IT = 0.9
_PACKED = b"x"
"""What a zlib stream begins with, and a batch does not."""


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


def packed(payload: bytes) -> bytes:
    """For keeping: rows of one table take a fifth of the room, in a seventh of the time that PostgreSQL would need.
    What does not get smaller (pictures, archives) stays as it is."""
    if len(payload) < _SMALL:
        return payload
    if len(payload) > 2 * _SAMPLE and len(zlib.compress(payload[-_SAMPLE:], 1)) > _WORTH_IT * _SAMPLE:
        return payload
    smaller = zlib.compress(payload, 1)
    return smaller if len(smaller) < _WORTH_IT * len(payload) else payload


def decode(payload: bytes) -> list[Change]:
    """The inverse of `encode`, and of `packed`. Raises msgspec.DecodeError for what was not written by them."""
    if payload.startswith(_PACKED):
        try:
            payload = zlib.decompress(payload)
        except zlib.error as problem:
            raise msgspec.DecodeError(str(problem)) from None
    batch = _decoder.decode(payload)
    schemas = [_schema(s) for s in batch.schemas]
    return [
        Change(schemas[n], _OPS[op], position_of((major, minor)), at, tx, key, before, after)
        for n, op, major, minor, at, tx, key, before, after in batch.rows
    ]


@lru_cache(maxsize=4096)
def _schema_record(schema: Schema) -> _SchemaRecord:
    return (schema.source, schema.table, tuple((c.name, c.type) for c in schema.columns), schema.key)


@lru_cache(maxsize=4096)
def _schema(record: _SchemaRecord) -> Schema:
    source, table, columns, key = record
    return Schema(source, table, tuple(Column(n, t) for n, t in columns), key)

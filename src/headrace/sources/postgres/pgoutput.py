"""The logical replication protocol of the `pgoutput` plugin: bytes in, messages out. Pure, versions 1 to 4.

Source: PostgreSQL documentation, "Logical Replication Message Formats".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import cast

from headrace.change import Row, Value
from headrace.sources.postgres.values import Reader

EPOCH_US = 946_684_800_000_000
"""2000-01-01, where PostgreSQL's clock starts, in microseconds since the Unix epoch."""

BEGIN, COMMIT, ORIGIN, RELATION, TYPE, MESSAGE = b"BCORYM"
INSERT, UPDATE, DELETE, TRUNCATE = b"IUDT"
STREAM_START, STREAM_STOP, STREAM_COMMIT, STREAM_ABORT = b"SEcA"
OLD, KEY, NEW = b"OKN"
_TEXT, _NULL, _UNCHANGED = b"tnu"

_begin = Struct(">xQqI").unpack_from
_commit = Struct(">xBQQq").unpack_from
_relation = Struct(">xI").unpack_from
_truncate = Struct(">xIB").unpack_from
_message = Struct(">xBQ").unpack_from
_stream_start = Struct(">xIB").unpack_from
_stream_commit = Struct(">xIBQQq").unpack_from
_stream_abort = Struct(">xII").unpack_from
_int32 = Struct(">i").unpack_from
_uint32 = Struct(">I").unpack_from
_int16 = Struct(">h").unpack_from
_column = Struct(">Ii").unpack_from


class Unchanged(Enum):
    """Stands for a large value that an update left as it was: the server does not send it again."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED
Cell = Value | Unchanged


class ProtocolError(Exception):
    """Bytes that are not the protocol: a row of another shape than its relation, or an unknown message."""


@dataclass(frozen=True, slots=True)
class Begin:
    """`lsn` is where the transaction's commit record starts; `committed_at` microseconds since the Unix epoch."""

    lsn: int
    committed_at: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Commit:
    """`lsn` is where the commit record starts, `end` where it ends."""

    lsn: int
    end: int
    committed_at: int


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """`identity`: the column is part of the replica identity (every column, when that is FULL)."""

    name: str
    type: int
    identity: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """The shape of a table as of the messages that follow. `identity`: d default, i index, f full, n nothing."""

    oid: int
    namespace: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]

    @property
    def table(self) -> str:
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class Truncate:
    relations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a client wrote into the log by pg_logical_emit_message."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A part of a transaction that is still in progress follows, up to the stream's stop."""

    transaction: int
    first: bool


@dataclass(frozen=True, slots=True)
class StreamCommit:
    transaction: int
    lsn: int
    end: int
    committed_at: int


@dataclass(frozen=True, slots=True)
class StreamAbort:
    """`subtransaction` equals `transaction` when all of it is undone."""

    transaction: int
    subtransaction: int


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def read_begin(data: bytes) -> Begin:
    lsn, at, transaction = _begin(data)
    return Begin(lsn, at + EPOCH_US, transaction)


def read_commit(data: bytes) -> Commit:
    _, lsn, end, at = _commit(data)
    return Commit(lsn, end, at + EPOCH_US)


def read_relation(data: bytes, *, streamed: bool = False) -> Relation:
    """`streamed`: inside a part of a transaction in progress, where every message names its transaction."""
    at = 4 if streamed else 0
    (oid,) = _relation(data, at)
    namespace, at = _string(data, at + 5)
    name, at = _string(data, at)
    identity = chr(data[at])
    (count,) = _int16(data, at + 1)
    at += 3
    columns: list[RelationColumn] = []
    for _ in range(count):
        flags = data[at]
        column, at = _string(data, at + 1)
        type_oid, _modifier = _column(data, at)
        at += 8
        columns.append(RelationColumn(column, type_oid, bool(flags & 1)))
    return Relation(oid, namespace or "pg_catalog", name, identity, tuple(columns))


def read_truncate(data: bytes, *, streamed: bool = False) -> Truncate:
    at = 4 if streamed else 0
    count, _options = _truncate(data, at)
    return Truncate(tuple(_uint32(data, at + 6 + 4 * i)[0] for i in range(count)))


def read_message(data: bytes, *, streamed: bool = False) -> Message:
    at = 4 if streamed else 0
    flags, lsn = _message(data, at)
    prefix, at = _string(data, at + 10)
    (length,) = _uint32(data, at)
    return Message(bool(flags & 1), lsn, prefix, data[at + 4 : at + 4 + length])


def read_stream_start(data: bytes) -> StreamStart:
    transaction, first = _stream_start(data)
    return StreamStart(transaction, bool(first))


def read_stream_commit(data: bytes) -> StreamCommit:
    transaction, _, lsn, end, at = _stream_commit(data)
    return StreamCommit(transaction, lsn, end, at + EPOCH_US)


def read_stream_abort(data: bytes) -> StreamAbort:
    return StreamAbort(*_stream_abort(data))


def relation_of(data: bytes, at: int = 1) -> int:
    """The table that an insert, update or delete is about; its tuples start four bytes on."""
    oid: int = _uint32(data, at)[0]
    return oid


TupleReader = Callable[[bytes, int], tuple[tuple[Cell, ...], int, bool]]
"""Reads one row from an offset (its column count): the row, where it ends, whether it lacks unchanged values.

Raises ProtocolError, or what a column's reader raises.
"""


RowReader = Callable[[bytes], Row | None]
"""Reads the new row of an insert or an update that tells nothing else; None when it lacks values, or is hard to read:
a `TupleReader` tells more.

Raises what a column's reader raises.
"""


def read_tuple(data: bytes, at: int, readers: Sequence[Reader]) -> tuple[tuple[Cell, ...], int, bool]:
    """A `TupleReader` for any columns: what `compile_tuple` makes for some of them must do the same."""
    _check_count(data, at, len(readers))
    at += 2
    incomplete = False
    row: list[Cell] = []
    for read in readers:
        kind = data[at]
        if kind == _TEXT:
            start = at + 5
            at = start + _int32(data, at + 1)[0]
            row.append(read(data[start:at]))
        else:
            cell = _without_text(kind)
            incomplete = incomplete or cell is UNCHANGED
            row.append(cell)
            at += 1
    return tuple(row), at, incomplete


def _check_count(data: bytes, at: int, expected: int) -> None:
    (count,) = _int16(data, at)
    if count != expected:
        raise ProtocolError(f"a row of {count} columns for a relation of {expected}")


def _without_text(kind: int) -> Cell:
    if kind == _NULL:
        return None
    if kind == _UNCHANGED:
        return UNCHANGED
    raise ProtocolError(f"a column of kind {kind}")


_COLUMN = """
    if data[at] == 116:
        start = at + 5
        at = start + int32(data, at + 1)[0]
        v{i} = read{i}(data[start:at])
    else:
        v{i} = without_text(data[at])
        incomplete = incomplete or v{i} is UNCHANGED
        at += 1
"""


def compile_tuple(readers: Sequence[Reader]) -> TupleReader:
    """`read_tuple` for these columns, unrolled: with no loop and no list it takes two thirds of the time."""
    columns = "".join(_COLUMN.format(i=i) for i in range(len(readers)))
    row = "".join(f"v{i}, " for i in range(len(readers)))
    code = (
        "def read(data, at):\n"
        f"    check_count(data, at, {len(readers)})\n"
        "    at += 2\n    incomplete = False\n"
        f"{columns}"
        f"    return ({row}), at, incomplete\n"
    )
    names: dict[str, object] = {f"read{i}": read for i, read in enumerate(readers)}
    names.update(int32=_int32, check_count=_check_count, without_text=_without_text, UNCHANGED=UNCHANGED)
    exec(code, names)  # noqa: S102 - the text above with numbers in it, nothing from outside
    return cast("TupleReader", names["read"])


_SHORT_COLUMN = """
    kind = data[at]
    if kind == 116:
        start = at + 5
        at = start + data[at + 4]
        v{i} = read{i}(data[start:at])
    elif kind == 110:
        v{i} = None
        at += 1
    else:
        return None
"""


def compile_row(readers: Sequence[Reader], read: TupleReader) -> RowReader:
    """Most messages are short: then one byte is the length of a value, and reading takes four fifths of the time."""
    code = (
        "def read_row(data):\n"
        "    if len(data) > 255:\n"
        "        row, _, incomplete = read(data, 6)\n"
        "        return None if incomplete else row\n"
        f"    if data[6] or data[7] != {len(readers)}:\n"
        "        return None\n"
        "    at = 8\n"
        f"{''.join(_SHORT_COLUMN.format(i=i) for i in range(len(readers)))}"
        f"    return ({''.join(f'v{i}, ' for i in range(len(readers)))})\n"
    )
    names: dict[str, object] = {f"read{i}": column for i, column in enumerate(readers)}
    names["read"] = read
    exec(code, names)  # noqa: S102 - as above
    return cast("RowReader", names["read_row"])

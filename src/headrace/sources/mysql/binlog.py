"""The binary log's events: bytes in, what they say out. Pure.

Sources: "Replication Protocol" in the MariaDB knowledge base, "Binlog Event" in the MySQL internals manual, and for the
optional metadata of a table map the manual of MySQL's libs, `binary_log::Table_map_event`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

HEADER = 19
CHECKSUM = 4
MAGIC = 4
"""Where the first event of a file starts."""

QUERY, STOP, ROTATE, FORMAT, XID, TABLE_MAP = 2, 3, 4, 15, 16, 19
INCIDENT, HEARTBEAT, HEARTBEAT_V2 = 26, 27, 41
GTID, ANONYMOUS_GTID, TAGGED_GTID, XA_PREPARE = 33, 34, 42, 38
MARIADB_GTID, QUERY_COMPRESSED = 162, 165
LOAD_QUERY, PARTIAL_UPDATE, PAYLOAD = 18, 39, 40

ARTIFICIAL = 0x20
"""Flag of an event that is in no file: the server made it for the reader."""

_header = Struct("<IBIIIH").unpack_from
_query = Struct("<4xIBHH").unpack_from
_mariadb_gtid = Struct("<QIB").unpack_from
_gno = Struct("<Q").unpack_from
_uint32 = Struct("<I").unpack_from
_uint64 = Struct("<Q").unpack_from
_xa = Struct("<BIII").unpack_from
_xid_at = Struct("<IBB").unpack_from

_GROUP_COMMIT = 2
_STANDALONE = 1
_PREPARED = 0x40
_COMPLETED = 0x80
_MICROSECONDS_55 = (1 << 55) - 1


class ProtocolError(Exception):
    """Bytes that are not the binary log as documented, or an event that Headrace cannot read."""


class Header(NamedTuple):
    """`at` is in seconds since the epoch, `end` the low 32 bits of where the event ends in its file (0: nowhere)."""

    at: int
    kind: int
    server: int
    size: int
    end: int
    flags: int


def read_header(event: bytes, at: int = 0) -> Header:
    return Header(*_header(event, at))


@dataclass(frozen=True, slots=True)
class Rotate:
    file: str
    offset: int


def read_rotate(event: bytes) -> Rotate:
    return Rotate(event[HEADER + 8 :].decode(), _uint64(event, HEADER)[0])


def has_checksums(event: bytes) -> bool:
    """Whether the events of the file that this format description begins end with a checksum, as this one itself."""
    return event[-CHECKSUM - 1] == 1


@dataclass(frozen=True, slots=True)
class Begin:
    """`committed_at` is in microseconds since the epoch. `alone`: the one statement that follows is all of it.
    `prepared`: an XA transaction up to its PREPARE. `fixed`: it holds changes only of tables that can roll back, and
    none of it is undone once it is in the log."""

    gtid: str
    number: int
    committed_at: int
    alone: bool
    prepared: str
    fixed: bool


def read_mariadb_gtid(event: bytes, head: Header) -> Begin:
    number, domain, flags = _mariadb_gtid(event, HEADER)
    at = HEADER + 13
    if flags & _GROUP_COMMIT:
        at += 8
    xid = _xid(event, at) if flags & _PREPARED else ""
    gtid = f"{domain}-{head.server}-{number}"
    return Begin(gtid, number, head.at * 1_000_000, bool(flags & _STANDALONE), xid, bool(flags & 4))


def _xid(event: bytes, at: int) -> str:
    kind, first, second = _xid_at(event, at)
    return xid_name(kind, event[at + 6 : at + 6 + first], event[at + 6 + first : at + 6 + first + second])


def xid_name(kind: int, gtrid: bytes, bqual: bytes) -> str:
    """As `XA COMMIT` in the log names a transaction."""
    return f"{gtrid.hex()},{bqual.hex()},{kind}"


def read_gtid(event: bytes, head: Header) -> Begin:
    """MySQL's, also an anonymous one. Its commit time stands behind two logical clocks, in 7 bytes."""
    if head.kind == TAGGED_GTID:
        return Begin("", 0, head.at * 1_000_000, alone=False, prepared="", fixed=False)
    sid, (number,) = event[HEADER + 1 : HEADER + 17], _gno(event, HEADER + 17)
    clocks = HEADER + 25
    at = head.at * 1_000_000
    if len(event) >= clocks + 24 and event[clocks] == 2:
        at = int.from_bytes(event[clocks + 17 : clocks + 24], "little") & _MICROSECONDS_55
    gtid = f"{sid.hex()}:{number}" if head.kind == GTID else ""
    return Begin(gtid, number, at, alone=False, prepared="", fixed=False)


@dataclass(frozen=True, slots=True)
class Query:
    database: str
    text: str


def read_query(event: bytes, kind: int) -> Query:
    _, length, _, variables = _query(event, HEADER)
    at = HEADER + (26 if kind == LOAD_QUERY else 13) + variables
    database = event[at : at + length].decode("utf-8", "replace")
    text = event[at + length + 1 :]
    if kind == QUERY_COMPRESSED:
        text = inflate(text)
    return Query(database, _text(text))


def _text(statement: bytes) -> str:
    """Names are all that is wanted of it; a statement in another character set than UTF-8 has ASCII ones mostly."""
    try:
        return statement.decode()
    except UnicodeDecodeError:
        return statement.decode("latin-1")


def inflate(data: bytes) -> bytes:
    """MariaDB's form of compressed data: how many bytes its length takes, the length, zlib."""
    if not data or data[0] & 0x70:
        raise ProtocolError("compressed data of an unknown kind")
    return zlib.decompress(data[1 + (data[0] & 7) :])


@dataclass(frozen=True, slots=True)
class XaPrepare:
    xid: str
    one_phase: bool


def read_xa_prepare(event: bytes) -> XaPrepare:
    one_phase, kind, first, second = _xa(event, HEADER)
    data = event[HEADER + 13 :]
    return XaPrepare(xid_name(kind, data[:first], data[first : first + second]), bool(one_phase))


# ---- table maps ------------------------------------------------------------------------------------------------------

TINY, SHORT, LONG, FLOAT, DOUBLE, TIMESTAMP_OLD = 1, 2, 3, 4, 5, 7
LONGLONG, INT24, DATE, TIME_OLD, DATETIME_OLD, YEAR, NEWDATE = 8, 9, 10, 11, 12, 13, 14
VARCHAR, BIT, TIMESTAMP, DATETIME, TIME = 15, 16, 17, 18, 19
VECTOR, JSON, DECIMAL, ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRY = 242, 245, 246, 247, 248, 252, 253, 254, 255

_ONE_BYTE = frozenset({FLOAT, DOUBLE, BLOB, GEOMETRY, JSON, TIMESTAMP, DATETIME, TIME, VECTOR})
_TWO_BYTES = frozenset({VARCHAR, VAR_STRING, BIT, DECIMAL, STRING, ENUM, SET})
_NUMERIC = frozenset({TINY, SHORT, INT24, LONG, LONGLONG, FLOAT, DOUBLE, DECIMAL})
_CHARACTER = frozenset({STRING, VAR_STRING, VARCHAR, BLOB})
_SIGNEDNESS, _CHARSET, _CHARSETS, _NAMES, _SETS, _ENUMS = range(1, 7)
_PRIMARY_KEY, _PREFIX_KEY, _MEMBERS_CHARSET, _MEMBERS_CHARSETS = range(8, 12)


@dataclass(slots=True)
class WireColumn:
    """`meta` is what the type needs to be read: bytes of a length, digits, fraction. `collation` is 0 without text."""

    type: int
    meta: int
    unsigned: bool = False
    collation: int = 0
    name: str = ""
    members: tuple[bytes, ...] = ()


@dataclass(slots=True)
class TableMap:
    """A table as the rows that follow are written. `key` has the places of the primary key's columns in table order."""

    database: str
    table: str
    columns: list[WireColumn]
    key: tuple[int, ...] = ()
    seen: set[int] = field(default_factory=set[int])

    @property
    def named(self) -> bool:
        """Whether the columns' names came with it (binlog_row_metadata = FULL)."""
        return _NAMES in self.seen or not self.columns


def table_id(event: bytes) -> int:
    return int.from_bytes(event[HEADER : HEADER + 6], "little")


def table_name(event: bytes) -> tuple[str, str]:
    """Database and table of a table map."""
    at = HEADER + 8
    database, at = _short(event, at)
    table, _ = _short(event, at)
    return database, table


def _short(event: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + event[at]
    return event[at + 1 : end].decode(), end + 1


def read_table_map(event: bytes) -> TableMap:
    at = HEADER + 8
    database, at = _short(event, at)
    table, at = _short(event, at)
    count, at = read_length(event, at)
    types = event[at : at + count]
    size, at = read_length(event, at + count)
    found = TableMap(database, table, _columns(types, event[at : at + size]))
    at += size + (count + 7) // 8
    while at < len(event):
        kind = event[at]
        size, at = read_length(event, at + 1)
        found.seen.add(kind)
        if reader := _METADATA.get(kind):
            reader(found, event[at : at + size])
        at += size
    return found


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """A length-encoded number, and where it ends."""
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}.get(first)
    if size is None:
        raise ProtocolError(f"a length that starts with {first}")
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _columns(types: bytes, metas: bytes) -> list[WireColumn]:
    columns: list[WireColumn] = []
    at = 0
    for kind in types:
        if kind in _ONE_BYTE:
            columns.append(WireColumn(kind, metas[at]))
            at += 1
        elif kind in _TWO_BYTES:
            columns.append(_wide(kind, metas[at], metas[at + 1]))
            at += 2
        else:
            columns.append(WireColumn(kind, 0))
    if at != len(metas):
        raise ProtocolError("column types with more to them than is known here")
    return columns


def _wide(kind: int, first: int, second: int) -> WireColumn:
    if kind == STRING:
        # A length over 255 has its upper bits in the real type's byte.
        real, length = (
            (first, second) if first & 0x30 == 0x30 else (first | 0x30, second | ((first & 0x30) ^ 0x30) << 4)
        )
        return WireColumn(real, length)
    if kind == DECIMAL:
        return WireColumn(kind, first << 8 | second)
    if kind == BIT:
        return WireColumn(kind, second * 8 + first)
    return WireColumn(kind, first | second << 8)


def _of(found: TableMap, kinds: frozenset[int]) -> list[WireColumn]:
    return [c for c in found.columns if c.type in kinds]


def _read_signedness(found: TableMap, data: bytes) -> None:
    for i, column in enumerate(_of(found, _NUMERIC)):
        column.unsigned = bool(data[i // 8] & 0x80 >> i % 8)


def _numbers(data: bytes) -> list[int]:
    numbers: list[int] = []
    at = 0
    while at < len(data):
        number, at = read_length(data, at)
        numbers.append(number)
    return numbers


def _default_charset(kinds: frozenset[int]) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, data: bytes) -> None:
        default, *pairs = _numbers(data)
        columns = _of(found, kinds)
        for column in columns:
            column.collation = default
        for i, collation in zip(pairs[::2], pairs[1::2], strict=True):
            columns[i].collation = collation

    return read


def _each_charset(kinds: frozenset[int]) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, data: bytes) -> None:
        for column, collation in zip(_of(found, kinds), _numbers(data), strict=True):
            column.collation = collation

    return read


def _read_names(found: TableMap, data: bytes) -> None:
    at = 0
    for column in found.columns:
        size, at = read_length(data, at)
        column.name = data[at : at + size].decode()
        at += size


def _members(kind: int) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, data: bytes) -> None:
        at = 0
        for column in _of(found, frozenset({kind})):
            count, at = read_length(data, at)
            members: list[bytes] = []
            for _ in range(count):
                size, at = read_length(data, at)
                members.append(data[at : at + size])
                at += size
            column.members = tuple(members)

    return read


def _read_key(found: TableMap, data: bytes) -> None:
    found.key = tuple(sorted(_numbers(data)))


def _read_prefix_key(found: TableMap, data: bytes) -> None:
    found.key = tuple(sorted(_numbers(data)[::2]))


_METADATA: dict[int, Callable[[TableMap, bytes], None]] = {
    _SIGNEDNESS: _read_signedness,
    _CHARSET: _default_charset(_CHARACTER),
    _CHARSETS: _each_charset(_CHARACTER),
    _NAMES: _read_names,
    _SETS: _members(SET),
    _ENUMS: _members(ENUM),
    _PRIMARY_KEY: _read_key,
    _PREFIX_KEY: _read_prefix_key,
    _MEMBERS_CHARSET: _default_charset(frozenset({ENUM, SET})),
    _MEMBERS_CHARSETS: _each_charset(frozenset({ENUM, SET})),
}


# ---- rows ------------------------------------------------------------------------------------------------------------

INSERT, UPDATE, DELETE = "insert", "update", "delete"


class RowsKind(NamedTuple):
    """What a type of event does, whether it has extra data in front, and whether its rows are compressed."""

    does: str
    extra: bool
    compressed: bool


ROWS: dict[int, RowsKind] = {
    **{23 + i: RowsKind(does, extra=False, compressed=False) for i, does in enumerate((INSERT, UPDATE, DELETE))},
    **{30 + i: RowsKind(does, extra=True, compressed=False) for i, does in enumerate((INSERT, UPDATE, DELETE))},
    **{166 + i: RowsKind(does, extra=False, compressed=True) for i, does in enumerate((INSERT, UPDATE, DELETE))},
    **{169 + i: RowsKind(does, extra=True, compressed=True) for i, does in enumerate((INSERT, UPDATE, DELETE))},
}


@dataclass(frozen=True, slots=True)
class Rows:
    """`before` and `after` are bitmaps of the columns that each old and new row has; the rows start at `at`."""

    data: bytes
    at: int
    before: bytes
    after: bytes


def read_rows(event: bytes, kind: RowsKind) -> Rows:
    at = HEADER + 8
    if kind.extra:
        at += int.from_bytes(event[at : at + 2], "little")
    count, at = read_length(event, at)
    size = (count + 7) // 8
    first = event[at : at + size]
    at += size
    second = first
    if kind.does == UPDATE:
        second = event[at : at + size]
        at += size
    if kind.compressed:
        return Rows(inflate(event[at:]), 0, first, second)
    return Rows(event, at, first, second)

"""What moves: changes, their positions and stamps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, cast

import msgspec

from headrace.clock import rfc3339
from headrace.errors import BadRequest

Value = None | bool | int | float | str | bytes
"""A column's value. JSON, numeric and every type without a natural Python form stay text, to the digit."""

Row = tuple[Value, ...]
"""Values in the order of the schema's columns."""


class Op(StrEnum):
    """What happened to a row or document, in Debezium's letters."""

    CREATE = "c"
    UPDATE = "u"
    DELETE = "d"
    READ = "r"
    TRUNCATE = "t"


class Position(NamedTuple):
    """Where a change stands in its source; positions of one source are totally ordered.

    Postgres: (LSN of the commit, sequence in the transaction). Files: (hybrid clock in microseconds, 0). MySQL: (file
    of the binary log and offset of the transaction in it, sequence in the transaction from BINLOG_FIRST on).
    """

    major: int
    minor: int = 0


START = Position(0, 0)

position_of = cast("Callable[[tuple[int, int]], Position]", partial(cast("Any", tuple).__new__, Position))
"""What `Position(*pair)` is, in half the time: one is made for every row."""


class Stamp(NamedTuple):
    """What every derived thing carries: the source, the position and the commit time of the version it is made of."""

    source: str
    position: Position
    committed_at: int  # microseconds since the epoch


class Style(StrEnum):
    """How a source writes its positions."""

    LSN = "lsn"
    NUMBER = "number"
    BINLOG = "binlog"


BINLOG_OFFSET_BITS = 40
"""Of a major in a binary log: the offset in the file; the file's number is above."""
BINLOG_FIRST = 1 << 52
"""In a binary log minors below this are times (microseconds) at which the log ended there, so that two looks at an idle
server are two positions; a transaction's changes count from here on, behind all of them."""


def format_position(position: Position, style: Style) -> str:
    """`0/16B3748:3`, `1763732100000000` or `binlog.000003:1234:3`; a minor of 0 is left out, as is one of a time."""
    major, minor = position
    if style is Style.BINLOG:
        head = f"binlog.{major >> BINLOG_OFFSET_BITS:06d}:{major & (1 << BINLOG_OFFSET_BITS) - 1}"
        minor = max(0, minor - BINLOG_FIRST)
    else:
        head = f"{major >> 32:X}/{major & 0xFFFFFFFF:X}" if style is Style.LSN else str(major)
    return f"{head}:{minor}" if minor else head


_POSITION = re.compile(
    r"(?:(?P<hi>[0-9A-Fa-f]{1,8})/(?P<lo>[0-9A-Fa-f]{1,8})|(?P<n>[0-9]{1,19})"
    r"|[^:@,/]{0,200}\.(?P<file>[0-9]{6,7}):(?P<offset>[0-9]{1,13}))(?::(?P<minor>[0-9]{1,18}))?"
)
HIGHEST = 2**63 - 1
"""Of both numbers of a position: what a store can keep."""


def parse_position(text: str) -> Position:
    """The inverse of `format_position`, of any style; a binary log's file may have its own name. Raises BadRequest."""
    match = _POSITION.fullmatch(text)
    major = _major(match) if match else HIGHEST + 1
    if match is None or major > HIGHEST:
        raise BadRequest(
            step="read a position",
            expected="an LSN such as 0/16B3748, a place in a binary log such as binlog.000003:1234, or a number",
            got=repr(text[:60]),
            remedy="Pass a position as a stamp shows it.",
        )
    minor = int(match["minor"] or 0)
    return Position(major, minor + BINLOG_FIRST if match["file"] and minor else minor)


def _major(match: re.Match[str]) -> int:
    if match["file"]:
        offset = int(match["offset"])
        return int(match["file"]) << BINLOG_OFFSET_BITS | offset if offset >> BINLOG_OFFSET_BITS == 0 else HIGHEST + 1
    return int(match["n"]) if match["n"] else (int(match["hi"], 16) << 32) | int(match["lo"], 16)


def stamp_json(stamp: Stamp, style: Style) -> dict[str, str]:
    """A stamp as every face shows it."""
    return {
        "source": stamp.source,
        "position": format_position(stamp.position, style),
        "committed_at": rfc3339(stamp.committed_at),
    }


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type by the source's own name (`int4`, `jsonb`, ...)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The shape of a topic's rows at one point of its history. `table` is empty for a source of documents."""

    source: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    topic: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for with every change: made once.
        object.__setattr__(self, "topic", f"{self.source}.{self.table}" if self.table else self.source)

    def index(self, column: str) -> int:
        """Position of a column in a row. Raises KeyError."""
        for i, c in enumerate(self.columns):
            if c.name == column:
                return i
        raise KeyError(column)

    def record(self, row: Row) -> dict[str, Value]:
        """A row by column names."""
        return {c.name: v for c, v in zip(self.columns, row, strict=True)}


class Change(msgspec.Struct, frozen=True, gc=False):
    """One committed change. `key` holds the key columns' values; it is empty for a truncate.

    `before` is what the source gave of the old row (often nothing but the key, the rest None), `after` the whole
    new row. An update that changes the key is two changes: a delete of the old key and a create of the new.
    """

    schema: Schema
    op: Op
    position: Position
    committed_at: int
    transaction: int
    key: Row
    before: Row | None
    after: Row | None

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.schema.source, self.position, self.committed_at)


DOCUMENT_COLUMNS = (Column("path", "text"), Column("content", "bytea"))
"""The columns of a source of documents: the path relative to its root, and the file's bytes."""


def document_schema(source: str) -> Schema:
    return Schema(source, "", DOCUMENT_COLUMNS, ("path",))


_ESCAPES = {"%": "%25", "/": "%2F", ",": "%2C"}


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text)


def key_text(key: Row) -> str:
    """Key values joined by `,`; `%`, `/` and `,` inside a value percent-encoded."""
    return ",".join(_escape(value_text(v)) for v in key)


def value_text(value: Value) -> str:
    """One value as text: as the source writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


def document_id(schema: Schema, key: Row) -> str:
    """`policies/baggage.md` for a document, `airline/public.flights/HAT001` for a row."""
    if not schema.table:
        return f"{schema.source}/{key[0]}"
    return f"{schema.source}/{schema.table}/{key_text(key)}"


def key_name(schema: Schema, key: Row) -> str:
    """How a key is shown and how dead letters are found by it: a document's path as it is, a row's values joined."""
    return key_text(key) if schema.table else str(key[0]) if key else ""


def runs(changes: Sequence[Change]) -> Iterator[tuple[Schema, Sequence[Change]]]:
    """Consecutive changes of one schema together."""
    schemas = [c.schema for c in changes]
    if schemas and schemas.count(schemas[0]) == len(schemas):  # mostly, and in a third of the time
        yield schemas[0], changes
        return
    for schema, run in groupby(changes, key=attrgetter("schema")):
        yield schema, list(run)

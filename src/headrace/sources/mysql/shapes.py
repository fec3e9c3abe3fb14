"""How the rows of each table are read: one shape per table map. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, cast

from headrace.change import Column, Row, Schema, Value
from headrace.sources.mysql.binlog import TableMap
from headrace.sources.mysql.charsets import Charsets
from headrace.sources.mysql.values import FORMS, WireType, wire_type

RowReader = Callable[[bytes, int], tuple[Row, int]]
"""Reads one row that has all columns: the row, and where it ends. Raises ValueError."""

_HIDDEN = ("DB_ROW_HASH_", "!hidden!")
"""Columns that the server adds for an index of its own."""


class Missing:
    """Stands for a column that a row of the log does not have."""


MISSING: Final = Missing()
Cell = Value | Missing


@dataclass(frozen=True, slots=True)
class Catalogued:
    """A table as the catalog has it now: its columns in order, and the primary key in the same order."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """`full` is the bitmap of a row that has all columns, and `read` its reader. `shown`: which columns of the log's
    rows belong to the schema; None for all. `key_at`: where the key's columns stand in a row of the schema."""

    schema: Schema
    types: tuple[WireType, ...]
    full: bytes
    read: RowReader
    shown: tuple[int, ...] | None
    key_at: tuple[int, ...]
    key: Callable[[Row], Row]

    @property
    def bare(self) -> bool:
        """Without a primary key."""
        return not self.key_at


class Shapes:
    """Makes shapes of table maps; equal schemas are one object."""

    def __init__(self, source: str, charsets: Charsets) -> None:
        self._source = source
        self._charsets = charsets
        self._catalog: dict[str, Catalogued] = {}
        self._schemas: dict[Schema, Schema] = {}
        self._last: dict[str, Schema] = {}

    def know(self, tables: Iterable[Catalogued]) -> None:
        """What the catalog says: types that the log does not tell apart, and names where the log has none."""
        for table in tables:
            self._catalog[table.table] = table

    def schema(self, table: str) -> Schema:
        """How a table's rows were last, or are by the catalog; without columns when it is gone before it was read."""
        if (last := self._last.get(table)) is not None:
            return last
        return self.catalogued(self._catalog.get(table) or Catalogued(table, (), ()))

    def catalogued(self, table: Catalogued) -> Schema:
        return self._one(Schema(self._source, table.table, table.columns, table.key))

    def of(self, found: TableMap) -> Shape:
        """Raises Unreadable for a type, LookupError for a log without the columns' names."""
        table = f"{found.database}.{found.table}"
        catalog = {c.name: c.type for c in known.columns} if (known := self._catalog.get(table)) else {}
        names = self._names(table, found)
        types = tuple(
            wire_type(c, self._charsets, catalog.get(n, "")) for c, n in zip(found.columns, names, strict=True)
        )
        hidden = [i for i, name in enumerate(names) if name.startswith(_HIDDEN)]
        shown = tuple(i for i in range(len(names)) if i not in hidden)
        key = [names[i] for i in found.key] or self._last_key(table, names)
        schema = self._one(
            Schema(self._source, table, tuple(Column(names[i], types[i].name) for i in shown), tuple(key))
        )
        self._last[table] = schema
        key_at = tuple(schema.index(name) for name in key)
        full = ((1 << len(types)) - 1).to_bytes((len(types) + 7) // 8, "little")
        read = compile_row(types, shown)
        return Shape(schema, types, full, read, shown if hidden else None, key_at, picker(key_at))

    def _names(self, table: str, found: TableMap) -> Sequence[str]:
        if found.named:
            return [c.name for c in found.columns]
        last = self.schema(table)
        if len(last.columns) != len(found.columns):
            raise LookupError(table)
        return [c.name for c in last.columns]

    def _last_key(self, table: str, names: Sequence[str]) -> list[str]:
        """Between an ALTER that takes the key away and one that gives it back, the key is what it was."""
        last = self._last.get(table)
        known = self._catalog.get(table)
        key = last.key if last and last.key else known.key if known else ()
        return list(key) if all(name in names for name in key) else []

    def forget(self, table: str) -> None:
        """The table is another one from here on."""
        self._last.pop(table, None)

    def _one(self, schema: Schema) -> Schema:
        return self._schemas.setdefault(schema, schema)


def picker(places: tuple[int, ...]) -> Callable[[Row], Row]:
    """Takes some columns out of a row, as a tuple also when it is one."""
    if not places:
        return lambda _: ()
    first, last = places[0], places[-1]
    if last - first == len(places) - 1:
        return cast("Callable[[Row], Row]", itemgetter(slice(first, last + 1)))
    return cast("Callable[[Row], Row]", itemgetter(*places))


def read_cells(types: Sequence[WireType], present: bytes, data: bytes, at: int) -> tuple[tuple[Cell, ...], int]:
    """One row that has some of the columns only. Raises ValueError."""
    bits = int.from_bytes(present, "little")
    count = (bits & (1 << len(types)) - 1).bit_count()
    size = (count + 7) // 8
    nulls = int.from_bytes(data[at : at + size], "little")
    at += size
    row: list[Cell] = []
    for i, column in enumerate(types):
        if not bits >> i & 1:
            row.append(MISSING)
            continue
        if nulls & 1:
            row.append(None)
        else:
            value, at = column.read(data, at)
            row.append(value)
        nulls >>= 1
    return tuple(row), at


def read_row(types: Sequence[WireType], shown: Sequence[int], data: bytes, at: int) -> tuple[Row, int]:
    """A `RowReader` for any columns: what `compile_row` makes for some of them must do the same."""
    every = b"\xff" * ((len(types) + 7) // 8)
    cells, at = read_cells(types, every, data, at)
    return tuple(cast("Value", cells[i]) for i in shown), at


def compile_row(types: Sequence[WireType], shown: Sequence[int]) -> RowReader:
    """`read_row` for these columns, unrolled, with the commonest types read in place."""
    size = (len(types) + 7) // 8
    lines = [f"nulls = int.from_bytes(data[at : at + {size}], 'little')", f"at += {size}"]
    for i, column in enumerate(types):
        code = (column.code or "v{i}, at = read{i}(data, at)").format(i=i)
        lines += [f"if nulls & {1 << i}: v{i} = None", f"else: {code}"]
    row = "".join(f"v{i}, " for i in shown)
    text = "def read(data, at):\n" + "".join(f"    {line}\n" for line in lines) + f"    return ({row}), at\n"
    names: dict[str, object] = {f"read{i}": column.read for i, column in enumerate(types)}
    names.update({f"unpack_{form[-1]}": struct.unpack_from for form, struct in FORMS.items()})
    exec(text, names)  # noqa: S102 - the text above with numbers in it, nothing from outside
    return cast("RowReader", names["read"])


def complete(row: Sequence[Cell], before: Sequence[Cell] | None) -> Sequence[Cell]:
    """A new row without the columns that did not change (binlog_row_image = FULL_NODUP), out of the old one."""
    if before is None:
        return row
    return [old if cell is MISSING else cell for cell, old in zip(row, before, strict=True)]


def whole(cells: Sequence[Cell], shown: Sequence[int] | None) -> Row | None:
    """None when columns are missing."""
    if any(cell is MISSING for cell in cells):
        return None
    row = cast("Row", tuple(cells))
    return row if shown is None else tuple(row[i] for i in shown)


def old_row(cells: Sequence[Cell], shown: Sequence[int] | None, key_at: Sequence[int]) -> Row | None:
    """What a change says of the old row: columns that are missing are null in it. None when one of the key is."""
    row = cells if shown is None else [cells[i] for i in shown]
    if any(row[i] is MISSING for i in key_at):
        return None
    return tuple(None if isinstance(cell, Missing) else cell for cell in row)

"""Tables cut into units that can be read apart: ranges of the primary key, found while they are read.

Blocks: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.change import Schema
from headrace.sources.mysql import setup
from headrace.sources.mysql.keys import KeyColumn, compare
from headrace.sources.mysql.result import RowReader, compile_row
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import Found, quoted, quoted_name

_ROWS = 20_000
_BYTES = 8 * 1024 * 1024
_FEWEST = 100

Key = tuple[bytes, ...]
"""Of a row, as the server writes what `KeyColumn.ordered` selects."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows of a table in the order of its key: behind `after` (None: from the start), up to `until` (None: all further
    ones). `order` has no columns where the table has no order to go on in: all rows, then."""

    table: Found
    schema: Schema
    read: RowReader
    order: tuple[KeyColumn, ...]
    after: Key | None
    until: Key | None

    @property
    def last(self) -> bool:
        """The table's last unit."""
        return self.until is None

    @property
    def query(self) -> str:
        """The columns, and behind them those of the key as they are ordered."""
        columns = ", ".join([select_list(self.table), *(c.ordered for c in self.order)])
        return f"SELECT {columns} FROM {_in_order(self.table, self.order, self.after, self.until)}"


class Cutter:
    """Cuts tables one after another."""

    def __init__(self, tables: Sequence[tuple[Found, Schema]]) -> None:
        self._tables = iter(tables)
        self._unit: Unit | None = None

    def next(self, session: Session) -> Unit | None:
        """None when there are no more. `session` sees the same snapshot as who reads. Raises Failed."""
        if (unit := self._unit) is None or unit.last:
            if (following := next(self._tables, None)) is None:
                return None
            table, schema = following
            order = key_columns(table, setup.key_order(session, table.table))
            read = compile_row([t.read for t in table.types])
            self._unit = Unit(table, schema, read, order, None, _end(session, table, order, None))
        else:
            until = _end(session, unit.table, unit.order, unit.until)
            self._unit = Unit(unit.table, unit.schema, unit.read, unit.order, unit.until, until)
        return self._unit


def _end(session: Session, table: Found, order: Sequence[KeyColumn], after: Key | None) -> Key | None:
    rows = _rows(table)
    if not order or (after is None and table.rows * 2 < rows and table.size * 2 < _BYTES):
        return None
    keys = ", ".join(c.ordered for c in order)
    found = session.rows(f"SELECT {keys} FROM {_in_order(table, order, after, None)} LIMIT 1 OFFSET {rows - 1}")
    return tuple(cell or b"" for cell in found[0]) if found else None


def _rows(table: Found) -> int:
    """So many rows a unit, by what the statistics say of their size: what was read of units waits in memory."""
    each = table.size // max(1, table.rows)
    return max(_FEWEST, min(_ROWS, _BYTES // max(1, each)))


def _in_order(table: Found, order: Sequence[KeyColumn], after: Key | None, until: Key | None) -> str:
    if not order:
        return quoted(table.table)
    names = [c.quoted for c in order]
    conditions: list[str] = []
    if after is not None:
        conditions.append(compare(names, ">", _literals(order, after)))
    if until is not None:
        conditions.append(compare(names, "<=", _literals(order, until)))
    where = f" WHERE {' AND '.join(f'({c})' for c in conditions)}" if conditions else ""
    return f"{quoted(table.table)} FORCE INDEX (PRIMARY){where} ORDER BY {', '.join(names)}"


def _literals(order: Sequence[KeyColumn], key: Key) -> list[str]:
    return [c.cell(v) for c, v in zip(order, key, strict=True)]


def key_columns(table: Found, names: Sequence[str]) -> tuple[KeyColumn, ...]:
    types = {c.name: c.type for c in table.columns}
    return tuple(KeyColumn(name, types[name]) for name in names)


def select_list(table: Found) -> str:
    """Its columns, so that their text is what their types read."""
    return ", ".join(t.expression.format(quoted_name(c.name)) for c, t in zip(table.columns, table.types, strict=True))

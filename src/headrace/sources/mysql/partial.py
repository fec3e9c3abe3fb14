"""Rows that a session wrote into the log without all of their columns, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.change import Row
from headrace.sources.mysql import binlog as wire
from headrace.sources.mysql.shapes import Cell, Shape, complete, old_row, read_cells, whole

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})


@dataclass(frozen=True, slots=True)
class PartialRow:
    """`before`: None for an insert, and where the key of the old row is not told. `after`: None for a delete, and where
    values of the new row are not told. `key`: of the new row, as far as it is told."""

    before: Row | None
    after: Row | None
    key: Row | None


def partial_rows(shape: Shape, rows: wire.Rows, does: str) -> Iterator[PartialRow]:
    """The old row may be its key alone; the new one is completed with what did not change out of the old one."""
    data, at, types = rows.data, rows.at, shape.types
    while at < len(data):
        cells, at = read_cells(types, rows.before, data, at)
        before = None if does == wire.INSERT else old_row(cells, shape.shown, shape.key_at)
        if does == wire.DELETE:
            yield PartialRow(before, None, None)
            continue
        new: tuple[Cell, ...] | list[Cell] = cells
        if does == wire.UPDATE:
            cells_after, at = read_cells(types, rows.after, data, at)
            new = list(complete(cells_after, cells))
        known = old_row(new, shape.shown, shape.key_at)
        yield PartialRow(before, whole(new, shape.shown), None if known is None else shape.key(known))


@dataclass(frozen=True, slots=True)
class Owed:
    """Rows of a table that are to be read from it, because the log does not tell them. `first`, `last`: bounds of
    their keys, where those are single integers; None: the whole table. `unseen`: rows may be gone, too."""

    table: str
    first: int | None = None
    last: int | None = None
    unseen: bool = False

    def and_also(self, other: Owed | None) -> Owed:
        """Both, of the same table."""
        if other is None:
            return self
        unseen = self.unseen or other.unseen
        if self.first is None or self.last is None or other.first is None or other.last is None:
            return Owed(self.table, unseen=unseen)
        return Owed(self.table, min(self.first, other.first), max(self.last, other.last), unseen)


def owed(shape: Shape, key: Row | None, *, unseen: bool) -> Owed:
    """One row; None for a key that is not told. An unseen one may be gone under another key: any of the table."""
    table = shape.schema.table
    types = {c.name: c.type for c in shape.schema.columns}
    whole_number = len(shape.schema.key) == 1 and types[shape.schema.key[0]].removesuffix(" unsigned") in _INTEGERS
    if key is not None and whole_number and isinstance(key[0], int) and not unseen:
        return Owed(table, key[0], key[0])
    return Owed(table, unseen=unseen)

"""Large values that an update may leave out, kept from what was captured before: the log holds whole rows.

The server stores large values out of line and does not send one again that an update left as it was. Kept are the
values of those columns, for rows that are large enough for it, under `v:<table>:<key>` in the source's state, with
the most recent ones in memory. `t:<table>` marks a table of which something is kept, and `l:<table>` tells under which
label each of its columns is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from typing import cast

import msgspec

from headrace.change import Change, Op, Row, key_text
from headrace.errors import SourceError
from headrace.sources import State
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.columns import Catalog, Columns, carried, first
from headrace.sources.postgres.pgoutput import UNCHANGED, Cell, Relation
from headrace.sources.postgres.shapes import Shape

Values = dict[str, bool | int | float | str | bytes | None]
"""The kept values of one row, by their columns' labels."""

Ask = Callable[[int], Awaitable[Catalog]]
"""Asks the catalog for a table's columns as they are now."""

_encode = msgspec.msgpack.Encoder().encode
_LONGEST_KEY = 400


class Kept:
    """Reads what was kept from `state`, which must hold everything of earlier calls by the time of the next."""

    def __init__(self, state: State, catalog: Ask, max_bytes: int = 32 * 1024 * 1024) -> None:
        self.tables: set[str] = set()
        """Tables of which something is kept, or will be with the next batch."""
        self.reading: Callable[[], Container[str]] = frozenset[str]
        """Tables that are being read again: a row that cannot be completed is left out and owed."""
        self._owed: list[tuple[str, Row]] = []
        self._marked: set[str] = set()
        self._state = state
        self._catalog = catalog
        self._columns: dict[str, tuple[Relation, Columns]] = {}
        self._unsaved: dict[str, Columns] = {}
        self._recent: OrderedDict[str, tuple[Values, int]] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes

    async def load(self) -> None:
        """Learns for which tables something is kept."""
        self._marked = {key.removeprefix("t:") for key in await self._state.scan("t:")}
        self.tables.clear()
        self.tables.update(self._marked)
        self.forget()

    def forget(self) -> None:
        """Drops what is in memory."""
        self._columns.clear()
        self._recent.clear()
        self._bytes = 0

    async def settle(self, changes: list[Change], notes: Sequence[Note]) -> dict[str, bytes | None]:
        """Completes the noted changes in place; gives the state that must be stored with them.

        Raises SourceError when a value was never captured, unless its table is being read again: then the change is
        taken out, and `owed` tells the row.
        """
        if not notes:
            return {}
        batch: dict[str, Values | None] = {}
        emptied: set[str] = set()
        stored = await self._fetch(changes, notes)
        left_out: list[int] = []
        for note in notes:
            labels = await self._labels(note.shape)
            if note.place < 0:
                continue
            change = changes[note.place]
            if change.op is Op.TRUNCATE:
                await self._empty(change.schema.table, batch, emptied)
            elif change.op is Op.DELETE:
                batch[_name(change.schema.table, change.key)] = None
            else:
                before = self._before(change, note, batch, stored, emptied)
                try:
                    changes[note.place], values = _complete(change, note, before, labels)
                except SourceError:
                    if change.schema.table not in self.reading():
                        raise
                    left_out.append(note.place)
                    self._owed.append((change.schema.table, change.key))
                    values = {}
                self._keep(change, note, before, values, batch)
        for place in reversed(left_out):
            del changes[place]
        return self._commit(batch)

    def owed(self) -> list[tuple[str, Row]]:
        """The rows left out since the last call."""
        owed, self._owed = self._owed, []
        return owed

    async def _labels(self, shape: Shape) -> tuple[str, ...]:
        """Under which label the values of each column are kept."""
        relation, table = shape.relation, shape.schema.table
        seen, columns = self._columns.get(table, (None, None))
        if columns is not None and seen is relation:
            return columns.labels
        if columns is None:
            saved = (await self._state.get([f"l:{table}"])).get(f"l:{table}")
            columns = None if saved is None else msgspec.msgpack.decode(saved, type=Columns)
        if columns is None or columns.oid != relation.oid or not columns.fits(relation):
            now = await self._catalog(relation.oid)
            columns = first(relation, now) if columns is None else carried(columns, relation, now)
            self._unsaved[table] = columns
        self._columns[table] = (relation, columns)
        return columns.labels

    async def _fetch(self, changes: Sequence[Change], notes: Iterable[Note]) -> dict[str, bytes]:
        names = {
            _name(note.shape.schema.table, note.old_key or changes[note.place].key) for note in notes if note.incomplete
        }
        missing = [name for name in names if name not in self._recent]
        return await self._state.get(missing) if missing else {}

    async def _empty(self, table: str, batch: dict[str, Values | None], emptied: set[str]) -> None:
        prefix = _prefix(table)
        names = {*await self._state.scan(prefix), *(n for n in batch if n.startswith(prefix))}
        batch.update(dict.fromkeys(names))
        emptied.add(table)

    def _before(
        self,
        change: Change,
        note: Note,
        batch: dict[str, Values | None],
        stored: dict[str, bytes],
        emptied: set[str],
    ) -> Values:
        """What is kept of the row before this change."""
        if not note.incomplete:
            return {}
        table = change.schema.table
        name = _name(table, note.old_key or change.key)
        if name in batch:
            return batch[name] or {}
        if table in emptied:
            return {}
        if name in self._recent:
            self._recent.move_to_end(name)
            return self._recent[name][0]
        return _decode(stored[name]) if name in stored else {}

    def _keep(
        self, change: Change, note: Note, before: Values, values: Values, batch: dict[str, Values | None]
    ) -> None:
        table = change.schema.table
        name = _name(table, change.key)
        if note.old_key is not None and note.old_key != change.key:
            batch[_name(table, note.old_key)] = None
        elif name not in batch and values and values == before:
            self._remember(name, values, len(_encode(values)))
            return
        batch[name] = values or None

    def _commit(self, batch: dict[str, Values | None]) -> dict[str, bytes | None]:
        state: dict[str, bytes | None] = {}
        for name, values in batch.items():
            encoded = state[name] = _encode(values) if values else None
            self._remember(name, values, len(encoded or b""))
        for table, columns in self._unsaved.items():
            state[f"l:{table}"] = _encode(columns)
        self._unsaved.clear()
        for table in self.tables - self._marked:
            state[f"t:{table}"] = b""
            self._marked.add(table)
        return state

    def _remember(self, name: str, values: Values | None, size: int) -> None:
        _, old = self._recent.pop(name, ({}, 0))
        self._bytes -= old
        if values:
            self._recent[name] = (values, size)
            self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, evicted) = self._recent.popitem(last=False)
            self._bytes -= evicted


def _complete(change: Change, note: Note, before: Values, labels: Sequence[str]) -> tuple[Change, Values]:
    """The change as a whole row, and what of it may stand out of line."""
    assert change.after is not None
    columns = change.schema.columns
    values: Values = {}
    if note.large or note.incomplete:
        for i, least in note.shape.large:
            value = change.after[i]
            if isinstance(value, str | bytes) and len(value) >= least:
                values[labels[i]] = value
    if not note.incomplete:
        return change, values
    after = list(cast("Sequence[Cell]", change.after))
    for i, cell in enumerate(after):
        if cell is UNCHANGED:
            label = labels[i]
            if label not in before:
                raise _never_captured(change.schema.table, columns[i].name, change.key)
            after[i] = values[label] = before[label]
    row = cast("Row", tuple(after))
    schema, op, position, at, transaction = (
        change.schema,
        change.op,
        change.position,
        change.committed_at,
        change.transaction,
    )
    return Change(schema, op, position, at, transaction, change.key, change.before, row), values


def _never_captured(table: str, column: str, key: Row) -> SourceError:
    return SourceError(
        step=f"complete a row of {table}",
        expected=f"the value of column {column}, captured before",
        got=f"an update of the row {key_text(key)[:60]} without it, and none captured",
        remedy=f"ALTER TABLE {table} REPLICA IDENTITY FULL, and give the source a new name to copy it afresh.",
    )


def _decode(stored: bytes) -> Values:
    # Written by us; msgspec has no typed union of str and bytes, MessagePack itself tells them apart.
    return cast("Values", msgspec.msgpack.decode(stored))


def _prefix(table: str) -> str:
    return f"v:{table.replace('%', '%25').replace(':', '%3A')}:"


def _name(table: str, key: Row) -> str:
    text = key_text(key)
    if len(text) > _LONGEST_KEY:
        text = "," + hashlib.sha256(text.encode()).hexdigest()
    return _prefix(table) + text

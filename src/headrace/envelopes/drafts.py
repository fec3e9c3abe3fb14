"""Rows, operation and key to drafts of changes: what all formats have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from headrace.change import START, Column, Op, Position, Row, key_text
from headrace.clock import parse_rfc3339
from headrace.envelopes import LONGEST_TABLE, ChangeDraft, bad
from headrace.envelopes.raw import Cell
from headrace.errors import BadRequest

Cells = Mapping[str, Cell]
LONGEST_KEY = 1000
LATEST_US = 253_402_300_799_999_999
"""The end of the year 9999: what can be written as RFC 3339."""

NO_KEY = "Name the key's columns with ?key=id, or send the message's key beside its value."


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record says beside its rows."""

    table: str
    op: Op
    committed_at: int | None = None
    transaction: int = 0
    missing: frozenset[str] = frozenset()
    origin: str = ""
    position: Position = START
    partial: bool = False
    other_key: Row = ()


def drafts(
    facts: Facts,
    before: Cells | None,
    after: Cells | None,
    key_columns: Sequence[str],
    key: Cells | None = None,
    *,
    nullable_key: bool = False,
) -> tuple[ChangeDraft, ...]:
    """One draft, or a delete and a create when an update changes the key. Raises BadInput.

    `key` are values that a record states apart from its rows; without them they stand in the rows. NULLs are no key
    unless the whole row is one (`nullable_key`).
    """
    if facts.op is Op.TRUNCATE:
        return (_draft(facts, Op.TRUNCATE, (), tuple(key_columns), (), None, None),)
    if facts.op is Op.DELETE:
        return (_delete(facts, before, key_columns, key, nullable_key),)
    if after is None:
        raise bad("the row after the change", f"op {facts.op.value} without it", "Send whole rows.")
    columns = _columns(after, before)
    now = _key(key_columns, key, after, nullable_key)
    new, old = _row(columns, after), None if before is None else _row(columns, before)
    was = None if before is None or facts.op is not Op.UPDATE else _stated(key_columns, before)
    if was is None or was == now:
        return (_draft(facts, facts.op, columns, tuple(key_columns), now, old, new),)
    return (
        _draft(replace(facts, other_key=now), Op.DELETE, columns, tuple(key_columns), was, old, None),
        _draft(replace(facts, other_key=was), Op.CREATE, columns, tuple(key_columns), now, None, new),
    )


def check(draft: ChangeDraft) -> None:
    """Raises BadInput for a table or key that nothing could be stored under."""
    table = draft.table
    if not table:
        raise bad("the table that the row belongs to", "none", "Name it with ?table=customers, or in the record.")
    if len(table) > LONGEST_TABLE or not table.isprintable() or "/" in table:
        expected = f"a table's name of at most {LONGEST_TABLE} printable characters without /"
        raise bad(expected, repr(table[:60]), "Rename it, or name another with ?table=.")
    if all(isinstance(value, int) for value in draft.key):
        return
    key = key_text(draft.key)
    if len(key.encode()) > LONGEST_KEY or "\0" in key:
        raise bad(f"a key of at most {LONGEST_KEY} bytes without NUL characters", repr(key[:60]))


def stated_time(*times_us: int | None) -> int | None:
    """The first of these times that is one: formats write 0 for "unknown", and some samples the wrong unit."""
    return next((t for t in times_us if t is not None and 0 < t <= LATEST_US), None)


def rfc3339_us(found: object) -> int | None:
    """A time as text in microseconds; None for what is none."""
    if not isinstance(found, str):
        return None
    try:
        return parse_rfc3339(found)
    except BadRequest:
        return None


def _delete(
    facts: Facts, before: Cells | None, key_columns: Sequence[str], key: Cells | None, nullable: bool
) -> ChangeDraft:
    row = before or {n: c for n, c in (key or {}).items() if n in key_columns}
    columns = _columns(row, None)
    values = _key(key_columns, key, row, nullable)
    old = None if before is None else _row(columns, before)
    return _draft(facts, Op.DELETE, columns, tuple(key_columns), values, old, None)


def _draft(
    facts: Facts,
    op: Op,
    columns: tuple[Column, ...],
    key_columns: tuple[str, ...],
    key: Row,
    before: Row | None,
    after: Row | None,
) -> ChangeDraft:
    missing = facts.missing if after is not None else frozenset[str]()
    return ChangeDraft(
        facts.table, op, columns, key_columns, key, before, after,
        facts.committed_at, facts.transaction, missing, facts.origin, facts.position, facts.partial, facts.other_key,
    )  # fmt: skip


def _columns(first: Cells, second: Cells | None) -> tuple[Column, ...]:
    """The columns of both rows; the type of the side that has a value."""
    types = {name: kind for name, (kind, _) in first.items()}
    for name, (kind, value) in (second or {}).items():
        if name not in types or (value is not None and first[name][1] is None):
            types[name] = kind
    return _made(tuple(types.items()))


@lru_cache(maxsize=4096)
def _made(types: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    """A stream repeats its few shapes with every record."""
    return tuple(Column(name, kind) for name, kind in types)


def _row(columns: tuple[Column, ...], cells: Cells) -> Row:
    return tuple(cells[c.name][1] if c.name in cells else None for c in columns)


def _key(names: Sequence[str], key: Cells | None, row: Cells, nullable: bool) -> Row:
    found = [(n, (key or {}).get(n) or row.get(n)) for n in names]
    for name, cell in found:
        if cell is None or (cell[1] is None and not nullable):
            got = "NULL" if cell else "columns " + (", ".join(row) or "none")
            raise bad(f"a value of the key's column {name}", got[:300], NO_KEY)
    return tuple(cell[1] for _, cell in found if cell is not None)


def _stated(names: Sequence[str], before: Cells) -> Row | None:
    """The old row's key, where it has all of it: some sources send nothing but NULLs of it."""
    values = tuple(before[n][1] if n in before else None for n in names)
    return None if None in values else values

"""Rows as Debezium's Cassandra connector writes them: each column a cell with its value and whether it was set."""

from __future__ import annotations

from headrace.envelopes import bad
from headrace.envelopes.drafts import Cells
from headrace.envelopes.raw import NULL, Raw, cell, is_object, members, shown

CASSANDRA = "cassandra"


def cassandra_row(raw: Raw | None) -> tuple[Cells, frozenset[str]]:
    """The row, and the columns that the change did not set (they are NULL in it). Raises BadInput."""
    if raw is None or raw == NULL:
        raise bad("the row's cells in `after`", "none")
    row: dict[str, tuple[str, bool | int | float | str | bytes | None]] = {}
    unset: set[str] = set()
    for name, held in members(raw, "a row").items():
        if held != NULL and not is_object(held):
            raise bad(f"a cell with `value` and `set` in {name}", shown(held))
        parts = {} if held == NULL else members(held, "a cell")
        row[name] = cell(parts.get("value", NULL))
        if held == NULL or parts.get("set") == b"false":
            unset.add(name)
    return row, frozenset(unset)

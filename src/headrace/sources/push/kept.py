"""Large values that an update may leave out, kept from what was pushed before: the log holds whole rows.

PostgreSQL stores large values out of line, and logical decoding does not send one again that an update left as it was;
Debezium writes a placeholder in its place. Kept are the large values of large rows, `v:<table>:<key>` in the source's
state, and `t:<table>` for a table of which something is kept; both by hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import msgspec

from headrace.change import Op, Row, key_text
from headrace.envelopes import ChangeDraft
from headrace.sources import State
from headrace.sources.push.remembered import hashed

Values = dict[str, str | bytes]
"""The kept values of one row, by column."""

_LARGE_ROW, _LARGE_VALUE = 500, 16
"""Bytes. The server stores nothing out of line of a row under 2 kB; a margin for what is larger there than as JSON."""

_encode = msgspec.msgpack.Encoder().encode
# MessagePack itself tells text from bytes; msgspec has no type for "either".
_decoder = msgspec.msgpack.Decoder()


class Kept:
    """The kept values that one append needs, and what it changes of them (`state`). `tables` outlives it."""

    def __init__(self, tables: set[str], rows: Mapping[str, Values]) -> None:
        self.state: dict[str, bytes | None] = {}
        self._tables = tables
        self._rows: dict[str, Values | None] = dict(rows)

    def complete(self, draft: ChangeDraft) -> ChangeDraft:
        """With the values that it leaves out, as far as they were kept."""
        if not draft.missing or draft.after is None:
            return draft
        known = self._rows.get(_name(draft, draft.key)) or self._rows.get(_name(draft, draft.other_key)) or {}
        after = tuple(
            known[c.name] if c.name in draft.missing and c.name in known else value
            for c, value in zip(draft.columns, draft.after, strict=True)
        )
        return replace(draft, after=after, missing=draft.missing - known.keys())

    def note(self, draft: ChangeDraft) -> None:
        """What the next update of the row may leave out; nothing of a row that ended."""
        if draft.op is Op.TRUNCATE:
            for name in [n for n in self._rows if n.startswith(_table(draft))]:
                self._write(name, None)
            return
        values = _large(draft) if draft.partial and draft.after is not None else {}
        table = "t:" + _table(draft)
        if values and table not in self._tables:
            self._tables.add(table)
            self.state[table] = b""
        if table not in self._tables:
            return
        if draft.op is not Op.DELETE or not draft.other_key:  # a row that goes on under another key still needs them
            self._write(_name(draft, draft.key), values or None)
        if draft.op is not Op.DELETE and draft.other_key:
            self._write(_name(draft, draft.other_key), None)

    def _write(self, name: str, values: Values | None) -> None:
        self._rows[name] = values
        self.state["v:" + name] = _encode(values) if values else None


async def load_tables(state: State) -> set[str]:
    return set(await state.scan("t:"))


async def fetch(state: State, tables: set[str], drafts: Iterable[ChangeDraft]) -> Kept:
    """What these drafts leave out, as far as it was kept; of a truncated table everything."""
    wanted: set[str] = set()
    rows: dict[str, bytes] = {}
    if tables:
        for draft in drafts:
            if draft.missing:
                wanted |= {"v:" + _name(draft, key) for key in (draft.key, draft.other_key) if key}
            elif draft.op is Op.TRUNCATE and "t:" + _table(draft) in tables:
                rows |= await state.scan("v:" + _table(draft))
    if wanted:
        rows |= await state.get(sorted(wanted))
    return Kept(
        tables, {name.removeprefix("v:"): cast("Values", _decoder.decode(value)) for name, value in rows.items()}
    )


def _table(draft: ChangeDraft) -> str:
    return hashed(draft.table) + ":"


def _name(draft: ChangeDraft, key: Row) -> str:
    return _table(draft) + hashed(key_text(key))


def _large(draft: ChangeDraft) -> Values:
    row: Sequence[object] = draft.after or ()
    texts = {c.name: v for c, v in zip(draft.columns, row, strict=True) if isinstance(v, str | bytes)}
    size = sum(len(v) if isinstance(v, bytes) or v.isascii() else len(v.encode()) for v in texts.values())
    if size + _LARGE_VALUE * len(row) < _LARGE_ROW:
        return {}
    return {name: v for name, v in texts.items() if len(v) >= _LARGE_VALUE}

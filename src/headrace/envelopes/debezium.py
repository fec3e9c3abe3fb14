"""Debezium's envelope, of every connector: `before`, `after`, `source`, `op`; with or without its schema.

Headrace's own carry more members, `columns` (name to type, in order), `key` and perhaps `bytes`, so that reading one
again gives the same change. A row without a primary key is identified by all of its columns, when the message says that
it has no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from headrace.change import Change, Column, Op, Position, Row
from headrace.envelopes import ChangeDraft, Hints, bad
from headrace.envelopes.cassandra import CASSANDRA, cassandra_row
from headrace.envelopes.connect import NO_FIELDS, Fields, own_field, row_fields
from headrace.envelopes.drafts import NO_KEY, Cells, Facts, drafts, stated_time
from headrace.envelopes.mongodb import document_cells, is_document, key_cells
from headrace.envelopes.raw import (
    NULL,
    Members,
    Raw,
    anything,
    anything_of,
    cell,
    elements,
    is_null,
    is_object,
    is_text,
    members,
    shown,
    text,
)

_OPS: Mapping[str, Op] = {op.value: op for op in Op}
_MESSAGE = "m"
_WITH_DATABASE = frozenset({"sqlserver", "informix"})
"""Connectors of several databases with schemas: their topics have all three names."""
_LEAVES_OUT = frozenset({"postgresql", "yugabytedb", "oracle", ""})
"""Connectors that write a placeholder for a large value that the source did not send again."""
_PLACEHOLDERS = frozenset(
    {
        b'"__debezium_unavailable_value"',
        b'"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="',
        b'["__debezium_unavailable_value"]',
    }
)


@dataclass(frozen=True, slots=True)
class MessageKey:
    """The key that travels beside a message's value; `value` None: the message says that it has none.

    `other`: the key on the other side of a change of the key, which Debezium says in a header.
    """

    value: Raw | None
    fields: Fields = field(default_factory=lambda: NO_FIELDS)
    other: Raw | None = None


def message_key(raw: Raw) -> MessageKey:
    """A key with or without its schema, or as JSON inside a text. Raises BadInput."""
    if is_text(raw) and (inner := text(raw).strip()).startswith(("{", '"')):
        raw = inner.encode()
    if is_object(raw):
        found = members(raw, "a key")
        if found.keys() == {"schema", "payload"}:
            fields = NO_FIELDS if is_null(found["schema"]) else row_fields(found["schema"])
            return MessageKey(None if is_null(found["payload"]) else found["payload"], fields)
    return MessageKey(None if raw == NULL else raw)


def decode(
    payload: Members, hints: Hints, fields: Fields = NO_FIELDS, key: MessageKey | None = None
) -> tuple[ChangeDraft, ...]:
    """The drafts of one envelope; none for a logical message. Raises BadInput."""
    letter = anything_of(payload, "op")
    if letter == _MESSAGE:
        return ()
    if not isinstance(letter, str) or letter not in _OPS:
        raise bad("op of c, u, d, r or t", repr(letter)[:60])
    source = _source(payload)
    facts = _facts(payload, source, hints, _OPS[letter])
    if "columns" in payload:
        return (_own(payload, facts),)
    if facts.op is Op.TRUNCATE:
        return drafts(facts, None, None, hints.key)
    if _is_mongodb(payload, source):
        return _documents(payload, facts, key)
    if source.get("connector") == CASSANDRA:
        return _cassandra(payload, facts, hints, key)
    return _rows(payload, facts, source, hints, fields, key)


def _rows(
    payload: Members, facts: Facts, source: Mapping[str, object], hints: Hints, fields: Fields, key: MessageKey | None
) -> tuple[ChangeDraft, ...]:
    before, after = _row(payload.get("before"), fields), _row(payload.get("after"), fields)
    facts = replace(facts, partial=str(source.get("connector", "")) in _LEAVES_OUT)
    if after is not None and facts.partial:
        left_out = frozenset(n for n, v in members(payload["after"], "a row").items() if v in _PLACEHOLDERS)
        if left_out:
            facts = replace(facts, missing=left_out)
            after = {n: (kind, None if n in left_out else v) for n, (kind, v) in after.items()}
    names, values = key_of(hints, key, fields, {**(after or {}), **(before or {})})
    if key is not None and is_object(key.other) and key.other is not None:
        other = members(key.other, "a key")
        known = fields or key.fields
        cells = {n: known[n].cell(v) if n in known else cell(v) for n, v in other.items()}
        facts = replace(facts, other_key=tuple(cells[n][1] for n in names if n in cells))
    return drafts(facts, before, after, names, values, nullable_key=key is not None and key.value is None)


def _cassandra(payload: Members, facts: Facts, hints: Hints, key: MessageKey | None) -> tuple[ChangeDraft, ...]:
    """A delete has its key in `after`; an update only the columns that it sets."""
    row, unset = cassandra_row(payload.get("after"))
    names, values = key_of(hints, key, NO_FIELDS, row)
    if facts.op is Op.DELETE:
        return drafts(facts, row, None, names, values)
    return drafts(replace(facts, missing=unset if facts.op is Op.UPDATE else frozenset()), None, row, names, values)


def _documents(payload: Members, facts: Facts, key: MessageKey | None) -> tuple[ChangeDraft, ...]:
    before, after = (
        None if is_null(payload.get(side)) else document_cells(payload[side]) for side in ("before", "after")
    )
    if after is None and facts.op is not Op.DELETE:
        raise bad(
            "the whole document after the change",
            "what the update changed" if "updateDescription" in payload else "no `after`",
            "Set the connector's capture.mode to change_streams_update_full.",
        )
    stated = None if key is None or key.value is None else key_cells(key.value)
    return drafts(facts, before, after, ("_id",), stated)


def _is_mongodb(payload: Members, source: Mapping[str, object]) -> bool:
    return (
        source.get("connector") == "mongodb"
        or "collection" in source
        or "updateDescription" in payload
        or any(is_document(payload.get(side)) for side in ("before", "after"))
    )


def key_of(hints: Hints, key: MessageKey | None, fields: Fields, row: Cells) -> tuple[tuple[str, ...], Cells | None]:
    """The key's columns, and its values where the message has them apart. Raises BadInput when nothing names them."""
    if key is None:
        if hints.key:
            return hints.key, None
        raise bad("the primary key", "an envelope without its message's key", NO_KEY)
    if key.value is None:
        return hints.key or tuple(row), None
    if not is_object(key.value):
        if len(hints.key) != 1:
            raise bad("a key with its column's name", shown(key.value), NO_KEY)
        return hints.key, {hints.key[0]: cell(key.value)}
    found = members(key.value, "a key")
    known = fields or key.fields
    cells = {n: known[n].cell(v) if n in known else cell(v) for n, v in found.items()}
    return hints.key or tuple(cells), cells


def _row(raw: Raw | None, fields: Fields) -> Cells | None:
    if raw is None or raw == NULL:
        return None
    return {n: fields[n].cell(v) if n in fields else cell(v) for n, v in members(raw, "a row").items()}


def _source(payload: Members) -> Mapping[str, object]:
    found = anything_of(payload, "source")
    if found is not None and not isinstance(found, dict):
        raise bad("a source", shown(payload["source"]))
    return cast("dict[str, object]", found or {})


def _facts(payload: Members, source: Mapping[str, object], hints: Hints, op: Op) -> Facts:
    return Facts(
        hints.table or table_of(source),
        op,
        stated_time(
            _integer(source.get("ts_us")),
            _times(1000, source.get("ts_ms")),
            _times(1_000_000, source.get("ts_sec")),
            _integer(anything_of(payload, "ts_us")),
            _times(1000, anything_of(payload, "ts_ms")),
        ),
        _transaction(source.get("txId")),
        origin=str(source.get("name") or ""),
        position=_position(source, ours="columns" in payload),
    )


def table_of(source: Mapping[str, object]) -> str:
    """`schema.table`, as the connector's own topics have it behind the server's name; empty when it says none."""
    table = source.get("table") or source.get("collection")
    spaces = [source.get("schema") or source.get("keyspace") or source.get("db")]
    if str(source.get("connector")) in _WITH_DATABASE:
        spaces.insert(0, source.get("db"))
    return ".".join([*(str(s) for s in spaces if s), str(table)]) if table else ""


def _position(source: Mapping[str, object], *, ours: bool) -> Position:
    """The position of our own; of others (LSN of the event or place in its file, 0)."""
    sequence = source.get("sequence")
    if ours and isinstance(sequence, str):
        found = anything(sequence.encode())
        numbers = [_integer(n) for n in cast("list[object]", found)] if isinstance(found, list) else []
        if len(numbers) == 2:
            return Position(numbers[0] or 0, numbers[1] or 0)
    lsn = source.get("lsn")
    return Position(_integer(lsn if lsn is not None else source.get("pos")) or 0)


def _integer(found: object) -> int | None:
    """Numbers come as text too; what is none (an Oracle transaction's id) is None."""
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    if isinstance(found, str) and found.lstrip("-").isdecimal() and len(found) < 20:
        return int(found)
    return None


def _transaction(found: object) -> int:
    number = _integer(found) or 0
    return number if 0 <= number < 2**63 else 0


def _times(unit_us: int, found: object) -> int | None:
    count = _integer(found)
    return None if count is None else count * unit_us


# ---- Headrace's own --------------------------------------------------------------------------------------------------


def _own(payload: Members, facts: Facts) -> ChangeDraft:
    """With its types and key: nothing to find out."""
    types = {n: text(v) for n, v in members(payload["columns"], "columns and their types").items()}
    held = {text(n) for n in elements(payload["bytes"])} if "bytes" in payload else set[str]()
    fields = {n: own_field(t, held=n in held) for n, t in types.items()}
    key = {} if is_null(payload.get("key")) else members(payload["key"], "a key")
    names, columns = tuple(types), tuple(Column(n, t) for n, t in types.items())

    def values(raw: Raw | None) -> Row | None:
        if raw is None or raw == NULL:
            return None
        found = members(raw, "a row")
        return tuple(fields[n].cell(found.get(n, NULL))[1] for n in names)

    unknown = own_field("")
    identity = () if facts.op is Op.TRUNCATE else tuple(fields.get(n, unknown).cell(v)[1] for n, v in key.items())
    before, after = values(payload.get("before")), values(payload.get("after"))
    if (after is None) != (facts.op in (Op.DELETE, Op.TRUNCATE)):
        raise bad("a row after the change, and none behind a delete", shown(payload.get("after", b"none")))
    if facts.op is not Op.TRUNCATE and not key:
        raise bad("the primary key in `key`", "none", NO_KEY)
    return ChangeDraft(
        facts.table, facts.op, columns, tuple(key), identity, before, after,
        facts.committed_at, facts.transaction, frozenset(), facts.origin, facts.position,
    )  # fmt: skip


def decode_envelope(value: bytes) -> Change:
    """What `headrace.envelope.encode_envelope` wrote, as it was. Raises BadInput."""
    (draft,) = decode(members(value, "an envelope"), Hints())
    return draft.change(draft.origin, draft.position, draft.committed_at or 0)

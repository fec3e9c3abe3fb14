"""Rows as Debezium's ExtractNewRecordState leaves them: the row itself, with what it was asked to keep as `__…`."""

from __future__ import annotations

from typing import cast

from headrace.change import Op
from headrace.envelopes import ChangeDraft, Hints, bad
from headrace.envelopes.connect import NO_FIELDS, Fields
from headrace.envelopes.debezium import MessageKey, key_of, table_of
from headrace.envelopes.drafts import Facts, drafts, stated_time
from headrace.envelopes.raw import NULL, Members, anything, cell

_OPS = {op.value: op for op in Op}
_MARKS = frozenset({"__op", "__deleted"})
_NAMES = frozenset(
    {"op", "deleted", "table", "schema", "db", "keyspace", "collection", "name", "connector", "version", "snapshot",
     "sequence", "lsn", "txId", "xmin", "scn", "commit_scn", "change_lsn", "commit_lsn", "gtid", "file", "pos", "row",
     "server_id", "thread", "query", "ts_ms", "ts_us", "ts_ns", "source_ts_ms", "source_ts_us", "source_ts_ns"}
)  # fmt: skip
_PREFIXES = ("__source_", "__transaction_")


def is_flattened(found: Members) -> bool:
    return not _MARKS.isdisjoint(found)


def decode(
    found: Members, hints: Hints, fields: Fields = NO_FIELDS, key: MessageKey | None = None
) -> tuple[ChangeDraft, ...]:
    """The drafts of one row. Raises BadInput."""
    added = {n: anything(v) for n, v in found.items() if _is_added(n)}
    row = {n: fields[n].cell(v) if n in fields else cell(v) for n, v in found.items() if n not in added}
    op = _op(added)
    facts = Facts(hints.table or _table(added), op, _time(added))
    if op is Op.TRUNCATE:
        return drafts(facts, None, None, hints.key)
    names, values = key_of(hints, key, fields, row)
    return drafts(facts, row, None, names, values) if op is Op.DELETE else drafts(facts, None, row, names, values)


def decode_tombstone(hints: Hints, key: MessageKey | None) -> tuple[ChangeDraft, ...]:
    """What is left of a delete when the transformation drops the delete itself. Raises BadInput."""
    if key is None or key.value is None or key.value == NULL:
        raise bad("a tombstone with its key", "none", "Send the message's key beside its value.")
    names, values = key_of(hints, key, NO_FIELDS, {})
    return drafts(Facts(hints.table, Op.DELETE), None, None, names, values)


def _is_added(name: str) -> bool:
    return name.startswith("__") and (name[2:] in _NAMES or name.startswith(_PREFIXES))


def _op(added: dict[str, object]) -> Op:
    if added.get("__deleted") in (True, "true"):
        return Op.DELETE
    letter = added.get("__op", "u")
    if not isinstance(letter, str) or letter not in _OPS:
        raise bad("__op of c, u, d, r or t", repr(letter)[:60])
    return _OPS[letter]


def _table(added: dict[str, object]) -> str:
    names = {n.removeprefix("__source_").removeprefix("__"): v for n, v in added.items()}
    return table_of(names)


def _time(added: dict[str, object]) -> int | None:
    def count(name: str, unit_us: int) -> int | None:
        found = cast("object", added.get(name))
        return found * unit_us if isinstance(found, int) else None

    return stated_time(
        count("__source_ts_us", 1), count("__source_ts_ms", 1000), count("__ts_us", 1), count("__ts_ms", 1000)
    )

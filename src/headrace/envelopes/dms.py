"""Records of AWS Database Migration Service as it writes them to Kinesis and Kafka: full load, changes, control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from headrace.change import Op
from headrace.envelopes import ChangeDraft, Hints, bad
from headrace.envelopes.drafts import NO_KEY, Cells, Facts, drafts, rfc3339_us, stated_time
from headrace.envelopes.raw import Members, Raw, anything_of, cell, is_null, is_object, members, shown

_OPS: Mapping[str, Op] = {"load": Op.READ, "insert": Op.CREATE, "update": Op.UPDATE, "delete": Op.DELETE}
_EMPTIES = frozenset({"truncate-table", "drop-table"})
"""A table that is dropped is loaded afresh behind it: until then it has no rows."""
_KEEPS_ROWS = frozenset(
    {"create-table", "add-column", "drop-column", "rename-column", "change-columns", "column-type-change"}
)


def is_dms(found: Members) -> bool:
    return is_object(found.get("metadata")) and ("data" in found or b'"record-type"' in found["metadata"])


def decode(found: Members, hints: Hints) -> tuple[ChangeDraft, ...]:
    """The drafts of one record; none for a control record that leaves the rows as they are. Raises BadInput."""
    if not is_object(found.get("metadata")):
        raise bad("a DMS record with `metadata`", "none")
    metadata = cast("dict[str, object]", anything_of(found, "metadata"))
    operation = str(metadata.get("operation", "")).lower()
    if metadata.get("record-type") == "control":
        return _control(operation, metadata, hints)
    if operation not in _OPS:
        raise bad("an operation of load, insert, update or delete", repr(operation)[:60])
    facts = _facts(metadata, hints, _OPS[operation])
    row, before = _row(found.get("data")), _row(found.get("before-image"))
    if row is None:
        raise bad("a row in `data`", shown(found.get("data", b"none")))
    if not hints.key:
        raise bad("the primary key", "a DMS record, which does not name its key's columns", NO_KEY)
    if facts.op is Op.DELETE:
        return drafts(facts, {**row, **(before or {})}, None, hints.key)
    return drafts(facts, before, row, hints.key)


def _control(operation: str, metadata: Mapping[str, object], hints: Hints) -> tuple[ChangeDraft, ...]:
    if operation in _KEEPS_ROWS:
        return ()
    if operation in _EMPTIES:
        return drafts(_facts(metadata, hints, Op.TRUNCATE), None, None, hints.key)
    raise bad(
        "a control operation that rows can follow",
        repr(operation)[:60],
        "Push the renamed table's rows under their new name, and delete the old ones.",
    )


def _facts(metadata: Mapping[str, object], hints: Hints, op: Op) -> Facts:
    names = [str(n) for n in (metadata.get("schema-name"), metadata.get("table-name")) if n]
    at = stated_time(rfc3339_us(metadata.get("commit-timestamp")), rfc3339_us(metadata.get("timestamp")))
    transaction = metadata.get("transaction-id")
    number = transaction if isinstance(transaction, int) and 0 <= transaction < 2**63 else 0
    return Facts(hints.table or ".".join(names), op, at, number)


def _row(raw: Raw | None) -> Cells | None:
    if is_null(raw) or raw is None:
        return None
    return {name: cell(value) for name, value in members(raw, "a row").items()}

"""Plain upserts and deletes: `{"op": "upsert", "table": "customers", "key": {"id": 7}, "row": {"id": 7, ...}}`.

`key` may be left out where `?key=` names the columns; `row` of a delete too. `at` is an RFC 3339 time.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.change import Op
from headrace.envelopes import ChangeDraft, Hints, bad
from headrace.envelopes.drafts import NO_KEY, Cells, Facts, drafts, rfc3339_us
from headrace.envelopes.raw import Members, anything_of, cell, is_null, members

_MEMBERS = frozenset({"op", "table", "key", "row", "before", "at", "id"})
_OPS: Mapping[str, Op] = {
    "upsert": Op.UPDATE,
    "insert": Op.CREATE,
    "create": Op.CREATE,
    "update": Op.UPDATE,
    "delete": Op.DELETE,
    "read": Op.READ,
    "truncate": Op.TRUNCATE,
    **{op.value: op for op in Op},
}


def decode(found: Members, hints: Hints) -> tuple[ChangeDraft, ...]:
    """The drafts of one record. Raises BadInput."""
    if unknown := found.keys() - _MEMBERS:
        raise bad("members " + ", ".join(sorted(_MEMBERS)), ", ".join(sorted(unknown))[:200], "Leave the others out.")
    name = anything_of(found, "op")
    if not isinstance(name, str) or name not in _OPS:
        raise bad("op of upsert, delete or truncate", repr(name)[:60])
    table = anything_of(found, "table")
    facts = Facts(hints.table or str(table or ""), _OPS[name], _at(found))
    key, row, before = _cells(found, "key"), _cells(found, "row"), _cells(found, "before")
    names = tuple(key) if key else hints.key
    if facts.op is Op.TRUNCATE:
        return drafts(facts, None, None, names)
    if not names:
        raise bad("the primary key", "neither `key` nor ?key=", NO_KEY)
    if facts.op is Op.DELETE:
        return drafts(facts, before or row, None, names, key)
    if row is None:
        raise bad("a `row`", "none", "Send the whole row; to remove it, op delete.")
    return drafts(facts, before, {**(key or {}), **row}, names, key)


def _cells(found: Members, name: str) -> Cells | None:
    raw = found.get(name)
    if raw is None or is_null(raw):
        return None
    return {n: cell(v) for n, v in members(raw, f"`{name}` as an object").items()}


def _at(found: Members) -> int | None:
    stated = anything_of(found, "at")
    if stated is None:
        return None
    at = rfc3339_us(stated)
    if at is None:
        raise bad("`at` as an RFC 3339 time", repr(stated)[:60])
    return at

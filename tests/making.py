"""Changes for tests, in few words."""

from __future__ import annotations

from headrace.change import Change, Column, Op, Position, Row, Schema

ITEMS = Schema("shop", "public.items", (Column("id", "int4"), Column("name", "text")), ("id",))
ORDERS = Schema("shop", "public.orders", (Column("id", "int4"), Column("item", "int4")), ("id",))
EPOCH = 1_700_000_000_000_000


def change(op: Op, at: int, key: int, name: str | None = None, *, schema: Schema = ITEMS, minor: int = 0) -> Change:
    """A change of row `key` at position `at`, committed `at` seconds after EPOCH."""
    row: Row = (key, name)
    gone = op in (Op.DELETE, Op.TRUNCATE)
    return Change(
        schema, op, Position(at, minor), EPOCH + at * 1_000_000, at,
        () if op is Op.TRUNCATE else (key,), None, None if gone else row,
    )  # fmt: skip


def put(at: int, key: int, name: str = "", *, schema: Schema = ITEMS, minor: int = 0) -> Change:
    return change(Op.CREATE, at, key, name or f"item {key}", schema=schema, minor=minor)


def truncate(at: int, *, schema: Schema = ITEMS, minor: int = 0) -> Change:
    return change(Op.TRUNCATE, at, 0, schema=schema, minor=minor)

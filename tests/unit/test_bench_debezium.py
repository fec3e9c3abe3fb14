"""What `bench debezium` works out by itself: which change a record tells of, and how long each took."""

from __future__ import annotations

import json
import random

import pytest

from bench.capturing import mark
from bench.debezium import latencies
from bench.paced import ROWS, Written
from bench.report import Failed
from headrace.change import Change, Column, Op, Position, Schema, Style
from headrace.envelope import Origin, encode_envelope

ITEMS = Schema(
    "db",
    "public.items",
    (
        Column("id", "int4"), Column("name", "text"), Column("price", "numeric"), Column("stock", "int4"),
        Column("changed_at", "timestamptz"),
    ),
    ("id",),
)  # fmt: skip


def ours(number: int, key: int) -> bytes:
    row = (key, "item", "1.25", number, "2026-11-21 20:00:00+00")
    change = Change(ITEMS, Op.UPDATE, Position(9, 1), 0, 1, (key,), None, row)
    return encode_envelope(change, Origin("postgresql", Style.LSN))


def theirs(number: int, key: int) -> dict[str, object]:
    after = {"id": key, "name": "item", "price": "fQ==", "stock": number, "changed_at": "2026-11-21T20:00:00Z"}
    return {"before": None, "after": after, "source": {"connector": "postgresql", "lsn": 9}, "op": "u", "ts_ms": 1}


def test_a_record_of_either_tells_its_transaction_and_row() -> None:
    with_schema = {"schema": {"type": "struct", "fields": [{"field": "after"}]}, "payload": theirs(7, 31)}

    assert mark(ours(7, 31)) == (7, 31)
    assert mark(json.dumps(theirs(7, 31)).encode()) == (7, 31)
    assert mark(json.dumps(with_schema).encode()) == (7, 31)
    with pytest.raises(Failed, match="not an update"):
        mark(json.dumps({**theirs(7, 31), "after": None}).encode())


def test_a_change_takes_from_its_transactions_return_to_its_record_in_the_order_of_writing() -> None:
    written = Written(first=100, seconds=1.0, returned_ns=[1_000_000_000, 2_000_000_000])
    seen = [
        (returned + row * 1_000_000, ours(number, (number * ROWS + row) + 1))
        for number, returned in ((100, 1_000_000_000), (101, 2_000_000_000))
        for row in range(ROWS)
    ]
    random.Random(1).shuffle(seen)

    assert latencies(written, seen) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("change", ["missing", "twice"])
def test_a_change_that_is_missing_or_came_twice_gives_no_latencies(change: str) -> None:
    written = Written(first=0, seconds=1.0, returned_ns=[0])
    seen = [(1, ours(0, row + 1)) for row in range(ROWS)]
    broken = seen[1:] if change == "missing" else [*seen, seen[0]]

    with pytest.raises(Failed, match="changes"):
        latencies(written, broken)

"""Where a batch of changes may be cut: between a source's transactions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Schema
from headrace.engines.lane import sliced

SCHEMA = Schema("shop", "public.orders", (Column("id", "int4"),), ("id",))


def changes(*transactions: int, op: Op = Op.CREATE) -> list[Change]:
    """So many changes in each transaction."""
    return [
        Change(SCHEMA, op, Position(major, minor), 0, major, (minor,), None, (minor,))
        for major, count in enumerate(transactions, start=1)
        for minor in range(count)
    ]


@given(st.lists(st.integers(1, 9), min_size=1), st.integers(1, 8), st.booleans())
def test_slices_are_all_changes_in_order_and_no_transaction_that_fits_is_cut(
    sizes: list[int], limit: int, whole: bool
) -> None:
    given_changes = changes(*sizes)
    parts = sliced(given_changes, limit, whole=whole)
    assert [c for part in parts for c in part] == given_changes
    assert all(parts)
    for major, size in enumerate(sizes, start=1):
        holding = [part for part in parts if any(c.position.major == major for c in part)]
        assert len(holding) == 1 or (size > limit and not whole)
    for part in parts:
        assert len(part) <= limit or (whole and len({c.position.major for c in part}) == 1)


def test_a_first_copy_is_cut_anywhere() -> None:
    parts = sliced(changes(10, op=Op.READ), 4, whole=True)
    assert [len(part) for part in parts] == [4, 4, 2]

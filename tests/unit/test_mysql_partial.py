"""What is owed of rows that the binary log does not tell whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Column, Row, Schema
from headrace.sources.mysql.partial import Owed, owed
from headrace.sources.mysql.shapes import Shape


def shape(*key: str) -> Shape:
    columns = (Column("id", "bigint unsigned"), Column("name", "varchar"))
    schema = Schema("my", "shop.t", columns, key)
    return Shape(schema, (), b"", lambda data, at: ((), at), None, (), lambda row: row)


@pytest.mark.parametrize(
    ("key", "told", "unseen", "expected"),
    [
        (("id",), (5,), False, Owed("shop.t", 5, 5)),
        (("id",), (5,), True, Owed("shop.t", unseen=True)),  # it had another key before: which, nobody knows
        (("id",), None, False, Owed("shop.t")),
        (("name",), ("a",), False, Owed("shop.t")),
        (("id", "name"), (5, "a"), False, Owed("shop.t")),
    ],
)
def test_bounds_are_told_only_where_they_hold(
    key: Sequence[str], told: Row | None, unseen: bool, expected: Owed
) -> None:
    assert owed(shape(*key), told, unseen=unseen) == expected


def _owed(bound: tuple[int, int] | None, unseen: bool) -> Owed:
    first, last = bound or (None, None)
    return Owed("t", first, last, unseen)


bounds = st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda b: (min(b), max(b)))
rows = st.builds(_owed, bounds, st.booleans())


@given(st.lists(rows, min_size=1))
def test_what_is_owed_together_covers_each(several: list[Owed]) -> None:
    together: Owed | None = None
    for one in several:
        together = one.and_also(together)
    assert together is not None

    for one in several:
        assert together.unseen or not one.unseen
        if together.first is not None and together.last is not None:
            assert one.first is not None
            assert one.last is not None
            assert together.first <= one.first <= one.last <= together.last

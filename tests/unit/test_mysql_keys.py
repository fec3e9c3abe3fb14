"""Keys of MySQL tables as literals and comparisons."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Value
from headrace.sources.mysql.keys import KeyColumn, compare, one_of
from headrace.sources.mysql.shapes import MISSING, old_row


@pytest.mark.parametrize(
    ("kind", "cell", "literal"),
    [
        ("bigint unsigned", b"18446744073709551615", "18446744073709551615"), ("bit", b"5", "5"),
        ("decimal", b"-1.50", "-1.50"), ("double", b"1e300", "1e+300"), ("double", b"0.5", "0.5e0"),
        ("year", b"0000", "'0000'"), ("date", b"0000-00-00", "'0000-00-00'"), ("enum", b"3", "3"),
        ("varbinary", b"\x00'", "x'0027'"), ("varchar", "Ж'".encode(), "_utf8mb4 x'd09627'"),
        ("char", b"", "_utf8mb4 x''"),
    ],
)  # fmt: skip
def test_what_was_read_last_as_a_literal(kind: str, cell: bytes, literal: str) -> None:
    assert KeyColumn("k", kind).cell(cell) == literal


@pytest.mark.parametrize(
    ("kind", "value", "literal"),
    [
        ("int", -5, "-5"), ("year", 0, "'0000'"), ("enum", "a", "_utf8mb4 x'61'"), ("set", "", "_utf8mb4 x''"),
        ("binary", b"\xff", "x'ff'"), ("uuid", "123e", "'123e'"), ("double", 0.1, "0.1e0"),
    ],
)  # fmt: skip
def test_a_changes_value_as_a_literal(kind: str, value: Value, literal: str) -> None:
    assert KeyColumn("k", kind).value(value) == literal


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_compared_as_what_it_is(value: float) -> None:
    # given a FLOAT as it reads, with fewer digits than the double that it is
    shown = float(f"{value:.9g}")

    assert float(KeyColumn("k", "float").value(shown)) == struct.unpack("<f", struct.pack("<f", value))[0]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("int", "one"), ("decimal", "1,5"), ("binary", "ff"), ("enum", "a"), ("set", "a"), ("double", "x")],
)
def test_bounds_that_a_column_cannot_hold(kind: str, text: str) -> None:
    with pytest.raises(ValueError):
        KeyColumn("k", kind).bound(text)


_OPERATORS = {"AND": "and", "OR": "or", "=": "=="}


@given(
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
    st.sampled_from([">", ">=", "<="]),
)
def test_columns_compare_as_rows_do(row: list[int], bound: list[int], operator: str) -> None:
    # given a condition in SQL, read as Python
    names = ["a", "b", "c"]
    sql = compare(names, operator, [str(v) for v in bound])  # pyright: ignore[reportArgumentType]
    words = (_OPERATORS.get(word, word) for word in sql.replace("(", " ( ").replace(")", " ) ").split())
    held = eval(" ".join(words), dict(zip(names, row, strict=True)))

    # then it says what a comparison of the first columns as a row says
    first = row[: len(bound)]
    assert held == {">": first > bound, ">=": first >= bound, "<=": first <= bound}[operator]


def test_rows_of_some_keys() -> None:
    a, b = KeyColumn("a", "int"), KeyColumn("b`", "varchar")

    assert one_of([a], [(1,), (2,)]) == "`a` IN (1, 2)"
    assert one_of([a, b], [(1, "x"), (2, "y")]) == (
        "(`a` = 1 AND `b``` = _utf8mb4 x'78') OR (`a` = 2 AND `b``` = _utf8mb4 x'79')"
    )
    assert one_of([b], [("x",)], wide=True) == "CONVERT(`b``` USING utf8mb4) IN (_utf8mb4 x'78')"


def test_an_old_row_may_be_its_key_alone() -> None:
    assert old_row([1, MISSING, "x"], None, (0,)) == (1, None, "x")
    assert old_row([MISSING, 2, 7], [1, 2], (0,)) == (2, 7)
    assert old_row([1, MISSING], None, (1,)) is None

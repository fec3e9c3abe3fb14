"""Tables in a text, and what their rows are read under where a chunk begins among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.answer.reading import read
from headrace.knowledge.formats.table import table
from headrace.knowledge.tables import LONGEST, cells, columns_above, header_at, tables

TABLE = "| Part | Qty |\n| --- | ---: |\n| filter | 3 |\n| pipe | 4 |\n"


def test_rows_stand_under_the_names_of_their_columns() -> None:
    text = f"Before.\n\n{TABLE}\nAfter | all.\n"

    found = tables(text)

    assert header_at(found, text.index("| Part")) == "", "the header itself stands under nothing"
    assert [header_at(found, text.index(w)) for w in ("| ---", "| filter", "pipe")] == ["Part | Qty"] * 3
    assert header_at(found, text.index("After")) == ""


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("| a | b |\n| 1 | 2 |\n", []),
        ("|  |  |\n|---|---|\n| 1 | 2 |\n", []),
        ("   | a |\r\n   |:---|\r\n   | 1 |\r\n", ["a"]),
        ("| a \\| b | c |\n|-|-|\n", ["a \\| b | c"]),
        (TABLE + "\n" + TABLE.replace("Qty", "Sum"), ["Part | Qty", "Part | Sum"]),
        ("| a | b |\n|---|---|", []),
    ],
)
def test_what_has_dashes_below_its_first_row_is_a_table(text: str, headers: list[str]) -> None:
    assert [t.header for t in tables(text)] == headers


def test_a_long_header_is_cut_between_columns() -> None:
    names = [f"column {n}" for n in range(60)]
    (found,) = tables("| " + " | ".join(names) + " |\n|" + "---|" * 60 + "\n| 1 |\n")

    assert len(found.header) <= LONGEST
    assert found.header == " | ".join(names[: found.header.count("|") + 1])


cell_texts = st.text("ab|\\ é", max_size=6).map(lambda text: text.replace("\\", "/"))


@given(st.lists(cell_texts, min_size=2, max_size=4), st.lists(st.lists(cell_texts, min_size=2, max_size=4), max_size=5))
def test_the_tables_that_formats_write_are_found_again(header: list[str], rows: list[list[str]]) -> None:
    rows = [["a", "b", *header], *rows]
    text = "".join(table(rows))
    filled = [row for row in rows if any(c.strip() for c in row)]

    width = max(map(len, filled))
    for line, row in zip([x for n, x in enumerate(text.splitlines()) if n != 1], filled, strict=True):
        assert cells(line) == [" ".join(c.split()) for c in row] + [""] * (width - len(row))
    assert len(tables(text)) == 1


def test_what_stands_alone_above_a_header_stands_above_the_table() -> None:
    rows = [["Sales", ""], ["", ""], ["x"], ["Region", "Sum"], ["North", "3"]]

    assert "".join(table(rows)) == ("Sales\n\nx\n\n| Region | Sum |\n| --- | --- |\n| North | 3 |\n")
    assert "".join(table([["", "Sum"], ["North", "3"]])).startswith("|  | Sum |")
    assert "".join(table([["outer", ""], ["", "in"]])).startswith("| outer |  |")
    assert "".join(table([["only"], ["one"]])) == "| only |\n| --- |\n| one |\n"


def test_a_single_wide_row_does_not_fill_up_the_others() -> None:
    lines = list(table([["a", "b"], ["x"] * 10_000, ["c", "d"]]))

    assert [line.count("|") for line in lines] == [257, 257, 10_001, 257]


def test_columns_are_the_last_of_the_headings() -> None:
    assert columns_above("Prices › Part | Qty") == "Part | Qty"
    assert columns_above("Part | Qty › Prices") == ""


def test_rows_without_their_header_read_by_the_columns_above() -> None:
    text = "| filter | 3 |\n| pipe | 4 |\n\n| Who | When |\n|---|---|\n| Ann | May |\n"

    shown = [line.shown for line in read(text, "Prices › Part | Qty", "title", "a.md").lines]

    assert shown == ["Part: filter; Qty: 3", "Part: pipe; Qty: 4", "Who; When", "Who: Ann; When: May"]


def test_rows_of_an_unknown_header_read_as_they_stand() -> None:
    text = "| filter | 3 |\n| pipe | 4 |\n"

    assert read(text, "Prices › Part | Qty | Sum", "title", "a.md").lines[1].shown == "pipe; 4"


def test_a_heading_with_bars_names_no_columns_of_a_table_with_its_own_header() -> None:
    text = "\n| Part | Qty |\n| --- | --- |\n| filter | 3 |\n"

    shown = [line.shown for line in read(text, "Docs | Acme", "title", "a.md").lines]

    assert shown == ["Part; Qty", "Part: filter; Qty: 3"]

"""Which column of a new shape is which of the old one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.sources.postgres.columns import Columns, carried, first
from headrace.sources.postgres.pgoutput import Relation, RelationColumn
from headrace.sources.postgres.values import INT4, JSON, TEXT, VARCHAR

TABLE = 16384


def relation(*columns: str | tuple[str, int], oid: int = TABLE) -> Relation:
    given = [(c, TEXT) if isinstance(c, str) else c for c in columns]
    return Relation(oid, "public", "t", "d", tuple(RelationColumn(n, t, n == "id") for n, t in given))


def after(*shapes: Relation) -> Columns:
    """The last shape's columns where the catalog never tells a number."""
    columns = first(shapes[0], [])
    for shape in shapes[1:]:
        columns = carried(columns, shape, [])
    return columns


@pytest.mark.parametrize(
    ("shapes", "labels"),
    [
        ([relation("id", "v"), relation("id", "w")], ("id", "v")),
        ([relation("id", "v", "n"), relation("id", "w", "n")], ("id", "v", "n")),
        ([relation("id", "v"), relation("id", "w", "x")], ("id", "v", "x~1")),
        ([relation("id", "v"), relation("id", "w"), relation("id", "w", "v")], ("id", "v", "v~1")),
        ([relation("id", "a", "b"), relation("id", "b")], ("id", "b")),
        ([relation("id", "a", "b"), relation("id", "b", "a")], ("id~1", "b~2", "a~3")),
        ([relation("id", "a", "b"), relation("id", "x", "y")], ("id", "a", "b")),
        ([relation("id", "a", "b"), relation("id", "x")], ("id", "x~1")),
        ([relation("id", "v"), relation("id", ("v", VARCHAR))], ("id", "v")),
        ([relation("id", "a", ("b", JSON)), relation("id", "x", ("y", JSON))], ("id", "a", "b")),
        ([relation("id", "v"), relation("id", "v", oid=7)], ("id", "v")),
    ],
)
def test_names_and_order_tell_columns(shapes: list[Relation], labels: tuple[str, ...]) -> None:
    assert after(*shapes).labels == labels


def test_values_of_another_type_are_other_values() -> None:
    columns = after(relation("id", "v", "w"), relation("id", ("v", JSON), "w"))

    assert columns.labels == ("id", "v~1", "w")
    assert after(relation("id", "a"), relation("id", ("b", JSON))).labels == ("id", "b~1")


def test_no_label_is_given_out_again() -> None:
    there_and_back = after(relation("id", "v"), relation("id", ("v", JSON)), relation("id", "v"))

    assert there_and_back.labels == ("id", "v~2")
    assert after(relation("id", "v~1", "v"), relation("id", "v~1", ("v", JSON))).labels == ("id", "v~1", "v~1~")


def test_the_catalog_tells_what_names_cannot() -> None:
    # given a table of which the first column went and the others were renamed to the names before them
    old = first(relation("id", "a", "b"), [("id", 1), ("a", 2), ("b", 3)])
    now = relation("id", "a", "c")

    assert carried(old, now, [("id", 1), ("a", 3), ("c", 4)]).labels == ("id", "b", "c~1")
    assert carried(old, now, [("id", 1), ("a", 2), ("c", 3)]).labels == ("id", "a", "b")
    assert carried(old, relation("id", "b", "a"), [("id", 1), ("b", 2), ("a", 3)]).labels == ("id", "a", "b")


def test_a_catalog_that_is_ahead_tells_of_what_it_still_has() -> None:
    # given two columns whose names changed places, of which one or the other went since
    old = first(relation("id", "a", "b"), [("id", 1), ("a", 2), ("b", 3)])
    swapped = relation("id", "b", "a")

    assert carried(old, swapped, [("id", 1), ("x", 2), ("y", 3)]).labels == ("id", "a", "b")
    assert carried(old, swapped, [("id", 1), ("b", 2)]).labels[:2] == ("id", "a")
    assert carried(old, swapped, [("id", 1), ("a", 3)]).labels == ("id", "b~1", "a~2")
    assert not {c.number for c in carried(old, swapped, [("id", 1), ("b", 2)]).columns} & {2, 3}


@dataclass
class Table:
    """Columns as (number, name), changed as ALTER TABLE does."""

    columns: list[tuple[int, str]] = field(default_factory=lambda: [(1, "id"), (2, "a"), (3, "b")])
    last: int = 3

    def alter(self, what: int, which: int, name: str) -> None:
        names = [n for _, n in self.columns]
        at = 1 + which % max(len(self.columns) - 1, 1)
        if what == 0 and name not in names:
            self.last += 1
            self.columns.append((self.last, name))
        elif what == 1 and len(self.columns) > 1:
            del self.columns[at]
        elif what == 2 and len(self.columns) > 1 and name not in names:
            self.columns[at] = (self.columns[at][0], name)

    @property
    def catalog(self) -> list[tuple[str, int]]:
        return [(name, number) for number, name in self.columns]

    @property
    def relation(self) -> Relation:
        return relation(*[(n, INT4 if n == "id" else TEXT) for _, n in self.columns])


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.sampled_from("abcdef")), max_size=5)


@given(st.lists(STEPS, max_size=5))
def test_with_numbers_no_value_changes_its_column(gaps: list[list[tuple[int, int, str]]]) -> None:
    # given any statements between any two shapes that are seen
    table = Table()
    columns = first(table.relation, table.catalog)
    owner = {label: number for label, (number, _) in zip(columns.labels, table.columns, strict=True)}
    for steps in gaps:
        before = {number for number, _ in table.columns}
        for what, which, name in steps:
            table.alter(what, which, name)
        columns = carried(columns, table.relation, table.catalog)

        # then a column that was there keeps its label, and labels are never shared
        assert len(set(columns.labels)) == len(columns.labels)
        for label, (number, _) in zip(columns.labels, table.columns, strict=True):
            if number in before:
                assert owner[label] == number
            owner[label] = number


@given(STEPS)
def test_one_rename_at_a_time_needs_no_numbers(steps: list[tuple[int, int, str]]) -> None:
    table = Table()
    columns = first(table.relation, [])
    owner = {label: number for label, (number, _) in zip(columns.labels, table.columns, strict=True)}
    for what, which, name in steps:
        before = {number for number, _ in table.columns}
        table.alter(what, which, name)
        columns = carried(columns, table.relation, [])
        for label, (number, _) in zip(columns.labels, table.columns, strict=True):
            if number in before:
                assert owner[label] == number
            owner[label] = number

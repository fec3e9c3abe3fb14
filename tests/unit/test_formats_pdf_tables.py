"""Tables by their rulings: geometry alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.formats.pdf_lines import laid, lines, owners, written
from headrace.knowledge.formats.pdf_tables import CELLS, LINES, Box, Edge, grids, joined

points = st.integers(0, 40).map(lambda n: n * 2.5)


@st.composite
def edge(draw: st.DrawFn) -> Edge:
    return Edge(draw(points), *sorted((draw(points), draw(points))))


@st.composite
def box(draw: st.DrawFn) -> Box:
    x, y = draw(points), draw(points)
    return Box(x, y, x + 2, y + 2)


edges = st.lists(edge(), max_size=14)
boxes = st.none() | box()


def test_rulings_near_each_other_are_one_and_short_ones_none() -> None:
    found = joined([Edge(10, 0, 20), Edge(11, 22, 50), Edge(30, 0, 20), Edge(30, 30, 50), Edge(60, 0, 5)])

    assert found == [Edge(10.5, 0, 50), Edge(30, 0, 20), Edge(30, 30, 50)]


def test_places_without_a_wall_between_are_one_cell() -> None:
    """Two rows: one cell above, two below."""
    (grid,) = grids([Edge(y, 0, 40) for y in (0, 20, 40)], [Edge(0, 0, 40), Edge(20, 0, 20), Edge(40, 0, 40)])

    assert grid.cells == [[(0, 0), (0, 0)], [(1, 0), (1, 1)]]
    assert (grid.cell(30, 30), grid.cell(30, 10), grid.cell(50, 10)) == ((0, 0), (1, 1), None)


def test_a_place_that_is_open_to_the_outside_is_no_cell() -> None:
    level = [Edge(40, 20, 40), Edge(20, 0, 40), Edge(0, 0, 40)]
    (grid,) = grids(level, [Edge(0, 0, 20), Edge(20, 0, 40), Edge(40, 0, 40)])

    assert grid.cells == [[None, (0, 1)], [(1, 0), (1, 1)]]


def test_a_side_that_is_not_drawn_is_closed() -> None:
    (grid,) = grids([Edge(y, 0, 40) for y in (0, 20, 40)], [Edge(20, 0, 40)])

    assert grid.cells == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]


def test_tables_apart_are_two_and_the_inner_one_of_two_is_first() -> None:
    outer = [Edge(at, 0, 200) for at in (0, 100, 200)]
    inner = [Edge(at, 10, 50) for at in (10, 30, 50)]

    assert [g.area for g in grids([*outer, *inner], [*outer, *inner])] == [1600, 40000]


def test_more_rulings_than_a_table_has_are_a_drawing() -> None:
    many = [Edge(5.0 * n, 0, 5.0 * LINES) for n in range(LINES + 1)]
    assert grids(many, many[:3]) == []
    assert grids(many[:LINES], many[:LINES]) == []
    assert LINES * LINES > CELLS


@given(st.lists(st.tuples(st.sampled_from("ab \n"), boxes), max_size=60), edges, edges)
def test_no_character_is_lost_or_doubled(
    shown: list[tuple[str, Box | None]], level: list[Edge], side: list[Edge]
) -> None:
    """Each stands in one cell or in a line, whatever the rulings."""
    text = "".join(char for char, _ in shown)
    where = [None if char.isspace() else place for char, place in shown]

    tables, owned = owners(where, joined(level), joined(side))
    pieces = laid(text, tables, owned)
    found, places = written(pieces)

    letters = [c for p in pieces for c in p.text.replace("---", "") if c in "ab"]
    assert sorted(letters) == sorted(c for c in text if c in "ab")
    assert [c for c in found if c in "ab"] == letters
    assert all(found[start:end].strip() == piece.text.strip() for start, end, piece in places)
    assert all(
        grid.cells[row][column] == (row, column) for grid, (row, column) in [(tables[o[0]], o[1]) for o in owned if o]
    )


@given(st.text(st.sampled_from("ab \r\n\ufffe"), max_size=60))
def test_lines_know_their_characters(text: str) -> None:
    for piece in lines(text):
        assert piece.first < 0 or text[piece.first : piece.last + 1] == piece.text.strip().replace("\n", "\r")

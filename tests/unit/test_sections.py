"""Code and pages are cut at their own headings: what fits stays whole, and nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.sections import Heading, sections

headings = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 4)), max_size=20, unique_by=lambda h: h[0]).map(
    lambda found: [(at, level, "x") for at, level in sorted(found)]
)


@given(headings, st.integers(1, 80), st.integers(1, 200))
def test_sections_cover_a_text_in_order_and_are_cut_at_headings_only(
    found: list[Heading], room: int, last: int
) -> None:
    parts = list(sections(0, last, found, lambda start, end: end - start <= room))

    assert [start for start, _ in parts] == [0, *[end for _, end in parts[:-1]]]
    assert parts[-1][1] == last
    places = {at for at, _, _ in found}
    assert {start for start, _ in parts[1:]} <= places
    for start, end in parts:
        assert end - start <= room or not any(start < at < end for at in places)


def test_small_neighbours_stay_together_and_a_long_one_is_taken_apart() -> None:
    found = [(0, 1, "a"), (10, 1, "b"), (20, 1, "C"), (30, 2, "C.d"), (60, 2, "C.e"), (70, 2, "C.f"), (80, 1, "g")]

    parts = list(sections(0, 90, found, lambda start, end: end - start <= 30))

    assert parts == [(0, 20), (20, 30), (30, 60), (60, 80), (80, 90)]

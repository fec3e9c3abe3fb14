"""A long text in stretches: nothing lost, none too long, cut at the text's own structure."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.knowledge.stretches import BLOCK, LONGEST, stretches

parts = st.sampled_from(
    ["x" * 9000, "word " * 3000, "line\n" * 4000, "block\n\n" * 500, "# Head\n\n", "\n\n", "東" * 20_000]
)
texts = st.lists(parts, max_size=12).map("".join)


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(0, 50), st.integers(0, 50))
def test_stretches_cover_the_text_in_order_and_none_is_too_long(text: str, before: int, behind: int) -> None:
    start, end = min(before, len(text)), max(len(text) - behind, min(before, len(text)))
    heads = [m.start() for m in re.finditer("# Head", text)]

    found = list(stretches(text, start, end, heads))

    assert "".join(text[a:b] for a, b in found) == text[start:end]
    assert all(a < b <= a + LONGEST for a, b in found)
    for a, b in found:
        assert all(len(block) <= BLOCK + 2 for block in text[a:b].split("\n\n"))


def test_a_text_of_usual_length_stays_whole() -> None:
    text = "A paragraph of some length. " * 40 + "\n\n"

    assert list(stretches(text * 50, 0, len(text) * 50, [])) == [(0, len(text) * 50)]


def test_a_long_one_is_cut_before_a_heading() -> None:
    section = "# Head\n\n" + "text\n\n" * 4000
    text = section * 5
    heads = [n * len(section) for n in range(5)]

    assert [a for a, _ in stretches(text, 0, len(text), heads)] == heads[::2]

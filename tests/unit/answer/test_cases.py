"""Every question of the table, by words alone; and what holds for all of their answers."""

from __future__ import annotations

import re

import pytest

from headrace.answer.context import Answer, Context
from tests.unit.answer.cases import CASES, Case
from tests.unit.answer.measure import answer, right


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_answers_what_the_sources_say_and_nothing_else(case: Case) -> None:
    context, found = answer(case)
    assert right(case, found), found.text
    assert_sound(context, found)


def assert_sound(context: Context, found: Answer) -> None:
    """Quotes stand in the chunks they name; markers and lists agree; who abstains cites nothing."""
    chunks = {p.chunk: p for p in context.passages}
    for citation in found.citations:
        passage = chunks[citation.chunk]
        assert citation.quote
        assert citation.quote in passage.text
        assert (citation.document, citation.stamp) == (passage.document, passage.stamp)
    assert _marks(r"\[(\d+)\]", found.text) == list(range(1, len(found.citations) + 1))
    assert _marks(r"\[F(\d+)\]", found.text) == list(range(1, len(found.facts) + 1))
    if found.abstained:
        assert not found.citations
        assert not found.facts


def _marks(pattern: str, text: str) -> list[int]:
    return list(dict.fromkeys(int(n) for n in re.findall(pattern, text)))

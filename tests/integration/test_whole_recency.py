"""Where documents contradict each other the newest leads; where time says nothing nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.answer.retrieve import Retrieval
from headrace.clock import now_us, parse_rfc3339
from headrace.evaluation.beir import Item
from headrace.evaluation.indexed import Indexed, indexed
from headrace.evaluation.run import opened
from headrace.stores.knowledge import Blend
from tests.news import Asked, Story, news

WORDS = Retrieval(Blend("lexical"), newest=False)


def items(stories: Sequence[Story], *, dated: bool) -> list[Item]:
    """With a date of their own and committed together, or without one and committed on their day."""
    now = now_us()
    days = [parse_rfc3339(f"{s.day}T08:00:00Z") for s in stories]
    return [
        Item(s.name, f"{s.name}.md", s.markdown(dated=dated), now if dated else day)
        for s, day in zip(stories, days, strict=True)
    ]


async def stale(made: Indexed, questions: Sequence[Asked], how: Retrieval) -> float:
    """The share of questions at which an older story stands on top of the newest."""
    wrong = 0
    for asked in questions:
        found = await made.search(asked.text, 10, how)
        states = [s.name for s in asked.stories]
        first = next((d for d in found if d in states), None)
        wrong += first != states[-1]
    return wrong / len(questions)


@pytest.mark.parametrize("dated", [True, False], ids=["dates of their own", "commits"])
async def test_the_newest_statement_leads(dated: bool, tmp_path: Path) -> None:
    stories, questions = news(11)
    embedder = opened("onnx:all-MiniLM-L6-v2")
    try:
        async with indexed(items(stories, dated=dated), embedder, lambda _: None) as made:
            assert await stale(made, questions, WORDS) > 0.3, "words alone do not know time"
            assert await stale(made, questions, Retrieval()) < 0.1
    finally:
        await embedder.close()

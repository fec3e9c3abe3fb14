"""Reordering is pure; whatever a reranker does, a search has its passages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.answer.contested import newest_first
from headrace.answer.rerank import LATE_FAILURES, Ranking, reordered
from headrace.answer.retrieve import Retrieval
from headrace.answer.service import together
from headrace.change import Position, Stamp
from headrace.errors import BadRequest, RerankingError
from headrace.models import Scores
from headrace.stores.knowledge import Passage
from headrace.stores.values import Failure


def passage(n: int, text: str = "", at: int = 0, heading: str = "") -> Passage:
    stamp = Stamp("d", Position(n + 1, 0), at)
    return Passage(f"d/{n}", f"d/{n}#0", 0, f"Title {n}", heading, text or f"text {n}", 0, 9, 1 - n / 100, stamp)


def passages(count: int) -> list[Passage]:
    return [passage(n) for n in range(count)]


class Scoring:
    """A reranker that does what a test says."""

    id = "scoring"

    def __init__(self, score: Callable[[str], float]) -> None:
        self.score = score
        self.asked: list[str] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def scores(self, query: str, passages: Sequence[str]) -> Scores:
        self.asked += passages
        self.begun.set()
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return np.array([self.score(p) for p in passages], np.float64)

    async def close(self) -> None:
        """Nothing is open."""


def backwards(text: str) -> float:
    return float(text.split()[-1])


def down(text: str) -> float:
    raise RerankingError(step="rerank passages at x", expected="status 200", got="status 500", remedy="Look there.")


def broken(text: str) -> float:
    raise ZeroDivisionError


@given(st.integers(0, 60), st.lists(st.floats(-5, 5, width=16), max_size=60))
def test_no_passage_is_lost_or_doubled_and_ties_stay_as_they_were(count: int, scores: list[float]) -> None:
    before = passages(count)
    scored = min(count, len(scores))

    after = reordered(before, scores[:scored])

    assert sorted(p.chunk for p in after) == sorted(p.chunk for p in before)
    assert [p.chunk for p in after[scored:]] == [p.chunk for p in before[scored:]], "the others stay behind"
    assert all(p.rerank_score is None for p in after[scored:])
    place = {p.chunk: n for n, p in enumerate(before)}
    for first, second in pairwise(after[:scored]):
        assert first.rerank_score is not None
        assert second.rerank_score is not None
        assert (-first.rerank_score, place[first.chunk]) < (-second.rerank_score, place[second.chunk])
    for p in after[:scored]:
        assert p.rerank_score == scores[place[p.chunk]]
        assert p.score == before[place[p.chunk]].score, "the fused score is kept"


async def test_the_best_candidates_are_scored_and_the_others_are_not_sent() -> None:
    reranker = Scoring(backwards)
    ranking = Ranking(reranker, 3, 60)

    found, degraded = await ranking.order("q", passages(5))

    assert degraded is None
    assert [p.document for p in found] == ["d/2", "d/1", "d/0", "d/3", "d/4"]
    assert reranker.asked == ["Title 0\ntext 0", "Title 1\ntext 1", "Title 2\ntext 2"]
    assert (ranking.outcomes.done, ranking.outcomes.passages) == (1, 3)


def test_a_reranker_orders_what_asks_for_it_or_says_nothing_of_it() -> None:
    usual, on_demand = Ranking(Scoring(down), 3, 60), Ranking(Scoring(down), 3, 60, by_default=False)

    assert [Retrieval(rerank=said).ranked_by(usual) for said in (None, True, False)] == [usual, usual, None]
    assert [Retrieval(rerank=said).ranked_by(on_demand) for said in (None, True, False)] == [None, on_demand, None]
    assert [Retrieval(rerank=said).ranked_by(None) for said in (None, False)] == [None, None]
    with pytest.raises(BadRequest, match=r"\[models\] reranker"):
        Retrieval(rerank=True).ranked_by(None)


async def test_what_reads_the_same_is_scored_once() -> None:
    reranker = Scoring(lambda text: 7.0)
    same = [passage(n, "the same", heading="Title") for n in range(3)]

    found, _ = await Ranking(reranker, 3, 60).order("q", same)

    assert reranker.asked == ["Title\nthe same"]
    assert [(p.document, p.rerank_score) for p in found] == [("d/0", 7), ("d/1", 7), ("d/2", 7)]


async def test_nothing_found_is_nothing_asked() -> None:
    reranker = Scoring(down)

    assert await Ranking(reranker, 3, 60).order("q", []) == ([], None)
    assert reranker.asked == []


async def test_one_that_fails_leaves_the_order_and_says_why() -> None:
    for score, got in ((down, "status 500: not reranked"), (broken, "ZeroDivisionError: not reranked")):
        ranking = Ranking(Scoring(score), 3, 60)

        found, degraded = await ranking.order("q", passages(4))

        assert found == passages(4)
        assert degraded is not None
        assert degraded.got == got
        assert ranking.outcomes.failed == 1


async def test_one_that_gives_too_few_scores_leaves_the_order() -> None:
    reranker = Scoring(backwards)

    async def one(query: str, passages: Sequence[str]) -> Scores:
        return np.array([1.0])

    reranker.scores = one
    found, degraded = await Ranking(reranker, 3, 60).order("q", passages(3))

    assert found == passages(3)
    assert degraded is not None


async def test_one_that_is_late_is_not_waited_for_and_at_last_left_alone() -> None:
    reranker = Scoring(backwards)
    reranker.answering.clear()
    ranking = Ranking(reranker, 3, 0.01)

    for n in range(1, LATE_FAILURES + 1):
        found, degraded = await ranking.order("q", passages(4))
        assert found == passages(4)
        assert degraded is not None
        assert degraded.expected == "scores within 10 ms"
        assert reranker.cancelled == ranking.outcomes.late == n

    assert ranking.again_at is not None
    _, degraded = await ranking.order("q", passages(4))
    assert degraded is not None
    assert "left alone" in degraded.remedy
    assert reranker.cancelled == LATE_FAILURES, "it was not asked"
    assert ranking.outcomes.skipped == 1


async def test_a_search_that_is_given_up_is_no_failure_of_the_reranker() -> None:
    reranker = Scoring(backwards)
    reranker.answering.clear()
    ranking = Ranking(reranker, 3, 60)
    searching = asyncio.create_task(ranking.order("q", passages(4)))
    await reranker.begun.wait()

    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)

    assert reranker.cancelled == 1
    assert (ranking.outcomes.late, ranking.outcomes.failed, ranking.again_at) == (0, 0, None)


def test_what_several_models_failed_to_do_is_told_as_one() -> None:
    embedding = Failure("embed texts at x", "status 200", "status 500: found by words alone", "Look there.")
    reranking = Failure("rerank passages at y", "status 200", "status 503: not reranked", "Look there.")

    assert together(None, None) is None
    assert together(None, reranking, None) is reranking
    assert together(embedding, reranking) == Failure(
        "embed texts at x; rerank passages at y",
        "status 200",
        "status 500: found by words alone; status 503: not reranked",
        "Look there.",
    )


def test_the_newest_of_what_contradicts_itself_leads_with_the_scores_of_its_place() -> None:
    old = passage(0, "The second checked bag costs 40 dollars.", 1_000_000_000)
    new = passage(1, "The second checked bag costs 55 dollars.", 9_000_000_000_000)

    first, second = newest_first("second checked bag costs", reordered([old, new], [0.9, 0.4]), 10_000_000_000_000)

    assert [first.text[-11:], second.text[-11:]] == ["55 dollars.", "40 dollars."]
    assert [(first.rerank_score, first.score), (second.rerank_score, second.score)] == [(0.9, 1.0), (0.4, 0.99)]
    assert second.superseded_by == new.chunk

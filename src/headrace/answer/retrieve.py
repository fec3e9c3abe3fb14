"""From a query to the passages that are shown: found, the same once, the newest of what contradicts itself first."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

from headrace.answer.contested import newest_first
from headrace.answer.distinct import distinct
from headrace.answer.rerank import Ranking
from headrace.errors import BadRequest
from headrace.knowledge.terms import query_terms
from headrace.stores.knowledge import HYBRID, Blend, Filter, KnowledgeReader, Passage
from headrace.stores.values import Failure, Vector

SPARE = 6
"""So many passages more are looked at: duplicates fall away, and what is newer may stand a little further down."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How passages are found. `rerank`: by the reranker, or not; None: as is configured. `distinct`: what says the same
    is shown once. `newest`: of passages that state the same fact with different values the newest leads. `neighbours`:
    so many chunks around each are given too."""

    blend: Blend = HYBRID
    distinct: bool = True
    newest: bool = True
    neighbours: int = 0
    rerank: bool | None = None

    def ranked_by(self, ranking: Ranking | None) -> Ranking | None:
        """What orders the passages, of what there is. Raises BadRequest where a reranker is asked for and none is
        configured."""
        if ranking is None:
            if self.rerank:
                raise _no_reranker()
            return None
        return ranking if (ranking.by_default if self.rerank is None else self.rerank) else None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, best first. `degraded`: why the reranker, which was asked, did not order them."""

    passages: Sequence[Passage]
    degraded: Failure | None = None


USUAL = Retrieval()


async def find(
    knowledge: KnowledgeReader,
    query: str,
    vector: Vector | Awaitable[Vector | None] | None,
    k: int,
    where: Filter,
    how: Retrieval = USUAL,
    ranking: Ranking | None = None,
) -> Sequence[Passage]:
    """As many passages as `arrange` looks at, best first; without a vector, or with one that turns out to be none, by
    their words."""
    looked_at = k + SPARE if how.distinct or how.newest else k
    if ranking := how.ranked_by(ranking):
        looked_at = max(looked_at, ranking.candidates)
    return await knowledge.search(query_terms(query), vector, looked_at, where, how.blend)


async def arrange(
    query: str, passages: Sequence[Passage], k: int, how: Retrieval = USUAL, ranking: Ranking | None = None
) -> Retrieved:
    """The k best of what `find` found. What is reranked was read as its viewer may read it; nothing is read here."""
    degraded = None
    if ranking := how.ranked_by(ranking):
        passages, degraded = await ranking.order(query, passages)
    if how.distinct:
        passages = distinct(passages, k + SPARE)
    if how.newest:
        passages = newest_first(query, passages)
    return Retrieved(passages[:k], degraded)


async def retrieve(
    knowledge: KnowledgeReader,
    query: str,
    vector: Vector | Awaitable[Vector | None] | None,
    k: int,
    where: Filter,
    how: Retrieval = USUAL,
    ranking: Ranking | None = None,
) -> Retrieved:
    """Both, with their neighbours."""
    found = await arrange(query, await find(knowledge, query, vector, k, where, how, ranking), k, how, ranking)
    if how.neighbours and found.passages:
        return replace(found, passages=await knowledge.around(found.passages, how.neighbours))
    return found


def _no_reranker() -> BadRequest:
    return BadRequest(
        step="rerank what is found",
        expected="a reranker that is configured",
        got="none",
        remedy="Name one as [models] reranker in headrace.toml, or leave `rerank` out.",
    )

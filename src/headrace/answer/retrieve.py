"""From a query to the passages that are shown: found, the same once, the newest of what contradicts itself first."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from headrace.answer.contested import newest_first
from headrace.answer.distinct import distinct
from headrace.knowledge.terms import query_terms
from headrace.stores.knowledge import HYBRID, Blend, Filter, KnowledgeReader, Passage
from headrace.stores.values import Vector

SPARE = 6
"""So many passages more are looked at: duplicates fall away, and what is newer may stand a little further down."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How passages are found. `distinct`: what says the same is shown once. `newest`: of passages that state the same
    fact with different values the newest leads. `neighbours`: so many chunks around each are given too."""

    blend: Blend = HYBRID
    distinct: bool = True
    newest: bool = True
    neighbours: int = 0


USUAL = Retrieval()


async def retrieve(
    knowledge: KnowledgeReader,
    query: str,
    vector: Vector | Awaitable[Vector | None] | None,
    k: int,
    where: Filter,
    how: Retrieval = USUAL,
) -> Sequence[Passage]:
    """The k best passages, best first; without a vector, or with one that turns out to be none, by their words."""
    spare = SPARE if how.distinct or how.newest else 0
    passages = await knowledge.search(query_terms(query), vector, k + spare, where, how.blend)
    if how.distinct:
        passages = distinct(passages, k + spare)
    if how.newest:
        passages = newest_first(query, passages)
    passages = passages[:k]
    return await knowledge.around(passages, how.neighbours) if how.neighbours and passages else passages

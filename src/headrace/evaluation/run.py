"""Runs a collection's queries with every setting of the retriever, and measures each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headrace.answer.rerank import Ranking
from headrace.answer.retrieve import Retrieval
from headrace.clock import now_us
from headrace.config.sections import Models
from headrace.evaluation import beir
from headrace.evaluation.beir import Judgements, Query
from headrace.evaluation.cached import CachedEmbedder
from headrace.evaluation.indexed import Say, indexed
from headrace.evaluation.measures import ndcg, recall, reciprocal_rank
from headrace.models import Embedder, Reranker
from headrace.registry import embedder_at, reranker_at
from headrace.stores.knowledge import Blend

DEPTH = 100
"""Passages that are asked for: enough for fifty documents."""
PATIENCE_S = 600.0
"""A reranker is measured by what it finds, however slow it is."""
_BLENDS = {
    "words alone": Blend("lexical"),
    "meaning alone": Blend("vector"),
    "by rank": Blend("rank"),
    **{f"weight {w:.1f}": Blend(weight=w) for w in (0.2, 0.3, 0.5, 0.6, 0.8)},
}

Search = Callable[[str, int, Retrieval], Awaitable[Sequence[str]]]
"""A query's documents, best first, by the k best passages."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the queries; `ndcg` at the k asked for."""

    setting: str
    ndcg: float
    recall_10: float
    recall_50: float
    mrr: float


@dataclass(frozen=True, slots=True)
class Report:
    """`embedded`: texts whose vectors were not kept from an earlier run."""

    documents: int | None
    queries: int
    k: int
    embedded: int
    settings: Sequence[Scores]


def settings(*, reranked: bool | None) -> Mapping[str, Retrieval]:
    """By name; the first is what a search does that says nothing else. With a reranker also the other way; the parts
    are always without it. `reranked`: whether it is asked by default; None: there is none."""
    plain = {name: Retrieval(blend, rerank=False) for name, blend in _BLENDS.items()}
    other = "without reranker" if reranked else "with reranker"
    both = {} if reranked is None else {other: Retrieval(rerank=not reranked)}
    return {"default": Retrieval(), **both, **plain}


def opened(url: str) -> Embedder:
    """The embedder of an address. Raises ConfigError, and EmbeddingError when a service does not answer."""
    return embedder_at(url)


def opened_reranker(url: str) -> Reranker:
    """The reranker of an address. Raises ConfigError."""
    return reranker_at(url)


async def evaluate(
    embedder: Embedder,
    corpus: Path,
    queries: Path,
    qrels: Path,
    k: int,
    cache: Path,
    say: Say,
    reranker: Reranker | None = None,
) -> Report:
    """A collection in a temporary store. Raises BadRequest for files that cannot be read, and RerankingError."""
    judged = beir.judgements(qrels)
    asked = beir.queries(queries, judged)
    items = beir.corpus(corpus, now_us())
    beir.known(judged, [i.id for i in items], qrels)
    kept = CachedEmbedder(embedder, cache / "vectors.sqlite")
    ranking = None if reranker is None else Ranking(reranker, Models().rerank_candidates, PATIENCE_S)
    try:
        async with indexed(items, kept, say, ranking) as made:
            scores = await measure(made.search, asked, judged, k, say, reranked=ranking and ranking.by_default)
        return Report(len(items), len(asked), k, kept.made, scores)
    finally:
        await kept.close()
        if reranker is not None:
            await reranker.close()


async def measure(
    search: Search, asked: Sequence[Query], judged: Judgements, k: int, say: Say, *, reranked: bool | None
) -> list[Scores]:
    found: list[Scores] = []
    for name, setting in settings(reranked=reranked).items():
        rankings = [(await search(q.text, DEPTH, setting), judged[q.id]) for q in asked]
        found.append(
            Scores(
                name,
                fmean(ndcg(r, g, k) for r, g in rankings),
                fmean(recall(r, g, 10) for r, g in rankings),
                fmean(recall(r, g, 50) for r, g in rankings),
                fmean(reciprocal_rank(r, g) for r, g in rankings),
            )
        )
        say(f"{name}: done")
    return found

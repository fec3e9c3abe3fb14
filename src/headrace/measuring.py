"""Measures the retrieval of a Headrace that is running, over what it has indexed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.answer.retrieve import Retrieval
from headrace.client import Client
from headrace.evaluation import beir
from headrace.evaluation.indexed import Say
from headrace.evaluation.run import Report, measure


async def evaluate_running(
    client: Client, queries: Path, qrels: Path, k: int, say: Say, *, reranked: bool | None
) -> Report:
    """The judgements name documents by their ids, such as `policies/baggage.md`. `reranked`: whether it reranks by
    default; None: it has no reranker. Raises BadRequest."""
    judged = beir.judgements(qrels)
    asked = beir.queries(queries, judged)

    async def search(query: str, most: int, how: Retrieval) -> Sequence[str]:
        blend = how.blend
        body = {"query": query, "k": most, "retriever": blend.retriever, "vector_weight": blend.weight}
        found = await client.post("/v1/search", {**body, "rerank": how.rerank})
        if trouble := found.get("degraded"):
            troubles.append(f"{trouble['step']}: {trouble['got']}. {trouble['remedy']}")
        return list(dict.fromkeys(str(r["document"]) for r in found["results"]))

    troubles: list[str] = []
    scores = await measure(search, asked, judged, k, say, reranked=reranked)
    if troubles:
        say(f"{len(troubles)} searches were degraded, and their figures are: {troubles[-1]}")
    return Report(None, len(asked), k, 0, scores)

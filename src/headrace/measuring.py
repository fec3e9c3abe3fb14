"""Measures the retrieval of a Headrace that is running, over what it has indexed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.answer.retrieve import Retrieval
from headrace.client import Client
from headrace.evaluation import beir
from headrace.evaluation.indexed import Say
from headrace.evaluation.run import Report, measure


async def evaluate_running(client: Client, queries: Path, qrels: Path, k: int, say: Say) -> Report:
    """The judgements name documents by their ids, such as `policies/baggage.md`. Raises BadRequest."""
    judged = beir.judgements(qrels)
    asked = beir.queries(queries, judged)

    async def search(query: str, most: int, how: Retrieval) -> Sequence[str]:
        body = {"query": query, "k": most, "retriever": how.blend.retriever, "vector_weight": how.blend.weight}
        found = await client.post("/v1/search", body)
        return list(dict.fromkeys(str(r["document"]) for r in found["results"]))

    return Report(None, len(asked), k, 0, await measure(search, asked, judged, k, say))

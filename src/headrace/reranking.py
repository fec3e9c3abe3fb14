"""A look at the configured reranker before it is used: whether it answers, knows what is nearer, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from headrace.config.references import without_secrets
from headrace.config.sections import Models
from headrace.findings import Finding, ok, warning
from headrace.models import Reranker
from headrace.registry import reranker_at

QUERY = "How much does a second checked bag cost?"
NEAR = "A second checked bag costs 40 dollars on domestic flights; a third one costs 150 dollars. " * 6
FAR = "The museum is closed on Mondays, and on the first of January; children pay half of the price. " * 6
"""About as long as chunks are."""


async def reranking_findings(models: Models) -> Sequence[Finding]:
    """For `headrace doctor`. Raises ConfigError, and RerankingError when it does not answer as it should."""
    address = models.reranker or ""
    reranker: Reranker = await asyncio.to_thread(reranker_at, address)
    try:
        passages = [NEAR, FAR] + [f"{n}. {NEAR}" for n in range(2, models.rerank_candidates)]
        began = monotonic()
        scores = await reranker.scores(QUERY, passages)
        took_ms = (monotonic() - began) * 1000
    finally:
        await reranker.close()
    found = [ok("model", f"{without_secrets(address)}, scores {len(passages)} passages in {took_ms:.0f} ms")]
    if took_ms > models.rerank_ms:
        expected = f"scores within the {models.rerank_ms} ms of rerank_ms"
        remedy = "Raise rerank_ms or lower rerank_candidates in [models], or use a faster reranker."
        found.append(warning("time", expected=expected, got=f"{took_ms:.0f} ms", remedy=remedy))
    if not scores[0] > scores[1]:
        expected = "a passage that answers a question before one that does not"
        got = f"scores {scores[0]:.4f} and {scores[1]:.4f}"
        remedy = "See that the model is one that reranks, in the language of your documents."
        found.append(warning("order", expected=expected, got=got, remedy=remedy))
    return found

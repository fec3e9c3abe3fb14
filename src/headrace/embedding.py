"""A look at the configured embedder before it is used: whether it answers, and goes together with the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from headrace.config.references import without_secrets
from headrace.findings import Finding, error, ok, warning
from headrace.models import Embedder, Served
from headrace.registry import chosen_here, embedder_at

MOST_DIMENSIONS = 4000
"""Of pgvector's index over half-precision vectors."""


async def embedding_findings(address: str, chunk_tokens: int) -> Sequence[Finding]:
    """For `headrace doctor`. Raises ConfigError, and EmbeddingError when a service does not answer as it should."""
    address = chosen_here(address)
    embedder: Embedder = await asyncio.to_thread(embedder_at, address)
    try:
        about = f"{without_secrets(address)}, {embedder.dimensions} dimensions"
        if isinstance(embedder, Served):  # one that is opened with its dimensions has not been asked for anything yet
            began = monotonic()
            await embedder.embed(["Does it answer?"], query=True)
            about += f", answers in {(monotonic() - began) * 1000:.0f} ms"
        return [ok("model", about), *_fitting(embedder, chunk_tokens)]
    finally:
        await embedder.close()


def _fitting(embedder: Embedder, chunk_tokens: int) -> list[Finding]:
    found: list[Finding] = []
    if chunk_tokens > embedder.max_tokens:
        expected = f"chunks of at most the {embedder.max_tokens} tokens that the model reads"
        got = f"chunks of {chunk_tokens} tokens: what is beyond is found by its words alone"
        remedy = "Lower [knowledge] chunk_tokens, or set max_tokens in the address if the model reads more."
        found.append(warning("chunks", expected=expected, got=got, remedy=remedy))
    if embedder.dimensions > MOST_DIMENSIONS:
        expected = f"at most {MOST_DIMENSIONS} dimensions, which the vector index takes"
        remedy = "Use a smaller model, or shorter vectors of this one (dimensions=N in the address, where it can)."
        found.append(error("dimensions", expected=expected, got=str(embedder.dimensions), remedy=remedy))
    return found

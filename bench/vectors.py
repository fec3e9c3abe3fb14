"""Search in 200,000 chunks, through the store's port. `python -m bench vectors`.

The chunks (bench/clustered.py) come by the write path of every change, into an embedded PostgreSQL of their own, and
their index is built as it is after a load. Recall is against all vectors, as the store keeps them, held against each
question; of the hybrid search, whose score is of words too, against the same search that looks at every vector.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import uvloop
from numpy.typing import NDArray

from bench.clustered import CHUNKS, DIMENSIONS, FEW, Clustered, Vectors
from bench.report import Figure, Goal, Outcome, Settings, spread
from headrace.access import OPERATOR, Viewer
from headrace.knowledge.terms import query_terms
from headrace.registry import MIGRATIONS, SERVERS, STORES, lookup
from headrace.stores import Store
from headrace.stores.knowledge import HYBRID, Blend, Filter, Passage
from headrace.stores.postgres import vector_index

DOCUMENTS = 20_000
AT_ONCE = 128
"""Documents in a transaction, as a lane applies them."""
QUESTIONS = 400
EXACT_QUESTIONS = 60
WARM_UP = 100
K = 10
P50_MS, RECALL, RECALL_OF_FEW = 5.0, 0.98, 0.95
VECTOR = Blend("vector")
FILTER = Filter(source="few")


@dataclass(frozen=True, slots=True)
class Asked:
    """Milliseconds of each question, and what was found."""

    ms: Sequence[float]
    found: Sequence[Sequence[Passage]]


def run(settings: Settings) -> Outcome:
    return uvloop.run(measured(settings.of(DOCUMENTS), settings.of(QUESTIONS)))


async def measured(documents: int, questions: int) -> Outcome:
    corpus = Clustered(documents)
    asked = corpus.questions(WARM_UP + questions)
    chunks = documents * CHUNKS
    few = np.repeat(np.arange(documents) % FEW == 0, CHUNKS)
    async with opened() as store:
        loaded_s = await load(store, corpus)
        began = time.perf_counter()
        await store.compact()
        packed_s = time.perf_counter() - began
        began = time.perf_counter()
        await store.index(loaded=True)
        built_s = time.perf_counter() - began
        vector = await ask(store, asked, VECTOR, Filter())
        hybrid = await ask(store, asked, HYBRID, Filter())
        filtered = await ask(store, asked, VECTOR, FILTER)
        filtered_hybrid = await ask(store, asked, HYBRID, FILTER)
        exact = await exactly(store, asked)
    near, near_few = recall(corpus, asked, vector, None), recall(corpus, asked, filtered, few)
    same = overlap(hybrid.found[:EXACT_QUESTIONS], exact.found)
    of = f"of {chunks} chunks"
    return Outcome(
        (
            Figure(f"load {of}, found at once", "headrace", "chunks/s", round(chunks / loaded_s, 1)),
            Figure("pack their postings", "headrace", "s", round(packed_s, 1)),
            Figure("build their index", "headrace", "s", round(built_s, 1)),
            spread(f"hybrid search {of}", "headrace", hybrid.ms[WARM_UP:], p50=P50_MS),
            at_least("hybrid, top 10 as with every vector", same, RECALL),
            spread(f"vector search {of}", "headrace", vector.ms[WARM_UP:]),
            at_least("vector, recall@10", near, RECALL),
            spread("vector search, filter leaves 1 %", "headrace", filtered.ms[WARM_UP:]),
            at_least("filter leaves 1 %, recall@10", near_few, RECALL_OF_FEW),
            spread("hybrid search, filter leaves 1 %", "headrace", filtered_hybrid.ms[WARM_UP:]),
            spread("hybrid search, every vector looked at", "headrace", exact.ms),
        ),
        (f"{DIMENSIONS} dimensions as halfvec, seeded; a question is six words of a chunk and a vector near its own",),
    )


@asynccontextmanager
async def opened() -> AsyncGenerator[Store]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        start: Any = lookup("servers", SERVERS, "embedded:")
        server = await start.start(Path(folder) / "postgres", tcp=False)
        try:
            await server.ensure_database("headrace")
            dsn = server.dsn("headrace")
            await lookup("migrations", MIGRATIONS, "postgresql:")(dsn)
            opener: Any = lookup("stores", STORES, "embedded:")
            store: Store = await opener.open(dsn, model="bench", dimensions=DIMENSIONS, rules=[])
            try:
                yield store
            finally:
                await store.close()
        finally:
            await server.stop()


async def load(store: Store, corpus: Clustered) -> float:
    """Seconds in the store alone: making the chunks is not counted."""
    took = 0.0
    for drafts in corpus.drafts(AT_ONCE):
        began = time.perf_counter()
        async with store.transaction() as transaction:
            await transaction.knowledge.swap(drafts)
        took += time.perf_counter() - began
    return took


async def ask(
    store: Store, asked: Sequence[tuple[str, Vectors]], blend: Blend, where: Filter, viewer: Viewer = OPERATOR
) -> Asked:
    ms: list[float] = []
    found: list[Sequence[Passage]] = []
    for words, vector in asked:
        terms = query_terms(words)
        began = time.perf_counter()
        async with store.snapshot(viewer=viewer) as snapshot:
            found.append(await snapshot.knowledge.search(terms, vector, K, where, blend))
        ms.append((time.perf_counter() - began) * 1000)
    return Asked(ms, found)


async def exactly(store: Store, asked: Sequence[tuple[str, Vectors]], viewer: Viewer = OPERATOR) -> Asked:
    with patch.object(vector_index, "EXACT_CHUNKS", 1 << 60):
        return await ask(store, asked[:EXACT_QUESTIONS], HYBRID, Filter(), viewer)


def recall(
    corpus: Clustered, asked: Sequence[tuple[str, Vectors]], given: Asked, inside: NDArray[np.bool_] | None
) -> float:
    """What share of the K nearest was found; whatever is as near as the last of them counts."""
    shares: list[float] = []
    for (_, vector), passages in zip(asked, given.found, strict=True):
        near = corpus.vectors @ vector.astype(np.float16).astype(np.float32)
        within = near if inside is None else near[inside]
        last = float(np.partition(within, len(within) - K)[len(within) - K])
        places = [int(p.document.rpartition("/d")[2]) * CHUNKS + p.ordinal for p in passages]
        shares.append(sum(bool(near[n] >= last - 1e-5) for n in places) / K)
    return statistics.fmean(shares)


def overlap(found: Sequence[Sequence[Passage]], exact: Sequence[Sequence[Passage]]) -> float:
    shares = [
        len({p.chunk for p in one} & {p.chunk for p in other}) / max(1, len(other))
        for one, other in zip(found, exact, strict=True)
    ]
    return statistics.fmean(shares)


def at_least(name: str, value: float, goal: float) -> Figure:
    return Figure(name, "headrace", "", round(value, 4), goals=(Goal(f"≥ {goal:g}", value >= goal),))

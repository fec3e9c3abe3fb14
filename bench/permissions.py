"""What it costs that not everybody may read everything, through the store's port. `python -m bench permissions`.

The chunks of `vectors`, searched by an operator, whose statements have no condition; by somebody while nothing is said
of any document; and by people who may read half of the documents, or one in a hundred.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import uvloop

from bench.clustered import CHUNKS, FEW, Clustered
from bench.report import Figure, Outcome, Settings, spread
from bench.vectors import (
    AT_ONCE,
    EXACT_QUESTIONS,
    RECALL,
    RECALL_OF_FEW,
    VECTOR,
    WARM_UP,
    ask,
    at_least,
    exactly,
    load,
    opened,
    overlap,
    recall,
)
from headrace.access import ANYBODY, OPERATOR, Readers, Viewer
from headrace.stores import Store
from headrace.stores.knowledge import HYBRID, Filter

DOCUMENTS = 20_000
QUESTIONS = 200
HALF, HUNDREDTH = Viewer(groups=frozenset({"even", "few"})), Viewer(groups=frozenset({"few"}))
READERS = {name: Readers(None, (name,)) for name in ("even", "odd", "few")}


def run(settings: Settings) -> Outcome:
    return uvloop.run(measured(settings.of(DOCUMENTS), settings.of(QUESTIONS)))


async def measured(documents: int, questions: int) -> Outcome:
    corpus = Clustered(documents)
    asked = corpus.questions(WARM_UP + questions)
    numbers = np.repeat(np.arange(documents), CHUNKS)
    async with opened() as store:
        await load(store, corpus)
        await store.compact()
        await store.index(loaded=True)
        everything = await ask(store, asked, HYBRID, Filter(), OPERATOR)
        nothing_said = await ask(store, asked, HYBRID, Filter(), ANYBODY)
        said_s = await said(store, corpus, _readers)
        half = await ask(store, asked, HYBRID, Filter(), HALF)
        near_half = await ask(store, asked, VECTOR, Filter(), HALF)
        few = await ask(store, asked, HYBRID, Filter(), HUNDREDTH)
        near_few = await ask(store, asked, VECTOR, Filter(), HUNDREDTH)
        same = overlap(half.found[:EXACT_QUESTIONS], (await exactly(store, asked, HALF)).found)
        unlimited = await ask(store, asked, HYBRID, Filter(), OPERATOR)
    of_few = numbers % FEW == 0
    return Outcome(
        (
            spread("hybrid search, an operator", "headrace", everything.ms[WARM_UP:]),
            spread("hybrid search, nothing is said of any document", "headrace", nothing_said.ms[WARM_UP:]),
            Figure(f"say of {documents} documents whom they are for", "headrace", "s", round(said_s, 2)),
            spread("hybrid search, an operator again", "headrace", unlimited.ms[WARM_UP:]),
            spread("hybrid search, half of all may be read", "headrace", half.ms[WARM_UP:]),
            at_least("half, top 10 as with every vector", same, RECALL),
            at_least("half, recall@10", recall(corpus, asked, near_half, of_few | (numbers % 2 == 0)), RECALL),
            spread("hybrid search, 1 % may be read", "headrace", few.ms[WARM_UP:]),
            at_least("1 %, recall@10", recall(corpus, asked, near_few, of_few), RECALL_OF_FEW),
        ),
        (f"{documents * CHUNKS} chunks of {documents} documents, each of which is for one of three groups",),
    )


def _readers(document: int) -> Readers:
    return READERS["few" if document % FEW == 0 else "odd" if document % 2 else "even"]


async def said(store: Store, corpus: Clustered, of: Callable[[int], Readers]) -> float:
    """Seconds in the store."""
    began = time.perf_counter()
    for start in range(0, corpus.documents, AT_ONCE * 8):
        some = range(start, min(start + AT_ONCE * 8, corpus.documents))
        readers: Mapping[str, Readers] = {f"{corpus.source(n)}/d{n}": of(n) for n in some}
        async with store.transaction() as transaction:
            await transaction.knowledge.restrict(readers)
    return time.perf_counter() - began

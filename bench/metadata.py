"""Searches limited by documents' own metadata, through the store's port. `python -m bench metadata`.

The chunks of `vectors`, each document of which says of itself its kind, its number and two tags: searched without
a filter, and with filters that leave half of them or one in a hundred, by equality and by a range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import uvloop

from bench.clustered import CHUNKS, FEW, Clustered
from bench.report import Figure, Outcome, Settings, spread
from bench.vectors import RECALL, RECALL_OF_FEW, VECTOR, WARM_UP, ask, at_least, load, opened, recall
from headrace.stores.conditions import conditions_of
from headrace.stores.knowledge import HYBRID, DocumentDraft, Filter

DOCUMENTS = 20_000
QUESTIONS = 200


class Said(Clustered):
    """Which say of themselves what they are."""

    def drafts(self, at_once: int) -> Iterator[list[DocumentDraft]]:
        for drafts in super().drafts(at_once):
            yield [replace(d, metadata=_metadata(d.stamp.position.major - 1)) for d in drafts]


def run(settings: Settings) -> Outcome:
    return uvloop.run(measured(settings.of(DOCUMENTS), settings.of(QUESTIONS)))


async def measured(documents: int, questions: int) -> Outcome:
    corpus = Said(documents)
    asked = corpus.questions(WARM_UP + questions)
    numbers = np.repeat(np.arange(documents), CHUNKS)
    some = documents // 2
    filters = {
        "half, equal": ({"kind": "odd"}, (numbers % 2 == 1) & (numbers % FEW != 0), RECALL),
        "half, a range": ({"number": {"gte": some}}, numbers >= some, RECALL),
        "1 %, equal": ({"kind": "few"}, numbers % FEW == 0, RECALL_OF_FEW),
        "1 %, a range": ({"number": {"lt": documents // FEW}}, numbers < documents // FEW, RECALL_OF_FEW),
    }
    figures: list[Figure] = []
    async with opened() as store:
        loaded_s = await load(store, corpus)
        figures.append(Figure("load, found at once", "headrace", "chunks/s", round(documents * CHUNKS / loaded_s, 1)))
        await store.compact()
        await store.index(loaded=True)
        everything = await ask(store, asked, HYBRID, Filter())
        figures.append(spread("hybrid search without a filter", "headrace", everything.ms[WARM_UP:]))
        for name, (said, inside, goal) in filters.items():
            where = Filter(metadata=conditions_of(said))
            hybrid = await ask(store, asked, HYBRID, where)
            near = await ask(store, asked, VECTOR, where)
            figures.append(spread(f"hybrid search, {name}", "headrace", hybrid.ms[WARM_UP:]))
            figures.append(at_least(f"{name}, recall@10", recall(corpus, asked, near, inside), goal))
    return Outcome(tuple(figures), (f"{documents * CHUNKS} chunks of {documents} documents with four fields each",))


def _metadata(number: int) -> dict[str, str | int | tuple[str, ...]]:
    kind = "few" if number % FEW == 0 else "odd" if number % 2 else "even"
    return {
        "kind": kind,
        "number": number,
        "tags": (f"t{number % 7}", f"u{number % 50}"),
        "title": f"Document {number}",
    }

"""Queries' vectors are remembered, and right however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import numpy as np

from headrace.answer.service import REMEMBERED_QUERIES, Reader
from headrace.models import Embedder, Vectors
from headrace.operators import Progress
from headrace.stores import Store


class Counting:
    """Gives a query's length as its vector, after a turn of the event loop; counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], *, background: bool = False) -> Vectors:
        await asyncio.sleep(0)
        self.asked += texts
        return np.array([[len(t)] for t in texts], np.float32)


def reader(embedder: Counting) -> Reader:
    return Reader(cast("Store", None), cast("Embedder", embedder), cast("Progress", None), 2000)


async def test_a_query_that_is_asked_again_is_not_embedded_again() -> None:
    embedder = Counting()
    asking = reader(embedder)

    first = await asking.vectors(["seat", "price", "seat"])
    second = await asking.vectors(["price"])

    assert [float(v[0]) for v in first] == [4, 5, 4]
    assert float(second[0][0]) == 5
    assert embedder.asked == ["seat", "price"]


async def test_a_crowd_gets_its_own_vectors_while_old_ones_are_forgotten() -> None:
    embedder = Counting()
    asking = reader(embedder)
    queries = ["q" * n for n in range(1, REMEMBERED_QUERIES + 200)]

    answers = await asyncio.gather(*(asking.vectors([q, "steady"]) for q in queries))

    assert [float(a[0][0]) for a in answers] == [len(q) for q in queries]
    assert {float(a[1][0]) for a in answers} == {6}


async def test_what_was_asked_last_is_kept() -> None:
    embedder = Counting()
    asking = reader(embedder)
    await asking.vectors(["steady"])
    for n in range(REMEMBERED_QUERIES - 1):
        await asking.vectors([str(n)])
    await asking.vectors(["steady"])
    await asking.vectors(["one more"])
    embedder.asked.clear()

    await asking.vectors(["steady"])

    assert embedder.asked == []

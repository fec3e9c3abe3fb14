"""Vectors of questions are remembered, and right however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import numpy as np

from headrace.answer.remember import Remembered
from headrace.models import Embedder, Vectors

MOST = 50


class Counting:
    """Gives a query's length as its vector, after a turn of the event loop; counts what it was asked for."""

    id = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        await asyncio.sleep(0)
        self.asked += texts
        return np.array([[len(t)] for t in texts], np.float32)


def remembered(embedder: Counting) -> Remembered:
    return Remembered(cast("Embedder", embedder), MOST)


async def test_a_query_that_is_asked_again_is_not_embedded_again() -> None:
    embedder = Counting()
    asking = remembered(embedder)

    first = await asking.embed(["seat", "price", "seat"])
    second = await asking.embed(["price"])

    assert [float(v[0]) for v in first] == [4, 5, 4]
    assert float(second[0][0]) == 5
    assert embedder.asked == ["seat", "price"]


async def test_a_crowd_gets_its_own_vectors_while_old_ones_are_forgotten() -> None:
    embedder = Counting()
    asking = remembered(embedder)
    queries = ["q" * n for n in range(1, MOST + 200)]

    answers = await asyncio.gather(*(asking.embed([q, "steady"]) for q in queries))

    assert [float(a[0][0]) for a in answers] == [len(q) for q in queries]
    assert {float(a[1][0]) for a in answers} == {6}


async def test_what_was_asked_last_is_kept() -> None:
    embedder = Counting()
    asking = remembered(embedder)
    await asking.embed(["steady"])
    for n in range(MOST - 1):
        await asking.embed([str(n)])
    await asking.embed(["steady"])
    await asking.embed(["one more"])
    embedder.asked.clear()

    await asking.embed(["steady"])

    assert embedder.asked == []


async def test_texts_beyond_what_is_kept_are_answered_all_the_same() -> None:
    embedder = Counting()
    asking = remembered(embedder)
    texts = ["q" * n for n in range(1, 3 * MOST)]

    assert [float(v[0]) for v in await asking.embed(texts)] == [len(t) for t in texts]
    assert asking.known(texts[-1]) is not None
    assert asking.known(texts[0]) is None

"""Filters, neighbours and the vector index under a filter, as the store port promises them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np
import psycopg
import pytest
import pytest_asyncio

from headrace.knowledge.terms import query_terms
from headrace.stores import PRESENT, AsOf, Store
from headrace.stores.knowledge import Blend, Filter, Passage
from headrace.stores.migrate import migrate
from headrace.stores.postgres import search as searching
from headrace.stores.postgres import vector_index
from headrace.stores.values import Vector
from tests.contract.stored import draft, new_store, open_store, ranked, search, seconds, swap, vector
from tests.servers import FreshDatabases


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database) as made:
        yield made


async def test_a_search_is_limited_by_topic_title_and_time(store: Store) -> None:
    # Given: committed at seconds 1, 2 and 3; the third states a time of its own before all of them.
    await swap(
        store,
        draft("one", 1, "word bag"),
        draft("two", 2, "word bag", source="other"),
        replace(draft("three", 3, "word bag"), title="Bags of 2020", dated=seconds(-100)),
    )

    async def found(**where: str | int) -> set[str]:
        present = {p.title for p in await search(store, "bag", where=Filter(**where))}  # pyright: ignore[reportArgumentType]
        at = AsOf(time=seconds(9))
        past = {p.title for p in await search(store, "bag", where=Filter(**where), at=at)}  # pyright: ignore[reportArgumentType]
        assert past == present
        return present

    assert await found(topic="docs") == {"one", "Bags of 2020"}
    assert await found(title="bags OF") == {"Bags of 2020"}
    assert await found(title="%") == set()
    assert await found(since=seconds(1)) == {"one", "two"}
    assert await found(since=seconds(1), until=seconds(2)) == {"one"}
    assert await found(until=seconds(0)) == {"Bags of 2020"}
    assert await found(source="docs", topic="other") == set()
    (dated,) = await search(store, "bag", where=Filter(title="2020"))
    assert (dated.dated, dated.at) == (seconds(-100), seconds(-100))


async def test_the_text_around_a_passage_is_its_own_documents(store: Store) -> None:
    await swap(store, draft("a", 1, "first", "second word", "third", "fourth"), draft("b", 1, "other"))

    async with store.snapshot() as snapshot:
        found = await snapshot.knowledge.search(query_terms("word"), None, 1, Filter())
        (one,) = await snapshot.knowledge.around(found, 1)
        (two,) = await snapshot.knowledge.around(found, 5)

    assert (one.before, one.text, one.behind) == ("first", "second word", "third")
    assert (two.before, two.behind) == ("first", "third\nfourth")


async def test_each_search_can_be_asked_alone(store: Store) -> None:
    await swap(store, draft("a", 1, "bag"), draft("b", 1, "wholly unrelated text"))

    async def found(blend: Blend) -> list[Passage]:
        async with store.snapshot() as snapshot:
            query = vector("wholly unrelated text")
            return list(await snapshot.knowledge.search(query_terms("bag"), query, 5, Filter(), blend))

    assert [p.title for p in await found(Blend("lexical"))] == ["a"]
    assert [p.title for p in await found(Blend("vector"))] == ["b", "a"]
    assert {p.title for p in await found(Blend("rank"))} == {"a", "b"}


@pytest.mark.parametrize("few", [10_000, 0], ids=["by looking at them", "by walking the index"])
async def test_a_filter_that_leaves_one_percent_keeps_its_recall(
    fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    # Given: 3,000 vectors in the index, 30 of them of one source.
    monkeypatch.setattr(searching, "FEW_INSIDE", few)
    monkeypatch.setattr(vector_index, "MANY", 1_000_000)
    monkeypatch.setattr(vector_index, "ENTERED_AT_ONCE", 3000)
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn) as store:
        for n in range(0, 3000, 500):
            names = [(m, "few" if m % 100 == 0 else "many") for m in range(n, n + 500)]
            await swap(store, *(draft(f"d{m}", 1, f"text {m}", source=source) for m, source in names))
        monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 0)
        for _ in range(40):
            await store.compact()
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            cursor = await connection.execute("select count(*) from chunk_vectors where indexed")
            assert await cursor.fetchone() == (3000,)
        inside = {f"few/d{m}": vector(f"text {m}") for m in range(0, 3000, 100)}
        shares: list[float] = []
        for n in range(30):
            query = f"question {n}"
            exact = sorted(inside, key=lambda d: -float(np.dot(inside[d], vector(query))))[:10]
            async with store.snapshot() as snapshot:
                found = await snapshot.knowledge.search(
                    query_terms(""), vector(query), 10, Filter(source="few"), Blend("vector")
                )
            shares.append(len({p.document for p in found} & set(exact)) / 10)
        assert sum(shares) / len(shares) >= 0.95


async def test_a_vector_that_turns_out_to_be_none_leaves_the_words(store: Store) -> None:
    """As when a service that embeds fails while the question is asked."""
    await swap(store, draft("a", 1, "word bag"), draft("b", 2, "word case"), draft("c", 3, "another word bag"))

    async def none() -> Vector | None:
        return None

    for at in (PRESENT, AsOf(time=seconds(9))):
        async with store.snapshot(at) as snapshot:
            for how in (Blend(), Blend("rank"), Blend("lexical")):
                terms, where = query_terms("bag"), Filter()
                without = await snapshot.knowledge.search(terms, None, 5, where, how)
                late = await snapshot.knowledge.search(terms, asyncio.ensure_future(none()), 5, where, how)
                assert ranked(late) == ranked(without)
                assert {p.document for p in late} == {"docs/a", "docs/c"}

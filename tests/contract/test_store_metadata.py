"""Searches limited by documents' own metadata: what the store finds is what the conditions say, by every way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace

import numpy as np
import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.access import ANYBODY, Access, Readers, Viewer
from headrace.knowledge.terms import query_terms
from headrace.metadata import Metadata, encoded, metadata_of
from headrace.stores import PRESENT, AsOf, Store
from headrace.stores.conditions import Condition, conditions_of
from headrace.stores.embedded_postgres import EmbeddedPostgres
from headrace.stores.knowledge import Blend, DocumentDraft, Filter, Listing
from headrace.stores.migrate import migrate
from headrace.stores.postgres import search as searching
from headrace.stores.postgres import vector_index
from headrace.stores.postgres.conditions import Conditions
from tests.contract.stored import draft, new_store, open_store, removal, remove, seconds, swap, vector
from tests.holding import holds
from tests.servers import FreshDatabases

# ---- one condition, one document -------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["a", "b", "B", "ä", "1", "true", "2024-05-01", "x\\y", "%(m_0)s", "'; --", "{of}", "%s", "\U0001f600"]
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 1e23, -1e-9, 2**53 - 1, 1.0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SINGLE = st.one_of(TEXTS, NUMBERS, st.booleans())
FIELDS = st.sampled_from(["a", "b", "c", "%s", "o'x", "{of}", "true", "1"])
SAID = st.dictionaries(FIELDS, st.one_of(SINGLE, st.lists(SINGLE, max_size=4)), max_size=5)
WANTED = st.dictionaries(
    st.sampled_from(["eq", "ne", "any", "all", "gt", "gte", "lt", "lte", "exists"]),
    st.one_of(SINGLE, st.lists(SINGLE, max_size=3)),
    min_size=1,
    max_size=2,
)


@pytest.fixture
def asking(embedded: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(embedded.dsn("postgres"), autocommit=True) as connection:
        yield connection


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(said=SAID, wanted=st.dictionaries(FIELDS, st.one_of(SINGLE, WANTED), min_size=1, max_size=3))
def test_a_condition_holds_where_it_says(
    asking: psycopg.Connection, said: dict[str, object], wanted: dict[str, object]
) -> None:
    metadata, conditions = metadata_of(said), _conditions(wanted)
    made = Conditions(conditions)
    statement = (
        b"select coalesce(" + made.of(b"said.metadata") + b", false) from (select %(said)s::jsonb as metadata) said"
    )

    row = asking.execute(statement, {**made.args, "said": encoded(metadata)}).fetchone()

    assert row == (holds(conditions, metadata),)


def _conditions(wanted: dict[str, object]) -> Sequence[Condition]:
    """What is no filter is left out: that it is refused is shown elsewhere."""
    fit = {"any", "all", "ne"}
    read: dict[str, object] = {}
    for field, one in wanted.items():
        if not isinstance(one, dict):
            read[field] = one
            continue
        of_field: dict[str, object] = {}
        for operator, value in one.items():  # pyright: ignore[reportUnknownVariableType]
            several = isinstance(value, list) and (operator not in fit or not value)
            if operator == "exists":
                of_field[operator] = bool(value)  # pyright: ignore[reportUnknownArgumentType]
            elif not several and not (operator[0] in "gl" and isinstance(value, bool)):
                of_field[str(operator)] = value  # pyright: ignore[reportUnknownArgumentType]
        if of_field:
            read[field] = of_field
    return conditions_of(read)


# ---- searches --------------------------------------------------------------------------------------------------------

DOCUMENTS: dict[str, dict[str, object]] = {
    "bag": {"category": "bags", "price": 30, "tags": ["cabin", "blue"], "draft": False, "day": "2024-05-01"},
    "case": {"category": "cases", "price": 120.5, "tags": ["cabin"], "author": "ada", "day": "2024-06-01"},
    "trunk": {"category": "cases", "price": "ask", "tags": "cabin", "author": "bo", "draft": True},
    "fee": {"price": 10, "1": 1, "author": ["ada", "bo"]},
    "plain": {},
}
FILTERS: list[dict[str, object]] = [
    {"category": "bags"},
    {"category": ["bags", "cases"]},
    {"category": {"ne": "cases"}},
    {"category": {"ne": ["cases", "bags"]}},
    {"category": {"ne": "cases", "exists": True}},
    {"tags": "cabin"},
    {"tags": {"any": ["blue", "red"]}},
    {"tags": {"all": ["cabin", "blue"]}},
    {"tags": {"all": ["cabin"]}},
    {"price": {"gte": 10, "lt": 120.5}},
    {"price": {"gt": 30}},
    {"price": {"lte": "b"}},
    {"day": {"gte": "2024-05-15"}},
    {"draft": True},
    {"draft": False},
    {"draft": {"exists": False}},
    {"1": 1},
    {"1": True},
    {"author": {"any": ["ada"]}, "price": {"lt": 100}},
    {"nothing": "here"},
    {"category": "bags", "author": "ada"},
]


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database) as made:
        yield made


def said(name: str, at: int, metadata: Metadata, *chunks: str) -> DocumentDraft:
    return replace(draft(name, at, *(chunks or ("word of it", f"another word {name}"))), metadata=metadata)


@pytest.mark.parametrize("few", [10_000, 0], ids=["by looking at them", "by walking the index"])
@pytest.mark.parametrize("exact", [4000, 1], ids=["few chunks", "many"])
async def test_every_search_keeps_to_the_conditions(
    store: Store, monkeypatch: pytest.MonkeyPatch, exact: int, few: int
) -> None:
    monkeypatch.setattr(searching, "FEW_INSIDE", few)
    monkeypatch.setattr(vector_index, "EXACT_CHUNKS", exact)
    monkeypatch.setattr(vector_index, "ENTERED_AT_ONCE", 3)
    metadata = {name: metadata_of(of) for name, of in DOCUMENTS.items()}
    # Given: what they were before, and what went, is found by none; some vectors are in the index of the nearest.
    await swap(store, *(said(name, 1, metadata_of({"category": "bags", "1": 1})) for name in (*DOCUMENTS, "gone")))
    await swap(store, *(said(name, 2, of) for name, of in metadata.items()))
    await remove(store, removal("gone", 2))
    await store.compact()

    async def found(at: AsOf, where: Filter, blend: Blend) -> set[str]:
        async with store.snapshot(at) as snapshot:
            query = vector("word of it")
            passages = await snapshot.knowledge.search(query_terms("word"), query, 50, where, blend)
            assert all(p.metadata == metadata[p.title] for p in passages)
            return {p.title for p in passages}

    await found(PRESENT, Filter(), Blend())  # it is known from here on how many chunks there are
    for one in FILTERS:
        where = Filter(metadata=conditions_of(one))
        expected = {name for name, of in metadata.items() if holds(where.metadata, of)}
        for blend in (Blend(), Blend("vector"), Blend("lexical"), Blend("rank")):
            for at in (PRESENT, AsOf(time=seconds(9))):
                assert await found(at, where, blend) == expected, (one, blend, at)
        assert await found(PRESENT, replace(where, document_prefix="docs/c"), Blend()) == expected & {"case"}


async def test_documents_are_listed_by_the_same_conditions(store: Store) -> None:
    metadata = {name: metadata_of(of) for name, of in DOCUMENTS.items()}
    await swap(store, *(said(name, 1, metadata_of({"category": "bags"})) for name in (*DOCUMENTS, "gone")))
    await swap(store, *(said(name, 2, of) for name, of in metadata.items()))
    await remove(store, removal("gone", 2))

    for one in FILTERS:
        conditions = conditions_of(one)
        expected = sorted(name for name, of in metadata.items() if holds(conditions, of))
        async with store.snapshot() as snapshot:
            pages, after = list[str](), ""
            while found := await snapshot.knowledge.listed(Listing(metadata=conditions), after, 1):
                pages += [i.title for i in found]
                after = found[0].id
            begun = await snapshot.knowledge.listed(Listing(prefix="docs/c", metadata=conditions), "", 9)
        assert pages == expected, one
        assert [i.title for i in begun] == [name for name in expected if name == "case"]
    async with store.snapshot(AsOf(time=seconds(1))) as snapshot:
        bags = Listing(metadata=conditions_of({"category": "bags"}))
        assert len(await snapshot.knowledge.listed(bags, "", 99)) == len(DOCUMENTS) + 1


async def test_the_past_is_limited_by_what_was_said_then(store: Store) -> None:
    await swap(store, said("a", 1, {"state": "draft"}), said("b", 1, {"state": "done"}))
    await swap(store, said("a", 2, {"state": "done"}))

    async def found(at: AsOf, state: str) -> dict[str, object]:
        async with store.snapshot(at) as snapshot:
            where = Filter(metadata=conditions_of({"state": state}))
            passages = await snapshot.knowledge.search(query_terms("word"), None, 9, where)
            for passage in passages:
                document = await snapshot.knowledge.document(passage.document)
                assert document is not None
                assert document.info.metadata == document.chunks[0].metadata == passage.metadata
            return {p.title: p.metadata["state"] for p in passages}

    assert await found(AsOf(time=seconds(1)), "draft") == {"a": "draft"}
    assert await found(AsOf(time=seconds(1)), "done") == {"b": "done"}
    assert await found(PRESENT, "draft") == {}
    assert await found(PRESENT, "done") == {"a": "done", "b": "done"}
    async with store.snapshot(AsOf(time=seconds(1))) as snapshot:
        assert [i.metadata async for i in snapshot.knowledge.documents(None)] == [{"state": "draft"}, {"state": "done"}]
        assert [i.metadata for i in await snapshot.knowledge.listed(Listing(), "", 9)] == [
            {"state": "draft"},
            {"state": "done"},
        ]


async def test_values_come_back_as_they_were_given(store: Store) -> None:
    given = metadata_of(
        {"big": 1e23, "small": 5e-324, "half": 0.1, "whole": 2**53 - 1, "on": True, "l": [1e23, "x", False]}
    )
    await swap(store, said("a", 1, given))

    async with store.snapshot() as snapshot:
        (stored,) = await snapshot.stock.stored(["docs/a"])
        (held,) = await snapshot.audit.held(["docs/a"])
    assert repr(stored.metadata) == repr(held.metadata) == repr(given)


async def test_who_may_not_read_a_document_learns_nothing_of_its_metadata(store: Store) -> None:
    hr = Access(own=Readers(None, ("hr",)))
    await swap(store, said("open", 1, {"pay": 1}), replace(said("secret", 1, {"pay": 2}), access=hr))

    async def found(viewer: Viewer, pay: object) -> set[str]:
        async with store.snapshot(viewer=viewer) as snapshot:
            where = Filter(metadata=conditions_of({"pay": pay}))
            listed = {i.id: i.metadata for i in await snapshot.knowledge.listed(Listing(), "", 9)}
            passages = await snapshot.knowledge.search(query_terms("word"), vector("word of it"), 9, where)
            assert all(listed[p.document] == p.metadata for p in passages)
            assert ("docs/secret" in listed) == (viewer is not ANYBODY)
            limited = await snapshot.knowledge.listed(Listing(metadata=where.metadata), "", 9)
            assert {i.title for i in limited} == {p.title for p in passages}
            return {p.title for p in passages}

    assert await found(ANYBODY, {"gte": 1}) == {"open"}
    assert await found(ANYBODY, 2) == set()
    assert await found(Viewer(groups=frozenset({"hr"})), {"gte": 1}) == {"open", "secret"}


async def test_adopting_brings_metadata_and_touches_no_chunk(store: Store) -> None:
    await swap(store, said("a", 1, {"x": 1}))
    async with store.transaction() as transaction:
        assert await transaction.knowledge.adopt([said("a", 1, {"x": 2})]) == ["docs/a"]
        assert await transaction.knowledge.adopt([said("a", 9, {"x": 3})]) == []

    async with store.snapshot() as snapshot:
        (passage, _) = await snapshot.knowledge.search(
            query_terms("word"), None, 9, Filter(metadata=conditions_of({"x": 2}))
        )
    assert passage.metadata == {"x": 2}


@pytest.mark.parametrize("few", [10_000, 0], ids=["by looking at them", "by walking the index"])
async def test_metadata_that_leave_one_percent_keep_the_recall(
    fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    # Given: 2,000 vectors in the index, 20 of documents that say so.
    monkeypatch.setattr(searching, "FEW_INSIDE", few)
    monkeypatch.setattr(vector_index, "MANY", 1_000_000)
    monkeypatch.setattr(vector_index, "ENTERED_AT_ONCE", 2000)
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn) as store:
        for n in range(0, 2000, 500):
            made = (
                said(f"d{m}", 1, {"kind": "few" if m % 100 == 0 else "many"}, f"text {m}") for m in range(n, n + 500)
            )
            await swap(store, *made)
        monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 0)
        await store.compact()
        where = Filter(metadata=conditions_of({"kind": "few"}))
        inside = {f"docs/d{m}": vector(f"text {m}") for m in range(0, 2000, 100)}
        shares: list[float] = []
        for n in range(30):
            query = f"question {n}"
            exact = sorted(inside, key=lambda d: -float(np.dot(inside[d], vector(query))))[:10]
            async with store.snapshot() as snapshot:
                found = await snapshot.knowledge.search(query_terms(""), vector(query), 10, where, Blend("vector"))
            shares.append(len({p.document for p in found} & set(exact)) / 10)
        assert sum(shares) / len(shares) >= 0.95

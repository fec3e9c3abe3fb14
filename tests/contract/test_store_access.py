"""Who may read a document, as the store port promises it: for random histories, against a plain model."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from headrace.access import ANYBODY, EVERYBODY, NOBODY, OPEN, OPERATOR, Access, Readers, Viewer
from headrace.errors import NotFound
from headrace.knowledge.terms import query_terms
from headrace.stores import PRESENT, AsOf, Store
from headrace.stores.conversations import Turn
from headrace.stores.knowledge import Filter, Listing, Narrowing
from headrace.stores.postgres import search as searching
from headrace.stores.postgres import vector_index
from tests.contract.stored import (
    FAILURE,
    SOURCE,
    applied,
    draft,
    new_store,
    removal,
    remove,
    seconds,
    stamp,
    swap,
    vector,
)
from tests.servers import FreshDatabases

ADA, BO, CY = Viewer("ada", frozenset({"staff"})), Viewer("bo", frozenset({"staff", "hr"})), Viewer("cy")
VIEWERS = (ANYBODY, ADA, BO, CY, OPERATOR)
HR, STAFF, OWN = Readers(None, ("hr",)), Readers(None, ("staff",)), Readers("cy", ())
SAID = (None, HR, STAFF, OWN, NOBODY, Readers(None, (EVERYBODY,)), Readers("ada", ("hr",)))


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database) as made:
        yield made


def own(readers: Readers | None) -> Access:
    return Access(own=readers)


async def readable(store: Store, viewer: Viewer, at: AsOf = PRESENT, where: Filter | None = None) -> set[str]:
    """The documents that somebody gets to see; checks that every way of reading tells the same."""
    async with store.snapshot(at, viewer) as snapshot:
        read = snapshot.knowledge
        listed = {info.id async for info in read.documents(None)}
        assert {i.id for i in await read.listed(Listing(), "", 1000)} == listed
        found = {i: await read.document(i) for i in [*listed, *(f"{SOURCE}/{n}" for n in range(9))]}
        assert {id for id, document in found.items() if document is not None} == listed
        whole = {id for id in listed if (d := found[id]) is not None and d.info.error is None}
        for made in (None, vector("word")):
            passages = await read.search(query_terms("word"), made, 100, where or Filter())
            inside = {id for id in whole if where is None or id.startswith(where.document_prefix or "")}
            assert {p.document for p in passages} == inside
            around = await read.around(passages, 1)
            assert all("word" in p.text for p in around)
        return listed


async def narrow(store: Store, id: str, at: int, readers: Readers, *, fresh: bool = False) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.narrow([Narrowing(f"{SOURCE}/{id}", stamp(at), readers, fresh)])


async def restrict(store: Store, **said: Readers | None) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.restrict({f"{SOURCE}/{id}": readers for id, readers in said.items()})


@dataclass
class Version:
    access: Access
    opened: int
    closed: int | None = None


@dataclass
class Model:
    """What is promised, in the plainest way."""

    versions: dict[str, list[Version]] = field(default_factory=dict[str, list[Version]])
    now: dict[str, Access] = field(default_factory=dict[str, Access])
    coming: dict[str, dict[int, Readers]] = field(default_factory=dict[str, dict[int, Readers]])

    def swap(self, id: str, at: int, access: Access) -> None:
        self.end(id, at)
        self.versions.setdefault(id, []).append(Version(access, at))
        self.now[id] = access
        self.coming[id] = {p: r for p, r in self.coming.get(id, {}).items() if p > at}

    def end(self, id: str, at: int) -> None:
        for version in self.versions.get(id, ()):
            version.closed = at if version.closed is None else version.closed

    def narrow(self, id: str, at: int, readers: Readers, *, fresh: bool) -> None:
        if self.versions.get(id) or not fresh:
            self.coming.setdefault(id, {})[at] = readers

    def restrict(self, id: str, readers: Readers | None) -> None:
        if id in self.now:
            self.now[id] = replace_source(self.now[id], readers)
            for version in self.versions[id]:
                if version.closed is None:
                    version.access = replace_source(version.access, readers)

    def seen(self, viewer: Viewer, at: int | None = None) -> set[str]:
        found: set[str] = set()
        for id, versions in self.versions.items():
            if at is None:
                there = [v for v in versions if v.closed is None]
            else:
                there = [v for v in versions if v.opened <= at and (v.closed is None or v.closed > at)]
            lets = self.now[id].lets_in(viewer) and all(
                viewer.operator or r.let_in(viewer) for r in self.coming[id].values()
            )
            if lets and any(at is None or v.access.lets_in(viewer) for v in there):
                found.add(id)
        return {f"{SOURCE}/{id}" for id in found}


def replace_source(access: Access, readers: Readers | None) -> Access:
    return Access(readers, access.own)


@pytest.mark.parametrize("seed", range(4))
async def test_every_way_of_reading_gives_what_a_plain_model_allows(store: Store, seed: int) -> None:
    rng, model, at = random.Random(seed), Model(), 0
    for _ in range(40):
        at += 1
        id, said = str(rng.randrange(7)), rng.choice(SAID)
        match rng.choice(("swap", "swap", "swap", "end", "narrow", "restrict")):
            case "swap":
                access = Access(rng.choice(SAID) if rng.random() < 0.3 else None, said)
                failure = FAILURE if rng.random() < 0.1 else None
                chunks = () if failure else (f"word {id}", f"word {at}")
                await swap(store, replace(draft(id, at, *chunks, failure=failure), access=access))
                model.swap(id, at, access)
            case "end":
                await remove(store, removal(id, at))
                model.end(id, at)
            case "narrow":
                fresh = rng.random() < 0.3
                await narrow(store, id, at, said or STAFF, fresh=fresh)
                model.narrow(id, at, said or STAFF, fresh=fresh)
            case _:
                await restrict(store, **{id: said})
                model.restrict(id, said)
        for viewer in rng.sample(VIEWERS, 2):
            assert await readable(store, viewer) == model.seen(viewer), (seed, at, viewer)
    for then in range(1, at, 3):
        for viewer in VIEWERS:
            assert await readable(store, viewer, AsOf(time=seconds(then))) == model.seen(viewer, then), (then, viewer)
        where = Filter(document_prefix=f"{SOURCE}/{rng.randrange(7)}", source=SOURCE)
        await readable(store, rng.choice(VIEWERS), AsOf(time=seconds(then)), where)
    await readable(store, ADA, where=Filter(document_prefix=f"{SOURCE}/1", source=SOURCE))


async def test_what_takes_a_document_away_does_not_wait_for_its_version(store: Store) -> None:
    # Given: a document for everybody, and a change behind it that leaves it to hr.
    await swap(store, draft("0", 1, "word"), draft("1", 1, "word"))

    # When: the change is still being prepared
    await narrow(store, "0", 5, HR)

    # Then: nobody else reads the version that is there, now or in the past, also when one before it comes late.
    assert await readable(store, ADA) == {"docs/1"}
    await swap(store, draft("0", 3, "word late"))
    assert await readable(store, ADA) == {"docs/1"}
    assert await readable(store, ADA, AsOf(time=seconds(2))) == {"docs/1"}
    assert await readable(store, BO) == {"docs/0", "docs/1"}

    # And when it is applied it is what counts, and the one after it may open it again.
    await swap(store, replace(draft("0", 5, "word"), access=own(HR)))
    assert await readable(store, ADA) == {"docs/1"}
    await swap(store, draft("0", 6, "word"))
    assert await readable(store, ADA) == {"docs/0", "docs/1"}
    assert await readable(store, ADA, AsOf(time=seconds(5))) == {"docs/1"}, "what was for hr stays for hr"


async def test_what_is_applied_already_is_narrowed_by_nothing_older(store: Store) -> None:
    await swap(store, draft("0", 7, "word"))
    await narrow(store, "0", 5, HR)
    await narrow(store, "0", 7, HR)
    assert await readable(store, ADA) == {"docs/0"}


async def test_a_document_that_ended_is_for_those_it_was_for(store: Store) -> None:
    await swap(store, replace(draft("0", 1, "word"), access=own(HR)))
    await remove(store, removal("0", 3), overtaking=True)
    then = AsOf(time=seconds(2))
    assert [await readable(store, v, then) for v in (ADA, BO, OPERATOR)] == [set(), {"docs/0"}, {"docs/0"}]
    async with store.snapshot(viewer=ADA) as snapshot:
        assert await snapshot.knowledge.readable(["docs/0", "docs/none"]) == {"docs/none"}


async def test_topics_whose_columns_are_new_are_for_nobody_until_they_are_made_anew(store: Store) -> None:
    await swap(store, replace(draft("0", 1, "word"), made="steps"), replace(draft("1", 2, "word"), made="steps"))
    await swap(store, replace(draft("0", 3, "word"), made="steps"))
    async with store.transaction() as transaction:
        await transaction.knowledge.seclude(SOURCE)
    assert await readable(store, ADA) == set()
    assert await readable(store, ADA, AsOf(time=seconds(1))) == set()
    async with store.snapshot() as snapshot:
        assert [m.made for m in await snapshot.stock.made()] == [""], "so that they are made anew in any case"

    async with store.transaction() as transaction:
        await transaction.knowledge.renew([replace(draft("0", 3, "word"), access=own(STAFF))])
    assert await readable(store, ADA) == {"docs/0"}
    assert await readable(store, OPERATOR) == {"docs/0", "docs/1"}


async def test_readers_are_part_of_what_is_audited(store: Store) -> None:
    await swap(store, replace(draft("0", 1, "word"), access=Access(STAFF, HR)), draft("1", 1, "word"))
    async with store.snapshot() as snapshot:
        held = {h.id: h for h in await snapshot.audit.held(["docs/0", "docs/1"])}
        stored = {s.id: s for s in await snapshot.stock.stored(["docs/0", "docs/1"])}
        assert await snapshot.stock.ever(SOURCE, "", 10) == ["docs/0", "docs/1"]
        assert await snapshot.stock.ever(SOURCE, "docs/0", 10) == ["docs/1"]
    assert (held["docs/0"].access, held["docs/1"].access) == (Access(STAFF, HR), OPEN)
    assert (stored["docs/0"].access, stored["docs/1"].access) == (Access(STAFF, HR), OPEN)
    assert not held["docs/0"].faults

    # A change that is still coming is no fault.
    await narrow(store, "0", 5, NOBODY)
    async with store.snapshot() as snapshot:
        assert not (await snapshot.audit.held(["docs/0"]))[0].faults


async def test_with_many_chunks_the_index_and_the_words_leave_out_what_may_not_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the index of the nearest is used, and words are looked at some at a time."""
    monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 40)
    monkeypatch.setattr(searching, "LOOKED_AT_FIRST", 7)
    monkeypatch.setattr(searching, "LOOKED_AT", 11)
    drafts = [draft(f"d{n:03}", n + 1, f"word {n}") for n in range(300)]
    await swap(store, *(replace(d, access=own(HR if n % 50 else None)) for n, d in enumerate(drafts)))
    await store.compact()
    await store.index(loaded=True)

    open_ones = {f"docs/d{n:03}" for n in range(0, 300, 50)}
    for where in (Filter(), Filter(source=SOURCE), Filter(document_prefix="docs/d1")):
        async with store.snapshot(viewer=ADA) as snapshot:
            found = await snapshot.knowledge.search(query_terms("word"), vector("word 3"), 20, where)
        assert {p.document for p in found} == {i for i in open_ones if i.startswith(where.document_prefix or "")}
    async with store.snapshot(viewer=BO) as snapshot:
        found = await snapshot.knowledge.search(query_terms("word"), vector("word 3"), 20, Filter())
    assert len(found) == 20
    assert "docs/d003" in {p.document for p in found}


async def test_turns_made_from_what_may_not_be_read_are_not_remembered(store: Store) -> None:
    await swap(store, draft("0", 1, "word"), draft("1", 1, "word"))
    turns = [
        Turn("user", "what?", {}, 1),
        Turn("assistant", "this", {}, 2, ("docs/0",)),
        Turn("user", "and?", {}, 3),
        Turn("assistant", "that", {}, 4, ("docs/0", "docs/1")),
    ]
    await store.save_turns("talk", "ada", turns)

    async def told(viewer: Viewer) -> Sequence[str]:
        async with store.snapshot(viewer=viewer) as snapshot:
            return [t.text for t in await snapshot.conversations.turns("talk", "ada", 10)]

    assert await told(ADA) == ["what?", "this", "and?", "that"]
    await narrow(store, "1", 5, HR)
    assert await told(ADA) == ["what?", "this", "and?"]
    assert await told(BO) == await told(OPERATOR) == ["what?", "this", "and?", "that"]
    async with store.snapshot(viewer=ADA) as snapshot:
        with pytest.raises(NotFound):
            await snapshot.conversations.turns("talk", "bo", 10)


async def test_who_might_read_is_forgotten_with_the_last_version(store: Store) -> None:
    await swap(store, replace(draft("0", 1, "word"), access=own(HR)))
    await narrow(store, "2", 1, HR)
    await remove(store, removal("0", 2))
    await store.purge(seconds(1))
    async with store.snapshot(viewer=ADA) as snapshot:
        assert await snapshot.knowledge.readable(["docs/0", "docs/2"]) == set()
    await store.purge(seconds(3))
    async with store.snapshot(viewer=ADA) as snapshot:
        assert await snapshot.knowledge.readable(["docs/0", "docs/2"]) == set(), "more may be coming"
    async with store.transaction() as transaction:
        await transaction.progress(applied("knowledge", 1, 2))
    await store.purge(seconds(3))
    async with store.snapshot(viewer=ADA) as snapshot:
        assert await snapshot.knowledge.readable(["docs/0", "docs/2"]) == {"docs/0", "docs/2"}


async def test_the_rules_that_documents_restrict_readers_by_are_remembered(store: Store) -> None:
    told: Mapping[str, str] = {"source docs": "some rules"}
    assert await store.restricted() == {}
    assert await store.restricted(told) == told
    assert await store.restricted() == told

"""What a store keeps of documents: whole versions, exact ends, exact history, the same hits however it is packed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio

from headrace.errors import Forgotten
from headrace.knowledge.terms import query_terms
from headrace.operators import OVERTAKING
from headrace.stores import PRESENT, AsOf, Store
from headrace.stores.knowledge import Filter, Listing, Passage
from headrace.stores.migrate import migrate
from headrace.stores.postgres import compact, vector_index
from headrace.stores.stock import MadeBy
from headrace.token import heads
from tests.contract.stored import (
    FAILURE,
    draft,
    new_store,
    open_store,
    ranked,
    removal,
    remove,
    search,
    seconds,
    stamp,
    swap,
    texts,
    token,
    vector,
)
from tests.servers import FreshDatabases

KNOWLEDGE = "knowledge"


async def number(dsn: str, query: bytes) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database) as made:
        yield made


async def test_a_document_is_there_as_a_whole_with_its_stamp(store: Store) -> None:
    await swap(store, draft("bags.md", 5, "one word", "two words", "drei Wörter"))

    async with store.snapshot() as snapshot:
        found = await snapshot.knowledge.document("docs/bags.md")

    assert found is not None
    assert (found.info.id, found.info.stamp, found.info.chunks) == ("docs/bags.md", stamp(5), 3)
    assert (found.info.stage, found.info.error) == ("ready", None)
    assert [found.text[c.start : c.end] for c in found.chunks] == ["one word", "two words", "drei Wörter"]
    assert [(c.ordinal, c.stamp) for c in found.chunks] == [(n, stamp(5)) for n in range(3)]


async def test_chunks_keep_their_names_whatever_changes_around_them(store: Store) -> None:
    async def names() -> list[str]:
        async with store.snapshot() as snapshot:
            found = await snapshot.knowledge.document("docs/bags.md")
        passages = await search(store, "two words same")
        assert found is not None
        assert {p.chunk for p in passages} == {c.chunk for c in found.chunks}
        return [c.chunk for c in found.chunks]

    await swap(store, draft("bags.md", 5, "two words", "same", "drei Wörter", "same", "same"))
    before = await names()
    await swap(store, draft("bags.md", 6, "same new words", "two words", "same", "drei Wörter", "same"))
    after = await names()

    assert len(set(before)) == len(before)
    assert after[1:] == before[:4]
    assert [name.removeprefix(before[1]) for name in (before[1], *before[3:])] == ["", ".2", ".3"]


async def test_a_newer_version_takes_the_place_of_the_older_one_and_not_the_other_way(store: Store) -> None:
    await swap(store, draft("a", 5, "word new", "word newer"), draft("b", 2, "word b"))

    await swap(store, draft("a", 4, "word old"))
    await swap(store, draft("a", 5, "word the same position"))
    await swap(store, draft("b", 3, "word b changed"), draft("b", 6, "word b changed again"))

    assert await texts(store) == {"docs/a": "word new\nword newer", "docs/b": "word b changed again"}


async def test_an_end_takes_what_is_older_and_leaves_what_is_newer(store: Store) -> None:
    await swap(store, draft("a", 5, "word a"), draft("b", 5, "word b"))

    await remove(store, removal("a", 4), removal("b", 6), removal("nowhere", 6))

    assert await texts(store) == {"docs/a": "word a"}
    assert {p.document for p in await search(store, "word b")} == {"docs/a"}
    await swap(store, draft("b", 6, "word b, from before its end"))
    assert await texts(store) == {"docs/a": "word a"}
    await swap(store, draft("b", 7, "word b, new"))
    assert await texts(store) == {"docs/a": "word a", "docs/b": "word b, new"}


async def test_an_end_that_overtakes_keeps_late_work_out(store: Store) -> None:
    await swap(store, draft("a", 1, "word a"))

    await remove(store, removal("a", 5), removal("never seen", 5), overtaking=True)
    await remove(store, removal("a", 5), removal("never seen", 5), overtaking=True)

    assert await texts(store) == {}
    await swap(store, draft("a", 3, "word late"), draft("never seen", 4, "word late"))
    assert await texts(store) == {}
    await remove(store, removal("a", 5), removal("never seen", 5))
    await swap(store, draft("a", 6, "word new"), draft("never seen", 7, "word new"))
    assert await texts(store) == {"docs/a": "word new", "docs/never seen": "word new"}


async def test_an_end_that_overtakes_leaves_a_newer_version(store: Store) -> None:
    await swap(store, draft("a", 6, "word new"))

    await remove(store, removal("a", 5), overtaking=True)

    assert await texts(store) == {"docs/a": "word new"}


@pytest.mark.parametrize("overtaking", [False, True])
async def test_a_truncate_ends_its_topic_and_fences_it(store: Store, overtaking: bool) -> None:
    await swap(store, draft("a", 1, "word a"), draft("b", 7, "word b"), draft("c", 1, "word c", source="other"))

    await remove(store, removal(None, 5), overtaking=overtaking)

    assert await texts(store) == {"docs/b": "word b", "other/c": "word c"}
    await swap(store, draft("a", 4, "word late"), draft("late", 5, "word late"), draft("d", 5, "word", source="other"))
    assert await texts(store) == {"docs/b": "word b", "other/c": "word c", "other/d": "word"}
    await remove(store, removal(None, 3), overtaking=overtaking)
    await swap(store, draft("late", 4, "word: an older truncate must not lower the fence"), draft("a", 6, "word a"))
    assert await texts(store) == {"docs/a": "word a", "docs/b": "word b", "other/c": "word c", "other/d": "word"}


async def test_a_failure_hides_what_was_there_and_a_second_try_may_mend_it(store: Store) -> None:
    await swap(store, draft("a", 1, "word a"))

    await swap(store, draft("a", 2, failure=FAILURE))

    async with store.snapshot() as snapshot:
        found = await snapshot.knowledge.document("docs/a")
    assert found is not None
    assert (found.info.stage, found.info.error, found.text) == ("failed", FAILURE, "")
    assert await search(store, "word a") == []
    assert (await store.counts())[:2] == (0, 1)
    await swap(store, draft("a", 2, "word mended"))
    assert await texts(store) == {"docs/a": "word mended"}
    await swap(store, draft("a", 2, "word mended twice"))
    assert await texts(store) == {"docs/a": "word mended"}
    assert (await store.counts())[:2] == (1, 0)


async def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    await swap(store, draft("a", 1, "word a"))

    async def change_and_fail() -> None:
        async with store.transaction() as transaction:
            await transaction.knowledge.swap([draft("a", 2, "word changed"), draft("b", 2, "word b")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()

    assert await texts(store) == {"docs/a": "word a"}


async def test_no_reader_ever_sees_a_mixture_or_none(store: Store) -> None:
    """One document goes from ten chunks to three and back while others look; now and then postings are packed."""
    versions = [[f"word version{v} chunk{n}" for n in range(10 if v % 2 else 3)] for v in range(40)]
    await swap(store, draft("a", 1, *versions[0]))
    done = asyncio.Event()

    async def look() -> set[str]:
        seen: set[str] = set()
        while not done.is_set():
            async with store.snapshot() as snapshot:
                document = await snapshot.knowledge.document("docs/a")
                assert document is not None
                version = document.text.split()[1]
                whole = [f"word {version} chunk{n}" for n in range(10 if int(version[7:]) % 2 else 3)]
                assert [c.text for c in document.chunks] == whole
                hits = await snapshot.knowledge.search(query_terms("word"), vector("word"), 50, Filter())
                assert sorted(p.text for p in hits) == sorted(whole)
                seen.add(version)
        return seen

    async def change() -> None:
        for v, chunks in enumerate(versions[1:], start=2):
            await swap(store, draft("a", v, *chunks))
            if v % 10 == 0:
                await store.compact()
        done.set()

    first, second, _ = await asyncio.gather(look(), look(), change())

    assert len(first | second) > 1, "the readers saw the document change"


async def test_history_shows_what_each_token_saw(store: Store) -> None:
    """Random changes, applied in order while ends overtake them: every earlier view can be had again, exactly."""
    rng = random.Random(11)
    names = ["a", "b", "c", "d"]
    stream: list[tuple[int, str, str | None]] = []
    for at in range(1, 90):
        stream.append((at, rng.choice(names), None if rng.random() < 0.35 else f"word text{at}\nword more{at % 3}"))
    main, early = 0, 0
    views: list[tuple[AsOf, dict[str, str]]] = []
    while main < len(stream):
        if rng.random() < 0.5 and early < len(stream):
            early = min(len(stream), max(early, main) + rng.randrange(1, 6))
            ends = [removal(name, at) for at, name, text in stream[main:early] if text is None]
            if ends:
                await remove(store, *ends, overtaking=True)
        else:
            at, name, text = stream[main]
            if text is None:
                await remove(store, removal(name, at))
            else:
                await swap(store, draft(name, at, *text.split("\n")))
            main += 1
        now = await texts(store)
        views.append((token({KNOWLEDGE: main, KNOWLEDGE + OVERTAKING: max(main, early)}), now))

    for at, seen in views:
        assert await texts(store, at) == seen
    final: dict[str, str] = {}
    for _, name, text in stream:
        final.pop(f"docs/{name}", None)
        final |= {f"docs/{name}": text} if text is not None else {}
    assert await texts(store) == final


async def test_history_by_time_shows_what_was_committed_by_then(store: Store) -> None:
    await swap(store, draft("a", 10, "word a1"), draft("b", 11, "word b1"))
    await swap(store, draft("a", 20, "word a2", "word more"))
    await remove(store, removal("a", 30), overtaking=True)
    await swap(store, draft("a", 40, "word a4"))
    await remove(store, removal("b", 50))

    expected = {
        9.5: {},
        10: {"docs/a": "word a1"},
        19.9: {"docs/a": "word a1", "docs/b": "word b1"},
        20: {"docs/a": "word a2\nword more", "docs/b": "word b1"},
        30: {"docs/b": "word b1"},
        45: {"docs/a": "word a4", "docs/b": "word b1"},
        50: {"docs/a": "word a4"},
        99: {"docs/a": "word a4"},
    }
    for at, seen in expected.items():
        assert await texts(store, AsOf(time=seconds(at))) == seen, at


async def test_a_search_in_the_past_finds_and_scores_as_it_did_then(store: Store) -> None:
    rng = random.Random(3)
    words = "bag cabin flight fee refund seat meal crew gate".split()
    views: list[tuple[AsOf, str, list[tuple[str, float]]]] = []
    for at in range(1, 60):
        name = f"d{rng.randrange(12)}"
        if rng.random() < 0.2:
            await remove(store, removal(name, at))
        else:
            await swap(store, draft(name, at, *(" ".join(rng.choices(words, k=8)) for _ in range(rng.randrange(1, 4)))))
        if at % 9 == 0:
            query = " ".join(rng.sample(words, 2))
            views.append((token({KNOWLEDGE: at}), query, ranked(await search(store, query, k=20))))

    for at, query, then in views:
        now = ranked(await search(store, query, k=20, at=at))
        assert [c for c, _ in now] == [c for c, _ in then]
        assert [s for _, s in now] == pytest.approx([s for _, s in then])


async def test_a_search_is_limited_to_its_filter(store: Store) -> None:
    await swap(
        store,
        draft("bags/cabin.md", 1, "word bag"),
        draft("bags/hold.md", 1, "word bag bag"),
        draft("fees.md", 1, "word bag fee"),
        draft("bags/x", 1, "word bag", source="other"),
    )

    async def found(where: Filter, at: AsOf) -> set[str]:
        return {p.document for p in await search(store, "bag", where=where, at=at)}

    for at in (AsOf(), AsOf(time=seconds(1))):
        assert await found(Filter(source="docs"), at) == {"docs/bags/cabin.md", "docs/bags/hold.md", "docs/fees.md"}
        assert await found(Filter(document_prefix="docs/bags/"), at) == {"docs/bags/cabin.md", "docs/bags/hold.md"}
        assert await found(Filter("other", "docs/"), at) == set()
        assert await found(Filter(document_prefix="docs/%"), at) == set(), "a prefix is text, not a pattern"
    assert len(await search(store, "bag", k=2)) == 2


async def test_a_filter_reaches_behind_the_best_candidates(store: Store) -> None:
    await swap(store, *(draft(f"many{n}", 1, "bag bag bag bag") for n in range(120)))
    await swap(store, draft("few", 1, "a bag among very many other things that are no luggage", source="other"))

    async with store.snapshot() as snapshot:
        hits = await snapshot.knowledge.search(query_terms("bag"), None, 5, Filter(source="other"))

    assert [p.document for p in hits] == ["other/few"]


async def test_packed_postings_find_the_same(fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swaps under concurrent packing, and merging in small parts, end in the same hits and scores as without any."""
    monkeypatch.setattr(compact, "PACK_AT", 5)
    monkeypatch.setattr(compact, "PART", 3)
    rng = random.Random(8)
    words = "bag cabin flight fee refund seat meal crew gate lounge visa child pet".split()
    steps: list[tuple[int, str, list[str] | None]] = []
    for at in range(1, 260):
        chunks = [" ".join(rng.choices(words, k=rng.randrange(3, 12))) for _ in range(rng.randrange(1, 4))]
        steps.append((at, f"d{rng.randrange(40)}", None if rng.random() < 0.25 else chunks))

    async def play(store: Store) -> None:
        for at, name, chunks in steps:
            if chunks is None:
                await remove(store, removal(name, at))
            else:
                await swap(store, draft(name, at, *chunks))

    async def pack(store: Store, until: asyncio.Task[None]) -> None:
        while not until.done():
            await store.compact()
            await asyncio.sleep(0)

    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn) as packed, new_store(fresh_database) as plain:
        playing = asyncio.create_task(play(packed))
        await asyncio.gather(playing, pack(packed, playing), play(plain))
        await packed.compact()
        assert await number(dsn, b"select count(*) from lexical_postings") >= len(words), "something was packed"
        assert await number(dsn, b"select count(*) from lexical_recent") < 5
        for query in [*words, "bag fee", "child pet lounge", "gate gate crew", "nothing of this"]:
            for where in (Filter(), Filter(document_prefix="docs/d1")):
                one = ranked(await search(packed, query, k=30, where=where))
                other = ranked(await search(plain, query, k=30, where=where))
                assert [s for _, s in one] == pytest.approx([s for _, s in other])
                assert dict(one) == pytest.approx(dict(other))
        assert await texts(packed) == await texts(plain)


async def test_the_index_finds_what_looking_at_every_vector_finds(
    fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = await fresh_database()
    await migrate(dsn)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        name = connection.info.dbname
        await connection.execute(f'alter database "{name}" set enable_seqscan = off'.encode())
    async with open_store(dsn) as store:
        queries = [f"question {n}" for n in range(20)]

        async def same_by_index() -> None:
            exact = [ranked(await nearest(store, q)) for q in queries]
            with monkeypatch.context() as patched:
                patched.setattr(vector_index, "EXACT_CHUNKS", 0)
                indexed = [ranked(await nearest(store, q)) for q in queries]
            assert [[c for c, _ in r] for r in indexed] == [[c for c, _ in r] for r in exact]
            for one, other in zip(indexed, exact, strict=True):
                assert [s for _, s in one] == pytest.approx([s for _, s in other], abs=1e-4)

        # given vectors that are in the index, vectors that came since, and some of both that ended
        await swap(store, *(draft(f"d{n}", n + 1, f"text number {n}") for n in range(40)))
        await store.compact()
        assert await number(dsn, IN_INDEX) == 0, "so few are all looked at"
        monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 30)
        await store.compact()
        assert await number(dsn, IN_INDEX) == 40
        await same_by_index()
        await swap(store, *(draft(f"d{n}", n + 1, f"text number {n}") for n in range(30, 60)))
        await remove(store, *(removal(f"d{n}", 100) for n in range(0, 60, 7)))
        await same_by_index()
        await store.compact()
        assert await number(dsn, IN_INDEX) == await number(dsn, b"select count(*) from chunk_vectors where open")
        await same_by_index()

    used = b"select idx_scan from pg_stat_user_indexes where indexrelname = 'chunk_vectors_present_16'"
    assert await number(dsn, used) >= len(queries), "the index was used"


IN_INDEX = b"select count(*) from chunk_vectors where open and indexed"


async def nearest(store: Store, query: str) -> Sequence[Passage]:
    async with store.snapshot() as snapshot:
        return await snapshot.knowledge.search(query_terms(""), vector(query), 10, Filter())


async def test_vectors_that_were_made_are_found_by_their_text(store: Store) -> None:
    made = draft("a", 1, "one text", "another text")
    await swap(store, made)
    await remove(store, removal("a", 2))

    found = await store.work.vectors([c.text_hash for c in made.chunks] + [b"unknown"])

    assert set(found) == {c.text_hash for c in made.chunks}
    for chunk in made.chunks:
        assert found[chunk.text_hash] == pytest.approx(chunk.vector, abs=1e-3)
    assert await store.work.vectors([]) == {}


async def test_purging_forgets_what_ended_before_and_nothing_else(store: Store) -> None:
    await swap(store, draft("a", 10, "word a1"), draft("b", 10, "word b1"), draft("c", 10, "word c1"))
    await swap(store, draft("a", 20, "word a2"))
    await remove(store, removal("b", 30))

    assert await store.purge(seconds(15)) == 0
    assert await texts(store, AsOf(time=seconds(15))) == {
        "docs/a": "word a1", "docs/b": "word b1", "docs/c": "word c1"
    }  # fmt: skip
    assert await store.purge(seconds(25)) == 1
    for past in (AsOf(time=seconds(15)), AsOf(token=heads({stamp(15).source: stamp(15).position}))):
        with pytest.raises(Forgotten, match="history"):  # what is left of it would be half the truth
            await texts(store, past)
    assert await texts(store, AsOf(time=seconds(22))) == {
        "docs/a": "word a2", "docs/b": "word b1", "docs/c": "word c1"
    }  # fmt: skip
    assert await store.purge(seconds(99)) == 1
    await store.compact()
    assert await texts(store) == {"docs/a": "word a2", "docs/c": "word c1"}
    assert await store.purge(seconds(99)) == 0


async def test_what_is_made_anew_takes_the_place_of_the_very_same_change_and_of_no_other(store: Store) -> None:
    await swap(
        store, draft("a", 5, "word old"), draft("b", 6, "word b"), draft("c", 7, "word c"), draft("d", 8, "word d")
    )
    await swap(store, draft("b", 9, "word newer"))
    await remove(store, removal("c", 9))
    await remove(store, removal("d", 9), overtaking=True)

    again = [
        draft(name, at, "word anew", "and more") for name, at in (("a", 5), ("b", 6), ("c", 7), ("d", 8), ("e", 1))
    ]
    async with store.transaction() as transaction:
        renewed = await transaction.knowledge.renew(again)
        adopted = await transaction.knowledge.adopt([replace(d, made="later") for d in again])

    assert renewed == adopted == ["docs/a"]
    assert await texts(store) == {"docs/a": "word anew\nand more", "docs/b": "word newer"}
    async with store.snapshot() as snapshot:
        (found,) = await snapshot.audit.held(["docs/a"])
        words = await snapshot.audit.findable(lambda _: None)
        assert (found.made, found.stamp, found.faults) == ("later", stamp(5), ())
        assert (words.amiss, words.strays, words.corpus, await snapshot.audit.strays()) == ([], [], None, [])


async def test_what_is_made_anew_is_found_by_its_new_words_only_also_when_packed(
    fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "PACK_AT", 2)
    monkeypatch.setattr(compact, "PART", 2)
    async with new_store(fresh_database) as store:
        await swap(store, *(draft(f"{n}", n, f"word number {n}") for n in range(1, 9)))
        await store.compact()
        async with store.transaction() as transaction:
            await transaction.knowledge.renew([draft(f"{n}", n, f"term number {n}") for n in range(1, 5)])
        for _ in ("unpacked", "packed"):
            assert {p.document for p in await search(store, "word", k=20) if "word" in p.text} == {
                f"docs/{n}" for n in range(5, 9)
            }
            async with store.snapshot() as snapshot:
                words = await snapshot.audit.findable(lambda _: None)
            assert (words.chunks, words.amiss, words.strays, words.corpus) == (8, [], [], None)
            await store.compact()


async def test_the_stock_tells_what_made_each_document(store: Store) -> None:
    await store.keep_chains({"one": [{"name": "parse"}], "two": []})
    await store.keep_chains({"one": ["never taken over"]})
    made = [replace(draft(f"{n:02}", n, f"word {n}"), made="one", layout=b"form") for n in range(1, 8)]
    await swap(store, *made, draft("old", 9, "word old"))
    await remove(store, removal("01", 20))

    async with store.snapshot() as snapshot:
        stock = snapshot.stock
        assert await stock.made() == [MadeBy("docs", "docs", "", 1), MadeBy("docs", "docs", "one", 6)]
        assert await stock.chains() == {"one": [{"name": "parse"}], "two": []}
        first = await stock.of("docs", "one", "", 4)
        rest = await stock.of("docs", "one", first[-1][0], 4)
        (stored,) = await stock.stored(["docs/03", "docs/01"])
    assert [*first, *rest] == [(f"docs/{n:02}", stamp(n)) for n in range(2, 8)]
    assert (stored.id, stored.stamp, stored.text, stored.failed) == ("docs/03", stamp(3), "word 3", False)
    assert (stored.made, stored.layout) == ("one", b"form")


async def test_a_transaction_that_fails_spoils_nothing_for_those_behind_it(store: Store) -> None:
    """psycopg's own rollback lets go of every prepared statement of its session."""

    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.knowledge.swap([draft("never", 9, "word never")])
            raise RuntimeError

    for n in range(1, 5):
        await swap(store, draft(f"{n}", n, f"word {n}"))
        await store.progress()
    for _ in range(8):
        with pytest.raises(RuntimeError):
            await fail()
        await store.progress()

    for n in range(5, 10):
        await swap(store, draft(f"{n}", n, f"word {n}"))

    assert await texts(store) == {f"docs/{n}": f"word {n}" for n in range(1, 10)}


async def test_documents_are_listed_a_page_at_a_time_by_what_is_asked(store: Store) -> None:
    names = ["a/1.md", "a/2.md", "a0.md", "b/Käse_1.md", "b/%.md"]
    await swap(store, *(draft(name, n, "one word") for n, name in enumerate(names, 1)))
    await swap(store, draft("bad.md", 9, failure=FAILURE), draft("x.md", 10, "one word", source="other"))
    before = token({KNOWLEDGE: 10})
    await remove(store, removal("a/1.md", 11))

    async def listed(which: Listing, after: str = "", limit: int = 100, at: AsOf = PRESENT) -> list[str]:
        async with store.snapshot(at) as snapshot:
            return [info.id for info in await snapshot.knowledge.listed(which, after, limit)]

    every = ["docs/a/2.md", "docs/a0.md", "docs/b/%.md", "docs/b/Käse_1.md", "docs/bad.md", "other/x.md"]
    assert await listed(Listing()) == every
    assert await listed(Listing(), after="docs/a0.md", limit=2) == every[2:4]
    assert await listed(Listing(source="other")) == ["other/x.md"]
    assert await listed(Listing(failed=True)) == ["docs/bad.md"]
    assert await listed(Listing(source="docs", failed=False)) == every[:4]
    assert await listed(Listing(text="KÄSE_")) == ["docs/b/Käse_1.md"]
    assert await listed(Listing(text="%")) == ["docs/b/%.md"]
    assert await listed(Listing(prefix="docs/a")) == every[:2]
    assert await listed(Listing(prefix="docs/b/", text="1")) == ["docs/b/Käse_1.md"]
    assert await listed(Listing(ids=("other/x.md", "docs/a/1.md", "docs/a0.md"))) == ["docs/a0.md", "other/x.md"]
    assert await listed(Listing(prefix="docs/a/"), at=before) == ["docs/a/1.md", "docs/a/2.md"]

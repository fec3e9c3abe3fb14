"""What a store keeps beside documents and profiles: progress, dead letters, conversations, who may use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio

from headrace.change import Position
from headrace.errors import BadInput, ConfigError, NotFound, StoreError
from headrace.stores import Store
from headrace.stores.conversations import Turn
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.migrate import migrate
from headrace.stores.values import Failure
from tests.contract.stored import FAILURE, applied, draft, new_store, open_store, seconds, stamp, swap, texts
from tests.servers import FreshDatabases


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database) as made:
        yield made


# ---- progress -------------------------------------------------------------------------------------------------------


async def test_progress_stands_with_its_effects(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.knowledge.swap([draft("a", 3, "word a")])
        await transaction.progress(applied("knowledge", 2, 3))

    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.progress(applied("knowledge", 3, 4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await store.progress() == [applied("knowledge", 2, 3)]
    async with store.snapshot() as snapshot:
        assert await snapshot.progress() == [applied("knowledge", 2, 3)]


async def test_progress_never_goes_back(store: Store) -> None:
    steps = [applied("knowledge", 5, 7), applied("knowledge", 4, 6), applied("profiles", 1, 2)]
    within = replace(applied("knowledge", 5, 9), number=5)
    for step in [*steps, within]:
        async with store.transaction() as transaction:
            await transaction.progress(step)

    found = {(a.operator, a.source): a for a in await store.progress()}

    assert found == {("knowledge", "docs"): within, ("profiles", "docs"): applied("profiles", 1, 2)}


async def test_a_rewind_lets_one_operator_begin_again(store: Store) -> None:
    for step in (applied("knowledge", 5, 7), applied("profiles", 5, 7), applied("knowledge", 9, 9, "other")):
        async with store.transaction() as transaction:
            await transaction.progress(step)

    await store.rewind("knowledge", "docs")

    numbers = {(a.operator, a.source): a.number for a in await store.progress()}
    assert numbers == {("knowledge", "docs"): 0, ("profiles", "docs"): 5, ("knowledge", "other"): 9}


async def test_a_snapshot_stays_at_its_state(store: Store) -> None:
    await swap(store, draft("a", 1, "word a"))
    async with store.snapshot() as snapshot:
        assert (await snapshot.progress()) == []
        await swap(store, draft("a", 2, "word changed"))
        async with store.transaction() as transaction:
            await transaction.progress(applied("knowledge", 1, 2))
        document = await snapshot.knowledge.document("docs/a")

        assert document is not None
        assert document.text == "word a"
        assert await snapshot.progress() == []
    assert await texts(store) == {"docs/a": "word changed"}


# ---- dead letters ---------------------------------------------------------------------------------------------------


def letter(key: str, at: int, *, operator: str = "knowledge", got: str = "a picture") -> DeadLetterDraft:
    failure = Failure(FAILURE.step, FAILURE.expected, got, FAILURE.remedy)
    return DeadLetterDraft(operator, "docs", key, stamp(at), failure, b"\0change")


async def put(store: Store, *letters: DeadLetterDraft) -> None:
    async with store.transaction() as transaction:
        await transaction.dead_letters.put(letters)


async def settle(store: Store, *keys: str, before: int, operator: str = "knowledge") -> None:
    async with store.transaction() as transaction:
        await transaction.dead_letters.settle(operator, [("docs", k) for k in keys], Position(before))


async def test_a_dead_letter_tells_what_failed_where(store: Store) -> None:
    await put(store, letter("a", 3), letter("b", 4))

    newest, oldest = await store.letters()

    assert (newest.key, oldest.key) == ("b", "a")
    assert (oldest.operator, oldest.source, oldest.topic) == ("knowledge", "docs", "docs")
    assert (oldest.stamp, oldest.failure) == (stamp(3), FAILURE)
    assert (oldest.attempts, oldest.resolved_at) == (1, None)
    assert await store.letters(id=oldest.id) == [replace(oldest, change=b"\0change")]
    assert await store.letters(limit=1) == [newest]
    assert await store.letters(id=-1) == []


async def test_a_list_of_letters_has_the_inputs_of_capture_and_no_documents(store: Store) -> None:
    """A change may be a whole document: a list of a thousand would be gigabytes."""
    await put(store, letter("document", 3), letter("record", 4, operator="capture"))

    assert {x.key: x.change for x in await store.letters()} == {"document": None, "record": b"\0change"}


async def test_a_second_failure_is_another_attempt_of_the_same_letter(store: Store) -> None:
    await put(store, letter("a", 3))
    await put(store, letter("a", 3, got="still a picture"))
    await put(store, letter("a", 5, got="a film"))
    await put(store, letter("a", 4, got="an older one, late"))

    (only,) = await store.letters()

    assert (only.attempts, only.stamp, only.failure.got) == (3, stamp(5), "a film")


async def test_a_newer_change_settles_and_an_older_one_does_not(store: Store) -> None:
    await put(store, letter("a", 3), letter("b", 3), letter("a", 3, operator="profiles"))

    await settle(store, "a", "nobody", before=2)
    assert len(await store.letters()) == 3
    await settle(store, "a", before=3)

    assert {(x.operator, x.key) for x in await store.letters()} == {("knowledge", "b"), ("profiles", "a")}
    everything = await store.letters(open_only=False)
    assert [x.resolved_at is not None for x in sorted(everything, key=lambda x: (x.operator, x.key))] == [
        True, False, False
    ]  # fmt: skip
    await put(store, letter("a", 9))
    again = next(x for x in await store.letters() if (x.operator, x.key) == ("knowledge", "a"))
    assert (again.attempts, again.stamp) == (1, stamp(9)), "a new letter"


async def test_letters_of_an_earlier_process_are_settled_too(fresh_database: FreshDatabases) -> None:
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn) as store:
        await put(store, letter("a", 3))

    async with open_store(dsn) as store:
        await settle(store, "a", before=4)

        assert await store.letters() == []


async def test_settled_letters_are_purged_and_open_ones_stay(store: Store) -> None:
    await put(store, letter("a", 3), letter("b", 3))
    await settle(store, "a", before=3)
    (_, settled) = sorted(await store.letters(open_only=False), key=lambda x: x.resolved_at or 0)
    assert settled.resolved_at is not None

    assert await store.purge(settled.resolved_at) == 0
    assert await store.purge(settled.resolved_at + 1) == 1

    assert [x.key for x in await store.letters(open_only=False)] == ["b"]


# ---- conversations --------------------------------------------------------------------------------------------------


def said(n: int) -> Turn:
    return Turn("user" if n % 2 else "assistant", f"turn {n} – ü", {"document": f"docs/{n}"}, seconds(n))


async def test_a_conversation_is_read_by_who_began_it(store: Store) -> None:
    await store.save_turns("c1", "email:ada@x", [said(1), said(2)])
    await store.save_turns("c1", "email:ada@x", [said(3), said(4)])
    await store.save_turns("c2", None, [said(7)])

    async with store.snapshot() as snapshot:
        turns = snapshot.conversations.turns
        assert await turns("c1", "email:ada@x", 10) == [said(1), said(2), said(3), said(4)]
        assert await turns("c1", "email:ada@x", 3) == [said(2), said(3), said(4)], "the last ones, oldest first"
        assert await turns("c2", None, 10) == [said(7)]
        assert await turns("nothing yet", "email:ada@x", 10) == []
        for stranger in ("email:bob@x", None):
            with pytest.raises(NotFound):
                await turns("c1", stranger, 10)
        with pytest.raises(NotFound):
            await turns("c2", "email:ada@x", 10)


# ---- the store itself -----------------------------------------------------------------------------------------------


async def test_one_headrace_works_on_a_store_at_a_time(fresh_database: FreshDatabases) -> None:
    dsn = await fresh_database()
    await migrate(dsn)

    async with open_store(dsn):
        with pytest.raises(StoreError, match="no other Headrace"):
            await opened(dsn)
    await opened(dsn)


async def test_the_lock_of_one_that_was_just_killed_is_waited_for(fresh_database: FreshDatabases) -> None:
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn), await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
        held = await (await other.execute("select objid, classid from pg_locks where locktype = 'advisory'")).fetchone()
    assert held is not None
    low, high = held
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as killed:
        await killed.execute("select pg_advisory_lock(%s)", ((high << 32) | low,))
        opening = asyncio.create_task(opened(dsn))
        await asyncio.sleep(0.3)
        assert not opening.done()
    await opening


async def opened(dsn: str) -> None:
    async with open_store(dsn):
        pass


async def test_vectors_of_another_model_are_not_mixed(fresh_database: FreshDatabases) -> None:
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn, model="one"):
        pass

    async def other() -> None:
        async with open_store(dsn, model="two"):
            pass

    with pytest.raises(ConfigError, match="one"):
        await other()
    async with open_store(dsn, model="one"):
        pass


async def test_what_the_database_refuses_is_the_input_s_fault(store: Store) -> None:
    with pytest.raises(BadInput):
        await swap(store, draft("a", 1, "word with a NUL \0 in it"))

    assert await texts(store) == {}
    await swap(store, draft("a", 1, "word"))
    assert await texts(store) == {"docs/a": "word"}


async def test_a_store_that_is_closed_says_so(fresh_database: FreshDatabases) -> None:
    async with new_store(fresh_database) as store:
        pass

    for use in (store.progress, store.counts, store.letters, store.compact):
        with pytest.raises(StoreError):
            await use()
    with pytest.raises(StoreError):
        await texts(store)
    with pytest.raises(StoreError):
        await swap(store, draft("a", 1, "word"))
    with pytest.raises(StoreError):
        await store.save_turns("c", None, [said(1)])
    with pytest.raises(StoreError):
        await store.purge(1)
    with pytest.raises(StoreError):
        await store.work.vectors([b"x"])


async def test_counts_tell_what_is_there(store: Store) -> None:
    await swap(store, draft("a", 1, "word"), draft("b", 1, failure=FAILURE), draft("c", 1, "word"))
    await swap(store, draft("c", 2, "word again"))

    ready, failed, people, version, size = await store.counts()

    assert (ready, failed, people) == (2, 1, 0)
    assert version.startswith("18")
    assert size > 1_000_000

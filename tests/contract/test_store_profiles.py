"""What a store keeps of profiles: records unified by what they share, facts, and exact history of both."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest
import pytest_asyncio

from headrace.change import Row
from headrace.stores import AsOf, Store
from headrace.stores.postgres.components import Record, unify
from headrace.stores.profiles import Aggregate, Cleared, FactDraft, FactRule, Profile, ProfileChange, RecordDraft
from headrace.stores.values import JSON
from tests.contract.stored import new_store, profile, profiles, seconds, stamp, token
from tests.servers import FreshDatabases

USERS, CARDS, TRIPS = "air.public.users", "air.public.cards", "air.public.trips"
RULE = FactRule(
    TRIPS,
    "trip",
    2,
    (
        Aggregate("trips", "count", "*"),
        Aggregate("rated", "count", "rating"),
        Aggregate("spent", "sum", "price"),
        Aggregate("cheapest", "min", "price"),
        Aggregate("dearest", "max", "price"),
        Aggregate("mean", "avg", "price"),
        Aggregate("first", "min", "day"),
        Aggregate("last", "max", "day"),
        Aggregate("worst", "min", "rating"),
        Aggregate("best", "max", "rating"),
    ),
)


@pytest_asyncio.fixture
async def store(fresh_database: FreshDatabases) -> AsyncGenerator[Store]:
    async with new_store(fresh_database, rules=[RULE]) as made:
        yield made


def record(id: str, at: int, *identifiers: str, topic: str = USERS, source: str = "air", **fields: JSON) -> RecordDraft:
    return RecordDraft(id, topic, stamp(at, source), tuple(sorted(identifiers)), fields)


def gone(id: str, at: int, topic: str = USERS) -> RecordDraft:
    return RecordDraft(id, topic, stamp(at, "air"), (), None)


def trip(n: int, at: int, owner: str, order: JSON = None, **fields: JSON) -> FactDraft:
    key: Row = (n,)
    owners = (owner,)
    return FactDraft(f"air/public.trips/{n}", TRIPS, key, stamp(at, "air"), owners, order, at, fields, f"trip {n}")


def no_trip(n: int, at: int) -> FactDraft:
    return FactDraft(f"air/public.trips/{n}", TRIPS, (n,), stamp(at, "air"), (), None, None, None, "")


async def apply(store: Store, *changes: ProfileChange) -> None:
    async with store.transaction() as transaction:
        await transaction.profiles.apply(changes)


def shape(found: Mapping[str, Profile]) -> list[tuple[str, Sequence[str], Sequence[str], object]]:
    return [(p.id, p.identifiers, p.records, dict(p.fields)) for p in found.values()]


async def test_records_that_share_an_identifier_are_one_profile(store: Store) -> None:
    await apply(store, record("u1", 1, "email:a@x", "user:1", name="Ada", city=None))
    await apply(store, record("c1", 2, "email:a@x", "card:7", topic=CARDS, name=None, city="Paris"))

    found = await profiles(store)

    (only,) = found.values()
    assert only.identifiers == ("card:7", "email:a@x", "user:1")
    assert only.records == ("c1", "u1")
    assert only.fields == {"city": "Paris", "name": "Ada"}
    assert only.stamp == stamp(2, "air")
    for identifier in (*only.identifiers, only.id):
        assert await profile(store, identifier) == only
    assert await profile(store, "email:nobody@x") is None


async def test_a_bridge_merges_two_profiles_and_its_end_splits_them(store: Store) -> None:
    await apply(store, record("u1", 1, "user:1", name="Ada"), record("u2", 2, "user:2", name="Bob"))
    apart = await profiles(store)

    await apply(store, record("z", 3, "user:1", "user:2"))
    joined = await profiles(store)
    await apply(store, gone("z", 4))
    again = await profiles(store)

    assert len(apart) == len(again) == 2
    assert len(joined) == 1
    assert shape(again) == shape(apart)
    assert shape(await profiles(store, token({"profiles": 2}, "air"))) == shape(apart)
    assert shape(await profiles(store, token({"profiles": 3}, "air"))) == shape(joined)
    assert shape(await profiles(store, AsOf(time=seconds(3.5)))) == shape(joined)
    assert await profiles(store, AsOf(time=seconds(0))) == {}
    old = await profile(store, "user:2", token({"profiles": 3}, "air"))
    assert old is not None
    assert old.id in joined


async def test_what_is_not_newer_changes_nothing(store: Store) -> None:
    await apply(store, record("u1", 5, "user:1", name="new"), trip(1, 5, "user:1", price="5"))
    before = await profiles(store)

    await apply(store, record("u1", 4, "user:9", name="old"), trip(1, 4, "user:1", price="4"), no_trip(1, 4))
    await apply(store, record("u1", 5, "user:1", name="same"), gone("u1", 3), Cleared(USERS, stamp(4, "air")))

    assert await profiles(store) == before
    await apply(store, gone("u1", 6), no_trip(1, 6))
    await apply(store, record("u1", 5, "user:1", name="late"), trip(1, 5, "user:1"))
    assert await profiles(store) == {}


async def test_a_truncate_ends_its_records_or_facts_and_no_others(store: Store) -> None:
    await apply(
        store,
        record("u1", 1, "user:1", name="Ada"),
        record("c1", 1, "user:1", topic=CARDS, city="Paris"),
        record("u2", 9, "user:2", name="Bob"),
        trip(1, 1, "user:1"),
        trip(2, 9, "user:1"),
    )

    await apply(store, Cleared(USERS, stamp(5, "air")), Cleared(TRIPS, stamp(6, "air")))

    found = await profiles(store)
    assert {p.records: dict(p.fields) for p in found.values()} == {
        ("c1",): {"city": "Paris"},
        ("u2",): {"name": "Bob"},
    }
    ada = await profile(store, "user:1")
    assert ada is not None
    assert [f.key for f in ada.facts] == ["2"]
    await apply(store, record("u1", 7, "user:1", name="Ada again"))
    ada = await profile(store, "user:1")
    assert ada is not None
    assert ada.fields == {"city": "Paris", "name": "Ada again"}


@pytest.mark.parametrize("seed", range(3))
async def test_profiles_equal_a_fresh_build_after_any_changes_and_so_does_their_history(
    store: Store, seed: int
) -> None:
    rng = random.Random(seed)
    identifiers = [f"id:{n}" for n in range(9)]
    live: dict[str, RecordDraft] = {}
    views: list[tuple[int, object]] = []
    at = 0
    for _ in range(60):
        batch: list[ProfileChange] = []
        for _ in range(rng.randrange(1, 4)):
            at += 1
            id = f"r{rng.randrange(8)}"
            if rng.random() < 0.05:
                batch.append(Cleared(USERS, stamp(at, "air")))
                live.clear()
            elif rng.random() < 0.3:
                batch.append(gone(id, at))
                live.pop(id, None)
            else:
                name = rng.choice([None, "Ada", "Bob", "Eve"])
                live[id] = record(id, at, *rng.sample(identifiers, rng.randrange(0, 3)), name=name, n=at)
                batch.append(live[id])
        await apply(store, *batch)
        fresh = unify(Record(d.id, d.topic, d.stamp, d.identifiers, d.fields, None) for d in live.values())
        seen = shape(await profiles(store))
        assert seen == [(p.id, p.identifiers, p.records, dict(p.fields)) for p in fresh]
        for p in fresh:
            for identifier in p.identifiers:
                found = await profile(store, identifier)
                assert found is not None
                assert found.id == p.id
        views.append((at, seen))

    for then, seen in views:
        assert shape(await profiles(store, token({"profiles": then}, "air"))) == seen
        assert shape(await profiles(store, AsOf(time=seconds(then)))) == seen


async def test_a_profile_shows_the_newest_facts_and_sums_over_all(store: Store) -> None:
    await apply(store, record("u1", 1, "user:1"), record("u2", 1, "user:2"))
    await apply(
        store,
        trip(1, 2, "user:1", "2024-05-01", price="9.50", day="2024-05-01", rating=3),
        trip(2, 3, "user:1", "2024-05-03", price="100.25", day="2024-05-03", rating=None),
        trip(3, 4, "user:1", "2024-05-02", price="20", day="2024-05-02", rating=10),
        trip(4, 5, "user:2", "2024-05-09", price="1", day="2024-05-09"),
    )

    ada = await profile(store, "user:1")

    assert ada is not None
    assert [(f.key, f.table, f.name, f.text) for f in ada.facts] == [
        ("2", "public.trips", "trip", "trip 2"),
        ("3", "public.trips", "trip", "trip 3"),
    ]
    assert ada.facts[0].fields == {"price": "100.25", "day": "2024-05-03", "rating": None}
    assert (ada.facts[0].stamp, ada.facts[0].time) == (stamp(3, "air"), 3)
    assert ada.aggregates == {
        "trips": 3,
        "rated": 2,
        "spent": "129.75",
        "cheapest": "9.50",
        "dearest": "100.25",
        "mean": "43.25",
        "first": "2024-05-01",
        "last": "2024-05-03",
        "worst": 3,
        "best": 10,
    }


async def test_sums_over_no_facts_are_none_and_counts_zero(store: Store) -> None:
    await apply(store, record("u1", 1, "user:1"))

    ada = await profile(store, "user:1")

    assert ada is not None
    assert ada.facts == []
    assert ada.aggregates["trips"] == 0
    assert ada.aggregates["rated"] == 0
    assert ada.aggregates["spent"] is None
    assert ada.aggregates["cheapest"] is None


async def test_facts_move_between_owners_and_their_history_stays(store: Store) -> None:
    await apply(store, record("u1", 1, "user:1"), record("u2", 1, "user:2"), trip(1, 2, "user:1", price="5"))
    await apply(store, trip(1, 3, "user:2", price="6"))
    await apply(store, no_trip(1, 4))

    async def trips(owner: str, at: int) -> list[JSON]:
        found = await profile(store, owner, token({"profiles": at}, "air"))
        assert found is not None
        assert found.aggregates["trips"] == len(found.facts)
        return [f.fields["price"] for f in found.facts]

    assert [await trips("user:1", at) for at in (1, 2, 3, 4)] == [[], ["5"], [], []]
    assert [await trips("user:2", at) for at in (1, 2, 3, 4)] == [[], [], ["6"], []]
    now = await profile(store, "user:2")
    assert now is not None
    assert now.facts == []
    await apply(store, trip(1, 5, "user:1", price="7"))
    now = await profile(store, "user:1")
    assert now is not None
    assert [f.fields["price"] for f in now.facts] == ["7"]


async def test_a_failed_record_or_fact_may_be_mended_by_a_second_try(store: Store) -> None:
    """The first try of position 5 failed and took them away; the retry of the same change brings them."""
    await apply(store, record("u1", 1, "user:1", name="Ada"), trip(1, 1, "user:1", price="1"))
    await apply(store, gone("u1", 5), no_trip(1, 5))
    assert await profiles(store) == {}

    await apply(store, record("u1", 5, "user:1", name="Ada mended"), trip(1, 5, "user:1", price="5"))

    ada = await profile(store, "user:1")
    assert ada is not None
    assert ada.fields == {"name": "Ada mended"}
    assert [f.fields["price"] for f in ada.facts] == ["5"]


async def test_purging_leaves_the_present_and_the_fences(store: Store) -> None:
    await apply(store, record("u1", 1, "user:1", name="Ada"), trip(1, 1, "user:1", price="1"))
    await apply(store, record("u1", 2, "user:1", name="Ada B"), trip(1, 2, "user:1", price="2"))
    await apply(store, gone("u1", 3))
    await apply(store, record("u1", 4, "user:1", name="Ada C"))
    before = await profiles(store)

    assert await store.purge(seconds(99)) == 3

    assert await profiles(store) == before
    await apply(store, record("u1", 3, "user:1", name="late"))
    assert await profiles(store) == before

"""Identifiers, components and what changes do to profiles."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Schema, Stamp, Value
from headrace.clock import to_us
from headrace.knowledge.rows import compile_template
from headrace.profiles.identifiers import identifier, normalise
from headrace.profiles.operator import Profiles
from headrace.profiles.rules import ChildRule, RecordRule
from headrace.stores.postgres.components import Record, profile_id, survivors, unify
from headrace.stores.profiles import Cleared, FactDraft, FactRule, RecordDraft
from headrace.stores.values import JSON
from tests.making import EPOCH, truncate

text = st.text(st.characters(codec="utf-8"), max_size=20)


# ---- identifiers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("email", "  Ada.L@Example.COM ", "email:ada.l@example.com"),
        ("work_email", "ÄDA@x", "work_email:äda@x"),
        ("phone", "+49 (170) 12-34", "phone:+491701234"),
        ("phone", "0170 1234", "phone:01701234"),
        ("phone", "none", None),
        ("user_id", " Ab  c ", "user_id:Ab c"),
        ("user_id", "ｆｕｌｌ", "user_id:full"),
        ("user_id", "   ", None),
        ("email", "", None),
    ],
)
def test_equal_identifiers_are_equal_text(kind: str, value: str, expected: str | None) -> None:
    assert identifier(kind, value) == expected


@given(st.sampled_from(["email", "phone", "user_id"]), text)
def test_normalising_twice_changes_nothing(kind: str, value: str) -> None:
    once = identifier(kind, value)

    if once is not None:
        assert normalise(once) == once
        assert once.startswith(f"{kind}:")


def test_a_client_s_identifier_is_normalised_and_an_id_is_not() -> None:
    assert normalise("email:Ada@Example.com") == "email:ada@example.com"
    assert normalise("p_0123abcd") == "p_0123abcd"
    assert normalise("email:") == "email:"


# ---- components -----------------------------------------------------------------------------------------------------

identifiers = st.lists(st.sampled_from([f"id:{n}" for n in range(8)]), max_size=3, unique=True).map(tuple)
fields = st.none() | st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 3))


def record(n: int, ids: tuple[str, ...], values: Mapping[str, JSON] | None, at: int = 0) -> Record:
    return Record(f"r{n}", "t", Stamp("s", Position(n), at), ids, values, None)


records = st.lists(st.tuples(identifiers, fields, st.integers(0, 2)), max_size=10).map(
    lambda made: [record(n, ids, values, at) for n, (ids, values, at) in enumerate(made)]
)


@given(records, st.randoms(use_true_random=False))
def test_components_are_the_same_in_any_order(made: list[Record], rng: random.Random) -> None:
    shuffled = list(made)
    rng.shuffle(shuffled)

    assert unify(shuffled) == unify(made)


@given(records)
def test_components_are_exactly_what_identifiers_connect(made: list[Record]) -> None:
    live = [r for r in made if r.fields is not None]
    profiles = unify(made)
    owner = {r: p.id for p in profiles for r in p.records}

    assert sorted(owner) == sorted(r.id for r in live), "every live record in one profile"
    assert sum(len(p.records) for p in profiles) == len(live)
    for one in live:
        for other in live:
            if set(one.identifiers) & set(other.identifiers):
                assert owner[one.id] == owner[other.id]
    for p in profiles:
        members = [r for r in live if r.id in p.records]
        reached, todo = {members[0].id}, [members[0]]
        while todo:
            ids = set(todo.pop().identifiers)
            near = [r for r in members if r.id not in reached and ids & set(r.identifiers)]
            reached |= {r.id for r in near}
            todo += near
        assert reached == set(p.records), "no two that nothing connects"
        assert p.identifiers == tuple(sorted({i for r in members for i in r.identifiers}))
        assert p.id == profile_id(min(p.records))


@given(records)
def test_taking_a_bridge_away_gives_what_was_before(made: list[Record]) -> None:
    bridge = record(99, tuple(f"id:{n}" for n in range(8)), {})
    joined = unify([*made, bridge])

    assert unify([*made, record(99, (), None)]) == unify(made)
    with_ids = [r for r in made if r.fields is not None and r.identifiers]
    assert len([p for p in joined if p.identifiers]) == 1
    assert len(next(p for p in joined if p.identifiers).records) == len(with_ids) + 1


def test_the_record_committed_last_gives_a_field_s_value() -> None:
    made = [record(1, (), {"a": 1, "b": 1}, 5), record(2, (), {"a": 2, "b": None}, 7), record(0, (), {"a": 3}, 5)]

    assert survivors(made) == {"a": 2, "b": 1}


# ---- the operator ---------------------------------------------------------------------------------------------------

USERS = Schema(
    "air", "public.users", (Column("id", "int4"), Column("email", "text"), Column("about", "jsonb")), ("id",)
)
TRIPS = Schema(
    "air",
    "public.trips",
    (Column("id", "int4"), Column("user", "int4"), Column("price", "numeric"), Column("day", "date")),
    ("id",),
)


def operator(order_by: str | None = "price") -> Profiles:
    shown = FactRule(TRIPS.topic, "trip", 3, ())
    template = compile_template(TRIPS.topic, "Trip {{ id }} on {{ day | date }}")
    return Profiles(
        {USERS.topic: RecordRule(USERS.topic, {"user": "id", "email": "email"}, {"about": "about", "mail": "email"})},
        {TRIPS.topic: ChildRule(shown, {"user": "user"}, order_by, "day", template)},
    )


def row(schema: Schema, at: int, *values: Value, op: Op = Op.CREATE) -> Change:
    after = None if op is Op.DELETE else tuple(values)
    return Change(schema, op, Position(at), EPOCH + at, at, values[:1], None, after)


async def test_a_record_has_its_identifiers_and_fields() -> None:
    change = row(USERS, 5, 7, " Ada@X ", '{"likes": ["tea"]}')

    (made,) = (await operator().prepare([change], background=False)).effects

    assert made == RecordDraft(
        "air/public.users/7",
        USERS.topic,
        change.stamp,
        ("email:ada@x", "user:7"),
        {"about": {"likes": ["tea"]}, "mail": " Ada@X "},
    )


async def test_a_missing_value_is_no_identifier() -> None:
    (made,) = (await operator().prepare([row(USERS, 5, 7, None, None)], background=False)).effects

    assert isinstance(made, RecordDraft)
    assert made.identifiers == ("user:7",)
    assert made.fields == {"about": None, "mail": None}


async def test_a_child_row_is_a_fact_with_its_time_order_and_sentence() -> None:
    change = row(TRIPS, 5, 9, 7, "12.50", "2024-05-22")

    (made,) = (await operator().prepare([change], background=False)).effects

    assert isinstance(made, FactDraft)
    assert (made.id, made.owners, made.text) == ("air/public.trips/9", ("user:7",), "Trip 9 on May 22, 2024")
    assert made.fields == {"id": 9, "user": 7, "price": "12.50", "day": "2024-05-22"}
    assert made.time == to_us(datetime(2024, 5, 22, tzinfo=UTC))


async def test_facts_are_ordered_by_exact_numbers_as_numbers() -> None:
    changes = [row(TRIPS, n, n, 7, price, "2024-05-22") for n, price in enumerate(["9.5", "100", "-1", None, "NaN"], 1)]

    made = (await operator().prepare(changes, background=False)).effects

    assert [f.order for f in made if isinstance(f, FactDraft)] == [9.5, 100, -1, None, None]


async def test_ends_are_told_as_ends() -> None:
    changes = [row(USERS, 5, 7, op=Op.DELETE), row(TRIPS, 6, 9, op=Op.DELETE), truncate(7, schema=TRIPS)]

    prepared = await operator().prepare(changes, background=False)

    assert prepared.effects == [
        RecordDraft("air/public.users/7", USERS.topic, changes[0].stamp, (), None),
        FactDraft("air/public.trips/9", TRIPS.topic, (9,), changes[1].stamp, (), None, None, None, ""),
        Cleared(TRIPS.topic, changes[2].stamp),
    ]
    assert prepared.letters == []


async def test_a_row_that_does_not_fit_ends_what_it_said_before() -> None:
    other = Schema("air", "public.users", (Column("id", "int4"), Column("mail", "text")), ("id",))

    prepared = await operator().prepare([row(other, 5, 7, "a@x"), row(TRIPS, 6, 9, 7, "1", "soon")], background=False)

    assert [(type(e), e.stamp.position) for e in prepared.effects] == [
        (RecordDraft, Position(5)),
        (FactDraft, Position(6)),
    ]
    assert all(isinstance(e, (RecordDraft, FactDraft)) and e.fields is None for e in prepared.effects)
    user, trip = prepared.letters
    assert (user.key, user.failure.expected, trip.key) == ("7", "a column email", "9")
    assert prepared.settled == []


async def test_what_a_batch_puts_right_itself_is_no_dead_letter() -> None:
    bad, good = row(TRIPS, 6, 9, 7, "1", "soon"), row(TRIPS, 7, 9, 7, "1", "2024-05-22")

    mended = await operator().prepare([bad, good], background=False)
    broken = await operator().prepare([good, bad], background=False)

    assert mended.letters == []
    assert mended.settled == [(TRIPS.topic, "9")]
    assert [x.stamp.position for x in broken.letters] == [Position(6)]
    assert len(mended.effects) == len(broken.effects) == 2

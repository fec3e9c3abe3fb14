"""The demo's airline: its database is loaded whole, and its configuration makes good texts of the rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.rows import TupleRow

from headrace import config
from headrace.change import Change, Column, Op, Position, Schema, Value
from headrace.demo.config import config_text
from headrace.demo.loader import TABLES, LoadProgress, load
from headrace.demo.personas import NOW, PERSONAS, QUESTIONS, SPOTLIGHT, Persona
from headrace.knowledge.rows import row_template
from tests.integration.airline import Connection, checksum, loaded, rows, value
from tests.servers import FreshDatabases


@pytest_asyncio.fixture
async def airline(fresh_database: FreshDatabases) -> AsyncIterator[Connection]:
    connection = await loaded(await fresh_database())
    yield connection
    await connection.close()


COUNTS = {
    "airports": 20,
    "flights": 300,
    "flight_dates": 6078,
    "users": 500,
    "payment_methods": 1486,
    "reservations": 2000,
    "reservation_flights": 5003,
    "payments": 2000,
}


async def test_all_rows_are_loaded_with_progress(fresh_database: FreshDatabases) -> None:
    heard: list[LoadProgress] = []
    async with await psycopg.AsyncConnection.connect(await fresh_database(), autocommit=True) as connection:
        assert await load(connection, heard.append)

        counted = {table: await value(connection, f"select count(*) from {table}") for table in TABLES}

    assert counted == COUNTS
    assert {step.table: step.rows for step in heard} == COUNTS
    assert [step.done for step in heard] == list(range(1, len(TABLES) + 1))


async def test_a_second_start_keeps_what_has_changed(airline: Connection) -> None:
    await airline.execute("update users set membership = 'regular' where user_id = 'mia_li_3668'")
    before = await checksum(airline)

    assert not await load(airline)

    assert await checksum(airline) == before


async def test_two_starts_at_once_load_it_once(fresh_database: FreshDatabases) -> None:
    address = await fresh_database()

    async def start() -> bool:
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            return await load(connection)

    assert sorted(await asyncio.gather(start(), start())) == [False, True]


async def test_a_load_that_is_broken_off_leaves_nothing(fresh_database: FreshDatabases) -> None:
    class PulledOut(Exception):
        pass

    def pull_out(step: LoadProgress) -> None:
        if step.table == "reservations":
            raise PulledOut

    async with await psycopg.AsyncConnection.connect(await fresh_database(), autocommit=True) as connection:
        with pytest.raises(PulledOut):
            await load(connection, pull_out)

        assert await value(connection, "select count(*) from pg_tables where schemaname = 'public'") == 0
        assert await load(connection)


async def test_every_table_has_a_key_and_every_reference_is_enforced(airline: Connection) -> None:
    without_key = await rows(
        airline,
        """select relname from pg_class c where relkind = 'r' and relnamespace = 'public'::regnamespace
           and not exists (select from pg_constraint where conrelid = c.oid and contype = 'p')""",
    )
    assert without_key == []
    for statement in (
        "delete from flight_dates where (flight_number, flight_date) = ('HAT083', '2024-05-16')",
        "update flight_dates set business_seats = -1 where flight_number = 'HAT170'",
        "update flight_dates set status = 'lost' where flight_number = 'HAT170'",
        "update flight_dates set status = 'available' where status = 'landed'",
        "insert into reservation_flights select reservation_id, 99, 'omar_anderson_1185', cabin, flight_number,"
        " flight_date, route, departs_at, arrives_at, price from reservation_flights where reservation_id = 'NO6JO3'",
    ):
        with pytest.raises(psycopg.IntegrityError):
            await airline.execute(statement.encode())


async def test_the_cabin_is_the_same_on_all_flights_of_a_reservation(airline: Connection) -> None:
    await airline.execute("update reservations set cabin = 'business' where reservation_id = 'AIXC49'")

    cabins = await rows(airline, "select cabin from reservation_flights where reservation_id = 'AIXC49'")

    assert cabins == [("business",), ("business",)]


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.user_id)
async def test_every_persona_is_real_and_flies_soon(airline: Connection, persona: Persona) -> None:
    now = NOW.replace(tzinfo=None)
    coming = await rows(
        airline,
        """select u.email from users u join reservation_flights s using (user_id)
           where u.user_id = %s and s.departs_at > %s""",
        (persona.user_id, now),
    )

    assert len(coming) >= 3
    assert set(coming) == {(persona.email,)}


async def test_the_questions_are_about_people_and_flights_that_exist(airline: Connection) -> None:
    people = {persona.user for persona in PERSONAS}
    assert {question.user for question in QUESTIONS} - {None} <= people
    for flight_number, flight_date in SPOTLIGHT:
        found = await rows(
            airline,
            "select status from flight_dates where (flight_number, flight_date) = (%s, %s)",
            (flight_number, flight_date),
        )
        assert found in ([("available",)], [("delayed",)])
        assert any(flight_number in question.text for question in QUESTIONS)


def demo_config(tmp_path: Path) -> config.Config:
    text = config_text(airline="postgresql://u@h/airline?passfile=/x y", policies="./policies", port=9)
    return config.parse(text, tmp_path, {})


def test_the_configuration_is_one_that_headrace_takes(tmp_path: Path) -> None:
    settings = demo_config(tmp_path)

    assert [source.name for source in settings.sources] == ["airline", "policies", "uploads"]
    assert settings.sources[0].url == "postgresql://u@h/airline?passfile=/x y"
    assert settings.sources[1].url == f"file://{tmp_path / 'policies'}"
    assert settings.server.port == 9
    assert [fact.name for fact in settings.profiles.facts] == ["reservation", "flight"]


async def test_every_row_has_a_text_and_a_good_one(airline: Connection, tmp_path: Path) -> None:
    settings = demo_config(tmp_path)
    texts: dict[str, str] = {}
    for entry in settings.knowledge.rows:
        texts |= await rendered(airline, entry.table, entry.text)
    for fact in settings.profiles.facts:
        assert fact.text is not None
        texts |= await rendered(airline, fact.table, fact.text)

    assert len(texts) == sum(COUNTS[t] for t in ("flights", "flight_dates", "reservations", "reservation_flights"))
    assert texts["flights HAT170"].startswith("Flight HAT170 flies from Dallas (DFW) to Los Angeles (LAX) every day.")
    assert texts["flight_dates HAT170,2024-05-22"] == (
        "Flight HAT170 from Dallas (DFW) to Los Angeles (LAX) on May 22, 2024 (2024-05-22) at 03:00 is available. "
        "Business: sold out, 0 seats left at $387. Economy: 6 seats left at $147. Basic economy: 15 seats left at $59."
    )
    assert "is delayed. It is now estimated to depart at" in texts["flight_dates HAT020,2024-05-15"]
    assert texts["reservations NO6JO3"] == (
        "Reservation NO6JO3 is booked: a one way trip from JFK to DFW in business for 1 passenger, "
        "made on May 9, 2024. It includes 2 checked bags and has travel insurance."
    )
    assert texts["reservation_flights NO6JO3,1"].startswith(
        "Flight HAT083 from New York (JFK) to Seattle (SEA) departs on May 16, 2024 at 01:00 and arrives at "
    )
    for text in texts.values():
        assert "None" not in text
        assert "  " not in text
        assert "\n" not in text
        assert text.endswith((".", "(EST)."))


async def rendered(connection: Connection, table: str, text: str) -> dict[str, str]:
    """The texts of a table's rows by table and key, from values as a change carries them."""
    name = table.rpartition(".")[2]
    columns = await rows(
        connection,
        """select a.attname, t.typname, coalesce(a.attnum = any(i.indkey), false)
           from pg_attribute a join pg_type t on t.oid = a.atttypid
           left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
           where a.attrelid = %s::regclass and a.attnum > 0 order by a.attnum""",
        (name,),
    )
    key = tuple(str(column) for column, _, is_key in columns if is_key)
    schema = Schema("airline", f"public.{name}", tuple(Column(column, kind) for column, kind, _ in columns), key)
    template = row_template(table, text)
    return {f"{name} {','.join(map(str, c.key))}": template.render(c) for c in await changes(connection, name, schema)}


async def changes(connection: Connection, name: str, schema: Schema) -> Sequence[Change]:
    selected = sql.SQL(", ").join(
        sql.Identifier(c.name) if c.type in ("int4", "bool") else sql.SQL("{}::text").format(sql.Identifier(c.name))
        for c in schema.columns
    )
    cursor = await connection.execute(sql.SQL("select {} from {}").format(selected, sql.Identifier(name)))
    return [as_change(schema, row) for row in await cursor.fetchall()]


def as_change(schema: Schema, row: TupleRow) -> Change:
    after: tuple[Value, ...] = tuple(row)
    key = tuple(after[schema.index(column)] for column in schema.key)
    return Change(schema, Op.READ, Position(1), 0, 0, key, None, after)

"""The airline desk: what it shows, what it changes, and all that it refuses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from headrace.change import parse_position
from headrace.demo.control import SimulatorControl
from headrace.demo.desk import EDITABLE, Desk
from headrace.demo.errors import AirlineAway, Refused, UnknownPlace
from headrace.demo.policies import copy_policies
from headrace.demo.routes import demo_router
from headrace.errors import HeadraceError
from tests.integration.airline import Connection, loaded, value
from tests.servers import FreshDatabases

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]
HAT170 = {"flight_number": "HAT170", "flight_date": "2024-05-22"}


@pytest_asyncio.fixture
async def address(fresh_database: FreshDatabases) -> str:
    return await fresh_database()


@pytest_asyncio.fixture
async def airline(address: str) -> AsyncIterator[Connection]:
    connection = await loaded(address)
    yield connection
    await connection.close()


@pytest.fixture
def autocommit() -> bool:
    return False


@pytest_asyncio.fixture
async def desk(airline: Connection, address: str, tmp_path: Path, autocommit: bool) -> AsyncIterator[Desk]:
    copy_policies(tmp_path / "policies")
    pool: Pool = AsyncConnectionPool(address, min_size=1, max_size=2, open=False, kwargs={"autocommit": autocommit})
    async with pool:
        yield Desk(pool, tmp_path / "policies")


async def test_tables_come_with_key_types_and_choices(desk: Desk) -> None:
    tables = {table.name: table for table in await desk.tables()}

    assert set(tables) == set(EDITABLE)
    dates = tables["flight_dates"]
    assert tuple(dates.key) == ("flight_number", "flight_date")
    columns = {column.name: column for column in dates.columns}
    assert "delayed" in columns["status"].choices
    assert (columns["business_seats"].type, columns["business_seats"].editable) == ("integer", True)
    assert not columns["flight_number"].editable
    for name, editable in EDITABLE.items():
        assert {column.name for column in tables[name].columns if column.editable} == set(editable)


async def test_every_word_of_a_search_must_occur(desk: Desk) -> None:
    found = await desk.rows("flight_dates", q="hat170 2024-05-22")

    assert found.total == 1
    assert {name: found.rows[0][name] for name in ("business_seats", "business_price", "status")} == {
        "business_seats": 0,
        "business_price": 387,
        "status": "available",
    }
    assert found.rows[0]["flight_date"] == "2024-05-22"


async def test_pages_follow_each_other(desk: Desk) -> None:
    first = await desk.rows("users", limit=3)
    second = await desk.rows("users", limit=3, offset=3)

    assert first.total == 500
    ids = [row["user_id"] for row in [*first.rows, *second.rows]]
    assert ids == sorted(set(map(str, ids)))
    assert len(ids) == 6
    assert (await desk.rows("users", limit=10**9)).total == 500


@pytest.mark.parametrize("q", ["100%", "mia_l_", "'; drop table users; --", "\\", "%", "_x_"])
async def test_a_search_means_its_characters(desk: Desk, q: str) -> None:
    assert (await desk.rows("flight_dates", q=q)).total == 0


async def test_a_change_is_committed_and_at_or_before_its_position(desk: Desk, airline: Connection) -> None:
    before = parse_position(str(await value(airline, "select pg_current_wal_insert_lsn()")))

    lsn = await desk.update("flight_dates", HAT170, {"business_seats": 4, "business_price": 401})

    assert parse_position(lsn) > before
    where = "where flight_number = 'HAT170' and flight_date = '2024-05-22'"
    assert await value(airline, f"select business_seats * 1000 + business_price from flight_dates {where}") == 4401
    flushed = await value(airline, "select pg_current_wal_flush_lsn()")
    assert parse_position(lsn) <= parse_position(str(flushed))


async def test_texts_times_booleans_and_nulls_are_taken(desk: Desk, airline: Connection) -> None:
    await desk.update("reservations", {"reservation_id": "AIXC49"}, {"insurance": True, "cabin": "economy"})
    await desk.update("flight_dates", HAT170, {"status": "delayed", "estimated_departure": "2024-05-22 04:10"})
    await desk.update("flight_dates", HAT170, {"estimated_departure": None})
    await desk.update("users", {"user_id": "mia_li_3668"}, {"name": "Mia O'Li", "membership": "silver"})

    assert await value(airline, "select insurance from reservations where reservation_id = 'AIXC49'") is True
    assert await value(airline, "select name from users where user_id = 'mia_li_3668'") == "Mia O'Li"
    where = "where flight_number = 'HAT170' and flight_date = '2024-05-22'"
    assert await value(airline, f"select estimated_departure is null from flight_dates {where}") is True


@pytest.mark.parametrize(
    ("table", "key", "values"),
    [
        pytest.param("payment_methods", {"user_id": "x"}, {"amount": 1}, id="a table that is not the desk's"),
        pytest.param("pg_authid", {"oid": 10}, {"rolname": "x"}, id="a system table"),
        pytest.param('users"; drop table users; --', {"user_id": "x"}, {"name": "x"}, id="an injection"),
        pytest.param("flight_dates", HAT170 | {"flight_date": "2031-01-01"}, {"status": "delayed"}, id="no such row"),
    ],
)
async def test_what_is_not_there_is_not_changed(
    desk: Desk, table: str, key: dict[str, object], values: dict[str, object]
) -> None:
    with pytest.raises(UnknownPlace):
        await desk.update(table, key, values)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        pytest.param(HAT170, {"flight_number": "HAT171"}, id="a column that is not editable"),
        pytest.param(HAT170, {"status = 'landed' --": "x"}, id="an injected column"),
        pytest.param(HAT170, {}, id="nothing to set"),
        pytest.param({"flight_number": "HAT170"}, {"status": "delayed"}, id="half a key"),
        pytest.param(HAT170 | {"status": "available"}, {"status": "delayed"}, id="more than the key"),
        pytest.param(HAT170, {"business_seats": -1}, id="fewer than no seats"),
        pytest.param(HAT170, {"business_seats": None}, id="on sale without a number of seats"),
        pytest.param(HAT170, {"status": "gone"}, id="an unknown status"),
        pytest.param(HAT170, {"business_price": "dear"}, id="no number"),
        pytest.param(HAT170, {"business_price": 10**30}, id="too great a number"),
        pytest.param(HAT170, {"business_price": [1]}, id="a list"),
        pytest.param(HAT170, {"estimated_departure": "soon"}, id="no time"),
        pytest.param(HAT170, {"status": "a\x00b"}, id="a NUL"),
    ],
)
async def test_what_the_airline_does_not_take_is_refused(
    desk: Desk, airline: Connection, key: dict[str, object], values: dict[str, object]
) -> None:
    state = "select md5(string_agg(f::text, ',' order by flight_number, flight_date)) from flight_dates f"
    before = await value(airline, state)

    with pytest.raises(Refused) as refused:
        await desk.update("flight_dates", key, values)

    assert refused.value.remedy
    assert await value(airline, state) == before


async def test_a_unique_value_is_refused_with_its_rule(desk: Desk) -> None:
    with pytest.raises(Refused, match="users_email_key"):
        await desk.update("users", {"user_id": "mia_li_3668"}, {"email": "noah.garcia7790@example.com"})


async def test_personas_are_as_they_are_now(desk: Desk) -> None:
    await desk.update("users", {"user_id": "mia_li_3668"}, {"membership": "regular"})

    members = {member.user: member for member in await desk.members()}

    mia = members["email:mia.li3818@example.com"]
    assert (mia.name, mia.membership) == ("Mia Li", "regular")
    assert len(members) == 4


async def test_a_database_that_is_away_is_an_error_that_says_so(address: str, tmp_path: Path) -> None:
    pool: Pool = AsyncConnectionPool(address, min_size=0, max_size=1, open=False, timeout=1)
    await pool.open()
    desk = Desk(pool, tmp_path)
    await pool.close()

    with pytest.raises(AirlineAway):
        await desk.rows("users")


@asynccontextmanager
async def client(desk: Desk, simulator: SimulatorControl) -> AsyncGenerator[httpx2.AsyncClient]:
    app = FastAPI()
    app.include_router(demo_router(desk, simulator))

    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HeadraceError)
        return JSONResponse({"step": error.step, "remedy": error.remedy}, error.status)

    app.add_exception_handler(HeadraceError, problem)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://demo") as http:
        yield http


async def test_all_of_it_over_http(desk: Desk, airline: Connection, address: str, tmp_path: Path) -> None:
    simulator = SimulatorControl(address, tmp_path / "policies", running=False)
    async with simulator, client(desk, simulator) as http:
        state = (await http.get("/demo/state")).json()
        assert state["now"] == "2024-05-15T15:00:00-05:00"
        assert {"running", "speed", "changes"} <= set(state["simulator"])
        assert set(state["personas"][0]) == {"user", "name", "membership", "about"}
        assert {"text", "why"} <= set(state["questions"][0])

        steered = (await http.post("/demo/simulator", json={"speed": 2.5})).json()
        assert (steered["speed"], steered["running"], steered["rate"]) == (2.5, False, 10.0)

        plan = (await http.get("/demo/desk")).json()
        assert {"name": "baggage.md", "title": "Checked bags"} in plan["policies"]
        assert set(plan["tables"][0]) == {"name", "key", "columns"}

        page = (await http.get("/demo/desk/rows/flight_dates", params={"q": "HAT170 2024-05-22", "limit": 5})).json()
        assert page["total"] == 1
        key = {name: page["rows"][0][name] for name in HAT170}
        changed = await http.patch("/demo/desk/rows/flight_dates", json={"key": key, "set": {"business_seats": 2}})
        assert parse_position(changed.json()["lsn"]).major > 0

        text = (await http.get("/demo/desk/policies/baggage.md")).json()["text"]
        saved = await http.put("/demo/desk/policies/baggage.md", json={"text": text.replace("50", "55")})
        assert saved.json()["saved_at"].endswith("Z")
        assert "is 55 dollars" in (await http.get("/demo/desk/policies/baggage.md")).json()["text"]


async def test_bad_requests_over_http(desk: Desk, address: str, tmp_path: Path) -> None:
    simulator = SimulatorControl(address, tmp_path / "policies")
    async with client(desk, simulator) as http:
        statuses = [
            (await http.get("/demo/desk/policies/..%2F..%2Fetc%2Fpasswd")).status_code,
            (await http.put("/demo/desk/policies/new.md", json={"text": "x"})).status_code,
            (await http.get("/demo/desk/rows/pg_authid")).status_code,
            (await http.patch("/demo/desk/rows/users", json={"key": {}, "set": {"name": "x"}})).status_code,
            (await http.patch("/demo/desk/rows/users", json={"key": {}, "set": {}, "more": 1})).status_code,
            (await http.post("/demo/simulator", json={"speed": -1})).status_code,
            (await http.post("/demo/simulator", json={"running": False})).status_code,
        ]

    assert statuses == [404, 404, 404, 422, 422, 422, 503]


@pytest.mark.parametrize("autocommit", [True, False])
async def test_a_change_can_be_waited_for_by_its_position(desk: Desk, airline: Connection) -> None:
    """What a reader of the log has seen up to the returned position includes the change."""
    await airline.execute("select pg_create_logical_replication_slot('desk', 'test_decoding')")

    lsn = await desk.update("users", {"user_id": "mia_li_3668"}, {"membership": "silver"})

    seen = await airline.execute(
        "select data from pg_logical_slot_get_changes('desk', %s::pg_lsn, null) where data like '%%mia_li%%'", (lsn,)
    )
    assert seen.rowcount == 1

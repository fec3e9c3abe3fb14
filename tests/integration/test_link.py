"""Several statements in one round trip, on a real server: values, order, errors, and what an interruption leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.link import LinkedConnection
from tests.servers import FreshDatabases


@pytest_asyncio.fixture
async def connection(fresh_database: FreshDatabases) -> AsyncIterator[LinkedConnection]:
    made = await LinkedConnection.connect(await fresh_database(None), autocommit=True)
    yield made
    await made.close()


async def test_statements_go_together_and_answer_in_order(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        made = await link.execute(b"create table t (n int primary key, v text)")
        added = [
            await link.execute(b"insert into t values (%(n)s, %(v)s) returning n", {"n": n, "v": f"{n}%"})
            for n in range(300)
        ]
        seen = await link.execute(b"select count(*), max(v) from t where v like '%%' || %(end)s", {"end": "%"})
        assert made.result is None  # nothing was waited for until here

        assert await seen.fetchone() == (300, "99%")
        assert [await a.fetchone() for a in added] == [(n,) for n in range(300)]
        assert await made.fetchall() == []


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.none() | TEXT,
    "bigint": st.none() | st.integers(-(2**63), 2**63 - 1),
    "bytea": st.none() | st.binary(),
    "text[]": st.lists(st.none() | TEXT),
    "float8": st.floats(allow_nan=False),
}


async def test_values_come_back_as_they_went(connection: LinkedConnection) -> None:
    loop = asyncio.get_running_loop()

    async def echoed(values: list[Any], binary: bool) -> tuple[Any, ...] | None:
        async with connection.linked() as link:
            columns = ", ".join(f"%(v{n})s::{type}" for n, type in enumerate(VALUES))
            args = {f"v{n}": value for n, value in enumerate(values)}
            return await (await link.execute(f"select {columns}".encode(), args, binary=binary)).fetchone()

    @settings(max_examples=100, deadline=None)
    @given(values=st.tuples(*VALUES.values()), binary=st.booleans())
    def property_holds(values: tuple[Any, ...], binary: bool) -> None:
        future = asyncio.run_coroutine_threadsafe(echoed(list(values), binary), loop)
        assert future.result(30) == values

    await asyncio.to_thread(property_holds)


async def test_the_first_error_is_told_and_what_followed_did_not_happen(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        await link.execute(b"create table t (n int primary key)")
        await link.settle()
        await link.execute(b"begin")
        await link.execute(b"insert into t values (1)")
        wrong = await link.execute(b"insert into t values (1)")
        after = await link.execute(b"insert into t values (2)")
        with pytest.raises(psycopg.errors.UniqueViolation, match="t_pkey"):
            await after.fetchall()
        with pytest.raises(psycopg.Error):
            await wrong.fetchall()
        await link.execute(b"rollback")
        assert await (await link.execute(b"select count(*) from t")).fetchone() == (0,)


async def test_a_statement_that_cannot_be_prepared_may_be_asked_again(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedTable):
                await (await link.execute(b"select * from later")).fetchall()
        await link.execute(b"create table later (n int)")
        assert await (await link.execute(b"select * from later")).fetchall() == []
    assert await (await connection.execute("select 1")).fetchone() == (1,)  # psycopg's again


async def test_more_than_the_sockets_hold_goes_both_ways(connection: LinkedConnection) -> None:
    megabyte = "x" * 1_000_000
    async with connection.linked() as link:
        answers = [await link.execute(b"select %(v)s || %(n)s::text", {"v": megabyte, "n": n}) for n in range(40)]
        for n, answer in enumerate(answers):
            assert await answer.fetchone() == (megabyte + str(n),)


async def test_a_cancelled_wait_leaves_no_connection_with_an_answer_in_it(connection: LinkedConnection) -> None:
    async def slow() -> None:
        async with connection.linked() as link:
            await (await link.execute(b"select pg_sleep(60)")).fetchall()

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed


async def test_a_server_that_ends_the_connection_is_an_error(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        pid = await (await link.execute(b"select pg_backend_pid()")).fetchone()
        async with await psycopg.AsyncConnection.connect(connection.info.dsn, autocommit=True) as other:
            waiting = asyncio.create_task((await link.execute(b"select pg_sleep(60)")).fetchall())
            await asyncio.sleep(0.1)
            await other.execute("select pg_terminate_backend(%s)", pid)
        with pytest.raises(psycopg.OperationalError):
            await waiting
        with pytest.raises(psycopg.OperationalError):
            await (await link.execute(b"select 1")).fetchall()


async def test_a_value_that_cannot_be_sent_is_an_error_and_the_connection_stays(connection: LinkedConnection) -> None:
    async def wrong() -> None:
        async with connection.linked() as link:
            await link.execute(b"select 1")
            await link.execute(b"select %(v)s::text", {"v": "a\0b"})

    with pytest.raises(psycopg.DataError):
        await wrong()
    assert not connection.closed
    async with connection.linked() as link:
        assert await (await link.execute(b"select 2")).fetchone() == (2,)


async def test_what_is_queued_and_never_taken_leaves_nothing_behind(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        await link.execute(b"select repeat('x', 10000000)")
    assert connection.closed


async def test_one_answer_is_waited_for_while_the_next_statement_runs(connection: LinkedConnection) -> None:
    async with connection.linked() as link, asyncio.timeout(60):
        await (await link.execute(b"select pg_advisory_lock(1)")).fetchall()
        second_one = await LinkedConnection.connect(connection.info.dsn, autocommit=True)
        async with second_one as other, other.linked() as held:
            first = await held.execute(b"select 1")
            held.send()
            second = await held.execute(b"select pg_advisory_lock(1)")  # until we let go of it

            await held.upto(first)

            assert await first.fetchone() == (1,)
            assert second.result is None
            await (await link.execute(b"select pg_advisory_unlock(1)")).fetchall()
            assert len(await second.fetchall()) == 1


async def test_an_error_behind_an_answer_is_told_where_it_is_taken(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        first = await link.execute(b"select 1")
        link.send()
        wrong = await link.execute(b"select 1 / 0")
        await link.upto(first)
        assert await first.fetchone() == (1,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await wrong.fetchall()
        assert await (await link.execute(b"select 2")).fetchone() == (2,)


async def test_waiting_for_a_wrong_statement_ends_and_taking_it_tells_why(connection: LinkedConnection) -> None:
    async with connection.linked() as link:
        wrong = await link.execute(b"select 1 / 0")
        link.send()
        await link.execute(b"select 1")
        await link.upto(wrong)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await wrong.fetchall()


async def test_a_server_that_ends_without_having_read_everything_is_noticed(connection: LinkedConnection) -> None:
    # given the loop that Headrace runs on, which tells of an error on a socket once, also when much is still to be read
    dsn = f"{connection.info.dsn} password={connection.info.password}"

    async def run() -> None:
        async with await LinkedConnection.connect(dsn, autocommit=True) as own:
            own.link.open()
            await own.link.execute(b"select pg_sleep(0.3), pg_terminate_backend(pg_backend_pid())")
            for n in range(100):  # more than the server reads at once
                await own.link.execute(b"select %(text)s::text", {"text": f"{n}" * 300})
            own.link.send()
            time.sleep(1.0)  # noqa: ASYNC251 - so that the loop finds the last words and the end together

            # then who waits is told
            with pytest.raises(psycopg.Error):
                async with asyncio.timeout(10):
                    await own.link.settle()
            await own.link.close()

    await asyncio.to_thread(uvloop.run, run())

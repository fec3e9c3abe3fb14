"""How PostgreSQL goes about searches, where a plan that is good for few rows is a bad one for many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from pgvector import HalfVector

from headrace.stores.migrate import migrate
from headrace.stores.postgres.search import SQL
from headrace.stores.values import DEFAULT_TENANT
from tests.contract.stored import DIMENSIONS, draft, open_store, swap, vector
from tests.servers import FreshDatabases

CHUNKS = 50


def steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)


async def test_how_all_vectors_lie_is_computed_once(fresh_database: FreshDatabases) -> None:
    """It was computed for each of them again, as long as the planner had not yet seen that there were many."""
    dsn = await fresh_database()
    await migrate(dsn)
    statement = SQL["nearest_of_few"].replace(b"{inside}", b"true").replace(b"{dimensions}", b"%d" % DIMENSIONS)
    args = {"tenant": DEFAULT_TENANT, "vector": HalfVector(vector("word")).to_text(), "limit": 10}
    async with open_store(dsn) as store, await psycopg.AsyncConnection.connect(dsn) as connection:
        await swap(store, *(draft(f"d{n}", n, f"word {n}") for n in range(1, CHUNKS + 1)))

        row = await (await connection.execute(b"explain (analyze, format json) " + statement, args)).fetchone()

    assert row is not None
    found = list(steps(row[0][0]["Plan"]))
    assert max(s["Actual Rows"] for s in found if s["Node Type"] == "Seq Scan") == CHUNKS
    assert [s["Actual Loops"] for s in found if s["Node Type"] == "Aggregate"] == [1]

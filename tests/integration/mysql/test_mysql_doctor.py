"""A MariaDB source looked at before it is used."""

from __future__ import annotations

import asyncio

from headrace.findings import Finding, Level
from headrace.sources import SourceSettings
from headrace.sources.mysql.doctor import check
from tests.captured_mariadb import CapturedMariadb
from tests.memory_log import eventually, run
from tests.servers import MariadbApart, free_port


async def examined(database: CapturedMariadb, url: str = "") -> dict[str, Finding]:
    settings = SourceSettings("my", url or database.server.url(database.database), database.id)
    return {finding.check: finding for finding in await check(settings)}


async def test_a_source_in_order(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    found = await examined(database)

    assert not [f for f in found.values() if f.problem]
    assert found["tables"].got == "1 of 1 that match are captured"
    assert {"connection", "encryption", "server", "binary log", "reading the log", "retention", "clock"} <= found.keys()
    assert database.server.password not in str(found)


async def test_what_is_not_in_order_is_told_with_its_remedy(mariadb_apart: MariadbApart) -> None:
    database = CapturedMariadb(mariadb_apart)
    database.sql("create table keyless(v int)")
    mariadb_apart.sql(
        "set global binlog_format = 'MIXED'", "set global binlog_row_image = 'MINIMAL'",
        "set global binlog_expire_logs_seconds = 3600", "create user plain identified by 'geheim'",
        f"grant select on {database.database}.* to plain",
    )  # fmt: skip
    found = await examined(database)

    problems = {f.check: f for f in found.values() if f.problem}
    assert set(problems) == {"binlog_format", "binlog_row_image", "retention", f"table {database.database}.keyless"}
    assert all(f.remedy and f.expected for f in problems.values())
    assert problems["retention"].level is Level.WARNING

    # and what a user may not do
    url = mariadb_apart.url(database.database, "plain", "geheim")
    assert "REPLICATION CLIENT" in (await examined(database, url))["binary log"].remedy
    mariadb_apart.sql("grant replication client on *.* to plain")
    assert "REPLICATION SLAVE" in (await examined(database, url))["reading the log"].remedy
    await database.close()


async def test_nobody_answers(database: CapturedMariadb) -> None:
    found = await examined(database, f"mysql://me:geheim@127.0.0.1:{free_port()}/x")
    assert [(f.check, f.level) for f in found.values()] == [("connection", Level.ERROR)]
    assert "geheim" not in str(found)


async def test_a_source_that_runs_is_left_alone(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key)")
    await database.capture()
    source = database.source()
    task = asyncio.create_task(run(source, database.log, lambda log: len(log.changes) == 2))
    database.sql("insert into t values (1)")
    await eventually(lambda: len(database.log.changes) == 1)
    await examined(database)
    assert source.problem is None
    database.sql("insert into t values (2)")
    await task
    assert source.problem is None

"""Transactions that a server sends in parts before their commit: held, undone in part or whole, given at the commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from headrace.change import Change
from headrace.errors import SourceError
from headrace.sources import SourceSettings
from headrace.sources.postgres import open as open_source
from headrace.sources.postgres import spool
from headrace.sources.postgres.replication import Replication
from headrace.sources.postgres.spool import Spool
from tests.captured_database import NAME, CapturedDatabase
from tests.memory_log import catch_up, eventually, run
from tests.servers import PostgresApart
from tests.whole import Database, Whole, until
from tests.whole import database as whole_database

SOON = quote("-c logical_decoding_work_mem=64kB", safe="")
"""The least that the server holds itself before it sends parts of transactions in progress."""


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The transactions that came in parts and committed."""
    seen: list[int] = []
    take = Spool.take

    def taken(self: Spool, transaction: int) -> spool.Held:
        seen.append(transaction)
        return take(self, transaction)

    monkeypatch.setattr(Spool, "take", taken)
    return seen


def soon(database: CapturedDatabase) -> str:
    return database.dsn + ("&" if "?" in database.dsn else "?") + f"options={SOON}"


async def session(database: CapturedDatabase) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(database.dsn)


def told(changes: Sequence[Change]) -> list[tuple[object, ...]]:
    return [(c.position, c.op, c.schema, c.key, c.before, c.after, c.transaction) for c in changes]


async def test_nothing_is_seen_before_its_commit_and_all_comes_in_commit_order(
    database: CapturedDatabase, replayed: list[int]
) -> None:
    # given two long transactions that write in turns, short ones between them, and one that is undone at its end
    await database.sql("create table t(id int primary key, by text, v text)")
    source = database.source(url=soon(database), batch_rows=300)
    await catch_up(source, database.log)
    first, second, undone = [await session(database) for _ in range(3)]
    async with aclosing(source.stream(database.log.resume)) as steps:
        for part in range(4):
            for n, (name, c) in enumerate((("first", first), ("second", second), ("undone", undone))):
                low = 10_000 * (n + 1) + 1000 * part
                await c.execute(
                    "insert into t select g, %s, repeat('x', 100) from generate_series(%s::int, %s) g",
                    [name, low, low + 999],
                )
            await database.sql(f"insert into t values ({part}, 'short', '')")
            while len(database.log.changes) <= part:
                database.log.append(await anext(steps))

        # then what is in progress is not seen
        assert [c.key for c in database.log.changes] == [(0,), (1,), (2,), (3,)]

        # when they end in another order than they began
        await second.commit()
        await undone.rollback()
        await database.sql("insert into t values (4, 'short', '')")
        await first.commit()
        head = await source.head()
        while database.log.frontier < head:
            database.log.append(await anext(steps))

    assert len(replayed) == 2
    whose = [c.after and c.after[1] for c in database.log.changes]
    assert whose == ["short"] * 4 + ["second"] * 4000 + ["short"] + ["first"] * 4000
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    for c in (first, second, undone):
        await c.close()


async def savepoints(database: CapturedDatabase, rng: random.Random) -> None:
    """One transaction with savepoints, released and rolled back, over rows with large values and changed keys."""
    depth = 0
    async with await session(database) as c:
        for _ in range(60):
            low = rng.randrange(500)
            match rng.randrange(7):
                case 0:
                    depth += 1
                    await c.execute(f"savepoint s{depth}".encode())
                case 1 if depth:
                    await c.execute(f"rollback to s{depth}".encode())
                case 2 if depth:
                    await c.execute(f"release s{depth}".encode())
                    depth -= 1
                case 3:
                    await c.execute("update t set n = n + 1 where mod(id, 3) = %s", [low % 3])
                case 4:
                    await c.execute("update t set id = -id where id = %s", [low])
                case _:
                    await c.execute(
                        "insert into t select g, 0, repeat(md5(g::text), %s) from generate_series(%s::int, %s) g"
                        " on conflict do nothing",
                        [rng.choice([1, 100]), low, low + 40],
                    )


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_undone_in_part_leaves_no_trace(
    database: CapturedDatabase, replayed: list[int], seed: int
) -> None:
    # given transactions of which parts are undone, captured as a whole
    rng = random.Random(seed)
    await database.sql(
        "create table t(id int primary key, n int, v text)", "alter table t alter v set storage external"
    )
    await database.capture()
    start = len(database.log.steps)
    for _ in range(3):
        await savepoints(database, rng)
    whole = database.log.crashed(start)
    await catch_up(database.source(), whole, acknowledge=False)
    assert not replayed

    # when they are captured in parts
    parts = database.log.crashed(start)
    await catch_up(database.source(url=soon(database), batch_rows=100), parts)

    # then nothing is different, positions included
    assert replayed
    assert told(parts.changes) == told(whole.changes)
    assert parts.table("pg.public.t") == await database.table("t", "id")


async def test_positions_are_the_same_in_parts_or_not_and_after_a_stop(
    database: CapturedDatabase, replayed: list[int]
) -> None:
    # given one log that reads a transaction as a whole and acknowledges nothing
    await database.sql("create table t(id int primary key, v text)")
    await database.capture()
    start = len(database.log.steps)
    c = await session(database)
    await c.execute("insert into t select g, repeat('x', 100) from generate_series(1, 3000) g")
    await c.execute("savepoint s")
    await c.execute("update t set v = 'never'")
    await c.execute("rollback to s")
    await c.execute("update t set v = 'y' where id <= 1500")
    await c.execute("delete from t where id > 2900")
    await c.commit()
    await c.close()
    whole = database.log.crashed(start)
    await catch_up(database.source(), whole, acknowledge=False)
    assert not replayed

    # when another reads it in parts and is stopped in the middle, again and again
    parts = database.log.crashed(start)
    for at in (400, 1000, 3500):
        source = database.source(url=soon(database), batch_rows=250)
        await run(source, parts, lambda log, at=at: len(log.changes) >= at, acknowledge=False)
        await source.close()
        await eventually(lambda: _free(database))
    await catch_up(database.source(url=soon(database), batch_rows=250), parts)

    # then both say the same, also where the server sends it as a whole after a restart
    assert replayed
    assert told(parts.changes) == told(whole.changes)
    assert parts.table("pg.public.t") == await database.table("t", "id")


async def _free(database: CapturedDatabase) -> bool:
    return not await database.query(
        f"select 1 from pg_replication_slots where slot_name = '{database.slot}' and active"
    )


async def test_shapes_and_types_that_a_transaction_makes_itself(
    database: CapturedDatabase, replayed: list[int]
) -> None:
    await database.sql("create table t(id int primary key, v text)", "create table other(id int primary key)")
    await database.capture()
    await database.transaction(
        "insert into t select g, repeat('x', 100) from generate_series(1, 1500) g",
        "create domain score as int",
        "alter table t add s score default 7",
        "update t set s = 8 where id <= 1000",
        "savepoint a",
        "alter table t add gone text",
        "update t set gone = repeat('y', 100)",
        "rollback to a",
        "update t set s = 9 where id <= 500",
        "alter table t rename v to w",
        "update t set w = 'z' where id <= 700",
        "update t set w = 'last' where id > 700",
    )
    await database.sql("update t set w = 'after' where id = 1", "insert into other values (1)")

    log = await database.capture(url=soon(database))

    assert len(replayed) == 1
    assert log.table("pg.public.t") == await database.table("t", "id")
    assert log.changes[-2].after == (1, "after", 9)
    assert {c.name for x in log.changes for c in x.schema.columns} == {"id", "v", "s", "w"}


async def test_large_values_left_out_in_a_transaction_in_parts(database: CapturedDatabase, replayed: list[int]) -> None:
    await database.sql(
        "create table t(id int primary key, n int, v text)", "alter table t alter v set storage external",
        "insert into t select g, 0, repeat(md5(g::text), 200) from generate_series(1, 50) g",
    )  # fmt: skip
    await database.capture()
    await database.transaction(
        "update t set n = n + 1", "update t set v = repeat(md5(id || 'b'), 300) where id <= 20",
        "savepoint s", "update t set v = repeat('undone', 500)", "rollback to s",
        "update t set n = n + 1", "update t set id = id + 100 where id <= 10", "update t set n = n + 1",
    )  # fmt: skip

    log = await database.capture(url=soon(database), batch_rows=7)

    assert len(replayed) == 1
    assert log.table("pg.public.t") == await database.table("t", "id")


async def test_what_does_not_fit_into_memory_stands_in_files_without_a_name(
    database: CapturedDatabase, replayed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool.__init__, "__defaults__", ("", 100_000))
    await database.sql("create table t(id int primary key, v text)")
    await database.capture()
    scratch = tmp_path / "scratch"
    settings = SourceSettings(NAME, soon(database), database.id, scratch=str(scratch))
    spilled: list[int] = []
    spill = spool.Held.spill

    def counted(self: spool.Held, folder: str) -> None:
        spilled.append(self.memory)
        spill(self, folder)

    monkeypatch.setattr(spool.Held, "spill", counted)
    await database.sql("insert into t select g, repeat(md5(g::text), 10) from generate_series(1, 9000) g")
    source = open_source(settings)
    await catch_up(source, database.log)
    await source.close()

    assert len(replayed) == 1
    assert sum(spilled) > 2_000_000
    assert max(spilled) < 300_000
    assert list(scratch.iterdir()) == []
    assert database.log.table("pg.public.t") == await database.table("t", "id")

    # and no room there is a problem that is told and tried again
    scratch.rmdir()
    scratch.write_text("not a folder")
    await database.sql("update t set v = v || '!'")
    source = open_source(settings)
    task = asyncio.create_task(run(source, database.log, lambda _: False))
    await eventually(lambda: source.problem is not None)
    problem = source.problem
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert isinstance(problem, SourceError)
    assert str(scratch) in problem.expected
    scratch.unlink()
    await catch_up(source, database.log)
    assert database.log.table("pg.public.t") == await database.table("t", "id")
    await source.close()


async def test_what_commits_behind_the_point_of_a_late_copy_is_not_dropped_with_what_was_before(
    database: CapturedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a backlog, a table that comes later, and a transaction on both right after the copy's point
    await database.sql("create table old(id int primary key, v int)", "insert into old values (1, 0)")
    await database.capture()
    await database.sql("create table new(id int primary key, v int)", "insert into new values (1, 0)")
    await database.sql("update old set v = 1")
    start = Replication.start

    async def late(self: Replication, slot: str, publication: str, lsn: int, flushed: int) -> None:
        await database.transaction("update old set v = 2", "update new set v = 2", "insert into new values (2, 2)")
        await start(self, slot, publication, lsn, flushed)

    monkeypatch.setattr(Replication, "start", late)

    # when all of it is read at once
    log = database.log
    await run(database.source(), log, lambda log: log.table("pg.public.old") == {(1,): (1, 2)})

    # then the copied row and what came after are there
    assert log.table("pg.public.new") == await database.table("new", "id")
    assert log.table("pg.public.old") == await database.table("old", "id")


SETTINGS = """
[[sources]]
name = "big"
url = "{dsn}"
"""


@pytest.fixture
def big(debian_postgres: PostgresApart) -> Iterator[Database]:
    with whole_database(debian_postgres, "create table t (id int primary key, a int, b text, c text, d int)") as made:
        yield made


ROWS = "insert into t select g, g % 7, 'row ' || g, repeat('x', 40), {d} from generate_series({low}, {high}) g"


def test_a_million_rows_in_one_transaction_take_bounded_memory(big: Database, tmp_path: Path) -> None:
    headrace = Whole(tmp_path / "headrace", SETTINGS.format(dsn=big.dsn))
    try:
        headrace.start().settle()
        before = memory_mb(headrace.pid)
        big.together(
            ROWS.format(low=1, high=500_000, d=0),
            "savepoint s", ROWS.format(low=500_001, high=700_000, d=1), "rollback to s",
            ROWS.format(low=500_001, high=1_000_000, d=0),
            "savepoint s", "update t set d = 2 where id % 10 = 0", "rollback to s",
        )  # fmt: skip
        headrace.settle()
        grown = memory_mb(headrace.pid) - before
        (topic,) = [t for t in headrace.get("/v1/status")["topics"] if t["name"] == "big.public.t"]
        assert topic["changes"] == 1_000_000
        assert grown < 150
    finally:
        headrace.close()


def memory_mb(pid: int) -> int:
    """The most that a process ever had in memory."""
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().split("\n") if line.startswith("VmHWM"))
    return int(peak.split()[1]) // 1024


def test_kills_in_the_middle_of_a_transaction_of_a_hundred_thousand_rows(big: Database, tmp_path: Path) -> None:
    headrace = Whole(tmp_path / "headrace", SETTINGS.format(dsn=big.dsn))
    rng = random.Random(7)
    try:
        headrace.start().settle()
        big.together(ROWS.format(low=1, high=100_000, d=0), "update t set d = 1 where id <= 1000")
        seen: list[int] = []
        for _ in range(3):
            # Where nearly all had come before a kill was through, the next one is of a source that has caught up.
            floor = min((seen[-1] if seen else 0) + rng.randrange(1, 9000), 101_000)

            def got(floor: int = floor) -> bool:
                topics = [t for t in headrace.get("/v1/status")["topics"] if t["name"] == "big.public.t"]
                return bool(topics) and topics[0]["changes"] >= floor

            until(got, f"{floor} rows", headrace.told, pause_s=0.005)
            headrace.kill()
            headrace.start()
            topics = [t for t in headrace.get("/v1/status")["topics"] if t["name"] == "big.public.t"]
            seen.append(topics[0]["changes"] if topics else 0)
        headrace.settle()
        lines = headrace.lines("/v1/log/big.public.t")
        ids = [e["after"]["id"] for e in lines if e["op"] == "c"]
        assert ids == list(range(1, 100_001))
        assert [e["after"]["id"] for e in lines if e["op"] == "u"] == list(range(1, 1001))
        assert min(seen) < 101_000, "no kill was in the middle: a faster machine needs a larger transaction"
    finally:
        headrace.close()

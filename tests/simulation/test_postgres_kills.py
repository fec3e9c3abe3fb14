"""kill -9 at any moment of first copies, snapshots beside the stream, and streaming, through a network that fails."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from headrace.change import Change, Position
from headrace.sources.postgres.replication import parse_lsn
from headrace.stores.migrate import migrate
from tests.capture_child import Ended, Life, Phase
from tests.captured_database import NAME, CapturedDatabase
from tests.counted_rows import KEYS, TABLES, CountedRows
from tests.memory_log import Table
from tests.proxy import Proxy
from tests.replay import Replay
from tests.servers import FreshDatabases, PostgresApart

SEEDS = 5
KILLS = (*[Phase.COPY] * 6, *[Phase.BESIDE] * 4, *[Phase.STREAM] * 10)
"""Of one seed; of all: fifty during snapshots, fifty while it streams."""
FULL_LOAD_S = 5.0
"""Most lives end before."""
SOON = quote("-c logical_decoding_work_mem=64kB", safe="")


class Captures:
    """The process that starts captures and kills them."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output

    @classmethod
    @asynccontextmanager
    async def started(cls, output: Path) -> AsyncGenerator[Captures]:
        with output.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.capture_child", cwd=Path(__file__).parents[2],
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        try:
            yield cls(process, output)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def live(self, life: Life) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(life) + b"\n")
        try:
            async with asyncio.timeout(120):
                return msgspec.json.decode(await self._process.stdout.readline(), type=Ended)
        except TimeoutError:
            said = self._output.read_text("utf-8", "replace")
            raise AssertionError(f"{life.kill} after {life.appends} appends never came: {said[-20_000:]}") from None


@dataclass(frozen=True, slots=True)
class Expected:
    """The source's tables as of a position: nothing was committed there between it and their reading."""

    at: Position
    sums: dict[str, str]


def checksum(table: Table) -> str:
    return hashlib.sha256(repr(sorted(table.items(), key=repr)).encode()).hexdigest()


class Run:
    """One seed: a database under load, a proxy, a log, and what must come out."""

    def __init__(
        self, seed: int, database: CapturedDatabase, load: CountedRows, proxy: Proxy, captures: Captures, life: Life
    ) -> None:
        self.dice = random.Random(seed)
        self.database = database
        self.load = load
        self.proxy = proxy
        self.captures = captures
        self.life = life
        self.replay = Replay(life.log, NAME)
        self.unused = itertools.count(1_000_000)
        self.due: list[Expected] = []
        self.compared = 0

    async def killed(self, phase: Phase) -> None:
        """One kill in that phase; a life that was in another by then does not count."""
        for _ in range(20):
            ask, appends, wait_s = "", self.dice.randint(1, 8), self.dice.choice([0, 0.001, 0.004])
            if phase is Phase.STREAM:
                appends = self.dice.choice([0, 1, 2, 3, 6, 10])
                wait_s = wait_s if appends else self.dice.uniform(0, 0.2)
            elif phase is Phase.BESIDE:
                ask = self.dice.choice(["public.accounts", "public.p*", "public.files"])
            rows = self.dice.choice([40, 400] if phase is Phase.STREAM else [20, 40])
            ended = await self.lived(kill=phase, appends=appends, wait_s=wait_s, ask=ask, batch_rows=rows)
            if ended.phase is phase or (not appends and self.replay.whole_from):
                return
        raise AssertionError(f"never killed in {phase}")

    async def lived(self, **how: object) -> Ended:
        life = msgspec.structs.replace(self.life, **how)
        meanwhile = [asyncio.create_task(self._faults()), asyncio.create_task(self._slower())]
        ended = await self.captures.live(life)
        for task in meanwhile:
            task.cancel()
        await asyncio.gather(*meanwhile, return_exceptions=True)
        self.proxy.delay_s, self.proxy.refusing, self.load.slower = 0.0, False, 1
        self.proxy.flow()
        assert not ended.failed, ended.failed
        self.replay.whole_from = self.replay.whole_from or ended.whole
        self.take_in()
        return ended

    async def _faults(self) -> None:
        while self.dice.random() < 0.4:
            await asyncio.sleep(self.dice.uniform(0, 0.3))
            await self.proxy.random_fault(self.dice)()

    async def _slower(self) -> None:
        """With some disks the log takes less than the load writes: then nothing would ever be reached."""
        await asyncio.sleep(FULL_LOAD_S)
        self.load.slower = 20

    def take_in(self) -> None:
        """What was appended since, compared with the source where it was looked at."""
        for number, changes in self.replay.fetch():
            for change in changes:
                self._compare(change)
                self.replay.take(change, number)

    def _compare(self, before: Change | None) -> None:
        while self.due and (before is None or self.due[0].at <= before.position):
            expected = self.due.pop(0)
            for table in TABLES:
                found = checksum(self.replay.lineage(f"public.{table}").rows)
                assert found == expected.sums[table], f"{table} at {expected.at}"
            self.compared += 1

    async def look(self) -> None:
        """At the source as it is now."""
        async with self.load.still():
            self.due.append(Expected(Position(await self._lsn()), {t: checksum(await self._rows(t)) for t in TABLES}))

    async def _rows(self, table: str) -> Table:
        return await self.database.table(table, *KEYS[table])

    async def _lsn(self) -> int:
        ((lsn,),) = await self.database.query("select pg_current_wal_insert_lsn()::text")
        return parse_lsn(str(lsn))

    async def delete_what_was_copied(self) -> None:
        """And give other rows other keys, while nobody captures."""
        rows = list(self.replay.lineage("public.accounts").rows)
        for key in self.dice.sample(rows, min(len(rows), 6)):
            change = f"update accounts set id = {next(self.unused)}, n = n + 1"
            await self.database.sql(f"{self.dice.choice(['delete from accounts', change])} where id = {key[0]}")

    async def finish(self) -> None:
        async with self.load.still():
            last = {t: await self._rows(t) for t in TABLES}
            ended = await self.lived(reach=await self._lsn())
            assert ended.phase is Phase.STREAM
        self._compare(None)
        for table in TABLES:
            assert self.replay.lineage(f"public.{table}").rows == last[table], table
            assert last[table]


@pytest_asyncio.fixture
async def captures(tmp_path: Path) -> AsyncIterator[Captures]:
    async with Captures.started(tmp_path / "output") as started:
        yield started


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_hundred_kills_lose_double_and_misplace_nothing(
    seed: int,
    debian_postgres: PostgresApart,
    standalone_postgres: PostgresApart,
    fresh_database: FreshDatabases,
    captures: Captures,
    tmp_path: Path,
) -> None:
    # given a database under load behind a network that fails, on the one server or the other
    server = (debian_postgres, standalone_postgres)[seed % 2]
    log = await fresh_database(standalone_postgres)
    await migrate(log)
    database = await CapturedDatabase.connect(await fresh_database(server))
    load = CountedRows(database.dsn, seed)
    await load.prepare()
    async with Proxy(server.host, server.port) as proxy, load.running():
        url = database.dsn.replace(f":{server.port}/", f":{proxy.port}/") + f"?options={SOON}&connect_timeout=2"
        life = Life(NAME, url, database.id, log, str(tmp_path / "scratch"))
        run = Run(seed, database, load, proxy, captures, life)

        # when it is killed again and again: in the first copy, where rows that were copied go before the restart
        for phase in KILLS:
            await run.killed(phase)
            if phase is Phase.COPY:
                await run.delete_what_was_copied()
            elif run.replay.whole_from:
                await run.look()
        await run.finish()

    # then each table was what the source had, after each of the kills, by changes that came once and in order
    assert run.compared == len(KILLS) - KILLS.count(Phase.COPY)
    assert load.committed > 20
    assert proxy.accepted > 2 * len(KILLS)
    run.replay.close()
    await database.close()

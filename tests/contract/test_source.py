"""What every adapter of the source port keeps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.change import Op, format_position, parse_position
from headrace.sources import Source
from tests.captured_mariadb import CapturedMariadb
from tests.contract.outside import Files, MariadbRows, Outside, PostgresRows, Pushed, Uploaded, replayed
from tests.memory_log import eventually
from tests.servers import FreshDatabases

LIVE = {Op.CREATE, Op.UPDATE, Op.READ}
KEEPERS = ["embedded", "debian_postgres", "mariadb", "files"]


@pytest_asyncio.fixture(params=[*KEEPERS, "push", "uploads"])
async def outside(
    request: pytest.FixtureRequest, fresh_database: FreshDatabases, tmp_path: Path
) -> AsyncIterator[Outside]:
    made = await outside_of(request, fresh_database, tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture(params=KEEPERS)
async def keeper(
    request: pytest.FixtureRequest, fresh_database: FreshDatabases, tmp_path: Path
) -> AsyncIterator[Outside]:
    """One that keeps what is committed while nobody reads it."""
    made = await outside_of(request, fresh_database, tmp_path)
    assert made.alone
    yield made
    await made.close()


async def outside_of(request: pytest.FixtureRequest, fresh_database: FreshDatabases, folder: Path) -> Outside:
    match request.param:
        case "mariadb":
            return MariadbRows(CapturedMariadb(request.getfixturevalue("mariadb")))
        case "files":
            return Files(folder / "folder")
        case "push":
            return Pushed()
        case "uploads":
            return Uploaded(folder)
        case "embedded":
            return await PostgresRows.make(await fresh_database(None))
        case server:
            return await PostgresRows.make(await fresh_database(request.getfixturevalue(server)))


@asynccontextmanager
async def streaming(outside: Outside, *, acknowledge: bool = True) -> AsyncGenerator[Source]:
    """A source that is read into the log until everything committed is there."""
    source = outside.source()

    async def read() -> None:
        async with aclosing(source.stream(outside.log.resume)) as steps:
            async for captured in steps:
                outside.log.append(captured)
                if acknowledge:
                    await source.ack(captured.frontier)

    task = asyncio.create_task(read())

    async def reached() -> None:
        head = await source.head()

        def there() -> bool:
            if task.done():
                task.result()
            return outside.log.frontier >= head

        await eventually(there)

    try:
        await reached()
        yield source
        await reached()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()


async def change(outside: Outside, rows: dict[int, str], turns: random.Random, times: int) -> None:
    """Commits changes, and keeps in `rows` what there is then."""
    for n in range(times):
        number = turns.randrange(12)
        if number in rows and turns.random() < 0.3:
            await outside.delete(number)
            del rows[number]
        else:
            rows[number] = f"text {n} {turns.random()}"
            await outside.put(number, rows[number])


async def test_everything_committed_is_given_once_and_in_order(outside: Outside) -> None:
    rows: dict[int, str] = {}
    turns = random.Random(1)
    if outside.alone:
        await change(outside, rows, turns, 10)

    async with streaming(outside) as source:
        assert replayed(outside) == rows
        for _ in range(5):
            await change(outside, rows, turns, 10)
            await asyncio.sleep(0)
        name, style = source.name, source.style

    assert replayed(outside) == rows
    for c in outside.log.changes:
        assert c.schema.source == name
        assert c.schema.topic == outside.topic
        assert (c.after is None) == (c.op not in LIVE)
        shown = parse_position(format_position(c.position, style))
        assert shown == c.position or (c.op is Op.READ and shown < c.position)


async def test_a_head_is_reached_though_nothing_happens_any_more(outside: Outside) -> None:
    async with streaming(outside) as source:
        await outside.put(1, "one")
        heads = [await source.head() for _ in range(3)]
        for head in heads:
            await eventually(lambda h=head: outside.log.frontier >= h)
        assert heads == sorted(heads)
        before = len(outside.log.changes)

    assert len(outside.log.changes) == before
    assert replayed(outside) == {1: "one"}


async def test_a_restart_gives_nothing_twice(outside: Outside) -> None:
    rows: dict[int, str] = {}
    turns = random.Random(2)
    for _ in range(3):
        async with streaming(outside):
            await change(outside, rows, turns, 8)

    before = len(outside.log.changes)
    async with streaming(outside):
        pass

    assert len(outside.log.changes) == before
    assert replayed(outside) == rows


async def test_what_is_committed_while_nobody_reads_is_found(keeper: Outside) -> None:
    rows: dict[int, str] = {}
    turns = random.Random(3)
    for _ in range(3):
        await change(keeper, rows, turns, 8)
        async with streaming(keeper):
            await change(keeper, rows, turns, 8)

    assert replayed(keeper) == rows


async def test_a_log_that_lost_its_end_gets_it_again(keeper: Outside) -> None:
    """Nothing was acknowledged behind what is left: the source has all of it still."""
    rows: dict[int, str] = {}
    turns = random.Random(4)
    await change(keeper, rows, turns, 6)
    async with streaming(keeper, acknowledge=False):
        await change(keeper, rows, turns, 6)
    whole = keeper.log

    for left in range(len(whole.steps), -1, -1):
        keeper.log = whole.crashed(left)
        async with streaming(keeper, acknowledge=False):
            pass
        assert replayed_or_emptied(keeper) == rows


def replayed_or_emptied(outside: Outside) -> dict[int, str]:
    """A first copy that begins again tells the emptying of its table first."""
    rows: dict[int, str] = {}
    for c in outside.log.of(outside.topic):
        if c.op is Op.TRUNCATE:
            rows.clear()
            continue
        number, text = outside.read(c)
        rows.pop(number, None)
        if text is not None:
            rows[number] = text
    return rows


async def test_reading_ends_when_it_is_closed_wherever_it_is(outside: Outside) -> None:
    async with streaming(outside):
        await outside.put(1, "one")
    source = outside.source()
    stream = source.stream(outside.log.resume)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.05)

    async with asyncio.timeout(30):
        await source.close()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await stream.aclose()
        await source.close()


async def test_it_says_what_it_is_and_no_secrets(outside: Outside) -> None:
    async with streaming(outside) as source:
        await outside.put(1, "one")
        assert source.problem is None
        assert source.kind
        assert "password" not in source.address

"""What every adapter of the log port keeps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

import pytest
import pytest_asyncio

from headrace.change import START, Change, Op, Position, Style
from headrace.clock import now_us
from headrace.errors import Fenced, NotFound
from headrace.log import Append, Log, SourceHead, TopicPartition, postgres, tail
from headrace.log.memory import Memory, MemoryLog
from headrace.log.postgres import PostgresLog
from headrace.registry import LOGS, lookup
from headrace.stores.migrate import migrate
from tests.making import EPOCH, ITEMS, ORDERS, put, truncate
from tests.servers import FreshDatabases

ITEMS_TOPIC, ORDERS_TOPIC = ITEMS.topic, ORDERS.topic
TIMEOUT_S = 60


class Connect(Protocol):
    """`await connect(partitions=…)`: one more process's view of the same log."""

    def __call__(self, partitions: int = 1) -> Awaitable[Log]: ...


@pytest_asyncio.fixture(params=["postgres", "memory"])
async def connect(request: pytest.FixtureRequest, fresh_database: FreshDatabases) -> AsyncGenerator[Connect]:
    opened: list[Log] = []
    memory = Memory()
    dsn = await fresh_database()
    await migrate(dsn)

    async def one_more(partitions: int = 1) -> Log:
        log: Log = (
            await PostgresLog.connect(dsn, partitions=partitions)
            if request.param == "postgres"
            else await MemoryLog.connect("", partitions=partitions, memory=memory)
        )
        opened.append(log)
        return log

    yield one_more
    for log in opened:
        await log.close()


async def opened(connect: Connect, partitions: int = 1) -> Log:
    log = await connect(partitions)
    await log.open("shop", Style.NUMBER)
    return log


async def following(log: Log, after: int, changes: int, *, source: str = "shop") -> list[Append]:
    """The appends behind `after`, until so many changes have come."""
    found: list[Append] = []
    async with asyncio.timeout(TIMEOUT_S), aclosing(log.follow(source, after)) as stream:
        async for appends in stream:
            found += appends
            if sum(len(a.changes) for a in found) >= changes:
                break
    return found


def changes_of(appends: Sequence[Append]) -> list[Change]:
    return [c for a in appends for c in a.changes]


async def whole(log: Log, topic: str, partition: int = 0, *, page: int = 7) -> list[tuple[int, Change]]:
    """A partition read page by page."""
    offset, found = 0, list[tuple[int, Change]]()
    while logged := await log.read(topic, partition, offset, page):
        assert len(logged) <= page
        assert all((x.topic, x.partition) == (topic, partition) for x in logged)
        found += [(x.offset, x.change) for x in logged]
        offset = logged[-1].offset + 1
    return found


async def extents(log: Log) -> dict[tuple[str, int], TopicPartition]:
    return {(t.topic, t.partition): t for t in await log.topics()}


def test_every_adapter_is_registered_under_its_address() -> None:
    assert lookup("logs", LOGS, "embedded:?partitions=4") is PostgresLog
    assert lookup("logs", LOGS, "memory:") is MemoryLog


async def test_a_source_that_was_never_read_starts_at_nothing(connect: Connect) -> None:
    log = await connect()

    head = await log.open("shop", Style.NUMBER)

    assert head == SourceHead("shop", 0, START, 0, 0, 0)
    assert await log.heads() == [head]
    assert await log.topics() == []
    assert await log.read(ITEMS_TOPIC, 0, 0, 10) == []


async def test_changes_come_back_as_they_were_in_order_from_every_reader(connect: Connect) -> None:
    log = await opened(connect)
    batches = [[put(at, at % 5, minor=m) for m in range(1, at % 4 + 1)] for at in range(1, 40)]
    expected = [c for b in batches for c in b]

    appends = [await log.append("shop", b) for b in batches if b]

    numbers = [a.number for a in appends if a is not None]
    assert numbers == list(range(1, len(appends) + 1)), "numbers have no gaps"
    assert changes_of(await following(log, 0, len(expected))) == expected
    again = await opened(connect)
    assert changes_of(await following(again, 0, len(expected))) == expected
    read = await whole(again, ITEMS_TOPIC)
    assert read == list(enumerate(expected)), "offsets count from 0 without gaps"


async def test_an_append_says_where_the_log_then_ends(connect: Connect) -> None:
    log = await opened(connect)

    first = await log.append("shop", [put(3, 1), put(3, 2, minor=1)])
    second = await log.append("shop", [put(9, 1)])
    nothing = await log.append("shop", [])

    assert nothing is None
    assert first is not None
    assert second is not None
    assert (first.number, first.position, first.changes_total) == (1, Position(3, 1), 2)
    assert (second.number, second.position, second.committed_at) == (2, Position(9), EPOCH + 9_000_000)
    assert second.changes_total == 3
    assert second.bytes_total > first.bytes_total > 0
    head = SourceHead("shop", 2, Position(9), EPOCH + 9_000_000, 3, second.bytes_total)
    assert await log.heads() == [head]
    assert await (await connect()).open("shop", Style.NUMBER) == head, "the next process goes on from there"
    assert [a.changes_total for a in await following(log, 0, 3)][-1] == 3


async def test_one_append_over_several_topics_keeps_the_source_s_order(connect: Connect) -> None:
    log = await opened(connect)
    mixed = [put(1, n, minor=n, schema=ORDERS if n % 3 else ITEMS) for n in range(1, 30)]
    await log.append("shop", mixed)

    another = await opened(connect)

    assert changes_of(await following(another, 0, len(mixed))) == mixed
    items = [c for c in mixed if c.schema is ITEMS]
    assert [c for _, c in await whole(another, ITEMS_TOPIC)] == items
    known = await extents(another)
    assert (known[ITEMS_TOPIC, 0].next, known[ITEMS_TOPIC, 0].changes) == (len(items), len(items))
    assert known[ORDERS_TOPIC, 0].next == len(mixed) - len(items)
    assert known[ORDERS_TOPIC, 0].source == "shop"
    assert known[ORDERS_TOPIC, 0].bytes > 0


async def test_a_key_stays_in_its_partition_whoever_writes(connect: Connect) -> None:
    log = await opened(connect, partitions=4)
    await log.append("shop", [put(1, key, minor=key) for key in range(1, 41)])

    # A process that was told other partitions writes on: a topic keeps those it was made with.
    for at, partitions in ((2, 4), (3, 7), (4, 2)):
        log = await opened(connect, partitions=partitions)
        await log.append("shop", [put(at, key, minor=key) for key in range(1, 41)])

    where: dict[int, set[int]] = {}
    for partition in range(4):
        content = await whole(log, ITEMS_TOPIC, partition)
        assert [offset for offset, _ in content] == list(range(len(content)))
        for _, change in content:
            where.setdefault(int(str(change.key[0])), set()).add(partition)
            positions = [c.position for _, c in content if c.key == change.key]
            assert positions == sorted(positions)
            assert len(positions) == 4
    assert all(len(partitions) == 1 for partitions in where.values())
    assert {p for partitions in where.values() for p in partitions} == {0, 1, 2, 3}, "the keys are spread"
    assert len([t for t in await log.topics() if t.topic == ITEMS_TOPIC]) == 4


async def test_a_source_s_order_comes_back_from_all_partitions(connect: Connect) -> None:
    log = await opened(connect, partitions=3)
    mixed = [put(1, n % 7, minor=n, schema=ORDERS if n % 2 else ITEMS) for n in range(1, 50)]
    await log.append("shop", mixed)

    another = await opened(connect, partitions=3)

    assert changes_of(await following(another, 0, len(mixed))) == mixed


async def test_a_truncate_stands_in_every_partition_and_is_followed_once(connect: Connect) -> None:
    log = await opened(connect, partitions=3)
    changes = [
        *(put(1, key, minor=key) for key in range(1, 10)),
        truncate(1, minor=10),
        truncate(1, minor=11, schema=ORDERS),
        *(put(1, key, minor=11 + key) for key in range(1, 10)),
    ]
    await log.append("shop", changes)

    live = await following(log, 0, len(changes))
    another = await opened(connect, partitions=3)
    stored = await following(another, 0, len(changes))

    assert changes_of(live) == changes
    assert changes_of(stored) == changes
    for partition in range(3):
        ops = [c.op for _, c in await whole(another, ITEMS_TOPIC, partition)]
        assert ops.count(Op.TRUNCATE) == 1
        before = ops[: ops.index(Op.TRUNCATE)]
        assert len(before) == len(ops) - len(before) - 1, "in each partition between the rows before and after it"


async def test_state_is_there_with_the_changes_that_left_it(connect: Connect) -> None:
    log = await opened(connect)
    await log.append("shop", [put(1, 1)], {"files/a": b"1", "files/b": b"\0\xff", "tables": b"t"})
    await log.append("shop", [put(2, 1)], {"files/a": None, "files/b": b"2", "files/c_d": b""})
    only_state = await log.append("shop", [], {"files/%": b"3"})

    assert only_state is not None
    assert only_state.number == 3
    assert only_state.position == Position(2)
    another = await connect()
    await another.open("shop", Style.NUMBER)
    await another.open("other", Style.NUMBER)
    state = another.state("shop")
    assert await state.get(["files/a", "files/b", "nowhere"]) == {"files/b": b"2"}
    assert await state.scan("files/") == {"files/%": b"3", "files/b": b"2", "files/c_d": b""}
    assert await state.scan("files/c_") == {"files/c_d": b""}, "a prefix is text, not a pattern"
    assert await state.scan("") == {"files/%": b"3", "files/b": b"2", "files/c_d": b"", "tables": b"t"}
    assert await another.state("other").scan("") == {}


async def test_followers_see_the_number_of_an_append_of_state_alone(connect: Connect) -> None:
    log = await opened(connect)
    await log.append("shop", [put(1, 1)])
    await log.append("shop", [], {"k": b"v"})

    for reader in (log, await opened(connect)):
        async with asyncio.timeout(TIMEOUT_S), aclosing(reader.follow("shop", 1)) as stream:
            appends = await anext(stream)
        assert [(a.number, list(a.changes), a.position) for a in appends] == [(2, [], Position(1))]


async def test_a_second_writer_fences_the_first(connect: Connect) -> None:
    first = await opened(connect)
    await first.append("shop", [put(1, 1)], {"k": b"first"})

    second = await connect()
    head = await second.open("shop", Style.NUMBER)

    with pytest.raises(Fenced):
        await first.append("shop", [put(2, 1, "lost")], {"k": b"lost"})
    await second.append("shop", [put(3, 1, "kept")], {"k": b"second"})
    with pytest.raises(Fenced):
        await first.append("shop", [put(4, 1, "lost")])

    assert head.number == 1
    assert [c.position for _, c in await whole(second, ITEMS_TOPIC)] == [(1, 0), (3, 0)]
    assert await second.state("shop").get(["k"]) == {"k": b"second"}
    assert [h.number for h in await second.heads()] == [2]


async def test_another_source_s_writer_is_not_fenced(connect: Connect) -> None:
    log = await opened(connect)
    await (await connect()).open("other", Style.NUMBER)

    assert await log.append("shop", [put(1, 1)]) is not None


async def test_a_follower_is_woken_by_what_comes(connect: Connect) -> None:
    log = await opened(connect)
    seen: asyncio.Queue[Append] = asyncio.Queue()

    async def follow() -> None:
        async with aclosing(log.follow("shop", 0)) as stream:
            async for appends in stream:
                for append in appends:
                    await seen.put(append)

    follower = asyncio.create_task(follow())
    async with asyncio.timeout(TIMEOUT_S):
        for at in range(1, 30):
            await log.append("shop", [put(at, 1)])
            assert (await seen.get()).position == Position(at)
    assert seen.empty()
    follower.cancel()
    with suppress(asyncio.CancelledError):
        await follower


async def test_readers_of_any_pace_see_everything_once_in_order(connect: Connect) -> None:
    """Appends under way beside followers that start anywhere, pause anywhere and begin again."""
    log = await opened(connect, partitions=2)
    rng = random.Random(5)
    total = 400
    written: list[Change] = []

    async def write() -> None:
        for at in range(1, total + 1):
            batch = [put(at, rng.randrange(9), minor=m) for m in range(1, rng.randrange(1, 5))]
            if batch:
                await log.append("shop", batch)
                written.extend(batch)
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        await log.append("shop", [put(total + 1, 0, "the end")])
        written.append(put(total + 1, 0, "the end"))

    async def read(seed: int) -> list[Change]:
        own = random.Random(seed)
        after, found = 0, list[Change]()
        while not found or found[-1].position.major <= total:
            async with aclosing(log.follow("shop", after)) as stream:
                async for appends in stream:
                    for append in appends:
                        assert append.number > after
                        after = append.number
                        found += append.changes
                    if own.random() < 0.2 or (found and found[-1].position.major > total):
                        break
                    if own.random() < 0.3:
                        await asyncio.sleep(own.random() * 0.01)
        return found

    async with asyncio.timeout(TIMEOUT_S):
        _, *found = await asyncio.gather(write(), *(read(seed) for seed in range(4)))

    assert all(f == written for f in found)


async def test_writers_of_several_sources_at_once_leave_no_gap(connect: Connect) -> None:
    """A commit that comes late, behind one with a higher offset of another source, is never skipped."""
    log = await connect()
    names = [f"s{n}" for n in range(4)]
    for name in names:
        await log.open(name, Style.NUMBER)

    async def write(name: str) -> None:
        rng = random.Random(name)
        schema = ITEMS.__class__(name, "public.items", ITEMS.columns, ITEMS.key)
        for at in range(1, 40):
            await log.append(name, [put(at, 1, schema=schema)])
            await asyncio.sleep(rng.random() * 0.002)

    async with asyncio.timeout(TIMEOUT_S):
        results = await asyncio.gather(*(write(n) for n in names), *(following(log, 0, 39, source=n) for n in names))

    for appends in results[len(names) :]:
        assert appends is not None
        assert [c.position.major for c in changes_of(appends)] == list(range(1, 40))


async def test_reading_starts_at_an_offset_and_stops_at_a_limit(connect: Connect) -> None:
    log = await opened(connect)
    for at in range(0, 30, 3):
        await log.append("shop", [put(at + 1, n) for n in range(3)])

    assert [x.offset for x in await log.read(ITEMS_TOPIC, 0, 10, 5)] == [10, 11, 12, 13, 14]
    assert [x.offset for x in await log.read(ITEMS_TOPIC, 0, 28, 50)] == [28, 29]
    assert await log.read(ITEMS_TOPIC, 0, 30, 5) == []
    assert await log.read(ITEMS_TOPIC, 1, 0, 5) == []
    assert await log.read("shop.public.nothing", 0, 0, 5) == []


async def test_trimming_forgets_what_is_old_and_applied_by_all(connect: Connect) -> None:
    log = await opened(connect)
    for at in range(1, 6):
        await log.append("shop", [put(at, 1), put(at, 2, minor=1)])
    await asyncio.sleep(0.02)
    between = now_us()
    await asyncio.sleep(0.02)
    await log.append("shop", [put(6, 1), put(6, 2, minor=1)])

    assert await log.trim(between, {"shop": 0}) == 0, "nobody has applied anything"
    assert await log.trim(between, {"other": 9}) == 0, "a source that is not named keeps all"
    assert await log.trim(EPOCH, {"shop": 6}) == 0, "nothing is that old"
    assert await log.trim(between, {"shop": 3}) == 6
    assert await log.trim(between, {"shop": 3}) == 0

    extent = (await extents(log))[ITEMS_TOPIC, 0]
    assert (extent.first, extent.next, extent.changes) == (6, 12, 12)
    assert [x.offset for x in await log.read(ITEMS_TOPIC, 0, 0, 100)] == [6, 7, 8, 9, 10, 11]
    assert [x.offset for x in await log.read(ITEMS_TOPIC, 0, 9, 2)] == [9, 10]
    assert await log.trim(between, {"shop": 6}) == 4, "the last append is younger"
    another = await opened(connect)
    assert [c.position.major for c in changes_of(await following(another, 5, 2))] == [6, 6]
    await another.append("shop", [put(7, 1)])
    assert [offset for offset, _ in await whole(another, ITEMS_TOPIC)] == [10, 11, 12], "offsets go on"


async def test_the_writers_process_reads_what_any_other_reads(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was appended lately it may have in memory: from whatever offset, that must not be seen."""
    monkeypatch.setattr(tail, "TAIL_CHANGES", 60)
    chance = random.Random(4)
    log, other = await opened(connect, partitions=3), await connect()
    for at in range(1, 60):
        rows = [put(at, chance.randrange(40), minor=m) for m in range(1, chance.randrange(1, 9))]
        ends = [truncate(at, minor=20)] if at % 7 == 0 else []
        await log.append("shop", [*rows, *ends], {"at": b"%d" % at})
        await log.append("shop", [put(at, 1, schema=ORDERS, minor=30)] if at % 3 else [], {"at": b""})
    ends = {place: extent.next for place, extent in (await extents(log)).items()}
    assert len(ends) == 6

    for (topic, partition), end in ends.items():
        for offset in range(end + 2):
            limit = chance.randrange(1, 30)
            expected = await other.read(topic, partition, offset, limit)
            assert await log.read(topic, partition, offset, limit) == expected
            assert len(expected) == min(limit, max(0, end - offset))


async def test_large_changes_are_followed_though_memory_keeps_few_of_them(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents are much larger than rows: what is kept, and what a follower takes at once, goes by their size too."""
    monkeypatch.setattr(tail, "TAIL_BYTES", 3_000)
    monkeypatch.setattr(postgres, "READ_AHEAD_BYTES", 2_000)
    log = await opened(connect)
    texts = [str(n) * 1000 for n in range(9)]
    for at, text in enumerate(texts, 1):
        await log.append("shop", [put(at, at, text)])

    taken: list[int] = []
    seen: list[str] = []
    async with asyncio.timeout(TIMEOUT_S), aclosing(log.follow("shop", 0)) as stream:
        async for appends in stream:
            taken.append(len(appends))
            seen += [str(c.after[1]) for a in appends for c in a.changes if c.after]
            if len(seen) == len(texts):
                break

    assert seen == texts
    assert isinstance(log, MemoryLog) or max(taken) <= 4


async def test_waiting_for_what_another_process_wrote_ends_at_once(connect: Connect) -> None:
    earlier = await opened(connect)
    await earlier.append("shop", [put(1, 1), put(1, 2, minor=1)])

    log = await opened(connect)

    async with asyncio.timeout(TIMEOUT_S):
        await log.wait(ITEMS_TOPIC, 0, 1)
    waiting = asyncio.create_task(log.wait(ITEMS_TOPIC, 0, 2))
    await log.append("shop", [put(2, 3)])
    async with asyncio.timeout(TIMEOUT_S):
        await waiting
    assert [x.offset for x in await log.read(ITEMS_TOPIC, 0, 0, 9)] == [0, 1, 2]


async def test_waiting_ends_when_the_offset_is_there(connect: Connect) -> None:
    log = await opened(connect)
    waiting = asyncio.create_task(log.wait(ITEMS_TOPIC, 0, 1))
    await log.append("shop", [put(1, 1, schema=ORDERS)])
    await log.append("shop", [put(2, 1)])
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the topic holds offset 0 only"

    await log.append("shop", [put(3, 1)])

    async with asyncio.timeout(TIMEOUT_S):
        await waiting
        await log.wait(ITEMS_TOPIC, 0, 0)
    with pytest.raises(NotFound):
        await log.wait("nobody.public.items", 0, 0)


async def test_what_was_appended_before_a_sync_is_there_for_another(connect: Connect) -> None:
    log = await opened(connect)
    await log.append("shop", [put(1, 1)])

    await log.sync()

    assert len(await whole(await connect(), ITEMS_TOPIC)) == 1

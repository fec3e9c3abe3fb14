"""The push source alone: order, once each, what a crash leaves, what it forgets, and how much it lets wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from headrace.change import Op, Position, Style
from headrace.envelopes import Hints
from headrace.errors import ConfigError, SourceError
from headrace.inbox import LISTED, Inbox, InboxFull, Item, Receipt, read_item
from headrace.sources import Source, SourceSettings
from headrace.sources.push import open as open_source
from headrace.sources.push import source as push_source
from headrace.sources.push.address import Options, options_of
from headrace.sources.push.source import PushSource
from tests.memory_log import MemoryLog

DAY_US = 24 * 3600 * 1_000_000


def item(index: int, n: int | None = None, *, op: str = "upsert", event: str = "") -> Item:
    """A row of table t whose key is n."""
    number = index if n is None else n
    record: dict[str, object] = {"op": op, "table": "t", "key": {"id": number}}
    if op == "upsert":
        record["row"] = {"id": number, "text": f"at {index}"}
    read = read_item(index, json.dumps(record).encode(), Hints())
    return replace(read, id=event)


def bad(index: int) -> Item:
    return read_item(index, b'{"op": "upsert"', Hints())


def incomplete(index: int, *, whole: bool) -> Item:
    """An update of a row with a large value, which PostgreSQL did not send again."""
    after = {"id": 1, "big": "text" if whole else "__debezium_unavailable_value"}
    record = {"op": "u", "source": {"table": "t", "connector": "postgresql"}, "after": after}
    return read_item(index, json.dumps(record).encode(), Hints(key=("id",)))


class Driven:
    """A source, the log that its stream fills, and a reader as the engine is one."""

    def __init__(self, log: MemoryLog | None = None, options: Options | None = None) -> None:
        self.log = log or MemoryLog()
        self.source = PushSource("crm", options or Options())
        self.let = asyncio.Event()
        self.let.set()

    async def read(self) -> None:
        async with contextlib.aclosing(self.source.stream(self.log.resume)) as steps:
            async for captured in steps:
                await self.let.wait()
                self.log.append(captured)

    async def send(self, *items: Item, key: str = "", digest: bytes = b"d", last: bool = True) -> Receipt:
        async with self.source.push(key) as push:
            return push.receipt or await push.put(items, digest, last=last)


@contextlib.asynccontextmanager
async def driven(log: MemoryLog | None = None, options: Options | None = None) -> AsyncGenerator[Driven]:
    made = Driven(log, options)
    reading = asyncio.create_task(made.read())
    await made.source.head()
    try:
        yield made
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await made.source.close()


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.accepted, receipt.duplicates, receipt.ignored, receipt.rejections


# ---- the port --------------------------------------------------------------------------------------------------------


def test_the_address_opens_it() -> None:
    opened = open_source(SourceSettings("crm", "push:", "me"))

    assert isinstance(opened, Inbox)
    assert (opened.name, opened.kind, opened.style, opened.address) == ("crm", "push", Style.NUMBER, "push:")
    source: Source = opened
    assert source.snapshot is None


@pytest.mark.parametrize("url", ["push:", "push://", "push:?keep=2d&inbox=5"])
def test_addresses(url: str) -> None:
    assert options_of(url) == (Options(2 * DAY_US, 5) if "?" in url else Options())


@pytest.mark.parametrize("url", ["push://host", "push:/path", "push:?kep=1d", "push:?inbox=0", "push:?keep=0s"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError):
        options_of(url)


async def test_changes_come_in_order_with_growing_positions() -> None:
    async with driven() as run:
        receipts = [await run.send(item(0), item(1)), await run.send(item(0, 5), item(1, 6, op="delete"))]

        assert [c.key for c in run.log.changes] == [(0,), (1,), (5,), (6,)]
        assert [c.position.minor for c in run.log.changes] == [0, 1, 0, 1]
        assert receipts[0].position == run.log.changes[1].position
        assert receipts[1].position == run.log.frontier == await run.source.head()
        assert {c.schema.topic for c in run.log.changes} == {"crm.t"}


async def test_the_head_is_what_the_log_had_before_a_restart() -> None:
    async with driven() as first:
        receipt = await first.send(item(0))
    async with driven(first.log) as second:
        assert await second.source.head() == receipt.position

        later = await second.send(item(1))

        assert later.position > receipt.position


async def test_positions_grow_though_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog()
    log.position = Position(2**62)
    async with driven(log) as run:
        receipt = await run.send(item(0))

    assert receipt.position.major > 2**62


async def test_a_time_of_the_future_is_a_wrong_clock() -> None:
    record = b'{"op":"delete","table":"t","key":{"id":1},"at":"2999-01-01T00:00:00Z"}'
    async with driven() as run:
        await run.send(read_item(0, record, Hints()))

        assert run.log.changes[0].committed_at < run.log.changes[0].position.major + 1_000_000


async def test_records_that_change_nothing_are_told_apart() -> None:
    async with driven() as run:
        receipt = await run.send(item(0), read_item(1, b"null", Hints()), bad(2), key="k")

        assert counts(receipt) == (1, 0, 1, 1)
        assert [r.index for r in receipt.rejected] == [2]
        assert [(r.topic, r.key) for r in run.log.rejected] == [("crm", "k#2")]
        assert json.loads(run.log.rejected[0].record) == {"record": '{"op": "upsert"'}


async def test_so_many_rejected_are_listed_and_all_are_counted() -> None:
    async with driven() as run:
        receipt = await run.send(*map(bad, range(LISTED + 5)))

        assert (receipt.rejections, len(receipt.rejected)) == (LISTED + 5, LISTED)
        assert len(run.log.rejected) == LISTED + 5


async def test_a_push_of_nothing_is_answered() -> None:
    async with driven() as run:
        assert counts(await run.send()) == (0, 0, 0, 0)


# ---- once each -------------------------------------------------------------------------------------------------------


async def test_a_key_answers_as_the_first_time() -> None:
    async with driven() as run:
        first = await run.send(item(0), bad(1), key="k")

        async with run.source.push("k") as push:
            assert push.receipt == first
            assert push.digest == b"d"
        assert len(run.log.changes) == 1
    async with driven(run.log) as restarted, restarted.source.push("k") as push:
        assert push.receipt == first


async def test_a_push_that_broke_off_goes_on_behind_what_came_in() -> None:
    async with driven() as run, run.source.push("k") as push:
        await push.put([item(0), item(1)], b"half", last=False)
    async with driven(run.log) as restarted, restarted.source.push("k") as push:
        assert (push.done, push.digest, push.receipt) == (2, b"half", None)

        receipt = await push.put([item(2)], b"all", last=True)

        assert counts(receipt) == (3, 0, 0, 0)
        assert [c.key for c in restarted.log.changes] == [(0,), (1,), (2,)]


async def test_an_events_id_comes_in_once_whichever_push_brings_it() -> None:
    async with driven() as run:
        first = await run.send(item(0, event="a"), item(1, event="b"), item(2, event="a"))
        again = await run.send(item(0, event="b"), item(1, event="c"))

        assert (counts(first), counts(again)) == ((2, 1, 0, 0), (1, 1, 0, 0))
    async with driven(run.log) as restarted:
        assert counts(await restarted.send(item(0, event="c"))) == (0, 1, 0, 0)
        assert len(restarted.log.changes) == 3


async def test_two_pushes_of_one_event_at_once() -> None:
    async with driven() as run:
        found = await asyncio.gather(*(run.send(item(0, event="a")) for _ in range(5)))

        assert sorted(counts(r) for r in found) == [(0, 1, 0, 0)] * 4 + [(1, 0, 0, 0)]
        assert len(run.log.changes) == 1


async def test_two_pushes_with_one_key_take_turns() -> None:
    async with driven() as run:
        found = await asyncio.gather(*(run.send(item(0), key="k") for _ in range(5)))

        assert len(set(map(counts, found))) == 1
        assert len(run.log.changes) == 1


async def test_a_sender_that_goes_away_leaves_all_or_nothing() -> None:
    async with driven() as run:
        run.let.clear()
        sending = [asyncio.create_task(run.send(item(0), key="k")) for _ in range(2)]
        await asyncio.sleep(0.01)
        sending[0].cancel()
        await asyncio.sleep(0.01)
        assert not sending[1].done()  # what was on its way is not known yet
        run.let.set()

        with contextlib.suppress(asyncio.CancelledError):
            await sending[0]
        async with run.source.push("k") as push:
            assert push.done == len(run.log.changes) == 1


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_a_crash_takes_with_it_nothing_is_lost_or_doubled(seed: int) -> None:
    """Pushes in parts, each with its key, cut off at any append, and sent again until they are answered."""
    dice = random.Random(seed)
    log = MemoryLog()
    wanted: list[int] = []
    for n in range(10):
        body = [item(i, 100 * n + i, event=f"{n}-{i}" if n % 2 else "") for i in range(dice.randint(1, 9))]
        wanted += [100 * n + i for i in range(len(body))]
        on_disk = len(log.steps)
        while True:
            async with driven(log) as run:
                answered = await pushed(run, f"k{n}", body, dice)
            if answered and dice.random() < 0.6:
                break
            log = log.crashed(dice.randint(on_disk, len(log.steps)))
    assert [c.key[0] for c in log.changes] == wanted


async def pushed(run: Driven, key: str, body: Sequence[Item], dice: random.Random) -> bool:
    """Sends what is left of a body in parts of any size; False when the sender broke off between two of them."""
    async with run.source.push(key) as push:
        receipt, done = push.receipt, push.done
        assert push.digest == (f"{key} {done}".encode() if done else b"")
        while receipt is None or receipt.records < len(body):
            if dice.random() < 0.2:
                return False
            part = body[done : done + dice.randint(1, 4)]
            done += len(part)
            receipt = await push.put(part, f"{key} {done}".encode(), last=done == len(body))
        assert counts(receipt) == (len(body), 0, 0, 0)
    return True


# ---- bounds ----------------------------------------------------------------------------------------------------------


async def test_a_full_inbox_says_so_and_takes_more_when_it_is_not() -> None:
    async with driven(options=Options(inbox=3)) as run:
        run.let.clear()
        waiting = asyncio.create_task(run.send(*map(item, range(3))))
        await asyncio.sleep(0.01)

        with pytest.raises(InboxFull) as caught:
            await run.send(item(0))
        run.let.set()
        await waiting

        assert caught.value.status == 429
        assert counts(await run.send(item(0))) == (1, 0, 0, 0)


async def test_no_more_than_so_many_pushes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_source, "MOST_PUSHES", 1)
    async with driven() as run, run.source.push(""):
        with pytest.raises(InboxFull):
            await run.send(item(0))


async def test_nobody_takes_changes_in() -> None:
    source = PushSource("crm", Options())
    with pytest.raises(SourceError):
        async with source.push(""):
            pass
    async with driven() as run:
        run.let.clear()
        waiting = asyncio.create_task(run.send(item(0)))
        await asyncio.sleep(0.01)
    with pytest.raises(SourceError):
        await waiting
    with pytest.raises(SourceError):
        await run.source.head()


# ---- dead letters ----------------------------------------------------------------------------------------------------


async def test_a_row_with_a_value_left_out_is_refused_until_it_comes_whole() -> None:
    async with driven() as run:
        refused = await run.send(incomplete(0, whole=False))
        assert counts(refused) == (0, 0, 0, 1)
        assert "big" in refused.rejected[0].got
        assert [(r.topic, r.key) for r in run.log.rejected] == [("crm.t", "1")]
    async with driven(run.log) as restarted:
        await restarted.send(incomplete(0, whole=True))

        assert [s for step in restarted.log.steps for s in step.settled] == [("crm.t", "1")]


async def test_a_dead_letter_again() -> None:
    async with driven() as run:
        await run.send(bad(0), key="k")
        (rejected,) = run.log.rejected

        assert await run.source.again(rejected.topic, rejected.key, rejected.record)
        assert await run.source.again("crm", "k#0", b'{"record":"{\\"op\\":\\"truncate\\",\\"table\\":\\"t\\"}"}')

        assert [(r.topic, r.key) for r in run.log.rejected] == [("crm", "k#0")] * 2  # failed once more
        assert run.log.changes[-1].op is Op.TRUNCATE
        assert run.log.steps[-1].settled == [("crm", "k#0")]
        assert not await run.source.retry("crm", "k#0")


# ---- forgetting ------------------------------------------------------------------------------------------------------


async def test_keys_and_ids_are_forgotten_after_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    began = 1_795_000_000_000_000
    now = began
    monkeypatch.setattr(push_source, "now_us", lambda: now)
    log = MemoryLog()
    most = 0
    for hour in range(60):
        now = began + hour * DAY_US // 24
        async with driven(log, Options(keep_us=DAY_US)) as run:
            await run.send(*(item(i, event=f"{hour}-{i}") for i in range(20)), key=f"k{hour}")
            for recent in range(max(0, hour - 23), hour):
                async with run.source.push(f"k{recent}") as push:
                    assert push.receipt is not None
        most = max(most, len(log.state.values))
    assert most < 22 * 32  # of 60 * 22
    async with driven(log) as run:
        async with run.source.push("k0") as push:
            assert push.receipt is None
        assert counts(await run.send(item(0, event="0-0"), item(1, event="59-0"))) == (1, 1, 0, 0)

"""The embedded engine over a real store: a scripted source, a log in memory, the real operators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from headrace.change import START, Change, Op, Position, Style
from headrace.engines.embedded import EmbeddedEngine
from headrace.errors import BadInput, BadRequest, HeadraceError, NotFound, SourceError, StoreError
from headrace.inbox import Item
from headrace.knowledge.operator import KNOWLEDGE, Knowledge
from headrace.knowledge.rows import row_template
from headrace.log import Append, Log
from headrace.log.memory import Memory, MemoryLog, MemoryState
from headrace.models import Vectors
from headrace.operators import OVERTAKING
from headrace.profiles.operator import Profiles
from headrace.profiles.rules import RecordRule
from headrace.sources import Captured, Rejected, Resume, SnapshotProgress, Source, SourceSettings
from headrace.sources.push.address import Options
from headrace.sources.push.source import PushSource
from headrace.sources.uploads.source import UploadSource
from headrace.stores import Store
from headrace.uploads import Only
from tests.contract.stored import DIMENSIONS, new_store, profiles, texts, vector
from tests.making import EPOCH, ITEMS, ORDERS, change, put
from tests.memory_log import eventually
from tests.servers import FreshDatabases
from tests.unit.test_chunk import tokenizer

SOON_S = 60


class Scripted:
    """Implements `headrace.sources.Source`: gives what a test commits."""

    name, kind, style, address = "shop", "scripted", Style.NUMBER, "scripted:"

    def __init__(self) -> None:
        self.problem: HeadraceError | None = None
        self.snapshot: SnapshotProgress | None = None
        self.acked: list[Position] = []
        self.resumed: list[Position] = []
        self.rereads = True
        self._head = START
        self._steps: asyncio.Queue[Captured | SourceError] = asyncio.Queue()

    def commit(self, *changes: Change, rejected: Sequence[Rejected] = (), at: int | None = None) -> None:
        self._head = max(self._head, Position(at) if at else changes[-1].position)
        self._steps.put_nowait(Captured(self._head, changes, rejected=rejected))

    def fail(self, error: SourceError) -> None:
        self._steps.put_nowait(error)

    async def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        self.resumed.append(resume.position)
        self._head = max(self._head, resume.position)
        yield Captured(resume.position)
        while True:
            step = await self._steps.get()
            if isinstance(step, SourceError):
                raise step
            yield step

    async def ack(self, position: Position) -> None:
        self.acked.append(position)

    async def head(self) -> Position:
        return self._head

    async def retry(self, topic: str, key: str) -> bool:
        del topic, key
        return self.rereads

    async def close(self) -> None:
        """Nothing is open."""


class Embedder:
    """Implements `headrace.models.Embedder`; background work waits at the gate."""

    id, dimensions, max_tokens = "gated", DIMENSIONS, 256

    def __init__(self) -> None:
        self.tokenizer = tokenizer()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        if any("refuse" in t for t in texts):
            raise BadInput(step="embed", expected="other words", got="refuse", remedy="Choose others.")
        return np.array([vector(t) for t in texts], np.float32)

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text).ids)

    async def close(self) -> None:
        """Nothing is open."""


class World:
    """What outlives an engine: store, log, source and embedder."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.memory = Memory()
        self.source = Scripted()
        self.embedder = Embedder()

    async def engine(self, *others: Source, log: Log | None = None) -> EmbeddedEngine:
        """Of the scripted source and others."""
        rows = {ITEMS.topic: row_template(ITEMS.topic, "word {{ name }}")}
        knowledge = Knowledge(frozenset(), rows, self.embedder, self.store.work)
        people = Profiles({ORDERS.topic: RecordRule(ORDERS.topic, {"id": "id"}, {"item": "item"})}, {})
        log = log or await MemoryLog.connect("", memory=self.memory)
        return EmbeddedEngine([self.source, *others], [knowledge, people], log, self.store)

    @asynccontextmanager
    async def running(self, *others: Source, log: Log | None = None) -> AsyncGenerator[EmbeddedEngine]:
        engine = await self.engine(*others, log=log)
        task = asyncio.create_task(engine.run())
        try:
            started = asyncio.create_task(engine.started.wait())
            await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            if task.done():
                await task
            yield engine
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def world(fresh_database: FreshDatabases) -> AsyncGenerator[World]:
    async with new_store(fresh_database) as store:
        yield World(store)


async def applied(engine: EmbeddedEngine, at: int) -> None:
    missing = await engine.wait({"shop": dict.fromkeys(engine.operators, Position(at))}, SOON_S * 1000)
    assert missing == []


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """For what nothing tells of."""
    async with asyncio.timeout(SOON_S):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def fresh(engine: EmbeddedEngine) -> None:
    async def known() -> bool:
        return engine.marks().freshness(EPOCH)[0] is not None

    await until(known)


async def test_what_is_committed_is_applied_by_every_operator(world: World) -> None:
    async with world.running() as engine:
        world.source.commit(put(1, 1, "a"), put(1, 7, schema=ORDERS, minor=1))
        world.source.commit(put(2, 2, "b"), change(Op.DELETE, 2, 1, minor=1))
        await applied(engine, 2)

    assert await texts(world.store) == {"shop/public.items/2": "word b"}
    assert [p.identifiers for p in (await profiles(world.store)).values()] == [("id:7",)]
    assert {(a.operator, a.number) for a in await world.store.progress()} >= {("knowledge", 2)}


async def test_freshness_is_known_again_after_a_restart_of_an_idle_source(world: World) -> None:
    async with world.running() as engine:
        world.source.commit(put(1, 1, "a"), put(1, 7, schema=ORDERS, minor=1))
        world.source.commit(change(Op.DELETE, 2, 1), put(2, 8, schema=ORDERS, minor=1))
        await applied(engine, 2)
        await fresh(engine)

    async with world.running() as engine:
        await applied(engine, 2)
        await fresh(engine)

    assert world.source.resumed == [START, Position(2, 1)]


async def test_a_delete_does_not_wait_behind_slow_work_and_the_late_work_stays_out(world: World) -> None:
    async def gone() -> bool:
        return "shop/public.items/1" not in await texts(world.store)

    async with world.running() as engine:
        world.source.commit(put(1, 1, "one"), put(1, 2, "two", minor=1))
        await applied(engine, 1)
        world.embedder.gate.clear()
        world.source.commit(put(2, 1, "one, changed"), put(2, 3, "three", minor=1))
        await asyncio.wait_for(world.embedder.waiting.wait(), SOON_S)

        world.source.commit(change(Op.DELETE, 3, 1), change(Op.DELETE, 3, 3, minor=1))
        await until(gone)
        assert await texts(world.store) == {"shop/public.items/2": "word two"}

        world.embedder.gate.set()
        await applied(engine, 3)
        assert await texts(world.store) == {"shop/public.items/2": "word two"}


class Unequal(MemoryLog):
    """Every second of those who follow it hears of an append some rounds of the loop later."""

    rounds = 0
    _followers = 0

    async def follow(self, source: str, after: int) -> AsyncGenerator[Sequence[Append]]:
        self._followers += 1
        late = self._followers % 2 == 0
        async with aclosing(super().follow(source, after)) as stream:
            async for appends in stream:
                for _ in range(self.rounds if late else 0):
                    await asyncio.sleep(0)
                yield appends


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 8])
async def test_a_delete_that_waits_for_nothing_is_applied_once(world: World, rounds: int) -> None:
    """Whenever those who overtake look; what they do shows in the store by a progress of its own."""
    log = await Unequal.connect("", memory=world.memory)
    log.rounds = rounds
    async with world.running(log=log) as engine:
        world.source.commit(*(put(1, n, "one", minor=n) for n in range(1, 11)))
        await applied(engine, 1)
        for n in range(1, 11):
            world.source.commit(change(Op.DELETE, 1 + n, n))
            await applied(engine, 1 + n)

    assert await texts(world.store) == {}
    assert KNOWLEDGE + OVERTAKING not in {a.operator for a in await world.store.progress()}


async def test_one_change_that_fails_costs_itself_only_and_can_be_tried_again(world: World) -> None:
    async with world.running() as engine:
        world.source.commit(put(1, 1, "fine"), put(1, 2, "refuse", minor=1), put(1, 3, "fine too", minor=2))
        await applied(engine, 1)

        (letter,) = await world.store.letters()
        assert (letter.operator, letter.key, letter.failure.remedy) == ("knowledge", "2", "Choose others.")
        assert set(await texts(world.store)) == {"shop/public.items/1", "shop/public.items/3"}
        with pytest.raises(BadInput):
            await engine.retry(letter.id)
        world.source.commit(put(2, 2, "better"))
        await applied(engine, 2)
        assert await world.store.letters() == []
        with pytest.raises(NotFound):
            await engine.retry(letter.id)


async def test_an_input_that_nobody_can_read_again_is_told_so(world: World) -> None:
    error = BadInput(step="read it", expected="text", got="a picture", remedy="Leave it out.")
    rejected = Rejected("shop.files", "a.png", Position(1), EPOCH, error)
    world.source.rereads = False
    async with world.running() as engine:
        world.source.commit(rejected=[rejected], at=1)
        await applied(engine, 1)
        (letter,) = await world.store.letters()

        with pytest.raises(BadRequest, match="cannot"):
            await engine.retry(letter.id)


async def test_a_source_that_fails_is_read_again_from_where_the_log_ends(world: World) -> None:
    async with world.running() as engine:
        world.source.commit(put(5, 1, "a"))
        await applied(engine, 5)
        world.source.fail(SourceError(step="read", expected="rows", got="nothing", remedy="Plug it in."))
        world.source.commit(put(6, 2, "b"))
        await applied(engine, 6)

    assert world.source.resumed == [START, Position(5)]
    assert engine.captured["shop"].errors == 1
    assert set(await texts(world.store)) == {"shop/public.items/1", "shop/public.items/2"}


async def test_a_log_that_was_lost_is_not_gone_on_with(world: World) -> None:
    async with world.running() as engine:
        world.source.commit(put(1, 1, "a"))
        await applied(engine, 1)

    world.memory = Memory()

    with pytest.raises(StoreError, match="Restore the log"):
        await (await world.engine()).run()


async def test_the_log_is_trimmed_by_what_all_operators_have_in_the_store(world: World) -> None:
    async with world.running() as engine:
        assert await engine.settled() == {"shop": 0}
        world.source.commit(put(1, 1, "a"))
        world.source.commit(put(2, 2, "b"), put(2, 7, schema=ORDERS, minor=1))
        await applied(engine, 2)

        assert await engine.settled() == {"shop": 2}


async def test_sources_are_told_what_is_safe(world: World) -> None:
    async def told() -> bool:
        return world.source.acked[-1:] == [Position(1)]

    async with world.running() as engine:
        world.source.commit(put(1, 1, "a"))
        await applied(engine, 1)
        await until(told)


class HeldState(MemoryState):
    """A state that a source gets to read only when a test lets it."""

    def __init__(self, state: Mapping[str, bytes], let: asyncio.Event) -> None:
        super().__init__(state)
        self._let = let
        self.asked = asyncio.Event()

    async def scan(self, prefix: str) -> dict[str, bytes]:
        self.asked.set()
        await self._let.wait()
        return await super().scan(prefix)


class HeldLog(MemoryLog):
    """Whose sources get at their state one by one, by name."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory, 1)
        self.let: dict[str, asyncio.Event] = {}
        self.states: dict[str, HeldState] = {}

    def state(self, source: str) -> MemoryState:
        let = self.let.setdefault(source, asyncio.Event())
        self.states[source] = HeldState(self._memory.sources[source].state, let)
        return self.states[source]


async def test_it_is_ready_when_pushes_and_uploads_are_taken(world: World, tmp_path: Path) -> None:
    log = HeldLog(world.memory)
    pushed = PushSource("pushed", Options())
    uploaded = UploadSource(SourceSettings("uploaded", "upload:", "id", scratch=str(tmp_path)))

    async def pushes() -> None:
        async with pushed.push("") as push:
            assert (await push.put([Item(0)], b"", last=True)).records == 1

    # Given: an engine that runs, whose sources have not read yet what they were left.
    async with world.running(pushed, uploaded, log=log) as engine:
        await asyncio.wait_for(log.states["pushed"].asked.wait(), SOON_S)
        await asyncio.wait_for(log.states["uploaded"].asked.wait(), SOON_S)
        assert not engine.ready
        with pytest.raises(SourceError, match="takes changes in"):
            await pushes()

        # When: one of them has, then the other.
        log.let["uploaded"].set()
        await eventually(lambda: uploaded.taking)
        assert not engine.ready
        log.let["pushed"].set()
        await eventually(lambda: engine.ready)

        # Then: from the first moment on, both take what comes.
        await pushes()
        with pytest.raises(NotFound):
            await uploaded.remove("none", Only())

        # And: one that ends is not ready.
        await pushed.close()
        assert not engine.ready

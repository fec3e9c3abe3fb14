"""Another embedding model: its vectors are built beside, live changes too, and swapped in one step."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pytest
import pytest_asyncio
from tokenizers import Tokenizer

from headrace.answer.remember import Remembered
from headrace.answer.service import Asked, Reader
from headrace.change import Change, Op, Position
from headrace.clock import now_us
from headrace.engines.embedded import EmbeddedEngine
from headrace.errors import ConfigError
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.renewing import Renewal
from headrace.knowledge.rows import row_template
from headrace.knowledge.succession import Serving, Succession
from headrace.knowledge.verifier import Ask, NoWork, Verifier
from headrace.log.memory import Memory, MemoryLog
from headrace.models import Vectors
from headrace.stores.knowledge import Filter
from headrace.stores.migrate import migrate
from headrace.stores.postgres import vector_index
from headrace.stores.postgres.store import PostgresStore
from tests.integration.test_engine import Scripted, applied, until
from tests.integration.test_verify import DOCS, LONG, document
from tests.making import ITEMS, change, put
from tests.servers import FreshDatabases
from tests.unit.test_chunk import tokenizer

TEXTS = {"a.md": "word of apples", "b.md": "word of berries", "c.md": LONG}
"""Their titles stand in their texts, so that a text alone is what is embedded of it."""


class Model:
    """Implements `headrace.models.Embedder`: another vector for each model; waits at its gate."""

    max_tokens = 256

    def __init__(self, id: str, dimensions: int, words: Tokenizer | None = None) -> None:
        self.id, self.dimensions = id, dimensions
        self.tokenizer = words or tokenizer()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.embedded: list[str] = []

    def vector(self, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        seed = int.from_bytes(hashlib.sha256(f"{self.id} {text}".encode()).digest()[:8], "little")
        made = np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32)
        return made / np.float32(np.linalg.norm(made))

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        self.embedded += texts
        return np.array([self.vector(t) for t in texts], np.float32)

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text).ids)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Running:
    store: PostgresStore
    engine: EmbeddedEngine
    renewal: Renewal
    verifier: Verifier
    reader: Reader
    serving: Serving

    async def nearest(self, query: str) -> list[tuple[str, str]]:
        """What is found for a text by its vector alone, and its score: 1 for the text itself."""
        found = self.reader.search(Asked(), query, 3, Filter(), "knowledge")
        async with found as (view, _):
            vector = (await self.serving.embed([query]))[0]
            ranked = await view.snapshot.knowledge.search(np.empty(0, np.int64), vector, 3, Filter())
        return [(p.document, p.text) for p in ranked]

    async def equal(self) -> bool:
        report = await self.verifier.run(Ask(source=False), lambda _: None)
        assert report.equal, report
        return True


@dataclass
class World:
    """What outlives a Headrace."""

    dsn: str
    memory: Memory = field(default_factory=Memory)
    source: Scripted = field(default_factory=Scripted)

    @asynccontextmanager
    async def running(self, configured: Model, before: Model | None = None) -> AsyncGenerator[Running]:
        """As the app brings it up: `before` is what can be opened of the model whose vectors are there."""
        known = await PostgresStore.model(self.dsn)
        serving = Serving(before if before is not None and known is not None and known[0] == before.id else configured)
        store = await PostgresStore.open(
            self.dsn, model=serving.id, dimensions=serving.dimensions, rules=[], address="at " + serving.id
        )
        log = await MemoryLog.connect("", memory=self.memory)
        rows = {ITEMS.topic: row_template(ITEMS.topic, "word {{ name }}")}

        def knowing(work: NoWork | None = None) -> Knowledge:
            return Knowledge(frozenset({"shop"}), rows, serving, work or store.work)

        knowledge = knowing()
        await store.keep_chains({c.key: c.to_json() for c in knowledge.chains.values()})
        engine = EmbeddedEngine([self.source], [knowledge], log, store)
        turn = engine.turns["knowledge"]
        verifier = Verifier(knowing(NoWork()), log, store, engine.sources, engine, turn, engine.started.is_set)
        renewal = Renewal(knowing(), log, store, engine.sources, turn, lambda: engine.busy("knowledge"))
        if serving.now is configured:
            await store.beside.cancel()
        else:
            renewal.succession = Succession(
                store, serving, configured, "at " + configured.id, turn, lambda: verifier.running is None,
                renewal.give_way,
            )  # fmt: skip
        reader = Reader(store, Remembered(serving), engine, 0)
        task = asyncio.create_task(engine.run())
        try:
            await engine.started.wait()
            yield Running(store, engine, renewal, verifier, reader, serving)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.close()

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def widths(self) -> dict[int, int]:
        return dict(await self.rows("select vector_dims(vector), count(*) from chunk_vectors group by 1"))

    async def indexes(self) -> set[str]:
        found = await self.rows("select indexname from pg_indexes where tablename like 'chunk_vectors%'")
        return {row[0] for row in found}

    async def schema(self, dimensions: int) -> set[str]:
        """Everything that the table of vectors is, but for how many dimensions it is for."""
        found = await self.rows(
            "select indexdef from pg_indexes where tablename = 'chunk_vectors' union all"
            " select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = 'chunk_vectors'::regclass union all"
            " select concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcollation,"
            " pg_get_expr(adbin, adrelid))"
            " from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum"
            " where attrelid = 'chunk_vectors'::regclass and attnum > 0"
        )
        return {row[0].replace(str(dimensions), "N") for row in found}

    async def beside(self) -> bool:
        return bool((await self.rows("select to_regclass('chunk_vectors_next') is not null"))[0][0])


@pytest_asyncio.fixture
async def world(fresh_database: FreshDatabases) -> World:
    dsn = await fresh_database()
    await migrate(dsn)
    return World(dsn)


@asynccontextmanager
async def background(renewal: Renewal) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(renewal.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fill(world: World, model: Model) -> None:
    async with world.running(model) as made:
        for n, (path, text) in enumerate(TEXTS.items(), start=1):
            world.source.commit(document(n, path, text))
        world.source.commit(put(4, 1, "of cherries"), at=4)
        await applied(made.engine, 4)


async def swapped(made: Running) -> None:
    async with background(made.renewal), asyncio.timeout(60):
        await made.renewal.ended.wait()


@pytest.mark.parametrize("dimensions", [16, 24])
async def test_another_model_takes_over_in_one_step(world: World, dimensions: int) -> None:
    old, new = Model("old", 16), Model("new", dimensions)
    await fill(world, old)
    before = await world.schema(16)
    async with world.running(new, old) as made:
        # given a model that is still being built: the one before answers
        new.gate.clear()
        async with background(made.renewal):
            await new.waiting.wait()
            assert made.serving.id == "old"
            assert (await made.nearest("word of apples"))[0][0] == "shop/a.md"
            assert await made.equal()
            # when it is whole
            new.gate.set()
            async with asyncio.timeout(60):
                await made.renewal.ended.wait()
        # then it answers, and nothing is left of the other
        assert made.serving.id == "new"
        assert (await made.nearest("word of berries"))[0][0] == "shop/b.md"
        assert await made.equal()
        assert set(await world.widths()) == {dimensions}
        assert not await world.beside()
        assert await world.schema(dimensions) == before
        world.source.commit(document(9, "d.md", "word of dates"))
        await applied(made.engine, 9)
        assert (await made.nearest("word of dates"))[0][0] == "shop/d.md"
    async with world.running(new) as made:
        assert made.renewal.succession is None
        assert (await made.nearest("word of dates"))[0][0] == "shop/d.md"
        assert await made.equal()


async def test_live_changes_go_to_both_and_deletes_come_back_in_neither(world: World) -> None:
    old, new = Model("old", 16), Model("new", 8)
    await fill(world, old)
    async with world.running(new, old) as made:
        new.gate.clear()
        async with background(made.renewal):
            await new.waiting.wait()
            world.source.commit(document(10, "a.md", "word of avocados"))
            world.source.commit(document(11, "e.md", "word of elderberries"))
            world.source.commit(Change(DOCS, Op.DELETE, Position(12), now_us(), 12, ("b.md",), None, None))
            world.source.commit(change(Op.DELETE, 13, 1))
            await applied(made.engine, 13)
            assert (await made.nearest("word of elderberries"))[0][0] == "shop/e.md", "live changes are served at once"
            new.gate.set()
            async with asyncio.timeout(60):
                await made.renewal.ended.wait()
        assert [(await made.nearest(f"word of {w}"))[0][1] for w in ("avocados", "elderberries")] == [
            "word of avocados", "word of elderberries"
        ]  # fmt: skip
        assert "shop/b.md" not in [d for d, _ in await made.nearest("word of berries")]
        assert await made.equal()


async def test_what_is_prepared_by_the_model_before_is_prepared_again(world: World) -> None:
    old, new = Model("old", 16), Model("new", 8)
    await fill(world, old)
    async with world.running(new, old) as made, background(made.renewal):
        new.gate.clear()
        await new.waiting.wait()
        old.gate.clear()
        world.source.commit(document(10, "l.md", "word of limes"))
        await old.waiting.wait()  # a change waits for its vector
        new.gate.set()
        async with asyncio.timeout(60):
            await made.renewal.ended.wait()
        old.gate.set()
        await applied(made.engine, 10)
        assert (await made.nearest("word of limes"))[0] == ("shop/l.md", "word of limes")
        assert set(await world.widths()) == {8}
        assert await made.equal()


async def test_a_reader_inside_is_waited_for_and_one_that_stays_puts_the_swap_off(world: World) -> None:
    old, new = Model("old", 16), Model("new", 8)
    await fill(world, old)
    async with world.running(new, old) as made:
        async with made.store.snapshot() as snapshot, background(made.renewal):

            async def whole() -> bool:
                succession = made.renewal.succession
                return succession is not None and (p := succession.progress).done == p.total and p.done > 0

            await until(whole)
            await asyncio.sleep(1)  # it has tried by now; that it could not is shown by what this reader reads
            found = await snapshot.knowledge.search(np.empty(0, np.int64), old.vector("word of apples"), 1, Filter())
            assert [p.document for p in found] == ["shop/a.md"]
            assert made.serving.id == "old"
        await swapped(made)
        assert made.serving.id == "new"


@pytest.mark.parametrize("pages", range(4))
async def test_ended_in_the_middle_it_goes_on_with_what_is_there(world: World, pages: int) -> None:
    old, new = Model("old", 16), Model("new", 8)
    await fill(world, old)
    (total,) = [n for _, n in (await world.widths()).items()]
    async with world.running(new, old) as made:
        succession = made.renewal.succession
        assert succession is not None
        await made.store.beside.begin("new")
        bare = await made.store.beside.bare(-1, 1 + 2 * pages)
        await made.store.beside.fill([c.chunk for c in bare], await new.embed(["x"] * len(bare)))
    new.embedded.clear()
    async with world.running(new, old) as made:
        await swapped(made)
        assert made.serving.id == "new"
        assert len(new.embedded) == total - len(bare), "what was there is not made again"
        assert await made.equal()


async def test_going_back_in_the_middle_cancels_and_a_third_model_starts_anew(world: World) -> None:
    old, new, third = Model("old", 16), Model("new", 8), Model("third", 4)
    await fill(world, old)
    async with world.running(new, old) as made:
        await made.store.beside.begin("new")
        bare = await made.store.beside.bare(-1, 3)
        await made.store.beside.fill([c.chunk for c in bare], await new.embed(["x"] * len(bare)))
    async with world.running(third, old) as made:
        await made.store.beside.begin("third")
        assert (await made.store.beside.counts())[0] == 0
    assert await world.beside()
    async with world.running(old) as made:
        assert not await world.beside()
        assert (await made.nearest("word of apples"))[0][0] == "shop/a.md"
        assert await made.equal()
    async with world.running(third, old) as made:
        await swapped(made)
        assert set(await world.widths()) == {4}


async def test_a_model_that_cuts_otherwise_has_its_documents_cut_anew_behind_the_swap(world: World) -> None:
    words = tokenizer()
    other = Tokenizer.from_str(words.to_str())
    other.add_tokens(["stands here."])  # pyright: ignore[reportUnknownMemberType]
    old, new = Model("old", 16), Model("new", 8, other)
    await fill(world, old)
    async with world.running(new, old) as made:
        await swapped(made)
        assert made.renewal.now.changed == {"shop": ["chunk"], ITEMS.topic: ["chunk"]}
        assert made.renewal.now.left == {}
        assert await made.equal()


async def test_an_index_is_built_before_it_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "EXACT_CHUNKS", 4)
    old, new = Model("old", 16), Model("new", 8)
    await fill(world, old)
    async with world.running(new, old) as made:
        while await made.store.compact():  # type: ignore[func-returns-value]
            pass
        await swapped(made)
        assert (await world.rows("select bool_and(indexed) from chunk_vectors where open"))[0][0]
        assert "chunk_vectors_present_8" in await world.indexes()
        assert (await made.nearest("word of berries"))[0][0] == "shop/b.md"
        world.source.commit(document(20, "n.md", "word of nuts"))
        await applied(made.engine, 20)
        assert (await made.nearest("word of nuts"))[0][0] == "shop/n.md"
        assert await made.equal()

        # and the next index that is built after a load is one of the new model's vectors
        monkeypatch.setattr(vector_index, "MANY", 1)
        monkeypatch.setattr(vector_index, "DEARER", 100)
        await made.store.index(loaded=True)
        assert [n for n in await world.indexes() if n.startswith("chunk_vectors_present_8_")]
        assert "chunk_vectors_present_8" not in await world.indexes()
        assert (await made.nearest("word of nuts"))[0][0] == "shop/n.md"


async def test_vectors_of_a_model_that_is_gone_are_told(world: World) -> None:
    await fill(world, Model("old", 16))
    with pytest.raises(ConfigError, match="old"):
        async with world.running(Model("new", 8)):
            pass
    assert await PostgresStore.model(world.dsn) == ("old", "at old")

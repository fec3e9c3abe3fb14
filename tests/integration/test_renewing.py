"""What other settings made is made anew in the background: exactly what a fresh build would be, live changes first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from headrace.change import Change, Op, Position
from headrace.engines.embedded import EmbeddedEngine
from headrace.knowledge import parse
from headrace.knowledge.chain import Settings
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.renewing import BATCH, Renewal
from headrace.knowledge.report import Report
from headrace.knowledge.rows import row_template
from headrace.knowledge.verifier import Ask, NoWork, Verifier
from headrace.log import Logged
from headrace.log.memory import Memory, MemoryLog
from headrace.models import Vectors
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.rules import Rules
from headrace.stores import AsOf
from headrace.stores.migrate import migrate
from headrace.stores.postgres.store import PostgresStore
from headrace.token import Token
from tests.contract.stored import open_store
from tests.integration.test_engine import Embedder, Scripted, applied, until
from tests.integration.test_verify import DOCS, LONG, document
from tests.integration.test_verify import served as everything
from tests.making import ITEMS, change, put
from tests.servers import FreshDatabases

SECRET = "ada@example.com"
LONG_ID, NOTE = "shop/long.md", "shop/note.md"


@dataclass(frozen=True, slots=True)
class Steps:
    """What may change between two starts."""

    template: str = "word {{ name }}"
    chunk_tokens: int = 200
    redact: bool = False
    metadata: tuple[str, ...] = ()


class Counting(Embedder):
    """How many texts were embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        self.embedded += texts
        return await super().embed(texts, background=background)


class Read(MemoryLog):
    """A log that counts how often it is read from some place."""

    reads = 0

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Logged]:
        self.reads += 1
        return await super().read(topic, partition, offset, limit)


class Folder(Scripted):
    """A source that reads its documents again when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def retry(self, topic: str, key: str) -> bool:
        self.asked.append(key)
        return True

    async def standing(self) -> AsyncGenerator[Sequence[tuple[str, str | None]]]:
        yield []

    async def stands(self, key: str) -> str | None:
        del key
        return None


@dataclass
class Running:
    engine: EmbeddedEngine
    verifier: Verifier
    renewal: Renewal
    log: Read

    async def verify(self) -> Report:
        return await self.verifier.run(Ask(source=False), lambda _: None)


@dataclass
class World:
    """What outlives a Headrace."""

    store: PostgresStore
    dsn: str
    memory: Memory = field(default_factory=Memory)
    source: Scripted = field(default_factory=Scripted)
    embedder: Counting = field(default_factory=Counting)

    def knowledge(self, steps: Steps, work: NoWork | None = None) -> Knowledge:
        rows = {ITEMS.topic: row_template(ITEMS.topic, steps.template, metadata=steps.metadata)}
        redactors = {"shop": Redactor([Rules()], Policy({}))} if steps.redact else {}
        settings = Settings(chunk_tokens=steps.chunk_tokens)
        work_ = work or self.store.work
        return Knowledge(frozenset({"shop"}), rows, self.embedder, work_, None, redactors, settings)

    @asynccontextmanager
    async def running(self, steps: Steps, most: int = 1000) -> AsyncGenerator[Running]:
        log = Read(self.memory, 1)
        knowledge = self.knowledge(steps)
        await self.store.keep_chains({c.key: c.to_json() for c in knowledge.chains.values()})
        engine = EmbeddedEngine([self.source], [knowledge], log, self.store)
        turn = engine.turns["knowledge"]
        started = engine.started.is_set
        verifier = Verifier(self.knowledge(steps, NoWork()), log, self.store, engine.sources, engine, turn, started)
        renewal = Renewal(
            self.knowledge(steps), log, self.store, engine.sources, turn, lambda: engine.busy("knowledge"), most
        )
        task = asyncio.create_task(engine.run())
        try:
            await engine.started.wait()
            yield Running(engine, verifier, renewal, log)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            cursor = await connection.execute(query.encode())
            return await cursor.fetchall() if cursor.description else []

    async def versions(self) -> dict[str, int]:
        return dict(await self.rows("select document, version_id from document_versions where closed_at is null"))


@asynccontextmanager
async def new_world(databases: FreshDatabases) -> AsyncGenerator[World]:
    dsn = await databases()
    await migrate(dsn)
    async with open_store(dsn) as store:
        yield World(store, dsn)


@pytest_asyncio.fixture
async def world(fresh_database: FreshDatabases) -> AsyncGenerator[World]:
    async with new_world(fresh_database) as made:
        yield made


async def served(store: PostgresStore) -> dict[str, tuple[str, list[str]]]:
    """Every document with its text and chunks; how they are found is for `verify`, as many score the same here."""
    return {id: found for id, found in (await everything(store)).items() if id}


HISTORY = [
    put(1, 1, "first"),
    put(2, 2, f"second {SECRET}"),
    document(3, "long.md", LONG),
    document(4, "note.md", f"# Note\n\nword for {SECRET}"),
    Change(DOCS, Op.CREATE, Position(5), 5, 5, ("bad.md",), None, ("bad.md", b"%PDF-1.7 and no more")),
    put(6, 1, "third"),
    change(Op.DELETE, 7, 2),
    put(8, 3, f"fourth {SECRET}"),
]


async def fill(world: World, steps: Steps, history: Sequence[Change] = HISTORY) -> None:
    async with world.running(steps) as made:
        for one in history:
            world.source.commit(one)
        await applied(made.engine, history[-1].position.major)


async def renewed(made: Running) -> None:
    """Runs until everything is done that can be."""
    task = asyncio.create_task(made.renewal.run())
    try:
        async with asyncio.timeout(60):
            await made.renewal.ended.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def as_built_afresh(
    databases: FreshDatabases, steps: Steps, history: Sequence[Change] = HISTORY
) -> dict[str, tuple[str, list[str]]]:
    async with new_world(databases) as other:
        await fill(other, steps, history)
        return await served(other.store)


async def test_without_a_change_nothing_is_done(world: World) -> None:
    await fill(world, Steps())
    before = await world.versions()
    async with world.running(Steps()) as made:
        await renewed(made)
        assert (made.renewal.now.state, made.renewal.now.progress.total, made.log.reads) == ("done", 0, 0)
    assert await world.versions() == before


async def test_another_chunk_size_cuts_again_without_reading_again(
    world: World, fresh_database: FreshDatabases
) -> None:
    await fill(world, Steps())
    before = await world.versions()
    world.embedder.embedded.clear()
    small = Steps(chunk_tokens=40)

    async with world.running(small) as made:
        await renewed(made)

        assert made.log.reads == 0, "texts are cut from the store's own"
        assert made.renewal.now.changed == {"shop": ["chunk"], ITEMS.topic: ["chunk"]}
        assert await served(world.store) == await as_built_afresh(fresh_database, small)
        assert (await made.verify()).equal
        assert all("number" in t for t in world.embedder.embedded), "only what is another text now is embedded"
    after = await world.versions()
    assert [d for d in before if before[d] != after[d]] == [LONG_ID], "what came out the same stayed"


async def test_another_template_makes_the_rows_of_its_table_anew_and_nothing_else(
    world: World, fresh_database: FreshDatabases
) -> None:
    await fill(world, Steps())
    before = await world.versions()
    steps = Steps(template="word item {{ id }}: {{ name }}")

    async with world.running(steps) as made:
        async with world.store.snapshot() as snapshot:
            stamp = (await snapshot.audit.held(["shop/public.items/1"]))[0].stamp
        await renewed(made)
        assert await served(world.store) == await as_built_afresh(fresh_database, steps)
        assert made.renewal.now.changed == {ITEMS.topic: ["render"]}
        assert made.renewal.now.progress.done == 2
        report = await made.verify()
        assert (report.equal, [t.earlier for t in report.sources]) == (True, [0])
        async with world.store.snapshot() as snapshot:
            assert (await snapshot.audit.held(["shop/public.items/1"]))[0].stamp == stamp, "it is of the same change"
    after = await world.versions()
    assert {d for d in before if before[d] != after[d]} == {"shop/public.items/1", "shop/public.items/3"}


async def test_columns_that_become_metadata_are_brought_to_rows_without_making_a_chunk_anew(world: World) -> None:
    async def said() -> dict[str, object]:
        async with world.store.snapshot() as snapshot:
            return {i.id: i.metadata async for i in snapshot.knowledge.documents("shop") if i.metadata}

    await fill(world, Steps())
    before = await world.versions()
    world.embedder.embedded.clear()
    for columns, expected in (
        (("name", "id"), {"shop/public.items/1": {"id": 1, "name": "third"},
                          "shop/public.items/3": {"id": 3, "name": f"fourth {SECRET}"}}),
        (("id",), {"shop/public.items/1": {"id": 1}, "shop/public.items/3": {"id": 3}}),
        ((), {}),
    ):  # fmt: skip
        async with world.running(Steps(metadata=columns)) as made:
            await renewed(made)
            assert made.renewal.now.changed == {ITEMS.topic: ["render"]}
            assert await said() == expected
            assert (await made.verify()).equal
    assert (await world.versions(), world.embedder.embedded) == (before, [])

    async with world.running(Steps(metadata=("name",), redact=True)) as made:
        await renewed(made)
        assert await said() == {
            "shop/public.items/1": {"name": "third"}, "shop/public.items/3": {"name": "fourth [EMAIL]"}
        }  # fmt: skip
        assert (await made.verify()).equal


async def test_files_that_were_read_before_metadata_were_kept_get_theirs_in_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = document(9, "front.md", "---\ncategory: bags\n---\n# Bags\n\nword of bags")
    with monkeypatch.context() as earlier:
        earlier.setattr(parse, "VERSION", parse.VERSION - 1)
        await fill(world, Steps(), [*HISTORY, front])
    await world.rows("update document_versions set metadata = '{}'")
    before = await world.versions()
    world.embedder.embedded.clear()

    async with world.running(Steps()) as made:
        await renewed(made)
        assert made.renewal.now.changed == {"shop": ["parse"]}
        async with world.store.snapshot() as snapshot:
            found = await snapshot.knowledge.document("shop/front.md")
        assert found is not None
        assert found.info.metadata == {"category": "bags"}
        assert (await made.verify()).equal
    after = await world.versions()
    assert {d for d in before if before[d] != after[d]} == {"shop/bad.md"}, "what could not be read is tried again"
    assert world.embedder.embedded == []


async def test_a_template_that_does_not_fit_and_is_corrected(world: World, fresh_database: FreshDatabases) -> None:
    await fill(world, Steps())
    for template, letters in (("{{ nmae }}", 2), ("word corrected {{ name }}", 0)):
        steps = Steps(template=template)
        async with world.running(steps) as made:
            await renewed(made)
            found = [x for x in await world.store.letters() if x.topic == ITEMS.topic]
            assert len(found) == letters
            assert (await made.verify()).equal
    assert await served(world.store) == await as_built_afresh(fresh_database, steps)


async def test_redaction_that_is_turned_on_hides_everything_that_was_there(
    world: World, fresh_database: FreshDatabases
) -> None:
    await fill(world, Steps())
    hidden = Steps(redact=True)

    async with world.running(hidden) as made:
        await renewed(made)
        assert made.log.reads == 1, "for the one that could not be read, in the log's one part"
        assert await served(world.store) == await as_built_afresh(fresh_database, hidden)
        assert (await made.verify()).equal
    told = await world.rows(
        "select v.text, v.title, c.text from document_versions v left join chunks c using (version_id)"
        " where v.closed_at is null"
    )
    assert SECRET not in str(told)

    async with world.running(Steps()) as made:  # what was hidden is only in the log
        await renewed(made)
        assert made.log.reads > 0
        assert await served(world.store) == await as_built_afresh(fresh_database, Steps())


async def test_what_was_made_before_this_was_kept_is_looked_at_and_stays(world: World) -> None:
    await fill(world, Steps())
    await world.rows("update document_versions set made = '', layout = ''")
    before = await world.versions()
    world.embedder.embedded.clear()
    async with world.running(Steps()) as made:
        report = await made.verify()
        assert (report.equal, [t.earlier for t in report.sources]) == (True, [len(before)])
        await renewed(made)
        assert made.renewal.now.changed == {"shop": [""], ITEMS.topic: [""]}
    after = await world.versions()
    assert {d for d in before if before[d] != after[d]} <= {"shop/bad.md"}
    assert world.embedder.embedded == []
    async with world.running(Steps(chunk_tokens=40)) as made:
        await renewed(made)
        assert (await made.verify()).equal


async def test_live_changes_win_and_nothing_deleted_comes_back(world: World) -> None:
    await fill(world, Steps())
    steps = Steps(chunk_tokens=40)
    async with world.running(steps) as made:
        # given documents that are cut anew, and wait for their vectors
        world.embedder.gate.clear()
        task = asyncio.create_task(made.renewal.run())
        await world.embedder.waiting.wait()
        # when they change and end meanwhile
        world.source.commit(document(20, "note.md", "word of later"), Change(DOCS, Op.DELETE, Position(21), 1, 21,
                                                                             ("long.md",), None, None))  # fmt: skip

        async def hidden() -> bool:
            return LONG_ID not in await served(world.store)

        await until(hidden)
        world.embedder.gate.set()
        await applied(made.engine, 21)
        await made.renewal.ended.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # then they are what they became
        found = await served(world.store)
        assert LONG_ID not in found
        assert found[NOTE] == ("word of later", ["word of later"])
        assert (await made.verify()).equal


async def test_while_it_goes_on_the_old_is_served_and_not_called_damage(world: World) -> None:
    many = [document(n, f"{n:03}.md", LONG + f"\n\nword {n}") for n in range(1, 3 * BATCH)]
    await fill(world, Steps(), many)
    before = await served(world.store)
    async with world.running(Steps(chunk_tokens=40)) as made:
        world.embedder.gate.clear()
        task = asyncio.create_task(made.renewal.run())
        await world.embedder.waiting.wait()
        assert await served(world.store) == before
        report = await made.verify()
        assert (report.equal, report.sources[0].earlier, report.sources[0].ok) == (True, len(many), len(many))
        now = made.renewal.now
        assert (now.state, now.progress.done, now.progress.total) == ("running", 0, len(many))
        await world.rows("update chunk_vectors set open = false where chunk_id = (select min(chunk_id) from chunks)")
        assert [d.what for d in (await made.verify()).differences] == [("chunk 0: its vector is not searched",)]
        world.embedder.gate.set()
        await made.renewal.ended.wait()
        task.cancel()
        assert (await made.verify()).equal


async def test_what_the_log_has_forgotten_is_told_or_read_again(world: World) -> None:
    world.source = folder = Folder()
    await fill(world, Steps())
    await MemoryLog(world.memory, 1).trim(2**62, {"shop": 8})
    async with world.running(Steps(template="other {{ name }}", redact=True)) as made:
        await renewed(made)
        # rows that the log knows no more stay; what is cut from its own text is done all the same
        assert made.renewal.now.left == {ITEMS.topic: 2, "shop": 1}
        assert folder.asked == ["bad.md"]
        report = await made.verify()
        assert (report.equal, [t.untold for t in report.sources]) == (True, [5])
        assert SECRET not in (await served(world.store))[NOTE][0]
    async with world.running(Steps(chunk_tokens=40)) as made:
        world.source.commit(put(30, 1, "again"), put(31, 3, "again"), document(32, "bad.md", "word mended"))
        await applied(made.engine, 32)
        await renewed(made)
        assert made.renewal.now.left == {"shop": 2}, "the redacted texts' originals are gone"


async def test_an_earlier_version_stays_and_the_present_one_is_made_anew_for_all_of_its_time(world: World) -> None:
    await fill(world, Steps(), [put(1, 1, "first")])
    await fill(world, Steps(), [put(2, 1, "second")])
    await fill(world, Steps(), [put(3, 2, "other")])
    async with world.running(Steps(template="word item {{ name }}")) as made:
        await renewed(made)

    async def text(at: int) -> str:
        point = AsOf(Token({"shop": {"knowledge": Position(at), "knowledge:overtaking": Position(at)}}))
        async with world.store.snapshot(point) as snapshot:
            found = await snapshot.knowledge.document("shop/public.items/1")
        return found.text if found is not None else "none"

    assert [await text(at) for at in (1, 2, 3)] == ["word first", "word item second", "word item second"]


@pytest.mark.parametrize("seed", range(6))
async def test_ended_at_any_moment_it_goes_on_and_ends_as_a_fresh_build(
    world: World, fresh_database: FreshDatabases, seed: int
) -> None:
    chance = random.Random(seed)
    history = [
        document(n, f"{n % 17:03}.md", LONG[chance.randrange(2000) :] + f"\n\n{SECRET} word {n}") if n % 3 else
        put(n, n % 13, f"name {n} {SECRET}") for n in range(1, 60)
    ]  # fmt: skip
    steps = Steps()
    await fill(world, steps, history)
    at = history[-1].position.major
    for _ in range(5):  # settings change, live changes come, and it ends wherever it is
        steps = replace(steps, **chance.choice([
            {"chunk_tokens": chance.choice([40, 60, 200])}, {"redact": not steps.redact},
            {"template": chance.choice(["word {{ name }}", "word {{ id }} {{ name }}"])},
        ]))  # fmt: skip
        async with world.running(steps) as made:
            task = asyncio.create_task(made.renewal.run())
            for _ in range(3):
                at += 1
                key = chance.randrange(17)
                one = chance.choice([
                    document(at, f"{key:03}.md", f"word {at} {SECRET}"), put(at, key, f"at {at}"),
                    change(Op.DELETE, at, key),
                    Change(DOCS, Op.DELETE, Position(at), at, at, (f"{key:03}.md",), None, None),
                ])  # fmt: skip
                history.append(one)
                world.source.commit(one)
            await asyncio.sleep(chance.random() * 0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    async with world.running(steps) as made:
        await applied(made.engine, at)
        await renewed(made)
        assert made.renewal.now.left == {}
        assert (await made.verify()).equal
    assert await served(world.store) == await as_built_afresh(fresh_database, steps, history)

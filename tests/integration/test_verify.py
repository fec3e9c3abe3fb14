"""Whether the index is what the log says: each kind of damage is named, and repaired, while changes go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg
import pytest
import pytest_asyncio

from headrace.access import Readers, Rules, SourceRules
from headrace.change import Change, Op, Position, document_schema
from headrace.engines.embedded import EmbeddedEngine
from headrace.errors import BadRequest
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.report import Progress, Report
from headrace.knowledge.rows import row_template
from headrace.knowledge.terms import bag
from headrace.knowledge.verifier import Ask, NoWork, Verifier
from headrace.log.memory import Memory, MemoryLog
from headrace.models import Vectors
from headrace.stores.migrate import migrate
from headrace.stores.postgres.store import PostgresStore
from tests.contract.stored import open_store, search
from tests.integration.test_engine import Embedder, Scripted, applied, until
from tests.making import EPOCH, ITEMS, change, put, truncate
from tests.servers import FreshDatabases

DOCS = document_schema("shop")
SHIPPED = "shop/public.items/"
READERS = SourceRules({"shop": Rules(None, (("long.md", Readers(None, ("hr",))),))})


def document(at: int, path: str, text: str) -> Change:
    """A document of several chunks."""
    after = (path, text.encode())
    return Change(DOCS, Op.CREATE, Position(at), EPOCH + at * 1_000_000, at, (path,), None, after)


LONG = "\n\n".join(f"# Part {n}\n\n" + f"word number {n} stands here. " * 40 for n in range(6))


@dataclass
class World:
    """What outlives an engine."""

    store: PostgresStore
    dsn: str
    memory: Memory = field(default_factory=Memory)
    source: Scripted = field(default_factory=Scripted)
    embedder: Embedder = field(default_factory=Embedder)
    template: str = "word {{ name }}"

    def knowledge(self, work: NoWork | None = None) -> Knowledge:
        rows = {ITEMS.topic: row_template(ITEMS.topic, self.template)}
        return Knowledge(frozenset({"shop"}), rows, self.embedder, work or self.store.work, access=READERS)

    @asynccontextmanager
    async def running(self, most: int = 1000) -> AsyncGenerator[tuple[EmbeddedEngine, Verifier]]:
        log = await MemoryLog.connect("", memory=self.memory)
        engine = EmbeddedEngine([self.source], [self.knowledge()], log, self.store)
        verifier = Verifier(
            self.knowledge(NoWork()), log, self.store, engine.sources, engine, engine.turns["knowledge"],
            engine.started.is_set, most,
        )  # fmt: skip
        task = asyncio.create_task(engine.run())
        try:
            await engine.started.wait()
            yield engine, verifier
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def damage(self, *statements: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                cursor = await connection.execute(statement.encode())
                assert cursor.rowcount > 0, f"nothing was damaged by: {statement}"


@pytest_asyncio.fixture
async def world(fresh_database: FreshDatabases) -> AsyncGenerator[World]:
    dsn = await fresh_database()
    await migrate(dsn)
    async with open_store(dsn) as store:
        yield World(store, dsn)


async def verify(verifier: Verifier, *, repair: bool = False) -> Report:
    return await verifier.run(Ask(repair), lambda _: None)


async def served(store: PostgresStore) -> dict[str, tuple[str, list[str]]]:
    """Every document with its text and chunks, and (as document "") what a search finds."""
    found: dict[str, tuple[str, list[str]]] = {}
    async with store.snapshot() as snapshot:
        async for info in snapshot.knowledge.documents(None):
            document = await snapshot.knowledge.document(info.id)
            assert document is not None
            found[info.id] = (document.text, [c.text for c in document.chunks])
    ranked = await search(store, "word number first third", k=50)
    return {**found, "": ("", sorted(f"{p.chunk} {p.score:.4f}" for p in ranked))}


def named(report: Report) -> dict[str, str]:
    return {d.document: f"{d.kind.value}: {'; '.join(d.what)}" for d in report.differences}


HISTORY = [
    put(1, 1, "first"),
    put(2, 2, "second"),
    put(3, 3, "fourth"),
    document(4, "long.md", LONG),
    document(5, "gone.md", "word gone"),
    change(Op.DELETE, 6, 2),
    put(7, 1, "third"),
    Change(DOCS, Op.DELETE, Position(7, 1), EPOCH, 8, ("gone.md",), None, None),
    document(8, "cut.md", "word whittled"),
    document(9, "short.md", "word short"),
]


async def test_an_index_that_is_what_the_log_says_is_equal(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        report = await verify(verifier)
    assert named(report) == {}
    assert report.index == []
    assert report.equal
    [tally] = report.sources
    assert (tally.documents, tally.ok, tally.missing, tally.different, tally.ghost) == (5, 5, 0, 0, 0)
    assert tally.chunks > 6


class Rounding(Embedder):
    """As a service may: no two vectors of a text are the same bits."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = np.random.default_rng(5)

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        made = await super().embed(texts, background=background, query=query)
        made = made + self.noise.normal(0, 1e-3, made.shape).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


async def test_vectors_that_a_service_rounds_otherwise_each_time_are_no_differences(world: World) -> None:
    world.embedder = Rounding()
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        equal = await verify(verifier)
        await world.damage(f"delete from chunk_vectors where chunk_id in ({chunk(1)})")
        damaged = await verify(verifier)
        repaired = await verify(verifier, repair=True)

    assert equal.equal
    assert named(damaged) == {LONG_ID: "different: chunk 1: it has no vector"}
    assert (repaired.equal, repaired.repaired) == (True, 1)


async def fill(world: World, engine: EmbeddedEngine, *, packing: bool = False) -> None:
    """In two steps, so that there are closed versions (and, when packing, postings of theirs)."""
    for step in (HISTORY[:5], HISTORY[5:]):
        for one in step:
            world.source.commit(one)
        await applied(engine, step[-1].position.major)
        if packing:
            await world.store.compact()


@dataclass(frozen=True)
class Damage:
    """What is done to a store, and what is then said of which document ("": of the index)."""

    name: str
    document: str
    what: str
    statements: tuple[str, ...]


LONG_ID, SHORT, GONE, ITEM = "shop/long.md", "shop/short.md", "shop/gone.md", SHIPPED + "1"
OLD = f"""select chunk_id from chunks join document_versions using (version_id)
           where closed_at is not null and document = '{ITEM}'"""
REOPENED = "closed_major = null, closed_minor = null, closed_at = null"
FAILURE = '{"step":"a","expected":"b","got":"c","remedy":"d"}'


def chunk(n: int) -> str:
    """One chunk of the long document."""
    return f"""select chunk_id from chunks join document_versions using (version_id)
                where closed_at is null and document = '{LONG_ID}' and ordinal = {n}"""


def vector(n: int, change: str) -> tuple[str, ...]:
    return (f"update chunk_vectors set {change} where chunk_id in ({chunk(n)})",)


def words(n: int, change: str) -> tuple[str, ...]:
    return (f"update lexical_recent set {change} where chunk_id in ({chunk(n)})",)


def text(n: int, change: str) -> tuple[str, ...]:
    return (f"update chunks set {change} where chunk_id in ({chunk(n)})",)


def version(id: str, change: str, where: str = "true") -> str:
    return f"update document_versions set {change} where document = '{id}' and {where}"


TOTALS = Damage("the totals are wrong", "", "totals", ("update corpus set chunks = chunks + 5",))
LOST = Damage(
    "a document is lost", SHORT, "missing", (f"delete from document_versions where document = '{SHORT}'",)
)  # fmt: skip
DAMAGES = (
    Damage(
        "a vector is lost", LONG_ID, "chunk 2: it has no vector",
        (f"delete from chunk_vectors where chunk_id in ({chunk(2)})",),
    ),
    Damage("a vector is hidden", LONG_ID, "chunk 1: its vector is not searched", vector(1, "open = false")),
    Damage("a vector is another model's", LONG_ID, "3 dimensions, not 16", vector(1, "vector = '[1,0,0]'")),
    Damage("a vector is empty", LONG_ID, "0.000", vector(1, "vector = array_fill(0, array[16])::halfvec")),
    Damage("a filter is another's", LONG_ID, "limited by", vector(1, "title = 'x'")),
    Damage("everybody can read it", LONG_ID, "those who can read it", ("delete from document_access",)),
    Damage("others can read it", LONG_ID, "those who can read it", ("update document_access set groups = '{x}'",)),
    Damage(
        "somebody cannot read it", SHORT, "those who can read it",
        (f"insert into document_access (document, major, minor, at, groups) values ('{SHORT}', 0, 0, 0, '{{x}}')",),
    ),
    Damage(
        "it is said to be for others", SHORT, "for others than its change says",
        (f"""update document_versions set access = '{{"own": {{"owner": "x", "groups": []}}}}'
             where document = '{SHORT}' and closed_at is null""",),
    ),
    Damage("a chunk's text is altered", LONG_ID, "chunk 0: its text is another", text(0, "text = text || '!'")),
    Damage(
        "a chunk's words are altered", LONG_ID, "chunk 0: its words is another",
        text(0, r"counts = overlay(counts placing '\x0900' from 1)"),
    ),
    Damage("a chunk is lost", LONG_ID, "chunks, not", (f"delete from chunks where chunk_id in ({chunk(3)})",)),
    Damage(
        "an old chunk is searched", ITEM, "its vector is still searched",
        (f"update chunk_vectors set open = true where chunk_id in ({OLD})",),
    ),
    Damage(
        "an old chunk's words are found", ITEM, "its words are still found",
        (f"""insert into lexical_recent (chunk_id, terms, counts, length)
             select chunk_id, terms, counts, length from chunks where chunk_id in ({OLD})""",),
    ),
    Damage(
        "words of a chunk that never was are found", "", "in no document",
        (r"""insert into lexical_recent (chunk_id, terms, counts, length)
              values (1000000, '\x0102030405060708', '\x0100', 1)""",),
    ),
    Damage(
        "words are not found", LONG_ID, "chunk 4: its words are not found",
        (f"delete from lexical_recent where chunk_id in ({chunk(4)})",),
    ),
    Damage(
        "words are found wrongly", LONG_ID, "chunk 4: its words are not found",
        words(4, r"terms = overlay(terms placing '\x0102030405060708' from 1)"),
    ),
    TOTALS,
    LOST,
    Damage(
        "a document ended too early", SHORT, "missing",
        (version(SHORT, "closed_major = 50, closed_minor = 0, closed_at = 60"),),
    ),
    Damage(
        "a deleted document is back", GONE, "ghost: it was deleted",
        (version(GONE, REOPENED), f"update chunk_vectors set open = true where document = '{GONE}'"),
    ),
    Damage(
        "a document that never was", "shop/never.md", "ghost: the log never told of it",
        ("""insert into document_versions (document, source, topic, opened_major, opened_minor, opened_at, content_hash,
                                           title, text, chunks)
            values ('shop/never.md', 'shop', 'shop', 4, 0, 5, 'sha256:00', 'never', 'word', 0)""",),
    ),
    Damage(
        "an older version is served", ITEM, "an older change",
        (f"delete from document_versions where document = '{ITEM}' and closed_at is null",
         version(ITEM, REOPENED, "opened_major = 1")),
    ),
    Damage("a text is altered", SHORT, "its text is another", (version(SHORT, "text = 'lie'", "closed_at is null"),)),
    Damage(
        "a hash is altered", SHORT, "its content's hash", (version(SHORT, "content_hash = 'x'", "closed_at is null"),)
    ),
    Damage(
        "metadata are altered", SHORT, "its metadata are others",
        (version(SHORT, """metadata = '{"pay": 1}'""", "closed_at is null"),),
    ),
    Damage(
        "a document counts as failed", SHORT, "can be now",
        (version(SHORT, f"failure = '{FAILURE}'", "closed_at is null"),),
    ),
)  # fmt: skip
DAMAGES_OF_PACKED = (
    Damage(
        "a present chunk counts as dead", LONG_ID, "chunk 4: its words are not found",
        (f"insert into lexical_dead (chunk_id) {chunk(4)}",),
    ),
    Damage("dead chunks count as present", LONG_ID, "its words are still found", ("delete from lexical_dead",)),
    TOTALS,
    LOST,
    Damage(
        "postings are cut off", "shop/cut.md", "words are not found",
        (f"update lexical_postings set counts = '' where term = {int(bag('whittled').terms[0])}",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
async def test_every_kind_of_damage_is_named_and_repaired(
    world: World, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as (engine, verifier):
        if packed:
            monkeypatch.setattr("headrace.stores.postgres.compact.PACK_AT", 1)
        await fill(world, engine, packing=packed)
        before = await served(world.store)
        for damage in DAMAGES_OF_PACKED if packed else DAMAGES:
            await world.damage(*damage.statements)

            found = await verify(verifier)
            told = named(found)
            if damage.document:
                assert damage.what in told.get(damage.document, ""), (damage.name, told)
            else:
                assert any(damage.what in line for line in found.index), (damage.name, found.index)
            assert set(told) <= {damage.document}, (damage.name, told)

            mended = await verify(verifier, repair=True)
            assert mended.equal, (damage.name, named(mended), mended.index)
            assert (mended.repaired > 0) == bool(damage.document), damage.name
            assert await served(world.store) == before, damage.name


async def test_changes_that_go_on_are_no_differences(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        at = 9

        async def write() -> None:
            nonlocal at
            while True:
                at += 1
                world.source.commit(put(at, at % 7) if at % 3 else change(Op.DELETE, at, at % 7))
                await asyncio.sleep(0)
                await applied(engine, at - 20)

        writing = asyncio.create_task(write())
        reports: list[Report] = []
        while at < 80 or len(reports) < 8:
            reports.append(await verify(verifier))
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await applied(engine, at)
        assert [(named(r), r.index) for r in reports if not r.equal] == []
        assert (await verify(verifier)).equal


async def test_a_change_that_comes_while_it_is_repaired_stays(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        await world.damage("update document_versions set text = 'lie' where closed_at is null and document like '%/1'")
        prepared = asyncio.Event()

        def tell(progress: Progress) -> None:
            if progress.step == "repairs" and not prepared.is_set():
                prepared.set()
                world.embedder.gate.clear()  # what repairs waits to embed from here on

        repairing = asyncio.create_task(verifier.run(Ask(repair=True), tell))
        await prepared.wait()
        await world.embedder.waiting.wait()
        world.source.commit(change(Op.DELETE, 10, 1))
        await applied(engine, 10)
        world.embedder.gate.set()
        report = await repairing
        assert report.equal, named(report)
        assert report.repaired == 0  # the delete was newer than what was to be repaired
        assert ITEM not in await served(world.store)


async def test_deletes_that_have_overtaken_are_no_differences(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        world.embedder.gate.clear()
        world.source.commit(put(10, 50, "slow"))  # the embedder holds it
        await world.embedder.waiting.wait()
        world.source.commit(change(Op.DELETE, 11, 1))

        async def hidden() -> bool:
            return ITEM not in await served(world.store)

        await until(hidden)
        report = await verify(verifier)
        assert named(report) == {}
        assert report.sources[0].documents == 4
        world.embedder.gate.set()
        await applied(engine, 11)
        assert (await verify(verifier)).equal


async def test_a_log_that_was_trimmed_is_told_and_no_ghost_is_made_of_what_it_forgot(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        log = await MemoryLog.connect("", memory=world.memory)
        assert await log.trim(2**62, {"shop": 4}) == 4
        report = await verify(verifier)
        assert named(report) == {}
        [tally] = report.sources
        assert tally.untold == 2  # items/3 and long.md
        assert tally.documents == 5
        assert any("begins at offset" in note for note in tally.notes)

        await world.damage(f"update chunk_vectors set open = false where chunk_id in ({chunk(2)})")
        assert named(await verify(verifier)) == {"shop/long.md": "different: chunk 2: its vector is not searched"}
        assert (await verify(verifier, repair=True)).equal  # its chunks' hashes prove what they were made of

        await world.damage(*text(0, "text = 'lie'"), *vector(0, "vector = '[1,0,0]'"))
        assert "not what stands at its place" in named(await verify(verifier))[LONG_ID]
        assert (await verify(verifier, repair=True)).equal

        await world.damage(version(LONG_ID, "text = 'lie' || text", "closed_at is null"))
        unproved = await verify(verifier, repair=True)
        assert list(named(unproved)) == [LONG_ID]  # better told than made up
        assert unproved.repaired == 0
        await world.damage(version(LONG_ID, "text = substr(text, 4)", "closed_at is null"))
        assert (await verify(verifier)).equal


async def test_more_documents_than_are_in_memory_at_once_are_looked_at_in_parts(world: World) -> None:
    async with world.running(most=3) as (engine, verifier):
        await fill(world, engine)
        world.source.commit(*(put(20 + n, 100 + n) for n in range(40)))
        await applied(engine, 59)
        report = await verify(verifier)
        assert report.equal, named(report)
        assert report.sources[0].documents == 45
        await world.damage("delete from document_versions where document like 'shop/public.items/11_'")
        assert sorted(named(await verify(verifier))) == [f"{SHIPPED}11{n}" for n in range(10)]
        assert (await verify(verifier, repair=True)).repaired == 10


async def test_a_truncated_topic_is_empty_and_another_template_is_no_difference(world: World) -> None:
    async with world.running() as (engine, _):
        await fill(world, engine)
    world.template = "another {{ name }}"
    async with world.running() as (engine, verifier):
        report = await verify(verifier)
        assert (named(report), report.sources[0].earlier) == ({}, 2)
        world.source.commit(truncate(12))
        await applied(engine, 12)
        report = await verify(verifier)
        assert report.equal
        assert report.sources[0].documents == 3


async def test_one_that_is_given_up_leaves_nothing_behind(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        for step in ("documents", "chunks"):
            reached = asyncio.Event()

            def tell(progress: Progress, step: str = step, reached: asyncio.Event = reached) -> None:
                if progress.step == step:
                    reached.set()

            running = asyncio.create_task(verifier.run(Ask(), tell))
            await reached.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert verifier.running is None
            assert (await verify(verifier)).equal


async def test_one_at_a_time(world: World) -> None:
    async with world.running() as (engine, verifier):
        await fill(world, engine)
        first = asyncio.create_task(verify(verifier))
        await asyncio.sleep(0)  # it begins
        assert verifier.running is not None
        with pytest.raises(BadRequest):
            await verify(verifier)
        assert (await first).equal
        assert verifier.running is None

"""Labels and summaries by a language model: behind what is served, exact through changes, failures, other settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pytest
import pytest_asyncio

from headrace.change import Change, Op, Position
from headrace.engines.embedded import EmbeddedEngine
from headrace.knowledge import asked, teller
from headrace.knowledge.asked import Asked
from headrace.knowledge.chain import Settings
from headrace.knowledge.classify import Classify
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.renewing import Renewal
from headrace.knowledge.report import Report
from headrace.knowledge.stages import Stages
from headrace.knowledge.summarise import Summarise
from headrace.knowledge.teller import STEPS, Teller
from headrace.knowledge.terms import query_terms
from headrace.knowledge.verifier import Ask, NoWork, Verifier
from headrace.log.memory import Memory, MemoryLog
from headrace.models.openai import OpenAIGenerator, open_generator
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.rules import Rules
from headrace.stores import AsOf
from headrace.stores.beside import Model
from headrace.stores.knowledge import DocumentInfo, Filter, Listing
from headrace.stores.migrate import migrate
from headrace.stores.postgres.store import PostgresStore
from headrace.token import Token
from tests.contract.stored import DIMENSIONS, open_store, search, vector
from tests.integration.test_engine import Embedder, Scripted, applied, until
from tests.integration.test_verify import DOCS, LONG, document
from tests.scripted_model import Said, ScriptedModel
from tests.servers import FreshDatabases

LABELS = {"bags": "what is carried", "money": "what is paid", "other": ""}
SECRET = "ada@example.com"


def says(system: str, user: str) -> Said:
    """A label by a word of the text, and a summary that speaks of it in words that do not stand there."""
    if "summarise" in system:
        return f"Gist: voyagers learn of {_title(user)}."
    return next((label for word, label in (("suitcase", "bags"), ("fee", "money")) if word in user), "other")


def _title(user: str) -> str:
    return user.partition("Title: ")[2].partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What may change between two starts."""

    labels: Mapping[str, str] | None = field(default_factory=lambda: LABELS)
    summaries: bool = True
    many: bool = False
    model: str = "scripted"
    chunk_tokens: int = 200
    redact: bool = False


@dataclass
class Running:
    engine: EmbeddedEngine
    verifier: Verifier
    renewal: Renewal
    teller: Teller

    async def verify(self, *, repair: bool = False) -> Report:
        return await self.verifier.run(Ask(repair, source=False), lambda _: None)

    async def told(self) -> None:
        """Until everything is told that can be."""

        async def done() -> bool:
            return self.teller.now.state in ("done", "off") and self.teller.ended.is_set()

        self.teller.look()
        await until(done)


@dataclass
class World:
    """What outlives a Headrace."""

    store: PostgresStore
    dsn: str
    model: ScriptedModel
    memory: Memory = field(default_factory=Memory)
    source: Scripted = field(default_factory=Scripted)
    embedder: Embedder = field(default_factory=Embedder)

    def knowledge(self, wanted: Wanted, work: NoWork | None = None, stages: Stages | None = None) -> Knowledge:
        redactors = {"shop": Redactor([Rules()], Policy({}))} if wanted.redact else {}
        settings = Settings(chunk_tokens=wanted.chunk_tokens)
        work_ = work or self.store.work
        return Knowledge(frozenset({"shop"}), {}, self.embedder, work_, None, redactors, settings, stages)

    def asked(self, wanted: Wanted, generator: OpenAIGenerator) -> list[Asked]:
        topics, found = frozenset({"shop"}), list[Asked]()
        if wanted.labels is not None:
            task = Classify(wanted.labels, many=wanted.many, characters=1000, max_tokens=20)
            found.append(Asked(task, generator, topics, 2))
        if wanted.summaries:
            found.append(Asked(Summarise(max_words=50, characters=1000, max_tokens=80), generator, topics, 2))
        return found

    @asynccontextmanager
    async def running(self, wanted: Wanted | None = None) -> AsyncGenerator[Running]:
        wanted = wanted or Wanted()
        log, stages = MemoryLog(self.memory, 1), Stages()
        knowledge = self.knowledge(wanted, stages=stages)
        await self.store.keep_chains({c.key: c.to_json() for c in knowledge.chains.values()})
        engine = EmbeddedEngine([self.source], [knowledge], log, self.store)
        turn, again = engine.turns["knowledge"], self.knowledge(wanted)
        verifier = Verifier(
            self.knowledge(wanted, NoWork()), log, self.store, engine.sources, engine, turn, engine.started.is_set
        )
        renewal = Renewal(again, log, self.store, engine.sources, turn, lambda: engine.busy("knowledge"))
        generator = open_generator(self.model.address(wanted.model))
        telling = Teller(self.asked(wanted, generator), again, self.store, turn, stages.changed)
        engine.retries |= dict.fromkeys(STEPS, telling.retry)
        tasks = [asyncio.create_task(engine.run())]
        try:
            await engine.started.wait()
            tasks += [asyncio.create_task(telling.run()), asyncio.create_task(renewal.run())]
            yield Running(engine, verifier, renewal, telling)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await generator.close()

    async def infos(self) -> dict[str, DocumentInfo]:
        async with self.store.snapshot() as snapshot:
            return {i.id.removeprefix("shop/"): i async for i in snapshot.knowledge.documents(None)}

    async def labels(self) -> dict[str, tuple[str, ...] | None]:
        return {id: info.labels for id, info in (await self.infos()).items()}

    async def summaries(self) -> dict[str, str | None]:
        return {id: info.summary for id, info in (await self.infos()).items()}

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            cursor = await connection.execute(query.encode())
            return await cursor.fetchall() if cursor.description else []

    async def apply(self, made: Running, *changes: Change) -> None:
        """Each is a transaction of its own; waits until they have their effect."""
        for change in changes:
            self.source.commit(change)
        await applied(made.engine, changes[-1].position.major)

    async def letters(self, *operators: str) -> list[str]:
        """Keys of what was given up."""
        return [x.key for x in await self.store.letters() if x.operator in operators]

    def asked_of(self, step: str) -> int:
        return sum(step in system for system, _ in self.model.asked)


@pytest_asyncio.fixture
async def world(fresh_database: FreshDatabases, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    for module, name, seconds in ((teller, "FIRST_PAUSE_S", 0.01), (teller, "LOOK_AGAIN_S", 0.05),
                                  (teller, "LONGEST_PAUSE_S", 0.1), (asked, "FIRST_PAUSE_S", 0.01),
                                  (asked, "LONGEST_PAUSE_S", 0.1)):  # fmt: skip
        monkeypatch.setattr(module, name, seconds)
    dsn = await fresh_database()
    await migrate(dsn)
    with ScriptedModel(says) as model:
        async with open_store(dsn) as store:
            yield World(store, dsn, model)


def down(system: str, user: str) -> Said:
    del system, user
    return 503


def luggage(system: str, user: str) -> Said:
    return "luggage" if "sort" in system else says(system, user)


BAG_TEXT = "# Bags\n\nA suitcase of 23 kg is free. word"
BAG = document(1, "bag.md", BAG_TEXT)
FEE = document(2, "fee.md", "# Fees\n\nThe fee is 30. word")
NOTE = document(3, "note.md", f"# Note\n\nAsk {SECRET}. word")
HISTORY = [BAG, FEE, NOTE, Change(DOCS, Op.CREATE, Position(4), 4, 4, ("bad.md",), None, ("bad.md", b"%PDF-1.7 no"))]
TOLD = {"bag.md": ("bags",), "fee.md": ("money",), "note.md": ("other",), "bad.md": None}


async def fill(world: World, wanted: Wanted | None = None) -> None:
    async with world.running(wanted) as made:
        await world.apply(made, *HISTORY)
        await made.told()


async def test_documents_are_served_at_once_and_told_of_behind(world: World) -> None:
    world.model.gate.clear()
    async with world.running() as made:
        await world.apply(made, *HISTORY)
        # given a model that thinks, everything is found already
        await asyncio.to_thread(world.model.waiting.wait, 60)
        assert {p.document for p in await search(world.store, "suitcase")} >= {"shop/bag.md"}
        assert set((await world.labels()).values()) == {None}
        stamps = {id: info.stamp for id, info in (await world.infos()).items()}
        assert (await made.verify()).equal

        # when it answers
        world.model.gate.set()
        await made.told()

        # then it is as if it had always been there
        assert await world.labels() == TOLD
        assert (await world.summaries())["bag.md"] == "Gist: voyagers learn of Bags."
        assert {id: info.stamp for id, info in (await world.infos()).items()} == stamps
        assert (world.asked_of("sort"), world.asked_of("summarise")) == (3, 3)
        assert (made.teller.now.done, made.teller.now.left) == (4, 0)
        report = await made.verify()
        assert (report.equal, report.differences) == (True, [])


async def test_a_summary_finds_its_document_and_shows_what_the_document_says(world: World) -> None:
    await fill(world)
    async with world.store.snapshot() as snapshot:
        shown = await snapshot.knowledge.document("shop/bag.md")
    assert shown is not None
    (first,) = shown.chunks

    (found, *_) = await search(world.store, "voyagers bags", where=Filter(document_prefix="shop/bag"))

    assert (found.chunk, found.text, found.start, found.end) == (first.chunk, first.text, first.start, first.end)
    both = [p.chunk for p in await search(world.store, "voyagers bags suitcase 23 word")]
    assert sorted(both) == sorted(set(both)), "found by its own words and by its summary, it is there once"
    async with world.store.snapshot() as snapshot:
        terms = query_terms("voyagers bags suitcase")
        passages = await snapshot.knowledge.search(terms, None, 10, Filter(document_prefix="shop/bag"))
        (around,) = await snapshot.knowledge.around(passages, 2)
    assert (around.before, around.behind) == ("", "")


async def test_labels_limit_searches_and_listings_now_and_then(world: World) -> None:
    async with world.running() as made:
        await world.apply(made, *HISTORY, document(5, "many.md", LONG + "\n\nsuitcase"))
        await made.told()
        at = AsOf(token=Token({"shop": {"knowledge": Position(5)}}))
        await world.apply(made, document(6, "bag.md", "# Bags\n\nThe fee for one is 10. word"))
        await made.told()

        async def labelled(label: str, point: AsOf | None = None) -> set[str]:
            found = await search(world.store, "word", k=50, where=Filter(label=label), at=point or AsOf())
            return {p.document.removeprefix("shop/") for p in found}

        assert await labelled("money") == {"fee.md", "bag.md"}
        assert await labelled("bags") == set()
        assert await labelled("bags", at) == {"bag.md"}
        assert "many.md" in await labelled("other"), "only the beginning is read"
        async with world.store.snapshot() as snapshot:
            listed = await snapshot.knowledge.listed(Listing(label="money"), "", 10)
        assert [i.id for i in listed] == ["shop/bag.md", "shop/fee.md"]


async def test_a_newer_change_and_a_delete_win_over_an_answer_that_comes_late(world: World) -> None:
    world.model.gate.clear()
    async with world.running() as made:
        await world.apply(made, *HISTORY)
        await asyncio.to_thread(world.model.waiting.wait, 60)
        # given documents that are being told of, they change and end
        await world.apply(
            made,
            document(10, "bag.md", "# Bags\n\nNow it is a fee. word"),
            Change(DOCS, Op.DELETE, Position(11), 1, 11, ("fee.md",), None, None),
            Change(DOCS, Op.DELETE, Position(12), 1, 12, ("note.md",), None, None),
        )
        world.model.gate.set()
        await made.told()

        assert await world.labels() == {"bag.md": ("money",), "bad.md": None}
        assert (await made.verify()).equal
        told = await world.rows("select labels, summary from document_versions where closed_at is not null")
        assert {t for t in told if t != (None, None)} == set()
        assert await world.rows("select 1 from chunks c join document_versions v using (version_id)"
                                " where c.ordinal < 0 and v.closed_at is not null") == []  # fmt: skip


async def test_what_was_told_ends_with_its_document(world: World) -> None:
    async with world.running() as made:
        await world.apply(made, *HISTORY)
        await made.told()
        await world.apply(made, Change(DOCS, Op.DELETE, Position(12), 1, 12, ("bag.md",), None, None))

        assert "shop/bag.md" not in {p.document for p in await search(world.store, "voyagers Bags", k=50)}
        assert (await made.verify()).equal
    await world.store.purge(1 << 60)
    assert await world.rows("select 1 from document_versions where document = 'shop/bag.md'") == []
    assert await world.rows("select 1 from chunks where text like '%of Bags%'") == []


async def test_a_copy_a_rename_and_a_way_back_ask_nothing(world: World) -> None:
    await fill(world)
    before = len(world.model.asked)
    async with world.running() as made:
        copy = Change(DOCS, Op.CREATE, Position(5), 5, 5, ("copy/bag.md",), None, ("bag.md", BAG_TEXT.encode()))
        world.source.commit(copy, document(6, "bag.md", "# Bags\n\nanother fee word"))
        await applied(made.engine, 6)
        await made.told()
        assert (await world.labels())["bag.md"] == ("money",)
        assert len(world.model.asked) == before + 2
    async with world.running() as made:
        await world.apply(made, document(7, "bag.md", BAG_TEXT))
        await made.told()
        assert (await world.labels())["bag.md"] == ("bags",)
        assert (await world.labels())["copy/bag.md"] == ("bags",)
        assert len(world.model.asked) == before + 2, "it was told of this text before"
        assert made.teller.asked[0].counts.recalled > 0


async def test_garbage_is_tried_again_then_a_dead_letter_that_stops_nothing_and_can_be_retried(world: World) -> None:
    def garbage(system: str, user: str) -> Said:
        return "I cannot say, dear friend" if "sort" in system and "suitcase" in user else says(system, user)

    world.model.says = garbage
    async with world.running() as made:
        await world.apply(made, *HISTORY)
        await made.told()

        assert await world.labels() == {**TOLD, "bag.md": None}
        assert (await world.summaries())["bag.md"] is not None
        (letter,) = [x for x in await world.store.letters() if x.operator == "classify"]
        assert (letter.topic, letter.key, letter.failure.got) == ("shop", "bag.md", "'I cannot say, dear friend'")
        assert (made.teller.asked[0].counts.bad, made.teller.asked[0].counts.given_up) == (teller.ATTEMPTS, 1)
        # it is not asked again by itself, not at the next start either
        count = len(world.model.asked)
        made.teller.look()
        await made.told()
        assert len(world.model.asked) == count

        assert not await made.engine.retry(letter.id)
        ((attempts,),) = await world.rows("select attempts from dead_letters where operator = 'classify'")
        assert attempts == 2
        world.model.says = says
        assert await made.engine.retry(letter.id)
        assert await world.labels() == TOLD
        assert (await made.verify()).equal


@pytest.mark.parametrize("status", [400, 500])
async def test_one_document_that_a_model_fails_at_is_given_up_while_others_are_told_of(
    world: World, status: int
) -> None:
    def failing(system: str, user: str) -> Said:
        return status if "suitcase" in user else says(system, user)

    world.model.says = failing
    async with world.running(Wanted(summaries=False)) as made:
        await world.apply(made, *HISTORY)

        async def others() -> bool:
            return await world.labels() == {**TOLD, "bag.md": None}

        await until(others)
        if status == 500:  # it takes others to tell whose fault it is
            for n in range(20, 23):
                await world.apply(made, document(n, f"{n}.md", f"number {n}"))

                async def answered(n: int = n) -> bool:
                    return (await world.labels()).get(f"{n}.md") == ("other",)

                await until(answered)
                failed = made.teller.asked[0].counts.errors

                async def tried_again(failed: int = failed) -> bool:
                    return made.teller.asked[0].counts.errors > failed or bool(await world.letters("classify"))

                await until(tried_again)
        await made.told()
        assert await world.letters("classify") == ["bag.md"]
        # a newer version of it is another try, and settles it
        await world.apply(made, document(30, "bag.md", "another fee"))
        await made.told()
        assert await world.letters("classify") == []
        assert (await world.labels())["bag.md"] == ("money",)


async def test_a_model_that_is_down_is_no_document_s_fault(world: World) -> None:
    world.model.says = down
    async with world.running() as made:
        await world.apply(made, *HISTORY)

        async def tried_often() -> bool:
            return all(a.counts.errors > 2 * teller.ATTEMPTS for a in made.teller.asked)

        await until(tried_often)
        assert await world.letters(*STEPS) == []
        assert made.teller.now.state == "waiting"
        assert "503" in (made.teller.now.error or "")
        assert (await made.verify()).equal

        world.model.says = says
        await made.told()
        assert await world.labels() == TOLD
        assert made.teller.now.error is None


async def test_other_settings_redo_what_depends_on_them_and_nothing_else(world: World) -> None:
    await fill(world)

    async def after(wanted: Wanted) -> tuple[int, int]:
        world.model.asked.clear()
        async with world.running(wanted) as made:
            await made.renewal.ended.wait()
            await made.told()
            assert (await made.verify()).equal
        return world.asked_of("sort"), world.asked_of("summarise")

    assert await after(Wanted()) == (0, 0)
    assert await after(Wanted(chunk_tokens=20)) == (0, 0)
    assert await world.labels() == TOLD
    assert await after(Wanted({**LABELS, "money": "another meaning"}, chunk_tokens=20)) == (3, 0)
    assert await after(Wanted(many=True, chunk_tokens=20)) == (3, 0)
    assert await after(Wanted(chunk_tokens=20)) == (3, 0), "an outcome is of its last settings only"
    assert await after(Wanted(model="other", chunk_tokens=20)) == (3, 3)
    assert await after(Wanted(labels=None, model="other")) == (0, 0)
    assert set((await world.labels()).values()) == {None}
    assert await world.rows("select labels from chunk_vectors where labels <> '{}'") == []
    assert await after(Wanted(labels=None, summaries=False)) == (0, 0)
    assert await after(Wanted(labels=None, summaries=False)) == (0, 0), "where nothing is asked, all is told at once"
    assert set((await world.summaries()).values()) == {None}
    assert await world.rows("select 1 from chunks where ordinal < 0") == []


async def test_the_old_labels_serve_until_the_new_ones_are_there(world: World) -> None:
    await fill(world)
    world.model.gate.clear()
    world.model.waiting.clear()
    async with world.running(Wanted({"luggage": "", "rest": ""})) as made:
        world.model.says = luggage
        await asyncio.to_thread(world.model.waiting.wait, 60)
        assert await world.labels() == TOLD
        world.model.gate.set()
        await made.told()
        assert set((await world.labels()).values()) == {("luggage",), None}


async def test_no_text_that_is_to_be_hidden_is_sent_and_no_summary_of_it_stays(world: World) -> None:
    def telltale(system: str, user: str) -> Said:
        return f"{SECRET if SECRET in user else 'nobody'} is to be asked." if "summarise" in system else "other"

    world.model.says = telltale
    await fill(world)
    assert SECRET in ((await world.summaries())["note.md"] or "")
    world.model.asked.clear()
    async with world.running(Wanted(redact=True)) as made:
        await made.renewal.ended.wait()
        await made.told()
        assert (await world.summaries())["note.md"] == "nobody is to be asked."
        assert world.model.of(SECRET) == []
        assert (await made.verify()).equal
    assert SECRET not in str(await world.rows("select v.summary, c.text from document_versions v join chunks c"
                                              " using (version_id) where v.closed_at is null"))  # fmt: skip


async def test_one_model_that_is_down_does_not_stop_another_nor_blame_documents(world: World) -> None:
    def half(system: str, user: str) -> Said:
        return says(system, user) if "summarise" in system else down(system, user)

    world.model.says = half
    async with world.running() as made:
        await world.apply(made, *HISTORY)

        async def summed_up() -> bool:
            told = await world.summaries()
            return {id for id in told if told[id]} == {"bag.md", "fee.md", "note.md"}

        await until(summed_up)
        classify = made.teller.asked[0]
        for n in range(40, 44):
            world.source.commit(document(n, f"{n}.md", f"number {n}"))
            errors = classify.counts.errors

            async def failed_again(errors: int = errors) -> bool:
                return classify.counts.errors > errors + 2

            await until(failed_again)
        assert await world.letters(*STEPS) == []
        world.model.says = says
        await made.told()
        assert (await world.labels())["bag.md"] == ("bags",)


async def test_what_was_given_up_is_not_asked_again_while_another_step_is_not_done(world: World) -> None:
    def garbage(system: str, user: str) -> Said:
        return 503 if "summarise" in system else "whatever"

    world.model.says = garbage
    async with world.running() as made:
        await world.apply(made, BAG)
        summarise = made.teller.asked[1]

        async def failed_often() -> bool:
            return summarise.counts.errors > 3 * teller.ATTEMPTS

        await until(failed_often)
        assert made.teller.asked[0].counts.bad == teller.ATTEMPTS
        assert [x.operator for x in await world.store.letters()] == ["classify"]
        world.model.says = says
        await made.told()
        assert (await world.summaries(), await world.labels()) == (
            {"bag.md": "Gist: voyagers learn of Bags."},
            {"bag.md": None},
        )


async def test_a_summary_that_cannot_be_embedded_stops_no_other(world: World) -> None:
    def refused(system: str, user: str) -> Said:
        return "refuse it" if "summarise" in system and "suitcase" in user else says(system, user)

    world.model.says = refused
    async with world.running() as made:
        await world.apply(made, *HISTORY)
        await made.told()
        assert await world.letters("summarise") == ["bag.md"]
        assert (await world.summaries())["fee.md"] is not None
        assert await world.labels() == TOLD
        assert (await made.verify()).equal


async def test_what_was_told_moves_with_the_vectors_of_another_model(world: World) -> None:
    await fill(world)
    beside = world.store.beside
    await beside.begin("next")
    bare = await beside.bare(-1, 100)
    assert "Gist: voyagers learn of Bags." in {c.text for c in bare}
    vectors = np.array([vector(c.text) for c in bare], np.float32)
    await beside.fill([c.chunk for c in bare], vectors)
    other = {"luggage": "", "rest": ""}
    world.model.says = luggage
    async with world.running(Wanted(other)) as made:
        await made.told()
        assert await beside.swap(Model("next", "", DIMENSIONS), lambda: None)
    labels = await world.rows("select distinct labels from chunk_vectors where open")
    assert labels == [(["luggage"],)]
    assert {p.document for p in await search(world.store, "word", where=Filter(label="luggage"))} == {
        "shop/bag.md", "shop/fee.md", "shop/note.md"
    }  # fmt: skip


DAMAGE = {
    "told of another text": "update document_versions set told_of = '\\x00' where document = 'shop/bag.md'",
    "its summary altered": "update document_versions set summary = 'lies' where document = 'shop/bag.md'",
    "its entry lost": "delete from chunks where ordinal < 0",
    "its labels altered": "update document_versions set labels = '{money}' where document = 'shop/bag.md'",
    "labels beside a vector altered": "update chunk_vectors set labels = '{money}' where document = 'shop/bag.md'",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
async def test_damage_to_what_was_told_is_noticed_and_repaired(world: World, statement: str) -> None:
    await fill(world)
    async with world.running() as made:
        await made.told()
        await world.rows(statement)
        assert "shop/bag.md" in {d.document for d in (await made.verify()).differences}

        report = await made.verify(repair=True)

        assert report.equal
        await made.told()
        assert await world.labels() == TOLD
        assert (await world.summaries())["bag.md"] == "Gist: voyagers learn of Bags."
        assert (await made.verify()).equal

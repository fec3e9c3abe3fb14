"""Composition root: the one place that binds names to adapters, and keeps them running."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

import structlog

from headrace.access import Readers, Rules, SourceRules, checked_glob, readers
from headrace.answer.asking import Asker
from headrace.answer.remember import Remembered
from headrace.answer.rerank import Ranking
from headrace.answer.service import Reader
from headrace.clock import now_us
from headrace.config import (
    AccessEntry,
    AccessRuleEntry,
    Config,
    Documents,
    Models,
    SourceEntry,
    UploadSettings,
    duration_us,
    without_secrets,
)
from headrace.config import Classify as ClassifyEntry
from headrace.config import Summarise as SummariseEntry
from headrace.engines.embedded import EmbeddedEngine
from headrace.errors import ConfigError, HeadraceError, StoreError
from headrace.findings import Finding, ok
from headrace.folder import hold, own_key
from headrace.knowledge.asked import Asked
from headrace.knowledge.asking import Task
from headrace.knowledge.chain import Settings
from headrace.knowledge.classify import Classify
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.parsed import Limits
from headrace.knowledge.pool import ParserPool
from headrace.knowledge.renewing import Renewal
from headrace.knowledge.restricting import restrict
from headrace.knowledge.rows import RowTemplate, compile_template, row_template
from headrace.knowledge.stages import Stages
from headrace.knowledge.succession import Serving, Succession
from headrace.knowledge.summarise import Summarise
from headrace.knowledge.teller import STEPS, Teller
from headrace.knowledge.verifier import NoWork, Verifier
from headrace.log import Log
from headrace.models import Embedder, Generator, Reranker, Served
from headrace.objects import ObjectStore
from headrace.profiles.operator import Profiles
from headrace.profiles.rules import ChildRule, RecordRule
from headrace.redaction.policy import Policy, Redactor
from headrace.registry import (
    DETECTORS,
    GENERATORS,
    LOGS,
    MIGRATIONS,
    OBJECT_STORES,
    SERVERS,
    SOURCES,
    STORES,
    embedder_at,
    lookup,
    reranker_at,
)
from headrace.sources import Source, SourceSettings
from headrace.stores import Store
from headrace.stores.profiles import Aggregate, FactRule
from headrace.stores.stock import WorkCache
from headrace.ticket import KEY_BYTES, Tickets

logger = structlog.get_logger("headrace.app")
DATABASE = "headrace"
HOUSEKEEPING_S = 2.0
PURGE_EVERY = 150  # of housekeeping's rounds: every five minutes
_DOCUMENTS = ("file", "upload")
"""Kinds of source whose changes are documents."""
_FUNCTIONS = ("count", "sum", "min", "max", "avg")

Say = Callable[[str], None]


class Postgres(Protocol):
    """An embedded server, as the app needs it."""

    def dsn(self, database: str) -> str: ...
    async def ensure_database(self, name: str) -> None: ...
    async def wait_dead(self) -> object: ...
    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Presigning:
    """Uploads by way of an object store: where they lie, what signs for them, and for how long (seconds)."""

    objects: ObjectStore
    tickets: Tickets
    seconds: int
    min_bytes: int
    keep_objects: bool


class Core:
    """Everything that stands on one store connection; rebuilt as a whole when the store breaks."""

    def __init__(
        self,
        store: Store,
        log: Log,
        engine: EmbeddedEngine,
        reader: Reader,
        asker: Asker,
        verifier: Verifier,
        renewal: Renewal,
        stages: Stages,
        teller: Teller,
        access: SourceRules,
    ) -> None:
        self.stages = stages
        self.teller = teller
        self.access = access
        self.asker = asker
        self.verifier = verifier
        self.renewal = renewal
        self.store = store
        self.log = log
        self.engine = engine
        self.reader = reader


class App:
    """A configured Headrace. `start` brings it up, `run` keeps it running, `close` ends it.

    An embedded PostgreSQL may be given (the demo keeps its airline there too); otherwise one is started when the
    configuration asks for it.
    """

    def __init__(self, config: Config, *, say: Say | None = None) -> None:
        self.config = config
        self.started_at = now_us()
        self.data = Path(config.headrace.data)
        self._say: Say = say or logger.info
        self._core: Core | None = None
        self._folder: int | None = None
        self._stack = AsyncExitStack()
        self._postgres: Postgres | None = None
        self._embedder: Embedder | None = None
        self._before: Embedder | None = None
        self._ranking: Ranking | None = None
        self._generator: Generator | None = None
        self._models: dict[str, Generator] = {}
        self._presigning: Presigning | None = None
        self._trouble: str | None = "it is starting"

    @property
    def core(self) -> Core:
        """What answers. Raises StoreError while it is being (re)built."""
        if self._core is None:
            raise StoreError(
                step="use the store",
                expected="a store that is up",
                got=self._trouble or "none",
                remedy="It is brought up again by itself; ask again in a moment.",
            )
        return self._core

    @property
    def embedder(self) -> Embedder:
        assert self._embedder is not None
        return self._embedder

    @property
    def embedders(self) -> Sequence[Embedder]:
        """Those in use: the one that is configured, and another one that serves until its vectors are built."""
        return [e for e in (self._embedder, self._before) if e is not None]

    @property
    def ranking(self) -> Ranking | None:
        """The reranker with its bounds, and what came of it; it outlives the core."""
        return self._ranking

    @property
    def generator(self) -> Generator | None:
        return self._generator

    @property
    def presigning(self) -> Presigning | None:
        """What uploads by way of an object store need; None where there is none."""
        return self._presigning

    async def start(self, *, capture: bool = True) -> None:
        """Brings everything up once. Raises what prevents it. Without `capture` it only answers."""
        self._take_folder()
        self._embedder = await asyncio.to_thread(embedder_at, self.config.models.embedding)
        if self.config.models.reranker:
            reranker = await asyncio.to_thread(reranker_at, self.config.models.reranker)
            self._ranking = ranking(reranker, self.config.models)
        if self.config.models.generation:
            url = self.config.models.generation
            self._generator = lookup("generators", GENERATORS, url)(url)
        if self.config.uploads.object_store:
            self._presigning = await asyncio.to_thread(_presigning, self.config.uploads, self.data)
        self._core = await self._build()

    async def run(self) -> None:
        """Captures and applies until cancelled; a store that breaks is brought up again."""
        pause_s = 0.2
        while True:
            began = asyncio.get_running_loop().time()
            try:
                # In a task of its own: before Python 3.11.4 a task in which a group has failed counts as cancelled for
                # good, and its next timeout would end it without a word.
                await asyncio.create_task(self._work(), name="engine's work")
            except Exception as error:  # whatever broke, the answer is the same: build anew
                self._trouble = _first(error)
                logger.exception("the engine stopped and is started again", error=self._trouble, again_in_s=pause_s)
            self._core = None
            await self._stack.aclose()
            await self._pause(pause_s)
            lasted = asyncio.get_running_loop().time() - began
            pause_s = 0.2 if lasted > 30 else min(pause_s * 2, 10.0)

    async def _work(self) -> None:
        """Everything that runs, until something breaks: that is raised."""
        core = self._core = self._core or await self._build()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(core.engine.run())
            tasks.create_task(self._house(core))
            tasks.create_task(_renew(core))
            tasks.create_task(_tell(core))
            tasks.create_task(_index(core))
            if self._postgres:
                tasks.create_task(self._watch(self._postgres))

    async def _pause(self, pause_s: float) -> None:
        """Cut short by the end of the embedded server, which may be noticed only after its connections broke."""
        if self._postgres is None:
            await asyncio.sleep(pause_s)
            return
        try:
            async with asyncio.timeout(pause_s):
                await self._postgres.wait_dead()
        except TimeoutError:
            return
        self._postgres = None

    async def close(self) -> None:
        self._core = None
        await self._stack.aclose()
        for embedder in (self._embedder, self._before):
            if embedder:
                await embedder.close()
        if self._ranking:
            await self._ranking.reranker.close()
        for generator in (self._generator, *self._models.values()):
            if generator:
                await generator.close()
        if self._presigning:
            await self._presigning.objects.close()
        if self._postgres:
            await self._postgres.stop()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    # ---- building ----------------------------------------------------------------------------------------------------

    async def database(self, name: str) -> str:
        """The address of a database in the embedded PostgreSQL, which is started if need be."""
        self._take_folder()
        if self._postgres is None:
            start = lookup("servers", SERVERS, "embedded:")
            self._postgres = await _start_postgres(start, self.data / "postgres", self._say)
        assert self._postgres is not None
        await self._postgres.ensure_database(name)
        return self._postgres.dsn(name)

    def _take_folder(self) -> None:
        if self._folder is None:
            self._folder = hold(self.data)

    async def _build(self) -> Core:
        try:
            return await self._compose()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _compose(self) -> Core:
        config = self.config
        embedded = config.headrace.store.startswith("embedded:")
        dsn = await self.database(DATABASE) if embedded else config.headrace.store
        await lookup("migrations", MIGRATIONS, "postgresql:")(dsn, progress=self._say)
        rules = [_child(e) for e in config.profiles.facts]
        kind: Any = lookup("stores", STORES, config.headrace.store)
        serving = await self._serving(await kind.model(dsn))
        if isinstance(serving.now, Served) and (known := await kind.dimensions(dsn)):
            serving.now.know(known)  # it answers, by words, before the service does
        store: Store = await kind.open(
            dsn,
            model=serving.id,
            dimensions=serving.dimensions,
            rules=[r.show for r in rules],
            address=without_secrets(config.models.embedding) if serving.now is self.embedder else "",
        )
        self._stack.push_async_callback(store.close)
        access, templates = access_rules(config), _templates(config)
        await restrict(store, access, templates)
        log: Log = await lookup("logs", LOGS, config.headrace.log).connect(  # pyright: ignore[reportFunctionMemberAccess]
            dsn, partitions=partitions(config.headrace.log)
        )
        self._stack.push_async_callback(log.close)
        redacting = await redactors(config)
        sources = [self._source(e) for e in range(len(config.sources))]
        for source in sources:
            self._stack.push_async_callback(source.close)
        documents = frozenset(s.name for s in sources if s.kind in _DOCUMENTS)
        stages = Stages()

        settings = Settings(limits(config.documents), config.knowledge.chunk_tokens)

        def knowing(work: WorkCache, parser: ParserPool, told: Stages | None = None) -> Knowledge:
            return Knowledge(documents, templates, serving, work, parser, redacting, settings, told, access)

        knowledge = knowing(store.work, self._parser(), stages)
        await store.keep_chains({c.key: c.to_json() for c in knowledge.chains.values()})
        profiles = Profiles(_records(config), {r.show.topic: r for r in rules})
        engine = EmbeddedEngine(sources, [knowledge, profiles], log, store)
        remembered = Remembered(serving)
        reader = Reader(store, remembered, engine, config.answer.wait_ms, self._ranking)
        asker = Asker(
            reader,
            store,
            remembered,
            self._generator,
            passages=config.answer.passages,
            max_tokens=config.answer.max_tokens,
            fixed_now=_fixed_now(config.answer.now),
        )
        # What is verified, and repaired, is made as it was: redacted too.
        beside = self._parser(workers=1)
        turn, live = engine.turns[knowledge.name], engine.started.is_set
        verifier = Verifier(knowing(NoWork(), beside), log, store, engine.sources, engine, turn, live)
        again = knowing(store.work, beside)
        renewal = Renewal(again, log, store, engine.sources, turn, lambda: engine.busy(knowledge.name))
        if serving.now is self.embedder:
            await store.beside.cancel()
        else:
            renewal.succession = Succession(
                store, serving, self.embedder, without_secrets(config.models.embedding), turn,
                lambda: verifier.running is None, renewal.give_way,
            )  # fmt: skip
        teller = Teller(self._asked(documents), again, store, turn, stages.changed)
        await store.keep_chains(teller.steps())
        engine.retries |= dict.fromkeys(STEPS, teller.retry)
        return Core(store, log, engine, reader, asker, verifier, renewal, stages, teller, access)

    def _asked(self, documents: frozenset[str]) -> list[Asked]:
        """What language models are asked about documents: those of folders and uploads, and rows where that is said."""
        knowledge = self.config.knowledge
        rows = {e.table for e in knowledge.rows}
        found: list[Asked] = []
        for entry in (knowledge.classify, knowledge.summarise):
            if entry is not None:
                named = {t for t in documents | rows if t.partition(".")[0] in entry.sources}
                topics = frozenset(named) if entry.sources else documents
                found.append(Asked(_task(entry), self._model(entry.model), topics, entry.parallel))
        return found

    def _model(self, url: str | None) -> Generator:
        """The generator of answers, or another one."""
        if url is None or url == self.config.models.generation:
            assert self._generator is not None
            return self._generator
        if url not in self._models:
            self._models[url] = lookup("generators", GENERATORS, url)(url)
        return self._models[url]

    async def _serving(self, stored: tuple[str, str | None] | None) -> Serving:
        """The embedder of the vectors that there are: another one than what is configured until its own are built."""
        wanted = self.embedder
        if stored is None or stored[0] == wanted.id:
            return Serving(wanted)
        id, address = stored[0], stored[1] or Models().embedding
        before = self._before
        if before is None or before.id != id:
            step, remedy = "open the embedding model before", "Put it back, or start with an empty store."
            expected = f"{id} at {address}, to serve until the vectors of {wanted.id} are built"
            try:
                before = await asyncio.to_thread(embedder_at, address)
            except HeadraceError as error:
                raise ConfigError(step=step, expected=expected, got=error.got, remedy=remedy) from error
            if before.id != id:
                await before.close()
                raise ConfigError(step=step, expected=expected, got=before.id, remedy=remedy)
            self._before = before
        return Serving(before)

    def _parser(self, workers: int | None = None) -> ParserPool:
        pool = ParserPool(limits(self.config.documents), workers=workers or self.config.documents.workers)
        self._stack.push_async_callback(pool.close)
        return pool

    def _source(self, n: int) -> Source:
        entry = self.config.sources[n]
        settings = source_settings(entry, self.data, _identity(self.data))
        return lookup("sources", SOURCES, entry.url)(settings)

    # ---- keeping house -----------------------------------------------------------------------------------------------

    async def _watch(self, postgres: Postgres) -> None:
        ended = await postgres.wait_dead()
        self._postgres = None
        raise StoreError(
            step="run the embedded PostgreSQL",
            expected="it to keep running",
            got=str(ended or "its end"),
            remedy="It is started again by itself.",
        )

    async def _house(self, core: Core) -> None:
        """Packs postings, forgets what is past its time."""
        rounds = 0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            await core.store.compact()
            if rounds % PURGE_EVERY == 0:
                now = now_us()
                await core.store.purge(now - duration_us(self.config.headrace.history))
                await core.log.trim(now - duration_us(self.config.headrace.retention), await core.engine.settled())
            rounds += 1


async def _renew(core: Core) -> None:
    """Once the live changes are on their way."""
    await core.engine.started.wait()
    await core.renewal.run()


async def _tell(core: Core) -> None:
    """Beside everything else: a language model takes its time."""
    await core.engine.started.wait()
    await core.teller.run()


async def _index(core: Core) -> None:
    """Beside the other housekeeping, which must not wait for a build."""
    while True:
        await core.store.index()
        await asyncio.sleep(HOUSEKEEPING_S)


async def _start_postgres(kind: Any, folder: Path, say: Say) -> Postgres:
    return await kind.start(folder, progress=say, tcp=True)


def _fixed_now(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            step="read [answer] now",
            expected="an RFC 3339 time with an offset",
            got=text,
            remedy="Write it like 2024-05-15T15:00:00-05:00.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def source_settings(entry: SourceEntry, data: Path, id: str) -> SourceSettings:
    """`id` names this Headrace at shared sources; see `known_identity`."""
    return SourceSettings(
        name=entry.name,
        url=entry.url,
        id=id,
        tables=tuple(entry.tables),
        include=tuple(entry.include),
        exclude=tuple(entry.exclude),
        max_bytes=entry.max_bytes,
        scratch=str(data / "scratch"),
        options=entry.options,
    )


def _presigning(settings: UploadSettings, data: Path) -> Presigning:
    """Raises ConfigError, StoreError."""
    url = settings.object_store or ""
    objects: ObjectStore = lookup("objects", OBJECT_STORES, url)(url)
    tickets = Tickets(own_key(data, "tickets.key", KEY_BYTES))
    seconds = duration_us(settings.expires) // 1_000_000
    return Presigning(objects, tickets, seconds, settings.min_bytes, settings.keep_objects)


def known_identity(data: Path) -> str:
    """What names this Headrace at shared sources; empty before its first start."""
    file = data / "identity"
    return file.read_text().strip() if file.exists() else ""


def _identity(data: Path) -> str:
    """What names this Headrace at shared sources: made once, kept beside its data."""
    file = data / "identity"
    if not file.exists():
        file.write_text(f"{now_us():x}"[-10:])
    return file.read_text().strip()


def limits(entry: Documents) -> Limits:
    """What `[documents]` allows a file."""
    return Limits(
        duration_us(entry.timeout) / 1_000_000,
        entry.memory,
        entry.pages,
        entry.characters,
        entry.members,
        entry.unpacked,
        entry.ratio,
        entry.depth,
        entry.pixels,
        entry.ocr,
    )


def ranking(reranker: Reranker, models: Models) -> Ranking:
    return Ranking(reranker, models.rerank_candidates, models.rerank_ms / 1000, by_default=models.rerank)


def _task(entry: ClassifyEntry | SummariseEntry) -> Task:
    if isinstance(entry, SummariseEntry):
        return Summarise(max_words=entry.max_words, characters=entry.characters, max_tokens=entry.max_tokens)
    return Classify(entry.labels, many=entry.many, characters=entry.characters, max_tokens=entry.max_tokens)


def redactor(entry: SourceEntry) -> Redactor | None:
    """By a source's `[sources.redact]`; None where it has none. Raises ConfigError."""
    rules = entry.redact
    if rules is None:
        return None
    try:
        policy = Policy(rules.kinds, rules.default, rules.key or "")
    except ConfigError as error:
        step = f"read the redaction policy of {entry.name}"
        raise ConfigError(step=step, expected=error.expected, got=error.got, remedy=error.remedy) from None
    if not rules.detectors:
        raise ConfigError(
            step=f"read the redaction of {entry.name}",
            expected="at least one detector",
            got="none",
            remedy='Write `detectors = ["rules:"]`, or leave the table out to keep everything.',
        )
    return Redactor([lookup("detectors", DETECTORS, url)(url) for url in rules.detectors], policy)


async def redaction_findings(config: Config) -> Sequence[Finding]:
    """For `headrace doctor`: the policies. Raises ConfigError."""
    redacting = await redactors(config)
    return [ok("policies", ", ".join(sorted(redacting)) or "none: nothing is redacted")]


async def redactors(config: Config) -> Mapping[str, Redactor]:
    """By source; models are loaded in a thread."""
    found = {e.name: await asyncio.to_thread(redactor, e) for e in config.sources}
    return {name: each for name, each in found.items() if each is not None}


def access_rules(config: Config) -> SourceRules:
    """Of every source, also of those whose documents are open to everybody. Raises ConfigError."""
    return SourceRules({e.name: _rules(e) for e in config.sources})


def _rules(entry: SourceEntry) -> Rules:
    said = None if entry.access is None else _readers(entry.name, entry.access)
    return Rules(said, tuple((checked_glob(r.match), _readers(entry.name, r)) for r in entry.access_rules))


def _readers(source: str, entry: AccessEntry | AccessRuleEntry) -> Readers:
    try:
        said = readers(entry.owner or "", entry.groups)
    except ValueError as error:
        step = f"read the access rules of {source}"
        raise ConfigError(step=step, expected="names", got=str(error), remedy="Correct them.") from None
    assert said is not None
    return said


def partitions(url: str) -> int:
    query = parse_qs(urlsplit(url).query)
    text = query.get("partitions", ["1"])[0]
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise ConfigError(
            step="open the log", expected="partitions from 1 to 64", got=text, remedy="Correct [headrace] log."
        )
    return int(text)


def _templates(config: Config) -> Mapping[str, RowTemplate]:
    return {e.table: row_template(e.table, e.text, e.owner, e.groups, e.metadata) for e in config.knowledge.rows}


def _records(config: Config) -> Mapping[str, RecordRule]:
    return {e.table: RecordRule(e.table, e.identifiers, e.fields) for e in config.profiles.records}


def _child(entry: Any) -> ChildRule:
    name = entry.name or entry.table.rpartition(".")[2]
    aggregates = tuple(_aggregate(entry.table, n, text) for n, text in entry.aggregates.items())
    text = compile_template(entry.table, entry.text) if entry.text else None
    show = FactRule(entry.table, name, entry.keep, aggregates)
    return ChildRule(show, entry.belongs_to, entry.order_by, entry.time, text)


def _aggregate(table: str, name: str, text: str) -> Aggregate:
    function, _, rest = text.replace(" ", "").partition("(")
    column = rest.removesuffix(")")
    if function not in _FUNCTIONS or not rest.endswith(")") or not column or (column == "*" and function != "count"):
        raise ConfigError(
            step=f"read the aggregates of {table}",
            expected="count(*), or count, sum, min, max or avg of a column",
            got=f"{name} = {text!r}",
            remedy="Correct it in headrace.toml.",
        )
    return Aggregate(name, function, column)


def _first(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"

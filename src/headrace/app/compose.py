"""Puts together what stands on one store connection."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from headrace.answer.asking import Asker
from headrace.answer.remember import Remembered
from headrace.answer.service import Reader
from headrace.app.core import Core
from headrace.app.models import OpenModels
from headrace.app.opening import open_log, open_sources, open_store
from headrace.app.rules import access_rules, child_rules, limits, record_rules, redactors, row_templates, task
from headrace.config import Config
from headrace.courtesy import Courtesy
from headrace.engines.embedded import EmbeddedEngine
from headrace.errors import ConfigError
from headrace.knowledge.asked import Asked
from headrace.knowledge.chain import Settings
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.pool import ParserPool
from headrace.knowledge.renewing import Renewal
from headrace.knowledge.restricting import restrict
from headrace.knowledge.stages import Stages
from headrace.knowledge.succession import Succession
from headrace.knowledge.teller import STEPS, Teller
from headrace.knowledge.verifier import NoWork, Verifier
from headrace.profiles.operator import Profiles
from headrace.sources import Source
from headrace.stores.stock import WorkCache

_DOCUMENTS = ("file", "upload")
"""Kinds of source whose changes are documents."""


async def compose(config: Config, dsn: str, models: OpenModels, closing: AsyncExitStack) -> Core:
    """`dsn`: of the database of the store, migrated. What is opened is closed with `closing`. Raises ConfigError,
    StoreError."""
    children = child_rules(config)
    store, serving = await open_store(config, dsn, models, [r.show for r in children], closing)
    access, templates = access_rules(config), row_templates(config)
    await restrict(store, access, templates)
    log = await open_log(config.headrace.log, dsn, closing)
    redacting = await redactors(config)
    sources = open_sources(config, closing)
    documents = _of_documents(sources)
    stages, courtesy = Stages(), Courtesy()
    settings = Settings(limits(config.documents), config.knowledge.chunk_tokens)

    def knowing(work: WorkCache, parser: ParserPool, told: Stages | None = None) -> Knowledge:
        return Knowledge(documents, templates, serving, work, parser, redacting, settings, told, access, courtesy)

    knowledge = knowing(store.work, _parser(config, config.documents.workers, closing), stages)
    await store.keep_chains({c.key: c.to_json() for c in knowledge.chains.values()})
    profiles = Profiles(record_rules(config), {r.show.topic: r for r in children})
    engine = EmbeddedEngine(sources, [knowledge, profiles], log, store)
    remembered = Remembered(serving)
    reader = Reader(store, remembered, engine, config.answer.wait_ms, models.ranking, courtesy)
    asker = Asker(
        reader,
        store,
        remembered,
        models.generator,
        passages=config.answer.passages,
        max_tokens=config.answer.max_tokens,
        fixed_now=_fixed_now(config.answer.now),
    )
    # What is verified, and repaired, is made as it was: redacted too.
    beside = _parser(config, 1, closing)
    turn, live = engine.turns[knowledge.name], engine.started.is_set
    verifier = Verifier(knowing(NoWork(), beside), log, store, engine.sources, engine, turn, live)
    again = knowing(store.work, beside)
    renewal = Renewal(again, log, store, engine.sources, turn, lambda: engine.busy(knowledge.name))
    if serving.now is models.embedder:
        await store.beside.cancel()
    else:
        renewal.succession = Succession(
            store, serving, models.embedder, models.address, turn,
            lambda: verifier.running is None, renewal.give_way,
        )  # fmt: skip
    teller = Teller(_asked(config, models, documents), again, store, turn, stages.changed)
    await store.keep_chains(teller.steps())
    engine.retries |= dict.fromkeys(STEPS, teller.retry)
    return Core(store, log, engine, reader, asker, verifier, renewal, stages, teller, access)


def _of_documents(sources: Sequence[Source]) -> frozenset[str]:
    return frozenset(s.name for s in sources if s.kind in _DOCUMENTS)


def _parser(config: Config, workers: int, closing: AsyncExitStack) -> ParserPool:
    pool = ParserPool(limits(config.documents), workers=workers)
    closing.push_async_callback(pool.close)
    return pool


def _asked(config: Config, models: OpenModels, documents: frozenset[str]) -> list[Asked]:
    """What language models are asked about documents: those of folders and uploads, and rows where that is said."""
    rows = {e.table for e in config.knowledge.rows}
    found: list[Asked] = []
    for entry in (config.knowledge.classify, config.knowledge.summarise):
        if entry is not None:
            named = {t for t in documents | rows if t.partition(".")[0] in entry.sources}
            topics = frozenset(named) if entry.sources else documents
            found.append(Asked(task(entry), models.generator_at(entry.model), topics, entry.parallel))
    return found


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

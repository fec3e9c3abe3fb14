"""Opens what the configuration names by an address: the store, the log and the sources."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from headrace.app.models import OpenModels
from headrace.config import Config
from headrace.config.sources import SourceEntry
from headrace.errors import ConfigError
from headrace.folder import identity
from headrace.knowledge.succession import Serving
from headrace.log import Log
from headrace.models import Served
from headrace.registry import LOGS, SOURCES, STORES, lookup
from headrace.sources import Source, SourceSettings
from headrace.stores import Store
from headrace.stores.profiles import FactRule


async def open_store(
    config: Config, dsn: str, models: OpenModels, shown: list[FactRule], closing: AsyncExitStack
) -> tuple[Store, Serving]:
    """With the embedder whose vectors it holds. Raises ConfigError, StoreError."""
    kind: Any = lookup("stores", STORES, config.headrace.store)
    serving = await models.serving(await kind.model(dsn))
    if isinstance(serving.now, Served) and (known := await kind.dimensions(dsn)):
        serving.now.know(known)  # it answers, by words, before the service does
    store: Store = await kind.open(
        dsn,
        model=serving.id,
        dimensions=serving.dimensions,
        rules=shown,
        address=models.address if serving.now is models.embedder else "",
    )
    closing.push_async_callback(store.close)
    return store, serving


async def open_log(address: str, dsn: str, closing: AsyncExitStack) -> Log:
    """`dsn`: of the database that it is in. Raises ConfigError, StoreError."""
    kind: Any = lookup("logs", LOGS, address)
    log: Log = await kind.connect(dsn, partitions=partitions(address))
    closing.push_async_callback(log.close)
    return log


def partitions(address: str) -> int:
    """Of a log's address. Raises ConfigError."""
    query = parse_qs(urlsplit(address).query)
    text = query.get("partitions", ["1"])[0]
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise ConfigError(
            step="open the log", expected="partitions from 1 to 64", got=text, remedy="Correct [headrace] log."
        )
    return int(text)


def open_sources(config: Config, closing: AsyncExitStack) -> list[Source]:
    """Raises ConfigError; none is connected to yet."""
    data = Path(config.headrace.data)
    opened: list[Source] = [
        lookup("sources", SOURCES, entry.url)(source_settings(entry, data, identity(data))) for entry in config.sources
    ]
    for source in opened:
        closing.push_async_callback(source.close)
    return opened


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

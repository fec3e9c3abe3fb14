"""Routes over the log: changes of one topic as Debezium-compatible envelopes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from headrace.app import App
from headrace.app.core import Core
from headrace.change import Style
from headrace.envelope import Origin, encode_envelope
from headrace.errors import NotFound, SourceError
from headrace.log import Logged, TopicPartition
from headrace.sources import Described

PAGE = 2000
logger = structlog.get_logger("headrace.log")


def log_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["log"])

    @router.get("/log/{topic}")
    async def log(  # pyright: ignore[reportUnusedFunction]
        topic: str,
        start: Annotated[int, Query(alias="from", ge=0)] = 0,
        partition: Annotated[int | None, Query(ge=0)] = None,
        follow: bool = False,
    ) -> Response:
        """A topic's changes from an offset on, one envelope a line; with `follow` also those to come."""
        core = app.core
        extents = [t for t in await core.log.topics() if t.topic == topic]
        chosen = [e for e in extents if partition is None or e.partition == partition]
        if not chosen:
            known = sorted({t.topic for t in await core.log.topics()})
            raise NotFound(
                step="read the log",
                expected="one of the topics " + (", ".join(known) or "(none yet)"),
                got=topic[:200] + ("" if partition is None else f" partition {partition}"),
                remedy="Name a topic as /v1/status lists them.",
            )
        if follow and not core.engine.started.is_set():
            raise SourceError(
                step="follow the log",
                expected="a Headrace that is running",
                got="one that only answers",
                remedy="Start `headrace up`, or leave --follow out.",
            )
        lines = _follow(core, chosen, start) if follow else _stored(core, chosen, start)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    return router


async def _stored(core: Core, extents: list[TopicPartition], start: int) -> AsyncIterator[bytes]:
    for extent in extents:
        async for lines in _pages(core, extent, start):
            yield lines


def _origin(core: Core, name: str) -> Origin:
    """Of a source that is no longer configured only its name is known."""
    source = core.engine.sources.get(name)
    if isinstance(source, Described):
        return source.origin
    return Origin("", Style.NUMBER) if source is None else Origin(source.kind, source.style)


async def _pages(core: Core, extent: TopicPartition, start: int) -> AsyncIterator[bytes]:
    offset = max(start, extent.first)
    while offset < extent.next:
        found = await core.log.read(extent.topic, extent.partition, offset, PAGE)
        if not found:
            return
        yield _lines(found, _origin(core, extent.source))
        offset = found[-1].offset + 1


def _lines(found: Sequence[Logged], origin: Origin) -> bytes:
    return b"".join(encode_envelope(x.change, origin) + b"\n" for x in found)


async def _follow(core: Core, extents: list[TopicPartition], start: int) -> AsyncIterator[bytes]:
    """Partitions side by side; order holds within each. What breaks one ends the stream."""
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(4)

    async def one(extent: TopicPartition) -> None:
        offset = max(start, extent.first)
        try:
            while True:
                await core.log.wait(extent.topic, extent.partition, offset)
                found = await core.log.read(extent.topic, extent.partition, offset, PAGE)
                if found:
                    await ready.put(_lines(found, _origin(core, extent.source)))
                    offset = found[-1].offset + 1
        except Exception as error:  # noqa: BLE001 - told, and the reader sees the end
            logger.warning("the log cannot be followed any more", topic=extent.topic, error=str(error))
            await ready.put(None)

    tasks = [asyncio.create_task(one(e)) for e in extents]
    try:
        while (line := await ready.get()) is not None:
            yield line
    finally:
        for task in tasks:
            task.cancel()

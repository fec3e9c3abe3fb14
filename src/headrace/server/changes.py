"""The stream of applied changes, for people who watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from headrace.access import Viewer
from headrace.app import App
from headrace.app.core import Core
from headrace.change import Change, Op, Row, Schema, document_id, key_name, stamp_json
from headrace.clock import now_us, rfc3339
from headrace.knowledge.operator import KNOWLEDGE
from headrace.server.identity import viewer_of

QUEUE = 500
"""Changes that a slow watcher may be behind; then it loses some and is told how many."""
MOST_PENDING = 2000
"""Appends that may wait to be told of; more are skipped and counted."""
SHOWN_CHARACTERS = 200
REMEMBERED_ROWS = 20_000
HEARTBEAT_S = 15.0
logger = structlog.get_logger("headrace.changes")


class Feed:
    """Follows the log once for everybody who watches; does nothing while nobody does."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._pending = 0
        self._rows: OrderedDict[tuple[Schema, Row], Row] = OrderedDict()

    async def watch(self, viewer: Viewer) -> AsyncIterator[bytes]:
        """Server-sent events until the client goes; for others than operators of documents that they may read, and
        without what stands in other columns of their rows."""
        watcher = Watcher(viewer)
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="changes feed")
        try:
            yield b": the changes as they are applied\n\n"
            while True:
                yield await watcher.next()
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._task:
                self._task.cancel()
                self._task = None

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.end()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                core = self._app.core
                async with asyncio.TaskGroup() as tasks:
                    for source in core.engine.sources:
                        tasks.create_task(self._follow(core, source))
            except Exception as error:  # noqa: BLE001 - the store may be coming up again
                logger.info("the feed waits for the store", error=str(error))
            await asyncio.sleep(0.5)

    async def _follow(self, core: Core, source: str) -> None:
        """Tells of each change once the operators that want it have applied it: a copy that still goes on in one
        topic does not keep the others' changes back."""
        start = core.engine.tracker.sources[source].number
        async with asyncio.TaskGroup() as waiting, contextlib.aclosing(core.log.follow(source, start)) as stream:
            async for appends in stream:
                for append in appends:
                    for operators, changes in _by_operators(core, append.changes).items():
                        if self._pending >= MOST_PENDING:
                            self._skip(len(changes))
                        else:
                            waiting.create_task(self._tell(core, append.number, operators, changes))

    async def _tell(self, core: Core, number: int, operators: Sequence[str], changes: Sequence[Change]) -> None:
        self._pending += 1
        try:
            await core.engine.tracker.applied_by(operators, changes[0].schema.source, number)
        finally:
            self._pending -= 1
        applied_at = now_us()
        told = [(change, self._event(core, change, applied_at)) for change in changes]
        for viewer in {w.viewer for w in self._watchers}:
            events = [_line(event) for _, event in told] if viewer.operator else await _readable(core, viewer, told)
            for watcher in self._watchers:
                if watcher.viewer == viewer:
                    for event in events:
                        watcher.put(event)

    def _skip(self, count: int) -> None:
        for watcher in self._watchers:
            watcher.skip(count if watcher.viewer.operator else 1)  # of what others are told, nobody counts

    def _event(self, core: Core, change: Change, applied_at: int) -> dict[str, Any]:
        stamp = change.stamp
        shown: dict[str, Any] = {
            "source": stamp.source,
            "topic": change.schema.topic,
            "key": key_name(change.schema, change.key),
            "op": change.op.value,
            "stamp": stamp_json(stamp, core.engine.sources[stamp.source].style),
            "applied_at": rfc3339(applied_at),
            "age_ms": round((applied_at - stamp.committed_at) / 1000, 3),
            "changed": self._changed(change),
        }
        if change.key and KNOWLEDGE in core.engine.wanting(change.schema.topic):
            shown["document"] = document_id(change.schema, change.key)
        return shown

    def _changed(self, change: Change) -> dict[str, list[Any]]:
        """Columns whose value changed, old and new; the old one as the source gave it or as it was last seen here. Of a
        document nothing: its content is no column, and too large to be remembered."""
        if not change.schema.table:
            return {}
        id = (change.schema, change.key)
        before = self._rows.pop(id, None) or change.before
        after = change.after
        if after is not None:
            self._rows[id] = after
            while len(self._rows) > REMEMBERED_ROWS:
                self._rows.popitem(last=False)
        if change.op is Op.TRUNCATE:
            return {}
        rows = [(c.name, before[n] if before else None, after[n] if after else None) for n, c in _columns(change)]
        unknown = change.op is Op.UPDATE and before is None
        return {name: [_shown(old), _shown(new)] for name, old, new in rows if unknown or old != new}


class Watcher:
    """One client's bounded queue."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._skipped = 0
        self._ended = False

    def put(self, event: bytes) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.skip(1)

    def skip(self, count: int) -> None:
        self._skipped += count

    def end(self) -> None:
        self._ended = True
        self.put(b": the end\n\n")

    async def next(self) -> bytes:
        """The next event; a comment when none came for a while, so that proxies keep the connection."""
        if self._skipped and self._queue.empty():
            count, self._skipped = self._skipped, 0
            return b"event: skipped\ndata: " + msgspec.json.encode({"count": count}) + b"\n\n"
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                event = await self._queue.get()
        except TimeoutError:
            event = b": still here\n\n"
        if self._ended:
            raise asyncio.CancelledError
        return event


def changes_router(feed: Feed) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["status"])

    @router.get("/changes")
    async def changes(request: Request) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        """Applied changes as server-sent events, with their age when they were applied."""
        events = feed.watch(viewer_of(request))
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    return router


def _line(event: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


async def _readable(core: Core, viewer: Viewer, told: Sequence[tuple[Change, dict[str, Any]]]) -> list[bytes]:
    """What somebody is told: of documents that he may read now that these are applied."""
    documents = {event["document"] for _, event in told if "document" in event}
    if not documents:
        return []
    async with core.store.snapshot(viewer=viewer) as snapshot:
        readable = await snapshot.knowledge.readable(sorted(documents))
    return [_line({**event, "changed": {}}) for _, event in told if event.get("document") in readable]


def _by_operators(core: Core, changes: Sequence[Change]) -> dict[tuple[str, ...], list[Change]]:
    """Changes by the operators that want them, each in order."""
    found: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        found.setdefault(tuple(core.engine.wanting(change.schema.topic)), []).append(change)
    return found


def _columns(change: Change):
    return list(enumerate(change.schema.columns))


def _shown(value: object) -> object:
    """A value short enough to be looked at."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return value[:SHOWN_CHARACTERS] + "…"
    return value

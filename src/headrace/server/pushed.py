"""Counts what comes to `/v1/changes`, whatever becomes of it; the outermost middleware."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.ops.metrics import PushRequests

_PREFIX = "/v1/changes/"


class CountPushes:
    """ASGI middleware. Sources that are not there count under an empty name: callers can make up any number."""

    def __init__(self, app: ASGIApp, *, sources: Iterable[str], counts: PushRequests) -> None:
        self._app = app
        self._sources = frozenset(sources)
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        named = scope["path"].removeprefix(_PREFIX)
        source = named if named in self._sources else ""

        async def received() -> Message:
            message = await receive()
            self._counts.received[source] += len(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counts.answered[source, message["status"]] += 1
            await send(message)

        await self._app(scope, received, sent)

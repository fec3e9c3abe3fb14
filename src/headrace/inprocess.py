"""An ASGI app that is asked in this process: its answers come as they are made, not when they are whole."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx2
from starlette.types import ASGIApp

MOST_PARTS = 16
"""So many parts of an answer wait at most for whoever reads it; then the app waits."""

Headers = list[tuple[bytes, bytes]]


class InProcess(httpx2.AsyncBaseTransport):
    """Implements httpx's transport. What breaks the app before its answer is whole is raised to whoever asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _Exchange(request)
        status, headers = await exchange.begin(self._app)
        return httpx2.Response(status, headers=headers, stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One request and its answer. Closing it ends the app's work on it, unless that is done."""

    def __init__(self, request: httpx2.Request) -> None:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        self._request = request
        self._body = aiter(request.stream)
        self._read = False
        self._started: asyncio.Future[tuple[int, Headers]] = asyncio.get_running_loop().create_future()
        self._parts: deque[bytes] = deque()
        self._changed, self._room, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._whole = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self, app: ASGIApp) -> tuple[int, Headers]:
        """The status and headers."""
        self._task = asyncio.ensure_future(_called(app, self._scope, self._receive, self._send))
        self._task.add_done_callback(lambda _: self._changed.set())
        try:
            await asyncio.wait((self._task, self._started), return_when=asyncio.FIRST_COMPLETED)
            if not self._started.done():
                self._ended(self._task)
        except BaseException:
            await self.aclose()
            raise
        return self._started.result()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._task is not None
        while True:
            while self._parts:
                yield self._parts.popleft()
                self._room.set()
            if self._whole:
                return
            if self._task.done():
                self._ended(self._task)
            self._changed.clear()
            await self._changed.wait()

    async def aclose(self) -> None:
        self._over.set()
        self._room.set()
        if self._task is not None:
            if not self._whole:
                self._task.cancel()
            # What breaks behind a whole answer is told in the log, where the app tells it.
            await asyncio.gather(self._task, return_exceptions=True)

    @staticmethod
    def _ended(task: asyncio.Task[None]) -> None:
        """Raises what ended the app in the middle."""
        task.result()
        raise httpx2.RemoteProtocolError("the app ended before its answer did")

    @property
    def _scope(self) -> MutableMapping[str, Any]:
        url = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": ("127.0.0.1", 0),
            "root_path": "",
        }

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._read:
            await self._over.wait()
            return {"type": "http.disconnect"}
        async for part in self._body:
            return {"type": "http.request", "body": part, "more_body": True}
        self._read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._started.set_result((message["status"], list(message.get("headers", ()))))
            return
        if self._over.is_set():
            await asyncio.sleep(0)  # nobody reads it: it is being cancelled, and must not run on without a pause
            return
        if message.get("body"):
            self._parts.append(message["body"])
        if not message.get("more_body", False):
            self._whole = True
            self._over.set()
        self._changed.set()
        while len(self._parts) >= MOST_PARTS and not self._over.is_set():
            self._room.clear()
            await self._room.wait()


async def _called(app: ASGIApp, *given: Any) -> None:
    await app(*given)

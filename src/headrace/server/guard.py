"""What every request must pass: a known Host, an own Origin, a bounded body."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.errors import BadRequest, HeadraceError
from headrace.server.problems import problem_response
from headrace.server.records import LINES

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Forbidden(HeadraceError):
    """A request that a page of another origin, or another name for this machine, has made."""

    status = 403
    title = "Not from here"


class TooLarge(HeadraceError):
    """A body over the limit."""

    status = 413
    title = "The body is too large"


class _Stop(Exception):
    """Ends the reading of a body that grew over the limit."""


class Guard:
    """ASGI middleware: a browser on another site can reach loopback, a name can be rebound to it; both stop here."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str], max_body: int, max_stream: int = 0) -> None:
        self._app = app
        self._names = frozenset(n.lower() for n in (*LOOPBACK, *names))
        self._max_body = max_body
        self._max_stream = max(max_stream, max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {k: v.decode("latin-1") for k, v in scope["headers"]}
        limit = self._limit(scope, headers)
        refusal = self._refusal(headers, limit)
        if refusal is None:
            await self._bounded(scope, receive, send, limit)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": refusal.title})
        else:
            await problem_response(refusal)(scope, receive, send)

    def _refusal(self, headers: dict[bytes, str], limit: int) -> HeadraceError | None:
        host = headers.get(b"host", "").lower()
        if _name(host) not in self._names:
            return Forbidden(
                step="check the Host header",
                expected="one of " + ", ".join(sorted(self._names)),
                got=host[:100] or "none",
                remedy="Use one of these names, or add yours to [server] hosts.",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            return Forbidden(
                step="check the Origin header",
                expected=f"a page of {host}",
                got=origin[:100],
                remedy="Call from a page that this server serves, or from a program without an Origin header.",
            )
        length = headers.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return BadRequest(
                step="read the request", expected="a Content-Length", got=length[:20], remedy="Send a number."
            )
        return self._too_large(int(length), limit) if int(length) > limit else None

    def _limit(self, scope: Scope, headers: dict[bytes, str]) -> int:
        """Pushed lines and uploads are taken in as they come: they may be larger than what is read as a whole."""
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        streamed = scope["path"].startswith("/v1/changes/") and kind in LINES
        method = scope.get("method")
        streamed = streamed or (method == "POST" and scope["path"] == "/v1/documents")
        streamed = streamed or (method == "PUT" and scope["path"].startswith("/v1/documents/"))
        return self._max_stream if streamed else self._max_body

    def _too_large(self, size: int, limit: int) -> TooLarge:
        return TooLarge(
            step="read the request's body",
            expected=f"at most {limit} bytes",
            got=f"{size} bytes or more",
            remedy="Send less at once, or raise [server] max_body (max_stream for a stream of lines and for uploads).",
        )

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        """A body without a length is counted as it comes."""
        if scope["type"] == "websocket" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        size = 0
        started = False

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _Stop
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _Stop:
            if not started:
                await problem_response(self._too_large(size, limit))(scope, receive, send)


def _name(host: str) -> str:
    """The name of a Host header, its port left out."""
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]

"""Every request has its viewer, and only operators get to what is not listed here."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.errors import HeadraceError
from headrace.server.identity import SCOPE, ForOperators, Identity
from headrace.server.problems import problem_response

_READ = re.compile(r"/|/assets/.+|/[^/]+\.(?:svg|png|ico|webmanifest|txt)|/healthz|/readyz|/docs|/openapi\.json"
                   r"|/v1/token|/v1/changes|/v1/documents(?:/.+)?", re.DOTALL)  # fmt: skip
_ASKED = re.compile(r"/v1/search|/v1/ask")


class Identify:
    """ASGI middleware: says who reads before anything is routed. What is added later is for operators until it is let
    through here, and must then ask `viewer_of` what to show."""

    def __init__(self, app: ASGIApp, *, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            viewer = self._identity.viewer(scope["headers"])
            if not viewer.operator and not _open(scope):
                raise ForOperators(
                    step=f"{scope.get('method', 'open')} {scope['path'][:100]}",
                    expected="an operator",
                    got="somebody else",
                    remedy="Ask somebody of the groups that [server] operators names.",
                )
        except HeadraceError as refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 4000 + refusal.status, "reason": refusal.title})
            else:
                await problem_response(refusal)(scope, receive, send)
            return
        scope[SCOPE] = viewer
        await self._app(scope, receive, _unkept(send) if scope["path"].startswith("/v1/") else send)


def _open(scope: Scope) -> bool:
    if scope["type"] == "websocket":
        return scope["path"] == "/ws"
    if scope["method"] in ("GET", "HEAD"):
        return _READ.fullmatch(scope["path"]) is not None
    return scope["method"] == "POST" and _ASKED.fullmatch(scope["path"]) is not None


def _unkept(send: Send) -> Send:
    """What one is answered, no cache gives to another."""

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "no-store")
        await send(message)

    return noted

"""Talks to a Headrace over HTTP: to the one that is running, or to one brought up in this process for the occasion."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from headrace.access import Viewer
from headrace.announcing import announced
from headrace.config import Config
from headrace.config.sections import Server
from headrace.errors import HeadraceError, SourceError
from headrace.registry import Lazily
from headrace.server.headers import AS_GROUPS, AS_USER, SECRET_HEADER

if TYPE_CHECKING:
    from headrace import running as here
else:
    here = Lazily("headrace.running")


class Refused(HeadraceError):
    """A problem that the server answered with."""


class Client:
    """GET, POST and DELETE of JSON; problems become errors."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return _answer(await self._http.get(path, params=_given(params or {})))

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return _answer(await self._http.post(path, json=_given(body)))

    async def send(
        self, path: str, params: dict[str, str], headers: dict[str, str], body: bytes | AsyncIterator[bytes]
    ) -> httpx2.Response:
        """A body as it is; the answer whatever its status."""
        return await self._http.post(path, params=params, headers=headers, content=body)

    def checked(self, response: httpx2.Response) -> httpx2.Response:
        """Raises Refused for a problem."""
        if response.status_code >= 400:
            _answer(response)
        return response

    async def delete(self, path: str) -> Any:
        return _answer(await self._http.delete(path))

    async def lines(self, path: str, params: dict[str, Any], body: dict[str, Any] | None = None) -> AsyncIterator[str]:
        """Of a GET, or with a `body` of a POST."""
        method, json = ("GET", None) if body is None else ("POST", _given(body))
        async with self._http.stream(method, path, params=_given(params), json=json, timeout=None) as response:
            if response.status_code >= 400:
                await response.aread()
                _answer(response)
            # Not aiter_lines(): texts hold U+2028 and the like, which are no ends of lines here.
            rest = ""
            async for text in response.aiter_text():
                *whole, rest = (rest + text).split("\n")
                for line in whole:
                    yield line


@contextlib.asynccontextmanager
async def connect(config: Config, viewer: Viewer | None = None) -> AsyncGenerator[Client]:
    """The running Headrace on this configuration's data folder; else one in this process that does not capture. As its
    operator, or as a `viewer` would read."""
    url, headers = announced(Path(config.headrace.data)), _headers(config.server, viewer)
    if url:
        async with httpx2.AsyncClient(base_url=url, timeout=120, headers=headers) as http:
            if await _alive(http):
                yield Client(http)
                return
    async with here.answering(config) as transport:
        url = "http://127.0.0.1"
        async with httpx2.AsyncClient(transport=transport, base_url=url, timeout=120, headers=headers) as http:
            yield Client(http)


def _headers(settings: Server, viewer: Viewer | None) -> list[tuple[bytes, bytes]]:
    """Whoever can read the configuration is an operator, and may read as somebody else."""
    told: dict[str, str] = {}
    if settings.identity == "headers":
        told = {SECRET_HEADER: settings.identity_secret or "", settings.groups_header: ",".join(settings.operators)}
    if viewer is not None:
        told |= {AS_USER: viewer.user or "", AS_GROUPS: ",".join(sorted(viewer.groups))}
    return [(name.encode(), value.encode()) for name, value in told.items()]


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncGenerator[Client]:
    """The running Headrace on this configuration's data folder. Raises SourceError when there is none."""
    url = announced(Path(config.headrace.data))
    headers = _headers(config.server, None)
    async with httpx2.AsyncClient(base_url=url or "http://127.0.0.1", timeout=120, headers=headers) as http:
        if url is None or not await _alive(http):
            raise SourceError(
                step="find the running Headrace",
                expected=f"one on {config.headrace.data}",
                got="none",
                remedy="Start `headrace up` with this configuration.",
            )
        yield Client(http)


async def answering_at(config: Config) -> str | None:
    """Where a Headrace on this configuration's data folder answers now."""
    url = announced(Path(config.headrace.data))
    if url is None:
        return None
    async with httpx2.AsyncClient(base_url=url) as http:
        return url if await _alive(http) else None


async def _alive(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz", timeout=5)).status_code == 200
    except httpx2.TransportError:
        return False


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _answer(response: httpx2.Response) -> Any:
    if response.status_code < 400:
        return response.json()
    raise refused(response.json(), response.status_code)


def refused(fields: dict[str, Any], status: int = 500) -> Refused:
    """A problem as an error."""
    return Refused(
        step=str(fields.get("step", "ask Headrace")),
        expected=str(fields.get("expected", "an answer")),
        got=str(fields.get("got", status)),
        remedy=str(fields.get("remedy", "See the server's log.")),
    )

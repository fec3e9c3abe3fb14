"""The web application: routes, guard and page over one app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

from headrace.app import App
from headrace.ops.metrics import PushRequests
from headrace.server import problems
from headrace.server.asks import ask_router
from headrace.server.changes import Feed, changes_router
from headrace.server.guard import Guard
from headrace.server.identify import Identify
from headrace.server.identity import Identity
from headrace.server.log import log_router
from headrace.server.presigned import presigned_router
from headrace.server.push import push_router
from headrace.server.pushed import CountPushes
from headrace.server.reads import read_router
from headrace.server.runs import Runs
from headrace.server.snapshots import snapshot_router
from headrace.server.status import status_router
from headrace.server.uploads.routes import upload_router
from headrace.server.verify import verify_router

_NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Headrace</title>
<h1>Headrace is running</h1><p>Its page has not been built in this checkout: run <code>make dev</code>.
The API is described at <a href="/docs">/docs</a>.</p></html>"""


def create(app: App, *, extra: Sequence[APIRouter] = ()) -> FastAPI:
    """The application; `extra` routers come with the demo."""
    feed, pushed = Feed(app), PushRequests()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await feed.close()

    web = FastAPI(
        title="Headrace",
        version=version("headrace"),
        description="What a database just committed is in the next answer.",
        lifespan=lifespan,
    )
    problems.install(web)
    for router in (
        read_router(app),  # first: a route is found by looking at one after another
        ask_router(app, Runs()),
        status_router(app, pushed),
        changes_router(feed),
        push_router(app),
        upload_router(app),
        presigned_router(app),
        log_router(app),
        snapshot_router(app),
        verify_router(app),
        *extra,
    ):
        web.include_router(router)
    _page(web, app)
    server = app.config.server
    web.add_middleware(Identify, identity=Identity(server))
    web.add_middleware(
        Guard, names=[server.host, *server.hosts], max_body=server.max_body, max_stream=server.max_stream
    )
    pushable = [s.name for s in app.config.sources if s.url.startswith("push:")]
    web.add_middleware(CountPushes, sources=pushable, counts=pushed)  # outermost: what the guard refuses counts too
    return web


def _page(web: FastAPI, app: App) -> None:
    """The built page at /, its hashed assets cached for good."""
    static = Path(str(files("headrace.server").joinpath("static")))
    index = static / "index.html"
    if (static / "assets").is_dir():
        web.mount("/assets", _Assets(directory=static / "assets"), name="assets")

    @web.get("/", include_in_schema=False)
    async def page() -> Response:  # pyright: ignore[reportUnusedFunction]
        if not index.is_file():
            return HTMLResponse(_NO_PAGE)
        return FileResponse(index, headers={"cache-control": "no-cache", "content-security-policy": _policy(app)})

    @web.get("/{name}", include_in_schema=False)
    async def icon(name: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        file = static / name
        if file.parent == static and await asyncio.to_thread(file.is_file):
            return FileResponse(file)
        return Response(status_code=404)


_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'{store}; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"  # noqa: E501


def _policy(app: App) -> str:
    """The page talks to this server, and puts large files to the object store."""
    return _POLICY.format(store=f" {app.presigning.objects.origin}" if app.presigning else "")


class _Assets(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response

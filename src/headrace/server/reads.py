"""Routes that read: search, documents, profiles, token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from headrace.answer.service import Asked, Reader, View
from headrace.app import App
from headrace.errors import BadRequest, NotFound
from headrace.knowledge.operator import KNOWLEDGE
from headrace.profiles.identifiers import normalise
from headrace.profiles.operator import PROFILES
from headrace.server.identity import viewer_of
from headrace.server.registry import StageName, Wanted, one, page, read_cursor
from headrace.server.shapes import (
    ASKED,
    SearchBody,
    asked_of,
    document_info_json,
    document_json,
    filter_of,
    json_line,
    json_response,
    passage_json,
    profile_json,
    retrieval_of,
)
from headrace.stores.conditions import conditions_in
from headrace.stores.profiles import Profile

LISTED = 100
"""Documents on a page of the registry that says nothing else."""
Metadata = Annotated[
    str | None, Query(max_length=32_000, description="a JSON object: conditions as in a search's filter.metadata")
]
_LISTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "application/x-ndjson": {}}, "description": "a page, or lines"}
}


def read_router(app: App) -> APIRouter:
    """Routes over whatever core the app has at the time."""
    router = APIRouter(prefix="/v1", tags=["read"])

    @router.get("/token")
    async def token() -> Response:
        """A token of everything that is committed at the sources now."""
        return json_response({"token": await app.core.reader.token()})

    @router.post("/search")
    async def search(body: SearchBody, request: Request) -> Response:
        """The passages that fit a query best, with their stamps; `degraded` says why they were found by words alone, or
        not reranked."""
        reader = app.core.reader
        where, how = filter_of(body.filter), retrieval_of(body)
        asked = Asked(body.after, body.as_of, body.wait_ms, viewer_of(request))
        async with reader.search(asked, body.query, body.k, where, KNOWLEDGE, how=how) as (view, passages):
            results = [passage_json(reader, p) for p in passages]
            degraded = {"degraded": msgspec.to_builtins(view.degraded)} if view.degraded else {}
            return json_response({"results": results, **degraded, **await _freshness(view)})

    @router.get("/documents", openapi_extra=ASKED, responses=_LISTED)
    async def documents(
        request: Request,
        source: str | None = None,
        stage: StageName | None = None,
        q: Annotated[str | None, Query(max_length=400, description="in the id or the title")] = None,
        prefix: Annotated[str | None, Query(max_length=2000, description="what the id begins with")] = None,
        label: Annotated[str | None, Query(max_length=400, description="one that it was given")] = None,
        metadata: Metadata = None,
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        cursor: Annotated[str | None, Query(max_length=4000, description="`next` of the page before")] = None,
    ) -> Response:
        """The registry of documents, a page at a time, with those that are on their way into the index: with a
        parameter of its own, or asked for as application/json. Otherwise every indexed document, one object a line."""
        reader, asked = app.core.reader, asked_of(request)
        _known(reader, source)
        paged = (stage, q, prefix, label, metadata, limit, cursor) != (None,) * 7
        if paged or request.headers.get("accept") == "application/json":
            wanted = Wanted(
                source, stage, q or None, prefix or None, label or None, limit or LISTED,
                read_cursor(cursor) if cursor else "", conditions_in(metadata, "metadata") if metadata else (),
            )  # fmt: skip
            found = await page(app.core, wanted, asked)
            return json_response(found)

        async def lines(view: View) -> AsyncIterator[bytes]:
            async for info in view.snapshot.knowledge.documents(source):
                yield json_line(document_info_json(reader, info))

        return await _ndjson(reader, asked, KNOWLEDGE, lines)

    @router.get("/documents/{id:path}", openapi_extra=ASKED)
    async def document(id: str, request: Request) -> Response:
        """One document with its text and chunks; of one that is on its way into the index, its stage."""
        reader, asked = app.core.reader, asked_of(request)
        async with reader.view(asked, KNOWLEDGE) as view:
            found = await view.snapshot.knowledge.document(id)
            if found is None and (coming := None if asked.as_of else await one(app.core, id, asked.viewer)) is not None:
                return json_response({**coming, "text": "", "chunks": [], **await _freshness(view)})
            if found is None:
                raise NotFound(
                    step="read a document",
                    expected="a document of that id" + (" at that time" if asked.as_of else ""),
                    got=id[:200],
                    remedy="See /v1/documents for the ids; encode the id once more in the path.",
                )
            return json_response({**document_json(reader, found), **await _freshness(view)})

    @router.get("/profiles", openapi_extra=ASKED)
    async def profiles(request: Request) -> Response:
        """One profile by an identifier (`?email=…`), or every profile, one JSON object a line."""
        reader = app.core.reader
        asked = asked_of(request)
        wanted = [(k, v) for k, v in request.query_params.items() if k not in ("after", "as_of", "wait_ms")]
        if len(wanted) > 1:
            raise BadRequest(
                step="find a profile",
                expected="one identifier",
                got=", ".join(k for k, _ in wanted),
                remedy="Ask by one of them.",
            )
        if wanted:
            return await _profile(reader, asked, normalise(f"{wanted[0][0]}:{wanted[0][1]}"))

        async def lines(view: View) -> AsyncIterator[bytes]:
            async for profile in view.snapshot.profiles.profiles():
                yield json_line(profile_json(reader, profile))

        return await _ndjson(reader, asked, PROFILES, lines)

    @router.get("/profiles/{id:path}", openapi_extra=ASKED)
    async def profile(id: str, request: Request) -> Response:
        """One profile by its id, or by an identifier such as `email:ada@example.com`."""
        return await _profile(app.core.reader, asked_of(request), normalise(id))

    return router


async def _profile(reader: Reader, asked: Asked, id: str) -> Response:
    async with reader.view(asked, PROFILES) as view:
        found: Profile | None = await view.snapshot.profiles.profile(id)
        if found is None:
            raise NotFound(
                step="find a profile",
                expected="a profile with that id or identifier",
                got=id[:200],
                remedy="See /v1/profiles; identifiers are those that [[profiles.records]] names.",
            )
        return json_response({**profile_json(reader, found), **await _freshness(view)})


async def _ndjson(
    reader: Reader, asked: Asked, operator: str, lines: Callable[[View], AsyncIterator[bytes]]
) -> Response:
    """Lines out of one snapshot that stays open while they go; its token goes in a header."""
    stack = AsyncExitStack()
    view = await stack.enter_async_context(reader.view(asked, operator))

    async def body() -> AsyncIterator[bytes]:
        async with stack:
            pending = bytearray()
            async for line in lines(view):
                pending += line
                if len(pending) > 65_536:
                    yield bytes(pending)
                    pending.clear()
            yield bytes(pending)

    return StreamingResponse(body(), media_type="application/x-ndjson", headers={"headrace-token": await view.token()})


async def _freshness(view: View) -> dict[str, Any]:
    ms, reason = view.freshness()
    answer: dict[str, Any] = {"token": await view.token(), "freshness_ms": None if ms is None else round(ms, 3)}
    return answer if reason is None else {**answer, "freshness_reason": reason}


def _known(reader: Reader, source: str | None) -> None:
    if source is not None and source not in reader.sources:
        raise NotFound(
            step="list documents",
            expected="one of " + ", ".join(reader.sources),
            got=source[:100],
            remedy="Name a configured source.",
        )

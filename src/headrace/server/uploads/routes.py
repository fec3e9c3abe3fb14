"""The routes of uploads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from headrace.app import App
from headrace.clock import parse_rfc3339
from headrace.errors import BadRequest, HeadraceError, SourceError
from headrace.server import forms
from headrace.server.problems import problem_response
from headrace.server.push import RETRY_AFTER_S
from headrace.server.shapes import json_response
from headrace.server.spooling import spool
from headrace.server.uploads.answers import Result, changed, failed
from headrace.server.uploads.shapes import FILE, FORM_OR_FILE, RESPONSES, ChangeBody, Changed, Uploaded
from headrace.server.uploads.taking import Said, body, found, take_file, take_form
from headrace.uploads import Description, NameTaken, Only, Outdated, UploadsFull, checked_name, checked_title

_GONE = 499

Source = Annotated[str, Query(max_length=100, description="which source of uploads, where there are several")]
Title = Annotated[str | None, Query(max_length=4000, description="in the place of the one that the document states")]
Time = Annotated[str | None, Query(max_length=60, description="its own time (RFC 3339), where it states none")]
Match = Annotated[
    str | None,
    Header(alias="If-Match", description="the content_hash that it must have, in quotes; `*`: it must be there"),
]
Owner = Annotated[str | None, Query(max_length=400, description="the user whom it is for")]
Groups = Annotated[str | None, Query(max_length=20_000, description="the groups that it is for, between commas")]
Metadata = Annotated[
    str | None, Query(max_length=32_000, description="a JSON object: its metadata, beside what the content states")
]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: it must not be there yet")]


def upload_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["documents"])

    @router.post(
        "/documents", status_code=202, response_model=Uploaded, responses=RESPONSES, openapi_extra=FORM_OR_FILE
    )
    async def upload(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        source: Source = "",
        name: Annotated[str, Query(max_length=2000, description="the document's, where the body is a file")] = "",
        title: Title = None,
        time: Time = None,
        replace: Annotated[bool, Query(description="in the place of a document of the same name")] = False,
        owner: Owner = None,
        groups: Groups = None,
        metadata: Metadata = None,
    ) -> Response:
        """Takes documents in: a form with one or several files, or one file as the body. Answers when all is on disk.

        A document that is there already with the same content is `unchanged`. In a form the fields `name`, `title`,
        `time`, `owner`, `groups` and `metadata` are of the file that comes next; what is wrong with one file does not
        keep the others out.
        """
        said, result = Said(source, name, title, time, replace, owner, groups, metadata), Result()
        try:
            if forms.is_form(request.headers):
                await take_form(app, request, said, result)
            else:
                await take_file(app, request, said, result)
            await app.core.engine.durable()
        except ClientDisconnect:
            return Response(status_code=_GONE)  # nobody reads it
        except HeadraceError as error:
            if result.done:
                await app.core.engine.durable()  # what is told to be in is on disk
            return failed(error, result)
        if not result.done and result.rejected:
            return failed(result.rejected[0][1], result)
        return json_response(result.shown(), 202)

    @router.put(
        "/documents/{id:path}", status_code=202, response_model=Changed, responses=RESPONSES, openapi_extra=FILE
    )
    async def replace(  # pyright: ignore[reportUnusedFunction]
        id: str,
        request: Request,
        title: Title = None,
        time: Time = None,
        owner: Owner = None,
        groups: Groups = None,
        metadata: Metadata = None,
        if_match: Match = None,
        if_none_match: NoneMatch = None,
    ) -> Response:
        """The body as the document's content, in the place of what is there or new. Searches see the old version until
        they see all of the new one."""
        source, name = found(app, id)
        said = Said(source.name, checked_name(name), title, time, owner=owner, groups=groups, metadata=metadata)
        try:
            with source.slot():
                async with spool(source.scratch, source.max_bytes) as file:
                    async for chunk in body(app, request):
                        await file.write(chunk)
                    only = _only(if_match, if_none_match)
                    done = await source.put(said.name, await file.done(), said.description(), only)
            await app.core.engine.durable()
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except NameTaken as error:
            raise Outdated(
                step=error.step, expected="no document of that name (If-None-Match: *)", got="one", remedy=error.remedy
            ) from None
        except (UploadsFull, SourceError) as error:
            return problem_response(error, {"retry-after": str(RETRY_AFTER_S)})
        return changed(source, done)

    @router.patch("/documents/{id:path}", status_code=202, response_model=Changed, responses=RESPONSES)
    async def describe(  # pyright: ignore[reportUnusedFunction]
        id: str, change: ChangeBody, if_match: Match = None
    ) -> Response:
        """Another name, title, time or metadata, or other readers; the content as it is. A rename makes no vector anew,
        and of other readers nothing is: whom the document is taken from cannot read it from this moment on."""
        source, name = found(app, id)
        changes = Description(
            None if change.name is None else checked_name(change.name),
            None if change.title is None else checked_title(change.title),
            None if change.time is None else parse_rfc3339(change.time) if change.time else 0,
            change.readers,
            change.said,
        )
        done = await source.describe(name, changes, _only(if_match, None))
        await app.core.engine.durable()
        return changed(source, done)

    @router.delete("/documents/{id:path}", status_code=202, response_model=Changed, responses=RESPONSES)
    async def delete(id: str, if_match: Match = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Deletes an uploaded document; with its token as `after` no search finds anything of it."""
        source, name = found(app, id)
        done = await source.remove(name, _only(if_match, None))
        await app.core.engine.durable()
        return changed(source, done)

    return router


def _only(match: str | None, none_match: str | None) -> Only:
    """Raises BadRequest."""
    if none_match is not None and none_match.strip() != "*":
        raise BadRequest(
            step="read If-None-Match",
            expected="*",
            got=repr(none_match[:60]),
            remedy="Use If-Match for a content_hash.",
        )
    if match is None:
        return Only(fresh=none_match is not None)
    tags = frozenset(t.strip().strip('"') for t in match.split(",") if not t.strip().startswith("W/"))
    return Only(tags, fresh=none_match is not None)

"""Routes that take documents in, change and delete them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from headrace.access import Readers
from headrace.app import App
from headrace.change import Position
from headrace.clock import parse_rfc3339, rfc3339
from headrace.errors import BadRequest, HeadraceError, NotFound, SourceError
from headrace.server import forms
from headrace.server.guard import TooLarge
from headrace.server.inflating import coding_of, inflated
from headrace.server.problems import problem, problem_response
from headrace.server.push import RETRY_AFTER_S, Problem
from headrace.server.shapes import JsonObject, document_path, json_response
from headrace.server.spooling import lively, spool
from headrace.token import heads
from headrace.uploads import (
    ALWAYS,
    UNSAID,
    Description,
    Done,
    NameTaken,
    Only,
    Outdated,
    Unsaid,
    Uploads,
    UploadsFull,
    by_name,
    checked_metadata,
    checked_name,
    checked_readers,
    checked_title,
    read_metadata,
)

_GONE = 499
_ONE_FILE = (BadRequest, TooLarge, NameTaken, Outdated)
"""What is wrong with one file of a form: the others go on."""

Source = Annotated[str, Query(max_length=100, description="which source of uploads, where there are several")]
Title = Annotated[str | None, Query(max_length=4000, description="in the place of the one that the document states")]
Time = Annotated[str | None, Query(max_length=60, description="its own time (RFC 3339), where it states none")]
Match = Annotated[
    str | None,
    Header(alias="If-Match", description="the content_hash that it must have, in quotes; `*`: it must be there"),
]
Owner = Annotated[str | None, Query(max_length=400, description="the user whom it is for")]
Groups = Annotated[str | None, Query(max_length=20_000, description="the groups that it is for, between commas")]
Said = Annotated[
    str | None, Query(max_length=32_000, description="a JSON object: its metadata, beside what the content states")
]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: it must not be there yet")]


class Refusal(BaseModel):
    """A file of a form that was not taken."""

    file: str
    status: int
    step: str
    expected: str
    got: str
    remedy: str


class Taken(BaseModel):
    """A document that is on disk. `stage`: how far it is on its way into the index, see GET /v1/documents."""

    id: str
    source: str
    name: str
    size: int
    content_hash: str
    outcome: str
    changed_at: str
    url: str


class Uploaded(BaseModel):
    """`token`: as `after` it waits until all of these can be found."""

    documents: list[Taken]
    rejected: list[Refusal]
    token: str | None


class Changed(BaseModel):
    """`outcome`: created, replaced, described, renamed, unchanged or deleted."""

    id: str
    outcome: str
    document: Taken | None
    token: str


class AccessBody(BaseModel):
    """Whom a document is for: its owner, and everybody in one of the groups (`*` is everybody)."""

    model_config = ConfigDict(extra="forbid")
    owner: Annotated[str, Field(max_length=400)] | None = None
    groups: Annotated[list[Annotated[str, Field(max_length=400)]], Field(max_length=1000)] = Field(
        default_factory=list[str]
    )


class ChangeBody(BaseModel):
    """What is to be said otherwise. `name`: renames it; an empty `title` or `time`: what it states itself counts.
    `metadata`: all that is said of them; null or `{}`: nothing any more. `access`: whom it is for from now on; null:
    nothing is said of that any more."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=2000)] | None = None
    title: Annotated[str, Field(max_length=4000)] | None = None
    time: Annotated[str, Field(max_length=60)] | None = None
    metadata: dict[str, Any] | None = None
    access: AccessBody | None = None

    @property
    def said(self) -> str | None:
        return checked_metadata(self.metadata or {}) if "metadata" in self.model_fields_set else None

    @property
    def readers(self) -> Readers | Unsaid | None:
        if "access" not in self.model_fields_set:
            return None
        if self.access is None:
            return UNSAID
        return checked_readers(self.access.owner or "", self.access.groups)


@dataclass(slots=True)
class _Said:
    """What parameters, and the fields of a form so far, say."""

    source: str = ""
    name: str = ""
    title: str | None = None
    time: str | None = None
    replace: bool = False
    owner: str | None = None
    groups: str | None = None
    metadata: str | None = None

    def take(self, part: forms.Field) -> None:
        match part.name:
            case "source" | "name" | "title" | "time" | "owner" | "groups" | "metadata":
                setattr(self, part.name, part.value)
            case "replace":
                self.replace = _truth(part.value)
            case _:
                raise BadRequest(
                    step="read the form",
                    expected="files, and the fields source, name, title, time, owner, groups, metadata and replace",
                    got=part.name[:60],
                    remedy="Leave that field out, or send the file with a file name.",
                )

    def description(self) -> Description:
        return Description(
            title=None if self.title is None else checked_title(self.title),
            time=parse_rfc3339(self.time) if self.time else None,
            readers=checked_readers(self.owner, None if self.groups is None else self.groups.split(",")),
            metadata=None if self.metadata is None else read_metadata(self.metadata),
        )

    def file_done(self) -> None:
        """These were of that file alone."""
        self.name, self.title, self.time, self.owner, self.groups, self.metadata = "", None, None, None, None, None


@dataclass(slots=True)
class _Result:
    """What came of one request so far, each with where it went."""

    done: list[tuple[Uploads, Done]] = field(default_factory=list[tuple[Uploads, Done]])
    rejected: list[tuple[str, HeadraceError]] = field(default_factory=list[tuple[str, HeadraceError]])

    def shown(self) -> JsonObject:
        last: dict[str, Position] = {}
        for source, done in self.done:
            last[source.name] = max(done.position, last.get(source.name, done.position))
        token = heads(last).encode() if last else None
        return {
            "documents": [_taken(source, done) for source, done in self.done],
            "rejected": [_refusal(name, error) for name, error in self.rejected],
            "token": token,
        }


def upload_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["documents"])

    @router.post(
        "/documents", status_code=202, response_model=Uploaded, responses=_RESPONSES, openapi_extra=_FORM_OR_FILE
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
        metadata: Said = None,
    ) -> Response:
        """Takes documents in: a form with one or several files, or one file as the body. Answers when all is on disk.

        A document that is there already with the same content is `unchanged`. In a form the fields `name`, `title`,
        `time`, `owner`, `groups` and `metadata` are of the file that comes next; what is wrong with one file does not
        keep the others out.
        """
        said, result = _Said(source, name, title, time, replace, owner, groups, metadata), _Result()
        try:
            if forms.is_form(request.headers):
                await _take_form(app, request, said, result)
            else:
                await _take_file(app, request, said, result)
            await app.core.engine.durable()
        except ClientDisconnect:
            return Response(status_code=_GONE)  # nobody reads it
        except HeadraceError as error:
            if result.done:
                await app.core.engine.durable()  # what is told to be in is on disk
            return _failed(error, result)
        if not result.done and result.rejected:
            return _failed(result.rejected[0][1], result)
        return json_response(result.shown(), 202)

    @router.put(
        "/documents/{id:path}", status_code=202, response_model=Changed, responses=_RESPONSES, openapi_extra=_FILE
    )
    async def replace(  # pyright: ignore[reportUnusedFunction]
        id: str,
        request: Request,
        title: Title = None,
        time: Time = None,
        owner: Owner = None,
        groups: Groups = None,
        metadata: Said = None,
        if_match: Match = None,
        if_none_match: NoneMatch = None,
    ) -> Response:
        """The body as the document's content, in the place of what is there or new. Searches see the old version until
        they see all of the new one."""
        source, name = _found(app, id)
        said = _Said(source.name, checked_name(name), title, time, owner=owner, groups=groups, metadata=metadata)
        try:
            with source.slot():
                async with spool(source.scratch, source.max_bytes) as file:
                    async for chunk in _body(app, request):
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
        return _changed(source, done)

    @router.patch("/documents/{id:path}", status_code=202, response_model=Changed, responses=_RESPONSES)
    async def describe(  # pyright: ignore[reportUnusedFunction]
        id: str, body: ChangeBody, if_match: Match = None
    ) -> Response:
        """Another name, title, time or metadata, or other readers; the content as it is. A rename makes no vector anew,
        and of other readers nothing is: whom the document is taken from cannot read it from this moment on."""
        source, name = _found(app, id)
        changes = Description(
            None if body.name is None else checked_name(body.name),
            None if body.title is None else checked_title(body.title),
            None if body.time is None else parse_rfc3339(body.time) if body.time else 0,
            body.readers,
            body.said,
        )
        done = await source.describe(name, changes, _only(if_match, None))
        await app.core.engine.durable()
        return _changed(source, done)

    @router.delete("/documents/{id:path}", status_code=202, response_model=Changed, responses=_RESPONSES)
    async def delete(id: str, if_match: Match = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Deletes an uploaded document; with its token as `after` no search finds anything of it."""
        source, name = _found(app, id)
        done = await source.remove(name, _only(if_match, None))
        await app.core.engine.durable()
        return _changed(source, done)

    return router


async def _take_form(app: App, request: Request, said: _Said, result: _Result) -> None:
    parts = forms.form(_body(app, request), request.headers)
    files = 0
    async for part in parts:
        match part:
            case forms.Field():
                said.take(part)
            case forms.FileBegin():
                files += 1
                source = chosen(app, said.source)
                with source.slot():
                    await _take_part(source, part, parts, said, result)
                said.file_done()
            case _:  # of no file: the form began otherwise
                raise BadRequest(step="read the form", expected="files", got="data", remedy="Send a form.")
    if not files:
        raise BadRequest(
            step="read the form", expected="at least one file", got="none", remedy="curl -F file=@NAME sends one."
        )


async def _take_part(
    source: Uploads, begin: forms.FileBegin, parts: AsyncIterator[forms.Part], said: _Said, result: _Result
) -> None:
    """One file, to its end whatever is wrong with it."""
    given = said.name or begin.name
    refused: HeadraceError | None = None
    async with spool(source.scratch, source.max_bytes) as file:
        async for part in parts:
            if isinstance(part, forms.FileEnd):
                break
            if refused is None and isinstance(part, forms.FileData):
                try:
                    await file.write(part.data)
                except TooLarge as error:
                    refused = error
        try:
            if refused is not None:
                raise refused
            only = ALWAYS if said.replace else Only(fresh=True)
            done = await source.put(checked_name(given), await file.done(), said.description(), only)
            result.done.append((source, done))
        except _ONE_FILE as error:
            result.rejected.append((given[:200], error))


async def _take_file(app: App, request: Request, said: _Said, result: _Result) -> None:
    source = chosen(app, said.source)
    name = checked_name(said.name)
    with source.slot():
        async with spool(source.scratch, source.max_bytes) as file:
            async for chunk in _body(app, request):
                await file.write(chunk)
            only = ALWAYS if said.replace else Only(fresh=True)
            result.done.append((source, await source.put(name, await file.done(), said.description(), only)))


def _body(app: App, request: Request) -> AsyncIterator[bytes]:
    limits = app.config.server
    most = max(limits.max_stream, limits.max_body)
    return inflated(lively(request.stream()), coding_of(request.headers), most)


def answer_of(source: Uploads, done: Done) -> JsonObject:
    """What a request with this one document is answered."""
    return _Result([(source, done)]).shown()


def chosen(app: App, name: str) -> Uploads:
    """The source of uploads of that name, or the only one. Raises NotFound, BadRequest."""
    there = by_name(app.core.engine.sources)
    if name in there:
        return there[name]
    if not name and len(there) == 1:
        return next(iter(there.values()))
    if not there:
        raise NotFound(
            step="take in an upload",
            expected="a source of uploads in headrace.toml",
            got="none",
            remedy='Add [[sources]] name = "uploads" url = "upload:", and start Headrace again.',
        )
    raise BadRequest(
        step="take in an upload",
        expected="?source= as one of " + ", ".join(there),
        got=repr(name[:60]) if name else "none",
        remedy="Name one of them.",
    )


def _found(app: App, id: str) -> tuple[Uploads, str]:
    """By a document's id: its source, and its name there."""
    prefix, _, name = id.partition("/")
    there = by_name(app.core.engine.sources)
    if prefix in there and name:
        return there[prefix], name
    known = app.core.engine.sources.get(prefix)
    raise NotFound(
        step="change an uploaded document",
        expected="a document of " + (", ".join(there) or "a source of uploads (there is none)"),
        got=id[:200] + (f", which is read from {known.address}" if known else ""),
        remedy="Change it at its source." if known else "See GET /v1/documents for the ids.",
    )


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


def _truth(text: str) -> bool:
    if text.strip().lower() not in ("true", "false", "1", "0", "on", ""):
        raise BadRequest(
            step="read the field replace", expected="true or false", got=repr(text[:60]), remedy="Correct it."
        )
    return text.strip().lower() in ("true", "1", "on")


def _taken(source: Uploads, done: Done) -> JsonObject | None:
    given = done.document
    if given is None:
        return None
    id = f"{source.name}/{given.name}"
    return {
        "id": id,
        "source": source.name,
        "name": given.name,
        "size": given.size,
        "content_hash": given.digest,
        "outcome": done.outcome.value,
        "changed_at": rfc3339(given.changed_at),
        "url": f"/v1/documents/{document_path(id)}",
    }


def _changed(source: Uploads, done: Done) -> Response:
    token = heads({source.name: done.position}).encode()
    shown = {"id": f"{source.name}/{done.name}", "outcome": done.outcome.value}
    response = json_response({**shown, "document": _taken(source, done), "token": token}, 202)
    if done.document is not None:
        response.headers["etag"] = f'"{done.document.digest}"'
    return response


def _refusal(name: str, error: HeadraceError) -> JsonObject:
    step, expected, got, remedy = error.failure
    told = {"step": step, "expected": expected, "got": got, "remedy": remedy}
    return {"file": name, "status": error.status, **told}


def _failed(error: HeadraceError, result: _Result) -> Response:
    """The problem, and what came in before it."""
    retry = {"retry-after": str(RETRY_AFTER_S)} if isinstance(error, UploadsFull | SourceError) else {}
    response = json_response({**problem(error), **result.shown()}, error.status, "application/problem+json")
    response.headers.update(retry)
    return response


# ---- what /openapi.json says -----------------------------------------------------------------------------------------

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FILE: dict[str, Any] = {"requestBody": {"required": True, "content": _BINARY}}
_FORM_OR_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            forms.FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "source": {"type": "string"},
                        "replace": {"type": "boolean"},
                        "name": {"type": "string", "description": "of the next file; otherwise its own"},
                        "title": {"type": "string"},
                        "time": {"type": "string", "format": "date-time"},
                        "owner": {"type": "string", "description": "the user whom the next file is for"},
                        "groups": {"type": "string", "description": "the groups that it is for, between commas"},
                        "metadata": {"type": "string", "description": "the next file's, a JSON object"},
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
            **_BINARY,
        },
    }
}


def _told(why: str) -> dict[str, Any]:
    return {"description": why, "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}


_RESPONSES = cast(
    "dict[int | str, dict[str, Any]]",
    {
        202: {"description": "it is on disk, and on its way into the index"},
        400: _told("a name, field, header or form that cannot be understood; `documents` came in before it"),
        404: _told("no such document, or no source of uploads"),
        408: _told("the rest of the body did not come"),
        409: _told("a document of this name is there with another content"),
        412: _told("the document does not have the hash that If-Match names, or is there (If-None-Match)"),
        413: _told("larger than max_bytes of the source, or the body than [server] max_stream"),
        429: _told("too many uploads at once: again after Retry-After"),
        503: _told("uploads are not being taken in at the moment"),
        507: _told("no room for it on the disk"),
    },
)

"""Routes for uploads that do not pass through here: a client is given an address at the object store to put its file
to, and comes back with a ticket when it is there."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any, cast

import structlog
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from headrace.access import Readers
from headrace.app import App
from headrace.app.presigning import Presigning
from headrace.clock import now_us, parse_rfc3339, rfc3339
from headrace.errors import BadRequest, HeadraceError, NotFound, SourceError
from headrace.objects import Announced, NotUploaded, ObjectStoreError, Stored
from headrace.server.guard import TooLarge
from headrace.server.problems import problem_response
from headrace.server.push import RETRY_AFTER_S, Problem
from headrace.server.shapes import json_response
from headrace.server.spooling import Spool, spool
from headrace.server.uploads.answers import answer_of
from headrace.server.uploads.shapes import Uploaded
from headrace.server.uploads.taking import chosen
from headrace.ticket import Ticket
from headrace.uploads import (
    ALWAYS,
    Content,
    Description,
    Done,
    NameTaken,
    Once,
    Only,
    Uploads,
    UploadsFull,
    checked_metadata,
    checked_name,
    checked_readers,
    checked_title,
)

logger = structlog.get_logger("headrace.presigned")
GRACE_US = 86_400_000_000
"""So much longer than the address a ticket is valid: what was put at the last moment, or while Headrace was away, can
be completed."""
OCTETS = "application/octet-stream"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_TYPE = re.compile(r"[\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80}(?:; ?[\w-]{1,40}=[\w.-]{1,60})?", re.ASCII)


class Differs(HeadraceError):
    """What lies at the object store is not what was announced."""

    status = 422
    title = "Another content than was announced"


class PresignBody(BaseModel):
    """The document as `POST /v1/documents` takes it, with how large it is. `content_hash`: `sha256:` and hex digits,
    where it is known: another content is then refused by the object store and by Headrace."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=2000)]
    size: Annotated[int, Field(ge=0, strict=True)]
    content_hash: Annotated[str, Field(max_length=80)] | None = None
    content_type: Annotated[str, Field(max_length=200)] = OCTETS
    source: Annotated[str, Field(max_length=100)] = ""
    title: Annotated[str, Field(max_length=4000)] | None = None
    time: Annotated[str, Field(max_length=60)] | None = None
    replace: bool = False
    owner: Annotated[str, Field(max_length=400)] | None = None
    groups: Annotated[list[Annotated[str, Field(max_length=400)]], Field(max_length=1000)] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def readers(self) -> Readers | None:
        return checked_readers(self.owner, self.groups)


class Presigned(BaseModel):
    """`url` is a secret: whoever has it may put this file there until `expires_at`. `headers` are to be sent as they
    are. `complete`: to be sent a POST when it is there, until `complete_by`."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: str
    complete: str
    complete_by: str


def presigned_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["documents"])

    @router.post("/documents/presigned", status_code=201, response_model=Presigned, responses=_SIGNING)
    async def presign(body: PresignBody) -> Response:  # pyright: ignore[reportUnusedFunction]
        """An address at the object store for one file, and the ticket to come back with. What POST /v1/documents would
        refuse is refused here, before anything is sent."""
        store = _store(app)
        source = chosen(app, body.source)
        expires = now_us() + store.seconds * 1_000_000
        ticket = _ticket(source, body, expires + GRACE_US)
        written = store.tickets.write(ticket)
        announced = Announced(ticket.size, _content_type(body.content_type), ticket.digest)
        try:
            target = await store.objects.target(ticket.object, announced, store.seconds)
        except ObjectStoreError as error:
            return _later(error)
        shown = {
            "method": "PUT",
            "url": target.url,
            "headers": dict(target.headers),
            "expires_at": rfc3339(expires),
            "complete": f"/v1/documents/presigned/{written}",
            "complete_by": rfc3339(ticket.until),
        }
        return json_response(shown, 201)

    @router.post("/documents/presigned/{ticket}", status_code=202, response_model=Uploaded, responses=_COMPLETING)
    async def complete(  # pyright: ignore[reportUnusedFunction]
        ticket: str,
        replace: Annotated[bool, Query(description="in the place of a document of the same name, after all")] = False,
    ) -> Response:
        """Takes the file in that lies at the object store, and answers as POST /v1/documents does when it is on disk.
        Completed again, it is answered the same, and nothing is taken in twice."""
        store = _store(app)
        read = store.tickets.read(ticket, now_us())
        source = chosen(app, read.source)
        try:
            done = await _fetched(store, source, read, ALWAYS if replace or read.replace else Only(fresh=True))
            await app.core.engine.durable()
        except (UploadsFull, SourceError, ObjectStoreError) as error:
            return _later(error)
        if not store.keep_objects:
            await _remove(store, read)
        return json_response(answer_of(source, done), 202)

    return router


def _store(app: App) -> Presigning:
    if app.presigning is None:
        raise NotFound(
            step="upload by way of an object store",
            expected="an object store in headrace.toml",
            got="none",
            remedy='Add [uploads] object_store = "s3://…" and start Headrace again, or use POST /v1/documents.',
        )
    return app.presigning


def _ticket(source: Uploads, body: PresignBody, until: int) -> Ticket:
    """Raises BadRequest, TooLarge, NameTaken."""
    name = checked_name(body.name)
    if body.content_hash is not None and not _HASH.fullmatch(body.content_hash):
        raise BadRequest(
            step="read a document's content_hash",
            expected="sha256: and 64 hex digits in lower case",
            got=repr(body.content_hash),
            remedy="Correct it, or leave it out.",
        )
    if body.size > source.max_bytes:
        raise TooLarge(
            step="take in an upload",
            expected=f"at most {source.max_bytes} bytes",
            got=f"{body.size} bytes",
            remedy="Split the document, or raise max_bytes of the source.",
        )
    title = None if body.title is None else checked_title(body.title)
    time = parse_rfc3339(body.time) if body.time else None
    readers = body.readers
    if not body.replace:
        _check_free(source, name, body)
    key = secrets.token_urlsafe(24)
    said = None if body.metadata is None else checked_metadata(body.metadata)
    return Ticket(key, until, source.name, name, body.size, body.content_hash, title, time, readers, body.replace, said)


def _check_free(source: Uploads, name: str, body: PresignBody) -> None:
    """Told before it is sent, as far as that can be known: the same content as is there may come again."""
    given = source.given(name)
    if given is None or (given.size == body.size and body.content_hash in (None, given.digest)):
        return
    raise NameTaken(
        step=f"take in {name[:200]}",
        expected="a name that is free, or the same content as is there",
        got="another content",
        remedy="Say replace, or give the new one another name.",
    )


def _content_type(text: str) -> str:
    """Raises BadRequest for what cannot be a header."""
    if not _TYPE.fullmatch(text):
        raise BadRequest(
            step="read a document's content_type",
            expected="a media type such as application/pdf",
            got=repr(text[:100]),
            remedy="Correct it, or leave it out: what a document is, is told by its content.",
        )
    return text


async def _fetched(store: Presigning, source: Uploads, ticket: Ticket, only: Only) -> Done:
    """What came of the ticket, now or before."""
    done = await source.came_of(ticket.object)
    if done is not None:
        return done
    with source.slot():
        async with spool(source.scratch, source.max_bytes) as file:
            try:
                async with store.objects.open(ticket.object) as stored:
                    await _take(stored, file, ticket)
            except NotUploaded:
                done = await source.came_of(ticket.object)  # completed by somebody else in this moment
                if done is None:
                    raise
                return done
            content = await file.done()
            _check_content(content, ticket)
            changes = Description(
                title=ticket.title, time=ticket.time, readers=ticket.readers, metadata=ticket.metadata
            )
            once = Once(ticket.object, ticket.until)
            return await source.put(ticket.name, content, changes, only, once)


async def _take(stored: Stored, file: Spool, ticket: Ticket) -> None:
    if stored.size != ticket.size:
        raise _differs(f"{ticket.size} bytes", f"{stored.size} bytes")
    async for piece in stored.pieces():
        await file.write(piece)


def _check_content(content: Content, ticket: Ticket) -> None:
    if content.size != ticket.size:
        raise _differs(f"{ticket.size} bytes", f"{content.size} bytes")
    if ticket.digest is not None and content.digest != ticket.digest:
        raise _differs(f"content with the hash {ticket.digest}", content.digest)


def _differs(expected: str, got: str) -> Differs:
    remedy = "PUT what was announced to the address that was given, then complete it again; or announce it anew."
    return Differs(step="take in an upload from the object store", expected=expected, got=got, remedy=remedy)


async def _remove(store: Presigning, ticket: Ticket) -> None:
    """The document is in: an object that stays is only told of, the bucket's lifecycle ends it."""
    try:
        await store.objects.remove(ticket.object)
    except ObjectStoreError as error:
        document = f"{ticket.source}/{ticket.name}"
        logger.warning("a fetched upload stays at the object store", document=document, error=error.got)


def _later(error: HeadraceError) -> Response:
    return problem_response(error, {"retry-after": str(RETRY_AFTER_S)})


# ---- what /openapi.json says -----------------------------------------------------------------------------------------


def _told(whys: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    schema = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    told = {status: {"description": why, "content": schema} for status, why in whys.items()}
    return cast("dict[int | str, dict[str, Any]]", told)


_SIGNING = _told(
    {
        400: "a name, hash, title, time or type that cannot be understood",
        404: "no object store, or no source of uploads",
        409: "a document of this name is there with another content",
        413: "larger than max_bytes of the source",
        502: "nothing can be signed: no credentials",
    }
)
_COMPLETING = _told(
    {
        400: "no ticket of this Headrace, or one that was changed",
        404: "no object store, or the source is gone",
        409: "it is not at the object store yet; or a document of this name is there with another content",
        410: "the ticket has expired",
        413: "larger than max_bytes of the source, which was lowered since",
        422: "what lies at the object store is not what was announced: nothing was taken in",
        429: "too many uploads at once: again after Retry-After",
        502: "the object store refuses to give it",
        503: "the object store does not answer, or uploads are not being taken in: again after Retry-After",
        507: "no room for it on the disk",
    }
)

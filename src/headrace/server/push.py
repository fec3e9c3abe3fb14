"""The route that takes changes in: `POST /v1/changes/{source}`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from headrace.app import App
from headrace.envelopes import FORMATS, Hints
from headrace.errors import BadInput, BadRequest, NotFound, SourceError
from headrace.inbox import Inbox, InboxFull, Item, KeyReused, Push, Receipt, keep_record, read_item
from headrace.server.inflating import ACCEPTED, CodingNotTaken, coding_of, inflated
from headrace.server.problems import problem_response
from headrace.server.records import EVENT, EVENTS, LINES, Record, media_type, parts
from headrace.server.shapes import json_response
from headrace.token import heads

AT_ONCE = 64
"""Records that are read without letting others have their turn."""
RETRY_AFTER_S = 1
_LONGEST_KEY = 200
_GONE = 499
"""For the counts: whoever sent it went away before its end."""

Format = Annotated[
    str,
    Query(description="how records are read; without it their content decides", json_schema_extra={"enum": [*FORMATS]}),
]
Table = Annotated[str, Query(max_length=200, description="the rows' table, instead of what the records say")]
Key = Annotated[str, Query(max_length=400, description="the primary key's columns, joined by commas")]
KeyHeader = Annotated[str, Header(alias="Headrace-Key", max_length=400, description="the same as `key`")]
Once = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="names this request: sent again, it changes nothing more"),
]


class Rejection(BaseModel):
    """A record that could not be read and is a dead letter now; `index` counts from 0."""

    index: int
    step: str
    expected: str
    got: str
    remedy: str


class Pushed(BaseModel):
    """What came of each record. All that was accepted is on disk; `token` waits for it as `after`."""

    accepted: int
    duplicates: int = Field(description="came before, by their own ids")
    ignored: int = Field(description="change no row: tombstones, heartbeats, schema changes, logical messages")
    rejected: list[Rejection]
    rejected_more: int = Field(default=0, description="rejected beside those that are listed")
    token: str


class Problem(BaseModel):
    """RFC 9457, with what to do."""

    type: str
    title: str
    status: int
    detail: str
    step: str
    expected: str
    got: str
    remedy: str


def push_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["changes"])

    @router.post(
        "/changes/{source}", status_code=202, response_model=Pushed, responses=_RESPONSES, openapi_extra=_REQUEST
    )
    async def push(  # pyright: ignore[reportUnusedFunction]
        source: str,
        request: Request,
        format: Format = "",
        table: Table = "",
        key: Key = "",
        headrace_key: KeyHeader = "",
        idempotency_key: Once = None,
    ) -> Response:
        """Takes changes in: Debezium's envelopes, DMS records, CloudEvents, or `{op, table, key, row}`.

        One JSON object, an array, or a stream of lines of any length, which is taken in as it comes; with
        Content-Encoding gzip or deflate it is inflated. The answer comes when all of it is on disk. What cannot be read
        is listed, kept as a dead letter, and does not stop the rest.
        """
        try:
            kind, coding = media_type(request.headers), coding_of(request.headers)
            hints = _hints(format or ("cloudevents" if kind in (EVENT, EVENTS) else ""), table, key or headrace_key)
            inbox = _inbox(app, source)
            limits = app.config.server
            most = max(limits.max_stream, limits.max_body) if kind in LINES else limits.max_body
            body = inflated(request.stream(), coding, most)
            records = parts(body, kind, request.headers, limits.max_body)
            async with inbox.push(_checked(idempotency_key)) as push:
                receipt = await _take(push, records, hints)
            await app.core.engine.durable()
        except (InboxFull, SourceError) as error:
            return problem_response(error, {"retry-after": str(RETRY_AFTER_S)})
        except CodingNotTaken as error:
            return problem_response(error, {"accept-encoding": ", ".join(ACCEPTED)})
        except ClientDisconnect:
            return Response(status_code=_GONE)  # nobody reads it
        return json_response(_answer(inbox.name, receipt), 202)

    return router


async def _take(push: Push, records: AsyncIterator[list[Record]], hints: Hints) -> Receipt:
    """Part after part; the last one makes the push whole. Those that came in before are only compared."""
    digest, count = _seed(hints), 0
    held: tuple[list[Item], bytes] = ([], digest)
    async for part in records:
        fresh: list[tuple[int, Record]] = []
        for record in part:
            digest = hashlib.blake2b(digest + record.data, digest_size=16).digest()
            count += 1
            if count > push.done:
                fresh.append((count - 1, record))
            elif count == push.done and digest != push.digest:
                raise _reused()
        if push.receipt is not None and fresh:
            raise _reused()
        if not fresh:
            continue
        if held[0]:
            await push.put(*held, last=False)
        held = (await _items(fresh, hints), digest)
    if count < push.done:
        raise _reused()
    return push.receipt or await push.put(held[0], digest, last=True)


async def _items(records: Sequence[tuple[int, Record]], hints: Hints) -> list[Item]:
    items: list[Item] = []
    for n in range(0, len(records), AT_ONCE):
        items += [_item(index, record, hints) for index, record in records[n : n + AT_ONCE]]
        await asyncio.sleep(0)
    return items


def _item(index: int, record: Record, hints: Hints) -> Item:
    if not record.cut:
        return read_item(index, record.data, hints)
    error = BadInput(
        step="read a change record",
        expected="a line that is not longer than [server] max_body",
        got=f"{record.size} bytes",
        remedy="Send smaller records, or raise [server] max_body. Of this one only the start was kept.",
    )
    return Item(index, error=error, record=keep_record(record.data, hints))


def _seed(hints: Hints) -> bytes:
    """The same records read in another way are another push."""
    said = "\0".join((hints.format, hints.table, *hints.key))
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def _answer(source: str, receipt: Receipt) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "accepted": receipt.accepted,
        "duplicates": receipt.duplicates,
        "ignored": receipt.ignored,
        "rejected": list(receipt.rejected),
        "token": heads({source: receipt.position}).encode(),
    }
    more = receipt.rejections - len(receipt.rejected)
    return {**answer, "rejected_more": more} if more else answer


def _inbox(app: App, name: str) -> Inbox:
    sources = app.core.engine.sources
    found = sources.get(name)
    if isinstance(found, Inbox):
        return found
    pushed = [s.name for s in sources.values() if isinstance(s, Inbox)]
    raise NotFound(
        step="push changes",
        expected="a source of push: in headrace.toml" + (f", such as {', '.join(pushed)}" if pushed else ""),
        got=f"{name[:100]}, which is read from {found.address}" if found else name[:100],
        remedy=f'Add [[sources]] name = "{name[:40]}" url = "push:", or name one that is there.',
    )


def _hints(format: str, table: str, key: str) -> Hints:
    if format and format not in FORMATS:
        raise BadRequest(
            step="read ?format",
            expected="one of " + ", ".join(FORMATS),
            got=repr(format[:60]),
            remedy="Name one of these, or leave it out.",
        )
    return Hints(format, table, tuple(n for n in (part.strip() for part in key.split(",")) if n))


def _checked(key: str | None) -> str:
    if key is None:
        return ""
    if not 0 < len(key.strip()) <= _LONGEST_KEY or not key.isprintable():
        raise BadRequest(
            step="read the Idempotency-Key",
            expected=f"1 to {_LONGEST_KEY} printable characters",
            got=repr(key[:60]),
            remedy="Make one per request, such as a UUID, and keep it for its retries.",
        )
    return key.strip()


def _reused() -> KeyReused:
    return KeyReused(
        step="take in a request with an Idempotency-Key",
        expected="the same records as the first time",
        got="others",
        remedy="Send the first request's body again, or take a new key for a new request.",
    )


# ---- what /openapi.json says -----------------------------------------------------------------------------------------

_RECORD = {
    "oneOf": [
        {
            "title": "plain",
            "type": "object",
            "required": ["op"],
            "properties": {
                "op": {"enum": ["upsert", "insert", "update", "delete", "read", "truncate"]},
                "table": {"type": "string"},
                "key": {"type": "object"},
                "row": {"type": "object"},
                "before": {"type": "object"},
                "at": {"type": "string", "format": "date-time"},
            },
        },
        {
            "title": "Debezium",
            "type": "object",
            "required": ["op", "source"],
            "properties": {
                "op": {"enum": ["c", "u", "d", "r", "t", "m"]},
                "before": {"type": ["object", "null"]},
                "after": {"type": ["object", "null"]},
                "source": {"type": "object"},
            },
        },
        {
            "title": "a message: key and value",
            "type": "object",
            "required": ["value"],
            "properties": {"topic": {"type": "string"}, "key": {}, "value": {"type": ["object", "null", "string"]}},
        },
        {
            "title": "AWS DMS",
            "type": "object",
            "required": ["metadata"],
            "properties": {"data": {"type": "object"}, "metadata": {"type": "object"}},
        },
        {
            "title": "CloudEvent",
            "type": "object",
            "required": ["specversion", "id", "source", "type"],
            "properties": {"specversion": {"const": "1.0"}, "data": {}},
        },
    ]
}
_EXAMPLE = {"op": "upsert", "table": "customers", "key": {"id": 7}, "row": {"id": 7, "email": "ada@example.com"}}
_MANY = {"type": "array", "items": _RECORD}
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [_RECORD, _MANY]}, "example": _EXAMPLE},
            EVENT: {"schema": _RECORD["oneOf"][-1]},
            EVENTS: {"schema": {"type": "array", "items": _RECORD["oneOf"][-1]}},
            **{kind: {"schema": {"type": "string", "description": "one record a line"}} for kind in sorted(LINES)},
        },
    }
}


def _told(why: str) -> dict[str, Any]:
    schema = {"schema": Problem.model_json_schema()}
    return {"description": why, "content": {"application/problem+json": schema}}


_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "all of it is on disk, or listed as rejected"},
    400: _told("the body as a whole, or a parameter, cannot be understood"),
    404: _told("no source of that name is pushed to"),
    413: _told("the body is larger than [server] max_body, or a stream than max_stream; inflated too"),
    415: _told("a Content-Type or Content-Encoding that is not taken"),
    422: _told("the Idempotency-Key came with other records before"),
    429: {**_told("too much waits already"), "headers": _RETRY},
    503: {**_told("changes are not being taken in at the moment"), "headers": _RETRY},
}

"""What goes over the wire: requests as pydantic models, answers as plain JSON objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from headrace.answer.retrieve import Retrieval
from headrace.answer.service import Asked, Reader
from headrace.clock import now_us, rfc3339, to_us
from headrace.errors import BadRequest
from headrace.metadata import Metadata
from headrace.place import Place
from headrace.server.identity import viewer_of
from headrace.stores.conditions import conditions_of
from headrace.stores.knowledge import Blend, Document, DocumentInfo, Filter, Passage, Retriever
from headrace.stores.profiles import Fact, Profile

JsonObject = dict[str, Any]
_encoder = msgspec.json.Encoder()

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Token = Annotated[str, Field(max_length=20_000)]
Wait = Annotated[int, Field(ge=0, le=60_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


Short = Annotated[str, Field(max_length=2000)]


class FilterBody(_Body):
    """What a search is limited to. `title`: words in it, in whatever case. `since`, `until` (excluded): RFC 3339 times
    of the documents: their own where they state one, else their commits'. `label`: one that they were given.

    `metadata`: of the fields that documents state of themselves, all of these: `{"category": "bags"}`,
    `{"dept": ["a", "b"]}` (one of), or an object with `eq`, `ne`, `any`, `all`, `gt`, `gte`, `lt`, `lte`, `exists`."""

    source: Short | None = None
    document_prefix: Short | None = None
    topic: Short | None = None
    title: Short | None = None
    since: datetime | None = None
    until: datetime | None = None
    label: Short | None = None
    metadata: Annotated[dict[str, Any], Field(max_length=64)] = Field(default_factory=dict[str, Any])


class SearchBody(_Body):
    """`after`: a token that must be applied first; `as_of`: a token or time to read at.

    `retriever`: by words and meaning together, by one alone, or by the sum of their ranks; `vector_weight`: the part of
    the meaning. `rerank`: by the reranker; left out: as is configured. `distinct`: what says the same is given once.
    `newest`: of passages that state the same fact with different values the newest leads. `neighbours`: so many chunks
    of text around each.
    """

    query: Text
    k: Annotated[int, Field(ge=1, le=100)] = 10
    retriever: Retriever = "hybrid"
    vector_weight: Annotated[float, Field(ge=0, le=1)] | None = None
    rerank: bool | None = None
    distinct: bool = True
    newest: bool = True
    neighbours: Annotated[int, Field(ge=0, le=10)] = 0
    after: Token | None = None
    as_of: Token | None = None
    filter: FilterBody | None = None
    wait_ms: Wait | None = None


class AskBody(_Body):
    """`user`: a profile id or an identifier such as `email:ada@example.com`. `rerank`: whether its sources are put into
    order by the reranker; left out: as is configured."""

    question: Text
    user: Annotated[str, Field(max_length=400)] | None = None
    conversation: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    after: Token | None = None
    as_of: Token | None = None
    wait_ms: Wait | None = None
    rerank: bool | None = None


_ASKED: dict[str, tuple[str, JsonObject]] = {
    "after": ("a token that must be applied first", {"type": "string", "maxLength": 20_000}),
    "as_of": ("a token or an RFC 3339 time to read at", {"type": "string", "maxLength": 20_000}),
    "wait_ms": ("how long `after` waits, milliseconds", {"type": "integer", "minimum": 0, "maximum": 60_000}),
}
ASKED: JsonObject = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": about, "schema": schema}
        for name, (about, schema) in _ASKED.items()
    ]
}
"""What `asked_of` takes, as a route's `openapi_extra`."""


def asked_of(request: Request) -> Asked:
    """Who reads, and `after`, `as_of` and `wait_ms` of a query string; read by hand, as it is done for every look at a
    profile.

    Raises BadRequest.
    """
    params, viewer = request.query_params, viewer_of(request)
    for name in ("after", "as_of"):
        if len(params.get(name, "")) > 20_000:
            raise _unreadable(name, "at most 20,000 characters", "more")
    wait = params.get("wait_ms")
    if wait is None:
        return Asked(params.get("after"), params.get("as_of"), None, viewer)
    if not (wait.isascii() and wait.isdigit() and len(wait) <= 5 and int(wait) <= 60_000):
        raise _unreadable("wait_ms", "0 to 60000", wait[:40])
    return Asked(params.get("after"), params.get("as_of"), int(wait), viewer)


def filter_of(body: FilterBody | None) -> Filter:
    if body is None:
        return Filter()
    times = (None if t is None else to_us(t if t.tzinfo else t.replace(tzinfo=UTC)) for t in (body.since, body.until))
    named = (body.source, body.document_prefix, body.topic, body.title)
    return Filter(*named, *times, label=body.label, metadata=conditions_of(body.metadata))


def retrieval_of(body: SearchBody) -> Retrieval:
    blend = Blend(body.retriever, body.vector_weight)
    return Retrieval(blend, body.distinct, body.newest, body.neighbours, body.rerank)


def _unreadable(name: str, expected: str, got: str) -> BadRequest:
    return BadRequest(
        step=f"read the parameter {name}", expected=expected, got=got, remedy="See /openapi.json for what it may be."
    )


def json_response(value: object, status: int = 200, media_type: str = "application/json") -> Response:
    return Response(_encoder.encode(value), status, media_type=media_type)


def json_line(value: object) -> bytes:
    return _encoder.encode(value) + b"\n"


def age_ms(committed_at: int) -> float:
    """Now minus the commit, milliseconds."""
    return round((now_us() - committed_at) / 1000, 3)


def passage_json(reader: Reader, passage: Passage) -> JsonObject:
    """`rerank_score`, `dated`, `superseded_by`, `duplicates`, `before` and `behind` only where there is something to
    say."""
    return {
        "document": passage.document,
        "chunk": passage.chunk,
        "title": passage.title,
        "heading": passage.heading,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "place": place_json(passage.place),
        "metadata": metadata_json(passage.metadata),
        "score": round(passage.score, 6),
        **({} if passage.rerank_score is None else {"rerank_score": round(passage.rerank_score, 6)}),
        "stamp": reader.stamp(passage.stamp),
        "age_ms": age_ms(passage.stamp.committed_at),
        "superseded": passage.superseded_by is not None,
        **_said(passage),
    }


def place_json(place: Place | None) -> JsonObject | None:
    """What is known of it: `page`, `last_page`, `slide`, `sheet`, `member`."""
    return place.to_object() if place else None


def metadata_json(metadata: Metadata) -> JsonObject:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in metadata.items()}


def _said(passage: Passage) -> JsonObject:
    said: JsonObject = {
        "dated": None if passage.dated is None else rfc3339(passage.dated),
        "superseded_by": passage.superseded_by,
        "duplicates": list(passage.duplicates),
        "before": passage.before,
        "behind": passage.behind,
    }
    return {name: value for name, value in said.items() if value}


def document_info_json(reader: Reader, info: DocumentInfo) -> JsonObject:
    return {
        "id": info.id,
        "stamp": reader.stamp(info.stamp),
        "content_hash": info.content_hash,
        "title": info.title,
        "media": info.media,
        "dated": rfc3339(info.dated) if info.dated is not None else None,
        "chunks": info.chunks,
        "stage": info.stage,
        "error": msgspec.to_builtins(info.error) if info.error else None,
        **({} if info.dated is None else {"dated": rfc3339(info.dated)}),
        "metadata": metadata_json(info.metadata),
        **told_json(info),
    }


def told_json(info: DocumentInfo) -> JsonObject:
    """What language models told of it; null: nothing (yet)."""
    return {"labels": None if info.labels is None else list(info.labels), "summary": info.summary}


def document_json(reader: Reader, document: Document) -> JsonObject:
    chunks = [
        {
            "chunk": c.chunk, "ordinal": c.ordinal, "text": c.text, "start": c.start, "end": c.end,
            "heading": c.heading, "place": place_json(c.place),
        }
        for c in document.chunks
    ]  # fmt: skip
    return {**document_info_json(reader, document.info), "text": document.text, "chunks": chunks}


def fact_json(reader: Reader, fact: Fact) -> JsonObject:
    return {
        "table": fact.topic,
        "key": fact.key,
        "name": fact.name,
        "text": fact.text,
        "fields": fact.fields,
        "stamp": reader.stamp(fact.stamp),
        "age_ms": age_ms(fact.stamp.committed_at),
    }


def profile_json(reader: Reader, profile: Profile) -> JsonObject:
    return {
        "id": profile.id,
        "identifiers": list(profile.identifiers),
        "fields": profile.fields,
        "aggregates": profile.aggregates,
        "facts": [fact_json(reader, f) for f in profile.facts],
        "records": list(profile.records),
        "stamp": reader.stamp(profile.stamp),
        "age_ms": age_ms(profile.stamp.committed_at),
    }


def document_path(id: str) -> str:
    """A document id in a URL path: encoded once more, its slashes kept."""
    return quote(id, safe="/")

"""What the routes of uploads take and give, and what /openapi.json says of them."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from headrace.access import Readers
from headrace.server import forms
from headrace.server.push import Problem
from headrace.uploads import UNSAID, Unsaid, checked_metadata, checked_readers


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


_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
FILE: dict[str, Any] = {"requestBody": {"required": True, "content": _BINARY}}
FORM_OR_FILE: dict[str, Any] = {
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


RESPONSES = cast(
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

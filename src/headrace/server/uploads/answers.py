"""What came of uploads, as it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Response

from headrace.change import Position
from headrace.clock import rfc3339
from headrace.errors import HeadraceError, SourceError
from headrace.server.problems import problem
from headrace.server.push import RETRY_AFTER_S
from headrace.server.shapes import JsonObject, document_path, json_response
from headrace.token import heads
from headrace.uploads import Done, Uploads, UploadsFull


@dataclass(slots=True)
class Result:
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


def answer_of(source: Uploads, done: Done) -> JsonObject:
    """What a request with this one document is answered."""
    return Result([(source, done)]).shown()


def changed(source: Uploads, done: Done) -> Response:
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


def failed(error: HeadraceError, result: Result) -> Response:
    """The problem, and what came in before it."""
    retry = {"retry-after": str(RETRY_AFTER_S)} if isinstance(error, UploadsFull | SourceError) else {}
    response = json_response({**problem(error), **result.shown()}, error.status, "application/problem+json")
    response.headers.update(retry)
    return response


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

"""Takes the body of a request to disk: a form of files, or one file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request

from headrace.app import App
from headrace.clock import parse_rfc3339
from headrace.errors import BadRequest, HeadraceError, NotFound
from headrace.server import forms
from headrace.server.guard import TooLarge
from headrace.server.inflating import coding_of, inflated
from headrace.server.spooling import lively, spool
from headrace.server.uploads.answers import Result
from headrace.uploads import (
    ALWAYS,
    Description,
    NameTaken,
    Only,
    Outdated,
    Uploads,
    by_name,
    checked_name,
    checked_readers,
    checked_title,
    read_metadata,
)

_ONE_FILE = (BadRequest, TooLarge, NameTaken, Outdated)
"""What is wrong with one file of a form: the others go on."""


@dataclass(slots=True)
class Said:
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


async def take_form(app: App, request: Request, said: Said, result: Result) -> None:
    parts = forms.form(body(app, request), request.headers)
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
    source: Uploads, begin: forms.FileBegin, parts: AsyncIterator[forms.Part], said: Said, result: Result
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


async def take_file(app: App, request: Request, said: Said, result: Result) -> None:
    source = chosen(app, said.source)
    name = checked_name(said.name)
    with source.slot():
        async with spool(source.scratch, source.max_bytes) as file:
            async for chunk in body(app, request):
                await file.write(chunk)
            only = ALWAYS if said.replace else Only(fresh=True)
            result.done.append((source, await source.put(name, await file.done(), said.description(), only)))


def body(app: App, request: Request) -> AsyncIterator[bytes]:
    limits = app.config.server
    most = max(limits.max_stream, limits.max_body)
    return inflated(lively(request.stream()), coding_of(request.headers), most)


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


def found(app: App, id: str) -> tuple[Uploads, str]:
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


def _truth(text: str) -> bool:
    if text.strip().lower() not in ("true", "false", "1", "0", "on", ""):
        raise BadRequest(
            step="read the field replace", expected="true or false", got=repr(text[:60]), remedy="Correct it."
        )
    return text.strip().lower() in ("true", "1", "on")

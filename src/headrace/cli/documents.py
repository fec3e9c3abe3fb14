"""Commands that bring records and documents in, list documents and take them out: `push`, `upload`, `documents`."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from rich.markup import escape

from headrace.cli.calling import (
    DEFAULT,
    AsGroups,
    AsJson,
    AsUser,
    ConfigFile,
    Where,
    configured,
    or_fail,
    reading_as,
    run,
)
from headrace.cli.terminal import Progress, err, fail_text, out, show
from headrace.client import connect, running
from headrace.limiting import demands, given
from headrace.pushing import Totals, push_lines
from headrace.showing_documents import listed, retried, show_documents, uploaded_line
from headrace.uploading import How, Sent, files_of, upload_files


def push(
    source: Annotated[str, typer.Argument(help="A source whose url is push:.")],
    file: Annotated[Path, typer.Argument(help="Records, one JSON object a line; - is the input.")] = Path("-"),
    format: Annotated[
        str, typer.Option(help="debezium, flattened, dms, cloudevents or plain; otherwise their content says it.")
    ] = "",
    table: Annotated[str, typer.Option(help="The rows' table, instead of what the records say.")] = "",
    key: Annotated[str, typer.Option(help="The primary key's columns, joined by commas.")] = "",
    gzip: Annotated[bool, typer.Option("--gzip", help="Send the records compressed.")] = False,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Push records into a running Headrace; exits 1 when some could not be read."""
    if file != Path("-") and not file.is_file():
        fail_text(f"{file} is no file; nothing was pushed.")
    params = {name: value for name, value in (("format", format), ("table", table), ("key", key)) if value}
    progress = Progress(1.0)

    def told(totals: Totals) -> None:
        progress.say(f"{totals.lines} lines, {totals.lines / progress.elapsed_s:.0f}/s")

    async def send() -> Totals:
        async with running(configured(config)) as client:
            with sys.stdin.buffer if file == Path("-") else file.open("rb") as lines:
                return await push_lines(client, source, lines, params, told, compressed=gzip)

    totals: Totals = run(send())
    for r in [] if as_json else totals.rejected:
        err.print(f"line {r.line}: expected {r.expected}, got {r.got}. {r.remedy}", markup=False)
    said = f"{totals.accepted} accepted, {totals.duplicates} duplicates, {totals.ignored} ignored, "
    show(dataclasses.asdict(totals) | {"rejected": msgspec.to_builtins(totals.rejected)}, as_json,
           f"{said}{totals.rejections} rejected\ntoken: {totals.token or '-'}")  # fmt: skip
    if totals.rejections:
        raise SystemExit(1)


def upload(
    files: Annotated[list[Path], typer.Argument(help="Files, and folders with all that is in them.")],
    source: Annotated[str, typer.Option(help="A source whose url is upload:, where there are several.")] = "",
    named: Annotated[str, typer.Option("--as", help="The document's name, for a single file.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace/--no-replace", help="In the place of a document of the same name.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until they can be found.")] = True,
    owner: Annotated[str | None, typer.Option(help="The user whom they are for; otherwise as before, or all.")] = None,
    groups: Annotated[str | None, typer.Option(help="The groups that they are for, between commas.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="name=value: their metadata, beside what they state. Repeatable.")
    ] = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Upload documents into a running Headrace; exits 1 when one was refused or cannot be read."""
    said = None if metadata is None else or_fail(lambda: json.dumps(given(metadata), ensure_ascii=False))

    async def send() -> Sent:
        async with running(configured(config)) as client:
            found = files_of(files, named)
            how = How(source, replace, wait, owner, groups, said)
            return await upload_files(client, found, how, told=Progress(0.5).say)

    sent: Sent = run(send())
    for name, why in [] if as_json else sent.through:
        err.print(f"{name}: sent through Headrace; the object store did not take it: {why}", markup=False)
    for name, why in [] if as_json else sent.refused:
        err.print(f"{name}: {why}", markup=False)
    value = {"documents": sent.documents, "refused": dict(sent.refused), "token": sent.token}
    show(value, as_json, escape("\n".join(uploaded_line(d) for d in sent.documents)))
    if sent.refused or any(d.get("stage") == "failed" for d in sent.documents):
        raise SystemExit(1)


def documents(
    source: Annotated[str | None, typer.Option(help="Only documents of this source.")] = None,
    stage: Annotated[str | None, typer.Option(help="received, chunked, embedded, ready or failed.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those with this label.")] = None,
    match: Annotated[str | None, typer.Option(help="Words in the id or the title.")] = None,
    where: Where = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 1000,
    delete: Annotated[str | None, typer.Option(help="Delete the uploaded document of this id.")] = None,
    retry: Annotated[str | None, typer.Option(help="Try to read the failed document of this id once more.")] = None,
    as_user: AsUser = None,
    groups: AsGroups = None,
    config: ConfigFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List documents with their stage, delete an uploaded one, or retry one that could not be read."""

    async def act() -> None:
        async with connect(configured(config), reading_as(as_user, groups)) as client:
            if delete is not None:
                done = await client.delete("/v1/documents/" + quote(delete, safe="/"))
                show(done, as_json, f"Deleted {escape(done['id'])}.\ntoken: {done['token']}")
            elif retry is not None:
                done = await retried(client, retry)
                show(done, as_json, "It can be found now." if done["settled"] else "It still cannot be read.")
            else:
                wanted = {"source": source, "stage": stage, "q": match, "label": label}
                found = await listed(client, wanted, limit, or_fail(lambda: demands(where or ())))
                if as_json:
                    show({"documents": found}, True, "")
                else:
                    show_documents(found, out)

    run(act())

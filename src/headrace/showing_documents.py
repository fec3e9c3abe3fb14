"""The registry of documents on a terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.client import Client
from headrace.errors import NotFound

PAGE = 500
Row = dict[str, Any]


async def listed(
    client: Client, where: dict[str, Any], limit: int, metadata: dict[str, Any] | None = None
) -> list[Row]:
    """Page after page, up to `limit`. `metadata`: as a search's filter has it."""
    where = {**where, "metadata": json.dumps(metadata, ensure_ascii=False)} if metadata else where
    found: list[Row] = []
    cursor: str | None = None
    while len(found) < limit:
        given = {**where, "limit": min(PAGE, limit - len(found)), "cursor": cursor}
        page = await client.get("/v1/documents", given)
        found += page["documents"]
        cursor = page["next"]
        if cursor is None:
            break
    return found


async def retried(client: Client, id: str) -> Row:
    """Tries a failed document once more. Raises NotFound."""
    found = await client.get("/v1/documents", {"prefix": id, "stage": "failed", "limit": 1000})
    letter = next((d["dead_letter"] for d in found["documents"] if d["id"] == id), None)
    if letter is None:
        raise NotFound(
            step="retry a document",
            expected="a document that could not be read",
            got=id[:200],
            remedy="See `headrace documents --stage failed`.",
        )
    return await client.post(f"/v1/deadletters/{letter}/retry", {})


def show_documents(found: list[Row], terminal: Console) -> None:
    labelled = any(d["labels"] is not None for d in found)
    table = Table("document", "stage", "size", "chunks", "changed", *(("labels",) if labelled else ()), box=None)
    for d in found:
        size = "-" if d["size"] is None else _size(d["size"])
        labels = (escape(", ".join(d["labels"] or ())),) if labelled else ()
        table.add_row(escape(d["id"]), d["stage"], size, str(d["chunks"]), d["changed_at"][:19] + "Z", *labels)
    terminal.print(table)
    for d in found:
        if d["error"]:
            terminal.print(f"{d['id']}: {_why(d['error'])}", markup=False)
    terminal.print(f"{len(found)} documents")


def uploaded_line(document: Row) -> str:
    """What came of one file."""
    error = document.get("error")
    why = f": {_why(error)}" if error else ""
    return f"{document['id']}  {document['outcome']}, {document.get('stage', 'on disk')}{why}"


def _why(error: dict[str, str]) -> str:
    return f"expected {error['expected']}, got {error['got']}. {error['remedy']}"


def _size(size: int) -> str:
    for unit, of in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)):
        if size >= of:
            return f"{size / of:.1f} {unit}"
    return f"{size} B"

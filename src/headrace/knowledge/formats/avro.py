"""Avro object container files: rows."""

from __future__ import annotations

import io
from collections.abc import Iterator

import fastavro
from fastavro.schema import SchemaParseException

from headrace.knowledge.formats.columns import tabled
from headrace.knowledge.parsed import File, Parsed


def parse(file: File) -> Parsed:
    try:
        opened = fastavro.reader(io.BytesIO(file.content))
        schema = opened.writer_schema
        fields = schema.get("fields") if isinstance(schema, dict) else None
        names = [str(f["name"]) for f in fields] if fields else ["value"]
        return tabled(file, names, _rows(opened, names if fields else None))
    except (SchemaParseException, ValueError, EOFError, KeyError, TypeError, IndexError, OSError) as error:
        got = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise file.refused("an Avro file that is whole", f"a damaged one ({got})", "Write it again.") from None


def _rows(opened: fastavro.reader, names: list[str] | None) -> Iterator[list[object]]:
    for record in opened:
        yield [record.get(n) for n in names] if names and isinstance(record, dict) else [record]

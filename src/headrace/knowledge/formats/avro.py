"""Avro object container files: rows."""

from __future__ import annotations

import io
from collections.abc import Iterator

import fastavro
from fastavro.schema import SchemaParseException

from headrace.knowledge.formats.columns import tabled
from headrace.knowledge.parsed import File, Parsed

_STEP = 1000


def parse(file: File) -> Parsed:
    try:
        opened = fastavro.reader(io.BytesIO(file.content))
        names = [field["name"] for field in opened.writer_schema["fields"]]
        return tabled(file, names, _rows(file, opened, names))
    except (SchemaParseException, ValueError, EOFError, KeyError, TypeError, IndexError, OSError) as error:
        got = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise file.refused("an Avro file that is whole", f"a damaged one ({got})", "Write it again.") from None


def _rows(file: File, opened: fastavro.reader, names: list[str]) -> Iterator[list[object]]:
    for n, record in enumerate(opened):
        if n % _STEP == 0:
            file.meter.tick()
        yield [record.get(name) for name in names]

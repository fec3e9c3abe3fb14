"""Rows of Parquet and Avro files: a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed

_LONG = 20_000


def tabled(file: File, names: list[str], rows: Iterable[Sequence[object]]) -> Parsed:
    """Rows under their columns' names."""
    draft = Draft(file)
    for line in table(_lines(names, rows)):
        draft.add(line)
    return draft.done(name_of(file.path))


def _lines(names: list[str], rows: Iterable[Sequence[object]]) -> Iterator[list[str]]:
    yield names
    for row in rows:
        yield [_shown(value) for value in row]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return (value.hex() if isinstance(value, bytes) else str(value))[:_LONG]

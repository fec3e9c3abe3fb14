"""Rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile

SAMPLE = 200
FILLED = 256
"""Cells up to which short rows are filled up: a single wide one must not multiply all the others."""


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose first row is its header; rows that are empty are left out, short ones filled up.

    What stands in the first cell alone before the header, as a sheet's title does, comes before the table.
    """
    filled = (row for row in rows if any(cell.strip() for cell in row))
    first = list(islice(filled, SAMPLE))
    alone = sum(1 for _ in takewhile(_is_alone, first))
    if alone < len(first) and sum(1 for cell in first[alone] if cell.strip()) > 1:
        for row in first[:alone]:
            yield _words(row)
        first = first[alone:]
    if not first:
        return
    width = max(len(row) for row in first)
    for n, row in enumerate(chain(first, filled)):
        fill = [""] * (min(width, FILLED) - len(row))
        yield "| " + " | ".join(_cell(c) for c in [*row, *fill]) + " |\n"
        if n == 0:
            yield "|" + " --- |" * max(len(row), min(width, FILLED)) + "\n"


def _is_alone(row: Sequence[str]) -> bool:
    return bool(row[0].strip()) and not any(cell.strip() for cell in row[1:])


def _words(row: Sequence[str]) -> str:
    return " ".join(row[0].split()) + "\n\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

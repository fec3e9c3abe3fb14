"""Rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

SAMPLE = 200


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose first row is its header; rows that are empty are left out, short ones filled up."""
    filled = (row for row in rows if any(cell.strip() for cell in row))
    first = list(islice(filled, SAMPLE))
    if not first:
        return
    width = max(len(row) for row in first)
    for n, row in enumerate(chain(first, filled)):
        yield "| " + " | ".join(_cell(c) for c in [*row, *[""] * (width - len(row))]) + " |\n"
        if n == 0:
            yield "|" + " --- |" * width + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

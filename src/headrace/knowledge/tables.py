"""Tables in a text: under which header a row stands that a chunk begins with."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 160
"""Characters of a header that stand above a row, at most: it is embedded with each chunk of its table."""
UNDER = " › "
"""Between a chunk's headings, outermost first."""
BETWEEN = " | "
"""Between the names of the columns, where they stand above a chunk as a heading does."""

# https://github.github.com/gfm/#tables-extension-: a row, a row of dashes, rows.
_TABLE = re.compile(
    r"^ {0,3}\|(?P<header>.*)\n"
    r" {0,3}\|[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?[ \t\r]*\n"
    r"(?: {0,3}\|.*(?:\n|\Z))*+",
    re.MULTILINE,
)
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Table:
    """Where a table's rows stand (characters), the dashes under its header with them, and its columns' names."""

    start: int
    end: int
    header: str


def tables(text: str) -> list[Table]:
    """The tables of a text that name their columns, in order."""
    if "|" not in text or "-" not in text:
        return []
    return [
        Table(match.end("header") + 1, match.end(), header)
        for match in _TABLE.finditer(text)
        if (header := _names(match["header"]))
    ]


def header_at(tables: Sequence[Table], place: int) -> str:
    """The names of the columns above a place that is among a table's rows; empty elsewhere."""
    at = bisect_right(tables, place, key=lambda t: t.start) - 1
    return tables[at].header if at >= 0 and place < tables[at].end else ""


def headless(text: str) -> bool:
    """Whether a text begins among the rows of a table, so that its first row names no columns."""
    text = text.lstrip()
    return text.startswith("|") and _TABLE.match(text) is None


def columns_above(heading: str) -> str:
    """The names of the columns among the headings above a chunk; empty where there are none."""
    last = heading.rpartition(UNDER)[2]
    return last if BETWEEN in last else ""


def cells(row: str) -> list[str]:
    """The cells of a row, with or without `|` at its ends."""
    return [" ".join(c.split()).replace("\\|", "|") for c in _CELLS.split(_inner(row))]


def _inner(row: str) -> str:
    row = row.strip().removeprefix("|")
    return row[:-1] if row.endswith("|") and not row.endswith("\\|") else row


def _names(row: str) -> str:
    names = [" ".join(c.split()) for c in _CELLS.split(_inner(row))]
    if not any(names):
        return ""
    joined = BETWEEN.join(names)
    return joined if len(joined) <= LONGEST else joined[:LONGEST].rpartition(BETWEEN)[0] or joined[:LONGEST]

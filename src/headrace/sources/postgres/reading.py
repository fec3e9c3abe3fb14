"""Copied lines as changes: shared by the first copy and by snapshots beside the stream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.change import Change, Op, Position, Row
from headrace.errors import BadInput
from headrace.sources import Rejected
from headrace.sources.postgres.assemble import Note
from headrace.sources.postgres.shapes import Shape


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some copied rows. `notes` as the stream makes them, for rows that may have large values."""

    changes: list[Change]
    notes: list[Note]
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows read, without positions. `large`: those that may have values out of line. `bad`: lines that cannot be read
    stand as empty rows."""

    shape: Shape
    rows: list[Row]
    large: frozenset[int]
    bad: dict[int, ValueError]


def read_rows(shape: Shape, lines: Sequence[bytes]) -> Rows:
    bad: dict[int, ValueError] = {}
    read = shape.read_line
    try:
        rows = [read(line) for line in lines]
    except ValueError:
        rows = [_read(shape, line, i, bad) for i, line in enumerate(lines)]
    small = shape.small
    large = frozenset(i for i, line in enumerate(lines) if len(line) > small)
    return Rows(shape, rows, large, bad)


def _read(shape: Shape, line: bytes, place: int, bad: dict[int, ValueError]) -> Row:
    try:
        return shape.read_line(line)
    except ValueError as problem:
        bad[place] = problem
        return ()


def given_at(rows: Rows, major: int, minor: int, committed_at: int, without: frozenset[int] | set[int]) -> Chunk:
    """Rows as reads at positions (major, minor + 1), (major, minor + 2), ... but for those at the places `without`."""
    shape = rows.shape
    schema, key = shape.schema, shape.key
    if not without and not rows.bad:
        changes = [
            Change(schema, Op.READ, Position(major, n), committed_at, 0, key(row), None, row)
            for n, row in enumerate(rows.rows, minor + 1)
        ]
        return Chunk(changes, [Note(i, shape, large=True) for i in sorted(rows.large)], [])
    chunk = Chunk([], [], [])
    for i, row in enumerate(rows.rows):
        position = Position(major, minor + 1 + i)
        if i in rows.bad:
            chunk.rejected.append(_rejected(shape, position, committed_at, rows.bad[i]))
        elif i not in without:
            if i in rows.large:
                chunk.notes.append(Note(len(chunk.changes), shape, large=True))
            chunk.changes.append(Change(schema, Op.READ, position, committed_at, 0, key(row), None, row))
    return chunk


def _rejected(shape: Shape, position: Position, committed_at: int, problem: ValueError) -> Rejected:
    error = BadInput(
        step=f"read a row of {shape.schema.topic}",
        expected="values that their types allow, as UTF-8 text",
        got=str(problem),
        remedy="Correct the row at the source: its next change is captured.",
    )
    return Rejected(shape.schema.topic, "", position, committed_at, error)

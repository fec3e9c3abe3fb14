"""Tables in a page by their rulings: pure geometry, in points, x to the right and y upwards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

SNAP = 3.0
"""Points up to which rulings are on one line, touch, or go on after a gap."""
SHORT = 6.0
"""Points below which a ruling, its parts joined, is a dash or a decoration."""
LINES = 300
"""Rulings of one direction in a page; more are a drawing."""
CELLS = 20_000


class Edge(NamedTuple):
    """A ruling: its place across its direction (y of a horizontal one), and where it begins and ends along it."""

    at: float
    start: float
    end: float


class Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's lines, ascending, and for each place between them the cell (row from the top, column) that covers it.

    `cells` has the rows from the top. A merged cell is named by its top left place; None is no cell.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    cells: Sequence[Sequence[tuple[int, int] | None]]

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        column = bisect_right(self.xs, x) - 1
        row = len(self.ys) - 1 - bisect_right(self.ys, y)
        inside = 0 <= column < len(self.xs) - 1 and 0 <= row < len(self.ys) - 1
        return self.cells[row][column] if inside else None

    @property
    def area(self) -> float:
        return (self.xs[-1] - self.xs[0]) * (self.ys[-1] - self.ys[0])

    def is_table(self, filled: Iterable[tuple[int, int]]) -> bool:
        """Whether text in these cells makes it a table: in half of its rows, and in most of these in two cells or more.
        A form of one box below the other, a drawing or a frame is none."""
        written = set(filled)
        rows = [{cell for cell in row if cell is not None} for row in self.cells]
        texts = [len(row & written) for row in rows]
        some, beside = sum(n > 0 for n in texts), sum(n > 1 for n in texts)
        return some >= 2 and 2 * some >= sum(map(bool, rows)) and 2 * beside >= some


def joined(edges: Iterable[Edge]) -> list[Edge]:
    """Rulings that stand on nearly one line put onto it, and their parts joined; short ones left out."""
    lines: list[list[Edge]] = []
    for edge in sorted(edges):
        if not lines or edge.at - lines[-1][0].at > SNAP:
            lines.append([])
        lines[-1].append(edge)
    found: list[Edge] = []
    for line in lines:
        at = sum(e.at for e in line) / len(line)
        parts: list[tuple[float, float]] = []
        for _, start, end in sorted(line, key=lambda e: e.start):
            if parts and start - parts[-1][1] <= SNAP:
                parts[-1] = (parts[-1][0], max(parts[-1][1], end))
            else:
                parts.append((start, end))
        found += [Edge(at, start, end) for start, end in parts if end - start >= SHORT]
    return found


def grids(horizontal: Sequence[Edge], vertical: Sequence[Edge]) -> list[Grid]:
    """The grids of joined rulings that cross each other, the smallest first; without text it is not known yet whether
    they are tables."""
    if len(horizontal) > LINES or len(vertical) > LINES:
        return []
    found = [_grid(rows, columns) for rows, columns in _crossing(horizontal, vertical)]
    return sorted((g for g in found if g is not None), key=lambda g: g.area)


def _crossing(horizontal: Sequence[Edge], vertical: Sequence[Edge]) -> list[tuple[list[Edge], list[Edge]]]:
    """Rulings in groups of those that touch, over others too."""
    above = list(range(len(horizontal) + len(vertical)))

    def top(n: int) -> int:
        while above[n] != n:
            above[n] = above[above[n]]
            n = above[n]
        return n

    for n, row in enumerate(horizontal):
        for m, column in enumerate(vertical, len(horizontal)):
            across = row.start - SNAP <= column.at <= row.end + SNAP
            if across and column.start - SNAP <= row.at <= column.end + SNAP:
                above[top(m)] = top(n)
    groups: dict[int, tuple[list[Edge], list[Edge]]] = {}
    for n, edge in enumerate([*horizontal, *vertical]):
        groups.setdefault(top(n), ([], []))[n >= len(horizontal)].append(edge)
    return list(groups.values())


def _grid(rows: Sequence[Edge], columns: Sequence[Edge]) -> Grid | None:
    if not rows or not columns:
        return None
    xs = _lines(columns, rows)
    ys = _lines(rows, columns)
    wide, high = len(xs) - 1, len(ys) - 1
    if wide < 2 or high < 2 or wide * high > CELLS:
        return None
    return Grid(xs, ys, _cells(_walls(columns, xs, ys), _walls(rows, ys, xs), wide, high))


def _lines(edges: Iterable[Edge], across: Sequence[Edge]) -> list[float]:
    """Where a group's rulings stand, with the ends of those across them where these reach beyond: an open side."""
    found = sorted({e.at for e in edges})
    low, high = min(e.start for e in across), max(e.end for e in across)
    return [*([low] if low < found[0] - SNAP else []), *found, *([high] if high > found[-1] + SNAP else [])]


def _walls(edges: Iterable[Edge], at: Sequence[float], along: Sequence[float]) -> list[list[bool]]:
    """For each line, which of its parts are ruled: those whose middle a ruling covers. An outer line without any
    ruling is a side that is merely not drawn, and counts as ruled."""
    middles = [(low + high) / 2 for low, high in pairwise(along)]
    walls = [[False] * len(middles) for _ in at]
    for edge in edges:
        for n in range(bisect_left(middles, edge.start), bisect_right(middles, edge.end)):
            walls[bisect_left(at, edge.at)][n] = True
    for side in (0, -1):
        if not any(walls[side]):
            walls[side] = [True] * len(middles)
    return walls


def _cells(
    upright: Sequence[Sequence[bool]], level: Sequence[Sequence[bool]], wide: int, high: int
) -> list[list[tuple[int, int] | None]]:
    """The places that have no wall between them as one cell; those that are open to the outside as none."""
    cells: list[list[tuple[int, int] | None]] = [[None] * wide for _ in range(high)]
    seen = [[False] * wide for _ in range(high)]
    for first in range(wide * high):
        row, column = divmod(first, wide)
        if seen[row][column]:
            continue
        seen[row][column] = True
        region = [(row, column)]
        closed = True
        for row, column in region:  # it grows while it is gone through
            up = high - 1 - row  # walls are counted from below
            for wall, y, x in (
                (upright[column][up], row, column - 1),
                (upright[column + 1][up], row, column + 1),
                (level[up + 1][column], row - 1, column),
                (level[up][column], row + 1, column),
            ):
                if wall:
                    continue
                if not (0 <= y < high and 0 <= x < wide):
                    closed = False
                elif not seen[y][x]:
                    seen[y][x] = True
                    region.append((y, x))
        for row, column in region if closed else ():
            cells[row][column] = region[0]
    return cells

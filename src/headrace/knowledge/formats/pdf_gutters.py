"""Rows and columns that are not ruled apart: by the white between their words and lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from headrace.knowledge.formats.pdf_tables import LINES, SNAP, Box, Edge, Grid

Runs = list[tuple[float, float]]
"""Stretches of a line that ink covers, ascending and apart."""

_HEADER = 3
"""Lines up to which all that stands above the second rule is one row of headings."""
_GROUPS = 20
"""Of rules with the same ends in a page; what has more is a drawing."""
_LINES = 3
"""Lines in a ruled row from which it may be as many rows; two are a cell's words on two lines."""
_PROSE = 24
"""Letters a line on average from which a column is running text."""


def spaced(rules: Sequence[Edge], upright: Sequence[Edge], boxes: Sequence[Box]) -> list[Grid]:
    """Tables between three or more joined horizontal rules with nearly the same ends, and no upright ones within.
    `boxes`: those of letters."""
    if len(rules) > LINES or len(rules) < 3:
        return []
    found: list[Grid] = []
    for group in [g for g in _alike(rules) if len(g) >= 3][:_GROUPS]:
        left, right = min(r.start for r in group), max(r.end for r in group)
        low, high = group[0].at, group[-1].at
        inside = [b for b in boxes if left - SNAP <= _x(b) <= right + SNAP and low <= _y(b) <= high]
        if not inside:
            continue
        for ys in _runs([r.at for r in group], [u for u in upright if left + SNAP < u.at < right - SNAP]):
            found += _between(ys, [b for b in inside if ys[0] <= _y(b) <= ys[-1]], left - SNAP, right + SNAP)
    return found


def _runs(ys: Sequence[float], upright: Sequence[Edge]) -> list[list[float]]:
    """Rules one above the other as far as no upright one stands between two of them; three or more."""
    runs: list[list[float]] = [[ys[0]]]
    for low, high in pairwise(ys):
        if any(u.start < high - SNAP and u.end > low + SNAP for u in upright):
            runs.append([])
        runs[-1].append(high)
    return [run for run in runs if len(run) >= 3]


def _x(box: Box) -> float:
    return (box.left + box.right) / 2


def _y(box: Box) -> float:
    return (box.bottom + box.top) / 2


def _alike(rules: Iterable[Edge]) -> list[list[Edge]]:
    """Rules by their ends, each group from below."""
    groups: list[list[Edge]] = []
    for rule in sorted(rules):
        for group in groups:
            if abs(group[0].start - rule.start) <= SNAP and abs(group[0].end - rule.end) <= SNAP:
                group.append(rule)
                break
        else:
            groups.append([rule])
    return groups


def _between(ys: Sequence[float], boxes: Sequence[Box], left: float, right: float) -> list[Grid]:
    """From above, as many bands between two rules as share their columns are one table."""
    bands: list[list[Box]] = [[] for _ in ys[1:]]
    for box in boxes:
        bands[min(bisect_right(ys, _y(box)), len(bands)) - 1].append(box)
    bands = [b for b in reversed(bands) if b]
    heights = sorted(b.top - b.bottom for b in boxes) or [0.0]
    gutter = max(4.0, heights[len(heights) * 9 // 10])  # about the height of capitals: no space between words is wider
    found: list[Grid] = []
    first = 0
    while first < len(bands):
        ink = _ink((b.left, b.right) for b in bands[first])
        upto = first + 1
        while upto < len(bands) and (columns := len(_gaps(ink, gutter))):
            more = _ink((b.left, b.right) for b in bands[upto])
            both = _ink([*ink, *more])
            if len(_gaps(both, gutter)) < max(columns, len(_gaps(more, gutter))):
                break
            ink, upto = both, upto + 1
        if upto - first >= 2 and (grid := _table(bands[first:upto], _gaps(ink, gutter), left, right)):
            found.append(grid)
        first = upto
    return found


def _ink(stretches: Iterable[tuple[float, float]]) -> Runs:
    runs: Runs = []
    for start, end in sorted(stretches):
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((start, end))
    return runs


def _gaps(runs: Runs, least: float) -> list[float]:
    """The middles of the gaps that are wide enough."""
    return [(a[1] + b[0]) / 2 for a, b in pairwise(runs) if b[0] - a[1] >= least]


def _table(bands: Sequence[Sequence[Box]], gutters: Sequence[float], left: float, right: float) -> Grid | None:
    rows: Runs = []  # from above
    lines = 0
    for n, band in enumerate(bands):
        runs = _ink((b.bottom, b.top) for b in band)[::-1]
        lines += len(runs)
        named = _ink((b.bottom, b.top) for b in band if _x(b) < gutters[0])
        for m, run in enumerate(runs):
            heading = n == 0 and len(runs) <= _HEADER
            if m and (heading or not _meets(run, named)):
                rows[-1] = (run[0], rows[-1][1])
            else:
                rows.append(run)
    letters = [0] * (len(gutters) + 1)
    for band in bands:
        for box in band:
            letters[bisect_right(gutters, _x(box))] += 1
    if sum(n > _PROSE * lines for n in letters) >= 2:  # columns of a page, not of a table
        return None
    ys = [rows[0][1] + 1, *((above[0] + below[1]) / 2 for above, below in pairwise(rows)), rows[-1][0] - 1][::-1]
    xs = [left, *gutters, right]
    return Grid(xs, ys, [[(row, column) for column in range(len(xs) - 1)] for row in range(len(rows))])


def _meets(run: tuple[float, float], runs: Runs) -> bool:
    return any(start <= run[1] and run[0] <= end for start, end in runs)


def apart(grid: Grid, inside: Sequence[tuple[Box, tuple[int, int]]]) -> Grid:
    """A ruled grid with its rows by lines where they are not ruled apart, as below a table's header often.

    `inside`: its letters and their cells. A row is several if its first cell has a line in each, and so has at least
    half of the others.
    """
    lines: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for box, cell in inside:
        lines.setdefault(cell, []).append((box.bottom, box.top))
    ys = [grid.ys[-1]]  # from above
    cells: list[Sequence[tuple[int, int] | None]] = []
    starts: list[int] = []
    for n, row in enumerate(grid.cells):
        starts.append(len(cells))
        below = grid.cells[n + 1] if n + 1 < len(grid.cells) else ()
        is_alone = all(c is None or c[0] == n for c in row) and all(c is None or c[0] > n for c in below)
        cuts = _cuts([lines.get(c, []) for c in dict.fromkeys(row) if c is not None]) if is_alone else []
        for _ in range(len(cuts) + 1):
            here = len(cells) if is_alone else None
            cells.append([c and (starts[c[0]] if here is None else here, c[1]) for c in row])
        ys += [*cuts, grid.ys[-2 - n]]
    return Grid(grid.xs, ys[::-1], cells)


def _cuts(cells: Sequence[Sequence[tuple[float, float]]]) -> list[float]:
    """Where a row is cut, from above."""
    ink = _ink(line for cell in cells for line in cell)
    first, *others = [len(_ink(cell)) for cell in cells] or [0]
    full = sum(n == len(ink) for n in others)
    if len(ink) < _LINES or first < len(ink) or not full or 2 * full < sum(n > 0 for n in others):
        return []
    return [(a[1] + b[0]) / 2 for a, b in pairwise(ink)][::-1]

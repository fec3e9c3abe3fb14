"""Tables that are ruled only from side to side: columns by the white between their words, rows by their lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from headrace.knowledge.formats.pdf_tables import LINES, SNAP, Box, Edge, Grid

Runs = list[tuple[float, float]]
"""Stretches of a line that ink covers, ascending and apart."""

_HEADER = 3
"""Lines up to which all that stands above the second rule is one row of headings."""
_PROSE = 24
"""Letters a line on average from which a column is running text."""


def spaced(rules: Sequence[Edge], upright: Sequence[Edge], boxes: Sequence[Box]) -> list[Grid]:
    """Tables between three or more joined horizontal rules with nearly the same ends, and no upright ones within.
    `boxes`: those of letters."""
    if len(rules) > LINES or len(rules) < 3:
        return []
    found: list[Grid] = []
    for group in _alike(rules):
        left, right = min(r.start for r in group), max(r.end for r in group)
        low, high = group[0].at, group[-1].at
        if len(group) < 3 or any(_within(u, left, right, low, high) for u in upright):
            continue
        inside = [b for b in boxes if left - SNAP <= _x(b) <= right + SNAP and low <= _y(b) <= high]
        if inside:
            found += _between([r.at for r in group], inside, left - SNAP, right + SNAP)
    return found


def _within(rule: Edge, left: float, right: float, low: float, high: float) -> bool:
    return left + SNAP < rule.at < right - SNAP and rule.start < high - SNAP and rule.end > low + SNAP


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
    heights = sorted(b.top - b.bottom for b in boxes)
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

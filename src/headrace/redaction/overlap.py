"""Of detections that overlap, which counts where."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from headrace.redaction import Detection

TOKEN = re.compile(r"\[[A-Z][A-Z_]{1,30}(?::[0-9a-f]{16})?\]")
"""What stands for a value that was replaced."""


def resolve(text: str, found: Iterable[Detection]) -> list[Detection]:
    """Detections in order without overlaps: the longest first, then the surest, then the first; of a shorter one there
    remains what sticks out. What was replaced before is left alone.
    """
    taken = _Taken([m.span() for m in TOKEN.finditer(text)])
    kept: list[Detection] = []
    order = sorted(set(found), key=lambda d: (d.start - d.end, -d.score, d.start, d.kind))
    for detection in order:
        for start, end in taken.free(detection.start, detection.end):
            start, end = _stripped(text, start, end)
            if any(c.isalnum() for c in text[start:end]):
                kept.append(replace(detection, start=start, end=end))
        taken.take(detection.start, detection.end)
    return sorted(kept, key=lambda d: d.start)


class _Taken:
    """Stretches, ascending and apart."""

    def __init__(self, stretches: Sequence[tuple[int, int]]) -> None:
        self._starts = [s for s, _ in stretches]
        self._ends = [e for _, e in stretches]

    def free(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of a stretch that nothing has taken."""
        found: list[tuple[int, int]] = []
        n = bisect_left(self._ends, start + 1)
        while n < len(self._starts) and self._starts[n] < end:
            if start < self._starts[n]:
                found.append((start, self._starts[n]))
            start = max(start, self._ends[n])
            n += 1
        if start < end:
            found.append((start, end))
        return found

    def take(self, start: int, end: int) -> None:
        first = bisect_left(self._ends, start)
        last = first
        while last < len(self._starts) and self._starts[last] <= end:
            last += 1
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end

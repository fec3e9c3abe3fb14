"""What a verification finds, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic

SHOWN = 100
"""So many documents that differ are named unless asked otherwise."""


class Kind(StrEnum):
    """MISSING: not in the index; GHOST: in the index and nowhere else; DIFFERENT: neither."""

    MISSING = "missing"
    DIFFERENT = "different"
    GHOST = "ghost"


@dataclass(frozen=True, slots=True)
class Difference:
    """One document of the index that is not what the log (or, with `at_source`, the source) says."""

    document: str
    source: str
    topic: str
    kind: Kind
    what: tuple[str, ...]
    at_source: bool = False


@dataclass(slots=True)
class Tally:
    """One source's documents in numbers. `untold`: those that the log no longer tells of, checked against themselves;
    `failed`: those that cannot be read, rightly. `earlier`: those that other steps made than those of now, checked
    against themselves, and being made anew. `compared`: how many were held against the source itself."""

    source: str
    documents: int = 0
    chunks: int = 0
    missing: int = 0
    different: int = 0
    ghost: int = 0
    untold: int = 0
    failed: int = 0
    earlier: int = 0
    compared: int | None = None
    notes: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> int:
        return self.documents - self.missing - self.different


@dataclass(frozen=True, slots=True)
class Report:
    """`sources` by name; `differences`: the first ones, `more` the number of the others; `index`: what is wrong with
    the index as a whole; `repaired`: how many documents were put right before this was found."""

    sources: Sequence[Tally]
    differences: Sequence[Difference]
    more: int
    index: Sequence[str]
    repaired: int
    seconds: float

    @property
    def equal(self) -> bool:
        return not self.differences and not self.more and not self.index


@dataclass(frozen=True, slots=True)
class Progress:
    """`total` None: not known. `rate`: of the step, a second."""

    step: str
    done: int
    total: int | None
    rate: float
    eta_s: float | None


class Telling:
    """Tells how far the step is."""

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._step = ""
        self._began = monotonic()
        self._total: int | None = None

    def begin(self, step: str, total: int | None = None) -> None:
        self._step, self._total, self._began = step, total, monotonic()
        self.done(0)

    def done(self, done: int) -> None:
        rate = done / max(monotonic() - self._began, 1e-6)
        total = None if self._total is None else max(self._total, done)
        eta = (total - done) / rate if total is not None and done else None
        self._tell(Progress(self._step, done, total, rate, eta))

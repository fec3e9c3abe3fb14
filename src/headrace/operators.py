"""Port: an operator turns changes into effects; engines run it and it never knows which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from headrace.change import Change, Position, Style
from headrace.stores import Transaction

P = TypeVar("P")

OVERTAKING = ":overtaking"
"""Suffix of the operator name under which overtaking deletes keep their progress."""


class Operator(Protocol, Generic[P]):
    """Two methods and a name.

    - `whole_transactions`: whether readers never see a part of a source's transaction; otherwise one of more than some
      hundred changes is applied in parts, so that what is slow to prepare does not keep its first rows waiting.
    - `wants(topic)`: whether this operator does anything with a topic's changes.
    - `prepare(changes)` may be slow (parse, embed), runs concurrently with others, has no side effect. A change that
      cannot be processed becomes a dead letter in the result and never an exception; an exception means that the work
      could not be done now and will be tried again.
    - `apply(prepared, transaction)` is quick and is all that touches the store. The engine calls it in log order, one
      at a time per operator; a second call with the same changes has no effect.
    - `overtake(changes, transaction)`: hides at once what these deletes and truncates end, and from whom other changes
      take something away, before older work that is still being prepared; called only for changes that `overtakes`
      picks, possibly long before `apply` sees them, possibly twice.
    """

    @property
    def name(self) -> str: ...
    @property
    def whole_transactions(self) -> bool: ...
    def wants(self, topic: str) -> bool: ...
    async def prepare(self, changes: Sequence[Change], *, background: bool) -> P: ...
    async def apply(self, prepared: P, transaction: Transaction) -> None: ...
    def overtakes(self, change: Change) -> bool: ...
    async def overtake(self, changes: Sequence[Change], transaction: Transaction) -> None: ...


@dataclass(frozen=True, slots=True)
class Lag:
    """What one operator has not yet applied of one source."""

    source: str
    operator: str
    reached: Position
    wanted: Position


@dataclass(frozen=True, slots=True)
class Marks:
    """What is certainly in a snapshot opened after these marks were taken.

    `reached`: (operator, source) -> position up to which everything is applied. `proved_at`: source -> a time
    (microseconds) such that everything committed before it is applied; None with the reason in `down`.
    """

    reached: Mapping[tuple[str, str], Position]
    proved_at: Mapping[str, int | None]
    down: Mapping[str, str]

    def freshness(self, now: int) -> tuple[float | None, str | None]:
        """Milliseconds: nothing that was committed at any source longer ago is missing; or None and why."""
        oldest = now
        for source, at in self.proved_at.items():
            if source in self.down:
                return None, f"{source}: {self.down[source]}"
            if at is None:
                return None, f"{source}: its first changes are still being applied"
            oldest = min(oldest, at)
        return (now - oldest) / 1000, None


class Progress(Protocol):
    """What an engine tells those who answer: how far its operators are.

    `marks()` before a snapshot says what that snapshot certainly holds; `wait` returns when source -> operator ->
    position is applied, or after the time with what is missing; `heads()` asks every source for its position now.
    `settle` returns when operators have applied the few changes that are on their way in at the moment, at once when
    there are none or many, and after the time anyway.
    """

    @property
    def operators(self) -> Sequence[str]: ...
    @property
    def styles(self) -> Mapping[str, Style]:
        """Every source, and how it writes positions."""
        ...

    def marks(self) -> Marks: ...
    async def wait(self, wanted: Mapping[str, Mapping[str, Position]], timeout_ms: float) -> Sequence[Lag]: ...
    async def settle(self, operators: Sequence[str], timeout_ms: float) -> None: ...
    async def heads(self) -> Mapping[str, Position]: ...

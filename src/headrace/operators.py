"""Port: an operator turns changes into effects; engines run it and it never knows which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from headrace.change import Change
from headrace.stores import Transaction

P = TypeVar("P")


class Operator(Protocol, Generic[P]):
    """Two methods and a name.

    - `wants(topic)`: whether this operator does anything with a topic's changes.
    - `prepare(changes)` may be slow (parse, embed), runs concurrently with others, has no side effect. A change that
      cannot be processed becomes a dead letter in the result and never an exception; an exception means that the work
      could not be done now and will be tried again.
    - `apply(prepared, transaction)` is quick and is all that touches the store. The engine calls it in log order, one
      at a time per operator; a second call with the same changes has no effect.
    - `overtake(changes, transaction)`: hides at once what these deletes and truncates end, before older work that is
      still being prepared; called only for changes that `overtakes` picks, possibly long before `apply` sees them,
      possibly twice.
    """

    @property
    def name(self) -> str: ...
    def wants(self, topic: str) -> bool: ...
    async def prepare(self, changes: Sequence[Change], *, background: bool) -> P: ...
    async def apply(self, prepared: P, transaction: Transaction) -> None: ...
    def overtakes(self, change: Change) -> bool: ...
    async def overtake(self, changes: Sequence[Change], transaction: Transaction) -> None: ...

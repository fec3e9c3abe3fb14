"""Port: changes that could not be applied, kept with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.change import Position, Stamp
from headrace.stores.values import Failure


@dataclass(frozen=True, slots=True)
class DeadLetter:
    id: int
    operator: str
    source: str
    topic: str
    key: str
    stamp: Stamp
    failure: Failure
    at: int
    attempts: int
    resolved_at: int | None
    change: bytes | None
    """The change as the log encodes it; None when it never became one, or was left out (`Store.letters`)."""


@dataclass(frozen=True, slots=True)
class DeadLetterDraft:
    operator: str
    topic: str
    key: str
    stamp: Stamp
    failure: Failure
    change: bytes | None = None


class DeadLetterWriter(Protocol):
    """`put` records a failure (again: attempts grow); `settle` marks what a newer change of (topic, key) put right,
    or with None for the key everything of a topic that ended."""

    async def put(self, letters: Sequence[DeadLetterDraft]) -> None: ...
    async def settle(self, operator: str, keys: Sequence[tuple[str, str | None]], before: Position) -> None: ...

"""Ports: profiles, of records that share identifiers and of facts about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from headrace.change import Row, Stamp
from headrace.stores.values import JSON, Object


@dataclass(frozen=True, slots=True)
class RecordDraft:
    """A record's new version: `identifiers` are `type:value`, normalised; `fields` by name. None fields: deleted."""

    id: str
    topic: str
    stamp: Stamp
    identifiers: tuple[str, ...]
    fields: Object | None


@dataclass(frozen=True, slots=True)
class FactDraft:
    """A child row's new version. `owners` are identifiers. `fields` None: deleted. `time`: when it happens (us)."""

    id: str
    topic: str
    key: Row
    stamp: Stamp
    owners: tuple[str, ...]
    order: JSON
    time: int | None
    fields: Object | None
    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A truncated topic: all its records or facts end."""

    topic: str
    stamp: Stamp


ProfileChange = RecordDraft | FactDraft | Cleared


class ProfileWriter(Protocol):
    """Applies records and facts in the given order; whatever is not newer than what is known changes nothing."""

    async def apply(self, changes: Sequence[ProfileChange]) -> None: ...


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`name = function(column)`; `column` is `*` for count."""

    name: str
    function: Literal["count", "sum", "min", "max", "avg"]
    column: str


@dataclass(frozen=True, slots=True)
class FactRule:
    """How a topic's facts are shown: the newest `keep` by order, with aggregates over all of them."""

    topic: str
    name: str
    keep: int
    aggregates: tuple[Aggregate, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A child row of a profile. `text` is how it reads as a sentence."""

    topic: str
    table: str
    key: str
    name: str
    fields: Object
    text: str
    time: int | None
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Profile:
    """One person or thing, from all records that share identifiers; `facts` newest first per topic."""

    id: str
    identifiers: tuple[str, ...]
    fields: Object
    aggregates: Mapping[str, JSON]
    facts: Sequence[Fact]
    records: tuple[str, ...]
    stamp: Stamp


class ProfileReader(Protocol):
    async def profile(self, id_or_identifier: str) -> Profile | None:
        """By profile id, or by identifier such as `email:ada@example.com` (normalised here)."""
        ...

    def profiles(self) -> AsyncIterator[Profile]: ...

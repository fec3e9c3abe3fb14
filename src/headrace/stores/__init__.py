"""Ports: where effects live. One transaction per applied batch, one snapshot per answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from headrace.access import OPERATOR, Viewer
from headrace.change import Position
from headrace.stores.audit import Audit, Mender
from headrace.stores.beside import Beside
from headrace.stores.conversations import ConversationReader, Turn
from headrace.stores.dead_letters import DeadLetter, DeadLetterWriter
from headrace.stores.knowledge import KnowledgeReader, KnowledgeWriter
from headrace.stores.profiles import ProfileReader, ProfileWriter
from headrace.stores.stock import Stock, WorkCache
from headrace.stores.told import ToldReader, ToldWriter
from headrace.stores.values import JSON
from headrace.token import Token


@dataclass(frozen=True, slots=True)
class Applied:
    """How far an operator has applied a source: the append's number, and what it ends with."""

    operator: str
    source: str
    number: int
    position: Position
    committed_at: int
    changes_total: int
    bytes_total: int


class Transaction(Protocol):
    """Everything that one applied batch does, committed as a whole."""

    @property
    def knowledge(self) -> KnowledgeWriter: ...
    @property
    def profiles(self) -> ProfileWriter: ...
    @property
    def dead_letters(self) -> DeadLetterWriter: ...
    @property
    def mender(self) -> Mender: ...
    @property
    def told(self) -> ToldWriter: ...
    async def progress(self, applied: Applied) -> None: ...


class Snapshot(Protocol):
    """One consistent view for one answer."""

    @property
    def knowledge(self) -> KnowledgeReader: ...
    @property
    def profiles(self) -> ProfileReader: ...
    @property
    def conversations(self) -> ConversationReader: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def stock(self) -> Stock: ...
    @property
    def told(self) -> ToldReader: ...
    async def progress(self) -> Sequence[Applied]: ...


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point to read at: what a token saw, or what was committed by a time (microseconds). One of the two."""

    token: Token | None = None
    time: int | None = None


PRESENT = AsOf()


@dataclass(frozen=True, slots=True)
class Building:
    """An index that is being built: `done` of `total` vectors since `started_at` (microseconds)."""

    done: int
    total: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Indexing:
    """How many present chunks wait for the index of the nearest; until then searches look at each of them."""

    waiting: int
    building: Building | None


class Store(Protocol):
    """`transaction()` commits on leaving (visible at once, on disk a little later), rolls back on an exception;
    `snapshot()` reads one state of everything, of the present or as of a point."""

    @property
    def work(self) -> WorkCache: ...
    @property
    def beside(self) -> Beside: ...
    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...
    def snapshot(self, at: AsOf = PRESENT, viewer: Viewer = OPERATOR) -> AbstractAsyncContextManager[Snapshot]:
        """Without a `viewer`, of everything: for those who keep it. Whoever answers somebody passes him."""
        ...

    async def save_turns(self, conversation: str, user: str | None, turns: Sequence[Turn]) -> None:
        """On disk when this returns."""
        ...

    async def keep_chains(self, chains: Mapping[str, JSON]) -> None:
        """Remembers the steps of each key, before anything is made by them. On disk when this returns."""
        ...

    async def restricted(self, rules: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """By which access rules the readers of each source's documents are limited; with `rules`, from now on by these.
        On disk when this returns."""
        ...

    async def progress(self) -> Sequence[Applied]: ...
    async def rewind(self, operator: str, source: str) -> None:
        """Lets an operator see a source's whole log again at the next start; its effects stay."""
        ...

    async def letters(
        self, *, open_only: bool = True, limit: int = 1000, id: int | None = None
    ) -> Sequence[DeadLetter]:
        """Newest first; with its change one that is asked for by its id, and those of the operator `capture`."""
        ...

    async def counts(self) -> tuple[int, int, int, str, int]:
        """Documents ready, documents failed, profiles, the server's version, its bytes."""
        ...

    async def compact(self) -> None:
        """Housekeeping of indexes; called every few seconds, quick when nothing is due."""
        ...

    async def index(self, *, loaded: bool = False) -> None:
        """Builds indexes anew where that is due; called every few seconds, by one at a time. It may take minutes, in
        which everything else goes on. `loaded`: whoever calls knows that no more is coming."""
        ...

    async def indexing(self) -> Indexing: ...

    async def purge(self, before: int) -> int:
        """Forgets versions closed before a time (microseconds); how many rows went."""
        ...

    async def close(self) -> None: ...

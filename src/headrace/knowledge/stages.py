"""How far documents are that are on their way into the index."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum

from headrace.change import Change, Position, document_id


class Stage(StrEnum):
    """What has been done: it stands in the log; it was read and cut into chunks; these have their vectors; it can be
    found; or it could not be read."""

    RECEIVED = "received"
    CHUNKED = "chunked"
    EMBEDDED = "embedded"
    READY = "ready"
    FAILED = "failed"


COMING = (Stage.RECEIVED, Stage.CHUNKED, Stage.EMBEDDED)


_Key = tuple[str, Position]


class Stages:
    """Those that the operator is at work on, by document and position; the rest is known by the log and the store."""

    def __init__(self) -> None:
        self._at: dict[_Key, tuple[str, Stage]] = {}
        self._committing: list[_Key] = []
        self.changed = asyncio.Event()
        """Set when something is being applied; whoever waits clears it."""

    def set(self, changes: Iterable[Change], stage: Stage) -> None:
        for change in changes:
            self._at[_key(change)] = (change.schema.source, stage)

    def end(self, changes: Iterable[Change]) -> None:
        """They are given up, or tried again from the beginning."""
        self._drop([_key(change) for change in changes if change.key])

    def applied(self, changes: Iterable[Change]) -> None:
        """They are being committed; they are in the store by the next call."""
        self._drop(self._committing)
        self._committing = [_key(change) for change in changes if change.key]
        self.changed.set()

    def of(self, document: str, position: Position) -> Stage:
        """Of a version that the store does not have yet."""
        return self._at.get((document, position), ("", Stage.RECEIVED))[1]

    def counts(self, reached: Callable[[str], Position]) -> Counter[Stage]:
        """Of versions behind what is applied of their source."""
        return Counter(stage for (_, position), (source, stage) in self._at.items() if position > reached(source))

    def _drop(self, keys: Iterable[_Key]) -> None:
        for key in keys:
            self._at.pop(key, None)


def _key(change: Change) -> _Key:
    return document_id(change.schema, change.key), change.position

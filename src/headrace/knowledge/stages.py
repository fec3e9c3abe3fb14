"""How far documents are that are on their way into the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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


class Stages:
    """Those that the operator is at work on, by document and position; the rest is known by the log and the store."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, Position], Stage] = {}

    def set(self, changes: Iterable[Change], stage: Stage) -> None:
        for change in changes:
            self._at[document_id(change.schema, change.key), change.position] = stage

    def end(self, changes: Iterable[Change]) -> None:
        """They are in the store, or given up."""
        for change in changes:
            if change.key:
                self._at.pop((document_id(change.schema, change.key), change.position), None)

    def of(self, document: str, position: Position) -> Stage:
        """Of a version that the store does not have yet."""
        return self._at.get((document, position), Stage.RECEIVED)

    def counts(self) -> Counter[Stage]:
        return Counter(self._at.values())

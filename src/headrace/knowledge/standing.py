"""Holds the index against what stands at a source now, for sources of documents that can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.knowledge.operator import KNOWLEDGE
from headrace.knowledge.report import Difference, Kind, Telling
from headrace.operators import Progress
from headrace.sources import Comparable
from headrace.stores import Store

ROUNDS = 6
"""So often what differs is looked at again before it counts as changing all the while."""
WAIT_MS = 60_000.0

Seen = tuple[str | None, str | None]
"""The hash of a document's content at the source and in the index; None: not there."""


@dataclass(frozen=True, slots=True)
class Compared:
    """`changing`: documents that were written to whenever they were looked at."""

    documents: int
    differences: Sequence[Difference]
    changing: int


class Standing:
    """`live`: the sources are being read, so that what they have committed is waited for."""

    def __init__(self, store: Store, progress: Progress, telling: Telling, *, live: bool) -> None:
        self._store = store
        self._progress = progress
        self._telling = telling
        self._live = live

    async def compare(self, source: Comparable) -> Compared:
        """Raises SourceError when the source cannot be asked."""
        documents, suspects = await self._all(source)
        before: dict[str, Seen] = {}
        sure: dict[str, Seen] = {}
        for _ in range(ROUNDS):
            if not suspects:
                break
            now = await self._again(source, suspects)
            sure |= {key: seen for key, seen in now.items() if before.get(key) == seen}
            suspects = [key for key in now if key not in sure]
            before = now
        found = [_difference(source.name, key, *seen) for key, seen in sorted(sure.items())]
        return Compared(documents, found, len(suspects))

    async def _all(self, source: Comparable) -> tuple[int, list[str]]:
        """How many documents the source has, and those whose hash is not the index's: both sides by key."""
        self._telling.begin(f"{source.name} at the source")
        prefix = source.name + "/"
        suspects: list[str] = []
        count = 0
        async with self._store.snapshot() as snapshot:
            held = snapshot.knowledge.documents(source.name)
            mine = await anext(held, None)
            async for page in source.standing():
                for key, digest in page:
                    while mine is not None and mine.id.removeprefix(prefix) < key:
                        suspects.append(mine.id.removeprefix(prefix))
                        mine = await anext(held, None)
                    same = mine is not None and mine.id.removeprefix(prefix) == key
                    if (mine.content_hash if mine is not None and same else None) != digest:
                        suspects.append(key)
                    if same:
                        mine = await anext(held, None)
                    count += digest is not None
                self._telling.done(count)
            while mine is not None:
                suspects.append(mine.id.removeprefix(prefix))
                mine = await anext(held, None)
        return count, suspects

    async def _again(self, source: Comparable, keys: Sequence[str]) -> dict[str, Seen]:
        """Those that still differ once what the source had committed before is applied; a change of the document while
        it was looked at counts as another state."""
        first = {key: await source.stands(key) for key in keys}
        if self._live:
            head = await source.head()
            await self._progress.wait({source.name: {KNOWLEDGE: head}}, WAIT_MS)
        found: dict[str, Seen] = {}
        async with self._store.snapshot() as snapshot:
            for key in keys:
                document = await snapshot.knowledge.document(f"{source.name}/{key}")
                held = document.info.content_hash if document is not None else None
                if first[key] != held:
                    found[key] = (first[key], held)
        return found


def _difference(source: str, key: str, standing: str | None, held: str | None) -> Difference:
    kind = Kind.MISSING if held is None else Kind.GHOST if standing is None else Kind.DIFFERENT
    what = {
        Kind.MISSING: "it stands at the source and not in the index",
        Kind.GHOST: "it is in the index and no longer at the source",
        Kind.DIFFERENT: f"its content is {standing} at the source and {held} in the index",
    }[kind]
    return Difference(f"{source}/{key}", source, source, kind, (what,), at_source=True)

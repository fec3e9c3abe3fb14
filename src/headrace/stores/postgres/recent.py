"""The unpacked chunks' terms, kept between searches: chunks never change, they only come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace.stores.postgres.lexical import Recent

SLACK = 1024
"""So many chunks more than are unpacked now may be remembered before they are looked through."""


class RecentChunks:
    """Terms of unpacked chunks by term. Each search says which chunks its own snapshot holds; nothing else counts."""

    def __init__(self) -> None:
        self._chunks: dict[int, Recent] = {}
        self._holders: dict[int, set[int]] = {}
        self.newest = 0
        """Searches need to read the terms of newer chunks only."""

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Chunks that are older than the newest and yet unknown (or forgotten again)."""
        return [i for i in ids if i not in self._chunks]

    def add(self, chunks: Iterable[Recent]) -> None:
        for chunk in chunks:
            if chunk.id in self._chunks:
                continue
            self._chunks[chunk.id] = chunk
            self.newest = max(self.newest, chunk.id)
            for term in chunk.terms.tolist():
                self._holders.setdefault(term, set()).add(chunk.id)

    def holding(self, terms: Sequence[int], present: Sequence[int]) -> list[Recent]:
        """The chunks among `present` that hold at least one of the terms, by id."""
        held = set[int]().union(*(self._holders.get(t, ()) for t in terms))
        found = [self._chunks[i] for i in sorted(held.intersection(present))]
        if len(self._chunks) > len(present) + SLACK:
            self._forget(set(present))
        return found

    def _forget(self, present: set[int]) -> None:
        for id in self._chunks.keys() - present:
            for term in self._chunks.pop(id).terms.tolist():
                holders = self._holders[term]
                holders.discard(id)
                if not holders:
                    del self._holders[term]

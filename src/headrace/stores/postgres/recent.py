"""The unpacked chunks' terms, kept between searches: chunks never change, they only come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.stores.postgres.lexical import Ids, Posting, Postings, Recent, holding

SLACK = 1024
"""So many chunks more than are unpacked now may be remembered before they are looked through."""


class RecentChunks:
    """Postings of unpacked chunks. Each search says which chunks its own snapshot holds; nothing else counts.

    They stand in parts, each by term, that are joined as they grow: hundreds of thousands come and go within some
    milliseconds, in which nobody else is served.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._parts: list[Postings] = []
        self.newest = 0
        """Searches need to read the terms of newer chunks only."""

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Chunks that are older than the newest and yet unknown (or forgotten again)."""
        return [i for i in ids if i not in self._known]

    def add(self, chunks: Iterable[Recent]) -> None:
        new = {c.id: c for c in chunks if c.id not in self._known}
        if not new:
            return
        self._known.update(new)
        self.newest = max(self.newest, *new)
        self._parts.append(Postings.of(list(new.values())).by_term())
        while len(self._parts) > 1 and len(self._parts[-2].ids) <= 2 * len(self._parts[-1].ids):
            self._parts[-2:] = [Postings.joined(self._parts[-2:]).by_term()]

    def postings(self, terms: Sequence[int], present: Ids) -> list[tuple[int, Posting]]:
        """Of each term those in chunks that are `present` (ascending)."""
        found: list[tuple[int, Posting]] = []
        for part in self._parts:
            for term, posting in holding(part, terms):
                keep = _among(posting.ids, present)
                if keep.any():
                    found.append((term, Posting(posting.ids[keep], posting.counts[keep], posting.lengths[keep])))
        if len(self._known) > len(present) + SLACK:
            self._forget(present)
        return found

    def _forget(self, present: Ids) -> None:
        self._known.intersection_update(present.tolist())
        left = [part.where(_among(part.ids, present)) for part in self._parts]
        self._parts = [part for part in left if len(part.ids)]


def _among(ids: Ids, present: Ids) -> NDArray[np.bool_]:
    """Which are there; `present` ascends."""
    if not len(present):
        return np.zeros(len(ids), np.bool_)
    places = np.minimum(np.searchsorted(present, ids), len(present) - 1)
    return present[places] == ids

"""Holds postings against chunks without keeping either: a sum of hashes for each chunk, whatever order they come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.stores.postgres.lexical import Ids, Posting, Recent

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Expected:
    """Chunk ids, ascending, and of each what its postings must add up to."""

    ids: Ids
    sums: Hashes


def of_chunks(chunks: Sequence[Recent]) -> Hashes:
    """What the postings of each chunk add up to, by its terms and counts."""
    return np.array([_hashes(c.terms, c.counts, min(c.length, 0xFFFF)).sum(dtype=np.uint64) for c in chunks], np.uint64)


class Found:
    """What the postings that were seen add up to, for each chunk that should have some; and whose else they are."""

    def __init__(self, expected: Expected, dead: Ids) -> None:
        self._expected = expected
        self._dead = dead
        self._sums = np.zeros(len(expected.ids), np.uint64)
        self._strays: set[int] = set()

    def add(self, term: int, posting: Posting) -> None:
        """One packed row: chunks that are dead do not count."""
        alive = ~np.isin(posting.ids, self._dead)
        ids = posting.ids[alive]
        terms = np.full(len(ids), term, np.int64)
        self._count(ids, _hashes(terms, posting.counts[alive], posting.lengths[alive]))

    def add_recent(self, chunks: Sequence[Recent]) -> None:
        """Unpacked chunks."""
        self._count(np.array([c.id for c in chunks], np.int64), of_chunks(chunks))

    @property
    def amiss(self) -> Ids:
        """Chunks whose postings are not what they must be, ascending."""
        return self._expected.ids[self._sums != self._expected.sums]

    @property
    def strays(self) -> Sequence[int]:
        """Chunks with postings that should have none."""
        return sorted(self._strays)

    def _count(self, ids: Ids, hashes: Hashes) -> None:
        places = np.searchsorted(self._expected.ids, ids)
        inside = places < len(self._expected.ids)
        inside[inside] = self._expected.ids[places[inside]] == ids[inside]
        np.add.at(self._sums, places[inside], hashes[inside])
        if not inside.all():
            self._strays.update(ids[~inside].tolist())


def _hashes(terms: NDArray[np.int64], counts: NDArray[np.uint16], lengths: NDArray[np.uint16] | int) -> Hashes:
    """One hash for each (term, count, length): the finaliser of MurmurHash3 over their mix."""
    wide = np.asarray(lengths, np.uint64)
    mixed = terms.astype(np.uint64) + counts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = mixed + wide * np.uint64(0xC2B2AE3D27D4EB4F)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(33))
